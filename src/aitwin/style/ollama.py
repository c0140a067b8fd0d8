"""Ollama as an engine (W1), and the calls of its HTTP API that a deployment needs.

Its API: docs/openapi.yaml and docs/api.md of ollama/ollama; where neither says, api/types.go and
server/create.go there. What depends on Ollama's version stands in VERSIONS and nowhere else. Does
not decide what is deployed: see deploy.
"""

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage
from aitwin.style.engine import CONTEXT, Closing, Sampling, TooLongError
from aitwin.style.loopback import PATIENCE, RefusedError, Server

URL = "http://127.0.0.1:11434"
START = "OLLAMA_HOST=127.0.0.1:11434 OLLAMA_NO_CLOUD=1 ollama serve"
"""Not the menu-bar app: it looks for updates (DESIGN decision 5)."""
STABLE, STABLE_BASE = "aitwin:latest", "aitwin-base:latest"
"""The names that stay while what they mean is replaced."""


class Version(NamedTuple):
    """Ollama's version; what follows a dash ("0.35.0-rc1", "0.35.0-dirty") does not count."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        """As Ollama writes it."""
        return ".".join(map(str, self))

    @property
    def is_unknown(self) -> bool:
        """Whether it was built from source, of whatever age: it then calls itself 0.0.0."""
        return self == (0, 0, 0)


class AdapterRefusedError(TwinError):
    """Ollama does not take a LoRA, or not with this base; with another file it may."""


@dataclass(frozen=True)
class Change:
    """Something that Ollama does otherwise since a version."""

    since: Version
    what: str
    source: str


VERSIONS = {
    "create": Change(
        Version(0, 5, 5),
        "/api/create takes files by digest, template, system and parameters, no Modelfile",
        "ollama/ollama docs/api.md; ollama/ollama-js pull request 192",
    ),
    "cloud": Change(
        Version(0, 12, 0),
        "a model may be somebody else's computer: /api/show then names a remote_host",
        "ollama/ollama issue 12404; ModelSummary in docs/openapi.yaml",
    ),
    "truncate": Change(
        Version(0, 12, 6),
        "truncate and shift can be false: a prompt that is too long is refused, not cut unasked",
        "ollama/ollama commit 6544e147, api/types.go",
    ),
    "no_cloud": Change(
        Version(0, 16, 2),
        "OLLAMA_NO_CLOUD=1 keeps every request on the machine",
        "ollama/ollama pull request 14221",
    ),
    "no_adapters": Change(
        Version(0, 34, 1),
        'create refuses a LoRA: "LoRA adapters are no longer supported"',
        "ollama/ollama pull request 14969, errAdaptersUnsupported in server/create.go",
    ),
}
"""Every assumption about versions, with where it was read."""
OLDEST = VERSIONS["truncate"].since
"""Older ones would cut the middle out of a long mail and answer the rest."""

_LLAMA_DEFAULTS = {"top_k": 40, "min_p": 0.05, "repeat_last_n": 64}
"""What llama.cpp does unless told otherwise, said to Ollama, whose own defaults differ (min_p)."""
_COUNTS = re.compile(r"n_prompt_tokens\W+(\d+).*?n_ctx\W+(\d+)", re.DOTALL)
_TOO_LONG = ("exceed_context_size", "longer than the context", "exceeds the context")


@dataclass(frozen=True)
class Tag:
    """A model that Ollama has."""

    name: str
    digest: str
    """Of its manifest: two names of the same model share it."""
    modified: str
    size: int
    """Bytes."""


class Ollama:
    """Ollama's HTTP API on this machine, as far as a deployment needs it."""

    def __init__(self, url: str = URL, patience: float = PATIENCE) -> None:
        self.server = Server(url, "Ollama", START, patience)

    def version(self) -> Version:
        """Its version.

        Raises TwinError when nothing listens there, it is no Ollama, or one that is too old. One
        that was built from source is let through: nobody can tell how old it is.
        """
        answer = self.server.get("/api/version")
        text = str(answer.get("version", "")) if isinstance(answer, dict) else ""
        numbers = re.match(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?![\d.])(-rc\d*)?", text, re.ASCII)
        if numbers is None:
            raise TwinError(
                f"what listens at {self.server.url} does not say Ollama's version; "
                f"give Ollama's address with --ollama, and use a release ({OLDEST} or newer)"
            )
        *digits, candidate = numbers.groups()
        version = Version(*map(int, digits))
        # A release candidate may lack what its release has.
        old = version < OLDEST or (version == OLDEST and candidate)
        if old and not version.is_unknown:
            raise TwinError(
                f"Ollama {version}{candidate or ''} is too old: {OLDEST} is the first that refuses "
                "a prompt it would have to cut; update Ollama and run this again"
            )
        return version

    def tags(self) -> list[Tag]:
        """The models that it has."""
        answer = self.server.get("/api/tags")
        try:
            return [
                Tag(
                    str(row["name"]),
                    str(row.get("digest") or ""),
                    str(row.get("modified_at") or ""),
                    int(row.get("size") or 0),
                )
                for row in answer.get("models") or ()
            ]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self.server.unintelligible() from None

    def require_local(self, name: str) -> None:
        """Raise TwinError when a model is not there, or runs on somebody else's computer (W4)."""
        try:
            shown = self.server.post("/api/show", {"model": name})
        except RefusedError as error:
            raise _explained(error, name) from None
        if not isinstance(shown, dict):
            raise self.server.unintelligible()
        if shown.get("remote_host") or shown.get("remote_model"):
            raise TwinError(
                f"{name} is a cloud model: it would send your words to another computer. Choose "
                f"a local one, and start Ollama so that it cannot: {START}"
            )

    def upload(self, file: Path, digest: str, on_bytes: Callable[[int, int], None]) -> bool:
        """Give it a file under its SHA-256; False when it has it already."""
        path = f"/api/blobs/sha256:{digest}"
        if self.server.exists(path):
            return False
        try:
            with file.open("rb") as content:
                self.server.send(path, content, file.stat().st_size, on_bytes)
        except RefusedError as error:
            raise _explained(error, file.name) from None
        return True

    def unload(self, name: str) -> None:
        """Take a model out of memory now; its files stay."""
        self.server.post("/api/chat", {"model": name, "messages": [], "keep_alive": "0s"})

    def create(self, request: Mapping[str, Any], on_status: Callable[[str], None]) -> None:
        """Make a model; raises TwinError unless Ollama reports success."""
        name = str(request["model"])
        status = ""
        try:
            with closing(self.server.lines("/api/create", dict(request))) as lines:
                for line in filter(None, lines):
                    event = self.server.parse(line)
                    if "error" in event:
                        raise _refusal(event)
                    status = str(event.get("status", ""))
                    on_status(status)
        except RefusedError as error:
            raise _explained(error, name) from None
        if status != "success":
            raise TwinError(f"Ollama stopped before {name} was made; look whether it still runs")

    def copy(self, source: str, target: str) -> None:
        """Let `target` mean what `source` means."""
        self.server.post("/api/copy", {"source": source, "destination": target})

    def delete(self, name: str) -> None:
        """Remove a name, and with the last name of a model its files."""
        self.server.post("/api/delete", {"model": name}, "DELETE")


