"""Recordings in over HTTP: kept whole or not at all, graded at once, every refusal named (A4)."""

import io
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple
from contextlib import contextmanager, suppress

import httpx2 as httpx
import numpy as np
import pytest
import soundfile

from aitwin import artifact
from aitwin.server import bench, forms, owned, uploads
from aitwin.server.queueing import MOST
from aitwin.voice import at_work, clips, prompts, voices
from aitwin.voice import consent as consents
from aitwin.voice.sound_file import MAX_CHANNELS, MIN_RATE, MIN_SECONDS
from tests.conftest import REPOSITORY
from tests.server.recordings import coded, kind_of, left, wav
from tests.server.served import CREDENTIAL, HEADERS, asking, parts_of
from tests.voice.sounds import RATE

CANARY = "zuccanary"


@pytest.fixture(scope="module")
def spoken():
    """Two sentences as a WAV."""
    return wav()


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A home without a voice, and a client of its server, for all that is refused."""
    place = tmp_path_factory.mktemp("refused") / "home"
    with asking(parts_of(place)) as client:
        yield place, client


def upload(http, sound, file="take.wav", **fields):
    return http.post("/voices/uploads", files={"audio": (file, sound)}, data=fields)


def only_take(home, voice="ana"):
    (take,) = voices.open_(home / "voices", voice).takes()
    return take


# --- Kept -----------------------------------------------------------------------------------------


def test_a_recording_becomes_a_take_with_a_grade(http, home, spoken):
    """A4: the answer that the owner's specification asks for; the file as it was sent."""
    answer = upload(http, spoken, name="Ana", emotion="happy", consent="true")
    assert answer.status_code == 201
    told = answer.json()
    take = only_take(home)
    assert (told["voice_id"], told["take_id"], told["created"]) == ("ana", take.id, True)
    assert told["seconds"] == pytest.approx(take.seconds, abs=0.001)
    assert (told["sample_rate"], told["format"]) == (RATE, "wav")
    assert told["grade"] in "AB"
    assert len(told["warnings"]) == len(told["reasons"])
    assert take.original.read_bytes() == spoken
    assert take.emotion == "happy"
    assert (take.path.stat().st_mode & 0o777, take.original.stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )
    assert consents.load(home / "voices" / "ana" / "consent").kind == "stated"
    seen = http.get("/voices/ana").json()
    assert seen["profile"]
    assert seen["recordings"][0]["grade"] == told["grade"]


@pytest.mark.parametrize(
    ("name", "options", "kind", "rate"),
    [
        ("a.mp3", ["-ar", "44100"], "mp3", 44_100),
        ("a.m4a", ["-ar", "48000"], "m4a", 48_000),
        ("a.ogg", ["-c:a", "libvorbis", "-ar", "32000"], "ogg", 32_000),
        ("a.webm", ["-c:a", "libopus", "-ac", "2"], "webm", 48_000),
        ("a.flac", [], "flac", RATE),
    ],
)
def test_what_a_file_is_its_content_says(http, home, tmp_path, name, options, kind, rate):
    """A4: all six, each under the name of another, and a browser's webm without a duration."""
    live = ["-live", "1"] if kind == "webm" else []
    sound = coded(tmp_path, name, *options, *live)
    told = upload(http, sound, "notes.txt", name="Ana").json()
    assert (told["format"], told["sample_rate"]) == (kind, rate)
    assert told["seconds"] > 5
    assert told["grade"]
    assert only_take(home).suffix == f".{kind}"


def test_the_same_recording_twice_is_one_take(http, home, spoken):
    """Whatever it is written as; and what it was first, it stays."""
    first = upload(http, spoken, name="Ana", emotion="sad").json()
    file = io.BytesIO()
    soundfile.write(file, *soundfile.read(io.BytesIO(spoken)), format="FLAC", subtype="PCM_16")
    for sound in (spoken, file.getvalue()):
        again = upload(http, sound, name="Ana", emotion="happy")
        assert again.status_code == 200
        assert again.json()["already_here"]
        assert again.json()["take_id"] == first["take_id"]
        assert any("here as sad" in warning for warning in again.json()["warnings"])
    assert only_take(home).emotion == "sad"


def test_without_a_name_it_is_the_owners_voice(http, home, spoken):
    """And always the same one."""
    assert upload(http, spoken).json()["voice_id"] == "my-voice"
    assert upload(http, wav(first=4)).json()["voice_id"] == "my-voice"


