"""Who may ask: tokens, sessions, codes and the passphrase, in the store and over HTTP (O3, P2)."""

import json
import sqlite3
import stat
import subprocess
import sys
import threading
from hashlib import sha256

import httpx2 as httpx
import pytest

from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.server import callers
from aitwin.server.callers import Access
from tests.server.served import HEADERS, asking

PHRASE = "four wet dogs in a van"


class Clock:
    def __init__(self):
        self.time = 1_800_000_000.0

    def __call__(self):
        return self.time

    def pass_(self, span):
        self.time += span.total_seconds()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def access(home, clock):
    store = Access(Home(home).access_file, now=clock)
    yield store
    store.close()


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """A guess at the passphrase of a test need not cost 64 MiB."""
    monkeypatch.setattr(callers, "_COST", 1 << 4)


def digest(secret):
    return sha256(secret.encode()).hexdigest()


def refused(answer, status, kind):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:aitwin:problem:{kind}"


# --- The store ------------------------------------------------------------------------------------


def test_a_token_is_known_by_its_digest_until_it_is_revoked(access):
    made = access.add_token("editor")
    assert access.shown(digest(made.secret)).id == made.caller.id
    assert access.caller(made.caller.id).id == made.caller.id
    assert access.shown(digest(made.secret)).name == "editor"
    assert access.shown(digest(made.secret)).scope == "use"
    assert access.shown(digest(made.secret + "x")) is None
    assert access.revoke(made.caller.id)
    assert access.shown(digest(made.secret)) is None
    assert access.caller(made.caller.id) is None
    assert not access.revoke(made.caller.id)


def test_no_secret_is_in_the_files_that_only_the_owner_reads(access, home):
    """P1, O3: whoever reads the file cannot come in with it."""
    access.set_passphrase(PHRASE)
    code = access.add_code()
    secrets = [
        access.add_token("editor").secret,
        access.log_in_by_passphrase(PHRASE).secret,
        code,
        PHRASE,
    ]
    files = list((home / "secrets").iterdir())
    assert len(files) == 3  # with WAL's two
    kept = b"".join(file.read_bytes() for file in files)
    assert [secret for secret in secrets if secret.encode() in kept] == []
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((home / "secrets").stat().st_mode) == 0o700


def test_secrets_are_not_shown_by_what_holds_them(access):
    made = access.add_token("editor")
    assert made.secret not in repr(made)


def test_another_process_revokes_at_once(access):
    """As `twin token revoke` does while the server runs."""
    made = access.add_token("editor")
    assert access.caller(made.caller.id)
    program = (
        "import sys; from pathlib import Path; from aitwin.server.callers import Access;"
        "assert Access(Path(sys.argv[1])).revoke(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", program, access.path, made.caller.id], check=True)
    assert access.caller(made.caller.id) is None


def test_a_file_that_was_purged_lets_nobody_in(access):
    """`twin purge` while it runs: what was deleted does not go on in memory."""
    made = access.add_token("editor")
    assert access.caller(made.caller.id)
    for file in access.path.parent.iterdir():
        file.unlink()
    assert access.caller(made.caller.id) is None
    anew = access.add_token("editor")
    assert access.caller(anew.caller.id)
    assert access.caller(made.caller.id) is None


