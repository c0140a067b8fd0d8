"""Kill -9 of each service, again and again, under load: how soon it is back, and what is lost.

    python benchmarks/recovery.py [--kills 20]

The stack is installed with tmux in a home of its own, which has the sample owner. While one program
uploads recordings, another imports mail, and a third asks for the state, each service is killed;
the time runs until it answers again (the API and the gateway: a program's request through both).
Each kill comes a while after the last, as one that follows an hour of good work does: the memory
of earlier deaths is wiped. In the end every upload and job that was accepted (an answer of 2xx) is
looked for: the recording's sound must be there, and each job must be done or able to go on.

Last, the start of everything from nothing to the first answer, and the memory of each service.
"""

import argparse
import contextlib
import http.client
import io
import json
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from aitwin.demo import THOTA
from aitwin.home import Home, Settings
from aitwin.server.callers import Access
from aitwin.services import running, units
from aitwin.services.stack import Installed, Stack
from aitwin.services.units import Choice

SOURCES = str(Path(__file__).parents[1] / "src")
PATIENCE = 60.0


@dataclass
class Client:
    """A program with the owner's token."""

    port: int
    token: str = field(repr=False)

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
        """Status and body; raises OSError and HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            head = {"Authorization": f"Bearer {self.token}"}
            if kind:
                head["Content-Type"] = kind
            connection.request(method, path, body or None, head)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def answers(self) -> bool:
        """Whether a request comes through the gateway to the API and back."""
        try:
            return self.ask("GET", "/api/jobs")[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


@dataclass
class Load:
    """What programs do meanwhile."""

    client: Client
    done: threading.Event = field(default_factory=threading.Event)
    takes: dict[str, str] = field(default_factory=dict)
    """Of each accepted upload its take, and its voice."""
    jobs: set[str] = field(default_factory=set)
    refused: int = 0
    asked: int = 0

    def __post_init__(self) -> None:
        """Begin."""
        self.threads = [
            threading.Thread(target=self._again, args=(one,))
            for one in (self._upload, self._import, self._look)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Wait for what is under way."""
        self.done.set()
        for thread in self.threads:
            thread.join()

    def _again(self, one: Callable[[int], tuple[int, str]]) -> None:
        number = 0
        while not self.done.is_set():
            number += 1
            self.asked += 1
            try:
                status, _ = one(number)
            except (OSError, http.client.HTTPException):
                status = 0
            self.refused += not 200 <= status < 300
            self.done.wait(0.3)

    def _upload(self, number: int) -> tuple[int, str]:
        edge = "boundary-of-the-benchmark"
        parts = {"name": "Kettle", "emotion": "neutral", "consent": "true"}
        body = "".join(
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in parts.items()
        ).encode()
        head = 'Content-Disposition: form-data; name="audio"; filename="a.wav"'
        body += f"--{edge}\r\n{head}\r\nContent-Type: audio/wav\r\n\r\n".encode()
        body += sound(number) + f"\r\n--{edge}--\r\n".encode()
        kind = f"multipart/form-data; boundary={edge}"
        status, said = self.client.ask("POST", "/api/voice/upload", body, kind)
        if 200 <= status < 300:
            answer = json.loads(said)
            self.takes[answer["take_id"]] = answer["voice_id"]
        return status, said.decode(errors="replace")

    def _import(self, number: int) -> tuple[int, str]:
        body = json.dumps({"path": str(THOTA)}).encode()
        status, said = self.client.ask("POST", "/api/corpus/imports", body, "application/json")
        if status == http.client.ACCEPTED:
            self.jobs.add(json.loads(said)["id"])
        self.done.wait(2.0)
        return status, said.decode(errors="replace")

    def _look(self, number: int) -> tuple[int, str]:
        status, said = self.client.ask("GET", "/api/state")
        return status, said.decode(errors="replace")


def sound(number: int) -> bytes:
    """Three seconds that no other upload has, loud and quiet by turns as speech is."""
    noise = np.random.default_rng(number).normal(0, 1, 48_000)
    turns = np.abs(np.sin(np.linspace(0, 20, noise.size)))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes((noise * turns * 4000).astype("<i2").tobytes())
    return file.getvalue()


