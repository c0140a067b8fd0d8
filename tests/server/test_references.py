"""Speech like a clip, which is not kept, or in a voice of which there is little (A2, S3)."""

import gc
import io
import json
import socket
import time
import wave
import weakref
from contextlib import ExitStack

import numpy as np
import pytest
import soundfile

from aitwin.errors import TwinError
from aitwin.rooms import MEASURED
from aitwin.server import bench, references
from aitwin.server.speaking import sized
from aitwin.voice import audio, pitch, voices
from aitwin.voice import profile as profiles
from aitwin.voice.audio import Utterance, resample
from aitwin.voice.engines import Bundled
from aitwin.voice.studio import Studio
from tests.conftest import REPOSITORY
from tests.server.recordings import coded, kind_of, left, wav
from tests.server.served import HEADERS, asking, parts_of
from tests.voice.sounds import noise

CANARY = "zuccanary"
TEXT = "The kettle is on."


@pytest.fixture(scope="module")
def clip():
    """Seven seconds of the bundled voice."""
    return wav(2)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One home and its server for all: nothing that they ask for is kept."""
    home = tmp_path_factory.mktemp("clips") / "home"
    parts = parts_of(home)
    with asking(parts) as client:
        yield home, parts, client


@pytest.fixture
def http(server):
    return server[2]


def like(http, clip, **fields):
    data = {"text": TEXT, "consent": "true", **fields}
    return http.post("/speech", files={"clip": ("clip.wav", clip)}, data=data)


def whole(answer):
    assert answer.status_code == 200, answer.text
    return soundfile.read(io.BytesIO(answer.content))


def test_a_text_is_said_like_a_clip_of_which_nothing_is_kept(server, clip):
    """A2, S2, P4: 22,050 Hertz, who speaks is told, marked, and no file of it is left."""
    home, _, http = server
    answer = like(http, clip, emotion="sad")
    sound, rate = whole(answer)
    assert answer.headers["content-disposition"] == 'attachment; filename="speech.wav"'
    assert rate == 22_050
    assert (answer.headers["x-voice"], answer.headers["x-engine"]) == ("clip", "bundled+match")
    report = json.loads(answer.headers["x-engine-report"])
    assert report["approximate"]
    assert report["marked"]
    assert not report["cloned"]
    assert "`emotion` was not followed" in report["remarks"][0]
    assert [one["engine"] for one in report["passed"]] == ["melotts+openvoice", "bundled+openvoice"]
    assert float(answer.headers["x-seconds"]) == pytest.approx(len(sound) / rate, abs=0.001)
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert b"AI-generated voice of the reference clip" in answer.content[:200]
    assert left(home) == []


def test_what_is_heard_is_the_clip_and_not_the_base_voice(http, clip):
    """S1: the same words of a deeper clip are deeper, by about as much."""
    text = "The kettle is on, and nobody has moved the van."
    samples, rate = soundfile.read(io.BytesIO(clip), dtype="float32")
    slowed = resample(Utterance(samples, rate), round(rate * 1.25)).samples
    file = io.BytesIO()
    soundfile.write(file, slowed, rate, format="WAV")
    high, low = (
        np.nanmedian(pitch.track(whole(like(http, sound, text=text))[0].astype(np.float32)))
        for sound in (clip, file.getvalue())
    )
    assert 1.15 < high / low < 1.35


@pytest.mark.parametrize(
    ("name", "options"),
    [("c.webm", ["-c:a", "libopus", "-ac", "2", "-live", "1"]), ("c.m4a", [])],
)
def test_a_clip_may_be_what_a_browser_or_a_phone_records(http, tmp_path, clip, name, options):
    """A2."""
    sound = coded(tmp_path, name, *options, source=clip)
    said, _ = whole(like(http, sound, format="mp3", text="No.", speed="0.5", pause="4", seed="7"))
    assert len(said) > 2 * 22_050  # a word at half its pace, and a long rest


def test_a_stream_begins_with_its_first_sentence(http, clip):
    """S2: without a length, since none is known yet."""
    data = {"text": f"{TEXT} {TEXT}", "consent": "true", "stream": "true"}
    files = {"clip": ("clip.wav", clip)}
    with http.stream("POST", "/speech", files=files, data=data) as answer:
        assert "content-length" not in answer.headers
        assert "x-seconds" not in answer.headers
        assert answer.headers["x-voice"] == "clip"
        sound = b"".join(answer.iter_bytes())
    assert len(soundfile.read(io.BytesIO(sound))[0]) > 2 * 22_050


def test_a_clip_is_heard_once_and_a_few_are_remembered(server, clip, monkeypatch):
    """S3: whoever tries texts with one does not wait for it each time; P4: not for ever."""
    _, parts, http = server
    monkeypatch.setattr(parts.bench, "_clips", {})
    monkeypatch.setattr(bench, "KEPT", 1)
    heard = []
    listen = type(parts.studio).listen

    def counted(self, blocks):
        found = listen(self, blocks)
        heard.append(weakref.ref(found))
        return found

    monkeypatch.setattr(type(parts.studio), "listen", counted)
    like(http, clip, text="No.")
    file = io.BytesIO()
    soundfile.write(file, *soundfile.read(io.BytesIO(clip)), format="FLAC", subtype="PCM_16")
    like(http, file.getvalue(), text="No.")
    assert len(heard) == 1
    like(http, wav(1, first=4), text="No.")
    gc.collect()
    assert [one() is None for one in heard] == [True, False]


def test_a_clip_does_not_wait_behind_an_upload(server, clip, monkeypatch):
    """S3: what is graded for minutes holds up other uploads alone."""
    _, parts, http = server

    class Held:
        async def __aenter__(self):
            raise AssertionError("a clip waits for the turn of uploads")

        async def __aexit__(self, *how):
            pass

    monkeypatch.setattr(parts.hearing, "turn", Held())
    whole(like(http, clip, text="No."))


def test_how_like_the_voice_it_is_is_measured_on_request(server, home, clip):
    """A2: by an encoder that has had no part in it; without one, what to pull."""
    told = like(server[2], clip, text="No.", similarity="true")
    assert "x-similarity" not in told.headers
    assert "pull" in json.loads(told.headers["x-similarity-report"])["lacking"]
    models = REPOSITORY / ".cache" / "models"
    if not (models / "ge2e").is_dir():
        pytest.skip("the second encoder is not here")
    parts = parts_of(home)
    (home / "models").mkdir(exist_ok=True)
    (home / "models" / "ge2e").symlink_to(models.resolve() / "ge2e")
    with asking(parts) as http:
        told = like(http, wav(2), similarity="true", format="mp3")
    report = json.loads(told.headers["x-similarity-report"])
    # Clip and base voice are one speaker here: near to as like as can be.
    assert 0.7 < float(told.headers["x-similarity"]) <= 1
    assert report["likeness"]["ge2e"] == float(told.headers["x-similarity"])
    assert report["same_from"] == {"ge2e": 0.7}


def test_a_file_says_how_long_it_is_whatever_its_voice_is_called():
    """S2: the comment with the name stands before the sound."""
    said = Utterance(noise(0.5, -20), 22_050)
    streamed = bytearray(b"".join(audio.wav_stream([said], note="AI-generated voice of data")))
    sound = sized(streamed, "wav")
    with wave.open(io.BytesIO(sound)) as opened:
        assert opened.getnframes() == len(said.samples)
    assert int.from_bytes(sound[4:8], "little") == len(sound) - 8


# --- Refused --------------------------------------------------------------------------------------


def hissed():
    file = io.BytesIO()
    soundfile.write(file, noise(4, -20), 22_050, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize(
    ("sound", "fields", "kind"),
    [
        (lambda: wav(1), {"consent": "false"}, "no-consent"),
        (lambda: wav(1), {"consent": ""}, "invalid-request"),
        (lambda: wav(1)[:70_000], {}, "unusable-audio"),  # a second and a half of speech
        (lambda: wav(1)[:3_000], {}, "unusable-audio"),
        (hissed, {}, "unusable-audio"),
        (lambda: b"", {}, "unusable-audio"),
        (lambda: f"Dear {CANARY}".encode() * 99, {}, "not-audio"),
        (lambda: wav(3), {}, "too-long-audio"),
        (lambda: wav(1), {"fromat": "mp3"}, "invalid-request"),
        (lambda: wav(1), {"stream": "true", "similarity": "true"}, "invalid-request"),
        (lambda: wav(1), {"emotion": CANARY}, "invalid-request"),
        (lambda: wav(1), {"voice_id": "ana"}, "invalid-request"),
        (lambda: wav(1), {"engine": "bundled"}, "unknown-engine"),
        (lambda: wav(1), {"engine": CANARY}, "unknown-engine"),
        (lambda: wav(1), {"engine": "melotts+finetune"}, "cannot"),
        (lambda: wav(1), {"engine": "bundled+openvoice"}, "cannot"),
        (lambda: wav(1), {"text": ""}, "invalid-request"),
        (lambda: wav(1), {"text": "日本語"}, "cannot"),
        (lambda: wav(1), {"text": "x" * 20_001}, "invalid-request"),
        (lambda: wav(1), {"speed": "9"}, "invalid-request"),
        (lambda: wav(1), {"format": "ogg"}, "invalid-request"),
    ],
)
def test_what_cannot_be_said_so_is_refused(server, monkeypatch, sound, fields, kind):
    """A2: nobody is spoken like who has not agreed, and no other voice takes the place."""
    home, _, http = server
    monkeypatch.setattr(references, "LONGEST_CLIP", 10.0)
    answer = like(http, sound(), **fields)
    assert kind_of(answer) == kind
    assert CANARY not in answer.text
    assert str(home) not in answer.text
    assert left(home) == []


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({"json": {"text": TEXT, "voice_id": CANARY}}, "unknown-voice"),
        ({"json": {"text": TEXT, "engine": CANARY}}, "unknown-engine"),
        ({"json": {"text": TEXT, "voice_id": 5}}, "invalid-request"),
        ({"json": {}}, "invalid-request"),
        ({"json": {"text": TEXT, "voiceid": "base"}}, "invalid-request"),
        ({"json": {"text": TEXT, CANARY: "base"}}, "invalid-request"),
        ({"json": {"text": TEXT, "voice_id": "base", "voice": "ana"}}, "invalid-request"),
        ({"files": {"text": (None, TEXT), "audio": ("a.wav", b"RIFF")}}, "invalid-request"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "malformed"),
        ({"content": TEXT, "headers": {"Content-Type": "text/plain"}}, "unsupported-media-type"),
        ({"json": {"text": "x" * 3_000_000}}, "too-large"),
    ],
)
def test_what_is_no_request_for_a_voice_is_refused(http, sent, kind):
    answer = http.post("/speech", **sent)
    assert kind_of(answer) == kind
    assert CANARY not in answer.text


# --- In a voice -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def owning(server, tmp_path_factory):
    """A home with a voice of ten seconds, and its server; what is known of the base is shared."""
    place = tmp_path_factory.mktemp("little") / "home"
    kept = server[0] / "models" / MEASURED
    parts = parts_of(place, studio=Studio(voices=lambda: place / "voices", kept=kept))
    with asking(parts) as client:
        yield place, parts, client


@pytest.fixture
def little(owning):
    """With consent, whatever was done to it before."""
    _, parts, client = owning
    answer = client.post(
        "/voices/uploads",
        files={"audio": ("a.wav", wav(2))},
        data={"name": "Ana", "consent": "true"},
    )
    assert answer.is_success
    return voices.open_(owning[0] / "voices", "ana"), parts, client


def test_one_upload_is_enough_to_be_spoken_like(little):
    """A4, then A2: approximately, and it says so; not silently by the base voice."""
    _, _, http = little
    for named in ({"voice": "Ana"}, {"voice_id": "ana", "emotion": "neutral"}):
        answer = http.post("/speech", json={"text": "No.", **named})
        whole(answer)
        assert (answer.headers["x-voice"], answer.headers["x-engine"]) == ("ana", "bundled+match")
        assert b"AI-generated voice of Ana" in answer.content[:200]
    form = http.post("/speech", files={"text": (None, TEXT), "voice_id": (None, "ana")})
    assert form.headers["x-voice"] == "ana"
    assert kind_of(
        http.post("/speech", json={"text": TEXT, "voice_id": "ana", "emotion": "sad"})
    ) == ("cannot")
    base = http.post("/speech", json={"text": TEXT, "voice_id": "ana", "engine": "bundled"})
    assert base.headers["x-voice"] == "base"


def test_a_voice_without_consent_is_not_spoken_like_however_little(little):
    """V1: the base voice speaks, and why is told; one that is opened ends with the sentence."""
    voice, parts, http = little
    speech = parts.studio.speech_however_little(voice)
    said = speech.stream("No sugar. No milk. No tea.")
    next(said)
    http.delete("/voices/ana/consent")
    with pytest.raises(TwinError, match="no consent"):
        list(said)
    asked = {"text": TEXT, "voice_id": "ana", "similarity": True}
    answer = http.post("/speech", json=asked)
    assert answer.headers["x-voice"] == "base"
    assert answer.headers["x-voice-wanted"] == "ana"
    assert "no consent" in answer.headers["x-engine-report"]
    # How like Ana the base voice is, nobody has asked.
    assert "x-similarity" not in answer.headers
    assert "that is heard" in answer.headers["x-similarity-report"]


def test_where_the_home_lies_is_told_to_no_program(little):
    """P4: why a better engine does not speak is told by the voice's id."""
    voice, _, http = little
    told = http.post("/speech", json={"text": "No.", "voice_id": "ana"})
    listed = http.get("/v1/audio/voices")
    assert any(row["passed"] for row in listed.json()["data"])
    for words in (listed.text, told.headers["x-engine-report"]):
        assert str(voice.path.parent) not in words


