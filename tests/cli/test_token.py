"""twin token, twin passphrase: who may ask, on the command line (O3)."""

import pytest

from aitwin.artifact import digest
from aitwin.home import Home
from aitwin.server import callers
from aitwin.server.callers import Access


@pytest.fixture
def access(home):
    store = Access.open(Home(home))
    yield store
    store.close()


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    monkeypatch.setattr(callers, "_COST", 1 << 4)


def test_a_token_is_printed_once_and_alone(twin, access, home):
    made = twin("token", "create", "editor")
    assert made.code == 0
    secret = made.out.rstrip("\n")
    assert secret.startswith("twin_")
    assert "\n" not in secret
    assert secret not in made.err
    assert "write and speak" in made.err
    assert access.shown(digest(secret)).name == "editor"
    for shown in (twin("token", "list"), twin("token", "list", "--json")):
        assert "editor" in shown.out
        assert secret not in shown.out + shown.err
    assert (home / "secrets" / "access.sqlite").stat().st_mode & 0o077 == 0


def test_a_token_is_written_for_the_owner_alone(twin, access, tmp_path):
    file = tmp_path / "editor.token"
    made = twin("token", "create", "editor", "--file", file)
    assert made.out == ""
    assert access.shown(digest(file.read_text().strip())).name == "editor"
    assert file.stat().st_mode & 0o077 == 0
    assert twin("token", "create", "x", "--file", file / "x").code == 2
    assert twin("token", "create", "x", "--file", file, "--json").code == 2
    assert [token.name for token in access.tokens()] == ["editor"]


def test_scope_and_life_are_the_owners_to_choose(twin, access):
    made = twin("token", "create", "other", "--scope", "owner", "--days", "3", "--json").json
    caller = access.shown(digest(made["token"]))
    assert caller.scope == "owner"
    assert (caller.expires_at - caller.made_at).days == 3
    listed = twin("token", "list", "--json").json
    assert [(one["name"], one["scope"]) for one in listed] == [("other", "owner")]


def test_what_cannot_be_made_is_told(twin):
    twin("token", "create", "editor")
    twin("token", "create", "editor").refused("already", "twin token revoke")
    twin("token", "create", " ").refused("name")
    assert twin("token", "create", "x", "--days", "0").code == 2
    assert twin("token", "create", "x", "--scope", "all").code == 2


def test_an_id_is_shown_whole_on_a_narrow_terminal(twin, access, monkeypatch):
    """It is what `revoke` wants."""
    session = access.log_in_by_code(access.add_code(), "Chrome on Linux").caller
    monkeypatch.setenv("COLUMNS", "80")
    assert session.id in twin("token", "list").out


def test_looking_makes_nothing(twin, home):
    assert twin("token", "list", "--json").json == []
    assert not home.exists()


def test_a_token_is_revoked_by_name_and_a_session_by_id(twin, access):
    secret = twin("token", "create", "editor").out.strip()
    session = access.log_in_by_code(access.add_code(), "Firefox on Linux").caller
    assert "Firefox on Linux" in twin("token", "list").out
    assert twin("token", "revoke", "editor").code == 0
    assert access.shown(digest(secret)) is None
    assert twin("token", "revoke", session.id).code == 0
    assert access.caller(session.id) is None
    twin("token", "revoke", "editor").refused("no token or session", "twin token list")


def test_a_passphrase_is_set_and_removed(twin, access, tmp_path):
    file = tmp_path / "passphrase.txt"
    file.write_text("four wet dogs in a van\n")
    first = twin("passphrase", "--passphrase-file", file)
    assert first.code == 0
    assert "no browsers were signed out" in first.err
    assert access.log_in_by_passphrase("four wet dogs in a van")
    removed = twin("passphrase", "--remove")
    assert "1 browser was signed out" in removed.err
    assert access.log_in_by_passphrase("four wet dogs in a van") is None
    twin("passphrase", "--remove").refused("no passphrase is set")


def test_a_passphrase_that_will_not_do_is_not_repeated(twin, access, tmp_path):
    file = tmp_path / "passphrase.txt"
    file.write_text("zuccanary\n")
    twin("passphrase", "--passphrase-file", file).refused("12 to 1024 characters")
    assert not access.has_passphrase()
    assert twin("passphrase").code == 2  # nobody is here to ask
    assert twin("passphrase", "--remove", "--passphrase-file", file).code == 2
