"""Every refusal as one JSON shape (RFC 9457); none of them repeats what was sent."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from aitwin.errors import TwinError


def explain(app: FastAPI) -> None:
    """Every refusal as one JSON shape; none of them repeats what was sent."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer repeats the input, which is a mail. So would the name of a field
        # that is not ours, but unknown fields are no error.
        places = {".".join(map(str, e["loc"])): e["msg"] for e in error.errors()}
        return problem(422, "; ".join(f"{place}: {what}" for place, what in places.items()))

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: StarletteHTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail))

    @app.exception_handler(TwinError)
    async def failed(request: Request, error: TwinError) -> JSONResponse:
        return problem(422, str(error))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        return problem(500, f"this is a bug ({type(error).__name__}); please report it")


def problem(status: int, detail: str) -> JSONResponse:
    """An error as RFC 9457 asks, with the `error` object that OpenAI's clients read."""
    return JSONResponse(
        {
            "type": "about:blank",
            "status": status,
            "detail": detail,
            "error": {"message": detail, "type": "invalid_request_error", "code": status},
        },
        status_code=status,
        media_type="application/problem+json",
    )
