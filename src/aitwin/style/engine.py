"""Where text comes from: the Engine protocol, and llama.cpp in this process.

Knows chat messages and sampling; knows nothing of tasks, personas or datasets. Further engines
behind the same protocol: ollama, compatible. What loads and unloads one: resident.
"""

import json
import os
import socket
import tempfile
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from queue import Queue
from threading import Event, Lock
from types import TracebackType
from typing import Any, Protocol, Self

from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage, plain
from aitwin.style.tokens import END_OF_TURN

CONTEXT = 4096
"""Tokens of prompt and reply together."""
BATCH = 128
"""Prompt tokens per step: a request can be cancelled between steps, and 128 costs no speed."""
REPACKED = 1 << 30
"""Bytes of a base up to which llama.cpp may keep a second copy of it, arranged for the CPU.

A 7B takes 8.0 GB with it and 4.9 GB without, for 7 % of the speed (docs/benchmarks.md); R1 allows
6 GB. It changes nothing where the weights lie on a GPU."""
GUESS_AFTER, GUESSED = 8, 16
"""After 8 tokens that stood in the prompt too, the 16 that followed there are guessed.

Prompt lookup decoding (Saxena, 2023), llama.cpp's `ngram-simple`. Measured: 23 % faster where a
mail is quoted, 75 % of the guesses right (after 4 tokens: 11 % and 54 %); nothing lost or won
elsewhere; greedy, the same text to the byte."""

DECISIVE = 10_000.0
"""What is added to the logit of the one token that shall come: no model's logits are that far."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn."""

    max_tokens: int = 400
    temperature: float = 0.4
    """0 is greedy. A draft shall be likely, not surprising; small models lose the thread early."""
    top_p: float = 0.9
    repeat_penalty: float = 1.1
    seed: int = 20

    def as_request(self) -> dict[str, Any]:
        """In llama.cpp's words."""
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "repeat_penalty": self.repeat_penalty,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Score:
    """How likely a reply is."""

    log_probability: float
    """Sum over its tokens, nats."""
    tokens: int

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.log_probability / max(1, self.tokens)

    def __add__(self, other: "Score") -> "Score":
        """Of two replies together."""
        return Score(self.log_probability + other.log_probability, self.tokens + other.tokens)


class TooLongError(TwinError):
    """More tokens than the context holds; not every server says how many."""

    def __init__(self, tokens: int = 0, context: int = 0) -> None:
        counts = (
            f"the prompt has {tokens} tokens, the context holds {context}"
            if tokens
            else "the prompt is longer than the context of the model"
        )
        super().__init__(f"{counts}: shorten what is to be answered")


class LoadError(TwinError):
    """A model that cannot be loaded; llama.cpp does not say why."""

    def __init__(self, base: Path, adapter: Path | None = None) -> None:
        super().__init__(
            f"llama.cpp cannot load {base}"
            + (f" with {adapter}" if adapter else "")
            + ": damaged, of another model, or more than the memory holds; "
            "`twin models verify` tells which"
        )
        self._base = base

    @property
    def is_too_large(self) -> bool:
        """Whether the weights alone are more than the memory of this machine."""
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return self._base.stat().st_size > there


class Engine(Protocol):
    """Turns chat messages into text."""

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        """Yield the reply piece by piece; closing the iterator stops the generation.

        A piece may be empty: the prompt is still being read then, and whoever asks may leave.
        `adapted=False` asks the base model instead of the twin.
        """


class Scorer(Engine, Protocol):
    """An engine that also says how likely a given reply is; llama.cpp alone does."""

    def score(self, messages: Sequence[ChatMessage], reply: str, *, adapted: bool = True) -> Score:
        """Log-probability of `reply` and the end of the turn after `messages`."""


