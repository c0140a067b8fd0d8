"""What bodies of requests and answers have in common."""

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError

from aitwin.server.problems import Problem

LARGEST = 2 * 1024 * 1024
"""Bytes of a JSON body: several texts of 100,000 characters, each of which may take six."""


class Shape(BaseModel):
    """Its attributes' docstrings stand in the OpenAPI document."""

    model_config = ConfigDict(use_attribute_docstrings=True)


Model = TypeVar("Model", bound=BaseModel)


def without_nulls(body: Any) -> Any:
    """What OpenAI's clients send for what is left out: as if it were."""
    if not isinstance(body, dict):
        return body
    return {name: value for name, value in body.items() if value is not None}


async def read_json(request: Request, shape: type[Model]) -> Model:
    """A JSON body, for routes that take forms, too; FastAPI reads those of all others.

    Raises Problem or RequestValidationError when it is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem("unsupported-media-type", "send JSON, or a form with a clip")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise Problem("too-large", f"the body is larger than {LARGEST // 1024} KiB; send less")
    try:
        return shape.model_validate_json(bytes(body))
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None
