"""What `twin doctor` finds, for the page: each check with its state, evidence and remedy.

The command itself is run, in a process of its own: the server knows nothing of the services, and a
check may ask slow programs of the system. Looks only.
"""

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Literal

from anyio import Lock, to_thread
from fastapi import APIRouter
from pydantic import Field, ValidationError

from aitwin.home import for_children
from aitwin.server import problems
from aitwin.server.problems import Problem
from aitwin.server.shapes import Shape

if TYPE_CHECKING:
    from aitwin.home import Home
    from aitwin.server.parts import Parts

SECONDS = 90.0
"""For all checks together; a busy machine takes ten."""


class FindingRow(Shape):
    """One check."""

    what: str
    state: Literal["ok", "warn", "bad", "unknown"]
    evidence: str
    remedy: str = ""
    """What mends it, in words or as a command."""


class Examination(Shape):
    """All checks, in the order in which an owner would mend things."""

    findings: list[FindingRow] = Field(min_length=1)


def router_of(parts: "Parts") -> APIRouter:
    """The route."""
    router = APIRouter(tags=["state"])
    alone = Lock()

    @router.get("/doctor", operation_id="examine", responses=problems.told("cannot"))
    async def doctor() -> Examination:
        """Run the checks of `twin doctor`: the machine, what is installed, what protects it."""
        # One at a time: it starts a Python and a dozen programs of the system.
        async with alone:
            return await to_thread.run_sync(_examined, parts.home)

    return router


def _examined(home: "Home") -> Examination:
    command = [sys.executable, "-m", "aitwin", "doctor", "--json"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            env=for_children(TWIN_HOME=str(home.root)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        # It ends with 1 where something is wrong, which is what is asked.
        return Examination.model_validate({"findings": json.loads(done.stdout)})
    except (OSError, subprocess.TimeoutExpired, ValueError, ValidationError):
        raise Problem(
            "cannot", "The checks did not end; run `twin doctor` in a terminal."
        ) from None
