"""Audition: the same sentences by every engine that can speak for a voice, side by side to hear.

One private HTML page in the voice's own directory, with a recording of the owner on top. It holds
sound of the takes: it goes with the first of them that is dropped (see voices). Judges nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.voice import pages, verify
from aitwin.voice.audio import OUTPUT_RATE, Samples, Utterance
from aitwin.voice.pages import Clip
from aitwin.voice.speech import Speech
from aitwin.voice.verify import Check, Target, Tools
from aitwin.voice.voices import LISTENING, Voice

SAID = (
    "The kettle is on, and the boat has not come back yet.",
    "Could you turn the music down a little while I am on the phone?",
    "Thank you for your patience; the answer took longer than I thought.",
)
"""What everybody says, of the evaluation's sentences: a statement, a question, two clauses."""
OWN_SECONDS = 12.0
"""Of the owner's recording."""


@dataclass(frozen=True)
class Rung:
    """A way to speak, as it is offered to be heard."""

    name: str
    title: str
    lacking: str = ""
    """Why it cannot speak, with commands between backticks; empty when it can."""
    open: Callable[[], Speech] | None = field(default=None, repr=False)
    """Raises TwinError when it cannot speak after all."""


@dataclass(frozen=True)
class Heard:
    """A rung on the page."""

    rung: Rung
    described: str = ""
    """Whose voice it is, in words for the owner."""
    clips: tuple[Clip, ...] = field(default=(), repr=False)
    chips: tuple[str, ...] = ()
    """What was measured, in words."""

    @property
    def lacking(self) -> str:
        """Why there is nothing to hear."""
        return self.rung.lacking


def write(  # noqa: PLR0913 (who speaks, what, and who listens)
    voice: Voice,
    rungs: Sequence[Rung],
    *,
    own: Iterable[Samples] = (),
    texts: Sequence[str] = SAID,
    judged: tuple[Target, Tools] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Let each rung say `texts`, and write the page, readable by the owner alone.

    `own` are the owner's utterances at heard.RATE, of which the first few are put on top. What
    `judged` has measured of each rung stands beside it. A rung that fails is on the page with the
    reason. Raises TwinError when the page cannot be written.
    """
    heard: list[Heard] = []
    for done, rung in enumerate(rungs):
        on_progress(done, len(rungs))
        heard.append(_heard(rung, texts, judged))
    on_progress(len(rungs), len(rungs))
    page = pages.render(
        "listening.html.j2",
        voice=voice,
        today=datetime.now(UTC).astimezone(),
        texts=texts,
        heard=heard,
        own=_own(own),
        chips=_own_chips(judged[0].recordings) if judged else (),
    )
    path = voice.path / LISTENING
    try:
        artifact.write_private(path, page.encode(errors="replace"))
    except OSError as error:
        raise TwinError(
            f"{path} cannot be written ({error.strerror}); make room, and try again"
        ) from error
    return path


def _heard(rung: Rung, texts: Sequence[str], judged: tuple[Target, Tools] | None) -> Heard:
    if rung.lacking or rung.open is None:
        return Heard(rung if rung.lacking else replace(rung, lacking="it cannot be opened here"))
    try:
        speech = rung.open()
        sounds = [_joined(speech, text) for text in texts]
    except TwinError as error:
        return Heard(replace(rung, lacking=str(error)))
    checks = []
    if judged is not None:
        target, tools = judged
        checks = [
            verify.listen(Utterance(samples, OUTPUT_RATE, text), target.references, tools)
            for samples, text in zip(sounds, texts, strict=True)
        ]
    return Heard(
        rung,
        speech.speaker.describe(),
        tuple(pages.clip(samples, speech.note) for samples in sounds),
        _chips(checks, judged[0]) if judged else (),
    )


def _joined(speech: Speech, text: str) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *(one.samples for one in speech.stream(text))])


def _chips(checks: Sequence[Check], target: Target) -> tuple[str, ...]:
    verdict = verify.judge(checks, target.references)
    told = [f"{name}: {found:.2f} like the voice" for name, found in verdict.likeness.items()]
    if verdict.error_rate is not None:
        told.append(f"{100 * max(0.0, 1 - verdict.error_rate):.0f} % of the words understood")
    if verdict.mos is not None:
        told.append(f"DNSMOS {verdict.mos:.1f}")
    return tuple(told)


def _own_chips(recordings: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(f"{name}: {found:.2f} like the voice" for name, found in recordings.items())


def _own(recordings: Iterable[Samples]) -> Clip | None:
    """The first utterances, as many as fit into OWN_SECONDS; None where there are none."""
    rest = np.zeros(round(0.3 * OUTPUT_RATE), np.float32)
    parts: list[Samples] = []
    for samples in recordings:
        if sum(map(len, parts)) + len(samples) > OWN_SECONDS * OUTPUT_RATE:
            break
        parts += [samples, rest]
    return pages.clip(np.concatenate(parts)) if parts else None
