"""The twin in Ollama: built, made, proved alive, and only then given its lasting name (W1).

Every step can be repeated: what is there already is not made again. A deployment that fails leaves
`aitwin:latest` as it was, or says that it could not. No model is removed that was not made here.
Where adapter and base lie is the caller's business.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
from aitwin.style.engine import CONTEXT, LlamaCpp, Sampling, Score, TooLongError
from aitwin.style.loopback import RefusedError
from aitwin.style.modelfile import Model
from aitwin.style.ollama import (
    STABLE,
    STABLE_BASE,
    VERSIONS,
    AdapterRefusedError,
    Ollama,
    OllamaEngine,
    Tag,
    Version,
)
from aitwin.style.proof import ProofOfLife

MODELFILE, RECORD, TWIN = "Modelfile", "ollama.json", "twin.gguf"
"""What a deployment leaves in the adapter's directory; the third only when it is asked for."""
BASE, LORA = "base.gguf", "adapter.gguf"
LEDGER = ".ollama.json"
"""In the directory of all adapters: the names that deployments gave, and may take away again."""
PREFIX = "aitwin-"
"""Of every name that a deployment gives, but for the lasting one."""
KEPT = f"{PREFIX}kept"
"""Of what the owner had under a lasting name; never taken away."""
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
    from aitwin.style.evaluation.gate import verdict

    passed, reasons = verdict(adapter)
    told = "; ".join(reasons) or "no reason given"
    if passed is False:
        raise TwinError(
            f"{adapter.path.name} failed its evaluation ({told}); "
            "train again, or deploy it with --force"
        )
    return "" if passed else f"{adapter.path.name} is not known to write well: {told}"


def methods(version: Version) -> tuple[Method, ...]:
    """Ways to bring an adapter into this Ollama, the best first.

    A LoRA is 5 MB to upload instead of 5 GB; but some architectures refuse it at their first
    draft although `create` succeeded, so the graft remains to fall back to.
    """
    refused = version.is_unknown or version >= VERSIONS["no_adapters"].since
    return ("graft",) if refused else ("lora", "graft")


def deploy(ollama: Ollama, job: Job, watch: Watch | None = None) -> Deployment:
    """Deploy, prove, and let `aitwin:latest` mean the new twin.

    Raises TwinError when anything is amiss; `aitwin:latest` then means what it meant before, or
    the error says how to put it back.
    """
    watch = watch or Watch()
    modelfile.require_chatml(job.base, job.persona)
    modelfile.require_context(job.base, job.context)
    version = ollama.version()
    # The one that worked before comes first: the other need not fail again.
    ways = sorted(methods(version), key=lambda way: way != job.record.get("method"))
    *others, last = ways
    names = _Names(ollama, job.adapter.path.parent / LEDGER)
    with names.removed_on_failure():
        for method in others:
            try:
                return _deploy(_Work(ollama, job, method, watch, names), names, version)
            except AdapterRefusedError as error:
                watch.stage(f"not as a {method} ({error}); the other way")
        return _deploy(_Work(ollama, job, last, watch, names), names, version)


def _deploy(work: "_Work", names: "_Names", version: Version) -> Deployment:
    job = work.job
    with work.removed_on_failure():
        base = work.make_base()
        if made := not work.is_proved:
            work.make_twin()
        shown = work.proved(base, scored=made)
        known = job.record
        if made:
            known = {
                "name": work.name,
                "method": work.method,
                "ollama": str(version),
                "differing": shown.differing,
                "log_probability_base": shown.base.mean if shown.base.tokens else None,
                "log_probability_twin": shown.twin.mean if shown.twin.tokens else None,
            }
        with names.restored_on_failure(), _recording(job.adapter.path / RECORD, known):
            names.move({STABLE: work.name, STABLE_BASE: base})
    names.prune({work.name, base})
    return Deployment(
        name=work.name,
        base=base,
        method=work.method,
        version=str(version),
        made=made,
        previous=names.meant[STABLE],
        differing=shown.differing,
        log_probability_base=known.get("log_probability_base"),
        log_probability_twin=known.get("log_probability_twin"),
    )


@contextmanager
def _recording(file: Path, known: Mapping[str, Any]) -> Iterator[None]:
    """Have `known` on the disk before the block, and in its place after it."""
    try:
        with artifact.writing(file) as scratch:
            scratch.write((json.dumps(known, indent=2) + "\n").encode())
            scratch.flush()  # a disk that is full says so now, not when the names have moved
            os.fsync(scratch.fileno())
            yield
    except OSError as error:
        raise TwinError(
            f"{file} cannot be written ({error.strerror}); free some space and run this again"
        ) from None


