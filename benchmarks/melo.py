"""How fast and in how much memory MeloTTS speaks, against upstream's own code in the same run.

    python benchmarks/melo.py [--seconds 6] [--threads 1 2] [--rounds 3] [--upstream DIRECTORY]

Both get the same random weights of the official sizes (weights do not change the work) and the
same input: as many phones and BERT tokens as 100 characters have, and durations that make so many
`--seconds` of sound. Upstream is what `melo/` of the PyPI package melotts-krqnf 0.1.2 holds (MIT,
the code of MeloTTS itself), with BERT by transformers, as it runs: weight norm left in, all twelve
layers. DIRECTORY is the unpacked wheel; without it, ours alone is measured:

    pip download --no-deps melotts-krqnf==0.1.2 && unzip melotts_krqnf-*.whl -d DIRECTORY

Every row is a process of its own, so that its peak memory is its own. The processor's seconds are
those of the best round; on a shared machine the ratios are what counts.
"""

import argparse
import contextlib
import json
import math
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

PHONES, TOKENS = 85, 24  # what 100 characters of English have, with rests and word parts
CONFIG: dict[str, Any] = {
    "data": {
        "sampling_rate": 44_100,
        "filter_length": 2_048,
        "hop_length": 512,
        "n_speakers": 256,
        "spk2id": {"EN-US": 0},
    },
    "model": {
        "use_spk_conditioned_encoder": True,
        "use_noise_scaled_mas": True,
        "use_mel_posterior_encoder": False,
        "use_duration_discriminator": True,
        "inter_channels": 192,
        "hidden_channels": 192,
        "filter_channels": 768,
        "n_heads": 2,
        "n_layers": 6,
        "n_layers_trans_flow": 3,
        "kernel_size": 3,
        "p_dropout": 0.1,
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
        "upsample_rates": [8, 8, 2, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 8, 2, 2],
        "n_layers_q": 3,
        "use_spectral_norm": False,
        "gin_channels": 256,
    },
    "symbols": [f"s{number}" for number in range(219)],
    "num_tones": 16,
    "num_languages": 10,
}
"""The official sizes of MeloTTS-English."""


@dataclass(frozen=True)
class Row:
    """One way to say the same."""

    name: str
    threads: int
    seconds: float
    """From ids of phones and tokens to samples: what 100 characters wait for."""
    processor_seconds: float
    of_sound: float
    load_seconds: float
    peak_mib: float
    """With Python, torch and the weights."""


