"""twin voice: the owner's voices, from recordings to a profile that can be cloned.

Recording in the terminal: record. Saying something: voice.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import TaskProgressColumn

from aitwin.cli import finetune, record, voice_check, voice_eval
from aitwin.cli.at_work import after_all, alone, stoppable, unlearned
from aitwin.cli.choosing import Id, OnlyId, Owned, emotions
from aitwin.cli.console import Json, fail, print_json, progress, say, table, told_of_measuring
from aitwin.cli.lines import JsonLines, Lines, telling
from aitwin.cli.passphrases import PassphraseFile, passphrase_of

if TYPE_CHECKING:
    from aitwin.home import Home
    from aitwin.voice.openvoice import ReferenceEncoder
    from aitwin.voice.overview import Overview, TakeOverview
    from aitwin.voice.prepare import Tools
    from aitwin.voice.voices import Take, Voice

app = typer.Typer(
    help="Voices: record, add, prepare, show, keep elsewhere, delete.", no_args_is_help=True
)
record.register(app)
voice_check.register(app)
voice_eval.register(app)
finetune.register(app)

QUOTED = 300
"""Characters of a consent's sentence that are shown; ours has some 130."""
PREPARED = "what is done is kept: `twin voice prepare` goes on"
"""Said when a preparation is stopped."""
SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".m4a", ".ogg", ".oga", ".opus", ".webm"),
    *(".aif", ".aiff", ".caf", ".mp4", ".aac", ".wma"),
)
"""What is taken out of a folder; a file that is named is tried whatever it is called."""


Speaker = Annotated[
    bool,
    typer.Option("--i-am-the-speaker", help="Your word that this is your own voice, to be cloned."),
]
# --- Looking --------------------------------------------------------------------------------------


@app.command("list", epilog="Example: twin voice list --json")
def list_(json: Json = False) -> None:
    """Show the voices there are, how much is recorded, and what each still lacks."""
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.rooms import open_voices
    from aitwin.voice import voices
    from aitwin.voice.engines import Bundled

    speaker = Bundled()
    rows: list[dict[str, Any]] = [
        {"id": speaker.name, "cloned": speaker.cloned, "what": speaker.describe()}
    ]
    home = Home.from_environment()
    # A home that is not there yet is not made by looking at it.
    directory = open_voices(home) if home.root.exists() else None
    owned = voices.all_(directory) if directory else []
    problems = voices.damaged(directory) if directory else []
    seen = []
    for voice in owned:
        problems += voice.damaged()
        try:
            seen.append(_look(voice))
        except TwinError as error:
            problems.append(str(error))
    if json:
        print_json([*rows, *map(_summary, seen)])
        _tell(problems)
        return
    table("Bundled", ("id", "what"), [(row["id"], row["what"]) for row in rows])
    if seen:
        columns = (
            *("id", "name", "takes#", "minutes#", "usable#", "grades", "consent", "clone"),
            "speaks",
        )
        table("Yours", columns, map(_line, seen))
        for one in seen:
            for step in (*one.missing, *one.advice):
                say(f"{one.id}: {step}")
    if not owned and not problems:
        say(
            "no voice of your own yet; `twin voice record --name NAME` records one, "
            "`twin voice add FILE… --emotion neutral --name NAME` makes one of recordings"
        )
    _tell(problems)


def _tell(problems: list[str]) -> None:
    """Show what went wrong; exit code 1 when something did."""
    for problem in problems:
        fail(problem)
    if problems:
        raise typer.Exit(1)


def _look(voice: "Voice") -> "Overview":
    """At a voice, and at what speaks in it now."""
    from aitwin.home import Home
    from aitwin.rooms import open_studio
    from aitwin.voice import overview

    return overview.of(
        voice, engine=open_studio(Home.from_environment(), measuring=told_of_measuring).best(voice)
    )


def _summary(seen: "Overview") -> dict[str, Any]:
    """A voice as plain values for a program: no text, no device, no path."""
    return {
        "id": seen.id,
        "name": seen.name,
        "cloned": True,
        "created_at": seen.created_at,
        "takes": len(seen.takes),
        "minutes": round(seen.minutes, 2),
        "usable_minutes": round(seen.usable, 2),
        "grades": seen.grades,
        "consent": seen.consent or None,
        "consent_given_on": seen.consent_given_on,
        "profile": seen.profile,
        "ready": not seen.missing,
        "missing": seen.missing,
        "advice": seen.advice,
        "speaks_well": seen.speaks_well,
        "finetune": seen.finetune or None,
        "consent_unchecked": seen.consent_unchecked,
    }