def recovery(stack: Stack, client: Client, name: units.Name) -> float:
    """Kill a service, and the seconds until it is back."""
    unit = units.find(stack.units, name)
    before = stack.manager.doing(name).process
    began = time.monotonic()
    os.kill(before, signal.SIGKILL)
    while True:
        now = next(one for one in stack.status() if one.name == name)
        back = now.process not in (0, before) and now.state == "well"
        if back and (name == "keeper" or client.answers()):
            return time.monotonic() - began
        if time.monotonic() - began > PATIENCE:
            said = unit.log.read_text()[-2000:]
            raise SystemExit(f"{name} is {now} after {PATIENCE:.0f} s:\n{said}")
        time.sleep(0.05)


def lost(client: Client, load: Load) -> tuple[list[str], list[str], dict[str, int]]:
    """Accepted takes without a sound, accepted jobs that cannot be done, and how jobs ended."""
    takes = [
        take
        for take, voice in load.takes.items()
        if client.ask("GET", f"/api/voices/{voice}/takes/{take}/audio")[0] != http.client.OK
    ]
    until = time.monotonic() + 300
    ended: dict[str, str] = {}
    resumed = 0
    while set(ended) != load.jobs and time.monotonic() < until:
        for job in load.jobs - set(ended):
            status, said = client.ask("GET", f"/api/jobs/{job}")
            state = json.loads(said).get("state", "") if status == http.client.OK else "unknown"
            if state == "interrupted":
                resumed += client.ask("POST", f"/api/jobs/{job}/resume")[0] == http.client.ACCEPTED
            elif state not in ("queued", "running", "cancelling"):
                ended[job] = state
        time.sleep(0.5)
    states = [ended.get(job, "never ended") for job in load.jobs]
    counts = {state: states.count(state) for state in sorted(set(states))} | {"resumed": resumed}
    return takes, [job for job in load.jobs if ended.get(job) != "done"], counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    os.environ["PYTHONPATH"] = SOURCES
    folder = Path(tempfile.mkdtemp(prefix="twin-", dir="/tmp"))
    place = Home(folder).open()
    os.environ["TWIN_HOME"] = str(folder)
    place.write_settings(Settings("Thota", addresses=("thota@aitwin.example",)))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    callers = Access.open(place)
    client = Client(port, callers.add_token("benchmark", "owner").secret)
    callers.close()
    stack = Stack(place, Installed("tmux", Choice(port=port)), print)
    load: Load | None = None
    try:
        stack.install()
        began = time.monotonic()
        stack.start()
        while not client.answers():
            time.sleep(0.05)
        print(f"cold start to the first answer: {time.monotonic() - began:.1f} s")
        load = Load(client)
        time.sleep(5)
        for name in ("api", "gateway", "keeper"):
            seconds = []
            for _ in range(kills):
                time.sleep(random.uniform(0.5, 2.0))  # noqa: S311 - no secret
                seconds.append(recovery(stack, client, name))
                running.forget(place, credential=False)
            shown = f"{median(seconds):.1f} s, at most {max(seconds):.1f} s"
            least = f"at least {min(seconds):.1f} s"
            print(f"{name}: {kills} kills; back after {shown}, {least}", flush=True)
        load.stop()
        print(f"requests: {load.asked}, of which {load.refused} were refused or cut off")
        takes, jobs, counts = lost(client, load)
        print(f"uploads accepted: {len(load.takes)}, lost: {len(takes)}")
        print(f"jobs accepted: {len(load.jobs)}, not done in the end: {len(jobs)} {counts}")
        for one in stack.status():
            print(f"memory of {one.name}: {one.bytes / 1e6:.0f} MB")
        print(f"{platform.platform()}, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        if takes or jobs:
            raise SystemExit("something was lost")
    finally:
        if load:
            load.done.set()
        with contextlib.suppress(Exception):
            stack.uninstall()
        subprocess.run(["tmux", "-S", folder / "run/tmux.sock", "kill-server"], check=False,
                       capture_output=True)  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
