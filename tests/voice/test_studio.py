"""The studio: which engine speaks in a voice, why no better one does, and by turns."""

import gc
import gzip
import json
import os
import shutil
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import soundfile

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import checkpoint, converter, placing, timbre, voices
from aitwin.voice import profile as profiles
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.openvoice import ReferenceEncoder
from aitwin.voice.placing import Placing
from aitwin.voice.studio import Cast, EngineState, Queue, Studio, Weights
from aitwin.voice.voices import Voice
from tests.voice import small_melo
from tests.voice.test_profile import add, consented

CANARY = "zuccanary"
SENTENCE = "The kettle is on, and nobody has moved the van."


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    """Two cores that are busy: more threads only wait for each other."""
    import torch

    torch.set_num_threads(1)


def clips(shared: Path, reader: str) -> list[Samples]:
    """Six seconds of a reader of LibriSpeech."""
    place = shared / "golden" / "ref_encoder"
    return [soundfile.read(place / f"spk{reader}_{n}.wav", dtype="float32")[0] for n in "ab"]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some seconds do for a profile here: a minute would take a minute."""
    monkeypatch.setattr(profiles, "LEAST_SPEECH", 5.0)


@pytest.fixture
def voice(tmp_path: Path, shared: Path, short: None) -> Voice:
    """A voice with two takes, neutral and sad, and its speaker's word; no profile yet."""
    made = voices.create(tmp_path / "voices", "Ana")
    add(made, clips(shared, "3331") * 3)
    add(made, clips(shared, "3331")[:1], emotion="sad", pitches=[150.0])
    consented(made, kind="stated")
    return made


@pytest.fixture
def random_weights(tmp_path: Path, shared: Path) -> Weights:
    """OpenVoice's converter with random weights, small: what it does is real, what it says not."""
    place = tmp_path / "shelf" / "openvoice-v2"
    place.mkdir(parents=True)
    for name in ("checkpoint.pth", "config.json"):
        shutil.copy(shared / "golden" / "openvoice" / name, place / name)
    return Weights(openvoice=place)


def profile_by(voice: Voice, weights: Weights) -> None:
    assert weights.openvoice is not None
    profiles.build(voice, ReferenceEncoder.load(weights.openvoice / "checkpoint.pth"))


def why(cast: Cast) -> dict[str, str]:
    return {passed.engine: passed.why for passed in cast.passed}


# --- Which engine ---------------------------------------------------------------------------------


def test_the_base_voice_speaks_for_nobody() -> None:
    cast = Studio().cast(None)
    assert (cast.engine, cast.voice, cast.owner, cast.passed) == ("bundled", "", "", ())
    assert not cast.cloned
    assert "not yours" in cast.describe()
    assert cast.speak(SENTENCE).seconds > 2


def test_every_engine_is_listed_with_what_it_lacks() -> None:
    """`twin models list`: nothing is loaded for it, and what to do is said."""
    states = {state.name: state for state in Studio().engines()}
    assert [*states][:4] == [
        "melotts+finetune", "melotts+openvoice", "bundled+openvoice", "bundled+match",
    ]  # fmt: skip
    assert states["bundled"].lacking == ""
    assert "twin models pull voice" in states["melotts+openvoice"].lacking
    assert "openvoice-v2" in states["bundled+openvoice"].lacking
    assert all(state.licence and state.title for state in states.values())
    lacking = {"openvoice": "openvoice-v2 is damaged; run `twin models pull openvoice-v2`"}
    damaged = Studio(Weights(lacking=lacking)).engines()[2]
    assert damaged.lacking == lacking["openvoice"]


def test_without_consent_nothing_is_moved_towards_a_voice(voice: Voice) -> None:
    """V1: not even approximately; and the result says so, by name."""
    shutil.rmtree(voice.path / "consent")
    profiles.build(voice, None)
    cast = Studio().cast(voice)
    assert cast.engine == "bundled"
    assert cast.owner == ""
    assert "in place of the voice ana" in cast.describe()
    assert [*why(cast)] == ["melotts+openvoice", "bundled+openvoice", "bundled+match"]
    assert all("no consent of the speaker" in reason for reason in why(cast).values())
    for engine in why(cast):
        with pytest.raises(TwinError, match=f"{engine.replace('+', '.')} cannot speak.*consent"):
            Studio().cast(voice, engine=engine)


