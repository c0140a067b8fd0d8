"""The application: who may ask, and which routes there are. Does not load models."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.middleware.trustedhost import TrustedHostMiddleware

from aitwin import __version__
from aitwin.server import (
    access,
    adapters,
    data,
    examination,
    jobs,
    problems,
    references,
    saying,
    scopes,
    speaking,
    state,
    training,
    uploads,
    voices,
    writing,
)
from aitwin.server.entrance import Entrance, Revoking
from aitwin.server.listening import LOOPBACK, UNIX_HOST
from aitwin.server.problems import Problem
from aitwin.server.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aitwin.server.parts import Parts

CALLER = "x-twin-caller"
"""Header with the id of whoever asks the gateway, or one of these two names."""
MACHINE = "machine"
"""The owner's own machine asks, without the gateway: it may all."""
GATEWAY = "gateway"
"""The gateway asks for itself: who somebody is, and whether he may come in."""
GATEWAYS_OWN = frozenset({"/access/check", "/access/login"})
"""All that it may ask."""
UPLOADS = re.compile(r"/voices/uploads|/voices/[^/]+/consent|/corpus/uploads|/speech|/say")
"""Paths of routes that read their bodies piece by piece themselves, and bound them."""
ROUTERS: "tuple[Callable[[Parts], APIRouter], ...]" = (
    writing.router_of,
    speaking.router_of,
    saying.router_of,
    state.router_of,
    examination.router_of,
    voices.router_of,
    uploads.router_of,
    references.router_of,
    data.router_of,
    training.router_of,
    adapters.router_of,
    jobs.router_of,
    access.router_of,
)


def create(parts: "Parts") -> FastAPI:
    """The application over `parts`, which are closed after the last request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await to_thread.run_sync(parts.close)

    app = FastAPI(
        title="AI Twin",
        version=__version__,
        lifespan=lifespan,
        # Would answer without the credential, as the pages would that are made of it.
        openapi_url=None,
        # FastAPI would send paths, queries and messages of errors to wherever the environment says
        # (FASTAPI_OTEL_AUTO_CONFIGURE, OTEL_EXPORTER_OTLP_ENDPOINT).
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.state.ending = parts.end_streams
    app.add_middleware(Revoking, may_ask=lambda id: parts.access.caller(id) is not None)
    app.add_middleware(Entrance, credential=parts.credential, uploads=UPLOADS)
    # A page on the internet that resolves its own name to 127.0.0.1 still sends that name.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost", UNIX_HOST])
    problems.explain(app)
    app.include_router(_health())
    guarded = [Depends(_known(parts))]
    for router_of in ROUTERS:
        app.include_router(
            router_of(parts),
            dependencies=guarded,
        )
    return app


def _known(parts: "Parts") -> "Callable[[Request], Awaitable[None]]":
    async def known(request: Request) -> None:
        """Whoever asks the gateway may ask for this. It shows the credential, so it is believed."""
        caller_id = request.headers.get(CALLER)
        if caller_id is None:
            # Not taken for the owner: one slip in the gateway would make everybody that.
            raise Problem("no-credential", f"say who asks, in `{CALLER}`")
        if caller_id == MACHINE:
            return
        if caller_id == GATEWAY:
            if request.scope["path"] not in GATEWAYS_OWN:
                raise Problem("not-allowed")
            return
        # 15 µs, and it waits for no writer: a thread would cost more.
        caller = parts.access.caller(caller_id)
        if caller is None:
            raise Problem("unknown-caller")
        request.state.caller = caller
        asked = scopes.of(request.scope["route"].openapi_extra)
        if caller.scope != "owner" and asked == "owner":
            raise Problem("not-allowed")

    return known


class Health(Shape):
    """Alive, and which version."""

    status: str
    version: str


def _health() -> APIRouter:
    router = APIRouter(tags=["state"])

    @router.get("/health", operation_id="health")
    async def health() -> Health:
        """Alive, and which version: all that is told without the credential."""
        return Health(status="ok", version=__version__)

    return router
