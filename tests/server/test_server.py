"""The server with OpenAI's own client, the real small model and the real bundled voice."""

import asyncio
import io
import json
import logging
import socket
import stat
import sys
import threading
import time
import wave
from contextlib import suppress
from dataclasses import replace

import httpx2 as httpx
import openai
import pytest

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home, Settings
from aitwin.prompt import Persona, Task
from aitwin.server import app as application
from aitwin.server import listening as ports
from aitwin.server.desk import Desk, Seat
from aitwin.server.drafting import Drafting
from aitwin.server.problems import ClientGoneError
from aitwin.server.queueing import Line
from aitwin.server.writing import MOST_TOKENS, ChatRequest, until_a_stop
from aitwin.style.engine import LlamaCpp, Sampling
from aitwin.style.writer import Writer, sampling_for
from aitwin.voice.engines import Bundled
from aitwin.voice.studio import Studio
from tests.server.served import CREDENTIAL, HEADERS, asking, parts_of, served

CANARY = "zuccanary"
SAY_NO = [{"role": "user", "content": f"Say no to {CANARY}."}]
LONG = [{"role": "user", "content": "Count from one to one thousand in words, with commas."}]

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def engine(smollm2):
    with LlamaCpp(smollm2, threads=1) as engine:
        yield engine


def written_by(engine, place, **others):
    """Parts in which that engine writes."""
    desk = Desk.with_(Writer(engine, Persona("Thota", ("concise",))))
    return parts_of(place, desk=desk, studio=Studio(), **others)


@pytest.fixture(scope="module")
def address(engine, tmp_path_factory):
    parts = written_by(engine, tmp_path_factory.mktemp("home") / "twin")
    with served(application.create(parts)) as address:
        yield address


@pytest.fixture
def client(address):
    with openai.OpenAI(
        base_url=f"{address}/v1",
        api_key=CREDENTIAL,
        default_headers=HEADERS,
        max_retries=0,
        timeout=60,
    ) as client:
        yield client


@pytest.fixture
def http(address):
    with httpx.Client(base_url=address, headers=HEADERS, timeout=60) as client:
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


def test_what_was_taken_off_is_told_by_its_kind(home):
    """W3: as in `twin write --json`; no text."""
    with asking(written_by(Announcing(), home)) as http:
        whole = http.post("/v1/chat/completions", json={"messages": SAY_NO}).json()
        stream = http.post("/v1/chat/completions", json={"messages": SAY_NO, "stream": True}).text
    assert whole["choices"][0]["message"]["content"] == f"No, {CANARY}."
    assert whole["taken_off"] == ["announcement", "placeholder"]
    *pieces, last, end = stream.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["taken_off"] == whole["taken_off"]
    assert not any("taken_off" in piece for piece in pieces)
    assert end == "data: [DONE]"


def test_what_programs_send_to_openai_by_default_is_answered_by_the_twin(client):
    """W1: "existing apps work": their models, nulls, more tokens than there are, tools' turns."""
    answer = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "user", "content": "Look it up."},
            {"role": "assistant", "content": None},
            *SAY_NO,
        ],
        temperature=None,
        top_p=None,
        stop=None,
        max_tokens=8,
        max_completion_tokens=None,
        user="somebody",
    )
    assert answer.model == "twin"
    assert answer.usage.completion_tokens == 8
    assert answer.usage.prompt_tokens > 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8


def test_more_tokens_than_there_are_is_as_many_as_there_are():
    asked = ChatRequest.model_validate({"messages": SAY_NO, "max_tokens": 100_000})
    assert asked.sampling.max_tokens == MOST_TOKENS


def test_a_stream_tells_of_its_tokens_where_that_is_asked_for(client):
    asked = {"model": "twin", "messages": SAY_NO, "max_tokens": 8, "stream": True}
    told = [one.usage for one in client.chat.completions.create(**asked)]
    assert set(told) == {None}
    with client.chat.completions.create(**asked, stream_options={"include_usage": True}) as stream:
        *rest, last = stream
    assert {one.usage for one in rest} == {None}
    assert last.choices == []
    assert last.usage.completion_tokens == 8


