"""Options that choose a voice, an emotion or an engine, alike in every command, with completion."""

from typing import Annotated

import typer


def voices(incomplete: str) -> list[str]:
    """Ids of the owner's voices that begin so; none where their volume is locked."""
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.voice import voices as owned

    try:
        home = Home.from_environment()
        known = owned.all_(home.open_voices()) if home.is_marked else []
    except TwinError:
        return []
    return [voice.id for voice in known if voice.id.startswith(incomplete)]


def speaking(incomplete: str) -> list[str]:
    """The same, and the base voice."""
    return [name for name in ("base", *voices("")) if name.startswith(incomplete)]


def emotions(incomplete: str) -> list[str]:
    """Those that begin so."""
    from aitwin.voice.emotions import EMOTIONS

    return [name for name in EMOTIONS if name.startswith(incomplete)]


def engines(incomplete: str) -> list[str]:
    """Those of this machine that begin so, whether they can speak or not."""
    from aitwin.cli.console import told_of_measuring
    from aitwin.home import Home
    from aitwin.rooms import open_studio

    states = open_studio(Home.from_environment(), measuring=told_of_measuring).engines()
    return [state.name for state in states if state.name.startswith(incomplete)]


Id = Annotated[str, typer.Argument(help="Id or name of a voice.", autocompletion=voices)]
OnlyId = Annotated[
    str,
    typer.Argument(
        help="Id or name of a voice; not needed while there is one.", autocompletion=voices
    ),
]
Owned = Annotated[
    str,
    typer.Option(
        "--voice", help="Voice by id; not needed while there is one.", autocompletion=voices
    ),
]
"""Of the owner's voices, the one that something is recorded for."""
Voice = Annotated[
    str,
    typer.Option(
        "--voice",
        help="Voice by id (see `twin voice list`), or base; without it yours, where you have one.",
        autocompletion=speaking,
    ),
]
"""The one that speaks."""
Emotion = Annotated[
    str,
    typer.Option(
        "--emotion", help="Manner in which the voice was recorded.", autocompletion=emotions
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="What speaks (see `twin models list`); without it the best that can.",
        autocompletion=engines,
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same sound.")]
