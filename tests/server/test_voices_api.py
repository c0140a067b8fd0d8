"""The owner's voices over HTTP: what there is, what is deleted, what is read next, whose word."""

import io
import shutil

import numpy as np
import pytest
import soundfile

from aitwin import artifact
from aitwin.server import owned, voice_shapes
from aitwin.voice import at_work, record, transcribe, voices
from aitwin.voice import consent as consents
from aitwin.voice import profile as profiles
from aitwin.voice.audio import resample
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.heard import RATE
from aitwin.voice.prompts import prompts
from tests.server.recordings import coded, kind_of, wav
from tests.server.served import asking, parts_of
from tests.voice.sounds import BUNDLED
from tests.voice.test_evaluation import Recorded, run

CANARY = "zuccanary"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A home with the voice of Ana: two takes that were uploaded, and her word."""
    home = tmp_path_factory.mktemp("kept") / "home"
    with asking(parts_of(home)) as http:
        for first, emotion in ((0, "neutral"), (2, "happy")):
            answer = http.post(
                "/voices/uploads",
                files={"audio": ("a.wav", wav(first=first))},
                data={"name": "Ana", "emotion": emotion, "consent": "true"},
            )
            assert answer.status_code == 201
    return home


@pytest.fixture
def voice(kept, home):
    """Ana's, for this test alone."""
    shutil.copytree(kept, home)
    return voices.open_(home / "voices", "ana")


@pytest.fixture
def quickly(monkeypatch):
    """Nobody waits for who is at work."""
    monkeypatch.setattr(owned, "PATIENCE", 0.05)


def test_the_types_know_every_emotion():
    """The API's own list is the voice room's."""
    assert list(voice_shapes.Emotion.__args__) == list(EMOTIONS)


# --- What there is --------------------------------------------------------------------------------


def test_a_home_without_a_voice_has_none(http, home):
    assert http.get("/voices").json() == {"voices": [], "damaged": []}
    assert kind_of(http.get("/voices/ana")) == "unknown-voice"


def test_a_voice_tells_of_all_nine_emotions(voice, http):
    """V1, V2: how much is wanted of each, and how much there is."""
    told = http.get("/voices/ana").json()
    assert [one["emotion"] for one in told["emotions"]] == list(EMOTIONS)
    neutral, happy, *others = told["emotions"]
    assert neutral["wanted_seconds"] == 420
    assert neutral["takes"] == happy["takes"] == 1
    assert 5 < neutral["usable_seconds"] <= neutral["seconds"] < 12
    assert sum(neutral["grades"].values()) == 1
    assert all(one["takes"] == 0 and one["direction"] for one in others)
    assert told["wanted_seconds"] == 9 * 420
    assert told["seconds"] == pytest.approx(neutral["seconds"] + happy["seconds"], abs=0.1)
    assert told["given"]["kind"] == told["consent"] == "stated"
    assert not told["ready"]
    assert any("s are missing" in step for step in told["missing"])
    assert told["evaluation"] is None
    one, other = told["recordings"]
    assert {one["emotion"], other["emotion"]} == {"neutral", "happy"}
    assert one["grade"] in "AB"
    assert one["format"] == "wav"
    (listed,) = http.get("/voices").json()["voices"]
    assert listed == {name: told[name] for name in listed}


def test_a_voice_that_is_long_enough_says_what_speaks_and_what_it_lacks(voice, http, monkeypatch):
    monkeypatch.setattr(profiles, "LEAST_SPEECH", 5.0)
    told = http.get("/voices/ana").json()
    assert told["engine"] == "bundled+match"
    # No clone, for which it lacks what tells voices apart; and nothing else.
    assert not told["ready"]
    (missing,) = told["missing"]
    assert "pull openvoice-v2" in missing


def test_what_is_damaged_is_named_and_hides_nothing_else(voice, http, home):
    """And can be deleted, which is what is left to do."""
    (home / "voices" / "ben").mkdir()
    (home / "voices" / "ben" / artifact.MANIFEST).write_text("{")
    told = http.get("/voices").json()
    assert [one["id"] for one in told["voices"]] == ["ana"]
    assert any("ben" in line for line in told["damaged"])
    assert kind_of(http.get("/voices/ben")) == "cannot"
    (take, other) = voice.takes()
    (take.path / artifact.MANIFEST).write_text("{")
    told = http.get("/voices/ana").json()
    assert [one["id"] for one in told["recordings"]] == [other.id]
    assert any(take.id in line for line in told["damaged"])
    assert http.delete(f"/voices/ana/takes/{take.id}").status_code == 204
    assert http.get("/voices/ana").json()["damaged"] == []