class OpenEngine(Engine, Protocol):
    """An engine that holds something, and lets go of it at the end of a `with`."""

    def __enter__(self) -> Self:
        """The engine itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""

    def close(self) -> None:
        """Let go of everything; closing twice is no error."""


class Closing:
    """A `with` block around what has `close`."""

    def __enter__(self) -> Self:
        """Nothing to do: it is open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of everything; closing twice is no error."""
        raise NotImplementedError


@dataclass(frozen=True)
class Loading:
    """What is traded between memory and speed when a model is loaded."""

    small_cache: bool = False
    """Past tokens in 8 bits (q8_0) instead of 16: of a 7B 28 KiB a token less, at the same speed.

    Off, because it changes the text, and 4,096 tokens of a 7B take 0.2 GB either way; for contexts
    far beyond that it is worth its price."""
    quoting: bool = False
    """Whether words that repeat the prompt are guessed and checked several at a time.

    For drafts alone: llama.cpp reports wrong log-probabilities of words that were guessed."""
    repack: bool | None = None
    """Whether a second copy of the weights may be made; None: for small models (see REPACKED)."""


class LlamaCpp(Closing):
    """llama.cpp in this process, with the adapter applied at run time.

    It listens on a Unix socket in a directory of its own (0700) and nowhere else; requests are
    made in the process. One request at a time: others wait for it.
    """

    def __init__(
        self,
        base: Path,
        adapter: Path | None = None,
        *,
        context: int = CONTEXT,
        threads: int = 0,
        loading: Loading | None = None,
    ) -> None:
        import xllamacpp

        for file in (base, adapter):
            if file is not None and not file.is_file():
                raise TwinError(f"{file} is missing; `twin models list` and `twin train` make it")
        self._adapted = adapter is not None
        self._scores = loading is None or not loading.quoting
        self._context = context
        self._lock = Lock()
        # A short path: Unix sockets allow about 100 characters.
        self._run = tempfile.TemporaryDirectory(prefix="twin-")
        self._socket = Path(self._run.name) / "llama.sock"
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(base)
        if adapter is not None:
            parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        parameters.n_ctx = context
        parameters.n_parallel = 1
        parameters.n_batch = parameters.n_ubatch = BATCH
        # llama.cpp's store of old prompts does not know under which scale of the adapter they were
        # read: a base's answer then begins in the twin's memory. The last prompt's prefix is
        # reused all the same, and is thrown away when the scale changes.
        parameters.cache_ram_mib = 0
        parameters.n_threads_http = 2
        # Verbosity 5 would print prompts; -1 prints nothing at all.
        parameters.verbosity = -1
        parameters.ui = False
        parameters.endpoint_slots = False
        parameters.hostnames = [str(self._socket)]
        parameters.cpuparams.n_threads = threads or _threads()
        parameters.cpuparams_batch.n_threads = parameters.cpuparams.n_threads
        _trade(parameters, loading or Loading(), base.stat().st_size)
        try:
            self._server: Any = xllamacpp.Server(parameters)
        except RuntimeError:
            self._run.cleanup()
            raise LoadError(base, adapter) from None
        # Unloaded before its loop has begun, llama.cpp waits for ever (seen on a busy machine, once
        # in 60 times); after an answer the loop has begun.
        self._server.handle_completions({"prompt": [0], "max_tokens": 1, **self._lora(True)})

    def close(self) -> None:
        """Unload the model and remove the socket."""
        with self._lock:
            self._server = None
            self._run.cleanup()

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        """See Engine. Raises TooLongError when the prompt is longer than the context."""
        request = {
            "messages": list(messages),
            "stream": True,
            # Progress reports are the only moments at which a long prompt can be cancelled.
            "return_progress": True,
            **sampling.as_request(),
            **self._lora(adapted),
        }
        pieces: Queue[str | TwinError | None] = Queue()
        cancelled = Event()

        def receive(chunk: dict[str, Any]) -> bool:
            for piece in _pieces(chunk):
                pieces.put(piece)
            return "error" in chunk or cancelled.is_set()

        def generate() -> None:
            try:
                answer = self._server.handle_chat_completions(request, receive)
                if isinstance(answer, dict) and "error" in answer:
                    pieces.put(_refusal(answer["error"]))
            except RuntimeError:
                # Its text quotes the request.
                pieces.put(TwinError("llama.cpp cannot read the request, or has no memory left"))
            finally:
                pieces.put(None)

        with self._lock:
            self._require_open()
            # Its thread is waited for: leaving the process amid a generation would abort it.
            with ThreadPoolExecutor(1, "llama.cpp") as thread:
                generation = thread.submit(generate)
                try:
                    while (piece := pieces.get()) is not None:
                        if isinstance(piece, TwinError):
                            raise piece
                        yield piece
                finally:
                    cancelled.set()
                generation.result()  # raises what went wrong in there

    def score(self, messages: Sequence[ChatMessage], reply: str, *, adapted: bool = True) -> Score:
        """Log-probability of `reply` and the end of the turn after `messages`.

        Left out, for base and twin alike, are tokens that end amid a character (an emoji takes two
        or three): llama.cpp does not report them.
        Raises TooLongError when both are longer than the context.
        """
        if not self._scores:
            raise RuntimeError("an engine that guesses quotations does not score")
        prompt = self.prompt_tokens(messages)
        wanted = self.tokenize(plain(reply) + END_OF_TURN)
        if len(prompt) + len(wanted) > self._context:
            raise TooLongError(len(prompt) + len(wanted), self._context)
        # llama.cpp does not report log-probabilities of a prompt, so it is made to generate the
        # reply, a token at a time: a bias decides which, and what is reported is from before it.
        # A grammar would do so in one request, but llama.cpp keeps the tokenizer of a model that
        # was unloaded for the next one at its address, and aborts the process (llguidance.cpp).
        scores = []
        with self._lock:
            self._require_open()
            for place, token in enumerate(wanted):
                answer = self._server.handle_completions(
                    {
                        "prompt": prompt + wanted[:place],
                        "max_tokens": 1,
                        "temperature": 0.0,
                        "n_probs": 1,
                        "logit_bias": [[token, DECISIVE]],
                        **self._lora(adapted),
                    }
                )
                if "error" in answer:
                    raise _refusal(answer["error"])
                for entry in (answer["choices"][0]["logprobs"] or {}).get("content", ()):
                    if entry["id"] != token:
                        raise TwinError("llama.cpp did not score the reply that it was asked about")
                    scores.append(entry["logprob"])
        if not scores:
            raise TwinError("llama.cpp did not score the reply that it was asked about")
        return Score(sum(scores), len(scores))

    def prompt_tokens(self, messages: Sequence[ChatMessage]) -> list[int]:
        """The token ids that llama.cpp makes of `messages`, up to where the reply begins."""
        body = {"messages": list(messages), "add_generation_prompt": True}
        answer = self._post("/apply-template", body)
        if "error" in answer:
            raise TwinError(
                "the chat template of this base refuses the prompt: it may not know a system "
                "message; choose a ChatML base such as Qwen2.5 in twin.toml"
            )
        return self._tokenize(answer["prompt"], start=True)

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text that stands after others."""
        return self._tokenize(text, start=False)

    def _tokenize(self, text: str, *, start: bool) -> list[int]:
        # Some bases begin every prompt with a token of their own.
        body = {"content": text, "add_special": start, "parse_special": True}
        answer = self._post("/tokenize", body)
        if "error" in answer:
            raise _refusal(answer["error"])
        tokens: list[int] = answer["tokens"]
        return tokens

    def _lora(self, adapted: bool) -> dict[str, Any]:
        """The adapter's scale, for every request.

        When one request omits it, llama.cpp reuses for it, and for those after it, a cache that
        was filled under another scale.
        """
        return {"lora": [{"id": 0, "scale": float(adapted)}]} if self._adapted else {}

    def _require_open(self) -> None:
        if self._server is None:
            raise RuntimeError("this engine is closed")

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._require_open()
        connection = _UnixConnection(self._socket)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


