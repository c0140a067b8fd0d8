"""Speech over HTTP: whose voice, streamed by turns, given up when nobody listens."""

import io
import json
import shutil
import socket
import threading
import wave

import httpx2 as httpx
import numpy as np
import openai
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.server import listening as ports
from aitwin.voice import profile as profiles
from aitwin.voice import voices, watermark
from aitwin.voice.audio import Utterance
from aitwin.voice.engines import Bundled
from aitwin.voice.speech import Speech
from aitwin.voice.studio import Studio
from tests.server.served import CREDENTIAL, HEADERS, asking, parts_of
from tests.voice.sounds import sentence
from tests.voice.test_profile import add, consented
from tests.voice.test_studio import until

CANARY = "zuccanary"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory of voices with one, of a minute that is some seconds here."""
    monkeypatch.setattr(profiles, "LEAST_SPEECH", 5.0)
    made = voices.create(tmp_path / "voices", "Ana")
    add(made, [sentence(number) for number in range(5)])
    consented(made, kind="stated")
    profiles.build(made, None)
    return tmp_path / "voices"


@pytest.fixture
def parts(place, home):
    return parts_of(home, studio=Studio(voices=lambda: place))


class Gate:
    """In the bundled voice's way: says how many sentences were begun, and lets them go on."""

    def __init__(self):
        self.begun = []
        self.go = threading.Semaphore(0)

    def speak(self, speaker, sentence, *, speed=1.0, seed=0):
        self.begun.append(sentence)
        assert self.go.acquire(timeout=30)
        tone = np.sin(np.arange(22_050) * 0.1).astype(np.float32)
        return Utterance(0.3 * tone, 22_050, sentence)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    monkeypatch.setattr(Bundled, "speak", lambda self, *args, **how: gate.speak(self, *args, **how))
    yield gate
    for _ in range(100):
        gate.go.release()


def test_the_owners_voice_speaks_and_the_engine_is_told(http):
    """S1, S4: never silently another's; why nothing better spoke is in the answer."""
    answer = http.post("/v1/audio/speech", json={"input": "The kettle is on."})
    assert answer.status_code == 200
    assert answer.headers["x-voice"] == "ana"
    assert answer.headers["x-engine"] == "bundled+match"
    report = json.loads(answer.headers["x-engine-report"])
    assert report["approximate"]
    assert not report["cloned"]
    assert [one["engine"] for one in report["passed"]] == ["melotts+openvoice", "bundled+openvoice"]
    assert all(one["why"] for one in report["passed"])
    with wave.open(io.BytesIO(answer.content)) as opened:
        assert opened.getframerate() == 22_050
    assert b"AI-generated voice of Ana" in answer.content[:200]


def test_the_base_voice_is_called_as_it_is_listed(http):
    answer = http.post("/v1/audio/speech", json={"input": "No.", "voice": "base"})
    assert (
        answer.headers["x-voice"] == http.get("/v1/audio/voices").json()["data"][0]["id"] == "base"
    )
    assert answer.headers["x-engine"] == "bundled"


def test_what_could_not_be_said_is_counted(http):
    answer = http.post("/v1/audio/speech", json={"input": "日本語 test", "voice": "base"})
    assert json.loads(answer.headers["x-engine-report"])["unspoken"] == 3


def test_a_long_text_stops_nobody(http, monkeypatch):
    """While it is made words (a second for a hundred pages), others are answered."""
    go, entered = threading.Event(), threading.Event()
    stream = Speech.stream

    def slowly(self, *args, **how):
        entered.set()
        assert go.wait(20)
        return stream(self, *args, **how)

    monkeypatch.setattr(Speech, "stream", slowly)
    body = {"input": "No.", "voice": "base"}
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(http.post("/v1/audio/speech", json=body))
    )
    asking.start()
    try:
        assert entered.wait(20)
        assert httpx.get(f"{http.base_url}/health", timeout=5).status_code == 200
    finally:
        go.set()
        asking.join()
    assert answers[0].is_success


@pytest.mark.parametrize("form", ["wav", "mp3"])
def test_a_voice_without_a_sound_is_an_answer_with_its_status(http, form, monkeypatch):
    """S4: found before the head has left, not in the middle of a broken stream."""
    nothing = Utterance(np.zeros(100, np.float32), 24_000)
    monkeypatch.setattr(Bundled, "speak", lambda self, sentence, **how: nothing)
    body = {"input": "One. Two. Three.", "voice": "base", "response_format": form}
    answer = http.post("/v1/audio/speech", json=body)
    assert answer.status_code == 422
    assert "no sound for any word" in answer.json()["error"]["message"]