def test_what_was_opened_stops_speaking_when_the_consent_is_taken_back(
    voice: Voice, random_weights: Weights
) -> None:
    """V1: a server runs for weeks; what it has opened is no licence."""
    profile_by(voice, random_weights)
    studio = Studio(random_weights)
    for engine in ("bundled+openvoice", "bundled+match"):
        speech = studio.speech(voice, engine=engine)
        said = speech.stream("No sugar. No milk. No tea.")
        assert next(said).seconds
        consent = voice.path / "consent"
        consent.rename(voice.path / "aside")
        with pytest.raises(TwinError, match="ana cannot be cloned: there is no consent"):
            next(said)
        with pytest.raises(TwinError, match="there is no consent"):
            [*speech.stream("No.")]
        assert studio.cast(voice).engine == "bundled"
        (voice.path / "aside").rename(consent)
        assert [*speech.stream("No.")]


def test_what_is_measured_while_the_consent_is_taken_back_does_not_stay(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles.build(voice, None)
    measure = timbre.measure

    def slow(sounds):
        found = measure(sounds)
        voices.delete(voice.path)
        return found

    monkeypatch.setattr(timbre, "measure", slow)
    assert Studio().cast(voice).engine == "bundled"
    assert not voice.path.exists()


def test_too_little_speech_and_no_profile_are_said(tmp_path: Path, shared: Path) -> None:
    made = voices.create(tmp_path / "voices", "Ana")
    add(made, clips(shared, "3331"))
    consented(made, kind="stated")
    assert all("voice prepare" in reason for reason in why(Studio().cast(made)).values())
    profiles.build(made, None)
    cast = Studio().cast(made)
    assert cast.engine == "bundled"
    assert "60 s are the least" in why(cast)["bundled+match"]
    assert "embedding" not in why(cast)["bundled+match"]
    assert "embedding" in why(cast)["bundled+openvoice"]


def test_before_any_pull_the_match_speaks_and_says_that_it_is_one(voice: Voice) -> None:
    """S1 on a fresh machine: audibly the owner's, and never called a clone."""
    profiles.build(voice, None)
    studio = Studio()
    cast = studio.cast(voice)
    assert cast.engine == "bundled+match"
    assert cast.approximate
    assert not cast.cloned
    assert (cast.voice, cast.owner) == ("ana", "Ana")
    assert "approximate" in cast.describe()
    assert "Ana" in cast.describe()
    assert "Ana" not in repr(cast)
    assert [*why(cast)] == ["melotts+openvoice", "bundled+openvoice"]
    said, base = cast.speak(SENTENCE, seed=1), studio.cast(None).speak(SENTENCE, seed=1)
    assert said.samples.any()
    assert said.sample_rate != base.sample_rate or not np.array_equal(said.samples, base.samples)
    assert np.array_equal(said.samples, cast.speak(SENTENCE, seed=1).samples)


def test_with_the_converter_the_bundled_voice_gets_the_tone_colour(
    voice: Voice, random_weights: Weights, tmp_path: Path
) -> None:
    """S1, V3: by emotion, deterministic, and the base's own tone colour is measured once."""
    profile_by(voice, random_weights)
    studio = Studio(random_weights, kept=tmp_path / "kept")
    cast = studio.cast(voice)
    assert (cast.engine, cast.cloned, cast.approximate) == ("bundled+openvoice", True, False)
    assert [*why(cast)] == ["melotts+openvoice"]
    assert "Ana" in cast.describe()
    said = cast.speak("No sugar.", seed=3)
    assert said.sample_rate == 22_050
    assert said.samples.any()
    again = Studio(random_weights, kept=tmp_path / "kept")
    measured = list((tmp_path / "kept").glob("tone-bundled-*.npy"))
    assert len(measured) == 1
    before = measured[0].stat().st_mtime_ns
    assert np.array_equal(said.samples, again.cast(voice).speak("No sugar.", seed=3).samples)
    assert measured[0].stat().st_mtime_ns == before
    measured[0].write_bytes(b"damaged")
    other = Studio(random_weights, kept=tmp_path / "kept").cast(voice)
    assert np.array_equal(said.samples, other.speak("No sugar.", seed=3).samples)
    sad = studio.cast(voice, emotion="sad")
    assert sad.emotion == "sad"
    assert not np.array_equal(said.samples, sad.speak("No sugar.", seed=3).samples)
    assert [state.lacking == "" for state in studio.ladder(voice)] == [False, True, True, True]


@pytest.fixture
def everything(random_weights: Weights, shared: Path, tmp_path: Path) -> Weights:
    """As after `twin models pull voice`, with small random weights in place of the real ones."""
    golden = shared / "golden"
    places = [tmp_path / "shelf" / name for name in ("melotts", "bert", "g2p")]
    for place in places:
        place.mkdir()
    melotts, bert, g2p = places
    for name in ("checkpoint.pth", "config.json"):
        shutil.copy(golden / "melo" / name, melotts / name)
    with gzip.open(golden / "extra" / "cmudict.rep.gz") as packed:
        (g2p / "cmudict.rep").write_bytes(packed.read())
    shutil.copy(golden / "extra" / "g2p_en_checkpoint20.npz", g2p / "checkpoint20.npz")
    small_melo.write_bert(bert)
    return replace(random_weights, melotts=melotts, bert=bert, g2p=g2p)


def test_with_everything_pulled_melotts_speaks(
    voice: Voice, everything: Weights, shared: Path, tmp_path: Path
) -> None:
    """S1: MeloTTS under OpenVoice, with nothing passed over; S6: a fine-tune is better still."""
    profile_by(voice, everything)
    told: list[str] = []
    studio = Studio(everything, kept=tmp_path / "kept", measuring=told.append)
    cast = studio.cast(voice)
    assert (cast.engine, cast.passed, cast.cloned) == ("melotts+openvoice", (), True)
    assert "MeloTTS" in cast.describe()
    said = cast.speak("Good morning.", seed=1)
    assert said.sample_rate == 22_050
    assert 0.2 < said.seconds < 10
    assert np.array_equal(said.samples, cast.speak("Good morning.", seed=1).samples)
    noted = json.loads((tmp_path / "kept" / "placing.json").read_text())
    assert len(noted["work"]) == 2
    assert told == ["MeloTTS", "the converter of tone colour"]
    plain = studio.cast(None, engine="melotts")
    assert not plain.cloned
    assert plain.speak("Good morning.").sample_rate == 44_100
    tune(voice, shared / "golden" / "melo")
    tuned = studio.cast(voice)
    assert (tuned.engine, tuned.passed, tuned.cloned) == ("melotts+finetune", (), True)
    assert "fine-tuned" in tuned.describe()
    assert tuned.speak("Good morning.").sample_rate == 44_100
    manifest = voice.path / "finetune" / "manifest.json"
    whole = manifest.read_text()
    for damage, reason in (
        (whole.replace('"version": 1', '"version": 0'), "was made by another version"),
        (whole.replace('"size": ', '"size": 1'), "is damaged"),
        ("{", "cannot be read"),
    ):
        manifest.write_text(damage)
        cast = studio.cast(voice)
        assert cast.engine == "melotts+openvoice"
        assert reason in why(cast)["melotts+finetune"]
        assert "run `twin voice finetune ana`" in why(cast)["melotts+finetune"]
        assert studio.ladder(voice)[0].lacking == why(cast)["melotts+finetune"]
        with pytest.raises(TwinError, match=f"finetune cannot speak: .*{reason}"):
            studio.cast(voice, engine="melotts+finetune")
    manifest.write_text(whole)
    weights = manifest.with_name("checkpoint.safetensors")
    flipped = bytearray(weights.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    weights.write_bytes(flipped)
    cast = Studio(everything, kept=tmp_path / "kept").cast(voice)
    assert "is damaged" in why(cast)["melotts+finetune"]
    manifest.unlink()
    assert "no complete fine-tuned voice" in why(studio.cast(voice))["melotts+finetune"]
    shutil.rmtree(manifest.parent)
    assert "melotts+finetune" not in why(studio.cast(voice))


def test_a_fine_tune_is_in_memory_once(
    voice: Voice, everything: Weights, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1: for all emotions one network; the next fine-tune takes its place."""
    from aitwin.voice.melo import Melo

    loads, load = [], Melo.load
    monkeypatch.setattr(Melo, "load", lambda *files: loads.append(files) or load(*files))
    profile_by(voice, everything)
    studio = Studio(everything)
    tune(voice, shared / "golden" / "melo", emotions=("neutral", "sad"))
    one, sad = (studio.cast(voice, emotion=emotion) for emotion in ("", "sad"))
    assert (one.engine, sad.engine, len(loads)) == ("melotts+finetune", "melotts+finetune", 1)
    first = weakref.ref(melo_of(one))
    assert melo_of(sad) is first()
    tune(voice, shared / "golden" / "melo", emotions=("neutral",), metrics={"anew": 1})
    del one, sad
    anew = studio.cast(voice)
    gc.collect()
    assert len(loads) == 2
    assert first() is None
    assert anew.speak("Good morning.").seconds > 0.2


def melo_of(cast: Cast) -> object:
    own: Any = cast.speaker
    return own.speaker.melo


def test_what_was_judged_is_known_by_its_weights(
    voice: Voice, random_weights: Weights, tmp_path: Path
) -> None:
    """An engine of the same name with other weights is another one."""
    profile_by(voice, random_weights)
    studio = Studio(random_weights)
    base, cast = studio.cast(None), studio.cast(voice)
    assert len({base.made_of, cast.made_of}) == 2
    assert cast.made_of == studio.cast(voice).made_of
    assert random_weights.openvoice is not None
    before, config = cast.made_of, random_weights.openvoice / "config.json"
    config.write_text(config.read_text() + " ")
    assert studio.cast(voice).made_of != before


def test_what_is_pulled_while_a_server_runs_speaks(voice: Voice, random_weights: Weights) -> None:
    """The answer said what to do; the owner has done it."""
    profile_by(voice, random_weights)
    here = [Weights()]
    studio = Studio(lambda: here[0])
    assert "twin models pull voice" in why(studio.cast(voice))["bundled+openvoice"]
    here[0] = random_weights
    assert studio.cast(voice).engine == studio.best(voice) == "bundled+openvoice"


def tune(
    voice: Voice,
    melo: Path,
    emotions: Sequence[str] = ("neutral",),
    metrics: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """What a fine-tuning leaves, of MeloTTS as it was."""
    from safetensors.torch import save_file

    tensors = checkpoint.fused(checkpoint.read(melo / "checkpoint.pth", "pull it"))
    kept = {name: t.contiguous() for name, t in tensors.items() if not name.startswith("enc_q.")}
    config = json.loads((melo / "config.json").read_text())
    config["data"]["spk2id"] = {emotion: row for row, emotion in enumerate(emotions)}
    with artifact.building(voice.path / "finetune") as scratch:
        save_file(kept, scratch / "checkpoint.safetensors")
        (scratch / "config.json").write_text(json.dumps(config))
        size = (scratch / "checkpoint.safetensors").stat().st_size
        digest = artifact.sha256(scratch / "checkpoint.safetensors")
        values = {"version": 1, "size": size, "metrics": dict(metrics), "takes": []}
        artifact.write_manifest(scratch, {**values, "sha256": digest})


def test_the_machine_is_measured_before_anybody_waits(
    voice: Voice, random_weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3: a server does so when it starts, for voices that need it, and never in a request."""
    monkeypatch.setattr(converter, "TRIAL", 0.1)
    kept, told = tmp_path / "kept", list[str]()
    studio = Studio(random_weights, voices=lambda: voice.path.parent, kept=kept)
    studio.measure(told.append)
    assert told == []  # no voice that needs it: there is no profile yet
    profile_by(voice, random_weights)
    assert studio.cast(voice).engine == "bundled+openvoice"
    assert not (kept / "placing.json").exists()
    studio.measure(told.append)
    assert told == ["the converter of tone colour"]
    noted = (kept / "placing.json").read_bytes()
    with monkeypatch.context() as nothing_loads:
        nothing_loads.setattr(converter.Converter, "tuned", None)
        nothing_loads.setattr(converter.Converter, "load", None)
        studio.measure(told.append)
    assert len(told) == 1
    assert (kept / "placing.json").read_bytes() == noted
    choice = Placing(backend="plain")
    monkeypatch.setattr(placing, "known", lambda note, work: choice)
    made = Studio(random_weights, kept=kept).cast(voice).speaker
    assert made.converter.placing == choice  # type: ignore[attr-defined]


def test_what_one_voice_raises_keeps_no_other_from_being_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Ana", "Ben", "Cleo"):
        voices.create(tmp_path, name)
    asked: list[str] = []

    def ladder(studio: Studio, voice: Voice) -> list[EngineState]:
        asked.append(voice.id)
        raise TwinError("no emotion")

    monkeypatch.setattr(Studio, "ladder", ladder)
    Studio(voices=lambda: tmp_path).measure(lambda what: None)
    assert asked == ["ana", "ben", "cleo"]


def test_a_damaged_checkpoint_is_passed_over_with_its_reason(
    voice: Voice, random_weights: Weights
) -> None:
    profile_by(voice, random_weights)
    assert random_weights.openvoice is not None
    checkpoint = random_weights.openvoice / "checkpoint.pth"
    checkpoint.write_bytes(checkpoint.read_bytes()[:100_000])
    cast = Studio(random_weights).cast(voice)
    assert cast.engine == "bundled+match"
    assert "damaged" in why(cast)["bundled+openvoice"]
    with pytest.raises(TwinError, match="damaged"):
        Studio(random_weights).cast(voice, engine="bundled+openvoice")


def test_a_profile_of_another_encoder_is_not_converted(
    voice: Voice, random_weights: Weights, shared: Path
) -> None:
    """Its numbers would mean another voice."""
    real = shared / "golden" / "ref_encoder" / "ref_enc_openvoice_v2.safetensors"
    profiles.build(voice, ReferenceEncoder.load(real))
    cast = Studio(random_weights).cast(voice)
    assert "another encoder" in why(cast)["bundled+openvoice"]
    assert cast.engine == "bundled+match"


def test_what_did_not_open_is_told_as_such_from_then_on(
    voice: Voice, random_weights: Weights, tmp_path: Path
) -> None:
    """In every process, and until something of it changes: no list calls it the one that speaks."""
    profile_by(voice, random_weights)
    assert random_weights.openvoice is not None
    damaged = random_weights.openvoice / "checkpoint.pth"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100_000])
    kept = tmp_path / "kept"
    for studio in (Studio(random_weights, kept=kept), Studio(random_weights)):
        assert studio.best(voice) == "bundled+openvoice"  # nobody has tried
        reason = why(studio.cast(voice))["bundled+openvoice"]
        assert studio.best(voice) == "bundled+match"
        assert studio.ladder(voice)[1].lacking == reason
        assert "damaged" in reason
    another = Studio(random_weights, kept=kept)
    assert another.best(voice) == "bundled+match"
    told = another.ladder(voice)[1].lacking
    assert "`twin say Hello --voice ana --engine bundled+openvoice`" in told
    assert "damaged" in why(another.cast(voice))["bundled+openvoice"]
    assert voice.id not in (kept / "unopened.json").read_text()
    (kept / "unopened.json").write_text('{"damaged": 1}')
    assert Studio(random_weights, kept=kept).best(voice) == "bundled+openvoice"
    damaged.write_bytes(whole)
    assert another.best(voice) == another.cast(voice).engine == "bundled+openvoice"


def test_what_opens_after_all_is_no_longer_told_as_unopened(
    voice: Voice, random_weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*files: object) -> None:
        raise TwinError("no memory")

    profile_by(voice, random_weights)
    studio = Studio(random_weights, kept=tmp_path / "kept")
    with monkeypatch.context() as this_once:
        this_once.setattr(converter.Converter, "load", refuse)
        assert why(studio.cast(voice))["bundled+openvoice"] == "no memory"
        assert studio.best(voice) == "bundled+match"
    assert studio.cast(voice).engine == studio.best(voice) == "bundled+openvoice"
    assert Studio(random_weights, kept=tmp_path / "kept").best(voice) == "bundled+openvoice"


def test_a_profile_that_changes_is_spoken_with_at_once(
    voice: Voice, random_weights: Weights, shared: Path
) -> None:
    profile_by(voice, random_weights)
    studio = Studio(random_weights)
    before = studio.cast(voice).speaker
    assert studio.cast(voice).speaker is before
    add(voice, clips(shared, "1688"), emotion="happy")
    profile_by(voice, random_weights)
    assert studio.cast(voice).speaker is not before


# --- What is asked for ----------------------------------------------------------------------------


def test_emotions_are_those_that_were_recorded(voice: Voice) -> None:
    profiles.build(voice, None)
    studio = Studio()
    with pytest.raises(TwinError, match=r"no emotion is called 'jolly'; there are neutral"):
        studio.cast(voice, emotion="jolly")
    with pytest.raises(TwinError, match=r"not recorded in 'angry'; it has neutral, sad: .*record"):
        studio.cast(voice, emotion="angry")
    with pytest.raises(TwinError, match="base voice has one manner"):
        studio.cast(None, emotion="sad")
    assert studio.emotions(voice) == ["neutral", "sad"]


def test_an_engine_by_name_or_none(voice: Voice) -> None:
    profiles.build(voice, None)
    studio = Studio()
    assert studio.cast(voice, engine="bundled").describe().endswith("in place of the voice ana")
    with pytest.raises(TwinError, match=r"no engine is called 'x'; there are melotts\+finetune"):
        studio.cast(voice, engine="x")
    with pytest.raises(TwinError, match="speaks in a voice of yours; name one"):
        studio.cast(None, engine="bundled+match")
    with pytest.raises(TwinError, match="no emotion of yours"):
        studio.cast(voice, engine="bundled", emotion="sad")
    with pytest.raises(TwinError, match="melotts cannot speak: not here yet"):
        studio.cast(None, engine="melotts")


def test_voices_are_found_by_name_and_the_only_one_is_meant(tmp_path: Path) -> None:
    place = tmp_path / "voices"
    place.mkdir()
    studio = Studio(voices=lambda: place)
    assert studio.find() is None
    ana = voices.create(place, "Ana")
    assert [one.id for one in studio.voices()] == ["ana"]
    for wanted in ("", "ana", "Ana"):
        found = studio.find(wanted)
        assert found is not None
        assert found.path == ana.path
    assert studio.find("base") is studio.find("bundled") is None
    voices.create(place, "Bo")
    with pytest.raises(TwinError, match=r"which voice\? say its id: ana, bo; or .* base"):
        studio.find()
    with pytest.raises(TwinError, match="no voice is called 'cy'"):
        studio.find("cy")
    with pytest.raises(TwinError, match="no voice is called 'ana'"):
        Studio().find("ana")


def test_a_locked_volume_stops_nobody_from_the_base_voice() -> None:
    def locked() -> Path:
        raise TwinError("the volume is not mounted")

    studio = Studio(voices=locked)
    assert studio.find("base") is None
    with pytest.raises(TwinError, match="not mounted; or choose the base voice: base"):
        studio.find()
    with pytest.raises(TwinError, match=r"not mounted$"):
        studio.find("ana")


# --- By turns -------------------------------------------------------------------------------------


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for() -> None:
    queue, order = Queue(), []

    def ask(number: int) -> None:
        with queue.turn():
            order.append(number)

    with queue.turn():
        askers = []
        for number in range(8):
            askers.append(threading.Thread(target=ask, args=(number,)))
            askers[-1].start()
            until(lambda ready=number + 1: queue.waiting == ready)
    for asker in askers:
        asker.join()
    assert order == list(range(8))
    assert queue.waiting == 0


def until(holds) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if holds():
            return
        pause.wait(0.005)
    raise AssertionError("never")


def test_whoever_fails_or_is_interrupted_hands_the_turn_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue()
    with pytest.raises(ZeroDivisionError), queue.turn():
        1 / 0  # noqa: B018
    with queue.turn():
        monkeypatch.setattr(threading.Event, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt), queue.turn():
            raise AssertionError
        monkeypatch.undo()
        assert queue.waiting == 0
    with queue.turn():
        pass


def interrupted(self: threading.Event, timeout: float | None = None) -> bool:
    raise KeyboardInterrupt


class Slow:
    """A speaker that says when it speaks, and waits to be let go on."""

    name, cloned = "slow", False

    def __init__(self) -> None:
        self.speaking = 0
        self.most = 0
        self.go = threading.Semaphore(0)

    def describe(self) -> str:
        return "slow"

    def speak(self, sentence: str, *, speed: float = 1.0, seed: int = 0) -> Utterance:
        self.speaking += 1
        self.most = max(self.most, self.speaking)
        self.go.acquire()
        self.speaking -= 1
        return Utterance(np.full(2205, 0.1, np.float32), 22_050, sentence)


def test_two_texts_are_said_sentence_by_sentence_in_turn() -> None:
    """One sentence at a time over all requests; the shorter text does not wait for the longer."""
    slow, queue, order = Slow(), Queue(), []
    cast = Cast(slow, "slow", (), queue=queue)

    def read(name: str, sentences: int) -> None:
        for number in range(sentences):
            cast.speak(f"{name} {number}")
            order.append(f"{name}{number}")

    long = threading.Thread(target=read, args=("a", 4))
    long.start()
    until(lambda: slow.speaking == 1)
    short = threading.Thread(target=read, args=("b", 1))
    short.start()
    until(lambda: queue.waiting == 1)
    for _ in range(5):
        slow.go.release()
    long.join()
    short.join()
    assert slow.most == 1
    assert order.index("b0") <= 1


# --- Engines of other packages --------------------------------------------------------------------


PLUGIN = """
import numpy as np
from aitwin.voice.audio import Utterance

class Whistle:
    name, title, licence, clones = "whistle", "whistles", "MIT", True

    def lacking(self):
        return ""

    def open(self, reference):
        assert reference.samples.ndim == 1 and reference.sample_rate == 22050
        return Whistler(reference)

class Whistler:
    name, cloned = "whistle", True

    def __init__(self, reference):
        self.reference = reference

    def describe(self):
        return f"{self.reference.name}, whistled {self.reference.emotion}".strip()

    def speak(self, sentence, *, speed=1.0, seed=0):
        if "fail" in sentence:
            raise RuntimeError(sentence)
        return Utterance(0.1 * np.ones(1600, np.float32), 16000, sentence)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two installed distributions: one with an engine, one whose engine does not load."""
    site = tmp_path / "site"
    for package, entry in (("whistle", "whistle:Whistle"), ("broken-one", "nowhere_at_all:X")):
        info = site / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[aitwin.speakers]\n{package} = {entry}\n")
    (site / "whistle.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(site))
    yield
    import sys

    sys.modules.pop("whistle", None)


def test_another_package_brings_an_engine_without_touching_ours(
    voice: Voice, plugin: None, random_weights: Weights
) -> None:
    """S1: replaceable. It speaks where it is asked for, with the owner's consent, by turns."""
    studio = Studio(random_weights)
    states = {state.name: state for state in studio.engines()}
    assert (states["whistle"].title, states["whistle"].lacking) == ("whistles", "")
    assert "ModuleNotFoundError" in states["broken-one"].lacking
    assert "pip uninstall broken-one" in states["broken-one"].lacking
    profile_by(voice, random_weights)
    cast = studio.cast(voice, engine="whistle", emotion="sad")
    assert cast.describe() == "Ana, whistled sad"
    assert (cast.engine, cast.owner, cast.cloned) == ("whistle", "Ana", True)
    assert cast.speak("Hello.").sample_rate == 16_000
    assert studio.cast(voice).engine == "bundled+openvoice"
    assert studio.cast(voice, engine="whistle", emotion="sad").speaker is cast.speaker
    # Its package may be another by the next run: what it said is never taken over.
    assert cast.made_of != studio.cast(voice, engine="whistle", emotion="sad").made_of
    with pytest.raises(TwinError, match=r"whistle failed \(RuntimeError\)") as failed:
        cast.speak(f"fail {CANARY}")
    assert CANARY not in str(failed.value)
    with pytest.raises(TwinError, match="broken-one"):
        studio.cast(voice, engine="broken-one")
    shutil.rmtree(voice.path / "consent")
    with pytest.raises(TwinError, match="no consent"):
        studio.cast(voice, engine="whistle")
    with pytest.raises(TwinError, match="no consent"):
        cast.speak("Hello.")


ODD = """
from whistle import Whistle

class Whistler:
    name = "odd"

    def __init__(self, gives, cloned=False):
        self.gives, self.cloned = gives, cloned

    def describe(self):
        return "odd"

    def speak(self, sentence, *, speed=1.0, seed=0):
        return self.gives

class Odd(Whistle):
    clones = False

    def __init__(self, name, gives=None):
        self.name, self.gives = name, gives

    def open(self, reference):
        return None if self.gives is None else Whistler(self.gives)
"""


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a distribution whose engine is written as an expression over Odd."""
    site = tmp_path / "odd-site"
    site.mkdir()
    (site / "whistle.py").write_text(PLUGIN)
    (site / "odd.py").write_text(ODD + "import numpy as np\n")
    made: list[str] = ["whistle", "odd"]

    def install(package: str, engine: str) -> None:
        module = f"of_{package}"
        made.append(module)
        (site / f"{module}.py").write_text(f"from odd import *\nimport numpy as np\nE = {engine}\n")
        info = site / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[aitwin.speakers]\n{package} = {module}:E\n")

    monkeypatch.syspath_prepend(str(site))
    yield install
    for module in made:
        sys.modules.pop(module, None)


@pytest.mark.parametrize("name", ["口笛", "a b", "x\r\nSet-Cookie: y", "", "Upper", "a" * 65])
def test_an_engine_that_cannot_be_asked_for_by_name(offer: Callable[..., None], name: str) -> None:
    offer("pkg", f"Odd({name!r})")
    states = {state.name: state for state in Studio().engines()}
    assert "a-z, 0-9" in states["pkg"].lacking
    assert name not in states


def test_of_two_engines_with_one_name_neither_speaks(offer: Callable[..., None]) -> None:
    """Which one is meant nobody knows: both packages are named."""
    offer("first", "Odd('twice')")
    offer("second", "Odd('twice')")
    states = [state for state in Studio().engines() if state.name == "twice"]
    assert len(states) == 1
    assert "first" in states[0].lacking
    assert "second" in states[0].lacking
    with pytest.raises(TwinError, match="twice cannot speak: several"):
        Studio().cast(None, engine="twice")


@pytest.mark.parametrize("name", ["bundled", "twin", "base", "melotts"])
def test_our_names_are_ours(offer: Callable[..., None], name: str) -> None:
    offer("pkg", f"Odd({name!r})")
    names = [state.name for state in Studio().engines()]
    assert names.count(name) <= 1
    broken = next(state for state in Studio().engines() if state.name == "pkg")
    assert f"called {name}" in broken.lacking


@pytest.mark.parametrize(
    "gives",
    [
        "np.zeros(100)",
        "type('U', (), {'samples': np.zeros((2, 100)), 'sample_rate': 16000})()",
        "type('U', (), {'samples': np.full(100, np.nan), 'sample_rate': 16000})()",
        "type('U', (), {'samples': np.zeros(100), 'sample_rate': 0})()",
        "type('U', (), {'samples': 'zuccanary', 'sample_rate': 16000})()",
    ],
)
def test_what_is_no_sound_is_the_engines_fault(offer: Callable[..., None], gives: str) -> None:
    offer("pkg", f"Odd('odd', {gives})")
    with pytest.raises(TwinError, match="the engine odd failed") as told:
        Studio().cast(None, engine="odd").speak(CANARY)
    assert CANARY not in str(told.value)


def test_what_is_no_speaker_does_not_open(offer: Callable[..., None]) -> None:
    offer("pkg", "Odd('odd')")
    with pytest.raises(TwinError, match="the engine odd does not open"):
        Studio().cast(None, engine="odd")


def test_an_engine_is_opened_once_by_however_many(offer: Callable[..., None]) -> None:
    """Its model may be large."""
    offer("pkg", "Odd('odd', 1)")
    studio = Studio()
    with ThreadPoolExecutor(8) as pool:
        casts = list(pool.map(lambda _: studio.cast(None, engine="odd"), range(32)))
    assert len({id(cast.speaker) for cast in casts}) == 1


def test_a_state_is_plain_values() -> None:
    """For JSON over HTTP and on the command line."""
    from dataclasses import asdict

    assert json.dumps([asdict(state) for state in Studio().engines()])
    assert replace(Studio().engines()[0], lacking="x").lacking == "x"


# --- For long -------------------------------------------------------------------------------------


def test_five_hundred_sentences_leave_no_trace_in_memory(
    voice: Voice, everything: Weights, shared: Path
) -> None:
    """R1: what a server says in a day takes no more room than what it says in a minute.

    Chosen anew for every sentence, as a request does; by the bundled voice, in a tone colour, and
    by a fine-tune in two emotions.
    """
    profile_by(voice, everything)
    tune(voice, shared / "golden" / "melo", emotions=("neutral", "sad"))
    studio = Studio(everything)
    clones = [
        *(("melotts+finetune", ""), ("bundled+openvoice", ""), ("melotts+openvoice", "")),
        *(("melotts+finetune", "sad"), ("bundled+openvoice", "sad")),
    ]
    sizes = []
    for number in range(500):
        turn, base = divmod(number, 10)
        engine, emotion = ("bundled", "") if base else clones[turn % len(clones)]
        cast = studio.cast(None if base else voice, emotion=emotion, engine=engine)
        assert cast.engine == engine
        # The longest sentence sets how much room is kept for all: each is said before the first
        # look, and the same ones again afterwards.
        text = ("No.", "Ask Jo.")[number % 2] if base else "Good morning."
        assert cast.speak(text, seed=turn // len(clones) % 3).seconds
        if number in (159, 499):
            sizes.append(resident())
    assert sizes[1] - sizes[0] < 15 * 2**20


def resident() -> int:
    """Bytes of this process in memory."""
    import gc

    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        pytest.skip("only Linux tells how much memory a process has now")
    return pages * os.sysconf("SC_PAGE_SIZE")