def test_a_locked_volume_is_no_missing_voice(parts, home):
    parts.home.open()
    (home / "twin.toml").write_text('[voice]\ndirectory = "/nowhere/voices"\n')
    with asking(parts) as http:
        assert kind_of(http.get("/voices")) == "voices-locked"
        assert kind_of(http.get("/voices/ana")) == "voices-locked"
        assert kind_of(http.post("/voices", json={"name": "Ana"})) == "voices-locked"


# --- Changes --------------------------------------------------------------------------------------


def test_a_voice_is_made_renamed_and_deleted(http, home):
    made = http.post("/voices", json={"name": " Ana Bell "})
    assert made.status_code == 201
    assert (made.json()["id"], made.json()["name"]) == ("ana-bell", "Ana Bell")
    assert kind_of(http.post("/voices", json={"name": "ana bell"})) == "exists"
    renamed = http.patch("/voices/ana-bell", json={"name": "Ana B."})
    assert (renamed.json()["id"], renamed.json()["name"]) == ("ana-bell", "Ana B.")
    assert http.delete("/voices/ana-bell").status_code == 204
    assert voices.all_(home / "voices") == []
    assert kind_of(http.delete("/voices/ana-bell")) == "unknown-voice"


@pytest.mark.parametrize("name", ["", "…", "base", CANARY * 20, None, 5])
def test_what_is_no_name_makes_no_voice(http, home, name):
    http.post("/voices", json={"name": "Ana"})
    for answer in (
        http.post("/voices", json={"name": name}),
        http.patch("/voices/ana", json={"name": name}),
    ):
        assert kind_of(answer) == "invalid-request"
        assert answer.json()["errors"][0]["pointer"] == "#/name"
        assert CANARY not in answer.text
    assert [one.name for one in voices.all_(home / "voices")] == ["Ana"]


@pytest.mark.parametrize("voice_id", ["..", "%2e%2e", "ana%2f..%2f..", ".upload", "Ana", "a" * 99])
def test_what_is_no_id_reaches_no_file(http, home, voice_id):
    """A name of another directory is no name of a voice."""
    http.post("/voices", json={"name": "Ana"})
    for method in ("GET", "DELETE"):
        answer = http.request(method, f"/voices/{voice_id}")
        assert answer.status_code in (404, 405, 422)
    assert [one.id for one in voices.all_(home / "voices")] == ["ana"]


def test_a_take_that_is_deleted_goes_with_what_was_made_of_it(voice, http):
    """P4: the profile is made anew without it; when none is left, there is none."""
    one, other = voice.takes()
    assert http.delete(f"/voices/ana/takes/{one.id}").status_code == 204
    assert not voice.prepared_path(one).exists()
    made = profiles.load(profiles.path_of(voice))
    assert list(made.manners) == [other.emotion]
    assert kind_of(http.delete(f"/voices/ana/takes/{one.id}")) == "unknown-take"
    http.delete(f"/voices/ana/takes/{other.id}")
    assert not profiles.path_of(voice).exists()
    assert http.get("/voices/ana").json()["recordings"] == []


def test_nobody_deletes_from_under_who_is_at_work(voice, http, quickly):
    """A preparation, a recording in the terminal, a fine-tune: each is told of, nothing goes."""
    take = voice.takes()[0]
    learning = voice.path / voices.LEARNING
    learning.mkdir()
    for held in (at_work.alone(voice), record.alone(voice), artifact.holding(learning)):
        with held:
            assert kind_of(http.delete(f"/voices/ana/takes/{take.id}")) == "in-use"
            assert kind_of(http.delete("/voices/ana")) == "in-use"
    assert len(voice.takes()) == 2
    assert http.delete("/voices/ana").status_code == 204


# --- Listening ------------------------------------------------------------------------------------


