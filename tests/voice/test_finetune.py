"""The fine-tune as a whole, on a small network: kept, stopped, resumed, refused (S6)."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import consent, finetune, memory, overview, profile, tuned, voices
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.finetune import Base, Ears, Heard, Job, Progress, Watcher
from aitwin.voice.melo import Melo
from aitwin.voice.openvoice import Embedding
from aitwin.voice.transcribe import Word
from aitwin.voice.tuned import Tuned
from aitwin.voice.tuner import Losses, Recipe, Tuner
from aitwin.voice.voices import Voice
from tests.voice import tiny_melo
from tests.voice.test_profile import add, consented, encoder
from tests.voice.test_speakers import ANA, speaker

RECIPE = Recipe(
    steps=5,
    warm_up=1,
    batch=2,
    segment=8,
    every=2,
    spoken=1,
    narrower=16,
    patience=9,
    learning_rate=1e-3,
)
SHORT = replace(RECIPE, steps=2)
COSINES = (0.2, 0.5, 0.9, 0.7)
"""What is heard of it: the third evaluation is the best."""
MARKED = 0.25
SAID = "something private"
"""What test_profile's takes say: short for seven seconds, so SLOWEST is lowered for them."""


class Likeness:
    """An encoder that hears, one after the other, what it is told to hear."""

    digest, size, window = "told", 2, 1

    def __init__(self, cosines: Sequence[float]) -> None:
        self.left = list(cosines)
        self.heard: list[Samples] = []

    def embed(self, samples: Samples) -> Embedding:
        self.heard.append(samples)
        cosine = self.left.pop(0)
        return np.array([cosine, np.sqrt(1 - cosine**2)], np.float32)


class Ear:
    """Hears every word as written, or none."""

    def __init__(self, *heard: bool) -> None:
        self.left = list(heard)

    def words_of_each(self, sounds: Sequence[Samples]) -> list[list[Word]]:
        text = SAID if self.left.pop(0) else "other things"
        return [[Word(word, 0.0, 0.1, 1.0) for word in text.split()] for _ in sounds]


class Mark:
    """Lifts the sound by MARKED, which is easily found again."""

    def apply(self, utterance: Utterance) -> Utterance:
        return replace(utterance, samples=utterance.samples + np.float32(MARKED))


@pytest.fixture(scope="module")
def easy() -> Iterator[None]:
    """What these takes and this small network want, and no more work than once."""
    reckoned = memory.tuning
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("aitwin.voice.lessons.SLOWEST", 2.0)
        # The small network may fall silent soon; what is heard is told by Likeness.
        patched.setattr("aitwin.voice.speakers.audible", lambda samples: True)
        patched.setattr(
            memory, "tuning", lambda sizes, analysis, _: reckoned(sizes, analysis, RECIPE)
        )
        yield


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, easy: None) -> Voice:
    """Two moods of one speaker, who has agreed."""
    made = voices.create(tmp_path_factory.mktemp("prepared") / "voices", "Ana")
    add(made, [speaker(ANA + step, 5) for step in range(10)])
    add(made, [speaker(ANA + 20 + step, 5) for step in range(9)], emotion="happy")
    add(made, [speaker(ANA + 40 + step, 5) for step in range(3)], emotion="sad")
    consented(made, kind="stated")
    return made


def copied(voice: Voice, place: Path) -> Voice:
    return voices.load(shutil.copytree(voice.path, place / "voices" / voice.id))


@pytest.fixture
def voice(tmp_path: Path, prepared: Voice) -> Voice:
    return copied(prepared, tmp_path)


