"""Who may ask for what: every route is the owner's alone, unless it says USE.

Stands in the OpenAPI document, too, so that the gateway's own table can be held against it.
"""

from collections.abc import Mapping
from typing import Any, Literal

Scope = Literal["use", "owner"]
MARK = "x-twin-scope"
"""The field of an operation in the OpenAPI document."""
USE: dict[str, Any] = {MARK: "use"}
"""`openapi_extra` of a route that a program may use whose token is no owner's."""


def of(extra: Mapping[str, Any] | None) -> Scope:
    """The scope that a route asks for."""
    return "use" if (extra or {}).get(MARK) == "use" else "owner"
