"""The owner's voices as the routes open them, and what is wrong with them as problems.

What all routes on voices share; answers none itself.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, date, datetime
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.server.forms import Bounds, Form, received
from aitwin.server.problems import Fault, Problem
from aitwin.server.queueing import asker

PATIENCE = 5.0
"""Seconds that a change of a voice waits for another: a take is graded in less."""

if TYPE_CHECKING:
    from aitwin.server.parts import Parts
    from aitwin.voice.intake import Intake
    from aitwin.voice.voices import Voice


@asynccontextmanager
async def arrived(
    parts: "Parts", request: Request, directory: Path, bounds: Bounds
) -> AsyncGenerator[Form]:
    """The form (see `received`), once it is whole; whoever sends it slowly is in nobody's way.

    Raises Problem, too, when nothing could be made of it now, or too many are under way.
    """
    who = asker(request)
    parts.hearing.require_place(who)
    async with AsyncExitStack() as stack:
        with parts.receiving.place(who):
            form = await stack.enter_async_context(received(request, directory, bounds))
        yield form


def voices_of(home: Home) -> Path:
    """The directory with the owner's voices. Raises Problem when its volume is locked."""
    from aitwin.rooms import open_voices

    try:
        return open_voices(home)
    except TwinError as error:
        raise Problem("voices-locked", str(error)) from None


def opened(directory: Path, voice_id: str) -> "Voice":
    """The voice of that id. Raises Problem when there is none, TwinError when it is damaged."""
    from aitwin.voice import voices

    if not (directory / voice_id / artifact.MANIFEST).exists():
        raise Problem("unknown-voice")
    return voices.open_(directory, voice_id)


def located(directory: Path, voice_id: str) -> Path:
    """Where a voice lies, damaged or not. Raises Problem when there is none."""
    from aitwin.voice import voices

    path = directory / voice_id
    try:
        found = voices.locate(directory, voice_id)
    except TwinError:
        raise Problem("unknown-voice") from None
    if found != path:  # one whose name it is, too: whoever deletes says the id
        raise Problem("unknown-voice")
    return found


def called(directory: Path, name: str) -> "tuple[Voice, bool]":
    """The voice of that name, and whether it was made just now."""
    from aitwin.voice import voices

    place = placed(directory, name)
    made = voices.is_free(place) and not (place / "takes").is_dir()
    try:
        voice = voices.called(directory, name)
    except TwinError as error:
        # Several are called so, or it is damaged. What was sent is not repeated.
        raise Problem("cannot", str(error).replace(repr(name), "that")) from None
    return voice, made and voice.path == place


def placed(directory: Path, name: str) -> Path:
    """Where a voice of that name would lie. Raises Problem when none may be called so."""
    from aitwin.voice import voices

    try:
        return voices.place(directory, name)
    except TwinError:
        raise wrong("name", "no name for a voice: use some letters") from None


def wrong(name: str, detail: str) -> Problem:
    """A field that is wrong in a way that its type cannot say."""
    fault = Fault(f"#/{name}", detail)
    return Problem("invalid-request", f"{fault.pointer}: {detail}", errors=[fault])


def owner(home: Home, voice: "Voice") -> str:
    """Who says that it is their voice."""
    return home.settings().name if home.settings_file.exists() else voice.name


def today() -> date:
    """Where the owner is."""
    return datetime.now(UTC).astimezone().date()


def taken_in(
    form: Form, name: str, *, least: float, longest: float, plain: bool = False
) -> "tuple[Path, Intake]":
    """The recording of a form, called after what it is. Raises Problem when it is no such.

    `name` is the field's; `least` and `longest` are seconds. With `plain`, what was decoded of it
    as a FLAC, which all of the voice room reads quickly.
    """
    from aitwin.voice import intake
    from aitwin.voice.sound_file import NotSoundError

    if form.file is None:
        raise wrong(name, "the recording is missing")
    copy = form.file.with_name("plain.flac") if plain else None
    try:
        found = intake.of(form.file, least=least, longest=longest, copy=copy)
    except intake.TooLongError as error:
        raise Problem("too-long-audio", _anonymous(error, form.file)) from None
    except NotSoundError as error:
        raise Problem("not-audio", _anonymous(error, form.file)) from None
    except TwinError as error:
        raise Problem("unusable-audio", _anonymous(error, form.file)) from None
    return copy or form.file.rename(form.file.with_suffix(found.suffix)), found


def _anonymous(error: TwinError, path: Path) -> str:
    """What is wrong, without the place where it lay for a moment."""
    return str(error).replace(str(path), "the file")


@contextmanager
def with_room() -> Iterator[None]:
    """Say so when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise Problem("disk-full") from None
        raise


@contextmanager
def changing(voice: "Voice") -> Iterator[None]:
    """Keep everybody out who would take from under us what is deleted, or write it again.

    Raises Problem when somebody stays at work on the voice.
    """
    from aitwin.voice import at_work, record

    with busy_told(), ExitStack() as held:
        held.enter_context(record.alone(voice))
        held.enter_context(at_work.alone(voice, PATIENCE))
        held.enter_context(at_work.unlearned(voice.path))
        yield


@contextmanager
def busy_told() -> Iterator[None]:
    """Somebody else at work on a voice is a problem of its own."""
    from aitwin.voice.at_work import BusyError

    try:
        yield
    except BusyError as error:
        raise Problem("in-use", str(error)) from None
