"""The twin in Ollama: built, made, proved alive, and only then given its lasting name (W1).

Every step can be repeated: what is there already is not made again. A deployment that fails leaves
`aitwin:latest` as it was. Where adapter and base lie is the caller's business.
"""

import hashlib
import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from aitwin import artifact, prompt
from aitwin.corpus.dataset import Example
from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage, Persona
from aitwin.style import modelfile, proof
from aitwin.style.adapter import StyleAdapter
from aitwin.style.engine import CONTEXT, LlamaCpp, Sampling, Score
from aitwin.style.modelfile import Model
from aitwin.style.ollama import (
    STABLE,
    STABLE_BASE,
    VERSIONS,
    Ollama,
    OllamaEngine,
    Tag,
    Version,
)
from aitwin.style.proof import ProofOfLife

MODELFILE, RECORD, TWIN = "Modelfile", "ollama.json", "twin.gguf"
"""What a deployment leaves in the adapter's directory; the third only when it is asked for."""
BASE, LORA = "base.gguf", "adapter.gguf"
EVALUATION = "evaluation.json"
PREFIX = "aitwin-"
"""Of every name that a deployment gives, but for the lasting one."""
Method = Literal["lora", "graft"]


@dataclass(frozen=True)
class Job:
    """What is to be deployed."""

    adapter: StyleAdapter
    base: Path
    """The GGUF file that the adapter was trained on."""
    persona: Persona
    held_out: Sequence[Example] = field(default=(), repr=False)
    """Replies that were not trained on; without any the twin is only proved to differ."""
    context: int = CONTEXT
    keep: bool = False
    """Whether twin.gguf stays beside the adapter, for `ollama create -f Modelfile`."""

    def model(self, files: Mapping[str, str], loras: Mapping[str, str] | None = None) -> Model:
        """A model of these files for this owner."""
        return Model(
            dict(files),
            dict(loras or {}),
            prompt.system(self.persona),
            self._stops,
            context=self.context,
        )

    @cached_property
    def _stops(self) -> tuple[str, ...]:
        return modelfile.stops(self.base)

    @property
    def record(self) -> dict[str, Any]:
        """What the last deployment of this adapter left; empty when there was none."""
        try:
            record = json.loads((self.adapter.path / RECORD).read_text())
        except (OSError, ValueError):
            return {}  # it is made anew
        return record if isinstance(record, dict) else {}


@dataclass(frozen=True)
class Watch:
    """Who is told what goes on."""

    stage: Callable[[str], None] = lambda text: None
    on_bytes: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True)
class Deployment:
    """What stands in Ollama now."""

    name: str
    """The twin's own name; `aitwin:latest` means the same."""
    base: str
    method: Method
    version: str
    """Ollama's."""
    made: bool
    """Whether it was made now, not only verified."""
    previous: str | None
    """What `aitwin:latest` meant before; kept to go back to."""
    differing: int
    """Probes that the twin answers otherwise than its base."""
    log_probability_base: float | None
    """Of held-out replies, nats per token; None where there were none."""
    log_probability_twin: float | None


def require_gate(adapter: StyleAdapter) -> str:
    """What is to be said of the adapter's evaluation; empty when it passed.

    Raises TwinError when it failed.
    """
    try:
        gate = json.loads((adapter.path / EVALUATION).read_text())["gate"]
        passed, reasons = bool(gate["passed"]), [str(reason) for reason in gate["reasons"]]
    except FileNotFoundError:
        return f"{adapter.path.name} has not been evaluated; run `twin eval` to know how it writes"
    except (ValueError, KeyError, TypeError, OSError):
        raise TwinError(
            f"{adapter.path / EVALUATION} cannot be read; run `twin eval` again, or use --force"
        ) from None
    if passed:
        return ""
    raise TwinError(
        f"{adapter.path.name} failed its evaluation ({'; '.join(reasons) or 'no reason given'}); "
        "train again, or deploy it with --force"
    )


def methods(version: Version) -> tuple[Method, ...]:
    """Ways to bring an adapter into this Ollama, the best first.

    A LoRA is 5 MB to upload instead of 5 GB; but some architectures refuse it at their first
    draft although `create` succeeded, so the graft remains to fall back to.
    """
    refused = version.is_unknown or version >= VERSIONS["no_adapters"].since
    return ("graft",) if refused else ("lora", "graft")