@pytest.fixture
def unmoved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that cost nothing, where it matters alone what is made of the evaluations."""
    monkeypatch.setattr(Tuner, "step", lambda self, batch, number: Losses(mel=1.0))


def job(voice: Voice, cosines: Sequence[float], ear: Any = None, recipe: Recipe = RECIPE) -> Job:
    known = profile.build(voice, encoder())
    goal = np.array([1.0, 0.0], np.float32)
    manners = {name: replace(one, embedding=goal) for name, one in known.manners.items()}
    heard: Any = Likeness(cosines)
    mark: Any = Mark()
    return Job(
        voice,
        replace(known, manners=manners, pooled=goal),
        Base(*tiny_melo.write(voice.path.parent.parent / "melo")),
        tiny_melo.read,
        Ears(heard, ear),
        mark,
        recipe,
    )


def run(job: Job, **options: Any) -> Tuned:
    result = finetune.run(job, **options)
    assert result is not None
    return result


def weights(path: Path) -> dict[str, Any]:
    return load_file(path / tuned.CHECKPOINT)


@dataclass(frozen=True)
class Whole:
    """A run of RECIPE from its first step to its last."""

    voice: Voice
    result: Tuned
    seen: list[Progress]
    plans: list[finetune.Plan]
    judged: list[Samples]
    """What the encoder was given."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, prepared: Voice) -> Whole:
    voice = copied(prepared, tmp_path_factory.mktemp("whole"))
    seen: list[Progress] = []
    plans: list[finetune.Plan] = []
    one = job(voice, COSINES)
    result = run(one, watcher=Watcher(plan=plans.append, progress=seen.append))
    return Whole(voice, result, seen, plans, one.ears.encoder.heard)  # type: ignore[attr-defined]


def test_the_best_speaks_as_melotts_does_with_the_moods_as_speakers(whole: Whole) -> None:
    voice, result, seen = whole.voice, whole.result, whole.seen
    assert tuned.find(voice) == result.path == voice.path / "finetune"
    assert result.metrics["likeness_before"] == pytest.approx(0.2)
    assert result.metrics["likeness"] == pytest.approx(0.9)
    assert result.metrics["step"] == 4
    assert result.metrics["finished"] is True
    # Rows behind MeloTTS's own two; the mood with 15 s has none, and speaks as the neutral one.
    assert result.speakers == {"neutral": 2, "happy": 3}
    assert (result.speaker("happy"), result.speaker("sad")) == ("happy", "neutral")
    melo = Melo.load(result.checkpoint, result.config)
    units, features = tiny_melo.read(SAID)
    spoken = [melo.synthesise(units, features, who) for who in ("neutral", "happy")]
    assert all(np.isfinite(one).all() and len(one) for one in spoken)
    before = load_file(voice.path.parent.parent / "melo" / "checkpoint.safetensors")
    after = weights(result.path)
    np.testing.assert_array_equal(after["emb_g.weight"][:2], before["emb_g.weight"][:2])
    assert not np.array_equal(after["emb_g.weight"][2], before["emb_g.weight"][0])
    assert {path.parent.name for path in result.path.glob("samples/*/*.wav")} == {"before", "after"}
    assert len((result.path / tuned.HISTORY).read_text().splitlines()) == 4
    assert [now.step for now in seen] == [1, 2, 3, 4, 5]
    assert seen[-1].best.step == 4
    assert whole.plans[0].speakers.keys() == {"neutral", "happy"}
    assert whole.plans[0].available > whole.plans[0].memory > 0
    assert not finetune.workplace(voice).exists()


def test_samples_to_hear_bear_the_mark_and_say_what_they_are(whole: Whole) -> None:
    """Nobody said them: whoever finds one is told so. They are judged as they were made."""
    first, _, best, _ = whole.judged
    for name, judged in (("before", first), ("after", best)):
        (path,) = (whole.result.path / tuned.SAMPLES / name).iterdir()
        with soundfile.SoundFile(path) as file:
            assert file.comment == "AI-generated voice of Ana"
            # Without the edges, where resampling rounds off what begins at once.
            assert np.median(file.read() - judged) == pytest.approx(MARKED, abs=0.01)


