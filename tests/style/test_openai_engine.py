"""Any server that speaks as OpenAI does: a real one, and a hostile one; on loopback alone."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from style_samples import PERSONA, example

from aitwin import prompt
from aitwin.errors import TwinError
from aitwin.prompt import Task
from aitwin.style.compatible import OpenAICompatible
from aitwin.style.engine import LlamaCpp, Sampling, TooLongError
from aitwin.style.loopback import Server, address

CANARY = "zuccanary"
GREEDY = Sampling(16, temperature=0.0)
MESSAGES = prompt.messages(PERSONA, Task(f"Thank Ana for the spare parts, {CANARY}."))


class Scripted:
    """A server that answers every POST with the bytes it is given, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.answer = b""
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, object]] = []
        self.shown: list[str | None] = []
        self.hung_up = threading.Event()
        self.endless = False
        self.reads = threading.Event()
        """Set: it has the prompt read, and begins to write."""
        self.reads.set()
        self.begins_first = False
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *details: object) -> None:
                pass

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                scripted.asked.append(json.loads(self.rfile.read(length)))
                scripted.shown.append(self.headers["Authorization"])
                if not scripted.begins_first:
                    scripted.reads.wait(20)
                self.send_response(scripted.status)
                for name, value in scripted.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.flush()
                scripted.reads.wait(20)
                self.wfile.write(scripted.answer)
                try:
                    while scripted.endless:
                        self.wfile.write(scripted.answer)
                except ConnectionError:
                    scripted.hung_up.set()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with closing(Scripted()) as server:
        yield server


@pytest.mark.parametrize("begins_first", [True, False])
def test_whoever_asks_may_leave_while_the_prompt_is_read(
    scripted: Scripted, begins_first: bool
) -> None:
    """Whether the server begins its answer before the first word, or with it."""
    scripted.reads.clear()
    scripted.begins_first = begins_first
    scripted.answer = event("No") + b"data: [DONE]\n\n"
    with closing(OpenAICompatible(scripted.url, "twin").stream(MESSAGES, GREEDY)) as pieces:
        assert [next(pieces), next(pieces)] == ["", ""]
    with closing(OpenAICompatible(scripted.url, "twin").stream(MESSAGES, GREEDY)) as pieces:
        assert next(pieces) == ""
        scripted.reads.set()
        assert "".join(pieces) == "No"


def event(text: str, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, **more}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


END = event("", finish_reason="stop") + b"data: [DONE]\n\n"


# --- A draft --------------------------------------------------------------------------------------


