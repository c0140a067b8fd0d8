"""Speaking end to end: how soon the first sound comes, how fast the rest, and in how much memory.

    python benchmarks/speaking.py weights DIRECTORY
    python benchmarks/speaking.py http [--runs 3] [--weights DIRECTORY] [--rungs bundled ...]
    python benchmarks/speaking.py threads [--runs 3] [--weights DIRECTORY]

`weights`: random files of the official sizes and names: see speaking_stage. The others write
them for themselves where no DIRECTORY is given. Pronunciations are the real ones
(.cache/models/g2p-english).
`http`: from the request to the first and to the last byte of sound, as WAV and as MP3, for a text
of under 100 characters and one of five sentences. For each rung of the ladder a server of its own,
the one that `twin serve` runs (without a model that writes), on loopback, with a voice that has
consent and a profile. What is measured once in a machine's life is measured before; "cold" is the
first request of a fresh process. Runs are interleaved over texts and formats; medians are stated.
`threads`: the engines in this process, by threads, devices and back ends of `placing`; operations
of one sentence as torch counts them; and what they come to on an M4 Pro, which is arithmetic.

Processor seconds per second of sound are what a busy machine leaves comparable.
"""

import argparse
import http.client
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil
import speaking_stage

if TYPE_CHECKING:
    from aitwin.voice.engines import Speaker
    from aitwin.voice.placing import Placing

TEXTS = {
    "short": "Thank you for the letter. I shall be in town on Thursday, and would love to meet "
    "you.",
    "five": (
        "Thank you for the letter, which came this morning. I shall be in town on Thursday, and "
        "would love to see you there for tea. The train is at half past ten, if it comes at all. "
        "Could you bring the blue folder with you? My brother wants to look at the numbers again."
    ),
}
CHECKPOINT, CONFIG = "checkpoint.pth", "config.json"
FORMATS = ("wav", "mp3")
RUNGS = ("bundled", "bundled+match", "bundled+openvoice", "melotts+openvoice")
TOKEN = "benchmark"  # noqa: S105 - opens a server that lives for a minute on loopback
CHARACTERS = 100
ACHIEVED = 200.0
"""GFLOP/s that an M4 Pro is taken to achieve in float32 convolutions on its processor: a guess,
four performance cores at 50 each, about a third of what their NEON units can do (4 x 128 bits,
multiply and add, 4.5 GHz: 144)."""


# --- Over HTTP ------------------------------------------------------------------------------------


class Unasked:
    """An engine for writing; nobody asks it."""

    def stream(self, messages: Any, sampling: Any, *, adapted: bool = True) -> Generator[str]:
        yield from ()


def serve(place: Path) -> None:
    """The API that `twin serve` starts, in this process; says at which port."""
    from aitwin.home import Home
    from aitwin.prompt import Persona
    from aitwin.server import app as application
    from aitwin.server import listening as ports
    from aitwin.server.desk import Desk
    from aitwin.server.parts import Parts
    from aitwin.style.writer import Writer

    with ports.bind(0) as listening:
        parts = Parts.of(
            Home(place / "home"),
            TOKEN,
            desk=Desk.with_(Writer(Unasked(), Persona(""))),
            studio=speaking_stage.studio(place),
        )
        app = application.create(parts)
        ports.listen(listening)
        print(listening.getsockname()[1], flush=True)
        ports.run(app, listening)