def deploy(ollama: Ollama, job: Job, watch: Watch | None = None) -> Deployment:
    """Deploy, prove, and let `aitwin:latest` mean the new twin.

    Raises TwinError when anything is amiss; `aitwin:latest` then means what it meant before.
    """
    watch = watch or Watch()
    modelfile.require_chatml(job.base, job.persona)
    version = ollama.version()
    # The one that worked before comes first: the other need not fail again.
    ways = sorted(methods(version), key=lambda way: way != job.record.get("method"))
    *others, last = ways
    for method in others:
        try:
            return _deploy(ollama, job, version, method, watch)
        except TwinError as error:
            watch.stage(f"not as a {method} ({error}); the other way")
    return _deploy(ollama, job, version, last, watch)


def _deploy(ollama: Ollama, job: Job, version: Version, method: Method, watch: Watch) -> Deployment:
    work = _Work(ollama, job, method, watch)
    base = work.make_base()
    with work.removed_on_failure():
        if made := not work.is_proved:
            work.make_twin()
        shown = work.proved(base, scored=made)
        before = _Names(ollama)
        before.move({STABLE: work.name, STABLE_BASE: base})
        known = job.record
        if made:
            known = {
                "name": work.name,
                "method": method,
                "ollama": str(version),
                "differing": shown.differing,
                "log_probability_base": shown.base.mean if shown.base.tokens else None,
                "log_probability_twin": shown.twin.mean if shown.twin.tokens else None,
            }
            artifact.write_private(job.adapter.path / RECORD, json.dumps(known, indent=2) + "\n")
    before.prune({work.name, base})
    return Deployment(
        name=work.name,
        base=base,
        method=method,
        version=str(version),
        made=made,
        previous=before.meant[STABLE],
        differing=shown.differing,
        log_probability_base=known["log_probability_base"],
        log_probability_twin=known["log_probability_twin"],
    )


class _Work:
    """One way of deploying one adapter."""

    def __init__(self, ollama: Ollama, job: Job, method: Method, watch: Watch) -> None:
        self._ollama, self._job, self._method, self._watch = ollama, job, method, watch
        self._path = job.adapter.path

    @cached_property
    def name(self) -> str:
        """Named after all that it consists of, so that the same twin has the same name."""
        weights = self._job.adapter.manifest["files"]
        parts = [self._method, weights, self._base_model.request("")]
        return f"{PREFIX}{_slug(self._path.name)}:{_short(parts)}"

    @cached_property
    def is_proved(self) -> bool:
        """Whether Ollama has this very twin, and it has shown that it lives."""
        there = {tag.name for tag in self._ollama.tags()}
        return self.name in there and self._job.record.get("name") == self.name

    def make_base(self) -> str:
        """The base as a model of its own, to compare with."""
        model = self._base_model
        name = f"{PREFIX}base:{_short(model.request(''))}"
        if name not in {tag.name for tag in self._ollama.tags()}:
            self._upload(self._job.base, self._job.adapter.base_digest)
            self._ollama.create(model.request(name), self._watch.stage)
        return name

    @property
    def _base_model(self) -> Model:
        return self._job.model({BASE: self._job.adapter.base_digest})

    def make_twin(self) -> None:
        """Build what Ollama lacks, upload it, and make the model under its own name."""
        if self._method == "lora":
            file = self._job.adapter.gguf
            digest = artifact.sha256(file)
            self._upload(self._job.base, self._job.adapter.base_digest)
            model = self._job.model({BASE: self._job.adapter.base_digest}, {LORA: digest})
            note = f"{BASE} is {self._job.base}"
        else:
            file = self._graft()
            digest = artifact.sha256(file)
            model = self._job.model({TWIN: digest})
            note = f"{TWIN} is written here by `twin deploy writer --keep`"
        artifact.write_private(self._path / MODELFILE, model.text(note))
        self._upload(file, digest)
        self._ollama.create(model.request(self.name), self._watch.stage)

    def _graft(self) -> Path:
        from aitwin.style import graft

        target = self._path / TWIN
        self._watch.stage("grafting the adapter into the base")
        graft.graft(self._path, self._job.base, target, on_progress=self._watch.on_bytes)
        return target

    def _upload(self, file: Path, digest: str) -> None:
        self._watch.stage(f"giving {file.name} to Ollama")
        self._ollama.upload(file, digest, self._watch.on_bytes)

    def proved(self, base: str, *, scored: bool) -> ProofOfLife:
        """Proof of life (DESIGN decision 3): in Ollama, and by log-probabilities where it is new.

        Ollama says log-probabilities of what it generates alone, so held-out replies are scored by
        llama.cpp, on the very file that Ollama was given.
        """
        self._watch.stage("proving that the twin is alive")
        held_out = self._job.held_out if scored else ()
        with _Served(OllamaEngine(self._ollama, self.name, base), self._local) as served:
            shown = proof.prove(served, self._job.persona, held_out)
        if held_out:
            shown.require()
        else:
            shown.require_live()
        return shown

    def _local(self, stack: ExitStack) -> Mapping[bool, tuple[LlamaCpp, bool]]:
        """By `adapted`: what scores, and how it is asked."""
        if self._method == "lora":
            both = stack.enter_context(LlamaCpp(self._job.base, self._job.adapter.gguf))
            return {True: (both, True), False: (both, False)}
        files = {True: self._path / TWIN, False: self._job.base}
        return {key: (stack.enter_context(LlamaCpp(file)), True) for key, file in files.items()}

    @contextmanager
    def removed_on_failure(self) -> Iterator[None]:
        """Take away what was made, when it does not prove itself; and the graft in any case."""
        try:
            yield
        except BaseException:
            if not self.is_proved:
                with suppress(TwinError):
                    self._ollama.delete(self.name)
            raise
        finally:
            if not self._job.keep:
                (self._path / TWIN).unlink(missing_ok=True)


