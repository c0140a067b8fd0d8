"""What every request passes before anything of it is read: the credential, form and size.

FastAPI reads a body before it asks who sent it.
"""

import hmac
import re
from collections.abc import Callable

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aitwin.server.problems import ClientGoneError, Problem
from aitwin.server.shapes import LARGEST

OPEN = "/health"
"""What is told to everyone."""


class Entrance:
    """ASGI middleware. Refuses with a problem document, and reads nothing of what it refuses."""

    def __init__(self, app: ASGIApp, credential: str, uploads: re.Pattern[str]) -> None:
        """`uploads` are paths whose routes bound their bodies themselves."""
        self._app = app
        self._expected = credential.encode()
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = _in_origin_form(scope)
        headers = Headers(scope=scope)
        try:
            if scope["path"] != OPEN:
                self._require_credential(headers)
            if not self._uploads.fullmatch(scope["path"]):
                _require_json(headers)
                receive = _bounded(receive)
        except Problem as problem:
            await problem.answer()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _require_credential(self, headers: Headers) -> None:
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._expected):
            raise Problem("no-credential")


class Revoking:
    """ASGI middleware: what is being sent to somebody ends when he may no longer ask.

    Whoever may ask is looked up once per request; a stream may go on for hours.
    """

    def __init__(self, app: ASGIApp, may_ask: Callable[[str], bool]) -> None:
        """`may_ask` is told the id of the caller that the route has found (`state.caller`)."""
        self._app = app
        self._may_ask = may_ask

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def checked(message: Message) -> None:
            caller = state.get("caller")
            # Some microseconds. A whole answer is one message, without more to come.
            if (
                caller is not None
                and message["type"] == "http.response.body"
                and message.get("more_body", False)
                and not self._may_ask(caller.id)
            ):
                # Cut off without its end: there is no status to tell it by any more.
                raise ClientGoneError
            await send(message)

        await self._app(scope, receive, checked)


def _in_origin_form(scope: Scope) -> Scope:
    """The path alone: over a Unix socket Deno asks for the whole URL, as it would of a proxy.

    Every server has to take that (RFC 9112, 3.2.2); uvicorn's parser in Python does not.
    """
    begin = f"{scope['scheme']}://"
    if not scope["path"].startswith(begin):
        return scope
    path = "/" + scope["path"].removeprefix(begin).partition("/")[2]
    raw = b"/" + scope["raw_path"].removeprefix(begin.encode()).partition(b"/")[2]
    return {**scope, "path": path, "raw_path": raw}


def _require_json(headers: Headers) -> None:
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > LARGEST:
        raise Problem("too-large", f"the body is larger than {LARGEST // 1024} KiB; send less")
    if length == "0" and "transfer-encoding" not in headers:
        return
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem("unsupported-media-type", "send JSON, as application/json")


def _bounded(receive: Receive) -> Receive:
    """For bodies that come without saying how long they are."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST:
            # Of this class, or FastAPI takes it for a body that cannot be read.
            raise HTTPException(413)
        return message

    return bounded
