"""The tone colour converter: against upstream's golden sounds, and an oracle at full size.

The oracle is VITS as transformers has it (Apache-2.0; another team's code), with random weights.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from aitwin.errors import TwinError
from aitwin.voice import converter
from aitwin.voice.audio import Samples
from aitwin.voice.converter import Converter
from aitwin.voice.openvoice import ReferenceEncoder
from aitwin.voice.placing import BACKENDS, Placing

TOLERANCE = 2e-5
"""Of a sample, absolute: ten times what two implementations were seen to differ by."""

CONFIG: dict[str, Any] = {
    "_version_": "v2",
    "data": {
        "sampling_rate": 22050,
        "filter_length": 1024,
        "hop_length": 256,
        "win_length": 1024,
        "n_speakers": 0,
    },
    "model": {
        "zero_g": True,
        "inter_channels": 192,
        "hidden_channels": 192,
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "upsample_rates": [8, 8, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "gin_channels": 256,
    },
}
"""The numbers of the official V2 config that matter."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """The tests of other rooms run beside these."""
    torch.set_num_threads(1)


def small(**model: object) -> dict[str, Any]:
    sizes = {"inter_channels": 6, "hidden_channels": 8, "gin_channels": 5}
    decoder = {"upsample_initial_channel": 32}
    return CONFIG | {"model": CONFIG["model"] | sizes | decoder | model}


class Host:
    """The converter out of transformers' VITS."""

    def __init__(self, config: dict[str, Any], seed: int = 0) -> None:
        from transformers import VitsConfig
        from transformers.models.vits import modeling_vits

        model, data = config["model"], config["data"]
        told = VitsConfig(
            hidden_size=model["hidden_channels"],
            flow_size=model["inter_channels"],
            spectrogram_bins=data["filter_length"] // 2 + 1,
            speaker_embedding_size=model["gin_channels"],
            upsample_initial_channel=model["upsample_initial_channel"],
            upsample_rates=model["upsample_rates"],
            upsample_kernel_sizes=model["upsample_kernel_sizes"],
            resblock_kernel_sizes=model["resblock_kernel_sizes"],
            resblock_dilation_sizes=model["resblock_dilation_sizes"],
            wavenet_dilation_rate=1,
        )
        torch.manual_seed(seed)
        self.blind = model["zero_g"]
        self.enc_q = modeling_vits.VitsPosteriorEncoder(told)
        self.flow = modeling_vits.VitsResidualCouplingBlock(told)
        self.dec = modeling_vits.VitsHifiGan(told)
        self.dec.apply_weight_norm()
        for part in (self.enc_q, self.flow, self.dec):
            for name, value in part.eval().named_parameters():
                if name.endswith("original0"):  # no longer the norm of v, and loud enough
                    value.data.mul_(GAIN + torch.rand(value.shape))

    def published(self) -> dict[str, torch.Tensor]:
        """Its tensors under the official names."""
        names = {
            ".parametrizations.weight.original0": ".weight_g",
            ".parametrizations.weight.original1": ".weight_v",
            ".upsampler.": ".ups.",
            ".wavenet.": ".enc.",
            ".conv_proj.": ".proj.",
        }
        found = {}
        for part in ("enc_q", "flow", "dec"):
            for name, tensor in getattr(self, part).state_dict().items():
                official = f"{part}.{name}"
                for ours, theirs in names.items():
                    official = official.replace(ours, theirs)
                if part != "dec":
                    official = official.replace(".conv_", ".")
                if part == "flow":  # a flip after each layer is counted
                    head, number, rest = official.split(".", 3)[1:]
                    official = f"flow.{head}.{2 * int(number)}.{rest}"
                found[official] = tensor.clone()
        return found

    def convert(self, samples: Samples, source: Samples, target: Samples, tau: float) -> Samples:
        """With the noise of torch.manual_seed(7)."""
        heard, wanted = (torch.from_numpy(e)[None, :, None] for e in (source, target))
        padded = torch.from_numpy(np.pad(samples, 384, mode="reflect"))
        spectrum = torch.stft(
            padded, 1024, 256, window=torch.hann_window(1024), center=False, return_complex=True
        )
        spectrogram = (spectrum.abs() ** 2 + 1e-6).sqrt()[None]
        mask = torch.ones(1, 1, spectrogram.shape[-1])
        blind = self.blind
        with torch.inference_mode():
            _, mean, spread = self.enc_q(spectrogram, mask, heard * (not blind))
            noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(7))
            z = mean + noise * tau * spread.exp()
            z = self.flow(self.flow(z, mask, heard), mask, wanted, reverse=True)
            return np.asarray(self.dec(z, wanted * (not blind))[0, 0].numpy())