def _pieces(chunk: dict[str, Any]) -> Iterator[str | TwinError]:
    """What a chunk of llama.cpp's answer is for whoever asked."""
    if "error" in chunk:
        yield _refusal(chunk["error"])
        return
    if "prompt_progress" in chunk:
        yield ""
    for choice in chunk.get("choices", ()):
        if text := choice.get("delta", {}).get("content"):
            yield text


def _trade(parameters: Any, loading: Loading, size: int) -> None:
    """Set what trades memory for speed, for a base of `size` bytes."""
    import xllamacpp

    repack = size <= REPACKED if loading.repack is None else loading.repack
    parameters.no_extra_bufts = not repack
    if loading.small_cache:
        kind = xllamacpp.ggml_type.GGML_TYPE_Q8_0
        parameters.cache_type_k = parameters.cache_type_v = kind
    if loading.quoting:
        kinds = xllamacpp.common_speculative_type
        parameters.speculative.types = [kinds.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        parameters.speculative.ngram_simple.size_n = GUESS_AFTER
        parameters.speculative.ngram_simple.size_m = GUESSED


def _threads() -> int:
    """One core less than there are, at most 8: the threads wait for each other in a loop.

    With a thread on every core, any other program starves them all: on two busy cores 60 tokens
    took 13 s with two threads and 0.4 s with one (on idle ones, 0.44 s either way).
    """
    return max(1, min(8, (os.cpu_count() or 1) - 1))


def _refusal(error: dict[str, Any]) -> TwinError:
    """llama.cpp's error without its message, which may quote the prompt."""
    if error.get("type") == "exceed_context_size_error":
        return TooLongError(error["n_prompt_tokens"], error["n_ctx"])
    return TwinError(
        f"llama.cpp refused the request ({error.get('type', 'unknown')}, {error.get('code')})"
    )