def test_a_voice_that_cannot_be_marked_is_refused_and_the_base_voice_says_so(http, monkeypatch):
    """S5."""
    monkeypatch.setattr(watermark, "find_spec", lambda name: None)
    answer = http.post("/v1/audio/speech", json={"input": "One."})
    assert answer.status_code == 422
    assert "pip install 'aitwin[clone]'" in answer.json()["error"]["message"]
    base = http.post("/v1/audio/speech", json={"input": "One.", "voice": "base"})
    assert base.status_code == 200
    assert json.loads(base.headers["x-engine-report"])["marked"] is False


def test_controls_are_heard(http):
    """Speed, pause, seed."""

    def seconds(**how):
        body = {"input": "One. Two.", "voice": "base", **how}
        return len(http.post("/v1/audio/speech", json=body).content)

    assert seconds(speed=2.0) < 0.8 * seconds()
    assert seconds(pause=3.0) > seconds() + 2 * 22_050 * 0.3
    once, again, other = (
        http.post("/v1/audio/speech", json={"input": "One.", "voice": "base", "seed": seed}).content
        for seed in (1, 1, 2)
    )
    assert once == again
    assert once != other


def test_voices_and_engines_are_listed(http):
    base, ana = http.get("/v1/audio/voices").json()["data"]
    assert (base["id"], base["engine"]) == ("base", "bundled")
    assert (ana["id"], ana["engine"], ana["emotions"]) == ("ana", "bundled+match", ["neutral"])
    assert {one["engine"] for one in ana["passed"]} == {"melotts+openvoice", "bundled+openvoice"}
    engines = {one["name"]: one for one in http.get("/engines").json()["data"]}
    assert engines["bundled"]["lacking"] == ""
    assert "pull voice" in engines["melotts"]["lacking"]
    for path in ("/v1/audio/voices", "/engines"):
        assert httpx.get(f"{http.base_url}{path}").status_code == 401


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ({"voice": CANARY}, 404, "there are: ana"),
        ({"model": CANARY}, 404, "bundled+match"),
        ({"model": "melotts+openvoice"}, 422, "cannot speak"),
        ({"emotion": CANARY}, 422, "neutral"),
        ({"emotion": "sad"}, 422, "was not recorded"),
        ({"emotion": "sad", "voice": "base"}, 422, "one manner"),
        ({"pause": 99.0}, 422, "pause"),
        ({"seed": "1"}, 422, "seed"),
        ({"model": "tts-9"}, 404, "no model for speech"),
        ({"instructions": CANARY}, 422, "instructions"),
        ({"stream_format": "sse"}, 422, "stream_format"),
        ({"seed": -1}, 422, "seed"),
        ({"seed": 2**63}, 422, "seed"),
    ],
)
def test_what_cannot_be_is_refused_and_not_repeated(http, asked, status, told):
    answer = http.post("/v1/audio/speech", json={"input": CANARY, **asked})
    assert answer.status_code == status
    assert told in answer.json()["detail"]
    assert CANARY not in answer.text


def test_a_locked_volume_is_no_missing_voice(home):
    def locked():
        raise TwinError("the volume is not mounted: unlock it")

    with asking(parts_of(home, studio=Studio(voices=locked))) as http:
        for body in ({"input": "No.", "voice": "ana"}, {"input": "No."}):
            answer = http.post("/v1/audio/speech", json=body)
            assert answer.status_code == 422
            assert "not mounted" in answer.json()["detail"]
        assert http.post("/v1/audio/speech", json={"input": "No.", "voice": "base"}).is_success
        listed = http.get("/v1/audio/voices").json()
        assert [one["id"] for one in listed["data"]] == ["base"]
        assert "not mounted" in listed["problem"]


def test_a_consent_that_is_taken_back_ends_the_speech(http, place, monkeypatch, caplog):
    """V1: in the middle of a text, and for all that come after it."""
    speak, said = Bundled.speak, []

    def taken_back(self, sentence, **how):
        if sentence.startswith("Here is"):
            said.append(sentence)
            shutil.rmtree(place / "ana" / "consent")
        return speak(self, sentence, **how)

    monkeypatch.setattr(Bundled, "speak", taken_back)
    text = "Here is one. Here is two. Here is three."
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/v1/audio/speech", json={"input": text})
    assert len(said) == 1
    cut = [one for one in caplog.records if one.name == "uvicorn.error" and one.exc_info]
    assert all(ports._without_words(one) for one in cut)
    assert [one.getMessage()[:60] for one in cut] == [
        "a stream was cut off: the voice ana cannot be cloned: there "
    ]
    answer = http.post("/v1/audio/speech", json={"input": "No."})
    assert (answer.headers["x-voice"], answer.headers["x-engine"]) == ("base", "bundled")
    assert "no consent of the speaker" in answer.headers["x-engine-report"]
    answer = http.post("/v1/audio/speech", json={"input": "No.", "model": "bundled+match"})
    assert answer.status_code == 422
    assert "no consent" in answer.json()["detail"]


