"""The application: who may ask, and which routes there are. Does not load models."""

import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from starlette.middleware.trustedhost import TrustedHostMiddleware

from aitwin import __version__
from aitwin.server import problems, speaking, writing
from aitwin.server.listening import LOOPBACK
from aitwin.twin import Twin


def create(twin: Twin, token: str, *, on_close: Callable[[], None] = lambda: None) -> FastAPI:
    """The application over `twin`; `token` opens it, `on_close` runs after the last request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await to_thread.run_sync(on_close)

    app = FastAPI(
        title="AI Twin",
        version=__version__,
        lifespan=lifespan,
        # Would answer without the token, as the pages would that are made of it.
        openapi_url=None,
    )
    # A page on the internet that resolves its own name to 127.0.0.1 still sends that name.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])
    problems.explain(app)

    def authorised(request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise HTTPException(401, "the token is missing or wrong; see `twin serve --help`")

    app.include_router(_health())
    guarded = [Depends(authorised)]
    app.include_router(writing.router_of(twin), prefix="/v1", dependencies=guarded)
    app.include_router(speaking.router_of(twin), prefix="/v1", dependencies=guarded)
    return app


def _health() -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Alive, and which version: all that is told without the token."""
        return {"status": "ok", "version": __version__}

    return router
