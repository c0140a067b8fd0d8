"""The proof that nothing leaves: the whole chain, cut off from the network, and watched (P1, C2).

A twin of its own is made for the sample owner, in a directory that goes afterwards: it imports,
trains, writes, speaks, serves its API and its page. First a canary tries to leave: whoever watches
has to see it, or what it does not see afterwards says nothing.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aitwin
from aitwin import artifact, models
from aitwin.errors import TwinError
from aitwin.home import Home, environment_of_audit
from aitwin.services import browser, canary, sandbox, traces, watcher
from aitwin.services.chain import PROOF, Step
from aitwin.services.commands import Commands, System
from aitwin.services.finding import Finding, State
from aitwin.services.traces import Attempt, Destination

DAYS = 31
"""After so many, an audit is too old to say much."""
KEPT = 12
"""Reports that are kept."""
REQUIREMENTS = ("P1", "C2", "W4")
_CANARY = canary.__name__
_SETTLED = 5.0
"""Seconds for strace to write its last lines."""
_TEXT = "Thank Ana for the spare parts."
_READ = (
    "The kettle is on, and nobody has moved the van. The ferry does not wait, so come on Thursday."
)
_SMALL = ("--size", "40", "--tokens", "256")
_SHORT = ("--epochs", "1", "--sequence-length", "256", "--alpha", "512")
"""A slow machine has to train on them, and to measure what came of it.

The alpha is the demo's: a few steps have to be felt, or the training finds that it proved nothing.
"""
_WATCHERS = {
    "strace": "every system call (strace)",
    "python": "every Python (audit hook)",
    "browser": "every request of the page (Chromium)",
    "macos": "what macOS denied (sandbox-exec)",
}


@dataclass(frozen=True)
class Sample:
    """Whom the twin is made for: nobody's real words."""

    flags: tuple[str, ...]
    """Of `twin init`."""
    sources: tuple[Path, ...]
    """Mail and chats."""
    base: str
    minutes: float = 0.1
    """Of training: a few steps."""


@dataclass(frozen=True)
class Report:
    """What an audit found. Addresses, names of hosts and paths; no content."""

    at: str
    """ISO 8601, UTC."""
    version: str
    system: str
    state: State
    evidence: str
    seconds: float
    watchers: tuple[str, ...]
    """Those that saw the canary."""
    steps: tuple[Step, ...]
    destinations: tuple[Destination, ...]
    """But for the canary's own."""

    @property
    def outside(self) -> tuple[Destination, ...]:
        """What would have left the machine."""
        return tuple(one for one in self.destinations if one.verdict == "outside")


@dataclass(frozen=True)
class Equipment:
    """What an audit is made with here."""

    commands: Commands
    system: str
    strace: bool
    browser: Path | None

    @classmethod
    def found(cls, chosen: Path | None = None, *, page: bool = True) -> "Equipment":
        """What this machine has. Raises TwinError where nothing can be cut off."""
        commands, system = System(), platform.system()
        if why := sandbox.lacking(system, commands):
            raise TwinError(f"the network cannot be cut off here: {why}")
        strace = system == "Linux" and commands.run(["strace", "-V"]).ok
        return cls(commands, system, strace, (chosen or browser.find()) if page else None)


def run(home: Home, sample: Sample, equipment: Equipment, tell: Callable[[Step], None]) -> Report:
    """Audit, and keep the report. `tell` hears of each step as it ends.

    Raises TwinError when the sample's base model is not there: it cannot be fetched meanwhile.
    """
    models.Shelf(home.models).open(sample.base)
    began = time.monotonic()
    at = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="twin-audit-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        steps = tuple(_steps(home, sample, equipment, scratch, tell))
        attempts = tuple(_placed(one, scratch) for one in _attempts(scratch, equipment, at))
    report = judge(steps, attempts, equipment, at, time.monotonic() - began)
    keep(home, report)
    return report