def test_a_voice_with_enough_is_no_clip(little, monkeypatch):
    """Then all of it speaks, as it does everywhere else."""
    voice, parts, _ = little
    monkeypatch.setattr(profiles, "LEAST_SPEECH", 5.0)
    assert parts.studio.speech_however_little(voice).speaker.clip is None


# --- Given up -------------------------------------------------------------------------------------


def until(true, seconds=60):
    """Wait for it, and not for ever: a test that hangs stops all the others."""
    late = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < late, "it did not come"
        time.sleep(0.01)


def test_whoever_leaves_frees_the_engine_within_a_sentence(server, clip, monkeypatch):
    """S4: of forty sentences in one file, those after the client has gone are not spoken."""
    _, _, http = server
    begun, speak = [], Bundled.speak

    def counted(self, sentence, **how):
        begun.append(sentence)
        return speak(self, sentence, **how)

    monkeypatch.setattr(Bundled, "speak", counted)
    text = " ".join(f"Here is sentence number {n}." for n in range(40))
    body = json.dumps({"text": text, "voice_id": "base"}).encode()
    host, port = str(http.base_url).removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port))) as leaver:
        leaver.sendall(
            f"POST /speech HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "X-Twin-Caller: machine\r\n"
            f"Authorization: {HEADERS['Authorization']}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        until(lambda: begun)
    assert http.post("/speech", json={"text": "No.", "voice_id": "base"}).is_success
    assert "No" in begun[-1]
    assert len(begun) < 20


@pytest.mark.parametrize("text", ["No sugar. " * 400, "kettle " * 2_000], ids=["many", "long"])
def test_whoever_leaves_is_noticed_before_the_first_sound(server, monkeypatch, text):
    """S4: also while nothing was heard yet, in one file, of many sentences and of a long one."""
    _, parts, http = server
    begun = []

    def silent(self, sentence, **how):
        begun.append(sentence)
        time.sleep(0.02)
        return Utterance(np.zeros(2_000, np.float32), 22_050)

    monkeypatch.setattr(Bundled, "speak", silent)
    body = json.dumps({"text": text, "voice_id": "base"}).encode()
    host, port = str(http.base_url).removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port))) as leaver:
        leaver.sendall(
            f"POST /speech HTTP/1.1\r\nHost: {host}:{port}\r\nX-Twin-Caller: machine\r\n"
            f"Authorization: {HEADERS['Authorization']}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        until(lambda: begun)
    until(lambda: not parts.speaking.places)
    assert len(begun) < 20


def test_forms_that_are_half_sent_hold_up_nobody(server, clip):
    """S3: whoever only begins a form takes nobody's place."""
    _, parts, http = server
    host, port = str(http.base_url).removeprefix("http://").strip("/").split(":")
    head = (
        f"POST /speech HTTP/1.1\r\nHost: {host}:{port}\r\nX-Twin-Caller: machine\r\n"
        f"Authorization: {HEADERS['Authorization']}\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: 5000\r\n\r\n--edge\r\n"
    ).encode()
    with ExitStack() as held:
        for _ in range(18):
            held.enter_context(socket.create_connection((host, int(port)))).sendall(head)
        until(lambda: parts.receiving.places >= 18)
        whole(like(http, clip, text="No."))
    until(lambda: not parts.receiving.places)