def test_whose_consent_is_wanting_is_told(http, spoken):
    """V1: kept, and nothing is cloned."""
    told = upload(http, spoken, name="Ana").json()
    assert any("nobody has said" in warning for warning in told["warnings"])
    assert http.get("/voices/ana").json()["consent"] is None
    told = upload(http, spoken, name="Ana", consent="true").json()
    assert not any("nobody has said" in warning for warning in told["warnings"])


def test_a_sentence_that_was_read_counts_as_read(http, home, tmp_path):
    """V1: by its id, in its emotion, short as it may be; a retake takes the place of the first."""
    upload(http, wav(first=3), name="Ana")
    prompt = prompts.prompts("tired")[0]
    short = wav(1, first=1)
    first = upload(http, short, voice_id="ana", prompt_id=prompt.id).json()
    voice = voices.open_(home / "voices", "ana")
    take = voice.take(first["take_id"])
    assert (take.emotion, take.prompt_id, take.prompt) == ("tired", prompt.id, prompt.text)
    told = http.get("/voices/ana/prompts", params={"emotion": "tired", "count": 1}).json()
    assert told["prompts"][0]["id"] == prompts.prompts("tired")[1].id
    retaken = wav(1, first=2)
    again = {"voice_id": "ana", "prompt_id": prompt.id, "replaces": first["take_id"]}
    second = upload(http, retaken, **again).json()
    assert {one.id for one in voice.takes() if one.prompt_id} == {second["take_id"]}
    # Sent once more, it does not replace itself; and what is not there replaces nothing.
    assert upload(http, retaken, **again | {"replaces": second["take_id"]}).status_code == 200
    assert voice.take(second["take_id"])
    assert kind_of(upload(http, short, **again)) == "unknown-take"


def test_while_a_voice_is_prepared_a_take_is_kept_and_graded(http, home, spoken, monkeypatch):
    """The preparation holds the voice: what comes meanwhile is not lost, nor waits for it."""
    monkeypatch.setattr(bench, "PATIENCE", 0.05)
    monkeypatch.setattr(uploads, "PATIENCE", 0.05)
    upload(http, wav(first=5), name="Ana")
    voice = voices.open_(home / "voices", "ana")
    with at_work.alone(voice):
        answer = upload(http, spoken, name="Ana")
    assert answer.status_code == 201
    told = answer.json()
    assert told["grade"] in "AB"
    assert any("being prepared" in warning for warning in told["warnings"])
    assert voice.prepared(voice.take(told["take_id"])) is None


def test_nobody_waits_for_the_grade_of_a_long_recording(http, spoken, monkeypatch):
    """A tunnel would give the answer up; a preparation grades it."""
    monkeypatch.setattr(bench, "AT_ONCE", 5.0)
    told = upload(http, spoken, name="Ana").json()
    assert told["grade"] is None
    assert any("when the voice is prepared" in warning for warning in told["warnings"])
    assert http.get("/voices/ana").json()["recordings"][0]["grade"] is None


# --- Refused --------------------------------------------------------------------------------------


def quiet(seconds, rate=RATE, **kind):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(seconds * rate)), rate, **{"format": "WAV", **kind})
    return file.getvalue()


