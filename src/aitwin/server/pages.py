"""Private pages that lie in the home, as answers: with a policy that lets them fetch nothing."""

from pathlib import Path

from fastapi.responses import HTMLResponse

from aitwin.server.problems import Problem

HEADERS = {
    # A page has a stricter policy inside, by the hash of its script; both hold. In a sandbox it is
    # of no origin: whatever its words could make of it, no session of the owner's is in reach.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; media-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts allow-popups",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def private_page(file: Path, missing: Problem) -> HTMLResponse:
    """The page at `file`. Raises `missing` when it is not there."""
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise missing from None
    return HTMLResponse(content, headers=HEADERS)