class _Work:
    """One way of deploying one adapter."""

    def __init__(
        self, ollama: Ollama, job: Job, method: Method, watch: Watch, names: "_Names"
    ) -> None:
        self._ollama, self.job, self.method, self._watch = ollama, job, method, watch
        self._names = names
        self._path = job.adapter.path

    @cached_property
    def name(self) -> str:
        """Named after all that it consists of, so that the same twin has the same name."""
        weights = self.job.adapter.manifest["files"]
        parts = [self.method, weights, self._base_model.request("")]
        return f"{PREFIX}{_slug(self._path.name)}:{_short(parts)}"

    @cached_property
    def is_proved(self) -> bool:
        """Whether Ollama has this very twin, and it has shown that it lives."""
        return self._names.has(self.name) and self.job.record.get("name") == self.name

    def make_base(self) -> str:
        """The base as a model of its own, to compare with."""
        model = self._base_model
        name = f"{PREFIX}base:{_short(model.request(''))}"
        if not self._names.has(name):
            self._upload(self.job.base, self.job.adapter.base_digest)
            self._names.make(model.request(name), self._watch.stage)
        return name

    @property
    def _base_model(self) -> Model:
        return self.job.model({BASE: self.job.adapter.base_digest})

    def make_twin(self) -> None:
        """Build what Ollama lacks, upload it, and make the model under its own name."""
        if self.method == "lora":
            file = self.job.adapter.gguf
            digest = artifact.sha256(file)
            self._upload(self.job.base, self.job.adapter.base_digest)
            model = self.job.model({BASE: self.job.adapter.base_digest}, {LORA: digest})
            note = f"{BASE} is {self.job.base}"
        else:
            file = self._graft()
            digest = artifact.sha256(file)
            model = self.job.model({TWIN: digest})
            note = f"{TWIN} is written here by `twin deploy writer --keep`"
        artifact.write_private(self._path / MODELFILE, model.text(note))
        self._upload(file, digest)
        self._names.make(model.request(self.name), self._watch.stage)

    def _graft(self) -> Path:
        from aitwin.style import graft

        target = self._path / TWIN
        self._watch.stage("grafting the adapter into the base")
        graft.graft(self._path, self.job.base, target, on_progress=self._watch.on_bytes)
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
        held_out = self.job.held_out if scored else ()
        engine = OllamaEngine(self._ollama, self.name, base)
        shown = proof.prove(
            _Served(engine, lambda: self._scores(base), self.method == "lora"),
            self.job.persona,
            held_out,
        )
        if held_out:
            shown.require()
        else:
            shown.require_live()
        return shown

    def _scores(self, base: str) -> "_Scores":
        """What llama.cpp makes of the held-out replies, with one model in memory at a time (R1)."""
        for name in (base, self.name):
            with suppress(TwinError):  # it would go by itself, only later
                self._ollama.unload(name)
        rows = proof.scored(self.job.held_out)
        path = self.job.base
        if self.method == "lora":
            with LlamaCpp(path, self.job.adapter.gguf) as both:
                return {how: _scored(both, rows, adapted=how) for how in (False, True)}
        scores: _Scores = {}
        for how, file in ((False, path), (True, self._path / TWIN)):
            with LlamaCpp(file) as one:
                scores[how] = _scored(one, rows, adapted=True)
        return scores

    @contextmanager
    def removed_on_failure(self) -> Iterator[None]:
        """Take away the twin, when it does not prove itself; and the graft in any case."""
        try:
            yield
        except BaseException:
            self._names.remove_made(self.name)  # the base remains for the other way
            raise
        finally:
            if not self.job.keep:
                (self._path / TWIN).unlink(missing_ok=True)


_Scores = dict[bool, dict[str, Score | None]]
"""By `adapted`, and by prompt and reply; None for what is longer than the context."""


def _scored(engine: LlamaCpp, rows: Sequence[Example], *, adapted: bool) -> dict[str, Score | None]:
    scores: dict[str, Score | None] = {}
    for row in rows:
        before = row.messages[:-1]
        try:
            score = engine.score(before, row.reply, adapted=adapted)
        except TooLongError:
            score = None
        scores[_key(before, row.reply)] = score
    return scores


def _key(messages: Sequence[ChatMessage], reply: str) -> str:
    return json.dumps([*messages, reply])


class _Served:
    """What is proved: text from Ollama, log-probabilities from llama.cpp.

    The latter all at once, at the first that is asked for: two models of 5 GB would not fit.
    """

    def __init__(self, ollama: OllamaEngine, score: Callable[[], _Scores], lora: bool) -> None:
        self._ollama, self._score, self._lora = ollama, score, lora

    @cached_property
    def _scores(self) -> _Scores:
        return self._score()

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        """See Engine. Raises AdapterRefusedError when it is the LoRA that Ollama cannot run."""
        try:
            yield from self._ollama.stream(messages, sampling, adapted=adapted)
        except RefusedError as error:
            # The base has answered the same before, so it is not for want of memory or disk.
            if self._lora and adapted:
                raise AdapterRefusedError(str(error)) from None
            raise

    def score(self, messages: Sequence[ChatMessage], reply: str, *, adapted: bool = True) -> Score:
        """See Scorer."""
        score = self._scores[adapted][_key(messages, reply)]
        if score is None:
            raise TooLongError
        return score


