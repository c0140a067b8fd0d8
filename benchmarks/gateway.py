"""What the door costs and holds: latency, memory, streams, cancelling, and the page.

    python benchmarks/gateway.py latency [--seconds 5] [--rounds 5]
    python benchmarks/gateway.py upload [--megabytes 200]
    python benchmarks/gateway.py streams [--streams 50] [--events 400]
    python benchmarks/gateway.py cancel [--times 20] [--home DIRECTORY]
    python benchmarks/gateway.py page [--times 7]

`latency`: the API and the gateway as `twin serve` starts them; a small answer (`/v1/models`), asked
of the API on its socket and through the gateway, with 1 connection (one request after another) and
with 16 (each asks 10 times a second, at its own moment, and is timed from that moment on: what a
slow answer delays counts). Both ways alternate; differences of their percentiles are the door's.
`most` is what 16 connections get through without a pause, and what of the processor each request
takes of the API and the gateway together.
`upload`: a file of that size, whole from the first byte (a form of `POST /api/voice/upload`), to an
upstream that reads as fast as it can, at 40 MB/s, and after a pause of three seconds; with a length
and in chunks. Most memory of the gateway (RSS), sampled every 5 ms.
`streams`: as many event streams at once, each event numbered and stamped: whether all arrive, in
order, and how late.
`cancel`: from the caller's hanging up to the upstream's knowing it, before the first byte of the
answer, and within a stream; with a home that has an adapter (`make demo` leaves one), the real
thing: how much longer than alone the next caller waits, when one has left while the model writes,
and while it reads a prompt of some thousand tokens.
`page`: bytes of script and style, gzipped as a tunnel would send them: of all rooms together, and
of what each room loads; and in Chromium, signed in and with an empty cache, the first paint of `/`.

`upload`, `streams` and `cancel` are measured before an upstream of this file's own, which says when
it was asked and left; the gateway is the real one, with its permissions.
"""

import argparse
import asyncio
import contextlib
import gzip
import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil

from aitwin.home import Home
from aitwin.services import gateway, serving, units
from aitwin.services.gateway import Plan, Upstream
from aitwin.services.supervisor import Child

ROOT = Path(__file__).parents[1]
CREDENTIAL = secrets.token_urlsafe(32)
UNLIMITED = {"TWIN_RATE": "100000"}
FAST, SLOW = 0.0, 40e6  # bytes per second; 0: no limit
BOUNDARY = "benchmark"


def report(name: str, **figures: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps({"measured": name, **figures}) + "\n")
    sys.stdout.flush()


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    cuts = quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1e3, 3), "p99": round(cuts[98] * 1e3, 3)}


# --- What is started ------------------------------------------------------------------------------


@contextmanager
def started(child: Child) -> Iterator[psutil.Process]:
    """A child of the supervisor's, without the supervisor."""
    with subprocess.Popen(
        child.command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=dict(child.environment)
    ) as process:
        try:
            until = time.monotonic() + 120
            while not child.healthy():
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{child.name} did not start")
                time.sleep(0.02)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Stack:
    """The API and the gateway as `twin serve` runs them."""

    socket: Path
    port: int
    token: str = field(repr=False)
    session: str = field(repr=False)
    processes: list[psutil.Process]


@contextmanager
def stack(copied: Path | None = None) -> Iterator[Stack]:
    """For a home that has nothing, or for a copy of one."""
    from aitwin.server.callers import Access

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as held:
        if copied:
            shutil.copytree(copied, Path(folder) / "home", ignore=_no_sockets)
        home = Home(Path(folder) / "home").open()
        os.environ.update(UNLIMITED)
        line = serving.plan(home, units.Choice(port=0), CREDENTIAL)
        processes = [held.enter_context(started(child)) for child in line.children]
        callers = Access.open(home)
        token = callers.add_token("benchmark", "owner").secret
        admitted = callers.log_in_by_code(callers.add_code())
        assert admitted is not None
        callers.close()
        port = int(line.address.page.rpartition(":")[2])
        yield Stack(home.api_socket, port, token, admitted.secret, processes)


def _no_sockets(folder: str, names: list[str]) -> list[str]:
    """What of a home is not copied: what a server that runs has there."""
    return [name for name in names if name == "run"]


