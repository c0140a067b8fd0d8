"""A stand-in for Ollama: its HTTP API on loopback, with llama.cpp behind it.

Every request, and every answer, is held against ollama_api.json; a request that Ollama's own
documents do not allow is collected in `mistakes`. A prompt goes through the template that the model
was made with, so that the text depends on it as it does in Ollama.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from aitwin.style.engine import LlamaCpp

API = json.loads(Path(__file__).with_name("ollama_api.json").read_text())
TYPES: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9_][A-Za-z0-9._-]*)?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CLOUD = "big:cloud"


@dataclass
class Behaviour:
    """What this Ollama is like."""

    version: str = "0.35.0"
    create_error: str = ""
    """What create answers amid its stream."""
    chat_error: str = ""
    """What a model with an adapter answers to every chat."""
    copy_fails: bool = False
    chat_breaks: bool = False
    """Whether the connection ends after the first piece."""


@dataclass(frozen=True)
class Made:
    """A model."""

    files: dict[str, str]
    adapters: dict[str, str]
    template: str
    system: str
    parameters: dict[str, Any] = field(default_factory=dict)
    modified: int = 0

    @property
    def digest(self) -> str:
        content = replace(self, modified=0)
        return hashlib.sha256(repr(content).encode()).hexdigest()


class Standin:
    """An Ollama that runs in this process; `url` is where."""

    def __init__(self, blobs: Path) -> None:
        self.behaviour = Behaviour()
        self.models: dict[str, Made] = {}
        self.mistakes: list[str] = []
        self.asked: list[tuple[str, Any]] = []
        """Requests, in order: "POST /api/chat" and its body."""
        self._blobs = blobs
        self._engines: dict[str, LlamaCpp] = {}
        self._texts: dict[str, str] = {}
        self._lock = Lock()
        self._clock = 0
        standin = self

        class Handler(_Handler):
            owner = standin

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def reset(self) -> None:
        """As freshly installed; what the models said is remembered, which saves half a minute."""
        self.behaviour = Behaviour()
        self.models.clear()
        self.mistakes.clear()
        self.asked.clear()
        for blob in self._blobs.iterdir():
            blob.unlink()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for engine in self._engines.values():
            engine.close()

    def count(self, what: str) -> int:
        return sum(request == what for request, _ in self.asked)

    # --- What it does -----------------------------------------------------------------------------

    def blob(self, digest: str) -> Path:
        return self._blobs / digest.replace(":", "-")

    def make(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"status": "parsing GGUF"}
        if self.behaviour.create_error:
            yield {"error": self.behaviour.create_error, "status": 400}
            return
        if not body.get("files"):
            yield {"error": "neither 'from' or 'files' was specified", "status": 400}
            return
        named = (body["files"], body.get("adapters", {}))
        self._clock += 1
        self.models[body["model"]] = Made(
            *named, body["template"], body.get("system", ""), body["parameters"], self._clock
        )
        yield {"status": "writing manifest"}
        yield {"status": "success"}

    def tags(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "model": name,
                "digest": made.digest,
                "size": sum(self.blob(d).stat().st_size for d in made.files.values()),
                "modified_at": f"2026-11-25T12:00:{made.modified:02}.000000000+01:00",
                "details": {"format": "gguf"},
            }
            for name, made in self.models.items()
        ]

    def chat(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of a chat; an error comes first, with its status."""
        made = self.models[body["model"]]
        if made.adapters and self.behaviour.chat_error:
            yield {"error": self.behaviour.chat_error, "status": 500}
            return
        messages = body["messages"]
        if not messages:
            empty = {"message": {"role": "assistant", "content": ""}, "done_reason": "unload"}
            common = {"model": body["model"], "created_at": "2026-11-25T12:00:00Z"}
            yield {**common, **empty, "done": True}
            return
        if made.system and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": made.system}, *messages]
        prompt = render_go(made.template, messages)
        options = {**made.parameters, **body.get("options", {})}
        with self._lock:
            engine = self._engine(made)
            length = len(engine.tokenize(prompt))
            if length > options["num_ctx"] and body.get("truncate") is False:
                # Its own words, and in them llama-server's.
                inner = {
                    "code": 400,
                    "type": "exceed_context_size_error",
                    "message": f"request ({length} tokens) exceeds the available context size",
                    "n_prompt_tokens": length,
                    "n_ctx": options["num_ctx"],
                }
                yield {"error": json.dumps({"error": inner}), "status": 400}
                return
            request = {
                "prompt": prompt,
                "max_tokens": options["num_predict"],
                "stop": options["stop"],
                "repeat_last_n": options["repeat_last_n"],
                **{key: options[key] for key in ("temperature", "top_p", "top_k", "min_p", "seed")},
                "repeat_penalty": options["repeat_penalty"],
                **engine._lora(True),
            }
            key = json.dumps([made.files, made.adapters, request], sort_keys=True)
            if key not in self._texts:
                answer = engine._server.handle_completions(request)
                self._texts[key] = answer["choices"][0]["text"]
            text = self._texts[key]
        common = {"model": body["model"], "created_at": "2026-11-25T12:00:00Z"}
        for piece in re.findall(r"\S+\s*|\s+", text):
            yield {**common, "message": {"role": "assistant", "content": piece}, "done": False}
        end = {"message": {"role": "assistant", "content": ""}, "done": True}
        yield {**common, **end, "done_reason": "stop", "prompt_eval_count": length}

    def _engine(self, made: Made) -> LlamaCpp:
        key = json.dumps([made.files, made.adapters])
        if key not in self._engines:
            (base,) = made.files.values()
            lora = [self.blob(digest) for digest in made.adapters.values()]
            self._engines[key] = LlamaCpp(self.blob(base), *lora, context=2048, threads=1)
        return self._engines[key]