@pytest.mark.parametrize(
    ("sound", "fields", "kind"),
    [
        (lambda: secrets.token_bytes(4_000), {}, "not-audio"),
        (lambda: b"RIFF\xff\xff\xff\xffWAVE" + bytes(200), {}, "not-audio"),
        (lambda: f"Dear {CANARY}".encode() * 50, {}, "not-audio"),
        (lambda: b"", {}, "unusable-audio"),
        (lambda: quiet(0), {}, "unusable-audio"),
        (lambda: wav(1)[:60_000], {}, "unusable-audio"),  # a second: too short
        (lambda: quiet(5, 8_000), {}, "unusable-audio"),  # a telephone
        (lambda: quiet(90), {}, "too-long-audio"),
        # A bomb: a few kB that unpack to more than is taken, and do not say so.
        (lambda: quiet(90, format="FLAC"), {}, "too-long-audio"),
        (wav, {"voice_id": CANARY}, "unknown-voice"),
        (wav, {"voice_id": "../ana"}, "invalid-request"),
        (wav, {"voice_id": "ana", "name": "Ana"}, "invalid-request"),
        (wav, {"name": "…"}, "invalid-request"),
        (wav, {"name": "base"}, "invalid-request"),
        (wav, {"name": CANARY * 50}, "invalid-request"),
        (wav, {"emotion": CANARY}, "invalid-request"),
        (wav, {"consent": CANARY}, "invalid-request"),
        (wav, {"prompt_id": "sad-00000000"}, "unknown-prompt"),
        (wav, {"prompt_id": prompts.prompts("sad")[0].id, "emotion": "happy"}, "invalid-request"),
    ],
)
def test_what_is_refused_leaves_nothing(empty, monkeypatch, sound, fields, kind):
    """A4: nothing half-stored, no empty voice, and no word of what was sent is repeated."""
    home, http = empty
    monkeypatch.setattr(uploads, "LONGEST", 60.0)
    answer = upload(http, sound(), f"../../{CANARY}.wav", **fields)
    assert kind_of(answer) == kind
    assert CANARY not in answer.text
    assert str(home) not in answer.text
    assert left(home) == []


def test_three_hours_are_refused_by_their_head(empty, monkeypatch):
    """A4: what states more than is taken is not decoded at all."""
    home, http = empty
    from aitwin.voice.sound_file import Recording

    def never(self, seconds=10.0):
        raise AssertionError("it was decoded")

    bomb = bytearray(quiet(4, format="FLAC"))
    # The last 36 bits of this stretch of STREAMINFO are the number of samples (RFC 9639, 8.2).
    stated = int.from_bytes(bomb[18:26], "big") >> 36 << 36 | 3 * 3600 * RATE
    bomb[18:26] = stated.to_bytes(8, "big")
    monkeypatch.setattr(Recording, "blocks", never)
    answer = upload(http, bytes(bomb), name="Ana")
    assert kind_of(answer) == "too-long-audio"
    assert "120 minutes" in answer.json()["detail"]
    assert left(home) == []


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"json": {"name": "Ana"}}, "unsupported-media-type"),
        ({"content": b"RIFF", "headers": {"Content-Type": "audio/wav"}}, "unsupported-media-type"),
        ({"files": {"sound": ("a.wav", b"RIFF")}}, "invalid-request"),
    ],
)
def test_another_form_is_refused(empty, request_, kind):
    home, http = empty
    answer = http.post("/voices/uploads", **request_)
    assert kind_of(answer) == kind
    assert left(home) == []


def test_a_full_disk_keeps_nothing(http, home, spoken, monkeypatch):
    """A4: found when it is filled by us, too; the voice that was made for it goes again."""
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 1_000))
        assert kind_of(upload(http, spoken, name="Ana")) == "disk-full"
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "write_private", full)
        patch.setattr(voices, "_link", full)
        assert kind_of(upload(http, spoken, name="Ana")) == "disk-full"
    assert left(home) == []


def full(*args):
    raise OSError(28, os.strerror(28))


def test_a_locked_volume_takes_nothing(home, parts, spoken):
    """V4: recordings never land beside the volume that is meant for them."""
    parts.home.open()
    (home / "twin.toml").write_text('[voice]\ndirectory = "/nowhere/voices"\n')
    with asking(parts) as http:
        answer = upload(http, spoken, name="Ana")
    assert kind_of(answer) == "voices-locked"
    assert left(home) == []


# --- Killed ---------------------------------------------------------------------------------------

SERVER = """
import sys, uvicorn
from pathlib import Path
from aitwin.home import Home
from aitwin.server import app
from aitwin.server.parts import Parts
parts = Parts.of(Home(Path(sys.argv[1])), sys.argv[2])
uvicorn.run(app.create(parts), uds=sys.argv[3], log_level="warning")
"""


@contextmanager
def server(home, path):
    """A process of its own, to be killed."""
    running = subprocess.Popen([sys.executable, "-c", SERVER, str(home), CREDENTIAL, str(path)])
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def until_it_listens(path):
    for _ in range(300):
        with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
            asking.connect(str(path))
            return
        time.sleep(0.1)


