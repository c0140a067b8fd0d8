"""How strong what opens the twin is (P2)."""

from datetime import UTC, datetime, timedelta

from aitwin.services import keys
from aitwin.services.keys import Key

NOW = datetime(2026, 11, 29, tzinfo=UTC)
OLD = NOW - timedelta(days=91)


def found(*given: Key, passphrase: bool = False) -> list[tuple[str, str]]:
    seen = keys.findings(given, passphrase=passphrase, now=NOW)
    assert all(bool(one.remedy) == (one.state == "warn") for one in seen)
    return [(one.state, one.evidence) for one in seen]


def test_nothing_and_what_is_in_use_are_fine() -> None:
    assert [state for state, _ in found()] == ["ok", "ok"]
    editor = Key("editor", owner=False, expires=False, made=OLD, used=NOW)
    assert [state for state, _ in found(editor, passphrase=True)] == ["ok", "ok"]


def test_one_that_opens_all_for_ever_and_one_that_nobody_misses_are_named() -> None:
    (state, told), _ = found(Key("mine", owner=True, expires=False, made=NOW, used=NOW))
    assert (state, "“mine” opens all" in told) == ("warn", True)
    assert found(Key("mine", owner=True, expires=True, made=NOW, used=NOW))[0][0] == "ok"
    for used in (None, OLD):
        (state, told), _ = found(Key("old", owner=False, expires=False, made=OLD, used=used))
        assert (state, "“old” was not used" in told) == ("warn", True)
    assert found(Key("new", owner=False, expires=False, made=NOW, used=None))[0][0] == "ok"
