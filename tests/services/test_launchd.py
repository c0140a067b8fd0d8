"""launchd, by what launchctl says: recorded, as there is no Mac here."""

import plistlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import launchd, units
from aitwin.services.commands import Done
from aitwin.services.launchd import Launchd
from aitwin.services.units import Choice
from tests.services.said import Said

RUNNING = """gui/501/org.aitwin.api = {
	active count = 1
	path = /Users/ana/Library/LaunchAgents/org.aitwin.api.plist
	type = LaunchAgent
	state = running

	program = /Users/ana/twin/.venv/bin/python
	stderr path = /Users/ana/.aitwin/logs/services/api.log
	domain = gui/501 [100005]
	minimum runtime = 1
	exit timeout = 35
	runs = 2
	pid = 17611
	immediate reason = semaphore
	last exit code = 1

	endpoints = {
		"org.aitwin.other" = {
			pid = 99
			last exit code = 7
		}
	}
}
"""
"""The lines that are read are those that Homebrew reads, by the same patterns
(Library/Homebrew/services/formula_wrapper.rb, `launchctl_print`); "(never exited)" and "Could not
find service" with 113 as others' tests have recorded them. The rest is launchctl's usual form."""
WAITING = """gui/501/org.aitwin.api = {
	active count = 0
	state = spawn scheduled
	runs = 7
	last exit code = (never exited)
	last terminating signal = Killed: 9
}
"""
ABSENT = Done(
    113, err='Bad request.\nCould not find service "org.aitwin.api" in domain for user gui: 501'
)


@pytest.fixture
def place(tmp_path) -> Home:
    return Home(tmp_path / "twin")


def unit(place: Home, name: str = "api") -> units.Unit:
    return units.find(units.table(place, Choice()), name)


def manager(place: Home, commands, **more) -> Launchd:
    return Launchd(place, commands, own=place.root.parent, user=501, **more)


class Scripted(Said):
    """Answers one command after the other, the last again and again."""

    def __init__(self, answers: dict[str, list[Done]]) -> None:
        super().__init__()
        self.lists = answers

    def run(self, command: Sequence[str], *, stdin: str | None = None, seconds: float = 0) -> Done:
        words = " ".join(command)
        self.asked.append(words)
        for beginning, answers in self.lists.items():
            if words.startswith(beginning):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return super().run(command, stdin=stdin, seconds=seconds)


def test_what_is_printed_of_a_service_is_read_and_nothing_nested():
    assert launchd.of_print(Done(0, RUNNING)) == launchd.Doing(True, 17611, "1")
    assert launchd.of_print(Done(0, WAITING)) == launchd.Doing(True, 0, "Killed: 9")
    assert launchd.of_print(ABSENT) == launchd.Doing(loaded=False)


def test_a_definition_has_no_secret_and_no_stdout_and_is_what_launchd_takes(place, monkeypatch):
    """O4: kept alive, with a short throttle; a login link on stdout would be kept in a log."""
    monkeypatch.setenv("TWIN_CREDENTIAL", "sesame")
    for one in units.table(place, Choice(port=9000)):
        text = manager(place, Said()).render(one)
        assert b"sesame" not in text
        keys = plistlib.loads(text)
        assert not launchd.faults(keys)
        assert keys["KeepAlive"] is keys["RunAtLoad"] is True
        assert keys["StandardOutPath"] == "/dev/null"
        assert keys["Umask"] == 0o077
        assert keys["ThrottleInterval"] < 10
        assert keys["ProgramArguments"][0].startswith("/")
        assert "9000" in keys["ProgramArguments"]
        assert keys["ExitTimeOut"] > one.drain


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Label": "a b"}, "Label"),
        ({"ProgramArguments": ["python", "-m"]}, "ProgramArguments"),
        ({"KeepAlive": 1}, "KeepAlive"),
        ({"ThrottleInterval": 0}, "ThrottleInterval"),
        ({"ExitTimeOut": True}, "ExitTimeOut"),
        ({"ProcessType": "Urgent"}, "ProcessType"),
        ({"StandardErrorPath": "log"}, "StandardErrorPath"),
        ({"EnvironmentVariables": {"A": 1}}, "EnvironmentVariables"),
        ({"Throttle": 5}, "Throttle"),
    ],
)
def test_a_definition_that_launchd_would_misread_is_found(place, change, told):
    keys = launchd.properties(unit(place)) | change
    assert told in " ".join(launchd.faults(keys))