@contextmanager
def serving(place: Path) -> Iterator[tuple[int, psutil.Process, list[int]]]:
    """The port, the process, and the most bytes that it has held."""
    command = [sys.executable, __file__, "serve", str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watched, peak, done = psutil.Process(process.pid), [0], threading.Event()

        def watch() -> None:
            while not done.wait(0.02):
                peak[0] = max(peak[0], watched.memory_info().rss)

        watching = threading.Thread(target=watch)
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            watching.start()
            yield port, watched, peak
        finally:
            done.set()
            if watching.ident:
                watching.join()
            process.terminate()


@dataclass(frozen=True)
class Answer:
    """Times in seconds."""

    first: float
    last: float
    processor: float
    content: bytes = field(repr=False)

    @property
    def sound(self) -> float:
        """Seconds, of a WAV: 16 bits, one channel."""
        size = len(self.content) - self.content.index(b"data") - 8
        return size / 2 / int.from_bytes(self.content[24:28], "little")


def ask(port: int, process: psutil.Process, rung: str, text: str, kind: str) -> Answer:
    """One request. The head of a file goes out with its first sound, so the first byte counts."""
    body = {"input": text, "model": rung, "response_format": kind}
    body["voice"] = "base" if rung == RUNGS[0] else speaking_stage.VOICE
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "X-Twin-Caller": "machine",
        "Content-Type": "application/json",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port)
    before, start = sum(process.cpu_times()[:2]), time.perf_counter()
    connection.request("POST", "/v1/audio/speech", json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read1()
    first = time.perf_counter() - start
    content += answer.read()
    last = time.perf_counter() - start
    connection.close()
    assert answer.status == 200, content
    assert answer.headers["X-Engine"] == rung
    return Answer(first, last, sum(process.cpu_times()[:2]) - before, content)


def over_http(place: Path, rungs: Sequence[str], runs: int) -> None:
    voice = speaking_stage.voice(place)
    for rung in rungs:
        start = time.perf_counter()
        speaking_stage.studio(place).cast(None if rung == RUNGS[0] else voice, engine=rung)
        print(f"{rung}: opened for the first time in {time.perf_counter() - start:.1f} s")
    for noted in (place / "kept").glob("placing.json"):
        print("placing:", json.loads(noted.read_text())["work"])
    lengths = {name: len(text) for name, text in TEXTS.items()}
    print(f"\n{_machine()}; characters: {lengths}; median of {runs}")
    print(f"{'rung':18} text  format  first s  last s  sound s  wall RTF  processor RTF")
    states = [f"{'rung':18} cold first s  cold last s  resident MiB  peak MiB"]
    ways = [(name, kind) for name in TEXTS for kind in FORMATS]
    for rung in rungs:
        found: dict[tuple[str, str], list[Answer]] = {way: [] for way in ways}
        with serving(place) as (port, process, peak):
            cold = ask(port, process, rung, TEXTS["short"], "wav")
            for _ in range(runs):
                for name, kind in ways:
                    found[name, kind].append(ask(port, process, rung, TEXTS[name], kind))
            held = process.memory_info().rss
        states.append(
            f"{rung:18} {cold.first:12.2f} {cold.last:12.2f} {held >> 20:13} {peak[0] >> 20:9}"
        )
        for name, kind in ways:
            sound = found[name, "wav"][0].sound
            first, last, processor = (
                median(getattr(answer, part) for answer in found[name, kind])
                for part in ("first", "last", "processor")
            )
            print(
                f"{rung:18} {name:5} {kind:6} {first:8.2f} {last:7.2f} {sound:8.2f} "
                f"{last / sound:9.2f} {processor / sound:14.2f}"
            )
    print("\n".join(["", *states]))


# --- By threads and back ends ---------------------------------------------------------------------


def engines(place: Path, placing: "Placing") -> "dict[str, Speaker]":
    """By name; the weights that they share are loaded once."""
    import numpy as np

    from aitwin.voice.bert import Bert
    from aitwin.voice.converted import Converted
    from aitwin.voice.converter import Converter
    from aitwin.voice.engines import Bundled
    from aitwin.voice.melo import Melo, MeloSpeaker
    from aitwin.voice.melo_reader import Reader

    shelf = place / "weights"
    openvoice, melotts, bert = (shelf / name for name in speaking_stage.MODELS)
    converter = Converter.load(openvoice / CHECKPOINT, openvoice / CONFIG, placing)
    base = MeloSpeaker(
        Melo.load(melotts / CHECKPOINT, melotts / CONFIG, placing),
        Reader(speaking_stage.G2P, bert).front_end(melotts / CONFIG),
        Bert.load(bert / "model.safetensors", bert / "vocab.txt"),
    )
    chance = np.random.default_rng(0)
    source, target = (chance.normal(0, 0.7, 256).astype(np.float32) for _ in range(2))
    return {
        "melotts": base,
        "bundled+openvoice": Converted(Bundled(), converter, source, target, ""),
        "melotts+openvoice": Converted(base, converter, source, target, ""),
    }


def by_threads(place: Path, runs: int) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from aitwin.voice.placing import BACKENDS, Placing, devices

    placings = [Placing("cpu", threads, how) for threads in (1, 2) for how in BACKENDS]
    placings += [Placing(device, backend="plain") for device in devices()]
    text = TEXTS["short"]
    work: dict[str, tuple[float, float]] = {}
    print(f"{_machine()}; {len(text)} characters; median of {runs}")
    print(f"{'engine':18} device  threads  back end  wall s  wall RTF  processor RTF  GFLOP/s")
    for placing in placings:
        torch.set_num_threads(placing.threads)
        for name, speaker in engines(place, placing).items():
            if name not in work:
                with FlopCounterMode(display=False) as counter:
                    sound = speaker.speak(text).seconds
                work[name] = (counter.get_total_flops() / 1e9, sound)
            else:
                speaker.speak(text)
            done, sound = work[name]
            walls, processors = [], []
            for _ in range(runs):
                wall, processor = time.perf_counter(), time.process_time()
                speaker.speak(text)
                walls.append(time.perf_counter() - wall)
                processors.append(time.process_time() - processor)
            wall, processor = median(walls), median(processors)
            print(
                f"{name:18} {placing.device:6} {placing.threads:8} {placing.backend:>9} "
                f"{wall:7.2f} {wall / sound:9.2f} {processor / sound:14.2f} {done / wall:8.0f}"
            )
    print(f"\nArithmetic, not measured: an M4 Pro that achieves {ACHIEVED:g} GFLOP/s (a guess)")
    print(f"{'engine':18} GFLOP/s of sound  S5: RTF  S3: s for 100 characters  GFLOP/s for 2 s")
    for name, (done, sound) in work.items():
        whole = done * CHARACTERS / len(text)
        print(
            f"{name:18} {done / sound:16.1f} {done / sound / ACHIEVED:8.2f} "
            f"{whole / ACHIEVED:24.2f} {whole / 2:16.0f}"
        )


def _machine() -> str:
    today, (load, *_) = datetime.now().astimezone(), os.getloadavg()
    return f"{today:%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("weights").add_argument("folder", type=Path)
    commands.add_parser("serve").add_argument("folder", type=Path)
    for name in ("http", "threads"):
        one = commands.add_parser(name)
        one.add_argument("--runs", type=int, default=3)
        one.add_argument("--weights", type=Path, help="a DIRECTORY that `weights` wrote")
        if name == "http":
            one.add_argument("--rungs", nargs="+", choices=RUNGS, default=RUNGS)
    chosen = parser.parse_args()
    if chosen.command == "weights":
        speaking_stage.write(chosen.folder, " ".join(TEXTS.values()))
        return
    if chosen.command == "serve":
        serve(chosen.folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        if chosen.weights:
            (place / "weights").symlink_to(chosen.weights.resolve())
        else:  # in a process of its own, whose memory is gone afterwards
            subprocess.run([sys.executable, __file__, "weights", place / "weights"], check=True)
        if chosen.command == "http":
            over_http(place, chosen.rungs, chosen.runs)
        else:
            by_threads(place, chosen.runs)


if __name__ == "__main__":
    main()
