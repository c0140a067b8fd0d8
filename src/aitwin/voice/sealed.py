"""A voice as one encrypted file, to keep elsewhere or to take to another machine, and back.

How it is encrypted: see sealing. Left out is what follows from the rest: embeddings, report, and
what hides behind a dot. Does not ask for passphrases.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from aitwin import artifact, sealing
from aitwin.errors import TwinError
from aitwin.sealing import Decrypted, Kind, Member
from aitwin.voice import consent as consents
from aitwin.voice import voices
from aitwin.voice.consent import Consent
from aitwin.voice.voices import COPIED, Voice

VOICE = Kind("voice.tar.age", "an exported voice", "twin voice export", ".voice")
PARTS = ("takes", "prepared", "consent", consents.IMPORTED, "profile", "sessions")
"""What of a voice's directory is exported, with its own manifest."""
MANIFEST_LIMIT = 1 << 16
"""Bytes of a voice's own manifest, which is read before anything is written."""
MEMBERS = 100_000
"""Files; an hour of takes, two or three seconds each, has some 5,000."""

_PLACE = re.compile(
    rf"takes/[0-9a-f]{{{voices.ID_DIGITS}}}/(?:manifest\.json|original{voices.SUFFIX})"
    rf"|(?:consent|{consents.IMPORTED})/(?:manifest\.json|consent{voices.SUFFIX})"
    r"|(?:prepared|profile|sessions)(?:/[A-Za-z0-9][\w.-]{0,99}){1,3}",
    re.ASCII,
)
"""A file of a voice, relative to its directory; no name begins with a dot."""


@dataclass(frozen=True)
class Imported:
    """What came out of a file."""

    voice: Voice
    consent: Consent | None = field(repr=False)
    """Kept at consent.IMPORTED: it allows nothing here."""
    problems: tuple[str, ...]
    """What is damaged in the file, and was left out."""


def export(voice: Voice, target: Path, passphrase: str, *, force: bool = False) -> int:
    """Write a voice into one encrypted file of mode 0600; returns how many files are in it.

    Raises TwinError when the passphrase is weak, `target` is there and `force` is not given, a take
    is damaged (so that no copy lacks one in silence), or the voice changes meanwhile; whatever was
    at `target` before is then still there.
    """
    sealing.check_passphrase(passphrase)
    sealing.check_target(target, VOICE, force=force)
    if problems := [*voice.damaged(), *_changed(voice)]:
        raise TwinError(f"nothing was exported: {'; '.join(problems)}")
    members = _members(voice)
    sealing.seal(target, VOICE, members, passphrase)
    return len(members)


def import_(source: Path, directory: Path, passphrase: str, name: str = "") -> Imported:
    """Take an exported voice into `directory`, under another `name` where one is given.

    A take that is damaged inside is left out. Raises TwinError when the file is no exported voice,
    is damaged or cut off, the passphrase is another, or there is a voice of that name already;
    nothing is left behind then.
    """
    artifact.make_private_dir(directory)
    voices.tidy(directory)
    with sealing.unsealed(source, VOICE, passphrase, MEMBERS) as decrypted:
        # Nothing is compressed: what comes out is no larger than what went in.
        size, free = source.stat().st_size, shutil.disk_usage(directory).free
        if free < size:
            raise TwinError(
                f"{source} needs {size / 1e9:.1f} GB, and {directory} has {free / 1e9:.1f} GB "
                "free; make room, and run it again"
            )
        return _unpack(decrypted, directory, name)


def _changed(voice: Voice) -> Iterator[str]:
    """Takes whose recording is not the one that came; an import would not take them."""
    for take in voice.takes():
        if not take.original.is_file():
            yield (
                f"the recording of take {take.id} is gone; `twin voice drop {voice.id} {take.id}` "
                "forgets the take"
            )
        elif artifact.sha256(take.original) != take.sha256:
            yield (
                f"{take.original} has changed since it came; `twin voice add "
                f"{shlex.quote(str(take.original))} "
                f"--emotion {take.emotion} --voice {voice.id}` takes it as it is now, then forget "
                f"what it was: `twin voice drop {voice.id} {take.id}`"
            )