class _Names:
    """Names in Ollama: those made here, and the lasting ones with what they meant before."""

    def __init__(self, ollama: Ollama, ledger: Path) -> None:
        self._ollama, self._ledger = ollama, ledger
        self._tags = {tag.name: tag for tag in ollama.tags()}
        self._made: list[str] = []
        self._moved: list[str] = []
        self.meant: dict[str, str | None] = dict.fromkeys((STABLE, STABLE_BASE))

    def has(self, name: str) -> bool:
        """Whether Ollama has such a model."""
        return name in self._tags or name in self._made

    def make(self, request: Mapping[str, Any], on_status: Callable[[str], None]) -> None:
        """Make a model. Its name is noted first: what is not noted is never taken away."""
        name = str(request["model"])
        names = sorted({*self._noted(), name})
        try:
            artifact.write_private(self._ledger, json.dumps(names, indent=2) + "\n")
        except OSError as error:
            raise TwinError(
                f"{self._ledger} cannot be written ({error.strerror}); free some space and run "
                "this again"
            ) from None
        if name not in self._tags:
            self._made.append(name)
        self._ollama.create(request, on_status)

    def _noted(self) -> set[str]:
        """Names that deployments gave."""
        try:
            names = json.loads(self._ledger.read_text())
        except (OSError, ValueError):
            return set()
        return {str(name) for name in names} if isinstance(names, list) else set()

    def remove_made(self, *names: str) -> None:
        """Remove those of `names` that this deployment made."""
        for name in {*names} & {*self._made}:
            self._made.remove(name)
            with suppress(TwinError):  # perhaps it is not there yet; else the next one prunes it
                self._ollama.delete(name)

    @contextmanager
    def removed_on_failure(self) -> Iterator[None]:
        """Remove all that this deployment made, when it fails."""
        try:
            yield
        except BaseException:
            self.remove_made(*self._made)
            raise

    def _meaning(self, name: str) -> str | None:
        """Another name of what `name` means; one is given where there is none."""
        tag = self._tags.get(name)
        if tag is None:
            return None
        for other in self._tags.values():
            lasting = other.name in (STABLE, STABLE_BASE)
            if other.digest == tag.digest and other.name.startswith(PREFIX) and not lasting:
                return other.name
        kept = f"{KEPT}:{tag.digest.removeprefix('sha256:')[:12]}"
        self._ollama.copy(name, kept)
        return kept

    def move(self, wanted: Mapping[str, str]) -> None:
        """Let the names mean what is wanted."""
        self.meant = {name: self._meaning(name) for name in wanted}
        for name, meaning in wanted.items():
            if self.meant[name] != meaning:
                self._moved.append(name)
                self._ollama.copy(meaning, name)
        digests = {tag.name: tag.digest for tag in self._ollama.tags()}
        wrong = [n for n, m in wanted.items() if digests.get(n) != digests.get(m)]
        if wrong:
            raise TwinError(f"Ollama did not rename {', '.join(wrong)}")

    @contextmanager
    def restored_on_failure(self) -> Iterator[None]:
        """Let the lasting names mean what they meant before, when the block fails.

        Raises TwinError that says which of them could not be put back, if any.
        """
        try:
            yield
        except BaseException as error:
            lost = [name for name in self._moved if not self._is_restored(name)]
            if not lost:
                raise
            # The text of any other error may quote a mail.
            what = str(error) if isinstance(error, TwinError) else type(error).__name__
            raise TwinError(f"{what}. {self._advice(lost)}") from None

    def _is_restored(self, name: str) -> bool:
        meaning, before = self.meant[name], self._tags.get(name)
        wanted = before.digest if before else None
        try:
            if self._digest(name) == wanted:
                return True
            if meaning is None:
                self._ollama.delete(name)
            else:
                self._ollama.copy(meaning, name)
            return self._digest(name) == wanted
        except TwinError:
            return False

    def _digest(self, name: str) -> str | None:
        return next((tag.digest for tag in self._ollama.tags() if tag.name == name), None)

    def _advice(self, names: Sequence[str]) -> str:
        """What the owner has to do for names that could not be put back."""
        commands = (
            f"`ollama cp {self.meant[name]} {name}`" if self.meant[name] else f"`ollama rm {name}`"
            for name in names
        )
        return (
            f"{', '.join(names)} could not be put back to what was there before; "
            f"when Ollama runs again: {', '.join(commands)}"
        )

    def prune(self, current: set[str]) -> None:
        """Remove what was made here and is neither in use nor the one before.

        When nothing was moved, nothing is.
        """
        if self.meant[STABLE] in current:
            return
        kept = {*current, *self.meant.values(), STABLE, STABLE_BASE}
        for name in self._noted() & self._tags.keys() - kept:
            if name.startswith(f"{KEPT}:"):  # so is what an adapter that is called "kept" made
                continue
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
    """All names that begin as those of deployments do, newest first."""


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