def test_a_token_with_days_expires(access, clock):
    made = access.add_token("editor", days=2)
    clock.pass_(callers.timedelta(days=2, seconds=-1))
    assert access.caller(made.caller.id)
    clock.pass_(callers.timedelta(seconds=1))
    assert access.caller(made.caller.id) is None
    assert access.shown(digest(made.secret)) is None
    assert access.tokens() == []
    access.add_token("editor")  # its name is free again


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb", "a\x1b[31m"])
def test_a_name_that_is_none_is_refused(access, name):
    with pytest.raises(TwinError, match="name"):
        access.add_token(name)


def test_a_name_is_used_once(access):
    access.add_token("editor")
    with pytest.raises(callers.NameTakenError, match="twin token revoke"):
        access.add_token(" editor ")


@pytest.mark.parametrize("days", [0, 3651])
def test_a_life_that_is_none_is_refused(access, days):
    with pytest.raises(TwinError, match="days"):
        access.add_token("editor", days=days)


def test_a_code_opens_one_session(access, clock):
    code = access.add_code()
    opened = access.log_in_by_code(code, "Chrome on macOS")
    assert opened.caller.name == "Chrome on macOS"
    assert opened.caller.scope == "owner"
    assert access.shown(digest(opened.secret)).id == opened.caller.id
    assert access.log_in_by_code(code) is None
    clock.pass_(callers.SESSION)
    assert access.caller(opened.caller.id) is None


def test_of_many_who_show_a_code_at_once_one_comes_in(access):
    code, opened = access.add_code(), []
    threads = [
        threading.Thread(target=lambda: opened.append(access.log_in_by_code(code)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 8
    assert sum(one is not None for one in opened) == 1


def test_a_code_expires(access, clock):
    code = access.add_code()
    clock.pass_(callers.CODE)
    assert access.log_in_by_code(code) is None


def test_the_passphrase_opens_sessions_however_it_is_typed(access):
    access.set_passphrase("Füße über dem Fluss")
    assert access.log_in_by_passphrase("Fu\u0308ße u\u0308ber dem Fluss ")
    assert access.log_in_by_passphrase("Füße über dem Flus") is None


def test_without_a_passphrase_none_opens(access):
    assert not access.has_passphrase()
    assert access.log_in_by_passphrase("") is None
    access.set_passphrase(PHRASE)
    assert access.has_passphrase()
    assert access.log_in_by_passphrase("") is None


@pytest.mark.parametrize("phrase", ["short", " " * 20, "x" * 1025])
def test_a_passphrase_that_is_none_is_refused(access, phrase):
    with pytest.raises(TwinError, match="12 to 1024 characters"):
        access.set_passphrase(phrase)
    assert not access.has_passphrase()


def test_another_passphrase_ends_the_sessions_of_the_first(access):
    access.set_passphrase(PHRASE)
    first = access.log_in_by_passphrase(PHRASE)
    link = access.log_in_by_code(access.add_code())
    assert access.set_passphrase("nine dry cats on a mat") == 1
    assert access.caller(first.caller.id) is None
    assert access.caller(link.caller.id)
    assert access.log_in_by_passphrase(PHRASE) is None
    second = access.log_in_by_passphrase("nine dry cats on a mat")
    assert access.remove_passphrase() == 1
    assert access.caller(second.caller.id) is None
    assert access.remove_passphrase() is None


def test_a_passphrase_costs_what_it_is_said_to(monkeypatch):
    """64 MiB a guess: the numbers that the documentation states."""
    monkeypatch.undo()
    assert 128 * callers._COST * callers._BLOCK == 64 << 20


def test_a_damaged_file_is_told(access):
    access.add_token("editor")
    access.close()
    for file in access.path.parent.iterdir():
        file.unlink()
    access.path.write_bytes(b"no database at all, and long enough to be looked at" * 100)
    with pytest.raises(TwinError, match=r"access\.sqlite is damaged; move it away"):
        access.tokens()


def test_a_file_of_another_release_is_left_alone(access):
    access.add_token("editor")
    with sqlite3.connect(access.path) as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(TwinError, match="another release"):
        access.add_token("other")


# --- Over HTTP ------------------------------------------------------------------------------------


def as_(caller):
    return {"X-Twin-Caller": caller["id"] if isinstance(caller, dict) else caller.id}


def test_the_gateway_asks_who_shows_a_digest(http, parts):
    made = parts.access.add_token("editor", days=3)
    told = http.post("/access/check", json={"digest": digest(made.secret)})
    assert told.status_code == 200
    body = told.json()
    assert body["id"] == made.caller.id
    assert (body["kind"], body["name"], body["scope"]) == ("token", "editor", "use")
    assert body["expires_at"].startswith(f"{made.caller.expires_at:%Y-%m-%dT%H:%M}")
    refused(http.post("/access/check", json={"digest": digest("x")}), 404, "unknown-caller")
    for bad in ("", "x" * 64, digest("x").upper(), digest("x") + "0"):
        answer = http.post("/access/check", json={"digest": bad})
        refused(answer, 422, "invalid-request")
        assert not bad or bad not in answer.text


def test_whoever_may_come_in_does_so_while_nothing_can_be_written(access):
    made = access.add_token("editor")
    with sqlite3.connect(access.path, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        assert access.shown(digest(made.secret)).id == made.caller.id
        assert access.caller(made.caller.id).used_at is None
        db.execute("ROLLBACK")
    db.close()


def test_a_use_is_noted(http, parts):
    made = parts.access.add_token("editor")
    assert parts.access.tokens()[0].used_at is None
    http.post("/access/check", json={"digest": digest(made.secret)})
    assert (noted := parts.access.tokens()[0].used_at) >= made.caller.made_at
    http.post("/access/check", json={"digest": digest(made.secret)})
    assert parts.access.tokens()[0].used_at == noted  # once in a minute is enough


def test_without_the_credential_nobody_is_asked(parts):
    with asking(parts) as http:
        for method, path in (
            ("POST", "check"), ("POST", "login"), ("POST", "logout"), ("GET", "tokens"),
            ("POST", "tokens"), ("DELETE", "tokens/x"), ("GET", "sessions"),
            ("DELETE", "sessions/x"),
        ):  # fmt: skip
            answer = httpx.request(method, f"{http.base_url}/access/{path}", json={})
            refused(answer, 401, "no-credential")


def test_a_revoked_caller_is_refused_at_once(http, parts):
    """O3: the gateway may still think that it knows the token."""
    made = parts.access.add_token("editor")
    assert http.get("/v1/models", headers=as_(made.caller)).status_code == 200
    http.delete(f"/access/tokens/{made.caller.id}")
    refused(http.get("/v1/models", headers=as_(made.caller)), 401, "unknown-caller")
    refused(http.get("/v1/models", headers={"X-Twin-Caller": ""}), 401, "unknown-caller")


def test_a_token_for_use_does_not_do_what_is_the_owners(http, parts):
    use = parts.access.add_token("editor").caller
    owner = parts.access.add_token("other", scope="owner").caller
    for path in ("/access/tokens", "/access/sessions"):
        refused(http.get(path, headers=as_(use)), 403, "not-allowed")
        assert http.get(path, headers=as_(owner)).status_code == 200
    refused(http.post("/access/tokens", json={"name": "n"}, headers=as_(use)), 403, "not-allowed")


def test_a_session_is_opened_by_a_code_listed_and_ended(http, parts):
    code = parts.access.add_code()
    answer = http.post("/access/login", json={"code": code, "device": "Chrome\u200b on macOS"})
    assert answer.status_code == 200
    session = answer.json()
    assert (session["kind"], session["name"]) == ("session", "Chrome on macOS")
    known = http.post("/access/check", json={"digest": digest(session["session"])}).json()
    assert known["id"] == session["id"]
    assert known["scope"] == "owner"
    listed = http.get("/access/sessions", headers=as_(session)).json()
    assert [one["id"] for one in listed["sessions"]] == [session["id"]] == [listed["current"]]
    assert listed["passphrase"] is False
    assert session["session"] not in str(listed)
    refused(http.post("/access/login", json={"code": code}), 401, "wrong-code")
    assert http.post("/access/logout", headers=as_(session)).status_code == 204
    refused(http.get("/access/sessions", headers=as_(session)), 401, "unknown-caller")


def test_a_session_is_opened_by_the_passphrase(http, parts):
    wrong = http.post("/access/login", json={"passphrase": PHRASE})
    refused(wrong, 401, "wrong-code")
    parts.access.set_passphrase(PHRASE)
    answer = http.post("/access/login", json={"passphrase": PHRASE})
    assert answer.json()["expires_at"]
    listed = http.get("/access/sessions").json()
    assert listed["passphrase"] is True
    assert listed["current"] is None
    assert listed["sessions"][0]["opened"] == "passphrase"


@pytest.mark.parametrize("field", ["code", "passphrase", "device", "name"])
def test_half_a_character_is_a_problem_and_no_bug(http, field):
    body = {"code": "x"} if field == "device" else {}
    path = "tokens" if field == "name" else "login"
    answer = http.post(
        f"/access/{path}",
        content=json.dumps(body | {field: "\ud800"}),
        headers={"Content-Type": "application/json"},
    )
    refused(answer, 422, "invalid-request")


@pytest.mark.parametrize("id", ["%ED%A0%80", "%00", "token:%00", "token:' OR 1=1 --", "x" * 5000])
def test_an_id_that_is_none_is_not_found(http, parts, id):
    parts.access.add_token("editor")
    refused(http.delete(f"/access/tokens/{id}"), 404, "not-found")
    assert len(parts.access.tokens()) == 1


@pytest.mark.parametrize(
    "body", [{}, {"code": PHRASE, "passphrase": PHRASE}, {"code": 7}, {"code": PHRASE, PHRASE: 1}]
)
def test_a_login_that_is_none_is_not_repeated(http, body):
    answer = http.post("/access/login", json=body)
    refused(answer, 422, "invalid-request")
    assert PHRASE not in answer.text


def test_tokens_are_made_listed_and_revoked_over_http(http, parts):
    answer = http.post("/access/tokens", json={"name": "editor", "scope": "owner", "days": 7})
    assert answer.status_code == 201
    made = answer.json()
    assert parts.access.shown(digest(made["token"])).scope == "owner"
    listed = http.get("/access/tokens").json()["tokens"]
    assert [token["name"] for token in listed] == ["editor"]
    assert made["token"] not in str(listed)
    refused(http.post("/access/tokens", json={"name": "editor"}), 409, "exists")
    for wrong in ({"name": " "}, {"name": "a\nb"}, {"name": "n", "days": 0}, {"name": "n", "x": 1}):
        refused(http.post("/access/tokens", json=wrong), 422, "invalid-request")
    id = made["caller"]["id"]
    refused(http.delete(f"/access/sessions/{id}"), 404, "not-found")
    assert http.delete(f"/access/tokens/{id}").status_code == 204
    refused(http.delete(f"/access/tokens/{id}"), 404, "not-found")


def test_the_owners_own_machine_may_all_and_is_no_caller(http):
    assert HEADERS["X-Twin-Caller"] == "machine"
    assert http.get("/access/tokens").status_code == 200
    assert http.post("/access/logout").status_code == 204


def test_whoever_says_not_who_asks_is_nobody(http):
    """Not the owner: a slip in the gateway must not give everybody the owner's rights."""
    del http.headers["X-Twin-Caller"]
    for path in ("/access/tokens", "/v1/models", "/state"):
        refused(http.get(path), 401, "no-credential")
    refused(http.post("/access/check", json={"digest": digest("x")}), 401, "no-credential")
    assert http.get("/health").status_code == 200


def test_the_gateway_itself_asks_who_somebody_is_and_nothing_else(http, parts):
    http.headers["X-Twin-Caller"] = "gateway"
    refused(http.post("/access/check", json={"digest": digest("x")}), 404, "unknown-caller")
    code = parts.access.add_code()
    assert http.post("/access/login", json={"code": code}).status_code == 200
    for path in ("/access/tokens", "/v1/models", "/state"):
        refused(http.get(path), 403, "not-allowed")