class _Handler(BaseHTTPRequestHandler):
    """Parse, check, call one method of the stand-in."""

    owner: Standin
    protocol_version = "HTTP/1.1"

    def log_message(self, *details: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._note(None)
        match self.path:
            case "/api/version":
                self._json({"version": self.owner.behaviour.version})
            case "/api/tags":
                self._json({"models": self.owner.tags()})
            case _:
                self._json({"error": "page not found"}, 404)

    def do_HEAD(self) -> None:
        self._note(None)
        there = self.owner.blob(self.path.removeprefix("/api/blobs/")).exists()
        self.send_response(200 if there else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        if self.path.startswith("/api/blobs/"):
            self._receive(self.path.removeprefix("/api/blobs/"))
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(body)
        match self.path:
            case "/api/create" if body.get("adapters") and _is_new(self.owner.behaviour.version):
                self._json({"error": "LoRA adapters are no longer supported"}, 400)
            case "/api/create":
                self._lines(self.owner.make(body))
            case "/api/copy":
                self._copy(body["source"], body["destination"])
            case "/api/chat" | "/api/show":
                self._ask(body)
            case _:
                self._json({"error": "page not found"}, 404)

    def _copy(self, source: str, target: str) -> None:
        models = self.owner.models
        if source in models and not self.owner.behaviour.copy_fails:
            models[target] = models[source]
        found = source in models
        self._json(None if found else {"error": "not found"}, 200 if found else 404)

    def _ask(self, body: dict[str, Any]) -> None:
        made = self.owner.models.get(body["model"])
        if body["model"] == CLOUD:
            self._json({"remote_host": "https://ollama.com", "remote_model": "big"})
        elif made is None:
            self._json({"error": f"model '{body['model']}' not found"}, 404)
        elif self.path == "/api/show":
            self._json({"template": made.template, "details": {}})
        else:
            self._lines(self.owner.chat(body))

    def do_DELETE(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(body)
        there = self.owner.models.pop(body["model"], None)
        self._json(None if there else {"error": "not found"}, 200 if there else 404)

    def _receive(self, digest: str) -> None:
        self._note(None)
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if not DIGEST.fullmatch(digest) or hashlib.sha256(data).hexdigest() != digest[7:]:
            self._json({"error": "digest mismatch"}, 400)
            return
        self.owner.blob(digest).write_bytes(data)
        self._json(None, 201)

    def _note(self, body: Any) -> None:
        path = "/api/blobs" if self.path.startswith("/api/blobs/") else self.path
        what = f"{self.command} {path}"
        self.owner.asked.append((what, body))
        self.owner.mistakes += mistakes(what, body)

    def _json(self, value: Any, status: int = 200) -> None:
        content = b"" if value is None else json.dumps(value).encode()
        if value is not None and status == 200:
            self._checked(value)
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _lines(self, events: Iterator[dict[str, Any]]) -> None:
        first = next(events)
        if "error" in first:
            self._json({"error": first["error"]}, first["status"])
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in (first, *events):
                if "error" not in event:
                    self._checked(event)
                line = json.dumps(event).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                if self.owner.behaviour.chat_breaks and self.path == "/api/chat":
                    self.close_connection = True
                    return
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            self.close_connection = True

    def _checked(self, value: Any) -> None:
        wrong = unlike(API["paths"][f"{self.command} {self.path}"].get("response", {}), value)
        self.owner.mistakes += [f"answer of {self.path}: {problem}" for problem in wrong]


def _is_new(version: str) -> bool:
    """Whether that version refuses adapters."""
    return version == "0.0.0" or tuple(map(int, version.split("-")[0].split("."))) >= (0, 34, 1)


# --- Ollama's documents ---------------------------------------------------------------------------


def mistakes(what: str, body: Any) -> list[str]:
    """What Ollama's documents do not allow of a request."""
    known = API["paths"].get(what)
    if known is None:
        return [f"{what} does not exist"]
    if body is None:
        return [f"{what} wants a body"] if "request" in known else []
    wrong = unlike(known["request"], body)
    wrong += unlike({"properties": API["options"]}, body.get("options", {}))
    wrong += unlike({"properties": API["options"]}, body.get("parameters", {}))
    for message in body.get("messages", ()):
        if set(message) != {"role", "content"} or message["role"] not in API["message"]["roles"]:
            wrong.append("a message has other fields or another role")
    for file, digest in {**body.get("files", {}), **body.get("adapters", {})}.items():
        if not re.fullmatch(r"[\w.-]+\.gguf", file) or not DIGEST.fullmatch(digest):
            wrong.append(f"{file} is no relative name, or {digest} no digest")
    names = [body[key] for key in ("model", "source", "destination") if key in body]
    wrong += [f"{name!r} is no name" for name in names if not NAME.fullmatch(name)]
    return [f"{what}: {problem}" for problem in wrong]


def unlike(schema: Mapping[str, Any], value: Mapping[str, Any]) -> list[str]:
    """In what `value` differs from `schema`."""
    properties = schema.get("properties", {})
    wrong = [f"{key} is missing" for key in schema.get("required", ()) if key not in value]
    for key, content in value.items():
        if key not in properties:
            wrong.append(f"{key} is unknown")
        elif not isinstance(content, TYPES[properties[key]]) or (
            isinstance(content, bool) and properties[key] != "boolean"
        ):
            wrong.append(f"{key} is no {properties[key]}")
    return wrong


# --- Go's templates, as far as ours goes (pkg.go.dev/text/template) -------------------------------

_ACTION = re.compile(r"\{\{(?P<before>- )?\s*(?P<what>[^{}]*?)\s*(?P<after> -)?\}\}")


def render_go(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    """What Go makes of a template that knows `range .Messages`, `.Role`, `.Content` and `end`."""
    parts: list[str] = []
    end, trim = 0, False
    for action in _ACTION.finditer(template):
        text = template[end : action.start()]
        text = text.lstrip() if trim else text
        parts += [text.rstrip() if action["before"] else text, action["what"]]
        end, trim = action.end(), bool(action["after"])
    parts.append(template[end:].lstrip() if trim else template[end:])
    start, stop = parts.index("range .Messages"), parts.index("end")
    body = parts[start + 1 : stop]
    turns = []
    for message in messages:
        fields = {".Role": message["role"], ".Content": message["content"]}
        turns += [fields[part] if place % 2 else part for place, part in enumerate(body)]
    head, tail = parts[:start], parts[stop + 1 :]
    assert len(head) == len(tail) == 1, "an action that Go would know and this does not"
    return "".join((*head, *turns, *tail))