def write(
    folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]
) -> tuple[Path, Path]:
    torch.save({"model": tensors}, folder / "checkpoint.pth")
    (folder / "config.json").write_text(json.dumps(config))
    return folder / "checkpoint.pth", folder / "config.json"


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("converter")
    return write(folder, small(), Host(small()).published())


def noise(samples: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def embedding(size: int, seed: int) -> Samples:
    return np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)


GAIN = 1.5
"""Of the oracle's layers: with less its sound fades, and any would match it."""
ONE, OTHER = embedding(5, 1), embedding(5, 2)


# --- Against upstream ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden" / "openvoice"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("sound", "source", "target", "tau"),
    [
        ("out_tau0_extracted_se", "se_src_a", "se_ref_b_mean_of_2", 0.0),
        ("out_tau0_random_se", "se_rand_src", "se_rand_tgt", 0.0),
        ("out_tau03_seed1234_random_se", "se_rand_src", "se_rand_tgt", 0.3),
    ],
)
def test_upstreams_sounds(
    golden: Path, backend: str, sound: str, source: str, target: str, tau: float
) -> None:
    ready = Converter.load(
        golden / "checkpoint.pth", golden / "config.json", Placing(backend=backend)
    )
    samples = soundfile.read(golden / "src_a.wav", dtype="float32")[0]
    one, other = (np.load(golden / f"{name}.npy").ravel() for name in (source, target))
    found = ready.convert(samples, one, other, tau=tau, seed=1234)
    wanted = np.load(golden / f"{sound}.npy")
    assert found.dtype == np.float32
    assert found.shape == wanted.shape == (len(samples) // 256 * 256,)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


def test_one_file_holds_the_encoder_and_the_converter(golden: Path) -> None:
    """S1: from two recordings to a third in the other's tone colour, by our code alone."""
    place = golden / "checkpoint.pth"
    encoder, ready = ReferenceEncoder.load(place), Converter.load(place, golden / "config.json")
    clips = [soundfile.read(golden / f"{n}.wav", dtype="float32")[0] for n in ("src_a", "ref_b")]
    source, target = (encoder.embed(clip) for clip in clips)
    assert ready.rate == 22_050
    found = ready.convert(clips[0], source, target, tau=0)
    assert float(np.abs(found - ready.convert(clips[0], source, source, tau=0)).max()) > 1e-3


# --- Against transformers -----------------------------------------------------------------------


@pytest.mark.parametrize("tau", [0.0, 0.3])
@pytest.mark.parametrize("config", [small(), small(zero_g=False)], ids=["v2", "v1"])
def test_another_teams_vits_says_the_same(
    tmp_path: Path, config: dict[str, Any], tau: float
) -> None:
    host = Host(config)
    ready = Converter.load(*write(tmp_path, config, host.published()))
    wanted = host.convert(noise(9000), ONE, OTHER, tau)
    found = ready.convert(noise(9000), ONE, OTHER, tau=tau, seed=7)
    assert 0.01 < float(np.abs(wanted).max()) < 0.99
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


def test_another_teams_vits_says_the_same_at_full_size(tmp_path: Path) -> None:
    host = Host(CONFIG)
    one, other = embedding(256, 1), embedding(256, 2)
    files = write(tmp_path, CONFIG, host.published())
    wanted = host.convert(noise(8000), one, other, 0.3)
    del host
    found = Converter.load(*files).convert(noise(8000), one, other, tau=0.3, seed=7)
    assert 0.01 < float(np.abs(wanted).max()) < 0.99
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


# --- With small weights -------------------------------------------------------------------------


def test_a_long_sound_in_spans_is_the_whole(
    little: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2: no limit to a text; where it was cut is heard nowhere."""
    ready = Converter.load(*little)
    whole = ready.convert(noise(60_000), ONE, OTHER, seed=3)
    for span in (40, 111):
        monkeypatch.setattr(converter, "SPAN", span)
        found = ready.convert(noise(60_000), ONE, OTHER, seed=3)
        np.testing.assert_allclose(found, whole, rtol=0, atol=TOLERANCE)


def test_a_seed_gives_the_same_sound_and_another_another(little: tuple[Path, Path]) -> None:
    ready = Converter.load(*little)
    first, again, other = (ready.convert(noise(3000), ONE, OTHER, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert float(np.abs(first - other).max()) > 1e-4
    torch.manual_seed(5)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    ready.convert(noise(3000), ONE, OTHER, seed=1)
    assert torch.equal(torch.rand(1), drawn)  # nobody else's chance is spent


def test_safetensors_serve_as_well(little: tuple[Path, Path], tmp_path: Path) -> None:
    model = torch.load(little[0], weights_only=True)["model"]
    save_file(model, tmp_path / "weights.safetensors")
    one, other = (
        Converter.load(f, little[1]) for f in (little[0], tmp_path / "weights.safetensors")
    )
    np.testing.assert_array_equal(*(each.convert(noise(2000), ONE, OTHER) for each in (one, other)))


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros(0, np.float32),
        np.zeros(384, np.float32),
        np.zeros((2, 2000), np.float32),
        np.full(2000, np.nan, np.float32),
    ],
)
def test_what_is_no_sound_is_refused(little: tuple[Path, Path], bad: Samples) -> None:
    with pytest.raises(ValueError, match=r"at least 385 samples|NaN"):
        Converter.load(*little).convert(bad, ONE, OTHER)


def test_the_shortest_sound(little: tuple[Path, Path]) -> None:
    ready = Converter.load(*little)
    assert ready.convert(noise(ready.least), ONE, OTHER).shape == (256,)


@pytest.mark.parametrize(
    ("window", "rates", "kernels", "least"),
    [
        (1024, [8, 8, 4, 2], [16, 16, 8, 4], 512),
        (512, [8, 8, 4, 2], [16, 16, 8, 4], 512),
        (256, [8, 8, 2, 2], [16, 16, 4, 4], 256),
        (2048, [8, 8, 2, 2], [16, 16, 4, 4], 897),
    ],
)
def test_the_shortest_sound_of_other_sizes(
    tmp_path: Path, window: int, rates: list[int], kernels: list[int], least: int
) -> None:
    config = small(upsample_rates=rates, upsample_kernel_sizes=kernels)
    hop = int(np.prod(rates))
    config["data"] = config["data"] | {"filter_length": window, "win_length": window}
    config["data"]["hop_length"] = hop
    ready = Converter.load(*write(tmp_path, config, Host(config).published()))
    assert ready.least == least
    assert ready.convert(noise(least), ONE, OTHER).shape == (least // hop * hop,)
    with pytest.raises(ValueError, match=f"at least {least} samples"):
        ready.convert(noise(least - 1), ONE, OTHER)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_are_no_numbers_is_refused(little: tuple[Path, Path], bad: float) -> None:
    """It would be written as noise, or as silence."""
    ready, spoilt = Converter.load(*little), ONE.copy()
    spoilt[3] = bad
    for pair in ((spoilt, OTHER), (ONE, spoilt)):
        with pytest.raises(ValueError, match="embedding holds a NaN"):
            ready.convert(noise(2000), *pair)
    for tau in (bad, -0.1):
        with pytest.raises(ValueError, match="tau is a number"):
            ready.convert(noise(2000), ONE, OTHER, tau=tau)


def test_an_embedding_of_another_encoder_is_refused(little: tuple[Path, Path]) -> None:
    ready = Converter.load(*little)
    for pair in ((embedding(6, 1), OTHER), (ONE, embedding(4, 1)), (ONE[None], OTHER)):
        with pytest.raises(ValueError, match="5 numbers"):
            ready.convert(noise(2000), *pair)


def spoilt(*keys: str, value: object = None) -> Callable[[dict[str, Any]], str]:
    def text(config: dict[str, Any]) -> str:
        inner = config
        for key in keys[:-1]:
            inner = inner[key]
        if value is None:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = value
        return json.dumps(config)

    return text


def frames(window: int) -> Callable[[dict[str, Any]], str]:
    """A config with another window, whatever the hop."""

    def text(config: dict[str, Any]) -> str:
        config["data"] |= {"filter_length": window, "win_length": window}
        return json.dumps(config)

    return text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lambda config: "", "cannot be read"),
        (lambda config: "[" * 100_000, "cannot be read"),
        (lambda config: "[]", "holds no settings"),
        (lambda config: "{}", "is not the config"),
        (lambda config: '{"data": 1, "model": []}', "is not the config"),
        (spoilt("data", "hop_length"), "is not the config"),
        (spoilt("data", "hop_length", value=512), "is not the config"),
        (spoilt("data", "win_length", value=512), "is not the config"),
        (spoilt("model", "upsample_rates", value=[8]), "is not the config"),
        (spoilt("model", "resblock", value="2"), "is not the config"),
        (spoilt("model", "hidden_channels", value=-1), "is not the config"),
        (spoilt("model", "inter_channels", value=7), "is not the config"),
        (spoilt("model", "gin_channels", value="many"), "is not the config"),
        (spoilt("model", "gin_channels", value=10**30), "is not the config"),
        (spoilt("model", "zero_g", value="false"), "is not the config"),
        (spoilt("model", "upsample_rates", value=[-16, -16]), "is not the config"),
        (spoilt("model", "upsample_rates", value=[8, 8, 2, 2.5]), "is not the config"),
        (spoilt("model", "resblock_dilation_sizes", value=[[1, 3, 0]] * 3), "is not the config"),
        (spoilt("model", "resblock_dilation_sizes", value=[[1, 3, -5]] * 3), "is not the config"),
        (spoilt("model", "resblock_dilation_sizes", value=[[]] * 3), "is not the config"),
        (spoilt("data", "sampling_rate", value=0), "is not the config"),
        (spoilt("data", "sampling_rate", value=22050.7), "is not the config"),
        (frames(window=128), "is not the config"),
        (frames(window=257), "is not the config"),
    ],
)
def test_a_config_of_something_else_is_named(
    little: tuple[Path, Path], tmp_path: Path, text: Callable[[dict[str, Any]], str], words: str
) -> None:
    config = tmp_path / "config.json"
    with pytest.raises(TwinError, match=r"config\.json is missing.*pull openvoice-v2"):
        Converter.load(little[0], config)
    config.write_text(text(json.loads(little[1].read_text())))
    with pytest.raises(TwinError, match=rf"config\.json {words}.*models pull openvoice-v2"):
        Converter.load(little[0], config)


@pytest.fixture
def tensors(little: tuple[Path, Path]) -> Any:
    return torch.load(little[0], weights_only=True)["model"]


def test_weights_that_do_not_fit_the_config_are_named(
    little: tuple[Path, Path], tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    for change, words in (
        ({"hidden_channels": 10}, r"\d+ of another shape"),
        ({"upsample_initial_channel": 64}, r"\d+ of another shape"),
        ({"resblock_kernel_sizes": [3, 7], "resblock_dilation_sizes": [[1, 3, 5]] * 2}, "foreign"),
    ):
        with pytest.raises(TwinError, match=rf"checkpoint\.pth holds another network.*{words}"):
            Converter.load(*write(tmp_path, small(**change), tensors))
    del tensors["flow.flows.4.post.bias"], tensors["dec.ups.0.weight_g"]
    with pytest.raises(TwinError, match=r"2 missing \(dec\.ups\.0\.weight\).*1 foreign"):
        Converter.load(*write(tmp_path, small(), tensors))


def test_tuned_is_placed_by_a_note(
    little: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converter, "TRIAL", 0.1)
    note = tmp_path / "placing.json"
    ready = Converter.tuned(*little, note)
    content = json.loads(note.read_text())
    assert Placing(**content["work"]["openvoice-v2"]) == ready.placing
    content["work"]["openvoice-v2"] = {"device": "cpu", "threads": 1, "backend": "plain"}
    note.write_text(json.dumps(content))
    assert Converter.tuned(*little, note).placing == Placing(backend="plain")


def test_its_repr_is_short(little: tuple[Path, Path]) -> None:
    assert len(repr(Converter.load(*little))) < 300
