"""The bill of materials: every package and model that an owner gets, as CycloneDX 1.6.

    python -m supply.bom dist/aitwin.cdx.json

Reads what is installed here, gateway/deno.lock and the catalogue of models; asks nobody. The same
installation gives the same file: no time and no random number is in it.
"""

import base64
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import aitwin
from aitwin import models
from aitwin.downloads import Hub

REPOSITORY = Path(__file__).parent.parent
LOCK = REPOSITORY / "gateway" / "deno.lock"
BUNDLED = REPOSITORY / "gateway" / "build" / "LICENSES.md"
"""Written by the build: which packages are in the page and its gateway."""
Component = dict[str, Any]


def bill() -> dict[str, Any]:
    """The whole document."""
    components = [*python(), *npm(), *shelf()]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "aitwin",
                "name": "aitwin",
                "version": aitwin.__version__,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
    }


# --- Python ---------------------------------------------------------------------------------------


def python() -> Iterator[Component]:
    """What `pip install aitwin[all]` brings here; no tool of the tests."""
    for name in sorted(_reached("aitwin", frozenset({"all"})) - {"aitwin"}):
        found = importlib.metadata.distribution(name)
        purl = f"pkg:pypi/{name}@{quote(found.version, safe='.')}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": found.version,
            "purl": purl,
            "scope": "required",
            "licenses": _licences(found.metadata),
        }


def _reached(name: str, extras: frozenset[str]) -> set[str]:
    """Names of all that is installed for a package with its extras, itself included."""
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), extra) for extra in ("", *extras)]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        try:
            requires = importlib.metadata.requires(one[0]) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # not for this machine, or not wanted on it
        seen.add(one)
        for line in requires:
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": one[1]}):
                child = canonicalize_name(wanted.name)
                waiting += [(child, extra) for extra in ("", *wanted.extras)]
    return {name for name, _ in seen}


def _licences(metadata: Any) -> list[dict[str, Any]]:
    """As the package states it: an expression, a line of text, or classifiers."""
    if expression := metadata.get("License-Expression"):
        return [{"expression": expression}]
    stated = (metadata.get("License") or "").strip()
    if stated and "\n" not in stated and stated != "UNKNOWN":
        return [{"license": {"name": stated[:100]}}]
    classes = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or ()
        if line.startswith("License :: ")
    ]
    return [{"license": {"name": one}} for one in classes]


# --- The page and its gateway ---------------------------------------------------------------------


def npm() -> Iterator[Component]:
    """What deno.lock pins, with its digests; required is what the build has put into the page."""
    bundled = set(re.findall(r"^## (\S+ - \S+) \(", _read(BUNDLED), re.MULTILINE))
    seen = set()
    for key, entry in sorted(json.loads(LOCK.read_text())["npm"].items()):
        # "name@1.2.3_peer@4.5.6": which peers it is put together with is no part of it.
        found = re.match(r"(@?[^@]+)@([^_]+)", key)
        assert found, key  # noqa: S101 - a tool; a lock of another form is to stop it
        name, version = found[1], found[2]
        if (name, version) in seen:
            continue
        seen.add((name, version))
        purl = f"pkg:npm/{quote(name, safe='/')}@{version}"
        algorithm, _, digest = entry["integrity"].partition("-")
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "scope": "required" if f"{name} - {version}" in bundled else "excluded",
            "hashes": [
                {
                    "alg": {"sha512": "SHA-512", "sha1": "SHA-1"}[algorithm],
                    "content": base64.b64decode(digest).hex(),
                }
            ],
        }


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


# --- Models ---------------------------------------------------------------------------------------


def shelf() -> Iterator[Component]:
    """What `twin models pull` may fetch, and by which digest it is known."""
    for model in models.CATALOGUE:
        source = model.source
        place = source.path if isinstance(source, Hub) else source.requirement
        component: Component = {
            "type": "machine-learning-model",
            "bom-ref": f"model:{model.name}",
            "name": model.name,
            "version": source.revision if isinstance(source, Hub) else "packaged",
            "scope": "optional",
            "licenses": [{"license": {"name": model.licence}}],
            "properties": [{"name": "aitwin:source", "value": place}],
        }
        if model.sha256:
            component["hashes"] = [{"alg": "SHA-256", "content": model.sha256}]
        yield component


def main() -> None:
    """Write it, or print it where no file is named."""
    text = json.dumps(bill(), indent=2, ensure_ascii=False) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(sys.argv[1]).write_text(text, "utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