def test_an_agent_is_written_for_its_owner_alone_and_loaded(place):
    commands = Scripted(
        {
            "launchctl print gui/501/": [ABSENT],
            "launchctl enable": [Done(0)],
            "launchctl bootstrap": [Done(0)],
            "plutil -lint": [Done(0)],
        }
    )
    service, keeper = unit(place), manager(place, commands)
    keeper.write(service)
    file = keeper.file("api")
    assert file.parent == place.root.parent / "Library" / "LaunchAgents"
    assert file.stat().st_mode & 0o077 == 0
    keeper.start(service)
    label = service.label
    assert commands.asked[-2:] == [
        f"launchctl enable gui/501/{label}",
        f"launchctl bootstrap gui/501 {file}",
    ]


def test_a_running_service_is_left_alone_and_a_waiting_one_is_kicked(place):
    commands = Said({"launchctl print": RUNNING})
    manager(place, commands).start(unit(place))
    assert len(commands.asked) == 1
    commands = Said({"launchctl print": WAITING, "launchctl kickstart": ""})
    manager(place, commands).start(unit(place))
    assert commands.asked[-1].startswith("launchctl kickstart gui/501/")


def test_loading_is_tried_again_while_launchd_lets_go_of_the_one_before(place, monkeypatch):
    """As in openclaw/openclaw issue 136453: error 5 right after bootout, a moment later none."""
    monkeypatch.setattr(launchd.time, "sleep", lambda seconds: None)
    busy = Done(5, err="Bootstrap failed: 5: Input/output error")
    commands = Scripted(
        {
            "launchctl print": [ABSENT],
            "launchctl enable": [Done(0)],
            "launchctl bootstrap": [busy, busy, Done(0)],
        }
    )
    manager(place, commands).start(unit(place))
    assert sum("bootstrap" in asked for asked in commands.asked) == 3


def test_what_launchd_refuses_for_good_is_told(place, monkeypatch):
    monkeypatch.setattr(launchd.time, "sleep", lambda seconds: None)
    commands = Scripted(
        {
            "launchctl print": [ABSENT],
            "launchctl enable": [Done(0)],
            "launchctl bootstrap": [Done(5, err="Bootstrap failed: 5: Input/output error")],
        }
    )
    with pytest.raises(TwinError, match="did not start the API: Bootstrap failed: 5"):
        manager(place, commands, patience=0.0).start(unit(place))


def test_stopping_waits_until_launchd_has_let_go(place, monkeypatch):
    """`bootout` says "Operation now in progress" (36) and returns before the service has ended."""
    monkeypatch.setattr(launchd.time, "sleep", lambda seconds: None)
    running = Done(0, RUNNING)
    commands = Scripted(
        {
            "launchctl print": [running, running, running, ABSENT],
            "launchctl bootout": [Done(36, err="Boot-out failed: 36: Operation now in progress")],
        }
    )
    manager(place, commands).stop("api", 1.0)
    assert len(commands.asked) == 5
    # Again: nothing is loaded, nothing is done.
    manager(place, commands).stop("api", 1.0)
    assert len(commands.asked) == 6


def test_without_a_login_at_the_screen_it_says_what_to_do(place):
    commands = Said({"launchctl print": Done(125, err="Domain does not support specified action")})
    with pytest.raises(TwinError, match="--at-boot"):
        manager(place, commands).require()
    with pytest.raises(TwinError, match="--with systemd"):
        manager(place, Said()).require()


def test_a_daemon_is_roots_file_and_runs_as_the_owner(place):
    """O1: it starts when nobody has logged in at the screen."""
    commands = Scripted({"sudo": [Done(0)], "launchctl print": [ABSENT], "plutil -lint": [Done(0)]})
    keeper = manager(place, commands, at_boot=True, name_of_user="ana")
    service = unit(place)
    keeper.write(service)
    installing = next(asked for asked in commands.asked if "install" in asked)
    own, file = map(Path, installing.split()[-2:])
    assert installing.startswith("sudo install -o root -g wheel -m 644 ")
    assert file.parent == Path("/Library/LaunchDaemons")
    assert not own.exists()
    assert plistlib.loads(keeper.render(service))["UserName"] == "ana"
    keeper.start(service)
    assert commands.asked[-1] == f"sudo launchctl bootstrap system {file}"


def test_two_homes_do_not_get_into_each_others_way(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert unit(Home(tmp_path / ".aitwin")).label == "org.aitwin.api"
    labels = {unit(Home(tmp_path / name)).label for name in ("one", "two")}
    assert len(labels) == 2
