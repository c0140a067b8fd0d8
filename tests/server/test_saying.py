"""Write and speak at once, over HTTP: whole, in two parts, as it comes (A1, S2, S3)."""

import base64
import io
import json
import threading
import wave
from email import message_from_bytes

import httpx2 as httpx
import numpy as np
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.prompt import Persona
from aitwin.server import app as application
from aitwin.server.desk import Desk
from aitwin.style.writer import Writer
from aitwin.voice.audio import Utterance
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import RATE
from aitwin.voice.studio import Studio
from tests.server.served import HEADERS, asking, parts_of, served
from tests.server.test_server import leave
from tests.voice.sounds import sentence
from tests.voice.test_studio import until

CANARY = "zuccanary"
PIECES = ("No sugar", ". Milk", " is fine", ". Thank", " you all", ". Ana")
TEXT = "".join(PIECES)


class Paced:
    """An engine that writes a piece when it is let: only so can be seen what waits for what."""

    def __init__(self, pieces=PIECES, free=True):
        self.pieces = pieces
        self.go = threading.Semaphore(1000 if free else 0)
        self.written = 0
        self.closed = threading.Event()
        self.asked = []

    def stream(self, messages, sampling, *, adapted=True):
        self.asked.append((messages, sampling, adapted))
        try:
            for piece in self.pieces:
                assert self.go.acquire(timeout=30)
                if isinstance(piece, Exception):
                    raise piece
                self.written += 1
                yield piece
        finally:
            self.closed.set()


def parts_with(engine, place, **others):
    return parts_of(place, desk=Desk.with_(Writer(engine, Persona("Thota"))), **others)


@pytest.fixture
def short(monkeypatch):
    """A tone of a tenth of a second for each sentence: which were said, in their order."""
    said = []

    def tone(self, sentence, *, speed=1.0, seed=0):
        said.append(sentence)
        return Utterance(0.3 * np.sin(np.arange(2205) * 0.1).astype(np.float32), 22_050, sentence)

    monkeypatch.setattr(Bundled, "speak", tone)
    return said