@pytest.mark.parametrize("form", ["wav", "mp3"])
def test_the_first_sentence_leaves_before_the_second_is_begun(http, gate, form):
    """S2, S3: whoever listens hears it while the rest is made."""
    body = {"input": "One is here. Two is here.", "voice": "base", "response_format": form}
    gate.go.release()
    with http.stream("POST", "/v1/audio/speech", json=body) as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        while len(first) < 4000:
            first += next(pieces)
        gate.go.release()
        sound = first + b"".join(pieces)
    if form == "mp3":
        samples, _ = soundfile.read(io.BytesIO(sound))
        assert len(samples) > 2 * 22_050
    assert len(gate.begun) == 2


def test_whoever_is_revoked_hears_no_more(http, parts, gate):
    """O3: also of what is being said; the sentences after it are not even made."""
    caller = parts.access.add_token("speaker").caller
    text = " ".join(f"Here is sentence number {n}." for n in range(40))
    body = {"input": text, "voice": "base"}
    gate.go.release()
    headers = {"X-Twin-Caller": caller.id}
    with http.stream("POST", "/v1/audio/speech", json=body, headers=headers) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        parts.access.revoke(caller.id)
        gate.go.release(39)
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)
    until(lambda: parts.speaking.places == 0)
    assert len(gate.begun) < 10


def test_two_texts_are_spoken_in_turn(http, parts, gate):
    """The short one does not wait for the end of the long one, and nothing is spoken at once."""
    done = []

    def ask(name, text):
        body = {"input": text, "voice": "base"}
        with httpx.Client(base_url=http.base_url, headers=HEADERS, timeout=60) as one:
            assert one.post("/v1/audio/speech", json=body).is_success
        done.append(name)

    long = "Here is one. Here is two. Here is three. Here is four. Here is five. Here is six."
    asking = [threading.Thread(target=ask, args=("long", long))]
    asking[0].start()
    until(lambda: len(gate.begun) == 1)
    asking.append(threading.Thread(target=ask, args=("short", "No sugar.")))
    asking[1].start()
    until(lambda: parts.speaking.waiting == 1)
    for spoken in range(1, 8):
        until(lambda ready=spoken: len(gate.begun) == ready)
        gate.go.release()
    for one in asking:
        one.join()
    assert done == ["short", "long"]
    assert gate.begun.index("No sugar.") <= 3


def test_whoever_leaves_frees_the_engine_within_a_sentence(http, gate):
    """S4: of forty sentences, those after the client has gone are not spoken."""
    text = " ".join(f"Here is sentence number {n}." for n in range(40))
    content = json.dumps({"input": text, "voice": "base"})
    host, port = str(http.base_url).removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port))) as leaver:
        leaver.sendall(
            f"POST /v1/audio/speech HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "X-Twin-Caller: machine\r\n"
            f"Authorization: Bearer {CREDENTIAL}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n{content}".encode()
        )
        gate.go.release()
        assert b"200 OK" in leaver.recv(1000)
        until(lambda: len(gate.begun) == 2)
    for _ in range(100):
        gate.go.release()
    body = {"input": "No sugar.", "voice": "base"}
    assert http.post("/v1/audio/speech", json=body).is_success
    assert gate.begun[-1] == "No sugar."
    assert len(gate.begun) <= 5


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd", "gpt-4o-mini-tts"])
def test_what_programs_ask_openai_for_by_default_the_owners_voice_says(http, model):
    """S2: "existing apps work"; whose voice that was is told."""
    asked = {"input": "No.", "model": model, "voice": "alloy", "instructions": None, "speed": None}
    answer = http.post("/v1/audio/speech", json=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voice"] == "ana"
    refused = http.post("/v1/audio/speech", json={**asked, "voice": "nobody"})
    assert refused.json()["error"]["code"] == "unknown-voice"


def test_openais_client_speaks(http):
    """As it comes: `model` names the twin, and what is ours goes into extra_body."""
    base = f"{str(http.base_url).rstrip('/')}/v1"
    with openai.OpenAI(
        base_url=base, api_key=CREDENTIAL, max_retries=0, default_headers=HEADERS
    ) as client:
        answer = client.audio.speech.create(
            model="twin", voice="ana", input="No.", response_format="wav",
            extra_body={"emotion": "neutral", "pause": 1.5},
        )  # fmt: skip
    assert answer.response.headers["x-engine"] == "bundled+match"
    assert len(answer.content) > 10_000
