"""Any server on this machine that speaks as OpenAI's does: llama-server, LM Studio, vLLM, mlx-lm.

`POST /v1/chat/completions`, streamed as server-sent events (OpenAI API reference, "Chat";
WHATWG HTML, "Server-sent events"). Only what the reference names is sent, so the repeat penalty
of a Sampling is not; nor is a context: the server has its own. Does not deploy anything: the
owner's server has the models already.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage
from aitwin.style.engine import Closing, Sampling, TooLongError
from aitwin.style.loopback import PATIENCE, RefusedError, Server

URL = "http://127.0.0.1:8080/v1"
"""llama-server's own default."""
_TOO_LONG = ("exceed_context_size", "context_length_exceeded", "maximum context length")


class OpenAICompatible(Closing):
    """Two models of a server: the twin's, and optionally its base's."""

    def __init__(
        self,
        url: str,
        model: str,
        base: str = "",
        *,
        key: str = "",
        patience: float = PATIENCE,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        start = "see its own documentation, or change [writer] in twin.toml"
        self._server = Server(url, "the model server", start, patience, headers)
        self._models = {True: model, False: base}

    def stream(
        self, messages: Sequence[ChatMessage], sampling: Sampling, *, adapted: bool = True
    ) -> Generator[str]:
        """See Engine."""
        model = self._model(adapted)
        request = {
            "model": model,
            "messages": list(messages),
            "stream": True,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        try:
            with closing(self._server.lines("/chat/completions", request)) as lines:
                yield from self._pieces(lines)
        except RefusedError as error:
            raise self._explained(error, model) from None

    def close(self) -> None:
        """Nothing is held between requests."""

    def _pieces(self, lines: Generator[bytes]) -> Generator[str]:
        for line in lines:
            name, _, data = line.partition(b":")
            if not line:
                yield ""  # the prompt is still being read
            if name != b"data":
                continue  # a comment that keeps the connection alive, or the name of an event
            if data.strip() == b"[DONE]":
                return
            event = self._server.parse(data)
            if "error" in event:
                raise self._explained(_refusal(event["error"]), "")
            try:
                choices = [
                    ((choice.get("delta") or {}).get("content"), choice.get("finish_reason"))
                    for choice in event.get("choices") or ()
                ]
            except (AttributeError, TypeError):
                raise self._server.unintelligible() from None
            for text, finished in choices:
                if isinstance(text, str) and text:
                    yield text
                if finished:
                    return
        raise TwinError(
            "the model server stopped amid the draft; look whether it still runs, and try again"
        )

    def _model(self, adapted: bool) -> str:
        if name := self._models[adapted]:
            return name
        key = "writer.model" if adapted else "writer.base_model"
        raise TwinError(f"twin.toml names no {key}; add it under [writer]")

    def _explained(self, error: RefusedError, model: str) -> TwinError:
        if any(words in error.reason for words in _TOO_LONG):
            return TooLongError()
        if error.status == 404:
            return TwinError(
                f"the model server at {self._server.url} has no model {model!r}, or no "
                "/chat/completions there; check [writer] in twin.toml"
            )
        if error.status in (401, 403):
            return TwinError(
                f"the model server at {self._server.url} wants a key; "
                "put it into TWIN_HOME/secrets/writer-key"
            )
        return error


def _refusal(error: Any) -> RefusedError:
    """An error that arrived amid the stream, where the status had been sent already."""
    return RefusedError("the model server gave up amid the draft; try again", 0, str(error))