def test_a_take_is_heard_as_it_came_and_as_it_was_made_ready(voice, http):
    take = voice.takes()[0]
    path = f"/voices/ana/takes/{take.id}/audio"
    whole = http.get(path)
    assert whole.content == take.original.read_bytes()
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["accept-ranges"] == "bytes"
    assert "no-store" in whole.headers["cache-control"]
    part = http.get(path, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert http.get(path, headers={"Range": "bytes=-10"}).content == whole.content[-10:]
    beyond = http.get(path, headers={"Range": "bytes=999999999-"})
    assert kind_of(beyond) == "bad-range"
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"
    for odd in ("bytes=9-1", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6"):
        assert http.get(path, headers={"Range": odd}).content == whole.content
    ready = http.get(path, params={"prepared": "true"})
    assert ready.headers["content-type"] == "audio/flac"
    assert soundfile.info(io.BytesIO(ready.content)).samplerate == RATE
    shutil.rmtree(voice.prepared_path(take))
    assert kind_of(http.get(path, params={"prepared": "true"})) == "unknown-take"
    assert kind_of(http.get("/voices/ana/takes/0123456789abcdef/audio")) == "unknown-take"


# --- What to read ---------------------------------------------------------------------------------


def read(voice, *sentences, seconds=6.0):
    """Takes of these, as if they had been read."""
    for number, sentence in enumerate(sentences):
        sound = voice.path / f"read{number}.wav"
        soundfile.write(sound, np.full(400, hash(sentence.id) % 997 / 1000), 48_000)
        values = {"emotion": sentence.emotion, "seconds": seconds, "sample_rate": 48_000}
        values |= {"channels": 1, "prompt": sentence.text, "prompt_id": sentence.id}
        voice.add(sound, values, move=True)


def test_sentences_come_in_their_order_and_go_when_they_are_read(voice, http):
    """V1."""
    sad = prompts("sad")

    def next_(**how):
        return http.get("/voices/ana/prompts", params={"emotion": "sad", **how}).json()

    assert [one["id"] for one in next_(count=3)["prompts"]] == [one.id for one in sad[:3]]
    assert next_(count=1)["prompts"][0]["text"] == sad[0].text
    assert 2 < next_(count=1)["prompts"][0]["seconds"] < 12
    read(voice, sad[0], sad[2])
    skipped = ",".join((sad[1].id, "nonsense"))
    assert [one["id"] for one in next_(count=2)["prompts"]] == [sad[1].id, sad[3].id]
    assert [one["id"] for one in next_(count=2, skip=skipped)["prompts"]] == [
        sad[3].id,
        sad[4].id,
    ]
    progress = {one["emotion"]: one for one in next_()["progress"]}
    assert (progress["sad"]["read"], progress["sad"]["sentences"]) == (2, len(sad))
    assert progress["sad"]["seconds"] == 12
    assert len(progress) == 9


def test_when_there_is_enough_of_an_emotion_the_next_one_comes(voice, http):
    """V1: seven minutes of each."""
    told = http.get("/voices/ana/prompts").json()
    assert {one["emotion"] for one in told["prompts"]} == {"neutral"}
    assert len(told["prompts"]) == 10
    read(voice, *prompts("neutral")[:2], seconds=205.0)
    told = http.get("/voices/ana/prompts", params={"count": 3}).json()
    assert [one["emotion"] for one in told["prompts"]] == ["neutral", "happy", "happy"]


@pytest.mark.parametrize(
    "how", [{"emotion": CANARY}, {"count": 0}, {"count": 51}, {"skip": "x" * 5_000}]
)
def test_what_no_sentence_answers_is_refused(voice, http, how):
    answer = http.get("/voices/ana/prompts", params=how)
    assert kind_of(answer) == "invalid-request"
    assert CANARY not in answer.text


# --- Consent --------------------------------------------------------------------------------------


def read_aloud(text, pause=0.0):
    """Somebody reads it, as a WAV at 48,000 Hertz, with a pause behind it."""
    file = io.BytesIO()
    spoken = resample(BUNDLED.speak(text), 48_000).samples
    samples = np.concatenate([spoken, np.zeros(round(pause * 48_000), np.float32)])
    soundfile.write(file, samples, 48_000, format="WAV", subtype="PCM_24")
    return file.getvalue()


def give(http, sound):
    return http.post("/voices/ana/consent", files={"audio": ("consent.webm", sound)})


def test_the_sentence_is_read_aloud_and_kept(voice, http, tmp_path):
    """V1: as a browser records it; its words are heard, and it takes the place of the word."""
    sentence = http.get("/voices/ana/consent").json()["sentence"]
    assert sentence.startswith("I am Ana. Today is ")
    sound = coded(tmp_path, "c.webm", "-c:a", "libopus", "-live", "1", source=read_aloud(sentence))
    answer = give(http, sound)
    assert answer.status_code == 201
    given = answer.json()["given"]
    assert (given["kind"], given["doubts"]) == ("spoken", [])
    if transcribe.Transcriber.installed():
        assert given["words"] > 0.9
    stored = consents.load(voice.path / "consent")
    (recording,) = (voice.path / "consent").glob("consent.*")
    assert artifact.sha256(recording) == stored.sha256
    assert soundfile.info(recording).duration > 4  # the voice room reads it, which webm is not
    made = profiles.load(profiles.path_of(voice))
    assert made.consent_sha256 == artifact.sha256(voice.path / "consent" / artifact.MANIFEST)
    # The word, given later, says less: what was spoken stays.
    again = http.post("/voices/ana/consent", json={"i_am_the_speaker": True})
    assert again.json()["given"]["kind"] == "spoken"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("No.", "of speech were heard"),
        ("The quick brown fox is not what was to be read here, and nobody allows it.", "% of the"),
    ],
)
def test_what_is_not_the_sentence_is_no_consent(voice, http, text, told):
    """V1: neither a cough nor another text; and no word of it is repeated."""
    if "%" in told and not transcribe.Transcriber.installed():
        pytest.skip("no speech recognition is installed")
    before = consents.load(voice.path / "consent")
    answer = give(http, read_aloud(text, pause=2.0))
    assert kind_of(answer) == "consent-unheard"
    assert told in answer.json()["detail"]
    assert "fox" not in answer.text
    assert consents.load(voice.path / "consent") == before