class _Served:
    """What is proved: text from Ollama, log-probabilities from llama.cpp."""

    def __init__(
        self,
        ollama: OllamaEngine,
        local: Callable[[ExitStack], Mapping[bool, tuple[LlamaCpp, bool]]],
    ) -> None:
        self._ollama, self._open = ollama, local
        self._stack = ExitStack()

    def __enter__(self) -> "_Served":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @cached_property
    def _local(self) -> Mapping[bool, tuple[LlamaCpp, bool]]:
        return self._open(self._stack)

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        """See Engine."""
        return self._ollama.stream(messages, sampling, adapted=adapted)

    def score(self, messages: Sequence[ChatMessage], reply: str, *, adapted: bool = True) -> Score:
        """See Scorer."""
        engine, how = self._local[adapted]
        return engine.score(messages, reply, adapted=how)


class _Names:
    """The lasting names, what they meant, and what goes when they mean something else."""

    def __init__(self, ollama: Ollama) -> None:
        self._ollama = ollama
        self._tags = {tag.name: tag for tag in ollama.tags()}
        self.meant = {name: self._meaning(name) for name in (STABLE, STABLE_BASE)}

    def _meaning(self, name: str) -> str | None:
        """Another name of what `name` means; one is given where there is none."""
        tag = self._tags.get(name)
        if tag is None:
            return None
        for other in self._tags.values():
            if other.digest == tag.digest and other.name.startswith(PREFIX) and other != tag:
                return other.name
        kept = f"{PREFIX}kept:{tag.digest.removeprefix('sha256:')[:12]}"
        self._ollama.copy(name, kept)
        return kept

    def move(self, wanted: Mapping[str, str]) -> None:
        """Let the names mean what is wanted, or all of them what they meant before."""
        try:
            for name, meaning in wanted.items():
                if self.meant[name] != meaning:
                    self._ollama.copy(meaning, name)
            digests = {tag.name: tag.digest for tag in self._ollama.tags()}
            wrong = [n for n, m in wanted.items() if digests.get(n) != digests.get(m)]
            if wrong:
                raise TwinError(f"Ollama did not rename {', '.join(wrong)}; nothing was changed")
        except BaseException:
            with suppress(TwinError):
                self._restore()
            raise

    def _restore(self) -> None:
        for name, meaning in self.meant.items():
            if meaning is None:
                with suppress(TwinError):
                    self._ollama.delete(name)
            else:
                self._ollama.copy(meaning, name)

    def prune(self, current: set[str]) -> None:
        """Remove what is neither in use nor the one before. When nothing was moved, nothing is."""
        if self.meant[STABLE] in current:
            return
        kept = {*current, *self.meant.values(), STABLE, STABLE_BASE}
        for name in self._tags:
            if name.startswith(PREFIX) and name not in kept:
                with suppress(TwinError):  # it costs room, and nothing else
                    self._ollama.delete(name)


@dataclass(frozen=True)
class Status:
    """What Ollama has of ours."""

    version: str
    twin: str | None
    """What `aitwin:latest` means; None when nothing is deployed."""
    base: str | None
    names: tuple[Tag, ...]
    """All names that deployments gave, newest first."""


def status(ollama: Ollama) -> Status:
    """Look, and change nothing."""
    version = str(ollama.version())
    tags = ollama.tags()
    digests = {tag.name: tag.digest for tag in tags}
    ours = [tag for tag in tags if tag.name.startswith(PREFIX) and tag.name != STABLE_BASE]
    ours.sort(key=lambda tag: tag.modified, reverse=True)

    def meaning(name: str) -> str | None:
        return next((tag.name for tag in ours if tag.digest == digests.get(name)), None)

    return Status(version, meaning(STABLE), meaning(STABLE_BASE), tuple(ours))


def _slug(name: str) -> str:
    """The name of an adapter as Ollama allows names."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "twin"


def _short(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
