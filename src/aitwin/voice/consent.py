"""Whose word it is that this voice may be cloned. Values and their storing.

Without one, a profile cannot be used for cloning: see profile.require_cloneable, which judges it.
Neither records nor recognises: see record.
"""

from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from aitwin import artifact
from aitwin.errors import TwinError

SENTENCE = (
    "I am {name}. Today is {date}. This is my own voice, and I allow this computer to learn it, "
    "for my own use."
)

LEAST_WORDS = 0.7
"""Of the sentence's words: the smallest ASR mishears names and dates."""
LEAST_LIKENESS = 0.70
"""Cosine to the takes: `speakers.enough` of the 5 s that a quick reader takes."""
IMPORTED = "imported-consent"
"""Beside a voice's own consent: that which came with it from another machine. It is kept and shown,
and allows nothing here: whoever holds a file of somebody's voice need not be that person."""


@dataclass(frozen=True)
class Consent:
    """The owner's consent: read aloud, or given by `--i-am-the-speaker`."""

    kind: Literal["spoken", "stated"]
    given_on: date
    sentence: str = field(repr=False)
    """What was to be read, or what the flag stands for."""
    sha256: str = ""
    """Of the recording, where it was spoken."""
    words: float | None = None
    """Share of the sentence's words that the ASR heard; None: no ASR was installed."""
    likeness: float | None = None
    """Cosine of its speaker to the takes'; None: not yet compared."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """What speaks against a recording of it; none for one that was stated or not checked."""
        found = []
        if self.words is not None and self.words < LEAST_WORDS:
            found.append(f"only {self.words:.0%} of its words were heard")
        if self.likeness is not None and self.likeness < LEAST_LIKENESS:
            found.append("it sounds like somebody else than the takes")
        return tuple(found)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What nobody has looked at in a recording of it; none for one that was stated."""
        if self.kind != "spoken":
            return ()
        found = []
        if self.words is None:
            found.append("nobody has heard its words: no speech recognition is installed")
        if self.likeness is None:
            found.append(
                "not compared with the takes: `twin models pull openvoice-v2`, then "
                "`twin voice prepare`"
            )
        return tuple(found)


def sentence(name: str, today: date) -> str:
    """What the owner reads aloud: "I am Ana. Today is 5 May 2026. …"."""
    return SENTENCE.format(name=name, date=f"{today.day} {today:%B %Y}")


def stated(name: str, today: date) -> Consent:
    """The owner's word in place of a recording: what `--i-am-the-speaker` stands for."""
    return Consent("stated", today, sentence(name, today))


def store(path: Path, consent: Consent, recording: Path | None = None) -> None:
    """Keep a consent, with its recording, at `path`, in the place of an earlier one."""
    with artifact.building(path) as scratch:
        if recording is not None:
            artifact.write_private(
                scratch / f"consent{recording.suffix.lower()}", recording.read_bytes()
            )
        values = {**asdict(consent), "given_on": consent.given_on.isoformat()}
        artifact.write_manifest(scratch, values)


def state(path: Path, name: str, today: date) -> bool:
    """Keep the owner's word at `path`, unless it was spoken already, which says more.

    One that is damaged is given anew in its place. Returns whether the word is kept.
    """
    try:
        given = load(path)
    except TwinError:
        given = None
    if given is not None and given.kind == "spoken" and not given.doubts:
        return False
    store(path, stated(name, today))
    return True


def withdraw(path: Path) -> None:
    """Delete the consent at `path` with its recording, if there is one, damaged or not."""
    artifact.remove(path)


def load(path: Path) -> Consent | None:
    """The consent at `path`, or None. Raises TwinError when it is damaged."""
    artifact.restore(path)
    if not (path / artifact.MANIFEST).exists():
        return None
    voice = path.parent.name
    remedy = (
        f"give it again with `twin voice record --voice {voice} --consent`, or "
        f"`twin voice consent {voice} --i-am-the-speaker`"
    )
    manifest = artifact.read_manifest(path, kind="consent", remedy=remedy)
    try:
        return _parsed(manifest)
    except (KeyError, TypeError, ValueError):
        raise TwinError(f"{path / artifact.MANIFEST} is damaged; {remedy}") from None


def _parsed(manifest: dict[str, Any]) -> Consent:
    """A manifest as a consent. Raises KeyError, TypeError or ValueError when it is none."""
    given = Consent(
        **{
            **manifest,
            "given_on": date.fromisoformat(artifact.text(manifest["given_on"])),
            "sentence": artifact.text(manifest["sentence"]),
        }
    )
    artifact.text(given.kind, "spoken|stated")
    artifact.text(given.sha256, "([0-9a-f]{64})?")
    for share in (given.words, given.likeness):
        if share is not None:
            artifact.number(share)
    return given
