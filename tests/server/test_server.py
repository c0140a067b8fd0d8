"""The server with OpenAI's own client, the real small model and the real bundled voice."""

import io
import json
import logging
import secrets
import socket
import sys
import threading
import wave
from contextlib import contextmanager

import httpx2 as httpx
import openai
import pytest
import uvicorn

from aitwin.errors import TwinError
from aitwin.prompt import Persona, Task
from aitwin.server import app as application
from aitwin.server import listening as ports
from aitwin.server.writing import ChatRequest
from aitwin.style.engine import LlamaCpp, Sampling
from aitwin.style.writer import Writer, sampling_for
from aitwin.twin import Twin
from aitwin.voice.engines import Bundled
from aitwin.voice.studio import Studio

CANARY = "zuccanary"
TOKEN = secrets.token_urlsafe()
SAY_NO = [{"role": "user", "content": f"Say no to {CANARY}."}]
LONG = [{"role": "user", "content": "Count from one to one thousand in words, with commas."}]

pytestmark = pytest.mark.model


@contextmanager
def served(app):
    """The application behind uvicorn on a free port of loopback: its address."""
    listening = ports.bind(0)
    ports.listen(listening)
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def twin(smollm2):
    with LlamaCpp(smollm2, threads=1) as engine:
        yield Twin(Writer(engine, Persona("Thota", ("concise",))), Studio())


@pytest.fixture(scope="module")
def address(twin):
    with served(application.create(twin, TOKEN)) as address:
        yield address


@pytest.fixture
def client(address):
    with openai.OpenAI(
        base_url=f"{address}/v1", api_key=TOKEN, max_retries=0, timeout=60
    ) as client:
        yield client


@pytest.fixture
def http(address):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
        yield client


def test_a_draft_comes_whole(client):
    """W1, W2: OpenAI-compatible."""
    done = client.chat.completions.create(
        model="twin", messages=SAY_NO, max_tokens=12, temperature=0
    )
    assert done.object == "chat.completion"
    assert done.choices[0].message.role == "assistant"
    assert done.choices[0].message.content


@pytest.mark.parametrize(("limit", "reason"), [(5, "length"), (200, "stop")])
def test_a_draft_that_was_cut_off_says_so(client, limit, reason):
    asked = [{"role": "user", "content": "Reply with the one word: yes."}]
    asked = {"model": "base", "messages": asked if limit > 5 else LONG, "temperature": 0}
    whole = client.chat.completions.create(**asked, max_tokens=limit)
    assert whole.choices[0].finish_reason == reason
    *_, last = client.chat.completions.create(**asked, max_tokens=limit, stream=True)
    assert last.choices[0].finish_reason == reason


def test_a_message_in_parts_is_the_message(client):
    """As OpenAI's newer clients send it."""
    asked = {"model": "twin", "max_tokens": 8, "temperature": 0}
    text = {"type": "text", "text": "Say no"}
    parts = [{"role": "user", "content": [text, {"type": "text", "text": "to Ana."}]}]
    whole = [{"role": "user", "content": "Say no\nto Ana."}]
    assert (
        client.chat.completions.create(**asked, messages=parts).choices[0].message
        == client.chat.completions.create(**asked, messages=whole).choices[0].message
    )


@pytest.mark.parametrize(
    "extra",
    [{"n": 1}, {"stop": None}, {"stop": []}, {"tools": []}, {"response_format": {"type": "text"}}],
)
def test_what_asks_for_nothing_is_no_error(http, extra):
    body = {"messages": SAY_NO, "max_tokens": 1, **extra}
    assert http.post("/v1/chat/completions", json=body).status_code == 200