def _line(seen: "Overview") -> tuple[object, ...]:
    return (
        *(seen.id, seen.name, len(seen.takes), f"{seen.minutes:.1f}", f"{seen.usable:.1f}"),
        *(_counts(seen.grades), seen.consent or "-", "not yet" if seen.missing else "ready"),
        {True: "usable", False: "not usable", None: "-"}[seen.speaks_well],
    )


def _counts(grades: dict[str, int]) -> str:
    return " ".join(f"{count} {letter}" for letter, count in grades.items()) or "-"


@app.command(epilog="Example: twin voice show bundled")
def show(voice: OnlyId = "", json: Json = False) -> None:
    """Show one voice: its emotions, its takes with grades and reasons, and what it lacks."""
    from aitwin.home import Home
    from aitwin.rooms import open_voice
    from aitwin.voice import overview
    from aitwin.voice.engines import Bundled

    speaker = Bundled()
    if voice == speaker.name:
        row = {"id": speaker.name, "cloned": speaker.cloned, "what": speaker.describe()}
        if json:
            print_json(row)
        else:
            table(speaker.name, ("", ""), list(row.items()))
        return
    owned = open_voice(Home.from_environment(), voice)
    seen, sounds = _look(owned), overview.sounds(owned)
    if json:
        print_json(
            {
                **_summary(seen),
                "emotions": seen.emotions,
                "takes": seen.takes,
                "sounds": sounds,
            }
        )
        _tell(owned.damaged())
        return
    table(
        f"{seen.name} ({seen.id})",
        ("emotion", "takes#", "minutes#", "usable#", "of#", "grades", "Hertz#", "syllables/s#"),
        [
            (
                *(one.emotion, one.takes, f"{one.minutes:.1f}", f"{one.usable:.1f}"),
                *(f"{one.asked:.0f}", _counts(one.grades)),
                *("-" if one.pitch is None else f"{one.pitch:.0f}",),
                *("-" if one.rate is None else f"{one.rate:.1f}",),
            )
            for one in seen.emotions
        ],
    )
    if seen.takes:
        table(
            "Takes",
            ("take", "emotion", "seconds#", "grade", "what lowers it"),
            [
                (
                    *(take.id, take.emotion, f"{take.seconds:.1f}", take.grade or "-"),
                    "; ".join(_lowering(take)),
                )
                for take in seen.takes
            ],
        )
    if rare := [sound for sound, count in sounds.items() if not count]:
        say(f"sounds of English that were not read yet: {' '.join(rare)}")
    _tell_standing(seen)
    _tell(owned.damaged())


def _tell_standing(seen: "Overview") -> None:
    """Consent, what was made of it, and what it lacks."""
    given = f"{seen.consent}, {seen.consent_given_on:%d %B %Y}" if seen.consent_given_on else "none"
    if seen.consent_unchecked:
        given += f" ({'; '.join(seen.consent_unchecked)})"
    say(f"consent: {given}")
    for what, told in (("evaluation", seen.evaluation), ("fine-tune", seen.finetune)):
        if told:
            say(f"{what}: {told}")
    for step in seen.missing:
        say(f"missing: {step}")
    for step in seen.advice:
        say(f"advice: {step}")
    if not seen.missing:
        say("ready to be cloned")


def _lowering(take: "TakeOverview") -> Iterator[str]:
    """What speaks against a take: first whether it is its owner's at all."""
    if take.standing and take.standing.said:
        yield take.standing.said
    yield from (f"{one.found} ({one.advice})" for one in take.reasons)