class OllamaEngine(Closing):
    """The twin and its base as two models of Ollama."""

    def __init__(
        self,
        ollama: Ollama,
        model: str = STABLE,
        base: str = STABLE_BASE,
        *,
        context: int = CONTEXT,
        keep_alive: float | None = None,
    ) -> None:
        """`keep_alive`: minutes for which Ollama keeps the model loaded; None: as it is set."""
        self._ollama = ollama
        self._models = {True: model, False: base}
        self._context = context
        self._keep_alive = keep_alive
        self._checked: set[str] = set()

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        """See Engine. Raises TooLongError when the prompt is longer than the context."""
        name = self._models[adapted]
        if not name:
            raise TwinError("twin.toml names no writer.base_model; add it under [writer]")
        if name not in self._checked:
            self._ollama.require_local(name)
            self._checked.add(name)
        request: dict[str, Any] = {
            "model": name,
            "messages": list(messages),
            "stream": True,
            # Otherwise the middle of a long mail is cut out, and nobody is told (see VERSIONS).
            "truncate": False,
            "shift": False,
            "options": {**options(sampling), "num_ctx": self._context},
        }
        if self._keep_alive is not None:
            request["keep_alive"] = f"{self._keep_alive * 60:.0f}s"
        try:
            with closing(self._ollama.server.lines("/api/chat", request)) as lines:
                yield from self._pieces(lines)
        except RefusedError as error:
            raise _explained(error, name) from None

    def close(self) -> None:
        """Nothing is held between requests."""

    def _pieces(self, lines: Iterator[bytes]) -> Generator[str]:
        for line in lines:
            if not line:
                yield ""  # the prompt is still being read
                continue
            event = self._ollama.server.parse(line)
            if "error" in event:
                raise _refusal(event)
            message = event.get("message") or {}
            if not isinstance(message, dict):
                raise self._ollama.server.unintelligible()
            if text := message.get("content"):
                yield str(text)
            if event.get("done"):
                return
        raise TwinError("Ollama stopped amid the draft; look whether it still runs, and try again")


def options(sampling: Sampling) -> dict[str, Any]:
    """A Sampling in Ollama's words, so that it draws as llama.cpp does."""
    return {
        "num_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "repeat_penalty": sampling.repeat_penalty,
        "seed": sampling.seed,
        **_LLAMA_DEFAULTS,
    }


def _refusal(event: Mapping[str, Any]) -> RefusedError:
    """An error that arrived amid a stream."""
    text = "Ollama gave up; its own log says why (`ollama serve` prints it)"
    status = event.get("status")
    return RefusedError(text, status if isinstance(status, int) else 0, str(event["error"]))


_ADAPTER = re.compile(r"\b(lora|adapter)s?\b")
"""In refusals of a LoRA: "no longer supported" by create, "not yet implemented" by a draft."""
_KNOWN = (
    ("cloud is disabled", "{name} is a cloud model, and Ollama's cloud is off, as it should be"),
    ("more system memory", "Ollama has too little memory for {name}: close something else"),
    ("no space left", "the disk that Ollama keeps its models on is full; free some space"),
    ("digest mismatch", "the file changed while Ollama received it; run this again"),
)
"""What Ollama says, in small letters, and what that means for the owner."""


def _explained(error: RefusedError, name: str) -> TwinError:
    """What Ollama's refusal means, without its words, which may quote the prompt."""
    reason = error.reason.lower().replace(name.lower(), "")
    if any(words in reason for words in _TOO_LONG):
        counts = _COUNTS.search(reason)
        return TooLongError(*map(int, counts.groups())) if counts else TooLongError()
    for words, meaning in _KNOWN:
        if words in reason:
            return TwinError(meaning.format(name=name))
    if _ADAPTER.search(reason):
        return AdapterRefusedError(
            f"Ollama does not take the adapter of {name} as it is; none does since "
            f"{VERSIONS['no_adapters'].since}"
        )
    if "unsupported" in reason:
        return TwinError(f"Ollama does not run models of the architecture of {name}; update Ollama")
    if error.status == 404 or "not found" in reason:
        return TwinError(f"Ollama has no model {name}; run `twin deploy writer`")
    return error