def write(folder: Path, seconds: float) -> None:
    """Checkpoint, config, BERT and its vocabulary."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    from aitwin.voice.synthesizer import Sizes, Synthesizer

    torch.manual_seed(0)
    network = Synthesizer(Sizes.of(CONFIG), trainable=True)
    steps = 2 * (PHONES + 2) + 1
    rate, hop = CONFIG["data"]["sampling_rate"], CONFIG["data"]["hop_length"]
    with torch.no_grad():
        network.dp.proj.weight.zero_()
        # Just under a whole number of frames for each step.
        network.dp.proj.bias.fill_(math.log(math.ceil(seconds * rate / hop / steps) - 0.01))
        for layer in network.flow.flows[::2]:  # or the flow would be the identity
            layer.post.weight.normal_(0, 0.01)
    tensors = {}
    for name, tensor in network.state_dict().items():
        stem, _, part = name.rpartition(".")
        # The published file has weight norm where upstream's code puts it.
        if (
            part == "weight"
            and any(
                layer in name
                for layer in (".ups.", ".resblocks.", ".in_layers.", ".res_skip_layers.")
            )
        ) or name == "enc_q.enc.cond_layer.weight":
            norm = tensor.flatten(1).norm(dim=1).view(-1, *[1] * (tensor.ndim - 1))
            tensors[f"{stem}.weight_v"], tensors[f"{stem}.weight_g"] = tensor, norm
        else:
            tensors[name] = tensor
    torch.save({"model": tensors}, folder / "checkpoint.pth")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    bert = BertModel(BertConfig())
    weights = {f"bert.{name}": t.contiguous() for name, t in bert.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    words = "".join(f"word{number}\n" for number in range(bert.config.vocab_size))
    (folder / "vocab.txt").write_text(words)


def ids() -> dict[str, list[int]]:
    """What both say."""
    chance = np.random.default_rng(0)
    steps = 2 * (PHONES + 2) + 1
    blank = np.zeros(steps, int)
    phones, tones, languages = blank.copy(), blank.copy(), blank.copy()
    phones[1::2] = chance.integers(1, 219, PHONES + 2)
    tones[1::2] = chance.integers(7, 11, PHONES + 2)
    languages[1::2] = 2
    share, rest = divmod(PHONES + 2, TOKENS)
    counts = [share + (place < rest) for place in range(TOKENS)]
    return {
        "phones": phones.tolist(),
        "tones": tones.tolist(),
        "languages": languages.tolist(),
        "tokens": chance.integers(1_000, 30_000, TOKENS).tolist(),
        "word2ph": counts,
    }


def ours(folder: Path, threads: int) -> Callable[[], np.ndarray]:
    """Loaded, and warm after one call."""
    from aitwin.voice.bert import Bert
    from aitwin.voice.melo import Manner, Melo
    from aitwin.voice.melo_text import Units
    from aitwin.voice.placing import Placing

    placing = Placing(threads=threads)
    melo = Melo.load(folder / "checkpoint.pth", folder / "config.json", placing)
    bert = Bert.load(folder / "model.safetensors", folder / "vocab.txt")
    given = ids()
    units = Units(
        text="",
        bert_tokens=(),
        token_ids=tuple(given["tokens"]),
        phones=(),
        tones=(),
        word2ph=tuple(given["word2ph"]),
        phone_ids=tuple(given["phones"]),
        tone_ids=tuple(given["tones"]),
        language_ids=tuple(given["languages"]),
    )
    # Durations that are not drawn, so that every run is as long; the noise is drawn as upstream's.
    even = Manner(sdp_ratio=0.0)

    def say() -> np.ndarray:
        with placing.engaged():
            features = bert.features(units.token_ids)
        return melo.synthesise(units, features, "EN-US", manner=even)

    return say


def upstream(folder: Path, threads: int, code: Path) -> Callable[[], np.ndarray]:
    """MeloTTS's own network and transformers' BERT, called as its api.py and its utils.py do."""
    import torch
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    torch.set_num_threads(threads)
    sys.path.insert(0, str(code))
    # For training only, and compiled by numba.
    sys.modules["melo.monotonic_align"] = types.ModuleType("melo.monotonic_align")
    from melo.models import SynthesizerTrn

    data, model = CONFIG["data"], CONFIG["model"]
    network = SynthesizerTrn(
        len(CONFIG["symbols"]),
        data["filter_length"] // 2 + 1,
        16_384 // data["hop_length"],
        n_speakers=data["n_speakers"],
        num_tones=CONFIG["num_tones"],
        num_languages=CONFIG["num_languages"],
        **model,
    ).eval()
    saved = torch.load(folder / "checkpoint.pth", map_location="cpu", weights_only=True)
    network.load_state_dict(saved["model"], strict=True)
    bert = BertModel(BertConfig()).eval()
    weights = load_file(folder / "model.safetensors")
    bert.load_state_dict({name.removeprefix("bert."): t for name, t in weights.items()})
    given = ids()
    repeats = [2 * count for count in given["word2ph"]]
    repeats[0] += 1

    def say() -> np.ndarray:
        with torch.no_grad():
            states = bert(torch.tensor([given["tokens"]]), output_hidden_states=True).hidden_states
            features = torch.cat(states[-3:-2], -1)[0]
            spread = torch.cat([features[i].repeat(n, 1) for i, n in enumerate(repeats)], 0).T
            phones = torch.tensor([given["phones"]])
            torch.manual_seed(0)
            sound = network.infer(
                phones,
                torch.tensor([phones.shape[1]]),
                torch.tensor([0]),
                torch.tensor([given["tones"]]),
                torch.tensor([given["languages"]]),
                torch.zeros(1, 1_024, phones.shape[1]),
                spread[None],
                sdp_ratio=0.0,
                noise_scale=0.6,
                noise_scale_w=0.8,
                length_scale=1.0,
            )[0]
            return np.asarray(sound[0, 0].float().numpy())

    return say


def one_row(folder: Path, code: Path | None, threads: int, rounds: int) -> None:
    """Measured here; what was measured is printed."""
    start = time.perf_counter()
    say = upstream(folder, threads, code) if code else ours(folder, threads)
    loaded = time.perf_counter() - start
    sound = say()
    wall, used = [], []
    for _ in range(rounds):
        start, before = time.perf_counter(), time.process_time()
        say()
        wall.append(time.perf_counter() - start)
        used.append(time.process_time() - before)
    np.save(folder / f"{'upstream' if code else 'ours'}.npy", sound)
    print(json.dumps([min(wall), min(used), len(sound) / 44_100, loaded]))


def row(folder: Path, code: Path | None, threads: int, rounds: int) -> Row:
    """One way, in a process of its own, whose memory is looked at every 10 ms."""
    arguments = [str(folder), str(code or ""), str(threads), str(rounds)]
    peak = 0
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, "one-row", *arguments], stdout=subprocess.PIPE
    ) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                peak = max(peak, watched.memory_info().rss)
            time.sleep(0.01)
        assert process.stdout is not None
        wall, used, of_sound, loaded = json.load(process.stdout)
    return Row("upstream" if code else "ours", threads, wall, used, of_sound, loaded, peak / 2**20)


def main() -> None:
    """See the head of this file."""
    if sys.argv[1:2] == ["one-row"]:
        folder, code, threads, rounds = sys.argv[2:]
        return one_row(Path(folder), Path(code) if code else None, int(threads), int(rounds))
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--upstream", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        subprocess.run(
            [sys.executable, __file__, "write", scratch, str(chosen.seconds)], check=True
        )
        rows = [
            row(folder, code, threads, chosen.rounds)
            for threads in chosen.threads
            for code in ([chosen.upstream] if chosen.upstream else []) + [None]
        ]
        if chosen.upstream:
            theirs, mine = (np.load(folder / f"{name}.npy") for name in ("upstream", "ours"))
            assert theirs.shape == mine.shape, (theirs.shape, mine.shape)
            print(f"largest difference of a sample: {np.abs(theirs - mine).max():.1e}")
    print("way       threads  seconds  processor  real-time factor  load s  peak MiB")
    for each in rows:
        print(
            f"{each.name:9} {each.threads:7} {each.seconds:8.2f} {each.processor_seconds:10.2f} "
            f"{each.processor_seconds / each.of_sound:17.2f} {each.load_seconds:7.1f} "
            f"{each.peak_mib:9.0f}"
        )
    print("(real-time factor: processor seconds per second of sound)")
    return None


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]), float(sys.argv[3]))
    else:
        main()
