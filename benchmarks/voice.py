"""How fast and in how much memory recordings are prepared, against plain decoding in the same run.

    python benchmarks/voice.py prepare [--minutes 60] [--cores 2]

`prepare`: an hour of speech (the bundled voice, our prompts, rests of 0.3 to 3 seconds, a room's
noise; 48 kHz, mono, 24-bit FLAC), once as nine takes and once as one file, by one core and by all.
The baseline reads the same files with soundfile and resamples them with soxr, on one core. Every
row is a process of its own, so that its peak memory is its own. Times on a shared machine swing:
the ratios are what counts. The optional tools (DNSMOS, speaker encoder, ASR) join one by one in
the last rows; the encoder where its weights are (../shared/golden).
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

RECORDED = 48_000  # Hertz
TAKES = 9
ROOM = -62.0  # dBFS
OPTIONAL = ("mos", "encoder", "words")
ENCODER = (
    Path(__file__).parent.parent.parent
    / "shared/golden/ref_encoder/ref_enc_openvoice_v2.safetensors"
)


@dataclass(frozen=True)
class Row:
    """One way through the hour."""

    name: str
    seconds: float
    processor_seconds: float
    """Of all threads together: what a machine that others use as well takes for it."""
    peak_mib: float


def spoken(seed: int, seconds: float) -> np.ndarray:
    """So many seconds of sentences and rests at RECORDED Hertz, in a room."""
    import soxr

    from aitwin.voice.emotions import EMOTIONS
    from aitwin.voice.engines import Bundled
    from aitwin.voice.prompts import prompts

    sentences = [prompt.text for emotion in EMOTIONS for prompt in prompts(emotion)]
    chance = np.random.default_rng(seed)
    voice, pieces, length = Bundled(), [], 0
    while length < seconds * RECORDED:
        sentence = sentences[chance.integers(len(sentences))]
        said = voice.speak(sentence, speed=chance.uniform(0.9, 1.1), seed=int(chance.integers(99)))
        rest = np.zeros(round(chance.choice([0.3, 0.5, 0.8, 3.0]) * RECORDED), np.float32)
        pieces += [soxr.resample(said.samples, said.sample_rate, RECORDED) * 0.4, rest]
        length += len(pieces[-1]) + len(pieces[-2])
    samples = np.concatenate(pieces)[: round(seconds * RECORDED)]
    room = chance.standard_normal(len(samples), np.float32) * np.float32(10 ** (ROOM / 20))
    return np.clip(samples + room, -1, 1)


def write_voices(folder: Path, minutes: float) -> None:
    """A voice of nine takes, and one of a single take with the same sound."""
    import soundfile

    from aitwin.voice import voices

    long = folder / "long.flac"
    nine, one = voices.create(folder, "nine"), voices.create(folder, "one")
    facts = {"emotion": "neutral", "sample_rate": RECORDED, "channels": 1}
    with soundfile.SoundFile(long, "w", RECORDED, 1, "PCM_24", format="FLAC") as file:
        for number in range(TAKES):
            samples = spoken(number, minutes * 60 / TAKES)
            path = folder / "take.flac"
            soundfile.write(path, samples, RECORDED, "PCM_24")
            nine.add(path, {**facts, "seconds": len(samples) / RECORDED}, move=True)
            file.write(samples)
    one.add(long, {**facts, "seconds": minutes * 60}, move=True)


def decode(folder: Path) -> None:
    """The baseline: read and resample, nothing else."""
    import soundfile
    import soxr

    from aitwin.voice import voices
    from aitwin.voice.heard import RATE

    for take in voices.open_(folder, "nine").takes():
        with soundfile.SoundFile(take.original) as file:
            stream = soxr.ResampleStream(RECORDED, RATE, 1, "float32", "HQ")
            for block in file.blocks(10 * RECORDED, dtype="float32"):
                stream.resample_chunk(block)


def prepare(folder: Path, name: str, cores: int, listening: Sequence[str]) -> None:
    """All takes of a voice, with some of OPTIONAL."""
    from aitwin.voice import vad, voices
    from aitwin.voice.mos import Listener
    from aitwin.voice.openvoice import ReferenceEncoder
    from aitwin.voice.prepare import Recipe, Tools, prepare_all
    from aitwin.voice.transcribe import Transcriber

    tools = Tools(
        vad.Detector(),
        mos=Listener() if "mos" in listening else None,
        encoder=ReferenceEncoder.load(ENCODER) if "encoder" in listening else None,
    )
    # A loudness of its own makes every row start afresh.
    recipe = Recipe(loudness=-23.0 - 0.01 * cores - 0.001 * len(listening))
    voice = voices.open_(folder, name)
    outcome = prepare_all(voice, tools, recipe, cores=cores)
    assert not outcome.problems, outcome.problems
    if "words" in listening:  # by themselves, as `twin voice prepare` does it
        ears = Tools(tools.detector, transcriber=Transcriber.load())
        del tools
        outcome = prepare_all(voice, ears, recipe, cores=cores)
        assert not outcome.problems, outcome.problems


def row(name: str, *arguments: str) -> Row:
    """One of the ways, in a process of its own, whose memory is looked at every 20 ms."""
    command = [sys.executable, __file__, "one-row", *arguments]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                peak = max(peak, watched.memory_info().rss)
            time.sleep(0.02)
        assert process.stdout is not None
        seconds, processor_seconds = json.load(process.stdout)
    return Row(name, seconds, processor_seconds, peak / 2**20)


def one_row(folder: Path, name: str, cores: int, listening: Sequence[str]) -> None:
    start, used = time.perf_counter(), time.process_time()
    if name == "decode":
        decode(folder)
    else:
        prepare(folder, name, cores, listening)
    print(json.dumps([time.perf_counter() - start, time.process_time() - used]))


def measure_prepare(minutes: float, cores: int) -> dict[str, Any]:
    ways = {"DNSMOS": ["mos"]}
    if ENCODER.exists():
        ways["and the encoder"] = ["mos", "encoder"]
    ways["and the words"] = [*list(ways.values())[-1], "words"]
    with tempfile.TemporaryDirectory() as folder:
        write_voices(Path(folder), minutes)
        rows = [
            row("decode and resample", folder, "decode"),
            row("nine takes, 1 core", folder, "nine"),
            row(f"nine takes, {cores} cores", folder, "nine", "--cores", str(cores)),
            row("one file, 1 core", folder, "one"),
            row(f"one file, {cores} cores", folder, "one", "--cores", str(cores)),
            *(
                row(
                    f"nine takes, {cores} cores, {what}",
                    folder,
                    "nine",
                    *("--cores", str(cores)),
                    *("--with", *some),
                )
                for what, some in ways.items()
            ),
        ]
    print(f"{minutes:g} minutes of speech, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for each in rows:
        print(
            f"  {each.name:36} {each.seconds:6.1f} s ({each.processor_seconds:.1f} s of processors)"
            f" {minutes * 60 / each.seconds:5.0f} x real time"
            f" {each.processor_seconds / rows[0].processor_seconds:5.1f} x decoding"
            f" {each.peak_mib:5.0f} MiB"
        )
    return {"minutes": minutes, "rows": [asdict(each) for each in rows]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    of_prepare = commands.add_parser("prepare")
    of_prepare.add_argument("--minutes", type=float, default=60)
    of_prepare.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    of_row = commands.add_parser("one-row")
    of_row.add_argument("folder", type=Path)
    of_row.add_argument("name")
    of_row.add_argument("--cores", type=int, default=1)
    of_row.add_argument("--with", dest="listening", nargs="*", default=[], choices=OPTIONAL)
    options = parser.parse_args()
    if options.command == "one-row":
        one_row(options.folder, options.name, options.cores, options.listening)
        return
    print(
        json.dumps(
            {"cores": os.cpu_count(), "prepare": measure_prepare(options.minutes, options.cores)}
        )
    )


if __name__ == "__main__":
    main()