@pytest.mark.parametrize("stream", [False, True])
def test_a_draft_ends_before_the_text_that_is_to_end_it(client, stream):
    asked = {"model": "twin", "messages": LONG, "max_tokens": 40, "temperature": 0}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    stop = whole[12:17]
    assert whole.find(stop) == 12, whole
    answer = client.chat.completions.create(**asked, stop=["\u0001", stop], stream=stream)
    if stream:
        pieces = list(answer)
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
        finish = pieces[-1].choices[0].finish_reason
    else:
        text, finish = answer.choices[0].message.content, answer.choices[0].finish_reason
    assert text.strip() == whole[:12].strip()
    assert finish == "stop"


@pytest.mark.parametrize(
    ("pieces", "stops", "text"),
    [
        (["a", "b", "c"], [], "abc"),
        (["a ST", "O", "P b"], ["STOP"], "a "),
        (["a ST", "O", "R b"], ["STOP"], "a STOR b"),
        (["a ST"], ["STOP"], "a ST"),
        (["one two"], ["two", "one"], ""),
        (["aab", "c"], ["ab"], "a"),
    ],
)
def test_what_may_begin_a_stop_is_held_back_until_it_is_known(pieces, stops, text):
    async def given():
        for piece in pieces:
            yield piece

    async def read():
        draft = Drafting(given(), [], threading.Event(), None, 9, "")
        said = [piece async for piece in until_a_stop(draft, stops)]
        assert draft.stopped is draft.halt.is_set()
        assert all(said)
        return "".join(said)

    assert asyncio.run(read()) == text


def test_one_model_is_told_of(client):
    assert client.models.retrieve("base").id == "base"
    with pytest.raises(openai.NotFoundError, match="no such model"):
        client.models.retrieve("llama-9")


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
        ("POST", "/say"), ("GET", "/state"), ("GET", "/nothing"),
    ):  # fmt: skip
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {CREDENTIAL}"},
        ):
            answer = httpx.request(method, address + path, headers=headers, json={"a": CANARY})
            assert answer.status_code == 401, (method, path, headers)
    for page in ("/openapi.json", "/docs", "/redoc"):
        assert httpx.get(address + page).status_code == 401
        assert httpx.get(address + page, headers=HEADERS).status_code == 404
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
        ("chat/completions", {"messages": []}, "#/messages"),
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
        ("chat/completions", {"messages": SAY_NO, "stop": [7]}, "stop"),
        ("chat/completions", {"messages": SAY_NO, "stop": [CANARY] * 5}, "stop"),
        ("chat/completions", {"messages": SAY_NO, "stop": [""]}, "stop"),
        ("chat/completions", {"messages": [{"role": "user", "content": None}]}, "content"),
        ("chat/completions", {"messages": SAY_NO, "max_tokens": 0}, "max_tokens"),
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
    problem = answer.json()
    assert problem["type"] == "urn:aitwin:problem:invalid-request"
    assert any(place in one["pointer"] + one["detail"] for one in problem["errors"])
    assert CANARY not in answer.text


def test_what_is_no_json_is_not_repeated(http):
    json_ = {"Content-Type": "application/json"}
    answer = http.post("/v1/chat/completions", content=f"{{{CANARY}", headers=json_)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "malformed"
    assert CANARY not in answer.text
    answer = http.post("/v1/chat/completions", content=CANARY)
    assert answer.status_code == 415
    assert CANARY not in answer.text


