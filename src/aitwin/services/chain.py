"""The whole of what a twin does, run step by step where there is no network. See audit.

    python -m aitwin.services.chain < PLAN    in the sandbox, with the environment of an audit

Prints a line of JSON for each step. Does not judge what was tried.
"""

import http.client
import json
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aitwin.services import browser, traces

ROOMS = ("", "speak", "voices", "data", "training", "health")
"""Of the page; the first is opened by the link that signs in."""
PROOF = "proof"
"""The step that tries to leave, and is not to succeed."""
_STRACE = ("strace", "-D", "-f", "-q", "-s", "0", "--seccomp-bpf", "-e", "signal=none")
"""-D: the program stays our child, whose signals and exit code are its own. No text is written."""
_LONGEST = 600
"""Seconds for a step, on a slow machine."""
_PRINTED = 400
"""Characters of what a failed step said, from the end."""
_SIGN_IN = "<title>Open your twin"


@dataclass(frozen=True)
class Plan:
    """What to run, and what with."""

    scratch: str
    """A directory for traces and outputs."""
    steps: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and command of each step before the twin is served."""
    strace: bool
    browser: str
    """Its program; empty: no page is opened."""


@dataclass(frozen=True)
class Step:
    """How a step went."""

    name: str
    ok: bool
    seconds: float
    told: str = ""
    """Why it failed. The words in it are of the sample owner, nobody's."""


class FailedError(Exception):
    """A step did not do what it is for."""


class Chain:
    """Runs the steps of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._scratch = Path(plan.scratch)
        self._count = 0

    def run(self) -> Iterator[Step]:
        """Every step, until one fails that the others want."""
        for name, command in self._plan.steps:
            step = _timed(name, lambda c=command: self._command(c))  # type: ignore[misc]
            yield step
            if not step.ok and name != PROOF:
                return
        yield from self._served()

    def _traced(self, command: tuple[str, ...]) -> tuple[str, ...]:
        if not self._plan.strace:
            return command
        self._count += 1
        trace = self._scratch / f"{self._count:02}.strace"
        return (*_STRACE, "-e", traces.TRACED, "-o", str(trace), *command)

    def _command(self, command: tuple[str, ...]) -> str:
        done = subprocess.run(  # noqa: S603 - our own command
            self._traced(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=self._scratch,
            timeout=_LONGEST,
            check=False,
        )
        if done.returncode:
            raise FailedError(done.stderr[-_PRINTED:] or f"exit code {done.returncode}")
        return done.stdout

    def _served(self) -> Iterator[Step]:
        with self._server() as server:
            page = ""

            def wait() -> None:
                nonlocal page
                page = _address(server)

            step = _timed("serve", wait)
            yield step
            if not step.ok:
                return
            yield _timed("API", lambda: self._ask(page))
            if self._plan.browser:
                yield _timed("page", lambda: self._open(page))

    @contextmanager
    def _server(self) -> "Iterator[subprocess.Popen[str]]":
        command = (*_TWIN, "serve", "--port", "0")
        with subprocess.Popen(  # noqa: S603 - our own command
            self._traced(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self._scratch / "serve.log").open("w"),
            text=True,
            cwd=self._scratch,
        ) as server:
            try:
                yield server
            finally:
                server.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    server.wait(60)
                server.kill()

    def _ask(self, page: str) -> None:
        """Each of the four routes, OpenAI's, and the state: A1 to A4."""
        token = self._command((*_TWIN, "token", "create", "audit", "--scope", "owner")).strip()
        ask = Asking(page, token)
        text = "Thank Ana for the spare parts."
        messages = [{"role": "user", "content": text}]
        ask.get("/v1/models")
        ask.post("/v1/chat/completions", {"messages": messages, "max_tokens": 12})
        ask.post("/v1/audio/speech", {"input": text, "voice": "base"})
        ask.post("/api/tts/pipeline", {"prompt": text, "voice_id": "base", "max_tokens": 12})
        ask.post("/api/tts/clone", {"voice_id": "base", "text": text})
        ask.post("/api/tts/lora/generate", {"prompt": text, "max_tokens": 12})
        ask.upload("/api/voice/upload", self._scratch / "said.wav")
        ask.get("/api/state")

    def _open(self, page: str) -> None:
        link = self._command((*_TWIN, "login"))
        code = re.search(r"/login#(\S+)", link)
        for number, room in enumerate(ROOMS):
            address = f"{page}/login#{code[1]}" if code and not number else f"{page}/{room}"
            opened = browser.opening(
                Path(self._plan.browser),
                address,
                profile=self._scratch / "browser",
                log=self._scratch / f"{number}.net.json",
                nested=os.getuid() == 0 or platform.system() == "Darwin",
            )
            done = subprocess.run(  # noqa: S603 - the owner's browser
                opened,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=120,
                check=False,
            )
            if done.returncode or "<title>" not in done.stdout:
                raise FailedError(f"the browser did not open /{room}: {done.stderr[-_PRINTED:]}")
            if _SIGN_IN in done.stdout:
                raise FailedError(f"/{room} asked to sign in")


_TWIN = (sys.executable, "-m", "aitwin")


class Asking:
    """Requests to the served twin, with a token."""

    def __init__(self, page: str, token: str) -> None:
        self._place = page.removeprefix("http://")
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> None:
        """Ask for something."""
        self._send("GET", path, None, {})

    def post(self, path: str, body: dict[str, Any]) -> None:
        """Have something done."""
        headers = {"Content-Type": "application/json"}
        self._send("POST", path, json.dumps(body).encode(), headers)

    def upload(self, path: str, recording: Path) -> None:
        """Hand a recording in, as a form."""
        edge = "audit-edge"
        fields = {"name": "Audit", "emotion": "neutral", "consent": "true"}
        parts = [
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        head = (
            f'--{edge}\r\nContent-Disposition: form-data; name="audio"; filename="said.wav"\r\n'
            "Content-Type: audio/wav\r\n\r\n"
        )
        body = ("".join(parts) + head).encode() + recording.read_bytes()
        body += f"\r\n--{edge}--\r\n".encode()
        self._send("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={edge}"})

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> None:
        connection = http.client.HTTPConnection(self._place, timeout=_LONGEST)
        try:
            connection.request(method, path, body, {**self._headers, **headers})
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise FailedError(f"{path}: {answer.status} {said[:_PRINTED].decode(errors='replace')}")


def _timed(name: str, work: Callable[[], object]) -> Step:
    began = time.monotonic()
    told = ""
    try:
        work()
    except FailedError as error:
        told = str(error)
    except subprocess.TimeoutExpired:
        told = "it did not end in time"
    except (OSError, http.client.HTTPException) as error:
        told = type(error).__name__
    return Step(name, not told, round(time.monotonic() - began, 1), told)


def _address(server: "subprocess.Popen[str]") -> str:
    """Where it serves: it prints a link that signs in."""
    assert server.stdout is not None  # noqa: S101
    found = re.match(r"(http://127\.0\.0\.1:\d+)/login#", server.stdout.readline())
    if found is None:
        raise FailedError("the twin could not be served")
    return found[1]


def _end_with_stdin() -> None:
    """Whoever audits holds the other end; without them nothing of this is to go on."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run the plan that standard input has."""
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    steps = tuple((name, tuple(command)) for name, command in told.pop("steps"))
    for step in Chain(Plan(steps=steps, **told)).run():
        sys.stdout.write(json.dumps(asdict(step)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
