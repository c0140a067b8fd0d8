"""Evaluation: thirty sentences in a voice, listened to and judged, and what is kept of it.

    voices/ID/evaluation/
      manifest.json   every figure, the verdict, and of what it was made
      NN.flac         the sentences as they were said
      report.html     see evaluation_page

In `evaluation-asked/` lies the last one of an engine or an emotion that was asked for by name: it
says nothing of how the voice speaks where nothing is asked for, which is what the first is for.
The sentences are ours, and none of those that are read aloud for the profile. What was said before
an interruption is kept beside it, and is not said again as long as voice and engine are the same.
Judges nothing itself: see verify.
"""

import io
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import evaluation_page, ladder, lessons, tuned, verify
from aitwin.voice.audio import OUTPUT_RATE, Samples, Utterance
from aitwin.voice.profile import VoiceProfile, path_of
from aitwin.voice.speech import Speech
from aitwin.voice.verify import Check, Reason, Target, Tools, Verdict
from aitwin.voice.voices import JUDGED, JUDGED_ASKED, JUDGING, Voice

VERSION = 2
"""Of the recipe: an evaluation that another version made is made anew."""
DIRECTORY, ASKED = JUDGED, JUDGED_ASKED
GOING = JUDGING
"""What was done of one that is not complete."""
PAGE = "report.html"
RECORDINGS = 40
"""Of the voice's own utterances, those that GE2E listens to: two minutes, 4 s of one processor. Its
mean moves by less than 0.01 with more."""


@cache
def sentences() -> tuple[str, ...]:
    """What is said: thirty sentences of 8 to 14 words, with every sound of American English."""
    file = resources.files("aitwin.voice").joinpath("evaluation.txt")
    return tuple(file.read_text("utf-8").splitlines())


@dataclass(frozen=True)
class Engine:
    """What has spoken."""

    name: str
    """As given to `--engine`."""
    described: str
    """In words for the owner: Speaker.describe."""
    cloned: bool
    """Whether it is meant to sound like the owner."""
    approximate: bool = False
    """Moved towards the voice, and no clone of it."""
    passed: tuple[tuple[str, str], ...] = ()
    """Better engines that did not speak, each with the reason."""

    @classmethod
    def of(cls, speech: Speech) -> "Engine":
        """What a Speech speaks with; of a studio's more is known."""
        speaker = speech.speaker
        passed = getattr(speaker, "passed", ())
        return cls(
            name=speaker.name,
            described=speaker.describe(),
            cloned=speaker.cloned,
            approximate=bool(getattr(speaker, "approximate", False)),
            passed=tuple((one.engine, one.why) for one in passed),
        )


@dataclass(frozen=True, eq=False)
class Said:
    """One sentence as it was said."""

    number: int
    """From 1, in the order of the sentences."""
    check: Check
    took: float
    """Seconds that saying it took."""

    @property
    def file(self) -> str:
        """Its sound, in the evaluation's directory."""
        return f"{self.number:02}.flac"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is known of how well a voice speaks, at `path`."""

    path: Path
    voice: str
    """Its id."""
    name: str = field(repr=False)
    emotion: str
    """Empty: as the voice mostly speaks."""
    made_at: datetime
    engine: Engine
    verdict: Verdict
    said: tuple[Said, ...] = field(repr=False)
    recordings: Mapping[str, float]
    """How like the reference the owner's own utterances are: see verify.Target."""
    inputs: Mapping[str, str]
    """What it was made of, as digests."""

    @property
    def page(self) -> Path:
        """The report."""
        return self.path / PAGE

    @property
    def speed(self) -> float | None:
        """Seconds that a second of sound took; None where there is no sound."""
        seconds = sum(one.check.seconds for one in self.said)
        return sum(one.took for one in self.said) / seconds if seconds else None

    def outdated(self, voice: Voice, engine: str = "") -> str:
        """What has changed since, in words for the owner; empty when nothing has.

        `engine` is the one that speaks in the voice now, where that is known.
        """
        if self.inputs["profile"] != _profile_digest(voice):
            return "the profile has changed since"
        if engine and self.engine.name != engine:
            return f"{engine} speaks now"
        if self.inputs["finetune"] != _finetune_digest(voice, self.engine):
            return "the fine-tune has changed since"
        return ""

    @property
    def summary(self) -> str:
        """In a line for the owner."""
        told = "usable" if self.verdict.usable else "not usable"
        found = [one.found for one in self.verdict.reasons]
        return f"{told}, spoken by {self.engine.name}" + (f": {'; '.join(found)}" if found else "")


