"""What a service manager starts, before it becomes the service."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.services import running, serving, tunnel, units
from aitwin.services.supervisor import Pace
from aitwin.services.units import Choice, Start


@pytest.fixture
def place(tmp_path) -> Home:
    return Home(tmp_path / "twin").open()


def unit(place: Home, name: str, choice: Choice | None = None) -> units.Unit:
    return units.find(units.table(place, choice or Choice()), name)


def test_who_dies_again_and_again_is_started_ever_later(place):
    service, pace = unit(place, "api"), Pace(again=0.5, longest=4.0, proven=60.0)
    clock = [1_000_000.0]

    def pause(after: float) -> float:
        clock[0] += after
        return running.pause(service, pace, lambda: clock[0])

    assert [pause(1.0) for _ in range(8)] == [0, 0, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    # It has run well for long; a clock that is set back says nothing.
    assert pause(61.0) == 0
    assert [pause(1.0), pause(1.0)] == [0, 0.5]
    assert pause(-3600.0) == 0
    pause(1.0)
    running.forget(place, credential=False)
    assert [pause(1.0), pause(1.0)] == [0, 0]


def test_a_damaged_record_keeps_nothing_from_starting(place):
    service = unit(place, "api")
    running.pause(service)
    for file in (place.run / "services").glob("*.json"):
        file.write_text("{")
    assert running.pause(service) == 0


def test_the_credential_stays_for_as_long_as_the_stack_runs(place):
    """An API that is started again is still known to its gateway; both files are the owner's."""
    first = running._made(place)
    assert running._made(place) == first == running._known(place)
    running.forget(place, credential=False)
    assert running._known(place) == first
    file = place.run / "services" / "credential"
    assert file.stat().st_mode & 0o077 == 0
    running.forget(place, credential=True)
    with pytest.raises(TwinError, match="none of the services"):
        running._known(place)


def test_a_service_waits_for_what_it_comes_after_and_says_for_what(place):
    with pytest.raises(TwinError, match="the gateway waits for the API, which has not answered"):
        running._await(unit(place, "gateway"), 0.0)


def test_serving_by_hand_keeps_the_services_out(place):
    with serving.alone(place), pytest.raises(TwinError, match="served already"):
        running._claim(unit(place, "api"))


def test_the_table_has_what_this_home_needs(place):
    assert [one.name for one in units.table(place, Choice())] == ["api", "gateway", "keeper"]
    alone = units.table(place, Choice(with_gateway=False))
    assert [one.name for one in alone] == ["api", "keeper"]
    place.settings_file.write_text('[owner]\nname = "Ana"\n[writer]\nengine = "ollama"\n')
    config = tunnel.config_file(place)
    config.parent.mkdir(parents=True)
    config.touch()
    table = units.table(place, Choice())
    assert [one.name for one in table] == ["ollama", "api", "gateway", "tunnel", "keeper"]
    # Nothing comes after what starts later.
    for index, one in enumerate(table):
        assert set(one.after) <= {before.name for before in table[:index]}
    assert unit(place, "api").after == ("ollama",)


@pytest.mark.parametrize(
    ("status", "well"), [(200, True), (303, True), (400, False), (500, False), (503, False)]
)
def test_a_gateway_that_answers_with_errors_alone_is_not_well(place, status, well):
    """As one does whose build was replaced while it ran: it speaks HTTP, and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        choice = Choice(port=server.server_port)
        assert unit(place, "gateway", choice).healthy() is well
        thread.join()


def test_a_broken_twin_toml_keeps_the_page_from_nothing(place):
    place.settings_file.write_text("[owner\n")
    assert [one.name for one in units.table(place, Choice())] == ["api", "gateway", "keeper"]


def test_no_definition_holds_a_secret(place, monkeypatch):
    monkeypatch.setenv("TWIN_CREDENTIAL", "sesame")
    monkeypatch.setenv("API_KEY", "sesame")
    for one in units.table(place, Choice()):
        assert "sesame" not in " ".join((*one.program, *one.environment.values()))


def test_ollama_listens_on_loopback_and_stays_off_the_cloud(place, monkeypatch):
    """O3, W4."""
    text = '[owner]\nname = "Ana"\n[writer]\nengine = "ollama"\n'
    place.settings_file.write_text(text)
    monkeypatch.setattr(units.commands, "find", lambda program: Path("/opt/homebrew/bin") / program)
    monkeypatch.setenv("OLLAMA_HOST", "0.0.0.0")  # noqa: S104 - what must not come through
    launch = unit(place, "ollama").launch(Start())
    assert launch.command == ("/opt/homebrew/bin/ollama", "serve")
    wanted = {"OLLAMA_HOST": "127.0.0.1:11434", "OLLAMA_NO_CLOUD": "1"}
    assert {name: launch.environment[name] for name in wanted} == wanted
    monkeypatch.setattr(units.ollama.Ollama, "version", lambda asked: (0, 35, 0))
    with pytest.raises(TwinError, match="runs already"):
        unit(place, "ollama").launch(Start())
    place.settings_file.write_text(text + 'url = "http://127.0.0.1:9999"\n')
    with pytest.raises(TwinError, match=r"writer\.url"):
        unit(place, "ollama").launch(Start())


def test_a_service_does_not_end_with_its_input(place):
    """Its manager gives it none; as a child of `twin serve` it is to end with that."""
    start = Start("c" * 43)
    assert "--end-with-stdin" not in unit(place, "api").launch(start).command
    leashed = Start("c" * 43, leashed=True)
    assert "--end-with-stdin" in unit(place, "api").launch(leashed).command
    assert "c" * 43 not in repr(start)