def stopping_at(step: int, stop: Event) -> Watcher:
    def watch(now: Progress) -> None:
        if now.step == step:
            stop.set()

    return Watcher(progress=watch)


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(voice: Voice, whole: Whole) -> None:
    """To the bit: weights, losses and all; Ctrl-C in the warm-up and behind an evaluation."""

    def until(step: int, heard: slice, *, resume: bool) -> Tuned | None:
        stop = Event()
        one = job(voice, COSINES[heard])
        return finetune.run(one, resume=resume, stop=stop, watcher=stopping_at(step, stop))

    assert until(1, slice(1), resume=False) is None
    assert finetune.waits(voice)
    assert tuned.find(voice) is None
    stopped = until(3, slice(1, 2), resume=True)
    assert stopped is not None
    assert stopped.metrics["finished"] is False
    assert finetune.waits(voice)
    resumed = run(job(voice, COSINES[2:]), resume=True)
    found, wanted = weights(resumed.path), weights(whole.result.path)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    lines = (whole.result.path / tuned.HISTORY).read_text()
    assert (resumed.path / tuned.HISTORY).read_text() == lines
    assert not finetune.waits(voice)


class KilledError(Exception):
    pass


def kill_at(step: int) -> Callable[[Progress], None]:
    def kill(now: Progress) -> None:
        if now.step == step:
            raise KilledError

    return kill


def test_a_killed_run_goes_on_from_its_last_checkpoint(voice: Voice, unmoved: None) -> None:
    with pytest.raises(KilledError):
        finetune.run(job(voice, [0.2, 0.5]), watcher=Watcher(progress=kill_at(3)))
    seen: list[Progress] = []
    run(job(voice, [0.6, 0.9]), resume=True, watcher=Watcher(progress=seen.append))
    assert [now.step for now in seen] == [3, 4, 5]


def test_it_ends_when_nothing_gets_better(voice: Voice, unmoved: None) -> None:
    recipe = replace(RECIPE, steps=40, patience=2)
    result = run(job(voice, [0.2, 0.8, 0.8, 0.7], recipe=recipe))
    assert (result.metrics["step"], result.metrics["steps"]) == (2, 6)


def test_a_network_that_nobody_understands_is_not_the_best(voice: Voice, unmoved: None) -> None:
    ear = Ear(True, True, False, True)
    result = run(job(voice, [0.2, 0.5, 0.9, 0.4], ear))
    assert result.metrics["step"] == 2
    assert result.metrics["word_errors"] == 0.0


def test_when_nothing_is_better_than_before_the_earlier_one_stays(
    voice: Voice, unmoved: None
) -> None:
    with artifact.building(tuned.path_of(voice)) as scratch:
        artifact.write_manifest(scratch, {"earlier": True})
    with pytest.raises(TwinError, match=r"no more like the voice ana than before .*intact"):
        finetune.run(job(voice, [0.6, 0.605], recipe=SHORT))
    assert json.loads((tuned.path_of(voice) / artifact.MANIFEST).read_text()) == {"earlier": True}
    assert not finetune.workplace(voice).exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, TwinError])
def test_what_ends_before_it_could_go_on_keeps_nothing_that_was_said(
    voice: Voice, unmoved: None, error: type[BaseException]
) -> None:
    """P4. There is no checkpoint yet: the copies of the takes would be of no use to anybody."""

    def end(now: Progress) -> None:
        assert (finetune.workplace(voice) / "lessons" / "sound.npy").exists()
        raise error

    with pytest.raises(error):
        finetune.run(job(voice, [0.2]), watcher=Watcher(progress=end))
    assert not finetune.workplace(voice).exists()


def test_without_consent_nothing_is_learned(voice: Voice) -> None:
    refused = job(voice, [])
    consent.withdraw(voice.path / "consent")
    without = replace(refused, profile=profile.build(voice, encoder()))
    with pytest.raises(TwinError, match="cannot be cloned"):
        finetune.run(without)
    assert not finetune.workplace(voice).exists()


def test_a_consent_that_is_taken_back_ends_the_run(voice: Voice, unmoved: None) -> None:
    """V1: whoever takes it back need not know that a run goes on; nothing of it stays."""
    for step in (1, 2):

        def take_back(now: Progress, at: int = step) -> None:
            if now.step == at:
                consent.withdraw(voice.path / "consent")

        consented(voice, kind="stated")
        one = job(voice, [0.2, 0.9], recipe=SHORT)
        with pytest.raises(TwinError, match="cannot be cloned: there is no consent"):
            finetune.run(one, watcher=Watcher(progress=take_back))
        assert not finetune.workplace(voice).exists()
        assert tuned.find(voice) is None


