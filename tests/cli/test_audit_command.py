"""twin audit: what it says before there was one; see tests/services/test_audit.py, too."""

from pathlib import Path

from tests.cli.conftest import Twin


def test_before_the_first_audit_there_is_nothing_to_show_again(twin: Twin, home: Path) -> None:
    twin("audit", "network", "--last").refused("no audit was made yet", "twin audit network")
    assert not (home / "logs").exists()


def test_times_that_train_nothing_are_refused(twin: Twin, home: Path) -> None:
    assert twin("audit", "network", "--minutes", "0").code == 2