@app.command(epilog="Example: twin voice report ana --open")
def report(
    voice: OnlyId = "",
    in_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write the page on a voice (grades, pictures, before and after), and print where it is."""
    from aitwin.cli.dataset import show_page
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.rooms import open_voice
    from aitwin.voice import overview, profile, voice_report

    chosen = open_voice(Home.from_environment(), voice)
    try:
        known = profile.load(chosen.path / "profile")
    except TwinError:
        known = None  # the page says that there is none yet
    with progress() as bar:
        task = bar.add_task("drawing", total=None)
        path = voice_report.write(
            chosen,
            profile=known,
            phonemes=overview.sounds(chosen),
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    show_page(path, in_browser=in_browser)
    _tell(chosen.damaged())


# --- Recordings in, and made ready ----------------------------------------------------------------


@app.command(epilog="Example: twin voice add ~/Recordings --emotion neutral --name Ana")
def add(  # noqa: PLR0913 (one flag per thing to choose)
    files: Annotated[list[Path], typer.Argument(help="Recordings, or folders of them.")],
    emotion: Annotated[
        str, typer.Option("--emotion", help="How it is spoken.", autocompletion=emotions)
    ],
    voice: Owned = "",
    name: Annotated[
        str, typer.Option("--name", help="Name of the voice; made when it is new.")
    ] = "",
    i_am_the_speaker: Speaker = False,
    prepare: Annotated[
        bool, typer.Option("--prepare/--no-prepare", help="Make them ready at once.")
    ] = True,
    json: Json = False,
) -> None:
    """Add recordings (wav, flac, mp3, m4a, ogg, webm, …), and make them ready for cloning.

    They are copied as they are, and the copies never changed. A file that cannot be used is
    reported, the others are added, and the exit code is 1. A recording that is here already is
    not added twice.
    """
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.voice import intake
    from aitwin.voice.emotions import EMOTIONS

    if emotion not in EMOTIONS:
        raise typer.BadParameter(f"choose among {', '.join(EMOTIONS)}", param_hint="--emotion")
    home = Home.from_environment()
    found, problems = _sounds(files)
    if not found:
        for problem in problems[:-1]:
            fail(problem)
        raise TwinError(problems[-1] if problems else "there is no recording in there")
    owned = _voice_to_add_to(home, voice, name)
    before = {take.id for take in owned.takes()}
    added = []
    with stoppable("what is done is kept: the same command goes on"), progress() as bar:
        for path in bar.track(found, description="adding"):
            try:
                heard = intake.of(path)
                added.append(owned.add(path, {"emotion": emotion, **heard.values}))
            except TwinError as error:
                problems.append(str(error))
                continue
            if heard.missing:
                lost = f"{heard.missing:.1f} seconds are missing"
                say(f"{path} was cut off: {lost}; the rest is added")
    _tell_added(added, before, emotion)
    if i_am_the_speaker:
        _state(home, owned)
    if prepare and added:
        problems += _make_ready(home, owned)
    _finish(owned, problems, json=json)


def _sounds(files: list[Path]) -> tuple[list[Path], list[str]]:
    """The recordings among files and in folders; and what is wrong with the others."""
    from aitwin.errors import TwinError
    from aitwin.voice import sound_file

    found, problems = [], []
    for path in _flat(files):
        try:
            sound_file.probe(path, least=sound_file.MIN_SECONDS)
            found.append(path)
        except TwinError as error:
            problems.append(str(error))
    return found, problems


def _flat(files: list[Path]) -> Iterator[Path]:
    for file in dict.fromkeys(file.expanduser() for file in files):
        if not file.is_dir():
            yield file
            continue
        for path in sorted(file.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(file).parts)
            if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden:
                yield path


def _voice_to_add_to(home: "Home", voice: str, name: str) -> "Voice":
    """The voice that was named, made where none is called so; or the one that there is."""
    from aitwin.rooms import open_voices
    from aitwin.voice import voices

    if voice and name:
        raise typer.BadParameter("give --voice for one that is here, or --name for a new one")
    directory = open_voices(home)
    if name:
        return voices.called(directory, name)
    if voice or voices.all_(directory) or not home.settings_file.exists():
        return voices.find(directory, voice)
    return voices.called(directory, home.settings().name)


def _tell_added(added: "list[Take]", before: set[str], emotion: str) -> None:
    ids = {take.id for take in added}
    say(f"added {len(ids - before)} recordings")
    again = {take.id: take.emotion for take in added if take.id in before}
    if again:
        say(f"{len(again)} were here already, and stay as they are")
    for take_id, other in again.items():
        if other != emotion:
            say(f"{take_id} is here as {other}; `twin voice drop` it first to add it as {emotion}")


@app.command(epilog="Example: twin voice prepare ana")
def prepare(voice: OnlyId = "", json_lines: JsonLines = False, json: Json = False) -> None:
    """Make every take ready that is not yet, and bring the profile up to date.

    Takes are measured, graded and mended; originals are never changed. Stop it whenever you like:
    it goes on where it stopped.
    """
    from aitwin.home import Home
    from aitwin.rooms import open_voice

    with telling(json_lines) as lines:
        home = Home.from_environment()
        owned = open_voice(home, voice)
        problems = _make_ready(home, owned, lines)
        lines.finished(_figures(owned, problems))
    _finish(owned, problems, json=json)


def _figures(voice: "Voice", problems: list[str]) -> dict[str, Any]:
    seen = _look(voice)
    return {
        "usable_minutes": round(seen.usable, 2),
        "minutes": round(seen.minutes, 2),
        "grades": dict(seen.grades),
        "problems": problems,
    }


def _make_ready(home: "Home", voice: "Voice", lines: Lines | None = None) -> list[str]:
    """Prepare what is to be prepared, and build the profile; what went wrong."""
    from aitwin.rooms import open_ears, open_tools

    if not voice.takes():
        return []
    with alone(voice), stoppable(PREPARED):
        tools = open_tools(home)
        problems = _prepared(voice, tools, "preparing", lines)
        encoder = tools.encoder
        # The words come last, and by themselves: they take as long as all else together, and as
        # much memory.
        if ears := open_ears():
            del tools
            problems += _prepared(voice, ears, "hearing the words", lines)
        if lines:
            lines.stage("profile")
        # Nobody may drop a take meanwhile, whose embeddings would come after it.
        return [*dict.fromkeys(problems), *_update_profile(home, voice, encoder)]


def _prepared(voice: "Voice", tools: "Tools", what: str, lines: Lines | None = None) -> list[str]:
    """Let `tools` listen to all takes; what went wrong."""
    from aitwin.voice import prepare as preparing

    takes = voice.takes()
    with progress(TaskProgressColumn()) as bar:
        total = sum(take.seconds for take in takes)
        task = bar.add_task(what, total=total)
        shares: dict[str, float] = {}

        def told(take: "Take", share: float) -> None:
            shares[take.id] = share * take.seconds
            done = sum(list(shares.values()))
            bar.update(task, completed=done)
            if lines:
                lines.progress(round(done, 1), round(total, 1), "seconds", what)

        outcome = preparing.prepare_all(voice, tools, on_progress=told)
        bar.update(task, completed=total)
    return list(outcome.problems)


def _update_profile(
    home: "Home", voice: "Voice", encoder: "ReferenceEncoder | None" = None
) -> list[str]:
    """Make the profile of what is prepared, with what has changed since; what went wrong."""
    from aitwin.errors import TwinError
    from aitwin.rooms import open_base_speakers, open_encoder
    from aitwin.voice import profile

    ready = [one for take in voice.takes() if (one := voice.prepared(take))]
    if not any(one.grade.letter in profile.USABLE for one in ready):
        profile.remove(voice)  # one of takes that are gone is not to outlive them
        return []
    if encoder is None:
        encoder, wanting = open_encoder(home)
        if encoder is None:
            say(f"the profile says nothing of who speaks yet: {wanting}")
    with stoppable(PREPARED), progress() as bar:
        task = bar.add_task("profile", total=None)
        try:
            profile.build(
                voice,
                encoder,
                base_speakers=open_base_speakers(home, encoder.size if encoder else None),
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        except TwinError as error:
            return [str(error)]
    return []


def _finish(voice: "Voice", problems: list[str], *, json: bool) -> None:
    """Show where a voice stands, then what went wrong; exit code 1 when something did."""

    seen = _look(voice)
    problems = [*problems, *voice.damaged()]
    if json:
        print_json({**_summary(seen), "problems": problems})
    else:
        say(f"{seen.id}: {seen.usable:.1f} usable minutes of {seen.minutes:.1f} recorded")
        say(f"grades: {_counts(seen.grades)}")
        for step in (*seen.missing, *seen.advice):
            say(f"{seen.id}: {step}")
    _tell(problems)


# --- Consent --------------------------------------------------------------------------------------


@app.command(epilog="Example: twin voice consent ana --i-am-the-speaker")
def consent(
    voice: OnlyId = "",
    i_am_the_speaker: Speaker = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take it back: delete it, and clone no more.")
    ] = False,
    json: Json = False,
) -> None:
    """Show who has allowed a voice to be cloned, or allow it: it must be your own.

    With the consent goes all that speaks or has spoken in the voice: its fine-tune, its evaluation,
    the page to listen to. Recordings and profile stay, and sound files that you have saved.
    """
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.rooms import open_voice
    from aitwin.voice import consent as consents

    if i_am_the_speaker and withdraw:
        raise typer.BadParameter("it allows; to take it back, give --withdraw alone")
    home = Home.from_environment()
    owned = open_voice(home, voice)
    problems = []
    if withdraw:
        for place in ("consent", consents.IMPORTED):
            consents.withdraw(owned.path / place)
        say(f"the consent for {owned.id} is deleted; the voice can no longer be cloned")
        with after_all(owned):
            owned.forget_clones()
            problems = _update_profile(home, owned)
    elif i_am_the_speaker:
        _state(home, owned)
        with alone(owned):
            problems = _update_profile(home, owned)
    given = consents.load(owned.path / "consent")
    if json:
        print_json(
            {"id": owned.id, "kind": None, "given_on": None}
            if given is None
            else {
                "id": owned.id,
                "kind": given.kind,
                "given_on": given.given_on,
                "words": given.words,
                "likeness": given.likeness,
            }
        )
    elif given is not None:
        say(f"{owned.id}: {given.kind} on {given.given_on:%d %B %Y}")
    elif not withdraw:
        came = (owned.path / consents.IMPORTED).exists()
        raise TwinError(
            f"nobody has allowed the voice {owned.id} to be cloned here"
            f"{' (the consent that came with its file counts where it was given)' * came}; "
            f"read the sentence aloud with `twin voice record --voice {owned.id} --consent`, or "
            f"give your word: `twin voice consent {owned.id} --i-am-the-speaker`"
        )
    _tell(problems)


def _state(home: "Home", voice: "Voice") -> None:
    """Keep the owner's word, unless it was spoken already, which says more."""
    from aitwin.voice import consent as consents

    name = home.settings().name if home.settings_file.exists() else voice.name
    today = datetime.now(UTC).astimezone().date()
    if consents.state(voice.path / "consent", name, today):
        say(f"kept your word that {voice.id} is your own voice, and may be cloned here")
    else:
        say(f"the consent for {voice.id} was read aloud already, and stays")


# --- Names, copies, deletion ----------------------------------------------------------------------


@app.command(epilog="Example: twin voice drop ana 1f3a5c7e9b2d4f60")
def drop(
    voice: Id, takes: Annotated[list[str], typer.Argument(help="Ids (see `twin voice show`).")]
) -> None:
    """Delete takes, and what was made of them; then bring the profile up to date.

    The page on the voice goes with the first of them: it holds sound. `report` makes it anew. So do
    its evaluation and a fine-tune that was stopped. A fine-tune that has learned from them stays,
    and is named.
    """
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.rooms import open_voice
    from aitwin.voice import overview, tuned
    from aitwin.voice import record as recording

    home = Home.from_environment()
    owned = open_voice(home, voice)
    problems = []
    with recording.alone(owned), alone(owned), unlearned(owned.path):
        had_page = owned.page.exists()
        made = {what for what, path in _made(owned).items() if path.exists()}
        for take in dict.fromkeys(takes):
            try:
                owned.drop(take)
            except TwinError as error:
                problems.append(str(error))
        say(f"dropped {len(set(takes)) - len(problems)} takes")
        if had_page and not owned.page.exists():
            say(f"the page held them, and is deleted; `twin voice report {owned.id}` makes it anew")
        for what in sorted(what for what in made if not _made(owned)[what].exists()):
            say(f"deleted with them: {what}")
        problems += _update_profile(home, owned)
    if tuned.outlived(owned):
        say(f"its fine-tune stays: {overview.of(owned).finetune}")
    _finish(owned, problems, json=False)


def _made(voice: "Voice") -> dict[str, Path]:
    """What was made of all takes together, in words for the owner."""
    from aitwin.voice import evaluation
    from aitwin.voice.voices import LEARNING, LISTENING

    return {
        "a fine-tune that was stopped": voice.path / LEARNING,
        "the evaluation": evaluation.path_of_evaluation(voice),
        "the page to listen to": voice.path / LISTENING,
    }


@app.command(epilog="Example: twin voice rename ana 'Ana Bell'")
def rename(voice: Id, name: Annotated[str, typer.Argument(help="The new name.")]) -> None:
    """Give a voice another name; its id stays."""
    from aitwin.home import Home
    from aitwin.rooms import open_voice
    from aitwin.voice import record as recording
    from aitwin.voice import voices

    owned = open_voice(Home.from_environment(), voice)
    with recording.alone(owned):
        renamed = voices.rename(owned, name)
    say(f"{renamed.id} is called {renamed.name} now")


@app.command(epilog="Example: twin voice export ana ana.voice")
def export(
    voice: Id,
    file: Annotated[Path, typer.Argument(help="File to write.")],
    passphrase_file: PassphraseFile = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: Json = False,
) -> None:
    """Write a voice, its recordings and its profile into one encrypted file.

    Whoever has the file and the passphrase has the voice; without the passphrase nobody has,
    you neither. The age program opens it, too: `tar -xf FILE`, then
    `age -d -i key.age voice.tar.age | tar -x`.
    """
    from aitwin import sealing
    from aitwin.home import Home
    from aitwin.rooms import open_voice
    from aitwin.voice import record as recording
    from aitwin.voice import sealed

    owned = open_voice(Home.from_environment(), voice)
    sealing.check_target(file, sealed.VOICE, force=force)
    passphrase = sealing.check_passphrase(passphrase_of(passphrase_file, new=True))
    with recording.alone(owned), alone(owned), stoppable("nothing was exported"):
        say(f"encrypting {owned.id} …")
        files = sealed.export(owned, file, passphrase, force=force)
    if json:
        print_json({"id": owned.id, "file": file.absolute(), "files": files})
    else:
        say(f"{file}: {files} files, {file.stat().st_size / 1e6:.1f} MB")


@app.command("import", epilog="Example: twin voice import ana.voice")
def import_(
    file: Annotated[Path, typer.Argument(help="File that `twin voice export` wrote.")],
    name: Annotated[str, typer.Option("--name", help="Another name for it.")] = "",
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Take a voice from an encrypted file.

    A take that is damaged in it is reported, the others are taken, and the exit code is 1. The
    consent in it was given elsewhere: to clone the voice here, give yours.
    """
    from aitwin.home import Home
    from aitwin.rooms import open_voices
    from aitwin.voice import sealed

    directory = open_voices(Home.from_environment())
    passphrase = passphrase_of(passphrase_file, new=False)
    with stoppable("nothing was imported"):
        imported = sealed.import_(file, directory, passphrase, name)
    owned, given = imported.voice, imported.consent
    if json:
        problems = list(imported.problems)
        print_json({**_summary(_look(owned)), "problems": problems})
    else:
        say(f"imported {owned.id}: {len(owned.takes())} takes")
    if given is not None:
        words = "".join(letter for letter in given.sentence if letter.isprintable())[:QUOTED]
        say(
            f'it holds a consent, {given.kind} on {given.given_on:%d %B %Y}: "{words}" It counts '
            "where it was given. If this is your own voice, say so here: "
            f"`twin voice consent {owned.id} --i-am-the-speaker`"
        )
    _tell(list(imported.problems))


@app.command(epilog="Example: twin voice delete ana")
def delete(
    voice: Id, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Delete a voice for good: recordings, what was made of them, profile, consent, report.

    What a deleted file leaves in free blocks of the disk is protected by the disk's encryption
    (FileVault) alone. Exports and backups of it are not touched.
    """
    from aitwin.errors import TwinError
    from aitwin.home import Home
    from aitwin.rooms import open_voices
    from aitwin.voice import record as recording
    from aitwin.voice import voices

    path = voices.locate(open_voices(Home.from_environment()), voice)
    try:
        owned = voices.load(path)
    except TwinError:
        owned = None  # damaged: nobody can record it, and its id is all that is known
    with ExitStack() as stack:
        if owned:
            stack.enter_context(recording.alone(owned))
            stack.enter_context(alone(owned))
        stack.enter_context(unlearned(path))
        if not yes:
            count = sum(1 for _ in (path / "takes").glob("[!.]*"))
            named = f"{owned.name} ({owned.id})" if owned else path.name
            typer.confirm(f"Delete {named} with {count} takes for good?", abort=True)
        voices.delete(path)
    say(f"deleted {path.name}; exports and backups of it, if there are any, are still there")