def test_nothing_of_a_stopped_run_outlives_its_takes(voice: Voice, unmoved: None) -> None:
    """P4: the lessons are all that was said, in sound and in words."""
    stop = Event()
    finetune.run(job(voice, [0.2]), stop=stop, watcher=stopping_at(1, stop))
    assert (finetune.workplace(voice) / "lessons" / "sound.npy").exists()
    voice.drop(voice.takes()[0].id)
    assert {path.name for path in voice.path.iterdir()} == {
        "manifest.json", "takes", "prepared", "consent", "profile", "embeddings",
    }  # fmt: skip


def test_a_fine_tune_says_which_of_its_takes_are_gone(done: Voice) -> None:
    """P4: it stays, and the owner is told."""
    voice = done
    assert tuned.outlived(voice) == ()
    neutral = next(take for take in voice.takes() if take.emotion == "neutral")
    voice.drop(neutral.id)
    assert tuned.outlived(voice) == (neutral.id,)
    told = overview.of(voice).finetune
    assert "learned from 1 takes that are dropped" in told
    assert "`twin voice finetune ana --delete` deletes it" in told


def test_too_little_memory_or_disk_is_said_before_anything_is_loaded(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 500_000_000)
    with pytest.raises(TwinError, match=r"of 0\.5 GB it may have 0\.4: lower --batch"):
        finetune.run(job(voice, []))
    monkeypatch.setattr(memory, "available", lambda device: 50_000_000_000)
    monkeypatch.setattr(finetune, "FREE", 1e9)
    with pytest.raises(TwinError, match="make room"):
        finetune.run(job(voice, []))


def test_a_network_that_was_made_to_speak_only_cannot_learn(voice: Voice) -> None:
    """Such as an earlier fine-tune."""
    one = job(voice, [])
    tensors = load_file(one.base.checkpoint)
    speaking = {name: value for name, value in tensors.items() if not name.startswith("enc_q.")}
    save_file(speaking, one.base.checkpoint)
    with pytest.raises(TwinError, match="made to speak only"):
        finetune.run(one)


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory: pytest.TempPathFactory, prepared: Voice) -> Voice:
    """With a run that was stopped at step 3."""
    voice = copied(prepared, tmp_path_factory.mktemp("stopped"))
    stop = Event()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Tuner, "step", lambda self, batch, number: Losses(mel=1.0))
        finetune.run(job(voice, [0.2, 0.1]), stop=stop, watcher=stopping_at(3, stop))
    assert finetune.waits(voice)
    return voice


@pytest.fixture
def stopped(stopped_once: Voice, tmp_path: Path) -> Voice:
    return copied(stopped_once, tmp_path)


def test_a_resume_wants_the_same_job(stopped: Voice, prepared: Voice, tmp_path: Path) -> None:
    fresh = copied(prepared, tmp_path / "fresh")
    with pytest.raises(TwinError, match="nothing to resume for the voice ana"):
        finetune.run(job(fresh, []), resume=True)
    assert not finetune.workplace(fresh).exists()
    other = job(stopped, [], recipe=replace(RECIPE, batch=3))
    with pytest.raises(TwinError, match="had another recipe; resume it with the same"):
        finetune.run(other, resume=True)
    assert finetune.waits(stopped)


def test_a_stopped_run_is_thrown_away_only_when_that_is_said(stopped: Voice, unmoved: None) -> None:
    with pytest.raises(TwinError, match=r"a stopped run of the voice ana waits: .*--resume"):
        finetune.run(job(stopped, []))
    with pytest.raises(TwinError, match="choose one of"):
        finetune.run(job(stopped, []), resume=True, restart=True)
    assert finetune.waits(stopped)
    with pytest.raises(KilledError):
        finetune.run(job(stopped, [0.2]), restart=True, watcher=Watcher(progress=kill_at(1)))
    assert not finetune.waits(stopped)


@pytest.mark.parametrize("name", [finetune.STATE, finetune.BEST])
def test_one_bit_of_a_checkpoint_is_noticed(stopped: Voice, name: str) -> None:
    flip(finetune.workplace(stopped) / finetune.CHECKPOINT / name)
    with pytest.raises(TwinError, match=r"damaged .*--restart"):
        finetune.run(job(stopped, []), resume=True)