def path_of_evaluation(voice: Voice, *, asked: bool = False) -> Path:
    """Where a voice's evaluation lies, or shall lie; `asked`: see `run`."""
    return voice.path / (ASKED if asked else DIRECTORY)


def recordings(voice: Voice, profile: VoiceProfile, emotion: str = "") -> Iterator[Samples]:
    """Some of a voice's own utterances, RECORDINGS at most, evenly from all of them."""
    seen = profile.utterances
    names = seen.emotions if seen is not None else ()
    count = len(names) if not emotion else names.count(emotion)
    step = max(1, -(-count // RECORDINGS))
    wanted = (
        source for source in lessons.utterances(voice, profile) if emotion in ("", source.emotion)
    )
    for number, source in enumerate(wanted):
        if number % step == 0:
            yield source.samples


def run(  # noqa: PLR0913 (what speaks, for whom, and who listens)
    voice: Voice,
    speech: Speech,
    target: Target,
    tools: Tools,
    *,
    emotion: str = "",
    texts: Sequence[str] = (),
    seed: int = 0,
    asked: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Say `texts` (the thirty sentences where there are none), listen, judge, and keep it.

    `asked`: the engine or the emotion was asked for, so that this is not the voice's verdict, and
    does not take its place.
    Goes on where one of the same voice, engine and tools was interrupted; of an engine of another
    package it begins anew, since nobody knows whether that is the same. `on_progress` is told
    how many sentences are done, of how many. The evaluation that was there stays until the new one
    is complete. Raises TwinError when the engine cannot say a sentence.
    """
    texts = texts or sentences()
    engine = Engine.of(speech)
    inputs = _inputs(voice, engine, target, tools, emotion, texts, seed)
    # Of another engine with the same name nothing is taken over: weights that were pulled anew.
    inputs["made of"] = str(getattr(speech.speaker, "made_of", ""))
    going = voice.path / GOING
    _begin(going, inputs)
    said = []
    for number, text in enumerate(texts, start=1):
        on_progress(number - 1, len(texts))
        one = _load(going, number, text) or _say(going, number, text, speech, target, tools, seed)
        said.append(one)
    on_progress(len(texts), len(texts))
    checks = [one.check for one in said]
    evaluation = Evaluation(
        path=path_of_evaluation(voice, asked=asked),
        voice=voice.id,
        name=voice.name,
        emotion=emotion,
        made_at=datetime.now(UTC),
        engine=engine,
        verdict=verify.judge(checks, target.references, tools.lacking(target.references)),
        said=tuple(said),
        recordings=target.recordings,
        inputs=inputs,
    )
    _store(evaluation, going)
    return evaluation


def load(voice: Voice, *, asked: bool = False) -> Evaluation:
    """The evaluation of a voice; `asked`: see `run`.

    Raises TwinError when there is none, it is damaged, or another version made it.
    """
    path = path_of_evaluation(voice, asked=asked)
    remedy = f"run `twin voice eval {voice.id}`"
    manifest = artifact.read_manifest(path, kind="evaluation", remedy=remedy)
    if manifest.pop("version", None) != VERSION:
        raise TwinError(f"{path} was made by another version; {remedy}")
    try:
        verdict, engine = manifest.pop("verdict"), manifest.pop("engine")
        said = tuple(_parsed(one) for one in manifest.pop("said"))
        return Evaluation(
            path=path,
            name=voice.name,
            made_at=datetime.fromisoformat(manifest.pop("made_at")),
            engine=Engine(
                **{**engine, "passed": tuple((name, why) for name, why in engine["passed"])}
            ),
            verdict=Verdict(
                **{
                    **verdict,
                    "checks": tuple(one.check for one in said),
                    "reasons": tuple(Reason(**one) for one in verdict["reasons"]),
                    "unchecked": tuple(verdict["unchecked"]),
                }
            ),
            said=said,
            **manifest,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TwinError(f"{path} is damaged; {remedy}") from None


# --- What is said, sentence by sentence -----------------------------------------------------------


def _inputs(  # noqa: PLR0913 (all that an evaluation depends on)
    voice: Voice,
    engine: Engine,
    target: Target,
    tools: Tools,
    emotion: str,
    texts: Iterable[str],
    seed: int,
) -> dict[str, str]:
    vectors = {name: target.references[name].tolist() for name in sorted(target.references)}
    return {
        "version": str(VERSION),
        "profile": _profile_digest(voice),
        "engine": f"{engine.name}: {engine.described}",
        "finetune": _finetune_digest(voice, engine),
        "emotion": emotion,
        "references": artifact.digest(json.dumps(vectors)),
        **{f"encoder {name}": encoder.digest for name, encoder in tools.encoders.items()},
        "listens": f"words {tools.transcriber is not None}, quality {tools.listener is not None}, "
        f"mark {tools.watermark is not None}",
        "sentences": artifact.digest("\n".join(texts)),
        "seed": str(seed),
    }


def _profile_digest(voice: Voice) -> str:
    manifest = path_of(voice) / artifact.MANIFEST
    return artifact.sha256(manifest) if manifest.is_file() else ""


def _finetune_digest(voice: Voice, engine: Engine) -> str:
    """Of the fine-tune as it is now; empty where it is not what speaks."""
    manifest = tuned.path_of(voice) / artifact.MANIFEST
    speaks = engine.name == ladder.TUNED.name and manifest.is_file()
    return artifact.sha256(manifest) if speaks else ""


def _begin(going: Path, inputs: Mapping[str, str]) -> None:
    """Keep what is there of the same evaluation, and nothing of another."""
    key = json.dumps(inputs, sort_keys=True)
    place = going / "inputs.json"
    try:
        same = place.read_text("utf-8") == key
    except (OSError, UnicodeDecodeError):
        same = False
    if not same:
        shutil.rmtree(going, ignore_errors=True)
        artifact.make_private_dir(going)
        artifact.write_private(place, key)


def _say(  # noqa: PLR0913 (as in run)
    going: Path,
    number: int,
    text: str,
    speech: Speech,
    target: Target,
    tools: Tools,
    seed: int,
) -> Said:
    """Say a sentence, listen to it, and keep it."""
    import soundfile

    started = time.perf_counter()
    parts = [one.samples for one in speech.stream(text, seed=seed)]
    took = time.perf_counter() - started
    samples = np.concatenate([np.zeros(0, np.float32), *parts])
    check = verify.listen(Utterance(samples, OUTPUT_RATE, text), target.references, tools)
    said = Said(number, check, took)
    sound = io.BytesIO()
    with soundfile.SoundFile(
        sound, "w", OUTPUT_RATE, channels=1, subtype="PCM_16", format="FLAC"
    ) as file:
        file.comment = speech.note
        file.write(np.clip(samples, -1, 1))
    artifact.write_private(going / said.file, sound.getvalue())
    vectors = {name: value.tolist() for name, value in check.embeddings.items()}
    # The figures last: their presence means that the sentence is done.
    kept = json.dumps({**_plain(said), "embeddings": vectors})
    artifact.write_private((going / said.file).with_suffix(".json"), kept)
    return said


def _load(going: Path, number: int, text: str) -> Said | None:
    """A sentence that was said before; None where it is to be said."""
    place = going / f"{number:02}.json"
    try:
        values = json.loads(place.read_text("utf-8"))
        vectors = values.pop("embeddings")
        said = _parsed(values)
        embeddings = {name: np.asarray(value, np.float32) for name, value in vectors.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if said.check.text != text or not place.with_suffix(".flac").is_file():
        return None
    return replace(said, check=replace(said.check, embeddings=embeddings))


def _plain(said: Said) -> dict[str, Any]:
    """For JSON; without the embeddings."""
    check = {
        part.name: getattr(said.check, part.name)
        for part in fields(said.check)
        if part.name != "embeddings"
    }
    return {
        "number": said.number,
        "took": said.took,
        "check": {**check, "likeness": dict(said.check.likeness)},
    }


def _parsed(values: Mapping[str, Any]) -> Said:
    return Said(
        number=artifact.count(values["number"]),
        check=Check(**{**values["check"], "embeddings": {}}),
        took=artifact.number(values["took"]),
    )


def _store(evaluation: Evaluation, going: Path) -> None:
    verdict = evaluation.verdict
    with artifact.building(evaluation.path) as scratch:
        for one in evaluation.said:
            shutil.copyfile(going / one.file, scratch / one.file)
        artifact.write_private(scratch / PAGE, evaluation_page.render(evaluation, scratch))
        # The manifest last: its presence means that the evaluation is complete.
        artifact.write_manifest(
            scratch,
            {
                "version": VERSION,
                "voice": evaluation.voice,
                "emotion": evaluation.emotion,
                "made_at": evaluation.made_at.isoformat(),
                "engine": asdict(evaluation.engine),
                "verdict": {
                    "likeness": dict(verdict.likeness),
                    "error_rate": verdict.error_rate,
                    "mos": verdict.mos,
                    "marked": verdict.marked,
                    "reasons": [asdict(one) for one in verdict.reasons],
                    "unchecked": verdict.unchecked,
                },
                "said": [_plain(one) for one in evaluation.said],
                "recordings": dict(evaluation.recordings),
                "inputs": dict(evaluation.inputs),
            },
        )
    shutil.rmtree(going, ignore_errors=True)
