"""The audit of the network: it can fail, it says why, and it is told in doctor and state (P1, C2).

One run over the whole chain is real; what reports come to is tried on traces.
"""

import json
import platform
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aitwin.cli.audit import _sample
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.server import state as states
from aitwin.services import audit, canary, sandbox
from aitwin.services.audit import Equipment
from aitwin.services.chain import PROOF, Step
from aitwin.services.commands import System
from aitwin.services.traces import Attempt
from tests.pages import browser as browsers
from tests.services.said import Said

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
BROWSER = Path("/usr/bin/chromium")
FULL = Equipment(Said(), "Linux", strace=True, browser=BROWSER)
STEPS = (Step(PROOF, True, 0.1), Step("import", True, 1.0), Step("training", True, 9.0))
SEEN = tuple(
    Attempt(watcher, canary.__name__, "connect", "192.0.2.1:443", "outside")
    for watcher in ("strace", "python")
)
WITHIN = Attempt("strace", "twin write", "connect", "127.0.0.1:8787", "loopback")


def report(steps=STEPS, attempts=(*SEEN, WITHIN), equipment=FULL, at=NOW):
    return audit.judge(steps, attempts, equipment, at, 10.0)


def test_nothing_outside_is_well_and_says_what_was_run():
    found = report()
    assert found.state == "ok"
    assert found.evidence == "import, training: 1 connections, none but within this machine"
    # The canary's own tries are the proof, and no finding.
    assert [one.program for one in found.destinations] == ["twin write"]


def test_one_try_to_leave_is_bad_whoever_makes_it_and_is_named():
    tried = Attempt("strace", "deno", "connect", "192.0.2.7:443", "outside")
    found = report(attempts=(*SEEN, WITHIN, tried))
    assert (found.state, found.evidence) == (
        "bad",
        "tried to leave this machine: deno → 192.0.2.7:443",
    )


def test_what_a_browser_does_by_itself_is_told_and_is_not_the_twins():
    own = Attempt("browser", "browser itself", "request", "https://x.example", "browser")
    found = report(attempts=(*SEEN, WITHIN, own))
    assert found.state == "ok"
    assert "https://x.example" in {one.destination for one in found.destinations}


def test_a_watcher_that_does_not_see_the_canary_proves_nothing():
    found = report(attempts=(SEEN[1], WITHIN))
    assert found.state == "unknown"
    assert "strace" in found.evidence
    assert report(attempts=()).state == "unknown"


def test_an_open_way_out_is_bad():
    found = report(steps=(Step(PROOF, False, 3.0), *STEPS[1:]))
    assert (found.state, "a way out was open" in found.evidence) == ("bad", True)


def test_a_step_that_wants_the_network_to_work_is_bad():
    found = report(steps=(STEPS[0], Step("training", False, 1.0, "no connection")))
    assert (found.state, found.evidence) == ("bad", "does not work without a network: training")


def test_less_equipment_is_said():
    found = report(attempts=(SEEN[1],), equipment=replace(FULL, strace=False, browser=None))
    assert found.state == "warn"
    assert "strace is not installed; no Chromium" in found.evidence


def test_the_newest_report_is_told_by_doctor_and_state_and_old_ones_go(home):
    place = Home(home)
    assert audit.finding(place).evidence == "never made"
    assert states._audited(place) is None
    for hour in range(audit.KEPT + 3):
        audit.keep(place, report(at=datetime.now(UTC) - timedelta(hours=hour)))
    assert len(list(place.audits.iterdir())) == audit.KEPT
    newest = audit.last(place)
    assert newest is not None
    assert newest.at == max(json.loads(one.read_text())["at"] for one in place.audits.iterdir())
    assert audit.finding(place).state == "ok"
    told = states._audited(place)
    assert told is not None
    assert (told.state, told.evidence) == ("ok", newest.evidence)
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.rglob("*"))


def test_an_old_report_or_one_of_another_version_says_little(home):
    place = Home(home)
    audit.keep(place, report(at=datetime.now(UTC) - timedelta(days=audit.DAYS + 1)))
    assert audit.finding(place).state == "warn"
    audit.keep(place, replace(report(at=datetime.now(UTC)), version="0.0.1"))
    found = audit.finding(place)
    assert (found.state, found.evidence.startswith("made with version 0.0.1")) == ("warn", True)


def test_a_damaged_report_is_passed_over(home):
    place = Home(home)
    audit.keep(place, report())
    (place.audits / "9999.json").write_text("{half")
    assert audit.last(place) is not None
    assert states._audited(place) is not None


def test_without_the_samples_model_it_says_what_to_pull(home):
    with pytest.raises(TwinError, match="twin models pull smollm2"):
        audit.run(Home(home), _sample(0.1), FULL, lambda step: None)


@pytest.mark.model
def test_the_whole_chain_asks_for_nothing_but_this_machine(home, smollm2):
    """P1, C2, W4: import, dataset, training, writing, speaking, the four routes and every room."""
    if why := sandbox.lacking(platform.system(), System()):
        pytest.skip(why)
    place = Home(home).open()
    place.models.symlink_to(smollm2.parents[1], target_is_directory=True)
    program = browsers.find()
    # One that `make test` fetched wants libraries that only the tests know of.
    usable = program if program and shutil.which(program.name) else None
    equipment = Equipment.found(usable, page=usable is not None)
    steps: list[Step] = []
    found = audit.run(place, _sample(0.1), equipment, steps.append)
    assert [step.told for step in steps if not step.ok] == []
    assert found.outside == ()
    assert found.state == ("ok" if equipment.strace and usable else "warn"), found.evidence
    ran = {step.name for step in steps}
    assert ran >= {PROOF, "import", "dataset", "training", "writing", "speaking", "serve", "API"}
    assert ("page" in ran) == (usable is not None)
    programs = {one.program for one in found.destinations}
    assert "aitwin.server" in programs
    # The gateway is no Python: only strace sees it.
    assert ("deno" in programs) == equipment.strace