@contextmanager
def door(upstream: Path) -> Iterator[tuple[int, psutil.Process]]:
    """The gateway alone, before `upstream`; yields its port and process."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    plan = Plan(port, Upstream(socket=upstream), CREDENTIAL, upstream.parent / "deno", UNLIMITED)
    launch = gateway.launch(gateway.find(), plan)

    def healthy() -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    child = Child("the gateway", launch.command, launch.environment, healthy)
    with started(child) as process:
        yield port, process


# --- HTTP, as little as is needed: what the client costs is not to be measured --------------------


@dataclass(frozen=True)
class Way:
    """How a server is reached."""

    path: Path | None
    port: int
    head: str
    """The request's lines after the first."""

    def connect(self) -> socket.socket:
        """A connection."""
        if self.path:
            one = socket.socket(socket.AF_UNIX)
            one.connect(str(self.path))
            return one
        one = socket.create_connection(("127.0.0.1", self.port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return one

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The same for asyncio."""
        if self.path:
            return await asyncio.open_unix_connection(str(self.path))
        return await asyncio.open_connection("127.0.0.1", self.port)

    def request(self, line: str, more: str = "") -> bytes:
        """A request's head."""
        return f"{line} HTTP/1.1\r\n{self.head}{more}\r\n".encode()


def head_of(path: Path | None, port: int, bearer: str) -> Way:
    """`path`: the API's socket; else the gateway's port."""
    host = "twin.invalid" if path else f"127.0.0.1:{port}"
    # Only the API reads who asks; the gateway says it itself.
    head = f"Host: {host}\r\nAuthorization: Bearer {bearer}\r\nX-Twin-Caller: machine\r\n"
    return Way(path, port, head)


def through(port: int, token: str = "benchmark") -> Way:  # noqa: S107 - opens a stub
    """Through the gateway."""
    return head_of(None, port, token)


def answered(connection: socket.socket) -> bytes:
    """One answer that has a length; raises unless its status is 200."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return body


async def read_answer(reader: asyncio.StreamReader) -> None:
    """The same for asyncio."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    await reader.readexactly(length)


# --- Latency --------------------------------------------------------------------------------------

CONNECTIONS = 16
EVERY = 0.1
"""Seconds from one request of a connection to its next, of those that are paced."""
ASKED = "GET /v1/models"


def one_after_another(way: Way, seconds: float) -> list[float]:
    """Seconds of each request of one connection."""
    request, taken = way.request(ASKED), []
    with way.connect() as connection:
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            connection.sendall(request)
            answered(connection)
            taken.append(time.perf_counter() - began)
    return taken


async def many(way: Way, seconds: float, every: float) -> list[float]:
    """The same of CONNECTIONS at once; with `every` 0 without a pause."""
    request, taken = way.request(ASKED), []
    start = time.perf_counter() + 0.05

    async def one(number: int) -> None:
        reader, writer = await way.open()
        due = start + number * every / CONNECTIONS
        while due < start + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            began = due if every else time.perf_counter()
            writer.write(request)
            await read_answer(reader)
            taken.append(time.perf_counter() - began)
            due = due + every if every else time.perf_counter()
        writer.close()

    await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    return taken


def processor_seconds(served: Stack) -> float:
    """Of the API and the gateway since they began: what a busy machine leaves comparable."""
    times = [process.cpu_times() for process in served.processes]
    return sum(one.user + one.system for one in times)


def latency(seconds: float, rounds: int) -> None:
    """Direct and through the door, by turns."""
    loads: dict[str, Callable[[Way], list[float]]] = {
        "1": lambda way: one_after_another(way, seconds),
        "16": lambda way: asyncio.run(many(way, seconds, EVERY)),
        "most": lambda way: asyncio.run(many(way, seconds / 2, 0)),
    }
    with stack() as served:
        ways = {
            "direct": head_of(served.socket, 0, CREDENTIAL),
            "door": through(served.port, served.token),
        }
        for way in ways.values():  # neither is cold
            one_after_another(way, 1.0)
        for load, run in loads.items():
            taken: dict[str, list[list[float]]] = {name: [] for name in ways}
            spent: dict[str, list[float]] = {name: [] for name in ways}
            for number in range(rounds):
                for name in sorted(ways, reverse=bool(number % 2)):
                    before = processor_seconds(served)
                    taken[name].append(run(ways[name]))
                    spent[name].append(processor_seconds(served) - before)
            if load == "most":
                per_second = {
                    name: round(median(len(one) for one in all_) / (seconds / 2))
                    for name, all_ in taken.items()
                }
                each = {
                    name: round(1e3 * sum(spent[name]) / sum(map(len, taken[name])), 3)
                    for name in ways
                }
                report(
                    "most requests per second",
                    connections=CONNECTIONS,
                    **per_second,
                    processor_ms_each=each,
                )
                continue
            cuts = {name: percentiles([*chain(*all_)]) for name, all_ in taken.items()}
            added = {
                cut: round(cuts["door"][cut] - cuts["direct"][cut], 3) for cut in ("p50", "p99")
            }
            by_round = [
                round(percentiles(door)["p50"] - percentiles(direct)["p50"], 3)
                for direct, door in zip(taken["direct"], taken["door"], strict=True)
            ]
            report(
                "added latency, ms",
                connections=int(load),
                **cuts,
                added=added,
                added_p50_by_round=by_round,
                requests=len([*chain(*taken["door"])]),
            )


# --- An upstream that tells what it sees ----------------------------------------------------------


@dataclass
class Seen:
    """What the upstream saw of the request that matters."""

    asked: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    left_at: float = 0.0
    bytes: int = 0


class Stub:
    """Answers what the gateway asks of FastAPI, on a Unix socket, from a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen = Seen()
        self.pace, self.pause = FAST, 0.0
        """How fast an upload is read: bytes per second, and seconds before the first of them."""
        self.events = 0
        self.answers = "stream"
        """To a draft: "stream", or "never"."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Stub":
        self._thread.start()
        start = asyncio.start_unix_server(self._serve, str(self.path), limit=1 << 20)
        asyncio.run_coroutine_threadsafe(start, self._loop).result()
        return self

    def __exit__(self, *error: object) -> None:
        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled when the stub ends: nothing is left to be told.
        ended = (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError)
        with contextlib.suppress(*ended):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await self._answer(head, reader, writer)
        writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # Through a socket Deno writes the whole URL, as to a proxy.
        path = head.split(" ", 2)[1].removeprefix("http://twin.invalid")
        if path == "/voices/uploads":
            await self._upload(head, reader)
            _send(writer, {"voice_id": "ana"})
        elif path.startswith("/jobs/"):
            await self._events(writer)
        elif path == "/v1/chat/completions":
            await _body(head, reader)
            await self._draft(reader, writer)
        else:
            await _body(head, reader)
            caller = {"id": "token:0", "kind": "token", "name": "benchmark", "scope": "owner"}
            _send(writer, {**caller, "expires_at": None})
        await writer.drain()

    async def _upload(self, head: str, reader: asyncio.StreamReader) -> None:
        await asyncio.sleep(self.pause)
        began = time.perf_counter()
        async for size in _sizes(head, reader):
            self.seen.bytes += size
            if self.pace:
                ahead = self.seen.bytes / self.pace - (time.perf_counter() - began)
                await asyncio.sleep(max(0.0, ahead))

    async def _events(self, writer: asyncio.StreamWriter) -> None:
        _begin(writer)
        for number in range(self.events):
            data = json.dumps({"number": number, "at": time.perf_counter()})
            _chunk(writer, f"id: {number}\nevent: progress\ndata: {data}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(0.01)
        _chunk(writer, b"")

    async def _draft(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.asked.set()
        left = asyncio.ensure_future(reader.read(1))
        if self.answers == "stream":
            _begin(writer)
        while not left.done():
            if self.answers == "stream":
                _chunk(writer, b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n')
            await asyncio.wait([left], timeout=0.01)
        self.seen.left_at = time.perf_counter()
        self.seen.left.set()
        raise ConnectionError


def _send(writer: asyncio.StreamWriter, value: object) -> None:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)


def _begin(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


async def _sizes(head: str, reader: asyncio.StreamReader) -> AsyncIterator[int]:
    """Sizes of the pieces of a body as they are read."""
    if "transfer-encoding: chunked" in head:
        while size := int((await reader.readuntil(b"\r\n")).strip() or b"0", 16):
            await reader.readexactly(size + 2)
            yield size
        await reader.readuntil(b"\r\n")
        return
    length = head.partition("content-length:")[2].split("\r\n")[0].strip()
    left = int(length or 0)
    while left:
        data = await reader.read(min(left, 1 << 18))
        if not data:
            raise ConnectionError
        left -= len(data)
        yield len(data)


async def _body(head: str, reader: asyncio.StreamReader) -> None:
    async for _ in _sizes(head, reader):
        pass


@contextmanager
def stubbed() -> Iterator[tuple[Stub, int, psutil.Process]]:
    """The gateway before a Stub; yields the port and process of the gateway."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Stub(Path(folder) / "api.sock") as stub,
        door(stub.path) as (port, process),
    ):
        yield stub, port, process


# --- Uploads --------------------------------------------------------------------------------------


@contextmanager
def watched(process: psutil.Process) -> Iterator[list[int]]:
    """RSS in bytes, every 5 ms."""
    sizes: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.005):
            sizes.append(process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield sizes
    finally:
        stop.set()
        thread.join()


def send_upload(way: Way, size: int, *, chunked: bool) -> None:
    """A form with one file of `size` bytes."""
    start = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        'name="audio"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    ).encode()
    end = f"\r\n--{BOUNDARY}--\r\n".encode()
    length = len(start) + size + len(end)
    how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}"
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n{how}\r\n"
    block = os.urandom(1 << 18)
    with way.connect() as connection:
        connection.sendall(way.request("POST /api/voice/upload", kind))

        def send(data: bytes) -> None:
            connection.sendall(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)

        send(start)
        for left in range(size, 0, -len(block)):
            send(block[:left])
        send(end)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        answered(connection)


def upload(megabytes: int) -> None:
    """Memory of the gateway while a recording goes through it."""
    size = megabytes * 1_000_000
    cases = [("at once", FAST, 0.0), ("40 MB/s", SLOW, 0.0), ("after 3 s", FAST, 3.0)]
    with stubbed() as (stub, port, process):
        way = through(port)
        send_upload(way, 1_000_000, chunked=False)
        for chunked in (False, True):
            for name, pace, pause in cases:
                stub.seen, stub.pace, stub.pause = Seen(), pace, pause
                before = process.memory_info().rss
                began = time.perf_counter()
                with watched(process) as sizes:
                    send_upload(way, size, chunked=chunked)
                taken = time.perf_counter() - began
                assert stub.seen.bytes > size, stub.seen
                report(
                    "upload",
                    megabytes=megabytes,
                    upstream_reads=name,
                    chunked=chunked,
                    seconds=round(taken, 2),
                    rss_before_mb=round(before / 1e6, 1),
                    rss_most_mb=round(max(sizes) / 1e6, 1),
                )


# --- Streams --------------------------------------------------------------------------------------


async def follow(way: Way, events: int) -> tuple[list[int], list[float]]:
    """Numbers and lateness of the events of one stream."""
    reader, writer = await way.open()
    writer.write(way.request("GET /api/jobs/0/events"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    numbers, late, text = [], [], b""
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        text += (await reader.readexactly(size + 2))[:-2]
        *whole, text = text.split(b"\n\n")
        now = time.perf_counter()
        for event in whole:
            data = json.loads(event.partition(b"data: ")[2])
            numbers.append(data["number"])
            late.append(now - data["at"])
    writer.close()
    return numbers, late


def streams(count: int, events: int) -> None:
    """Whether all events of all streams arrive."""

    async def all_() -> list[tuple[list[int], list[float]]]:
        return await asyncio.gather(*(follow(through(port), events) for _ in range(count)))

    with stubbed() as (stub, port, process):
        stub.events = events
        before = process.memory_info().rss
        with watched(process) as sizes:
            followed = asyncio.run(all_())
        lost = sum(events - len(numbers) for numbers, _ in followed)
        in_order = all(numbers == sorted(set(numbers)) for numbers, _ in followed)
        late = [seconds for _, all_late in followed for seconds in all_late]
        report(
            "event streams",
            streams=count,
            events_each=events,
            lost=lost,
            in_order=in_order,
            late_ms=percentiles(late),
            rss_before_mb=round(before / 1e6, 1),
            rss_most_mb=round(max(sizes) / 1e6, 1),
        )


# --- Cancelling -----------------------------------------------------------------------------------


def cancel(times: int) -> None:
    """How soon the upstream knows that its reader has left."""
    body = b'{"prompt": "x", "stream": true}'
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    with stubbed() as (stub, port, _):
        way = through(port)
        for answers, name in (("never", "before the first byte"), ("stream", "in the stream")):
            stub.answers = answers
            taken = []
            for _ in range(times):
                stub.seen = Seen()
                with way.connect() as connection:
                    connection.sendall(way.request("POST /api/tts/lora/generate", kind) + body)
                    assert stub.seen.asked.wait(10)
                    if answers == "stream":
                        connection.recv(1)
                    assert not stub.seen.left.is_set()
                    began = time.perf_counter()
                assert stub.seen.left.wait(10), "the upstream never knew"
                taken.append(stub.seen.left_at - began)
            report(
                "cancel",
                when=name,
                median_ms=round(median(taken) * 1e3, 1),
                most_ms=round(max(taken) * 1e3, 1),
                times=times,
            )


LONG = "Write a very long letter about the garden, the house and every one of the neighbours. "


def ask(way: Way, prompt: str, tokens: int, *, stream: bool) -> socket.socket:
    """A draft that was asked for."""
    wanted = {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": stream}
    body = json.dumps(wanted).encode()
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    connection = way.connect()
    connection.sendall(way.request("POST /api/tts/lora/generate", kind) + body)
    return connection


def cancel_writing(home: Path, times: int) -> None:
    """How long the next caller waits for the engine when one has left."""
    with stack(home) as served:
        way = through(served.port, served.token)

        def next_one() -> float:
            began = time.perf_counter()
            with ask(way, "Say yes.", 1, stream=False) as connection:
                answered(connection)
            return time.perf_counter() - began

        next_one()  # the model is loaded
        alone = median(next_one() for _ in range(times))
        for name, prompt in (("while it writes", LONG), ("while the prompt is read", LONG * 90)):
            waited = []
            for _ in range(times):
                connection = ask(way, prompt, 2000, stream=True)
                if prompt == LONG:
                    connection.recv(1)
                else:
                    time.sleep(0.2)
                connection.close()
                waited.append(next_one() - alone)
            report(
                "cancel, real engine: the next caller waits longer by",
                when=name,
                median_ms=round(median(waited) * 1e3),
                most_ms=round(max(waited) * 1e3),
                alone_ms=round(alone * 1e3),
                times=times,
            )


# --- The page -------------------------------------------------------------------------------------


ROOMS = ("/", "/speak", "/voices", "/data", "/training", "/health")


def gzipped(file: Path) -> int:
    """Bytes."""
    return len(gzip.compress(file.read_bytes(), 9, mtime=0))


def page(times: int) -> None:
    """What the browser loads, and when it first paints."""
    from playwright.sync_api import sync_playwright

    client = gateway.find() / "client"
    sizes = {
        kind: sum(gzipped(file) for file in client.rglob(f"*.{kind}")) for kind in ("js", "css")
    }
    report("client, gzipped", **sizes, total_kb=round(sum(sizes.values()) / 1000, 1))
    paints: list[float] = []
    with stack() as served, sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        url = f"http://127.0.0.1:{served.port}"
        cookie = f"twin_session_{served.port}"
        for _ in range(times + 1):
            context = browser.new_context()
            context.add_cookies([{"name": cookie, "value": served.session, "url": url}])
            tab = context.new_page()
            tab.goto(url, wait_until="load")
            assert tab.url == f"{url}/", tab.url
            paints.append(
                tab.evaluate(
                    "() => new Promise(done => new PerformanceObserver(list => "
                    "done(list.getEntriesByName('first-contentful-paint')[0].startTime))"
                    ".observe({type: 'paint', buffered: true}))"
                )
            )
            context.close()
        rooms = {}
        for room in ROOMS:
            context = browser.new_context()
            context.add_cookies([{"name": cookie, "value": served.session, "url": url}])
            tab = context.new_page()
            tab.goto(url + room, wait_until="load")
            tab.wait_for_timeout(1000)
            names = tab.evaluate(
                "() => performance.getEntriesByType('resource').map(one => one.name)"
            )
            files = {client / name.removeprefix(f"{url}/") for name in names if "/_app/" in name}
            zipped = (gzipped(file) for file in files if file.suffix in (".js", ".css"))
            rooms[room] = round(sum(zipped) / 1000, 1)
            context.close()
        browser.close()
    report(
        "first paint of /",
        first_ms=round(paints[0]),
        median_ms=round(median(paints[1:])),
        most_ms=round(max(paints[1:])),
        times=times,
    )
    report("script and style that a room loads, gzipped, kB", **rooms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("latency")
    one.add_argument("--seconds", type=float, default=5)
    one.add_argument("--rounds", type=int, default=5)
    commands.add_parser("upload").add_argument("--megabytes", type=int, default=200)
    one = commands.add_parser("streams")
    one.add_argument("--streams", type=int, default=50)
    one.add_argument("--events", type=int, default=400)
    one = commands.add_parser("cancel")
    one.add_argument("--times", type=int, default=20)
    one.add_argument("--home", type=Path, help="a home with an adapter, which is copied")
    commands.add_parser("page").add_argument("--times", type=int, default=7)
    chosen = parser.parse_args()
    report("machine", system=platform.platform(), cores=os.cpu_count(), load=os.getloadavg()[0])
    match chosen.command:
        case "latency":
            latency(chosen.seconds, chosen.rounds)
        case "upload":
            upload(chosen.megabytes)
        case "streams":
            streams(chosen.streams, chosen.events)
        case "cancel":
            cancel(chosen.times)
            if chosen.home:
                cancel_writing(chosen.home, chosen.times)
        case "page":
            page(chosen.times)


if __name__ == "__main__":
    main()
