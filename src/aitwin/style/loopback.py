"""HTTP to a model server on this machine, and to nothing else (W4, P1).

Knows addresses, JSON and streams of lines; knows nothing of what is said in them. No proxy is ever
used, whatever the environment says, and no redirect is followed: `http.client` knows neither.
"""

import json
import selectors
import socket
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import ip_address
from typing import IO, Any
from urllib.parse import urlsplit

from aitwin.errors import TwinError

PATIENCE = 300.0
"""Seconds without a byte: a 7B is read from a slow disk before its first token."""
BREATH = 0.25
"""Seconds of silence after which whoever waits for a line may leave."""
_PIECE = 1 << 20
_LONGEST = 1 << 24
"""Bytes of one line: an answer longer than that is no token."""


class RefusedError(TwinError):
    """The server answered, and said no."""

    def __init__(self, text: str, status: int, reason: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        """The server's own words, to be matched and never shown: they may quote the prompt."""


@dataclass(frozen=True)
class Server:
    """A program that listens on this machine."""

    url: str
    program: str
    """What it is called in messages: "Ollama"."""
    start: str
    """How the owner starts it."""
    patience: float = PATIENCE
    """Seconds without a byte after which it counts as stuck."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request: a key may be among them."""

    def __post_init__(self) -> None:
        """Raise TwinError unless the address is on this machine, and the headers can be sent."""
        address(self.url)
        # http.client would quote the key in its own complaint.
        if not all(map(_is_plain, self.headers.values())):
            raise TwinError(
                f"the key for {self.program} must be one line of ASCII characters; "
                "mend TWIN_HOME/secrets/writer-key"
            )

    def get(self, path: str) -> Any:
        """The JSON at `path`."""
        with self._answer("GET", path) as answer:
            return self._parsed(answer.read())

    def post(self, path: str, body: Any, method: str = "POST") -> Any:
        """The JSON that `path` answers `body` with; None when it answers nothing."""
        with self._answer(method, path, json.dumps(body).encode()) as answer:
            content = answer.read()
            return self._parsed(content) if content.strip() else None

    def lines(self, path: str, body: Any) -> Generator[bytes]:
        """The lines of a streamed answer; closing the iterator hangs up, which stops the server.

        An empty one is none of them: nothing has come for BREATH, and whoever asks may leave.
        """
        with self._explained(), closing(self._connection()) as connection:
            self._ask(connection, "POST", path, json.dumps(body).encode())
            wire = connection.sock  # the connection forgets it when the server closes at the end
            yield from self._silences(wire)
            with connection.getresponse() as answer:
                self._require(answer)
                while True:
                    if not _at_hand(answer, wire):
                        yield from self._silences(wire)
                    line = answer.readline(_LONGEST)
                    if not line:
                        return
                    if line.strip():
                        yield line.strip()

    def exists(self, path: str) -> bool:
        """Whether a HEAD request is answered with 200."""
        try:
            with self._answer("HEAD", path):
                return True
        except RefusedError as error:
            if error.status == 404:
                return False
            raise

    def send(
        self, path: str, file: IO[bytes], size: int, on_bytes: Callable[[int, int], None]
    ) -> None:
        """Upload a file piece by piece."""

        def pieces() -> Iterator[bytes]:
            done = 0
            while piece := file.read(_PIECE):
                yield piece
                done += len(piece)
                on_bytes(done, size)

        with self._answer("POST", path, pieces(), {"Content-Length": str(size)}):
            pass

    def parse(self, line: bytes) -> dict[str, Any]:
        """A line of a stream as a JSON object."""
        value = self._parsed(line)
        if not isinstance(value, dict):
            raise self.unintelligible()
        return value

    def unintelligible(self) -> TwinError:
        """What is to be raised when an answer is JSON, but of another form than it has to be."""
        return TwinError(
            f"what listens at {self.url} does not speak as {self.program} does: another program "
            "listens there, or a version that is not known; check the address, or update it"
        )

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        with self._explained(), closing(self._connection()) as connection:
            self._ask(connection, method, path, body, more)
            # It takes the socket over when the server ends it with the answer.
            with connection.getresponse() as answer:
                self._require(answer)
                yield answer

    def _connection(self) -> "_Local":
        host, port, _ = address(self.url)
        return _Local(host, port, timeout=self.patience)

    def _ask(
        self,
        connection: "_Local",
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        headers = {"Content-Type": "application/json", **self.headers, **(more or {})}
        connection.request(method, address(self.url)[2] + path, body, headers)

    def _require(self, answer: HTTPResponse) -> None:
        if answer.status >= 300:
            raise self._refused(answer)

    def _silences(self, wire: socket.socket) -> Iterator[bytes]:
        """An empty line for every BREATH in which nothing comes. Raises TimeoutError."""
        patience = time.monotonic() + self.patience
        with selectors.DefaultSelector() as selector:
            selector.register(wire, selectors.EVENT_READ)
            while not selector.select(min(BREATH, self.patience)):
                if time.monotonic() >= patience:
                    raise TimeoutError
                yield b""

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What is wrong with a server, in the owner's words."""
        try:
            yield
        except TwinError:
            raise
        except TimeoutError:
            raise TwinError(
                f"{self.program} at {self.url} gave no answer for {self.patience:.0f} s; "
                "is the machine out of memory? Restart it and try again"
            ) from None
        except (ConnectionRefusedError, socket.gaierror):
            raise TwinError(
                f"{self.program} does not listen at {self.url}; start it: {self.start}"
            ) from None
        except (OSError, HTTPException) as error:
            raise TwinError(
                f"{self.program} at {self.url} broke off ({type(error).__name__}); "
                "look whether it still runs, and try again"
            ) from None

    def _refused(self, answer: HTTPResponse) -> TwinError:
        if answer.status < 400:
            return TwinError(
                f"{self.program} at {self.url} sends requests elsewhere (HTTP {answer.status}); "
                "that is not followed: give the address of the server itself"
            )
        reason = answer.read(_PIECE).decode(errors="replace")
        text = f"{self.program} at {self.url} refused the request (HTTP {answer.status})"
        return RefusedError(f"{text}; its own log says why", answer.status, reason)

    def _parsed(self, content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError:
            raise self.unintelligible() from None


def _at_hand(answer: HTTPResponse, wire: socket.socket) -> bool:
    """Whether something of an answer has been read from the wire already, or lies there."""
    if answer.isclosed():
        return True  # it is over, and the next read says so
    patience = wire.gettimeout()
    wire.settimeout(0)
    try:
        return bool(answer.fp.peek(1))
    finally:
        wire.settimeout(patience)


class _Local(HTTPConnection):
    """A connection that ends on this machine, whatever its name resolves to."""

    def connect(self) -> None:
        super().connect()
        if not ip_address(self.sock.getpeername()[0].partition("%")[0]).is_loopback:
            self.close()
            raise TwinError(f"{self.host} is not this machine; give 127.0.0.1")


def address(url: str) -> tuple[str, int, str]:
    """Host, port and path prefix of a server on loopback.

    Raises TwinError for any other host: nothing personal leaves the machine.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        parts, host, port = urlsplit(""), "", 0
    # urlsplit drops line ends, and http.client sends no other letters than these.
    plain = _is_plain(url) and " " not in url
    more = "@" in parts.netloc or parts.query or parts.fragment
    if parts.scheme != "http" or not host or more or not plain:
        raise TwinError(f"{_shown(url)} is no address such as http://127.0.0.1:11434")
    if not _is_loopback(host):
        raise TwinError(
            f"{host} is not this machine: drafts are written here and nowhere else; "
            "give an address on 127.0.0.1"
        )
    return host, port, parts.path.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_plain(text: str) -> bool:
    """Whether a header or an address may hold it: printable ASCII, in one line."""
    return text.isascii() and text.isprintable()


def _shown(url: str) -> str:
    """An address without the password or key that it may hold."""
    shown = _is_plain(url) and not set("@?#") & set(url)
    return url if shown else "the address of the server"
