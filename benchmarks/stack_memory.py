"""Memory of the twin at work, all of it loaded (R1): a 7B writes, voices of full size speak.

    python benchmarks/stack_memory.py [--layers 28]

One process loads, one after the other, what the API holds in the end: a file in the shape of
Qwen2.5-7B at Q4_K_M (which writes a few words), MeloTTS with BERT (which speaks a sentence) and
OpenVoice's converter (which converts it), all of the official sizes with random weights, as weights
do not change what they take. Printed is the resident memory after each, and the most there was.
What the API, the gateway and the keeper hold besides is measured by benchmarks/recovery.py.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import converter
import export
import melo
import numpy as np
import psutil

THREADS = 2
BUDGET = 18.0  # GB, R1


def resident() -> float:
    """Now, in GB."""
    return float(psutil.Process().memory_info().rss) / 1e9


def child(folder: Path, layers: int) -> None:
    """All of it in this process."""
    from aitwin.style.engine import LlamaCpp, Loading

    print(f"Python: {resident():.2f} GB", flush=True)
    say = melo.ours(folder / "melo", THREADS)
    sound = say()
    print(f"and MeloTTS: {resident():.2f} GB", flush=True)
    convert = converter.ours(folder / "converter", "plain", THREADS)
    generator = np.random.default_rng(0)
    voices = [generator.normal(0, 0.05, 256).astype(np.float32) for _ in range(2)]
    convert(sound[: 22_050 * 4], *voices)
    print(f"and the converter: {resident():.2f} GB", flush=True)
    with LlamaCpp(folder / "base.gguf", loading=Loading()) as engine:
        request = {"prompt": list(range(100, 400)), "max_tokens": 8, "ignore_eos": True}
        engine._server.handle_completions(request)
        print(f"and the 7B: {resident():.2f} GB", flush=True)
        say()
        print(f"speaking meanwhile: {resident():.2f} GB", flush=True)
    print(f"at most: {converter.peak_mib() * 1.048576 / 1000:.2f} GB of {BUDGET:.0f}")


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(Path(sys.argv[2]), int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=28)
    layers = parser.parse_args().layers
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, write in (
            ("melo", lambda path: melo.write(path, 6.0)),
            ("converter", converter.write_checkpoint),
        ):
            (folder / part).mkdir()
            write(folder / part)
        export.large(folder / "base.gguf", layers)
        print(f"file of the 7B: {(folder / 'base.gguf').stat().st_size / 1e9:.2f} GB")
        # A process of its own: what wrote the files has held more.
        command = [sys.executable, "-W", "ignore", __file__, "child", name, str(layers)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": str(THREADS)})


if __name__ == "__main__":
    main()