def test_what_was_accepted_survives_a_kill_and_what_was_not_goes(home, spoken, tmp_path):
    """A4: kill -9 right after the answer, in the middle of the next upload."""
    path = tmp_path / "api.sock"
    with server(home, path) as running:
        until_it_listens(path)
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(
            base_url="http://twin.invalid", transport=transport, headers=HEADERS, timeout=60
        ) as http:
            told = upload(http, spoken, name="Ana").json()
        with socket.socket(socket.AF_UNIX) as half:
            half.connect(str(path))
            head = [
                "POST /voices/uploads HTTP/1.1",
                "Host: twin.invalid",
                f"Authorization: {HEADERS['Authorization']}",
                "X-Twin-Caller: machine",
                "Content-Type: multipart/form-data; boundary=x",
                "Content-Length: 5000000",
                "",
                "--x",
                'Content-Disposition: form-data; name="audio"',
                "",
            ]
            half.sendall("".join(f"{line}\r\n" for line in head).encode() + bytes(2_000_000))
            place = home / "voices"
            for _ in range(200):
                if any(one.stat().st_size > 1_000_000 for one in place.glob(".upload.*/takes/*")):
                    break
                time.sleep(0.05)
            running.send_signal(signal.SIGKILL)
            running.wait()
    take = only_take(home)
    assert take.id == told["take_id"]
    assert take.original.read_bytes() == spoken
    (staged,) = place.glob(".upload.*")
    # What deletes all voices knows it for one's, and so does the next change.
    assert staged in voices.belongings(place)
    voices.create(place, "Ben")
    assert not staged.exists()


def test_names_are_on_the_disk_before_the_answer(http, home, spoken, monkeypatch):
    """A4: what a power failure would lose otherwise: take, takes, voice and voices."""
    settled, fsync = [], os.fsync

    def seen(handle):
        settled.append(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", seen)
    upload(http, spoken, name="Ana")
    take = only_take(home)
    places = {place.stat().st_ino for place in (take.path, *take.path.parents[:3])}
    assert places <= set(settled)
    # The sound before the names that lead to it.
    sound, names = take.original.stat().st_ino, take.path.stat().st_ino
    assert settled.index(sound) < settled.index(names)


def test_two_uploads_at_once_do_not_sweep_each_other(home):
    """What this process has staged is nobody's rest."""
    place = artifact.make_private_dir(home / "voices")
    with forms._staged(place) as one, forms._staged(place) as other:
        one.write_bytes(b"1")
        artifact.sweep(place)
        voices.tidy(place)
        assert one.read_bytes() == b"1"
        assert other.parent.is_dir()
    assert list(place.iterdir()) == []


def test_the_line_of_those_who_send_is_bounded(http, parts, spoken):
    """429, and when to come again."""
    parts.hearing.places = parts.hearing.most + 1
    answer = upload(http, spoken, name="Ana")
    assert kind_of(answer) == "busy"
    assert int(answer.headers["retry-after"]) >= 1


def test_the_owner_says_whose_voice_it_is_by_the_settings(home, parts):
    """Not by the name of the voice, where more is known."""
    voice = voices.create(owned.voices_of(parts.home), "Reading voice")
    assert owned.owner(parts.home, voice) == "Reading voice"
    (home / "twin.toml").write_text('[owner]\nname = "Ana Bell"\naddresses = ["ana@x.org"]\n')
    assert owned.owner(parts.home, voice) == "Ana Bell"


def test_the_page_on_it_says_what_the_code_does():
    """docs/voices-api.md: its numbers are ours."""
    page = " ".join((REPOSITORY / "docs" / "voices-api.md").read_text().split())
    for told in (
        f"up to {uploads.MOST / 1e6:.0f} MB and two hours",
        f"under {MIN_SECONDS:.0f} seconds ({uploads.LEAST_READ} of a sentence",
        f"under {MIN_RATE:,} Hertz; more than {MAX_CHANNELS} channels",
        f"{forms.SPARE / 1e6:.0f} MB stay free",
        f"{MOST} wait already",
        f"at least {consents.LEAST_WORDS * 100:.0f} % of its words",
        f"**From {clips.LEAST:.0f} seconds of speech on**",
        f"more than {clips.HEARD:.0f} nothing is heard. {clips.SHORT:.0f} seconds or more",
    ):
        assert told in page, told
    assert uploads.LONGEST == 2 * 3600
    assert bench.KEPT == 4
    assert bench.AT_ONCE == 30 * 60
    assert "of the last four stays in memory" in page
