"""Logging in and out, tokens and sessions: routes for the gateway and for the page.

Who asks is found out in app, on every request.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from anyio import Semaphore, to_thread
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from aitwin.errors import TwinError
from aitwin.server.callers import (
    LONGEST_LIFE,
    LONGEST_NAME,
    LONGEST_PASSPHRASE,
    Admission,
    Caller,
    NameTakenError,
    fit,
)
from aitwin.server.callers import Access as Access
from aitwin.server.problems import Problem, told
from aitwin.server.scopes import Scope

if TYPE_CHECKING:
    from aitwin.server.parts import Parts


# --- What is asked and answered -------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Shown(_Strict):
    """What a caller showed to the gateway, which never passes it on."""

    digest: Annotated[
        str,
        Field(
            pattern="^[0-9a-f]{64}$",
            description="SHA-256 of the token or of the session's secret, in hex.",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
            repr=False,
        ),
    ]


class CallerOut(BaseModel):
    """Somebody who may ask."""

    id: Annotated[str, Field(examples=["token:3f0c51f2a9b4"])]
    kind: Literal["token", "session", "machine"]
    name: Annotated[str, Field(examples=["editor"])]
    scope: Scope
    made_at: datetime
    expires_at: datetime | None
    """None: never."""
    used_at: datetime | None
    """To the minute; None: not yet."""
    opened: Annotated[str, Field(description='What opened a session: "link" or "passphrase".')]

    @classmethod
    def of(cls, caller: Caller) -> "CallerOut":
        """As it is answered."""
        return cls(**vars(caller))


class Login(_Strict):
    """A code from a login link, or the passphrase; one of the two."""

    code: Annotated[str | None, Field(max_length=100, repr=False)] = None
    passphrase: Annotated[str | None, Field(max_length=LONGEST_PASSPHRASE, repr=False)] = None
    device: Annotated[
        str,
        Field(
            max_length=LONGEST_NAME,
            description="How the list of sessions calls it.",
            examples=["Chrome on macOS"],
        ),
    ] = ""

    @model_validator(mode="after")
    def _one(self) -> "Login":
        if (self.code is None) == (self.passphrase is None):
            raise ValueError("give a code or a passphrase, one of the two")
        return self


class SessionOpened(BaseModel):
    """A browser that is signed in."""

    session: Annotated[str, Field(description="The secret for the cookie; told once.", repr=False)]
    id: Annotated[str, Field(examples=["session:8d21c0775e1a"])]
    kind: Literal["session"] = "session"
    name: str
    scope: Scope
    expires_at: datetime


class TokenWanted(_Strict):
    """A token for a program."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, examples=["editor"])]
    scope: Scope = "use"
    days: Annotated[int | None, Field(ge=1, le=LONGEST_LIFE, description="None: for ever.")] = None

    @field_validator("name")
    @classmethod
    def _fit(cls, name: str) -> str:
        try:
            return fit(name)
        except TwinError as error:
            raise ValueError(str(error)) from None


class TokenMade(BaseModel):
    """A token, and what the program is to show."""

    token: Annotated[str, Field(description="Told once; kept nowhere.", repr=False)]
    caller: CallerOut


class Tokens(BaseModel):
    """Those of programs."""

    tokens: list[CallerOut]


class Sessions(BaseModel):
    """Browsers that are signed in."""

    sessions: list[CallerOut]
    current: Annotated[str | None, Field(description="The id of the one that asks.")]
    passphrase: Annotated[bool, Field(description="Whether a passphrase opens the page, too.")]


# --- Routes ---------------------------------------------------------------------------------------


def router_of(parts: "Parts") -> APIRouter:
    """The routes below /access."""
    router = APIRouter(prefix="/access", tags=["access"])
    _add_doors(router, parts.access)
    _add_tokens(router, parts.access)
    _add_sessions(router, parts.access)
    return router


def _add_doors(router: APIRouter, access: Access) -> None:
    # A guess at the passphrase costs 64 MiB: guesses wait for each other, and hold no thread.
    guess = Semaphore(1)

    @router.post("/check", operation_id="checkCaller", responses=_not_known())
    def check(shown: Shown) -> CallerOut:
        """Tell whose secret has this digest. For the gateway."""
        if (caller := access.shown(shown.digest)) is None:
            raise Problem("unknown-caller", status=404)
        return CallerOut.of(caller)

    @router.post("/login", operation_id="logIn", responses=told("wrong-code"))
    async def login(wanted: Login) -> SessionOpened:
        """Open a session, for a code or the passphrase. For the gateway."""
        if wanted.code is not None:
            opened = await to_thread.run_sync(access.log_in_by_code, wanted.code, wanted.device)
        else:
            passphrase = wanted.passphrase or ""
            async with guess:
                opened = await to_thread.run_sync(
                    access.log_in_by_passphrase, passphrase, wanted.device
                )
        if opened is None:
            raise Problem("wrong-code")
        return _opened(opened)

    @router.post("/logout", operation_id="logOut", status_code=204)
    def logout(request: Request) -> None:
        """End the session that asks."""
        caller = _asking(request)
        if caller is not None and caller.kind == "session":
            access.revoke(caller.id)


def _add_tokens(router: APIRouter, access: Access) -> None:
    @router.get("/tokens", operation_id="listTokens")
    def tokens() -> Tokens:
        """List the programs' tokens, the oldest first."""
        return Tokens(tokens=[CallerOut.of(token) for token in access.tokens()])

    @router.post(
        "/tokens",
        operation_id="createToken",
        status_code=201,
        responses=told("exists", "invalid-request"),
    )
    def create(wanted: TokenWanted) -> TokenMade:
        """Make a token for a program."""
        try:
            made = access.add_token(wanted.name, wanted.scope, wanted.days)
        except NameTakenError as error:
            raise Problem("exists", str(error)) from None
        return TokenMade(token=made.secret, caller=CallerOut.of(made.caller))

    @router.delete(
        "/tokens/{id}", operation_id="revokeToken", status_code=204, responses=told("not-found")
    )
    def revoke(id: str) -> None:
        """End a token: the program is refused from now on."""
        _end(access, "token", id)


def _add_sessions(router: APIRouter, access: Access) -> None:
    @router.get("/sessions", operation_id="listSessions")
    def sessions(request: Request) -> Sessions:
        """List the browsers that are signed in, the oldest first."""
        caller = _asking(request)
        return Sessions(
            sessions=[CallerOut.of(session) for session in access.sessions()],
            current=caller.id if caller is not None and caller.kind == "session" else None,
            passphrase=access.has_passphrase(),
        )

    @router.delete(
        "/sessions/{id}", operation_id="endSession", status_code=204, responses=told("not-found")
    )
    def end(id: str) -> None:
        """Sign a browser out."""
        _end(access, "session", id)


def _not_known() -> dict[int | str, dict[str, Any]]:
    """That the gateway asks for nobody we know is an answer here, and no refusal: 404."""
    return {404: told("unknown-caller")[401]}


def _asking(request: Request) -> Caller | None:
    """Who asks; None for the owner's own machine, which is no caller of the gateway's."""
    return getattr(request.state, "caller", None)


def _opened(admission: Admission) -> SessionOpened:
    caller = admission.caller
    assert caller.expires_at is not None  # noqa: S101 - every session ends
    return SessionOpened(
        session=admission.secret,
        id=caller.id,
        name=caller.name,
        scope=caller.scope,
        expires_at=caller.expires_at,
    )


def _end(access: Access, kind: Literal["token", "session"], id: str) -> None:
    if not id.startswith(f"{kind}:") or not access.revoke(id):
        raise Problem("not-found", f"there is no {kind} with that id")