NAN = float("nan")


@pytest.mark.parametrize(
    "damage",
    [
        {"step": "3"},
        {"step": 1_000_000_000},
        {"step": True},
        {"seconds": "long"},
        {"seconds": NAN},
        {"history": []},
        {"history": None},
        {"history": [3]},
        {"history": [{"step": 0}]},
        {"over": 1},
    ],
)
def test_a_place_that_is_none_of_this_run_is_refused(
    stopped_once: Voice, damage: dict[str, Any]
) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        finetune._Run.parsed(place_of(stopped_once) | damage, RECIPE.steps)


def place_of(voice: Voice) -> dict[str, Any]:
    path = finetune.workplace(voice) / finetune.CHECKPOINT / artifact.MANIFEST
    found: dict[str, Any] = json.loads(path.read_text())
    assert finetune._Run.parsed(found, RECIPE.steps).step == 3
    return found


@pytest.mark.parametrize(
    "damage",
    [{"step": 4}, {"step": 0}, {"step": -2}, {"likeness": NAN}, {"likeness": None}, {"mel": "1"}],
)
def test_an_evaluation_that_was_none_is_refused(
    stopped_once: Voice, damage: dict[str, Any]
) -> None:
    found = place_of(stopped_once)
    *others, last = found["history"]
    with pytest.raises((KeyError, TypeError, ValueError)):
        finetune._Run.parsed(found | {"history": [*others, last | damage]}, RECIPE.steps)


@pytest.mark.parametrize("damage", [{"step": "3"}, {"history": [3]}, {"sha256": []}, {"over": "x"}])
def test_a_damaged_place_is_named(stopped: Voice, damage: dict[str, Any]) -> None:
    path = finetune.workplace(stopped) / finetune.CHECKPOINT / artifact.MANIFEST
    path.write_text(json.dumps(place_of(stopped) | damage))
    work: Any = SimpleNamespace(job=job(stopped, []), tuner=None)
    with pytest.raises(TwinError, match=r"damaged .*--restart"):
        finetune._Work.resumed(work)