def _steps(
    home: Home,
    sample: Sample,
    equipment: Equipment,
    scratch: Path,
    tell: Callable[[Step], None],
) -> Iterator[Step]:
    twin = Home(scratch / "home").open()
    # One shelf for both: models are large, and nothing personal is in them.
    twin.models.symlink_to(home.models, target_is_directory=True)
    watching = artifact.make_private_dir(scratch / "watch")
    source = Path(watcher.__file__).read_text("utf-8")
    artifact.write_private(watching / "sitecustomize.py", source)
    plan = {
        "scratch": str(scratch),
        "steps": _commands(sample, scratch),
        "strace": equipment.strace,
        "browser": str(equipment.browser or ""),
    }
    process = subprocess.Popen(  # noqa: S603 - our own command
        sandbox.cut_off((sys.executable, "-m", "aitwin.services.chain"), equipment.system),
        env=environment_of_audit(twin, scratch, watching),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        umask=0o077,
        start_new_session=True,
    )
    with _ended(process):
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        # It stays open: the chain ends when we do, in whatever way.
        process.stdin.write(json.dumps(plan) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            step = Step(**json.loads(line))
            tell(step)
            yield step
        if process.wait():
            assert process.stderr is not None  # noqa: S101
            lines = process.stderr.read().strip().splitlines()
            raise TwinError(f"the audit could not go on: {lines[-1] if lines else 'no reason'}")


@contextmanager
def _ended(process: "subprocess.Popen[str]") -> Iterator[None]:
    """With the block, the process ends, and whatever it has started."""
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _commands(sample: Sample, scratch: Path) -> list[tuple[str, tuple[str, ...]]]:
    python = sys.executable
    twin = (python, "-m", "aitwin")
    return [
        (PROOF, (python, "-m", _CANARY)),
        ("settings", (*twin, "init", *sample.flags)),
        ("import", (*twin, "corpus", "add", *map(str, sample.sources))),
        ("dataset", (*twin, "dataset", "build", "--allow-small", *_SMALL)),
        ("training", (*twin, "train", *_SHORT, "--minutes", str(sample.minutes))),
        ("writing", (*twin, "write", _TEXT, "--max-tokens", "16")),
        ("speaking", (*twin, "say", _READ, "-o", str(scratch / "said.wav"))),
    ]


def _attempts(scratch: Path, equipment: Equipment, since: datetime) -> Iterator[Attempt]:
    try:
        python = (scratch / "watch" / watcher.TRACE).read_text("utf-8", "replace")
    except FileNotFoundError:
        python = ""
    programs = traces.programs(python)
    yield from traces.of_python(python)
    for path in sorted(scratch.glob("*.strace")):
        yield from traces.of_strace(_whole(path), programs)
    for path in sorted(scratch.glob("*.net.json")):
        yield from _of_page(path)
    if equipment.system == "Darwin":
        yield from traces.of_denials(_denials(equipment.commands, since), programs)


def _placed(attempt: Attempt, scratch: Path) -> Attempt:
    """The audit's own directory has another name each time."""
    shown = attempt.destination.replace(str(scratch.resolve()), "~").replace(str(scratch), "~")
    return replace(attempt, destination=shown)


def _whole(path: Path) -> str:
    """A trace, once strace has written its last line."""
    until = time.monotonic() + _SETTLED
    while not traces.settled(text := path.read_text("utf-8", "replace")):
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    return text


def _of_page(path: Path) -> Iterator[Attempt]:
    try:
        document = json.loads(path.read_text("utf-8", "replace"))
        yield from traces.of_net_log(document)
    except (ValueError, KeyError, TypeError):
        yield Attempt("browser", "page", "request", "unreadable", "outside")


def _denials(commands: Commands, since: datetime) -> str:
    """From log(1) of macOS."""
    start = since.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    predicate = f'eventMessage ENDSWITH "{sandbox.TAG}"'
    shown = ["log", "show", "--style", "compact", "--start", start, "--predicate", predicate]
    return commands.run(shown, seconds=120).out


# --- What it means -------------------------------------------------------------------------------


def judge(
    steps: tuple[Step, ...],
    attempts: tuple[Attempt, ...],
    equipment: Equipment,
    at: datetime,
    seconds: float,
) -> Report:
    """What the steps and the traces come to."""
    seen: set[str] = {
        one.watcher for one in attempts if _is_canary(one) and one.verdict == "outside"
    }
    # The page's requests need no canary: without any there would be no page.
    seen |= {one.watcher for one in attempts if one.watcher == "browser"}
    found = traces.counted(one for one in attempts if not _is_canary(one))
    state, evidence = _verdict(steps, found, seen, equipment)
    return Report(
        at=at.isoformat(timespec="seconds"),
        version=aitwin.__version__,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        state=state,
        evidence=evidence,
        seconds=round(seconds, 1),
        watchers=tuple(_WATCHERS[one] for one in _WATCHERS if one in seen),
        steps=steps,
        destinations=found,
    )


def _is_canary(attempt: Attempt) -> bool:
    return attempt.program == _CANARY


def _verdict(
    steps: tuple[Step, ...],
    found: tuple[Destination, ...],
    seen: set[str],
    equipment: Equipment,
) -> tuple[State, str]:
    outside = [one for one in found if one.verdict == "outside"]
    if outside:
        named = ", ".join(dict.fromkeys(f"{one.program} → {one.destination}" for one in outside))
        return "bad", f"tried to leave this machine: {named}"
    broken = [step for step in steps if not step.ok]
    if any(step.name == PROOF for step in broken):
        return "bad", "a way out was open although the network was cut off"
    if broken or not steps:
        named = ", ".join(step.name for step in broken) or "all"
        return "bad", f"does not work without a network: {named}"
    wanted = {"python", *(("strace",) if equipment.strace else ())}
    wanted |= {"macos"} if equipment.system == "Darwin" else set()
    if blind := wanted - seen:
        unseeing = ", ".join(_WATCHERS[one] for one in sorted(blind))
        return "unknown", f"the canary's tries were not seen by: {unseeing}"
    times = sum(one.times for one in found)
    names = [step.name for step in steps if step.name != PROOF]
    evidence = f"{', '.join(names)}: {times:,} connections, none but within this machine"
    lacking = [
        *([] if equipment.strace or equipment.system == "Darwin" else ["strace is not installed"]),
        *([] if equipment.browser else ["no Chromium to open the page with"]),
    ]
    if lacking:
        return "warn", f"{evidence}; {'; '.join(lacking)}"
    return "ok", evidence


# --- Reports -------------------------------------------------------------------------------------


def keep(home: Home, report: Report) -> Path:
    """Write the report; the oldest go."""
    home.open()
    directory = artifact.make_private_dir(home.audits)
    path = directory / f"{report.at.replace(':', '-').replace('+00-00', 'Z')}.json"
    artifact.write_private(path, json.dumps(asdict(report), indent=2) + "\n")
    for old in sorted(directory.glob("*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def last(home: Home) -> Report | None:
    """The newest report that can be read; None: there is none."""
    for path in sorted(home.audits.glob("*.json"), reverse=True):
        try:
            return _report(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None


def _report(document: dict[str, Any]) -> Report:
    steps = tuple(Step(**one) for one in document.pop("steps"))
    destinations = tuple(Destination(**one) for one in document.pop("destinations"))
    watchers = tuple(document.pop("watchers"))
    report = Report(steps=steps, destinations=destinations, watchers=watchers, **document)
    datetime.fromisoformat(report.at)
    return report


def finding(home: Home) -> Finding:
    """For the doctor: how the last audit went, and whether it still says something."""
    report = last(home)
    remedy = "twin audit network"
    if report is None:
        return Finding("network audit", "warn", "never made", remedy, requirements=REQUIREMENTS)
    days = (datetime.now(UTC) - datetime.fromisoformat(report.at)).days
    state, evidence = report.state, f"{report.at[:10]}: {report.evidence}"
    if state == "ok" and report.version != aitwin.__version__:
        state, evidence = "warn", f"made with version {report.version}; {evidence}"
    elif state == "ok" and days > DAYS:
        state, evidence = "warn", f"{days} days old; {evidence}"
    remedy = "" if state == "ok" else remedy
    return Finding("network audit", state, evidence, remedy, requirements=REQUIREMENTS)
