"""How fast the tone colour converter is, and in how much memory, against upstream's own code.

    python benchmarks/converter.py [--seconds 5] [--rounds 3] [--threads 1] [--upstream DIRECTORY]

Official sizes, random weights: the work does not depend on their values. Upstream's network is
taken from the wheel `openvoice-cli` 0.0.5 (MIT), unpacked into DIRECTORY (`pip download --no-deps
openvoice-cli==0.0.5`, then unzip; default .cache/upstream-openvoice); it runs in this Python, on
this torch, so that only the code differs. It loads our checkpoint, and both are given the same
samples and the same draw: the largest difference of what they say is printed, too. Rows that read
"wave" hold samples to samples; nothing is written or marked.

Every row is a process of its own, so that its peak memory is its own; rows take turns over the
rounds, since a shared machine swings: the ratios of processor time are what counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent.parent
UPSTREAM = HERE / ".cache" / "upstream-openvoice"
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
        "filter_channels": 768,
        "n_heads": 2,
        "n_layers": 6,
        "kernel_size": 3,
        "p_dropout": 0.1,
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "upsample_rates": [8, 8, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "gin_channels": 256,
    },
}
WARM = 1.0  # seconds of sound that are converted before the clock starts


def write_checkpoint(folder: Path) -> None:
    """The official files with random values, as our own modules start, in halves as published."""
    import torch

    from aitwin.voice import vits

    torch.manual_seed(0)
    told = {"condition": 256}
    parts = {
        "enc_q": vits.PosteriorEncoder(513, 192, 192, **told),
        "flow": vits.CouplingFlow.of_wavenets(192, 192, **told),
        "dec": vits.Decoder(192, vits.Upsampling.of(CONFIG["model"]), **told),
    }
    tensors = {}
    normed = ("in_layers", "res_skip_layers", "cond_layer", "dec.ups", "dec.resblocks")
    for part, network in parts.items():
        for name, value in network.state_dict().items():
            full = f"{part}.{name}"
            if name.endswith("weight") and any(word in full for word in normed):
                norm = value.flatten(1).norm(dim=1).view(-1, *[1] * (value.ndim - 1))
                tensors[f"{full}_v"] = value
                tensors[f"{full}_g"] = norm * 1.8
            else:
                tensors[full] = value if "post" not in name else torch.randn_like(value) * 0.05
    torch.save({"model": tensors}, folder / "checkpoint.pth")
    (folder / "config.json").write_text(json.dumps(CONFIG))


def peak_mib() -> float:
    """Most memory that this process has held; of an exec'd process its own, unlike ru_maxrss."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def upstreams(folder: Path, directory: Path) -> Any:
    """Upstream's eager network behind a function of samples."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    sys.path.insert(0, str(directory))
    from openvoice_cli.models import SynthesizerTrn

    model = SynthesizerTrn(0, 513, n_speakers=0, **CONFIG["model"]).eval()
    state = torch.load(folder / "checkpoint.pth", weights_only=True)["model"]
    model.load_state_dict(state, strict=False)
    del state
    window = torch.hann_window(1024)

    def convert(samples: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        heard, wanted = (torch.from_numpy(e)[None, :, None] for e in (source, target))
        padded = torch.from_numpy(np.pad(samples, 384, mode="reflect"))
        with torch.no_grad():
            spectrum = torch.view_as_real(
                torch.stft(padded, 1024, 256, window=window, center=False, return_complex=True)
            )
            spectrogram = torch.sqrt(spectrum.pow(2).sum(-1) + 1e-6)[None]
            lengths = torch.LongTensor([spectrogram.shape[-1]])
            torch.manual_seed(0)
            sound = model.voice_conversion(
                spectrogram, lengths, sid_src=heard, sid_tgt=wanted, tau=0.3
            )[0]
        return np.asarray(sound[0, 0].numpy())

    return convert


def ours(folder: Path, backend: str, threads: int) -> Any:
    from aitwin.voice.converter import Converter
    from aitwin.voice.placing import Placing

    placing = Placing(threads=threads, backend=backend)
    return Converter.load(folder / "checkpoint.pth", folder / "config.json", placing).convert


def measure(options: argparse.Namespace) -> None:
    """One row, in this process: prints JSON."""
    import torch

    torch.set_num_threads(options.threads)
    folder = Path(options.folder)
    chance = np.random.default_rng(0)
    samples = chance.normal(0, 0.1, round(options.seconds * 22050)).astype(np.float32)
    source, target = (chance.normal(0, 0.7, 256).astype(np.float32) for _ in range(2))
    began = time.perf_counter()
    convert = (
        upstreams(folder, options.upstream)
        if options.row == "upstream"
        else ours(folder, options.row, options.threads)
    )
    loading = time.perf_counter() - began
    convert(samples[: round(WARM * 22050)], source, target)
    wall, processor = time.perf_counter(), time.process_time()
    sound = convert(samples, source, target)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    np.save(folder / f"{options.row}.npy", sound)
    seconds = len(sound) / 22050
    row = {"wall": wall / seconds, "processor": processor / seconds}
    print(json.dumps(row | {"peak": peak_mib(), "loading": loading}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--upstream", type=Path, default=UPSTREAM)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        measure(options)
        return
    from aitwin.voice.placing import BACKENDS

    rows = [*(["upstream"] if options.upstream.is_dir() else []), *reversed(BACKENDS)]
    found: dict[str, list[dict[str, float]]] = {row: [] for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder))
        for _ in range(options.rounds):
            for row in rows:
                answer = subprocess.run(
                    [
                        sys.executable,
                        *sys.argv,
                        f"--row={row}",
                        f"--folder={folder}",
                    ],
                    env=os.environ | {"OMP_NUM_THREADS": str(options.threads)},
                    capture_output=True,
                    check=True,
                )
                found[row].append(json.loads(answer.stdout.splitlines()[-1]))
        sounds = {row: np.load(f"{folder}/{row}.npy") for row in rows}
    first = rows[0]

    def middle(row: str, what: str) -> float:
        return float(np.median([take[what] for take in found[row]]))

    print(f"{options.seconds:g} s of sound, {options.threads} thread(s), {options.rounds} rounds")
    print(f"{'':10}  wall RTF  processor RTF  faster  peak MiB  of it  load s  difference")
    for row in rows:
        ratio = np.median(
            [a["processor"] / b["processor"] for a, b in zip(found[first], found[row], strict=True)]
        )
        print(
            f"{row:10}  {middle(row, 'wall'):8.2f}  {middle(row, 'processor'):13.2f}  {ratio:6.2f}"
            f"  {middle(row, 'peak'):8.0f}  {middle(row, 'peak') / middle(first, 'peak'):5.0%}"
            f"  {middle(row, 'loading'):6.1f}"
            f"  {np.abs(sounds[row] - sounds[first]).max():.1e}"
        )


if __name__ == "__main__":
    main()