def test_a_draft_from_llama_server(smollm2: Path, engine: LlamaCpp) -> None:
    """W1, W2: against a real server of that kind, on a port of loopback."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(smollm2)
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 512, 1, -1
    parameters.ui, parameters.port = False, 0
    parameters.api_keys = ["sesame"]
    server = xllamacpp.Server(parameters)
    url = f"{server.listening_address}/v1"
    with OpenAICompatible(url, "twin", key="sesame") as compatible:
        pieces = list(compatible.stream(MESSAGES, GREEDY))
        assert len(pieces) > 3
        greedy = Sampling(16, temperature=0.0, repeat_penalty=1.0)
        assert "".join(pieces) == "".join(engine.stream(MESSAGES, greedy))
        with pytest.raises(TooLongError) as error:
            list(compatible.stream(example(f"{CANARY} " * 600).messages[:-1], GREEDY))
        assert CANARY not in str(error.value)
        with pytest.raises(TwinError, match="writer-key"):
            list(OpenAICompatible(url, "twin").stream(MESSAGES, GREEDY))
        server.handle_completions({"prompt": [0], "max_tokens": 1})


def test_what_is_sent_is_what_the_reference_names(scripted: Scripted) -> None:
    scripted.answer = b": alive\n\nevent: x\n" + event("No") + event("pe.") + END
    engine = OpenAICompatible(scripted.url, "twin", "base", key="sesame")
    assert list(engine.stream(MESSAGES, Sampling(5, 0.1, 0.2, 1.3, 4))) == ["No", "pe."]
    assert list(engine.stream(MESSAGES, GREEDY, adapted=False)) == ["No", "pe."]
    first, second = scripted.asked
    assert first == {
        "model": "twin",
        "messages": MESSAGES,
        "stream": True,
        "max_tokens": 5,
        "temperature": 0.1,
        "top_p": 0.2,
        "seed": 4,
    }
    assert second["model"] == "base"
    assert scripted.shown == ["Bearer sesame"] * 2
    assert "sesame" not in repr(engine._server)


def test_closing_hangs_up(scripted: Scripted) -> None:
    scripted.answer, scripted.endless = event("more "), True
    pieces = OpenAICompatible(scripted.url, "twin").stream(MESSAGES, GREEDY)
    assert [next(pieces) for _ in range(3)] == ["more "] * 3
    pieces.close()
    assert scripted.hung_up.wait(10)


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (404, b'{"error": "zuccanary"}', "no model 'twin'"),
        (401, b"zuccanary", "writer-key"),
        (500, b"zuccanary", "HTTP 500"),
        (400, b'{"error": {"code": "context_length_exceeded", "x": "zuccanary"}}', "shorten"),
        (200, b"<html>zuccanary</html>", "stopped amid the draft"),
        (200, b"data: zuccanary\n\n", "does not speak as"),
        (200, b'data: {"error": "zuccanary"}\n\n', "gave up amid"),
        (200, event("half"), "stopped amid the draft"),
        (200, b"data: 3\n\n", "does not speak as"),
        (200, b'data: {"choices": ["zuccanary"]}\n\n', "does not speak as"),
        (200, b'data: {"choices": [{"delta": "zuccanary"}]}\n\n', "does not speak as"),
        (200, b'data: {"choices": 3}\n\n', "does not speak as"),
    ],
)
def test_refusals_are_told_without_a_word_of_the_prompt(
    scripted: Scripted, status: int, answer: bytes, told: str
) -> None:
    scripted.status, scripted.answer = status, answer
    with pytest.raises(TwinError, match=told) as error:
        list(OpenAICompatible(scripted.url, "twin").stream(MESSAGES, GREEDY))
    assert CANARY not in str(error.value)


def test_a_redirect_is_not_followed(scripted: Scripted) -> None:
    """P1: nor does a server on this machine send a mail to another."""
    scripted.status = 307
    scripted.headers = {"Location": "http://192.0.2.1/v1/chat/completions"}
    with pytest.raises(TwinError, match="sends requests elsewhere"):
        list(OpenAICompatible(scripted.url, "twin").stream(MESSAGES, GREEDY))


def test_no_proxy_is_used(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    scripted.answer = event("here") + END
    assert list(OpenAICompatible(scripted.url, "twin").stream(MESSAGES, GREEDY)) == ["here"]


def test_a_server_that_is_stuck_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(TwinError, match="does not listen"):
            list(OpenAICompatible(url, "twin").stream(MESSAGES, GREEDY))
        silent.listen()
        with pytest.raises(TwinError, match="no answer for"):
            list(OpenAICompatible(url, "twin", patience=0.2).stream(MESSAGES, GREEDY))


def test_a_base_is_optional(scripted: Scripted) -> None:
    with pytest.raises(TwinError, match=r"writer\.base_model"):
        list(OpenAICompatible(scripted.url, "twin").stream(MESSAGES, GREEDY, adapted=False))
    assert scripted.asked == []


# --- Only this machine ----------------------------------------------------------------------------

HERE = ("http://127.0.0.1:1/v1", "http://localhost", "http://[::1]:8080", "http://127.8.8.8/")
ELSEWHERE = (
    *("http://192.168.1.4:11434", "http://example.org/v1", "http://0.0.0.0:80", "http://[fe80::1]"),
    *("http://127.0.0.1.example.org", "http://localhost.example.org", "http://2130706433/"),
)
NONSENSE = (
    "",
    "127.0.0.1:11434",
    "https://127.0.0.1",
    "file:///x",
    "http://",
    "http://[x",
    "http://a:b@127.0.0.1",
    "http://:zuccanary@127.0.0.1",
    "http://@127.0.0.1",
    "http://127.0.0.1/zuccanary\n/v1",
    "http://127.0.0.1/zuccanary/\u00fc",
    "http://127.0.0.1/v1?key=zuccanary",
)


@pytest.mark.parametrize("url", HERE)
def test_addresses_of_this_machine(url: str) -> None:
    assert address(url)


@pytest.mark.parametrize("url", [*ELSEWHERE, *NONSENSE])
@pytest.mark.parametrize("make", [Server, OpenAICompatible])
def test_any_other_address_is_refused(url: str, make: Callable[..., object]) -> None:
    """W4, P1."""
    with pytest.raises(TwinError, match=r"127\.0\.0\.1") as error:
        make(url, "x", "y")
    assert CANARY not in str(error.value)


@pytest.mark.parametrize("key", [f"{CANARY}\nx", f"{CANARY}\u00fc", f"{CANARY}\u4f60", "\x00"])
def test_a_key_that_no_header_holds_is_refused_untold(key: str) -> None:
    with pytest.raises(TwinError, match=r"one line of ASCII.*writer-key") as error:
        OpenAICompatible("http://127.0.0.1:1/v1", "twin", key=key)
    assert CANARY not in str(error.value)


def test_a_name_that_leads_elsewhere_is_not_spoken_to(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a hosts file says of localhost: the end of the connection counts."""
    monkeypatch.setattr(socket.socket, "getpeername", lambda self: ("192.0.2.1", 80))
    url = scripted.url.replace("127.0.0.1", "localhost")
    with pytest.raises(TwinError, match="is not this machine"):
        list(OpenAICompatible(url, "twin").stream(MESSAGES, GREEDY))
    assert scripted.asked == []
