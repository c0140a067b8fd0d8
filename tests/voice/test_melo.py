"""MeloTTS speaks: upstream's golden waveforms, and a small random network for the rest."""

import gzip
import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from aitwin.errors import TwinError
from aitwin.voice import checkpoint as checkpoints
from aitwin.voice import melo as melo_module
from aitwin.voice.audio import Samples
from aitwin.voice.bert import Bert, Features
from aitwin.voice.melo import Manner, Melo, MeloSpeaker
from aitwin.voice.melo_reader import Reader
from aitwin.voice.melo_text import FrontEnd, Units
from aitwin.voice.placing import Placing
from aitwin.voice.synthesizer import Sizes
from tests.voice import small_melo

TOLERANCE = 1e-5
"""Of samples, absolute: ten times what two implementations were seen to differ by."""
STILL = Manner(sdp_ratio=0.0, noise=0.0, duration_noise=0.0)


# --- Against upstream ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden"


@pytest.fixture(scope="module")
def upstream(golden: Path) -> Melo:
    return Melo.load(golden / "melo" / "checkpoint.pth", golden / "melo" / "config.json")


@pytest.fixture(scope="module")
def english(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> FrontEnd:
    directory = tmp_path_factory.mktemp("g2p")
    with gzip.open(golden / "extra" / "cmudict.rep.gz") as packed:
        (directory / "cmudict.rep").write_bytes(packed.read())
    shutil.copy(golden / "extra" / "g2p_en_checkpoint20.npz", directory / "checkpoint20.npz")
    with gzip.open(golden / "melo" / "bert_base_uncased_vocab.txt.gz") as packed:
        (directory / "vocab.txt").write_bytes(packed.read())
    return Reader(directory, directory).front_end(golden / "melo" / "config.json")


@pytest.mark.parametrize("number", range(6))
def test_golden_waveforms(golden: Path, upstream: Melo, english: FrontEnd, number: int) -> None:
    """S1: from the text to upstream's very samples."""
    facts = json.loads((golden / "melo" / "waveforms.json").read_text())[number]
    folder, name = golden / "melo", facts["name"]
    (units,) = english.read(facts["text"])
    features = np.load(folder / f"{name}_bert_tokens.npy").astype(np.float32)
    speaker = list(upstream.speakers)[facts["speaker_id"]]
    said = upstream.synthesise(
        units,
        features,
        speaker,
        speed=facts["speed"],
        manner=replace(STILL, sdp_ratio=facts["sdp_ratio"]),
    )
    assert len(said) == facts["frames"] * 512
    rest = np.zeros(facts["samples"] - len(said), np.float32)
    expected = np.load(folder / f"{name}_audio.npy")
    np.testing.assert_allclose(np.concatenate([said, rest]), expected, atol=TOLERANCE)
    assert len(rest) == int(upstream.rate * melo_module.REST / facts["speed"])


def test_weight_norm_and_training_parts_make_no_difference(
    golden: Path, upstream: Melo, english: FrontEnd, tmp_path: Path
) -> None:
    """What a fine-tuning writes: safetensors, multiplied out, without enc_q."""
    folder = golden / "melo"
    tensors = checkpoints.fused(checkpoints.read(folder / "checkpoint.pth", "pull it"))
    kept = {name: t.contiguous() for name, t in tensors.items() if not name.startswith("enc_q.")}
    save_file(kept, tmp_path / "checkpoint.safetensors")
    tuned = Melo.load(tmp_path / "checkpoint.safetensors", folder / "config.json")
    (units,) = english.read("Good morning.")
    features = np.load(folder / "w1_bert_tokens.npy").astype(np.float32)
    np.testing.assert_array_equal(
        tuned.synthesise(units, features, "EN-AU"), upstream.synthesise(units, features, "EN-AU")
    )


# --- A small one --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Melo:
    return Melo.load(*small_melo.write(tmp_path_factory.mktemp("melo")))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Bert:
    return small_melo.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def units() -> Units:
    (only,) = small_melo.front_end().read("Good morning. Hello, yes!")
    return only


@pytest.fixture(scope="module")
def features(bert: Bert, units: Units) -> Features:
    return bert.features(units.token_ids)


def test_what_the_files_say(small: Melo) -> None:
    assert small.rate == 8_000
    assert small.speakers == {"EN-US": 0, "EN-BR": 2}
    assert "Parameter" not in repr(small)


def test_a_seed_gives_the_same_samples_and_another_seed_others(
    small: Melo, units: Units, features: Features
) -> None:
    """S2."""
    one, same = (small.synthesise(units, features, "EN-US", seed=3) for _ in range(2))
    other = small.synthesise(units, features, "EN-US", seed=4)
    np.testing.assert_array_equal(one, same)
    assert len(one) != len(other) or not np.array_equal(one, other)
    assert one.dtype == np.float32
    assert np.abs(one).max() <= 1
    assert np.abs(one).max() > 0


def test_the_noise_is_what_upstream_draws(
    units: Units, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S1: two draws by torch's own generator, first for the durations, then for the sound.

    Upstream's second is `randn_like` of a transposed product, which draws frame by frame.
    """
    network, steps = small_melo.network(), len(units.phone_ids)
    with torch.no_grad():  # deviations of 1, and means of 0
        network.enc_p.proj.weight.zero_()
        network.enc_p.proj.bias.zero_()
    seen, backwards = list[torch.Tensor](), network.flow.inverse

    def inverse(z: torch.Tensor, mask: None, g: torch.Tensor) -> torch.Tensor:
        seen.append(z.clone())
        return backwards(z, mask, g)

    monkeypatch.setattr(network.flow, "inverse", inverse)
    network.sdp.register_forward_pre_hook(lambda _, given: seen.append(given[3].clone()))
    melo_module.spoken(network, units, features, 0, seed=11)
    for_durations, latent = seen
    torch.manual_seed(11)
    torch.testing.assert_close(for_durations, torch.randn(1, 2, steps) * 0.8)
    prior = torch.zeros(1, latent.shape[2], network.sizes.latent).transpose(1, 2)
    torch.testing.assert_close(latent, torch.randn_like(prior) * 0.6)


def test_without_variety_nothing_hangs_on_what_was_drawn(
    small: Melo, units: Units, features: Features
) -> None:
    still = [small.synthesise(units, features, "EN-US", seed=seed, manner=STILL) for seed in (1, 2)]
    np.testing.assert_array_equal(*still)


def test_nothing_of_torchs_own_chance_is_touched(
    small: Melo, units: Units, features: Features
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small.synthesise(units, features, "EN-US", seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_speakers_and_features_are_heard(small: Melo, units: Units, features: Features) -> None:
    plain = small.synthesise(units, features, "EN-US", manner=STILL)
    for other in (
        small.synthesise(units, features, "EN-BR", manner=STILL),
        small.synthesise(units, np.zeros_like(features), "EN-US", manner=STILL),
    ):
        assert len(other) != len(plain) or np.abs(other - plain).max() > 1e-4


def test_speed_shortens(small: Melo, units: Units, features: Features) -> None:
    """S2. Frames are whole, so never quite by the factor."""
    slow, plain, fast = (
        len(small.synthesise(units, features, "EN-US", speed=speed, manner=STILL))
        for speed in (0.5, 1.0, 2.0)
    )
    assert slow > 1.3 * plain > 1.3 * fast
    assert slow <= 2 * plain


def test_threads_get_what_they_would_get_alone(
    small: Melo, units: Units, features: Features
) -> None:
    def say(seed: int) -> Samples:
        return small.synthesise(units, features, "EN-US", seed=seed)

    alone = [say(seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        for one, other in zip(alone, pool.map(say, range(6)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_network_in_training_can_be_heard(small: Melo, units: Units, features: Features) -> None:
    """S6: samples to hear on the way, with enc_q and without a file."""
    network = small_melo.network(trainable=True)
    heard = melo_module.spoken(network, units, features, 2, seed=1)
    np.testing.assert_allclose(
        heard, small.synthesise(units, features, "EN-BR", seed=1), atol=TOLERANCE
    )


@pytest.mark.parametrize("placing", [Placing(backend="plain"), Placing(threads=2)])
def test_every_placing_says_the_same(
    small: Melo, units: Units, features: Features, tmp_path: Path, placing: Placing
) -> None:
    placed = Melo.load(*small_melo.write(tmp_path), placing)
    before = torch.get_num_threads()
    np.testing.assert_allclose(
        placed.synthesise(units, features, "EN-US", seed=3),
        small.synthesise(units, features, "EN-US", seed=3),
        atol=TOLERANCE,
    )
    assert torch.get_num_threads() == before


def test_the_fastest_placing_is_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: Units, features: Features
) -> None:
    """What is tried is sound, and what was found is what is loaded."""
    files = small_melo.write(tmp_path)
    tried: list[Samples] = []

    def prepared(
        prepare: Callable[[Placing], Callable[[], Samples]], devices: list[str], cores: int
    ) -> Placing:
        del devices, cores
        tried.append(prepare(Placing())())
        tried.append(prepare(Placing(backend="plain"))())
        return Placing(backend="plain")

    monkeypatch.setattr(melo_module.placings, "fastest", prepared)
    note = tmp_path / "placing.json"
    for _ in range(2):
        assert Melo.tuned(*files, note).decode.placing == Placing(backend="plain")
    assert len(tried) == 2
    np.testing.assert_allclose(*tried, atol=TOLERANCE)
    assert np.abs(tried[0]).max() > 1e-3
    assert len(tried[0]) == melo_module.TRIAL * 16


def test_what_cannot_be_said(small: Melo, units: Units, features: Features) -> None:
    with pytest.raises(TwinError, match="no voice 'EN-AU'; choose one of: EN-US, EN-BR"):
        small.synthesise(units, features, "EN-AU")
    with pytest.raises(ValueError, match="tokens want as many features"):
        small.synthesise(units, features[:-1], "EN-US")
    for speed in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"a speed is a number of 0\.1 or more"):
            small.synthesise(units, features, "EN-US", speed=speed)


def test_features_of_another_width_are_of_another_bert(
    small: Melo, units: Units, features: Features
) -> None:
    with pytest.raises(ValueError, match="768 numbers"):
        small.synthesise(units, features[:, :-1], "EN-US")


@pytest.mark.parametrize("slow", [1.0, 0.25])
def test_slow_speech_of_good_weights_is_not_taken_for_that_of_spoilt_ones(
    units: Units, features: Features, slow: float
) -> None:
    """0.2 seconds for each symbol, as in letters that are spelt; four times as much on wish."""
    network = small_melo.network()
    with torch.no_grad():
        network.dp.proj.weight.zero_()
        network.dp.proj.bias.fill_(np.log(0.1 * 8_000 / 16))
    long = replace(
        units,
        phone_ids=units.phone_ids * 41,
        tone_ids=units.tone_ids * 41,
        language_ids=units.language_ids * 41,
        word2ph=(*units.word2ph, 20 * len(units.phone_ids)),
    )
    spread = np.concatenate([features, features[-1:]])
    lasts = 0.1 * len(long.phone_ids) / slow
    assert lasts > 150
    frames: list[int] = []

    def counted(z: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        frames.append(z.shape[2])
        return torch.zeros(1, 1, 1)

    network.flow.inverse = lambda z, mask, g: z  # what it makes of minutes takes long
    melo_module.spoken(network, long, spread, 0, speed=slow, manner=STILL, decode=counted)
    assert frames[0] * 16 / 8_000 == pytest.approx(lasts, rel=0.05)


@pytest.mark.parametrize("bias", [12.0, 100.0, float("nan"), float("-inf")])
def test_durations_that_nobody_speaks_are_refused_before_they_fill_the_memory(
    units: Units, features: Features, bias: float
) -> None:
    network = small_melo.network()
    with torch.no_grad():
        network.dp.proj.bias.fill_(bias)
    with pytest.raises(TwinError, match=r"no sensible time .*spoilt; run `twin models pull melo"):
        melo_module.spoken(network, units, features, 0, manner=STILL)


# --- As a speaker -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speaker(small: Melo, bert: Bert) -> MeloSpeaker:
    return MeloSpeaker(small, small_melo.front_end(), bert)


def test_a_speaker_of_the_protocol(speaker: MeloSpeaker) -> None:
    assert speaker.name == "melotts"
    assert speaker.cloned is False
    assert "EN-US" in speaker.describe()
    assert "not yours" in speaker.describe()


def test_a_sentence_is_said_with_a_rest_behind(speaker: MeloSpeaker) -> None:
    said = speaker.speak("Good morning.", seed=2)
    assert said.sample_rate == 8_000
    assert said.text == "Good morning."
    rest = int(8_000 * melo_module.REST)
    assert not said.samples[-rest:].any()
    assert said.samples[:-rest].any()
    np.testing.assert_array_equal(said.samples, speaker.speak("Good morning.", seed=2).samples)
    assert len(speaker.speak("Good morning.", speed=2.0, seed=2).samples) < len(said.samples)


def test_a_long_sentence_is_said_in_pieces(speaker: MeloSpeaker) -> None:
    """No limit of BERT or of the network is met by a text that Speech may hand over."""
    long = speaker.speak("Good morning, world, hello, yes, " * 17)
    short = speaker.speak("Good morning, world, hello, yes, ")
    assert len(long.samples) > 10 * len(short.samples)


@pytest.mark.parametrize("text", ["", "   ", "...", "?!"])
def test_what_has_no_sound_is_empty_or_short(speaker: MeloSpeaker, text: str) -> None:
    assert speaker.speak(text).seconds < 1


def test_a_voice_that_the_checkpoint_lacks(small: Melo, bert: Bert) -> None:
    with pytest.raises(TwinError, match="no voice 'EN-XX'; choose one of: EN-US, EN-BR"):
        MeloSpeaker(small, small_melo.front_end(), bert, "EN-XX")


@pytest.mark.parametrize("speed", [0.0, -1.0, 0.001, float("nan"), float("inf")])
@pytest.mark.parametrize("text", ["Good morning.", ""])
def test_no_sentence_is_begun_at_what_is_no_speed(
    speaker: MeloSpeaker, text: str, speed: float
) -> None:
    with pytest.raises(ValueError, match=r"a speed is a number of 0\.1 or more"):
        speaker.speak(text, speed=speed)


def test_two_speakers_of_one_network_take_turns(small: Melo, bert: Bert) -> None:
    """One sentence at a time has all processors, whoever says it."""
    meeting = Barrier(2)
    met: list[bool] = []

    class Watched:
        width, longest = bert.width, bert.longest

        def features(self, ids: Sequence[int]) -> Features:
            try:
                meeting.wait(0.3)
                met.append(True)
            except BrokenBarrierError:
                met.append(False)
            return bert.features(ids)

    speakers = [
        MeloSpeaker(small, small_melo.front_end(), Watched(), name)  # type: ignore[arg-type]
        for name in small.speakers
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: one.speak("Hello."), speakers))
    assert met == [False, False]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("embeddings.word_embeddings.weight", r"gives 767 features .* wants 768"),
        ("embeddings.position_embeddings.weight", r"reads 511 word pieces .* wants 512"),
    ],
)
def test_another_bert_is_refused_before_the_first_sentence(
    small: Melo, bert: Bert, part: str, words: str
) -> None:
    cut = bert.weights[part][:-1] if "position" in part else bert.weights[part][:, :-1]
    other = replace(bert, weights={**bert.weights, part: cut})
    with pytest.raises(TwinError, match=rf"{words}.*pull bert-base-uncased"):
        MeloSpeaker(small, small_melo.front_end(), other)


def test_what_is_said_is_in_no_repr(speaker: MeloSpeaker) -> None:
    assert "morning" not in repr(speaker.speak("Good morning."))
    assert len(repr(speaker)) < 2_000


# --- Files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is missing"),
        ("", "cannot be read"),
        ("[1, 2]", "holds no settings"),
        ("{}", "is no config of MeloTTS"),
        ("[" * 100_000, "cannot be read"),
        ('{"num_tones": NaN}', "cannot be read"),
    ],
)
def test_a_config_that_is_none(tmp_path: Path, content: str | None, words: str) -> None:
    checkpoint, config = small_melo.write(tmp_path)
    config.unlink()
    if content is not None:
        config.write_text(content)
    with pytest.raises(TwinError, match=rf"config\.json {words}.*pull melotts-english"):
        Melo.load(checkpoint, config)


def no_speakers(config: dict[str, Any]) -> None:
    config["data"]["spk2id"] = {}


def speaker_without_row(config: dict[str, Any]) -> None:
    config["data"]["spk2id"] = {"EN-US": 4}


def word_for_a_number(config: dict[str, Any]) -> None:
    config["model"]["hidden_channels"] = "many"


def list_for_a_part(config: dict[str, Any]) -> None:
    config["model"] = [1]


def huge(config: dict[str, Any]) -> None:
    config["model"]["hidden_channels"] = 10**30


def names_for_rows(config: dict[str, Any]) -> None:
    config["data"]["spk2id"] = ["EN-US", "EN-BR"]


def letters_for_symbols(config: dict[str, Any]) -> None:
    config["symbols"] = "x" * len(config["symbols"])


@pytest.mark.parametrize(
    "spoil",
    [
        no_speakers,
        speaker_without_row,
        word_for_a_number,
        list_for_a_part,
        huge,
        names_for_rows,
        letters_for_symbols,
    ],
)
def test_a_config_with_nonsense_in_it(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object]
) -> None:
    checkpoint, path = small_melo.write(tmp_path)
    config = small_melo.config()
    spoil(config)
    path.write_text(json.dumps(config))
    with pytest.raises(TwinError, match=r"config\.json is no config of MeloTTS.*pull melotts"):
        Melo.load(checkpoint, path)


NUMBERS = [
    *(("data", name) for name in ("sampling_rate", "filter_length", "hop_length", "n_speakers")),
    *(("model", name) for name in ("inter_channels", "hidden_channels", "filter_channels")),
    *(("model", name) for name in ("n_heads", "n_layers", "n_layers_trans_flow", "kernel_size")),
    ("model", "gin_channels"),
    (None, "num_tones"),
    (None, "num_languages"),
]


@pytest.mark.parametrize(("part", "name"), NUMBERS)
def test_every_number_of_a_config_is_looked_at(part: str | None, name: str) -> None:
    """Before any of it makes a network, or memory is taken."""
    for value in (0, -5, 16.5, "16", True, None, 10**30, [16]):
        config = small_melo.config()
        (config[part] if part else config)[name] = value
        with pytest.raises(ValueError, match=rf"^{name} is no whole number"):
            Sizes.of(config)


@pytest.mark.parametrize("value", [-0.1, 1.0, float("inf"), "0.1", None])
def test_a_share_that_is_none(value: object) -> None:
    config = small_melo.config()
    config["model"]["p_dropout"] = value
    with pytest.raises(ValueError, match="p_dropout is no share"):
        Sizes.of(config)


@pytest.mark.parametrize("row", [0.7, True, "0", -1, 4, None])
def test_a_voice_whose_row_is_none(tmp_path: Path, row: object) -> None:
    checkpoint, path = small_melo.write(tmp_path)
    config = small_melo.config()
    config["data"]["spk2id"]["EN-BR"] = row
    path.write_text(json.dumps(config))
    with pytest.raises(TwinError, match=r"config\.json is no config of MeloTTS.*pull melotts"):
        Melo.load(checkpoint, path)


@pytest.mark.parametrize(("name", "least"), [("num_tones", 11), ("num_languages", 3)])
def test_a_network_that_knows_no_english_is_refused(tmp_path: Path, name: str, least: int) -> None:
    """Though its weights fit its config: the first sentence would ask for a row it lacks."""
    for value in (least, least - 1):
        config = small_melo.config()
        config[name] = value
        checkpoint, path = small_melo.write(tmp_path)
        tensors = torch.load(checkpoint, weights_only=True)["model"]
        emb = "enc_p.tone_emb.weight" if name == "num_tones" else "enc_p.language_emb.weight"
        tensors[emb] = tensors[emb][:value].clone()
        torch.save({"model": tensors}, checkpoint)
        path.write_text(json.dumps(config))
        if value == least:
            Melo.load(checkpoint, path)
    with pytest.raises(TwinError, match=rf"{name} is no whole number of {least} or more"):
        Melo.load(checkpoint, path)


def test_a_checkpoint_of_another_config(tmp_path: Path) -> None:
    checkpoint, path = small_melo.write(tmp_path)
    config = small_melo.config()
    config["model"]["filter_channels"] = 10
    path.write_text(json.dumps(config))
    with pytest.raises(TwinError, match=r"checkpoint\.pth holds another network.*of another shape"):
        Melo.load(checkpoint, path)
    with pytest.raises(TwinError, match=r"nothing\.pth is missing.*pull melotts-english"):
        Melo.load(tmp_path / "nothing.pth", path)
    checkpoint.write_bytes(checkpoint.read_bytes()[:3000])
    with pytest.raises(TwinError, match=r"checkpoint\.pth is damaged.*pull melotts-english"):
        Melo.load(checkpoint, path)
