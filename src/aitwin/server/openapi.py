"""The API's own description, from which the gateway's types are made: `gateway/openapi.json`.

`python -m aitwin.server.openapi` writes it; a test holds that it is current. Nothing is served
without the credential, so this is what others read.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from aitwin import artifact
from aitwin.server.problems import ProblemDocument, told
from aitwin.server.scopes import MARK

FILE = Path(__file__).parents[3] / "gateway" / "openapi.json"
"""In a clone; an installed package has no need of it."""
TAGS = {
    "write": "Drafts in the owner's style.",
    "speak": "Speech, in the owner's voice or another.",
    "say": "Both at once.",
    "voices": "The owner's voices: recordings, consent, profiles.",
    "data": "Mail and chats, datasets and pairs.",
    "training": "How adapters are trained.",
    "adapters": "What was trained, and how well it writes.",
    "jobs": "What runs for minutes and hours.",
    "access": "Tokens and sessions.",
    "state": "How the twin stands.",
}
METHODS = ("get", "post", "put", "patch", "delete")
_VERSION = "0"
"""Of the document, whatever release it is in: a release changes no type."""


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of `app`, complete: problems, scopes and the credential, too."""
    document = get_openapi(
        title=app.title,
        version=_VERSION,
        summary="Writes like its owner and speaks like its owner, on the owner's own machine.",
        description=(
            "Behind the gateway, which alone shows the credential. Its own `/api/X` is `/X` here."
        ),
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    parts = document.setdefault("components", {})
    shapes = parts.setdefault("schemas", {})
    own = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    shapes.update(own.pop("$defs", {}))
    shapes["ProblemDocument"] = own
    # FastAPI's own refusal, which is never sent: see problems.
    for name in ("HTTPValidationError", "ValidationError"):
        shapes.pop(name, None)
    parts["securitySchemes"] = {"credential": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                _complete(operations[method], open_=path == "/health")
    _always_told(document)
    return document


def _always_told(document: dict[str, Any]) -> None:
    """What is only ever answered has all its fields, those with a default, too."""
    shapes = document["components"]["schemas"]
    operations = [
        operations[method]
        for operations in document["paths"].values()
        for method in METHODS
        if method in operations
    ]
    asked = _reached([operation.get("requestBody") for operation in operations], shapes)
    for name in _reached([operation["responses"] for operation in operations], shapes) - asked:
        if "properties" in shapes[name] and name != "ProblemDocument":
            shapes[name]["required"] = list(shapes[name]["properties"])


def _reached(begin: Any, shapes: dict[str, Any]) -> set[str]:
    """Names of the shapes that `begin` refers to, and those that they refer to."""
    found: set[str] = set()
    waiting: list[Any] = [begin]
    while waiting:
        match waiting.pop():
            case {"$ref": str(where)}:
                name = where.rpartition("/")[2]
                if name not in found:
                    found.add(name)
                    waiting.append(shapes[name])
            case dict(members):
                waiting += members.values()
            case list(members):
                waiting += members
    return found


def _complete(operation: dict[str, Any], *, open_: bool) -> None:
    """Scope, credential, and the refusals that every route may send."""
    operation.setdefault(MARK, "owner")
    operation["security"] = [] if open_ else [{"credential": []}]
    answers = operation["responses"]
    takes = "requestBody" in operation or operation.get("parameters")
    invalid = answers.get("422", {}).get("content", {}).get("application/json")
    if invalid is not None:
        del answers["422"]["content"]["application/json"]
    if "206" in answers:  # a part of the same
        answers["206"].setdefault("content", answers["200"]["content"])
    common = ["bug"] if open_ else ["no-credential", "unknown-caller", "not-allowed", "bug"]
    if takes:
        common.append("invalid-request")
    if "requestBody" in operation:
        common += ["malformed", "too-large", "unsupported-media-type"]
    for status, answer in told(*common).items():
        _add(answers, str(status), answer)
    operation["responses"] = dict(sorted(answers.items()))


def _add(answers: dict[str, Any], status: str, answer: dict[str, Any]) -> None:
    """A refusal, beside others of its status."""
    there = answers.setdefault(status, {"description": "", "content": {}})
    for kind, content in answer["content"].items():
        known = there.setdefault("content", {}).setdefault(kind, content)
        known.setdefault("examples", {}).update(content["examples"])
    titles = [
        example["value"]["title"]
        for content in there["content"].values()
        for example in content.get("examples", {}).values()
        if "title" in example.get("value", {})
    ]
    if titles:
        there["description"] = "; ".join(dict.fromkeys(titles))


def text() -> str:
    """The document of the application as it is served, as it lies in the gateway."""
    from aitwin.home import Home
    from aitwin.server import app as application
    from aitwin.server.parts import Parts

    with tempfile.TemporaryDirectory() as folder:
        # Nothing is opened that is not there: the home stays empty.
        parts = Parts.of(Home(Path(folder) / "home"), "")
        try:
            document = describe(application.create(parts))
        finally:
            parts.close()
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    """Write the file."""
    artifact.write_private(FILE, text())
    FILE.chmod(0o644)  # part of the source, not of anybody's home
    return 0


if __name__ == "__main__":
    sys.exit(main())