def test_a_lock_on_what_an_ended_run_has_deleted_is_none(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who had opened the directory before the other deleted it would work beside a third one."""
    place, holding, taken = finetune.workplace(voice), artifact.holding, []

    @contextmanager
    def late(directory: Path, *, wait: bool = True) -> Iterator[None]:
        with holding(directory, wait=wait):
            if not taken:
                artifact.remove(directory)
                artifact.make_private_dir(directory)
            taken.append(directory.stat().st_ino)
            yield

    monkeypatch.setattr(artifact, "holding", late)
    with finetune._alone(job(voice, [])):
        assert taken[-1] == place.stat().st_ino
    assert len(taken) == 2


def test_an_ended_run_is_forgotten_before_another_can_begin(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, unmoved: None
) -> None:
    place, holding, left = finetune.workplace(voice), artifact.holding, []

    @contextmanager
    def watched(directory: Path, *, wait: bool = True) -> Iterator[None]:
        with holding(directory, wait=wait):
            yield
            if directory == place:
                left.append(place.exists())

    monkeypatch.setattr(artifact, "holding", watched)
    with pytest.raises(TwinError, match="nothing to keep"):
        finetune.run(job(voice, [0.2, 0.1], recipe=SHORT))
    assert left == [False]


def test_two_at_once_do_not_disturb_each_other(voice: Voice) -> None:
    place = artifact.make_private_dir(finetune.workplace(voice))
    with (
        artifact.holding(place),
        pytest.raises(TwinError, match="another `twin voice finetune` works on the voice ana"),
    ):
        finetune.run(job(voice, []))


@pytest.mark.parametrize(
    ("at", "kept"), [(1, "an earlier fine-tune is intact"), (3, "the best, of step 2, is kept")]
)
def test_a_loss_that_is_no_number_ends_it_and_keeps_the_best(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, at: int, kept: str
) -> None:
    monkeypatch.setattr(
        Tuner, "step", lambda self, batch, number: Losses(mel=NAN if number == at - 1 else 1.0)
    )
    with pytest.raises(
        TwinError, match=rf"no number at step {at}, .*lower --learning-rate.*{kept}"
    ):
        finetune.run(job(voice, COSINES[: 1 + at // 2]))
    assert not finetune.workplace(voice).exists()
    assert (tuned.find(voice) is not None) == (at == 3)


def test_what_was_said_is_private(
    voice: Voice, caplog: pytest.LogCaptureFixture, unmoved: None
) -> None:
    caplog.set_level(logging.DEBUG)
    stop = Event()
    one = job(voice, [0.2])
    finetune.run(one, stop=stop, watcher=stopping_at(1, stop))
    place = finetune.workplace(voice)
    shown = caplog.text + (place / finetune.RUN).read_text()
    shown += (place / "checkpoint" / artifact.MANIFEST).read_text()
    assert "private" not in shown.replace(str(place), "")
    for path in place.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    finetune.forget(voice)
    assert not place.exists()


@pytest.mark.parametrize(
    ("heard", "first", "score"),
    [
        (Heard(1, 0.8, None), Heard(0, 0.2, 0.0), 0.8),
        (Heard(1, 0.8, 0.05), Heard(0, 0.2, 0.0), 0.8),
        (Heard(1, 0.8, 0.35), Heard(0, 0.2, 0.0), 0.5),
        (Heard(1, 0.8, 0.0), Heard(0, 0.2, 0.3), 0.8),
        (Heard(1, 0.8, 0.6), Heard(0, 0.2, 1.0), -1.0),
    ],
)
def test_words_that_are_lost_cost_likeness(heard: Heard, first: Heard, score: float) -> None:
    assert heard.score(first) == pytest.approx(score)


def test_the_likeness_of_no_sentence_is_no_number(voice: Voice) -> None:
    one = job(voice, [])
    with pytest.raises(ValueError, match="there is none"):
        finetune.likeness([], one.profile, one.ears.encoder)


@pytest.fixture
def done(voice: Voice, whole: Whole) -> Voice:
    """With a fine-tune of its own."""
    shutil.copytree(whole.result.path, tuned.path_of(voice))
    return voice


def test_a_damaged_result_says_so(done: Voice) -> None:
    place = tuned.path_of(done)
    for name in (tuned.CONFIG, tuned.CHECKPOINT, artifact.MANIFEST):
        before = (place / name).read_bytes()
        (place / name).write_text(json.dumps({"data": 1}))
        assert tuned.find(done) == place
        assert "run `twin voice finetune ana`" in tuned.lacking(done)
        assert overview.of(done).finetune == tuned.lacking(done)
        with pytest.raises(TwinError, match=r"run `twin voice finetune ana`"):
            tuned.load(place)
        (place / name).write_bytes(before)
    assert tuned.lacking(done) == ""


@pytest.mark.parametrize("row", [0.7, "0", True, 6, -1])
def test_a_speaker_whose_row_is_none_is_refused(done: Voice, row: object) -> None:
    """Before an hour of training, and before a word is spoken; not rounded, and no IndexError."""
    config = json.loads((tuned.path_of(done) / tuned.CONFIG).read_text())
    config["data"]["spk2id"] = {tuned.NEUTRAL: row}
    (tuned.path_of(done) / tuned.CONFIG).write_text(json.dumps(config))
    assert "is damaged; run `twin voice finetune ana`" in tuned.lacking(done)
    one = job(done, [])
    config["data"]["spk2id"] = {"EN-US": row}
    one.base.config.write_text(json.dumps(config))
    with pytest.raises(TwinError, match=r"is no config of MeloTTS \(EN-US is no whole number"):
        finetune.run(one)


def test_one_bit_of_the_weights_is_noticed_before_they_speak(done: Voice) -> None:
    place = tuned.path_of(done)
    assert tuned.opened(place).speakers == tuned.load(place).speakers
    flip(place / tuned.CHECKPOINT)
    with pytest.raises(TwinError, match=r"is damaged; run `twin voice finetune ana`"):
        tuned.opened(place)


def flip(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