def events_of(lines):
    """Name and data of each event, as it arrives."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("form", ["wav", "mp3"])
def test_the_whole_is_the_text_and_a_file_of_its_speech(home, form):
    """A1, with the real bundled voice: JSON with base64."""
    engine = Paced()
    with asking(parts_with(engine, home)) as http:
        body = {"prompt": "Say no.", "format": form, "seed": 4, "style_reference": "Ho."}
        answer = http.post("/say", json=body)
    assert answer.status_code == 200
    said = answer.json()
    sound = base64.b64decode(said.pop("audio"))
    samples, rate = soundfile.read(io.BytesIO(sound))
    assert rate == said["sample_rate"] == 22_050
    assert abs(samples).max() > 0.05
    assert abs(len(samples) / rate - said.pop("seconds")) < 0.1
    assert said == {
        "text": TEXT, "voice": "base", "engine": "bundled", "cloned": False, "approximate": False,
        "emotion": "", "marked": True, "passed": [], "format": form, "sample_rate": 22_050,
        "taken_off": [], "finish_reason": "stop", "model": "twin", "unspoken": 0,
        "wanted": "", "remarks": [],
    }  # fmt: skip
    messages, sampling, adapted = engine.asked[0]
    assert "Ho." in messages[-1]["content"]
    assert (sampling.seed, adapted) == (4, True)
    if form == "wav":  # its head says how long it is, as of a file
        with wave.open(io.BytesIO(sound)) as opened:
            assert opened.getnframes() == len(samples)


def test_the_same_as_two_parts(home, short):
    with asking(parts_with(Paced(), home)) as http:
        answer = http.post("/say", json={"prompt": "Say no.", "answer": "mixed"})
    kind = answer.headers["content-type"]
    assert kind.startswith("multipart/mixed; boundary=")
    parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.content)
    told, sound = parts.get_payload()
    assert told.get_content_type() == "application/json"
    assert json.loads(told.get_payload())["text"] == TEXT
    assert sound.get_content_type() == "audio/wav"
    start = answer.content.index(b"RIFF")
    samples, _ = soundfile.read(
        io.BytesIO(answer.content[start : answer.content.rindex(b"\r\n--")])
    )
    assert len(samples) > 4 * 2205
    assert len(short) == 4


def test_the_first_sentence_is_heard_before_the_second_is_written(home, short):
    """S3: and every piece of text is passed on when it is there, also while somebody speaks."""
    engine = Paced(free=False)
    engine.go.release(3)
    with (
        asking(parts_with(engine, home)) as http,
        http.stream("POST", "/say", json={"prompt": "No.", "answer": "events"}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = events_of(answer.iter_lines())
        name, told = next(events)
        assert (name, told["voice"], told["engine"]) == ("voice", "base", "bundled")
        before = []
        while (event := next(events))[0] != "audio":
            before.append(event)
        # Three of six pieces were written, and the first sentence is sound already.
        assert engine.written == 3
        assert short == ["No sugar."]
        sound = base64.b64decode(event[1]["chunk"])
        engine.go.release(10)
        rest = list(events)
    assert rest[-1][0] == "done"
    texts = [data["delta"] for name, data in before + rest if name == "text"]
    assert "".join(texts) == rest[-1][1]["text"] == TEXT
    sound += b"".join(base64.b64decode(data["chunk"]) for name, data in rest if name == "audio")
    samples, rate = soundfile.read(io.BytesIO(sound))
    assert abs(len(samples) / rate - rest[-1][1]["seconds"]) < 0.01
    assert len(short) == 4


def test_the_base_model_is_asked_for(home, short):
    engine = Paced()
    with asking(parts_with(engine, home)) as http:
        assert http.post("/say", json={"prompt": "No.", "model": "base"}).json()["model"] == "base"
    assert engine.asked[0][2] is False


@pytest.mark.parametrize("answer", ["json", "mixed", "events"])
def test_whoever_leaves_stops_the_writing_and_the_speaking(home, short, answer):
    """S4: in every form; nothing is written or said for nobody."""
    engine = Paced(["Here is one more. "] * 1000, free=False)
    engine.go.release(3)
    with served(application.create(parts_with(engine, home))) as address:
        with leave(address, {"prompt": "No.", "answer": answer}, "/say"):
            until(lambda: engine.written == 3 and short)

        def closed():
            engine.go.release()
            return engine.closed.is_set()

        until(closed)
        assert engine.written < 200
        assert len(short) <= 6
        engine.go.release(1000)
        # And the next one is served.
        engine.pieces = PIECES
        body = {"prompt": "No."}
        assert httpx.post(f"{address}/say", json=body, headers=HEADERS, timeout=30).is_success


@pytest.mark.parametrize("answer", ["json", "mixed", "events"])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"prompt": ""}, 422, "invalid-request"),
        ({"prompt": CANARY, "kind": "reply"}, 422, "invalid-request"),
        ({"prompt": CANARY, "format": CANARY}, 422, "invalid-request"),
        ({"prompt": CANARY, "voiceid": "base"}, 422, "invalid-request"),
        ({"prompt": CANARY, "voice_id": "base", "voice": "base"}, 422, "invalid-request"),
        ({"prompt": CANARY, "voice": CANARY}, 404, "unknown-voice"),
        ({"prompt": CANARY, "engine": CANARY}, 404, "unknown-engine"),
        ({"prompt": CANARY, "emotion": "sad", "voice": "base"}, 422, "cannot"),
        ({"prompt": CANARY, "temperature": 9}, 422, "invalid-request"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(home, answer, body, status, code):
    engine = Paced()
    with asking(parts_with(engine, home)) as http:
        told = http.post("/say", json={**body, "answer": answer})
    assert (told.status_code, told.json()["error"]["code"]) == (status, code)
    assert CANARY not in told.text
    assert not engine.asked


@pytest.mark.parametrize("answer", ["json", "mixed", "events"])
def test_a_draft_that_fails_at_once_has_its_status(home, answer):
    engine = Paced([TwinError("the model does not load")])
    with asking(parts_with(engine, home)) as http:
        told = http.post("/say", json={"prompt": "No.", "answer": answer})
    assert told.status_code == 422
    assert told.json()["detail"] == "the model does not load"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(TwinError("the model broke off"), "cannot"), (ValueError(CANARY), "bug")],
)
def test_what_fails_in_the_middle_is_told_in_the_stream(home, short, error, kind, caplog):
    """Rule 8: a bug by its kind alone, in the answer and in the log."""
    with asking(parts_with(Paced(["No sugar. ", "Milk is ", error]), home)) as http:
        answer = http.post("/say", json={"prompt": "No.", "answer": "events"})
    *_, (name, problem) = events_of(answer.text.splitlines())
    assert name == "problem"
    assert problem["type"] == f"urn:aitwin:problem:{kind}"
    assert CANARY not in answer.text + caplog.text
    if kind == "bug":
        assert "ValueError in" in caplog.text


def test_a_text_without_a_word_that_can_be_said_is_told(home, short):
    with asking(parts_with(Paced(["日本", "語"]), home)) as http:
        answer = http.post("/say", json={"prompt": "No."})
        stream = http.post("/say", json={"prompt": "No.", "answer": "events"})
    assert answer.status_code == 422
    assert "none of them a Latin letter" in answer.json()["detail"]
    assert [name for name, _ in events_of(stream.text.splitlines())][-1] == "problem"


@pytest.mark.parametrize(
    ("body", "accept", "kind"),
    [
        ({}, "*/*", "application/json"),
        ({}, "text/event-stream", "text/event-stream"),
        ({}, "image/png, Multipart/Mixed;q=0.9, */*", "multipart/mixed"),
        ({}, "application/json, text/event-stream", "application/json"),
        ({}, "application/json;q=0, text/event-stream", "text/event-stream"),
        ({}, "text/event-stream;q=0.1, application/json;q=0.9", "application/json"),
        ({"stream": True}, "*/*", "text/event-stream"),
        ({"stream": True, "answer": "json"}, "text/event-stream", "application/json"),
    ],
)
def test_the_form_of_the_answer_is_what_is_asked_for(home, short, body, accept, kind):
    """A1: by a field, or as HTTP has it."""
    with asking(parts_with(Paced(), home)) as http:
        asked = {"prompt": "Say no.", "voice_id": "base", **body}
        answer = http.post("/say", json=asked, headers={"Accept": accept})
        nobody = http.post("/say", json=asked | {"voice_id": "nobody"})
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert nobody.json()["error"]["code"] == "unknown-voice"


def test_a_form_with_a_clip_is_said_like_it(home):
    """A1 with a reference clip: who is heard is told, and the clip is kept nowhere."""
    clip = io.BytesIO()
    soundfile.write(clip, np.concatenate([sentence(n) for n in range(3)]), RATE, format="WAV")
    fields = {"prompt": "Say no.", "consent": "true", "answer": "json", "register": "chat"}
    fields["emotion"] = "sad"
    engine = Paced()
    with asking(parts_with(engine, home, studio=Studio())) as http:
        files = {"clip": ("../../a.wav", clip.getvalue(), "audio/wav")}
        answer = http.post("/say", data=fields, files=files)
        without = http.post("/say", data=fields | {"consent": "false"}, files=files)
        both = http.post("/say", data=fields | {"voice": "base"}, files=files)
        alone = http.post("/say", data=fields | {"emotion": ""}, files={"to": (None, "Ana")})
    said = answer.json()
    assert answer.status_code == 200, said["detail"]
    assert (said["voice"], said["approximate"], said["text"]) == ("clip", True, TEXT)
    assert said["engine"].endswith("+match")
    assert "`emotion` was not followed" in said["remarks"][0]
    assert without.json()["error"]["code"] == "no-consent"
    assert both.json()["errors"][0]["pointer"] == "#/voice"
    assert alone.json()["voice"] == "base"
    assert not [path for path in home.rglob("*") if path.is_file() and path.stat().st_size > 10_000]


def test_a_prompt_of_megabytes_is_refused_in_either_form(home):
    with asking(parts_with(Paced(), home)) as http:
        files = {"clip": ("a.wav", b"RIFF", "audio/wav")}
        answer = http.post("/say", data={"prompt": "word " * 500_000}, files=files)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")
        much = json.dumps({"prompt": "word " * 500_000})
        json_ = {"Content-Type": "application/json"}
        answer = http.post("/say", content=much, headers=json_)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")