def test_a_consent_that_is_taken_back_ends_everything_that_was_made(voice, http):
    """V1: fine-tune, evaluation, and what may speak; recordings stay."""
    for name in (voices.TUNED, voices.JUDGED):
        (voice.path / name).mkdir()
    assert http.delete("/voices/ana/consent").status_code == 204
    assert http.get("/voices/ana/consent").json()["given"] is None
    assert not (voice.path / voices.TUNED).exists()
    assert not (voice.path / voices.JUDGED).exists()
    assert len(voice.takes()) == 2
    made = profiles.load(profiles.path_of(voice))
    assert made.consent is None
    assert any("consent" in step for step in http.get("/voices/ana").json()["missing"])


@pytest.mark.parametrize(
    "body", [{}, {"i_am_the_speaker": False}, {"i_am_the_speaker": "yes"}, [CANARY], CANARY]
)
def test_the_word_must_be_given(voice, http, body):
    shutil.rmtree(voice.path / "consent")
    answer = http.post("/voices/ana/consent", json=body)
    assert kind_of(answer) in ("invalid-request", "malformed")
    assert consents.load(voice.path / "consent") is None


def test_one_that_came_from_elsewhere_allows_nothing(voice, http):
    shutil.move(voice.path / "consent", voice.path / consents.IMPORTED)
    told = http.get("/voices/ana/consent").json()
    assert told["imported"]
    assert told["given"] is None


# --- How well it speaks ---------------------------------------------------------------------------


def test_an_evaluation_tells_how_like_the_owner_it_sounds(voice, http):
    """The similarity score, with what is to be known of it; outdated when something changes."""
    assert kind_of(http.get("/voices/ana/evaluation")) == "no-evaluation"
    assert kind_of(http.get("/voices/ana/evaluation/page")) == "no-evaluation"
    found = run(voice, Recorded())
    told = http.get("/voices/ana/evaluation").json()
    assert told["likeness"] == pytest.approx(dict(found.verdict.likeness))
    assert set(told["likeness_wanted"]) == set(told["likeness"])
    assert told["usable"] == found.verdict.usable
    assert told["sentences"] == 3
    assert told["outdated"]  # the engine of that test speaks no more
    assert http.get("/voices/ana").json()["evaluation"] == told
    page = http.get("/voices/ana/evaluation/page")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.text == found.page.read_text("utf-8")


@pytest.mark.parametrize(
    ("route", "kind", "command"),
    [
        ("preparation", "voice-preparation", ("voice", "prepare", "ana")),
        ("evaluation", "voice-evaluation", ("voice", "eval", "ana")),
    ],
)
def test_what_takes_long_is_a_job(voice, http, parts, monkeypatch, route, kind, command):
    orders = []
    start = parts.jobs.start
    monkeypatch.setattr(type(parts.jobs), "_wake", lambda self, lane: None)
    monkeypatch.setattr(
        type(parts.jobs), "start", lambda self, order: orders.append(order) or start(order)
    )
    answer = http.post(f"/voices/ana/{route}")
    assert answer.status_code == 202
    assert (answer.json()["kind"], answer.json()["name"]) == (kind, "ana")
    assert answer.json()["state"] == "queued"
    assert [order.arguments for order in orders] == [command]


def test_nothing_to_prepare_is_no_job(http):
    http.post("/voices", json={"name": "Ben"})
    assert kind_of(http.post("/voices/ben/preparation")) == "cannot"
    assert kind_of(http.post("/voices/ana/preparation")) == "unknown-voice"