def test_a_draft_streams_and_is_the_same_text(client):
    asked = {"model": "twin", "messages": SAY_NO, "max_tokens": 12, "temperature": 0}
    chunks = list(client.chat.completions.create(**asked, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert len(chunks) > 3
    assert chunks[-1].choices[0].finish_reason
    whole = client.chat.completions.create(**asked)
    assert text.strip() == whole.choices[0].message.content


def test_context_and_earlier_turns_reach_the_model(client):
    """`context` is ours: it goes where training put the mail that is answered."""
    turns = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hi!"}]
    asked = {"model": "base", "max_tokens": 12, "temperature": 0}
    drafts = {
        client.chat.completions.create(**asked, messages=messages, extra_body=extra)
        .choices[0].message.content
        for messages, extra in (
            (SAY_NO, {}),
            (SAY_NO, {"context": "Will you buy my blue boat on Tuesday for nine pounds?"}),
            ([*turns, *SAY_NO], {}),
        )
    }  # fmt: skip
    assert len(drafts) == 3


def test_what_is_asked_for_reaches_the_task():
    """W2: kind, recipient, register, length; words and room for the draft."""
    fields = {"kind": "reply", "to": "Ana", "register": "chat", "length": 50, "reference": "Ho."}
    wanted = ChatRequest(messages=[{"role": "user", "content": "No."}], context="a", **fields)
    assert wanted.task == Task(
        "No.", "a", "Ho.", kind="reply", to="Ana", register="chat", length=50
    )
    assert wanted.sampling == sampling_for(50)
    assert wanted.model_copy(update={"max_tokens": 7}).sampling.max_tokens == 7
    plain = ChatRequest(messages=[{"role": "user", "content": "No."}])
    assert plain.task == Task("No.")
    assert plain.sampling == Sampling()


@pytest.mark.parametrize("kind", ["reply", "rewrite"])
def test_who_gives_a_text_to_answer_need_say_no_more(kind):
    turns = [{"role": "user", "content": ""}]
    assert ChatRequest(messages=turns, kind=kind, context="Hi.").task.instruction == ""


class Announcing:
    """An engine that adds what a model may: it cannot be made to."""

    def stream(self, messages, sampling, *, adapted=True):
        yield from ("Here's a draft:\n", "\nNo, ", f"{CANARY}.\n\n", "[Your Name]")


def test_what_was_taken_off_is_told_by_its_kind():
    """W3: as in `twin write --json`; no text."""
    writer = Writer(Announcing(), Persona("Thota"))
    app = application.create(Twin(writer, Studio()), TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with served(app) as address, httpx.Client(base_url=address, headers=headers) as http:
        whole = http.post("/v1/chat/completions", json={"messages": SAY_NO}).json()
        stream = http.post("/v1/chat/completions", json={"messages": SAY_NO, "stream": True}).text
    assert whole["choices"][0]["message"]["content"] == f"No, {CANARY}."
    assert whole["taken_off"] == ["announcement", "placeholder"]
    *pieces, last, end = stream.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["taken_off"] == whole["taken_off"]
    assert not any("taken_off" in piece for piece in pieces)
    assert end == "data: [DONE]"


def test_models_are_listed(client):
    assert {model.id for model in client.models.list()} == {"twin", "base"}


def test_speech_streams_a_wav(client):
    """S2: 22,050 Hz, 16 bit, mono; sent sentence by sentence."""
    with client.audio.speech.with_streaming_response.create(
        model="bundled", voice="base", input="The kettle is on. No sugar.", response_format="wav"
    ) as answer:
        assert answer.headers["content-type"] == "audio/wav"
        assert "content-length" not in answer.headers
        sound = b"".join(answer.iter_bytes())
    with wave.open(io.BytesIO(sound)) as opened:
        assert (opened.getframerate(), opened.getsampwidth(), opened.getnchannels()) == (
            22_050, 2, 1,
        )  # fmt: skip
    assert len(sound) > 22_050


def test_speech_comes_as_mp3(client):
    import soundfile

    answer = client.audio.speech.create(
        model="bundled", voice="bundled", input="The kettle is on.", response_format="mp3"
    )
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert rate == 22_050
    assert abs(samples).max() > 0.05


def test_health_wants_no_token_and_everything_else_does(address):
    """O3."""
    assert httpx.get(f"{address}/health").json()["status"] == "ok"
    for method, path in (
        ("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/v1/audio/speech"),
    ):  # fmt: skip
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            answer = httpx.request(method, address + path, headers=headers, json={"a": CANARY})
            assert answer.status_code == 401, (method, path, headers)
    for page in ("/openapi.json", "/docs", "/redoc"):
        assert httpx.get(address + page).status_code == 404
    with (
        openai.OpenAI(base_url=f"{address}/v1", api_key="x", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "testserver", ""])
def test_a_page_that_rebinds_its_name_is_refused(address, host):
    answer = httpx.get(f"{address}/health", headers={"Host": host})
    assert answer.status_code in (400, 421)


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("chat/completions", {"messages": []}, "body.messages"),
        ("chat/completions", {"messages": [{"role": CANARY, "content": CANARY}]}, "role"),
        ("chat/completions", {"messages": SAY_NO, "max_tokens": CANARY}, "max_tokens"),
        ("chat/completions", {"messages": SAY_NO, "temperature": 9}, "temperature"),
        ("chat/completions", {"messages": [{"role": "assistant", "content": CANARY}]}, "messages"),
        ("chat/completions", {"messages": SAY_NO, "context": CANARY * 20_000}, "context"),
        ("chat/completions", {"messages": SAY_NO, "kind": CANARY}, "kind"),
        ("chat/completions", {"messages": SAY_NO, "kind": "reply", "to": CANARY}, "context"),
        ("chat/completions", {"messages": SAY_NO, "to": CANARY * 99}, "to"),
        ("chat/completions", {"messages": SAY_NO, "register": CANARY}, "register"),
        ("chat/completions", {"messages": SAY_NO, "length": 0}, "length"),
        ("chat/completions", {"messages": SAY_NO, "length": CANARY}, "length"),
        ("chat/completions", {"messages": SAY_NO, "length": True}, "length"),
        ("chat/completions", {"messages": SAY_NO, "length": "20"}, "length"),
        ("chat/completions", {"messages": SAY_NO, "max_tokens": True}, "max_tokens"),
        ("chat/completions", {"messages": SAY_NO, "max_tokens": "5"}, "max_tokens"),
        ("chat/completions", {"messages": SAY_NO, "temperature": "1"}, "temperature"),
        ("chat/completions", {"messages": SAY_NO, "top_p": True}, "top_p"),
        ("chat/completions", {"messages": [{"role": "user", "content": " "}]}, "what to write"),
        ("chat/completions", {"messages": SAY_NO, "stop": [CANARY]}, "stop"),
        ("chat/completions", {"messages": SAY_NO, "n": 2}, "n"),
        ("chat/completions", {"messages": SAY_NO, "tools": [{"type": CANARY}]}, "tools"),
        ("chat/completions", {"messages": SAY_NO, "logprobs": True}, "logprobs"),
        ("chat/completions", {"messages": SAY_NO, "response_format": {"type": CANARY}}, "format"),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "text": CANARY}]}]},
            "content",
        ),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 7}, CANARY]}]},
            "content",
        ),
        ("audio/speech", {"input": ""}, "input"),
        ("audio/speech", {"input": CANARY, "speed": 40}, "speed"),
        ("audio/speech", {"input": CANARY, "response_format": CANARY}, "response_format"),
    ],
)
def test_what_is_wrong_with_a_request_is_named_and_not_repeated(http, path, body, place):
    answer = http.post(f"/v1/{path}", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert place in answer.json()["detail"]
    assert CANARY not in answer.text


def test_what_is_no_json_is_not_repeated(http):
    answer = http.post("/v1/chat/completions", content=f"{{{CANARY}")
    assert answer.status_code == 422
    assert CANARY not in answer.text


def test_a_model_or_voice_that_is_not_here_is_not_found(client, http):
    with pytest.raises(openai.NotFoundError, match="no such model"):
        client.chat.completions.create(model="gpt-9", messages=SAY_NO)
    answer = http.post("/v1/audio/speech", json={"input": CANARY, "voice": "morgan"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert http.get("/v1/nothing").json()["error"]["code"] == 404


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_owner_can_mend_is_told_before_the_answer_begins(http, stream):
    """A TwinError: a prompt beyond the context."""
    body = {"messages": SAY_NO, "context": f"{CANARY} word " * 6000, "stream": stream}
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 422
    assert "tokens" in answer.json()["detail"]
    assert CANARY not in answer.text


def test_what_cannot_be_said_is_told_before_the_sound_begins(http, twin, monkeypatch):
    def refused(*args, **options):
        raise TwinError("the bundled voice does not load")

    monkeypatch.setattr(Bundled, "speak", refused)
    answer = http.post("/v1/audio/speech", json={"input": CANARY})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "the bundled voice does not load"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_the_engine(client, address, twin, stream):
    """Within moments, not after the 4,000 tokens that it asked for."""
    body = {"messages": LONG, "max_tokens": 4000, "temperature": 0, "stream": stream}
    host, port = address.removeprefix("http://").split(":")
    content = json.dumps(body)
    with socket.create_connection((host, int(port))) as leaver:
        leaver.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n{content}".encode()
        )
        if stream:
            assert b"200 OK" in leaver.recv(1000)
        else:
            _until(twin.writer.engine._lock.locked)
    quick = client.chat.completions.create(model="twin", messages=SAY_NO, max_tokens=2)
    assert quick.choices[0].message.content is not None


def _until(holds):
    pause = threading.Event()
    for _ in range(3000):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("never")


def test_many_who_wait_do_not_starve_the_one_who_writes(address):
    """More requests than the server has threads: all of them are answered."""
    body = {"messages": SAY_NO, "max_tokens": 1, "stream": True}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    statuses = []

    def ask():
        with httpx.Client(base_url=address, headers=headers, timeout=90) as one:
            statuses.append(one.post("/v1/chat/completions", json=body).status_code)

    askers = [threading.Thread(target=ask) for _ in range(44)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert statuses == [200] * 44


def test_a_bug_is_told_without_the_words_that_were_in_it(twin, caplog, capfd):
    """Rule 8: the text of an exception may quote a mail; the log has its kind and place."""
    app = application.create(twin, TOKEN)

    @app.get("/bug")
    def bug() -> None:
        raise ValueError(CANARY)

    uvicorn_log = logging.getLogger("uvicorn.error")
    uvicorn_log.addFilter(ports._without_words)
    try:
        with served(app) as address:
            answer = httpx.get(f"{address}/bug")
    finally:
        uvicorn_log.removeFilter(ports._without_words)
    assert answer.status_code == 500
    assert answer.json()["detail"] == "this is a bug (ValueError); please report it"
    logged = capfd.readouterr().err + caplog.text
    assert "ValueError in" in logged
    assert "test_server.py" in logged
    assert CANARY not in logged + answer.text


def test_closing_unloads_the_twin_after_the_last_request(twin):
    closed = []
    with served(application.create(twin, TOKEN, on_close=lambda: closed.append(True))) as address:
        assert httpx.get(f"{address}/health").is_success
        assert not closed
    assert closed == [True]


def test_a_port_in_use_is_told_and_loopback_is_the_only_address():
    with ports.bind(0) as first:
        ports.listen(first)
        assert first.getsockname()[0] == "127.0.0.1"
        port = first.getsockname()[1]
        with pytest.raises(TwinError, match=f"port {port} on 127.0.0.1 .*--port"):
            ports.bind(port)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the second cannot bind")
def test_of_two_that_start_at_once_the_one_that_is_ready_first_gets_the_port():
    with ports.bind(0) as first:
        port = first.getsockname()[1]
        with ports.bind(port) as second:
            ports.listen(first)
            with pytest.raises(TwinError, match=f"port {port} on 127.0.0.1 .*--port"):
                ports.listen(second)
