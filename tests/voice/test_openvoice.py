"""OpenVoice's reference encoder: against the golden embeddings, and with small random weights."""

import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from aitwin.errors import TwinError
from aitwin.voice import openvoice
from aitwin.voice.audio import Samples
from aitwin.voice.openvoice import ReferenceEncoder

TOLERANCE = 2e-5
"""Of an embedding, absolute: ten times what two implementations were seen to differ by."""


def tiny_weights(seed: int = 0, bins: int = 65, size: int = 8) -> dict[str, torch.Tensor]:
    """The encoder's tensors, small and random: frames of 128 samples, two layers."""
    random = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random) * 0.3

    features = 6 * (((bins + 1) // 2 + 1) // 2)
    return {
        "ref_enc.layernorm.weight": 1 + some(bins),
        "ref_enc.layernorm.bias": some(bins),
        "ref_enc.convs.0.weight_v": some(4, 1, 3, 3),
        "ref_enc.convs.0.weight_g": 1 + some(4, 1, 1, 1).abs(),
        "ref_enc.convs.0.bias": some(4),
        "ref_enc.convs.1.weight_v": some(6, 4, 3, 3),
        "ref_enc.convs.1.weight_g": 1 + some(6, 1, 1, 1).abs(),
        "ref_enc.convs.1.bias": some(6),
        "ref_enc.gru.weight_ih_l0": some(15, features),
        "ref_enc.gru.weight_hh_l0": some(15, 5),
        "ref_enc.gru.bias_ih_l0": some(15),
        "ref_enc.gru.bias_hh_l0": some(15),
        "ref_enc.proj.weight": some(size, 5),
        "ref_enc.proj.bias": some(size),
    }


@pytest.fixture
def tiny(tmp_path: Path) -> ReferenceEncoder:
    save_file(tiny_weights(), tmp_path / "tiny.safetensors")
    return ReferenceEncoder.load(tmp_path / "tiny.safetensors")


def noise(samples: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def read(path: Path) -> Samples:
    samples: Samples = soundfile.read(path, dtype="float32")[0]
    return samples


# --- Against upstream ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def official(shared: Path) -> ReferenceEncoder:
    return ReferenceEncoder.load(
        shared / "golden" / "ref_encoder" / "ref_enc_openvoice_v2.safetensors"
    )


@pytest.mark.parametrize("clip", ["spk1688_a", "spk1688_b", "spk3331_a", "spk3331_b"])
def test_real_clips_have_the_golden_embeddings(
    official: ReferenceEncoder, shared: Path, clip: str
) -> None:
    place = shared / "golden" / "ref_encoder"
    wanted = np.load(place / f"{clip}.npy")
    found = official.embed(read(place / f"{clip}.wav"))
    assert found.dtype == np.float32
    assert found.shape == wanted.shape == (256,)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


def test_the_same_speaker_is_nearer_than_any_other(
    official: ReferenceEncoder, shared: Path
) -> None:
    place = shared / "golden" / "ref_encoder"
    pairs = json.loads((place / "cosines.json").read_text())
    embeddings = {path.stem: official.embed(read(path)) for path in place.glob("*.wav")}
    unit = {name: value / np.linalg.norm(value) for name, value in embeddings.items()}
    found = {pair: float(unit[pair[:9]] @ unit[pair[10:]]) for pair in pairs}
    assert found == pytest.approx(pairs, abs=1e-5)
    same = [value for pair, value in found.items() if pair[:7] == pair[10:17]]
    different = [value for pair, value in found.items() if pair[:7] != pair[10:17]]
    assert len(same) == 2
    assert min(same) > max(different)


def test_the_converters_checkpoint_serves_as_well(shared: Path) -> None:
    """Of its 486 tensors only the encoder's are used; the sizes are the file's own."""
    place = shared / "golden" / "openvoice"
    encoder = ReferenceEncoder.load(place / "checkpoint.pth")
    assert encoder.size == 32
    for name, clip in {"se_src_a": "src_a", "se_ref_b": "ref_b"}.items():
        wanted = np.load(place / f"{name}.npy").ravel()
        found = encoder.embed(read(place / f"{clip}.wav"))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("clip", ["src_a", "ref_b", "ref_b2"])
def test_spectrograms_are_upstreams(official: ReferenceEncoder, shared: Path, clip: str) -> None:
    place = shared / "golden" / "openvoice"
    wanted = np.load(place / f"spec_{clip}_first6000.npy")
    found = official.spectrogram(read(place / f"{clip}.wav")[:6000])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_the_base_speakers_of_melo(shared: Path) -> None:
    found = openvoice.speakers(shared / "golden" / "ref_encoder" / "base_speaker_ses")
    assert len(found) == 11
    assert {"en-us", "en-br", "en-india", "en-au", "en-default"} <= set(found)
    assert all(value.shape == (256,) and value.dtype == np.float32 for value in found.values())
    lengths = [float(np.linalg.norm(value)) for value in found.values()]
    assert 9.9 < min(lengths) < max(lengths) < 12.4


# --- With small weights of our own ----------------------------------------------------------------


def by_torchs_modules(weights: dict[str, torch.Tensor], samples: Samples) -> Samples:
    """The same network out of torch's own parts, the whole sound at once."""
    named = {name.removeprefix("ref_enc."): value for name, value in weights.items()}
    bins = len(named["layernorm.weight"])
    window = 2 * (bins - 1)
    padded = torch.from_numpy(np.pad(samples, (window - window // 4) // 2, mode="reflect"))
    spectrum = torch.stft(
        padded,
        window,
        window // 4,
        window=torch.hann_window(window),
        center=False,
        return_complex=True,
    )
    heard = torch.sqrt(spectrum.abs() ** 2 + 1e-6).T[None, None]
    heard = torch.nn.functional.layer_norm(
        heard, (bins,), named["layernorm.weight"], named["layernorm.bias"]
    )
    for layer in range(2):
        direction = named[f"convs.{layer}.weight_v"]
        convolution = torch.nn.utils.parametrizations.weight_norm(
            torch.nn.Conv2d(direction.shape[1], direction.shape[0], 3, stride=2, padding=1)
        )
        convolution.load_state_dict(
            {
                "bias": named[f"convs.{layer}.bias"],
                "parametrizations.weight.original0": named[f"convs.{layer}.weight_g"],
                "parametrizations.weight.original1": direction,
            }
        )
        heard = torch.relu(convolution(heard))
    recurrent = torch.nn.GRU(named["gru.weight_ih_l0"].shape[1], 5, batch_first=True)
    recurrent.load_state_dict({k[4:]: v for k, v in named.items() if k.startswith("gru.")})
    last = recurrent(heard.transpose(1, 2).flatten(2))[1][0, 0]
    answer = last @ named["proj.weight"].T + named["proj.bias"]
    return np.asarray(answer.detach().numpy())


@pytest.mark.parametrize("samples", [128, 129, 159, 160, 3000, 40_000])
def test_torchs_own_modules_say_the_same(tiny: ReferenceEncoder, samples: int) -> None:
    sound = noise(samples)
    np.testing.assert_allclose(
        tiny.embed(sound), by_torchs_modules(tiny_weights(), sound), rtol=0, atol=TOLERANCE
    )


@pytest.mark.parametrize("chunk", [1, 4, 12, 1000])
def test_a_long_sound_in_chunks_is_heard_as_a_whole(
    tiny: ReferenceEncoder, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Hours pass in bounded memory, and the answer does not depend on where they were cut."""
    monkeypatch.setattr(openvoice, "CHUNK", chunk)
    for samples in (1000, 1024, 1037):
        np.testing.assert_allclose(
            tiny.embed(noise(samples)),
            by_torchs_modules(tiny_weights(), noise(samples)),
            rtol=0,
            atol=TOLERANCE,
        )


def test_threads_do_not_disturb_each_other(tiny: ReferenceEncoder) -> None:
    sounds = [noise(3000, seed) for seed in range(8)]
    alone = [tiny.embed(sound) for sound in sounds]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(tiny.embed, sounds))
    np.testing.assert_array_equal(alone, together)


def test_silence_and_full_scale_give_numbers(tiny: ReferenceEncoder) -> None:
    for sound in (np.zeros(3000, np.float32), np.ones(3000, np.float32), noise(3000) * 1e-30):
        assert np.isfinite(tiny.embed(sound.astype(np.float32))).all()


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(0, np.float32),
        np.zeros(127, np.float32),
        np.zeros((2, 200), np.float32),
        np.full(200, np.nan, np.float32),
        np.array([*[0.0] * 200, np.inf], np.float32),
    ],
)
def test_what_is_no_sound_is_refused(tiny: ReferenceEncoder, bad: Samples) -> None:
    with pytest.raises(ValueError, match=r"at least 128 samples|NaN"):
        tiny.embed(bad)


def test_the_digest_is_of_the_weights_not_of_the_file(tmp_path: Path) -> None:
    """The cache of embeddings is named by it."""
    weights = tiny_weights()
    save_file(weights, tmp_path / "a.safetensors")
    torch.save({"model": {**weights, "dec.weight": torch.ones(3)}}, tmp_path / "a.pth")
    other = {**weights, "ref_enc.proj.bias": weights["ref_enc.proj.bias"] + 1}
    save_file(other, tmp_path / "b.safetensors")
    one, same, changed = (
        ReferenceEncoder.load(tmp_path / name)
        for name in ("a.safetensors", "a.pth", "b.safetensors")
    )
    assert one.digest == same.digest != changed.digest
    assert "tensor" not in repr(one)
    np.testing.assert_array_equal(one.embed(noise(3000)), same.embed(noise(3000)))


def test_the_older_format_of_torch_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({"model": tiny_weights()}, path, _use_new_zipfile_serialization=False)
    assert ReferenceEncoder.load(path).size == 8


def damaged(path: Path) -> None:
    torch.save({"model": tiny_weights()}, path)
    path.write_bytes(path.read_bytes()[:2000])


def flipped(path: Path) -> None:
    torch.save({"model": tiny_weights()}, path)
    content = bytearray(path.read_bytes())
    content[:400] = bytes(400)
    path.write_bytes(content)


def runs_code(path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return (Path.touch, (Path(f"{path}.ran"),))  # type: ignore[return-value]

    torch.save({"model": tiny_weights(), "trap": Trap()}, path)


def old_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"model": Path("x")}, protocol=2))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: None, "is missing"),
        (lambda path: path.touch(), "is damaged, or no checkpoint"),
        (lambda path: path.write_bytes(b"not a checkpoint at all"), "is damaged, or no checkpoint"),
        (damaged, "is damaged, or no checkpoint"),
        (flipped, "is damaged, or no checkpoint"),
        (runs_code, "wants to run code and was refused"),
        (old_pickle, "is damaged, or no checkpoint|wants to run code"),
        (lambda path: torch.save([1, 2], path), "is no checkpoint: it holds no tensors"),
        (
            lambda path: torch.save({"model": {"a": 1}}, path),
            "is no checkpoint: it holds no tensors",
        ),
        (
            lambda path: torch.save({"model": {"dec.w": torch.ones(2)}}, path),
            "holds no reference encoder",
        ),
    ],
)
def test_a_file_that_is_no_encoder_is_named_and_not_run(
    tmp_path: Path, write: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / "checkpoint.pth"
    write(path)
    with pytest.raises(TwinError, match=rf"checkpoint\.pth.*({words}).*models pull openvoice-v2"):
        ReferenceEncoder.load(path)
    assert not Path(f"{path}.ran").exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100])
def test_a_damaged_safetensors_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(TwinError, match=r"weights\.safetensors is damaged.*openvoice-v2"):
        ReferenceEncoder.load(path)


@pytest.mark.parametrize("name", sorted(tiny_weights()))
def test_no_part_of_the_encoder_may_be_missing_spoilt_or_of_another_size(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "weights.safetensors"
    weights = tiny_weights()
    missing = {key: value for key, value in weights.items() if key != name}
    cut = {**weights, name: weights[name][:-1].clone()}
    spoilt_value = {**weights, name: torch.full_like(weights[name], float("nan"))}
    for spoilt in (missing, cut, spoilt_value):
        save_file(spoilt, path)
        with pytest.raises(TwinError, match="holds no reference encoder of OpenVoice V2"):
            ReferenceEncoder.load(path)


def test_base_speakers_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match=r"holds no base speakers; run `twin models pull"):
        openvoice.speakers(tmp_path)
    torch.save(torch.full((1, 8, 1), float("nan")), tmp_path / "en-us.pth")
    with pytest.raises(TwinError, match=r"en-us\.pth holds no embedding"):
        openvoice.speakers(tmp_path)
    torch.save(torch.ones(1, 8, 1), tmp_path / "en-us.pth")
    assert openvoice.speakers(tmp_path)["en-us"].shape == (8,)


@pytest.mark.parametrize(
    "odd",
    [
        lambda: torch.ones(1, 3, 1),
        lambda: torch.ones(0),
        lambda: torch.ones(1, 8, 1, dtype=torch.int64),
        lambda: torch.ones(1, 8, 1, device="meta"),
        lambda: torch.ones(1, 8, 1).to_sparse(),
        lambda: [1.0] * 8,
    ],
)
def test_what_is_no_embedding_is_no_base_speaker(tmp_path: Path, odd: Callable[[], object]) -> None:
    torch.save(odd(), tmp_path / "en-us.pth")
    with pytest.raises(TwinError, match=r"en-us\.pth holds no embedding of a speaker.*pull"):
        openvoice.speakers(tmp_path, 8)
    torch.save(torch.ones(1, 8, 1), tmp_path / "en-br.pth")
    with pytest.raises(TwinError, match=r"en-us\.pth holds no embedding"):
        openvoice.speakers(tmp_path)
    with pytest.raises(TwinError, match=r"en-br\.pth holds no embedding"):
        openvoice.speakers(tmp_path, 256)


@pytest.mark.parametrize(
    "kind",
    [
        lambda: torch.full((1, 8, 1), 1.5).bfloat16(),
        lambda: torch.full((1, 8, 1), 1.5).double(),
        lambda: torch.full((1, 8, 1), 1.5).requires_grad_(),
    ],
)
def test_an_embedding_of_another_precision_is_one(
    tmp_path: Path, kind: Callable[[], torch.Tensor]
) -> None:
    torch.save(kind(), tmp_path / "en-us.pth")
    found = openvoice.speakers(tmp_path, 8)["en-us"]
    assert found.dtype == np.float32
    assert found.tolist() == [1.5] * 8


def test_an_encoder_of_whole_numbers_is_none(tmp_path: Path) -> None:
    weights = {name: (100 * value + 1).long() for name, value in tiny_weights().items()}
    torch.save({"model": weights}, tmp_path / "x.pth")
    with pytest.raises(TwinError, match=r"x\.pth holds no reference encoder"):
        ReferenceEncoder.load(tmp_path / "x.pth")