def _members(voice: Voice) -> list[Member]:
    """A voice's files, its own manifest first: an import learns from it what it imports."""
    files = [voice.path / artifact.MANIFEST]
    for part in PARTS:
        files += sorted(path for path in (voice.path / part).rglob("*") if path.is_file())
    found = []
    for path in files:
        place = path.relative_to(voice.path).as_posix()
        if "/." in f"/{place}":
            continue  # half made
        if place != artifact.MANIFEST and not _PLACE.fullmatch(place):
            raise TwinError(f"{path} is no part of a voice; move it away, and run it again")
        found.append(Member(path, f"{voice.id}/{place}", path.stat().st_size))
    return found


def _unpack(decrypted: Decrypted, directory: Path, name: str) -> Imported:
    files = decrypted.files()
    place, size, content = next(files, ("", 0, None))
    own, _, manifest = place.partition("/")
    if content is None or manifest != artifact.MANIFEST or size > MANIFEST_LIMIT:
        raise decrypted.strange()
    target = voices.place(directory, name or own)
    if any(path.is_file() for path in (target, *target.rglob("*"))):
        raise TwinError(
            f"a voice is called {target.name} already; import this one under another name: "
            "--name NAME"
        )
    with artifact.building(target) as scratch:
        artifact.write_private(scratch / artifact.MANIFEST, content.read())
        for file_name, _, content in files:
            above, _, place = file_name.partition("/")
            if above != own or not _PLACE.fullmatch(place) or (scratch / place).exists():
                raise decrypted.strange()
            with artifact.writing(scratch / place) as file:
                shutil.copyfileobj(content, file, COPIED)
        voice = _own(scratch, decrypted)
        if name:
            voices.write(replace(voice, name=name))
        problems = [*_left_out(voice, decrypted.source)]
        if problems and not voice.takes():
            raise TwinError("\n".join([*problems, "no take is left, so nothing was imported"]))
        given = _set_aside(scratch, decrypted.source, problems)
    return Imported(voices.load(target), given, tuple(problems))


def _own(scratch: Path, decrypted: Decrypted) -> Voice:
    """The voice as its manifest says. Raises TwinError when that is damaged."""
    try:
        voice = voices.load(scratch)
    except TwinError:
        raise decrypted.strange() from None
    if not voice.name.isprintable():
        raise decrypted.strange()  # it is shown on a terminal, which takes orders
    return voice


def _left_out(voice: Voice, source: Path) -> Iterator[str]:
    """Delete takes that are not what they say, and preparations of none; tells what was left out.

    Another's take of that form need not be one, and a recording is named by its content.
    """
    whole = {take.id: take for take in voice.takes()}
    for path in sorted(voice.path.glob("takes/*")):
        take = whole.get(path.name)
        files = {file.name for file in path.iterdir()}
        if (
            take is None
            or files != {artifact.MANIFEST, take.original.name}
            or artifact.sha256(take.original) != take.sha256
        ):
            artifact.remove(path)
            yield f"take {path.name} is damaged in {source}, and was left out; export it again"
    for path in sorted(voice.path.glob("prepared/*")):
        if not (voice.path / "takes" / path.name).exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _set_aside(scratch: Path, source: Path, problems: list[str]) -> Consent | None:
    """Keep the consent that came along where it allows nothing; None where there is none."""
    own, aside = scratch / "consent", scratch / consents.IMPORTED
    if own.exists():
        shutil.rmtree(aside, ignore_errors=True)
        own.rename(aside)
    if not aside.exists():
        return None
    with suppress(TwinError):
        if given := consents.load(aside):
            return given
    shutil.rmtree(aside)
    problems.append(f"the consent is damaged in {source}, and was left out")
    return None