def test_ten_megabytes_are_refused_unread(address, http):
    """O3: also where nobody says how many they are; a stranger's are not read at all."""
    much = json.dumps({"messages": [{"role": "user", "content": "word " * 2_000_000}]}).encode()
    json_ = {"Content-Type": "application/json"}
    answer = http.post("/v1/chat/completions", content=much, headers=json_)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")
    pieces = (much[start : start + 65536] for start in range(0, len(much), 65536))
    answer = http.post("/v1/chat/completions", content=pieces, headers=json_)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as stranger:
        stranger.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{".encode()
        )
        assert b" 401 " in stranger.recv(1000)


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\ufffe", "a\u202eb"])
def test_strange_characters_are_text_or_refused(http, text):
    body = json.dumps({"messages": [{"role": "user", "content": f"Say {text}."}], "max_tokens": 1})
    answer = http.post(
        "/v1/chat/completions", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (200, 422)


def test_a_model_or_voice_that_is_not_here_is_not_found(client, http):
    with pytest.raises(openai.NotFoundError, match="no such model"):
        client.chat.completions.create(model="llama-9", messages=SAY_NO)
    answer = http.post("/v1/audio/speech", json={"input": CANARY, "voice": "morgan"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert http.get("/v1/nothing").json()["error"]["code"] == "not-found"


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_owner_can_mend_is_told_before_the_answer_begins(http, stream):
    """A TwinError: a prompt beyond the context."""
    body = {"messages": SAY_NO, "context": f"{CANARY} word " * 6000, "stream": stream}
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 422
    assert "tokens" in answer.json()["detail"]
    assert CANARY not in answer.text


def test_what_cannot_be_said_is_told_before_the_sound_begins(http, monkeypatch):
    def refused(*args, **options):
        raise TwinError("the bundled voice does not load")

    monkeypatch.setattr(Bundled, "speak", refused)
    answer = http.post("/v1/audio/speech", json={"input": CANARY})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "the bundled voice does not load"


def leave(address, body, path="/v1/chat/completions"):
    """A connection on which that was asked; whoever closes it has left."""
    host, port = address.removeprefix("http://").split(":")
    content = json.dumps(body)
    leaver = socket.create_connection((host, int(port)), timeout=30)
    leaver.sendall(
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        "X-Twin-Caller: machine\r\n"
        f"Authorization: Bearer {CREDENTIAL}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n{content}".encode()
    )
    return leaver


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_the_engine(client, address, engine, stream):
    """Within moments, not after the 4,000 tokens that it asked for."""
    body = {"messages": LONG, "max_tokens": 4000, "temperature": 0, "stream": stream}
    with leave(address, body) as leaver:
        if stream:
            assert b"200 OK" in leaver.recv(1000)
        else:
            _until(engine._lock.locked)
    quick = client.chat.completions.create(model="twin", messages=SAY_NO, max_tokens=2)
    assert quick.choices[0].message.content is not None


class Reader:
    """An engine that reads a prompt for as long as it is let: it says so, as llama.cpp does."""

    def __init__(self):
        self.read = 0
        self.closed = threading.Event()

    def stream(self, messages, sampling, *, adapted=True):
        try:
            while True:
                self.read += 1
                time.sleep(0.005)
                yield ""
        finally:
            self.closed.set()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/say"])
def test_whoever_leaves_while_the_prompt_is_read_is_not_waited_for(home, path, stream):
    """Before the first word, when no answer has begun that could break."""
    reader = Reader()
    with served(application.create(written_by(reader, home))) as address:
        body = {"messages": SAY_NO, "stream": stream}
        if path == "/say":
            body = {"prompt": "Say no.", "answer": "events" if stream else "json"}
        with leave(address, body, path):
            _until(lambda: reader.read > 3)
            assert not reader.closed.is_set()
        assert reader.closed.wait(10)


class Babbler:
    """An engine that has a whole draft at once."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.drafts = 0

    def stream(self, messages, sampling, *, adapted=True):
        yield from ["word " * 100] * self.pieces
        self.drafts += 1


def test_who_reads_slowly_holds_up_nobody(home):
    """A draft of megabytes that nobody takes off the wire: the next one is written meanwhile."""
    babbler = Babbler(20_000)
    with (
        served(application.create(written_by(babbler, home))) as address,
        leave(address, {"messages": SAY_NO, "stream": True}) as slow,
    ):
        assert b"200 OK" in slow.recv(100)
        _until(lambda: babbler.drafts == 1)
        babbler.pieces = 1
        body = {"messages": SAY_NO}
        answer = httpx.post(
            f"{address}/v1/chat/completions", json=body, headers=HEADERS, timeout=30
        )
        assert answer.status_code == 200


def _until(holds):
    pause = threading.Event()
    for _ in range(3000):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("never")


def test_many_who_wait_do_not_starve_the_one_who_writes(engine, home):
    """More requests than the server has threads: all of them are answered."""
    parts = replace(written_by(engine, home), writing=Line("draft", most=60))
    body = {"messages": SAY_NO, "max_tokens": 1, "stream": True}
    statuses = []

    def ask(address):
        with httpx.Client(base_url=address, headers=HEADERS, timeout=90) as one:
            statuses.append(one.post("/v1/chat/completions", json=body).status_code)

    with served(application.create(parts)) as address:
        askers = [threading.Thread(target=ask, args=(address,)) for _ in range(44)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
    assert statuses == [200] * 44


def test_too_many_are_told_when_to_come_again(home):
    """429 and Retry-After; whoever leaves makes room."""
    parts = replace(written_by(Reader(), home), writing=Line("draft", most=2))
    with served(application.create(parts)) as address:
        waiting = [leave(address, {"messages": SAY_NO}) for _ in range(3)]
        _until(lambda: parts.writing.places == 3)
        url, body = f"{address}/v1/chat/completions", {"messages": SAY_NO}
        answer = httpx.post(url, json=body, headers=HEADERS)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        for one in waiting:
            one.close()
        _until(lambda: parts.writing.places == 0)


def test_a_bug_is_told_without_the_words_that_were_in_it(parts, caplog, capfd):
    """Rule 8: the text of an exception may quote a mail; the log has its kind and place."""
    app = application.create(parts)

    @app.get("/bug")
    def bug() -> None:
        raise ValueError(CANARY)

    uvicorn_log = logging.getLogger("uvicorn.error")
    uvicorn_log.addFilter(ports._without_words)
    try:
        with served(app) as address:
            answer = httpx.get(f"{address}/bug", headers=HEADERS)
    finally:
        uvicorn_log.removeFilter(ports._without_words)
    assert answer.status_code == 500
    assert answer.json()["detail"] == "this is a bug (ValueError); please report it"
    logged = capfd.readouterr().err + caplog.text
    assert "ValueError in" in logged
    assert "test_server.py" in logged
    assert CANARY not in logged + answer.text


def test_a_stream_that_was_cut_off_on_purpose_is_no_bug():
    """As that of a caller who was revoked: uvicorn gets such an error, and logs it."""
    try:
        try:
            raise ClientGoneError
        except ClientGoneError as gone:
            raise RuntimeError("response already started") from gone
    except RuntimeError as error:
        told = (type(error), error, error.__traceback__)
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "x", (), told)
    assert not ports._without_words(record)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/say", "/voices/uploads"])
def test_whoever_hangs_up_in_a_body_is_no_bug(parts, caplog, capfd, path):
    """What is chunked, and ends with the connection, as ten megabytes do that are given up."""
    uvicorn_log = logging.getLogger("uvicorn.error")
    uvicorn_log.addFilter(ports._without_words)
    try:
        with served(application.create(parts)) as address:
            host, port = address.removeprefix("http://").split(":")
            for body in (b'5\r\n{"mes\r\n', b'5\r\n{"mes'):
                with socket.create_connection((host, int(port)), timeout=10) as leaving:
                    head = (
                        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
                        f"Authorization: {HEADERS['Authorization']}\r\n"
                        "X-Twin-Caller: machine\r\n"
                        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                    )
                    leaving.sendall(head.encode() + body)
                    time.sleep(0.2)  # so that the body is being read
            assert httpx.get(f"{address}/health").status_code == 200
    finally:
        uvicorn_log.removeFilter(ports._without_words)
    assert capfd.readouterr().err + caplog.text == ""


def test_what_reads_forms_logs_nothing_of_them(caplog):
    """python-multipart quotes the byte that it stumbles over."""
    from python_multipart import MultipartParser

    multipart = logging.getLogger("python_multipart")
    before = multipart.level
    try:
        ports.silence()
        with suppress(Exception):
            MultipartParser(b"boundary", {}).write(b"--bounZuccanary")
    finally:
        multipart.setLevel(before)
    assert caplog.text == ""


def test_nothing_is_told_to_anybody_else_whatever_the_environment_says(parts, monkeypatch):
    """P1: FastAPI can send paths, queries and errors to an address in the environment."""
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    app = application.create(parts)
    told = {name: app._telemetry[name] for name in ("tracing", "metrics", "logs", "auto_configure")}
    assert not any(told.values())
    parts.close()


def test_closing_unloads_the_twin_after_the_last_request(home):
    closed = []
    desk = Desk.with_(Writer(Announcing(), Persona("Thota")), lambda: closed.append(True))
    with asking(parts_of(home, desk=desk)) as http:
        assert http.post("/v1/chat/completions", json={"messages": SAY_NO}).is_success
        assert not closed
    assert closed == [True]


def test_a_twin_that_cannot_write_yet_says_what_to_do(http_of_nobody):
    """The pages work before the first training."""
    answer = http_of_nobody.post("/v1/chat/completions", json={"messages": SAY_NO})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not-set-up")
    assert "twin init" in answer.json()["detail"]
    for path in ("/v1/models", "/v1/audio/voices", "/engines", "/state", "/shelf"):
        assert http_of_nobody.get(path).status_code == 200


@pytest.fixture
def http_of_nobody(parts):
    with asking(parts) as client:
        yield client


def test_an_owner_without_an_adapter_and_an_adapter_without_a_base_are_told(home):
    place = Home(home)
    place.write_settings(Settings("Thota"))
    with asking(parts_of(home)) as http:
        answer = http.post("/v1/chat/completions", json={"messages": SAY_NO})
        assert answer.json()["error"]["code"] == "no-adapter"
        # Trained meanwhile: no restart is needed to be told of the next thing.
        made = place.adapters / "first"
        artifact.make_private_dir(made)
        (made / "manifest.json").write_text("{}")
        answer = http.post("/v1/chat/completions", json={"messages": SAY_NO})
        assert answer.json()["error"]["code"] == "cannot"
        assert "twin train" in answer.json()["detail"]


def test_a_large_model_is_not_loaded_beside_a_training(home, monkeypatch):
    """R1: two of them are more than the memory; a small one writes on."""
    writer = Writer(Announcing(), Persona("Thota"))
    heavy = [True]
    desk = Desk(lambda: Seat(writer, lambda: None, heavy=heavy[0]), lambda: heavy[0])
    parts = parts_of(home, desk=desk)
    training = [object()]
    monkeypatch.setattr(parts.jobs, "active", lambda kind=None: training)
    with asking(parts) as http:

        def asked():
            answer = http.post("/v1/chat/completions", json={"messages": SAY_NO})
            return answer.json().get("error", {}).get("code"), answer.status_code

        assert asked() == ("busy-training", 409)
        heavy[0] = False
        assert asked() == (None, 200)
        heavy[0] = True
        training.clear()
        assert asked() == (None, 200)


def test_a_token_may_use_and_an_owner_may_all(home, monkeypatch):
    """O3: what a route asks for stands in the OpenAPI document, too."""
    parts = parts_of(home)
    use = parts.access.add_token("editor").caller.id
    owner = parts.access.add_token("shell", "owner").caller.id
    with asking(parts) as http:

        def status(path, caller):
            return http.get(path, headers={"X-Twin-Caller": caller}).status_code

        assert [status("/v1/models", one) for one in (use, owner)] == [200, 200]
        assert [status("/state", one) for one in (use, owner)] == [403, 200]
        assert status("/v1/models", "token:none") == 401
        parts.access.revoke(use)
        assert status("/v1/models", use) == 401


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


def test_the_socket_is_the_owners_alone_and_goes_with_the_server(parts, home):
    """O3: 0600 in a directory of 0700; only who may read the home reaches it."""
    path = Home(home).api_socket
    with ports.bind_unix(path) as bound:
        with socket.socket(socket.AF_UNIX) as early, pytest.raises(ConnectionRefusedError):
            early.connect(str(path))
        ports.listen(bound)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with served(application.create(parts), bound):
            transport = httpx.HTTPTransport(uds=str(path))
            with httpx.Client(transport=transport, base_url="http://twin.invalid") as one:
                assert one.get("/health").json()["status"] == "ok"
                assert one.get("/v1/models").status_code == 401
                assert one.get("/v1/models", headers=HEADERS).is_success
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_replaced_and_a_live_one_refused(home):
    """After kill -9 the file is still there."""
    path = Home(home).api_socket
    artifact.make_private_dir(path.parent)
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    assert path.is_socket()
    with ports.bind_unix(path) as bound:
        ports.listen(bound)
        with pytest.raises(TwinError, match="being served already"), ports.bind_unix(path):
            pass
        assert path.is_socket()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(TwinError, match="being served already"), ports.bind_unix(path):
            pass
    path.unlink()
    path.write_text("a letter")
    with pytest.raises(TwinError, match="is no socket"), ports.bind_unix(path):
        pass
    assert path.read_text() == "a letter"
    with pytest.raises(TwinError, match=r"too long for a socket.*--api tcp"):
        ports.bind_unix(path.parent / ("x" * 90) / "api.sock").__enter__()
