"""Ollama's contract: every request is one that its documents allow, and every refusal is told.

Ollama itself is not here: a stand-in speaks its API, with a real model behind it.
"""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import gguf_samples
import pytest
from ollama_standin import CLOUD, Behaviour, Standin, mistakes, render_go
from style_samples import PERSONA, example

from aitwin import artifact, prompt
from aitwin.corpus.dataset import Dataset
from aitwin.errors import TwinError
from aitwin.prompt import Persona, Task
from aitwin.style import adapter as adapters
from aitwin.style import chat_format, gguf, modelfile, proof
from aitwin.style import deploy as deploying
from aitwin.style import graft as grafting
from aitwin.style.adapter import StyleAdapter
from aitwin.style.base import Base
from aitwin.style.deploy import Job, Watch, deploy, methods, require_gate, status
from aitwin.style.engine import LlamaCpp, Sampling, Score, TooLongError
from aitwin.style.modelfile import TEMPLATE, Model
from aitwin.style.ollama import OLDEST, STABLE, STABLE_BASE, VERSIONS, Ollama, OllamaEngine, Version

Finished = tuple[StyleAdapter, object, object]
CANARY = "zuccanary"
GREEDY = Sampling(24, temperature=0.0)
MESSAGES = prompt.messages(PERSONA, Task(f"Thank Ana for the spare parts, {CANARY}."))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with closing(Standin(tmp_path_factory.mktemp("blobs"))) as standin:
        yield standin


@pytest.fixture
def standin(running: Standin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """An empty Ollama of the newest version; at the end, no request may have been a mistake."""
    monkeypatch.setattr(proof, "PROBES", proof.PROBES[:1])
    monkeypatch.setattr(proof, "LONGEST", 60)
    running.reset()
    yield running
    assert running.mistakes == []


@pytest.fixture
def ollama(standin: Standin) -> Ollama:
    return Ollama(standin.url, patience=60)


@pytest.fixture
def job(finished: Finished, smollm2: Path, data: Dataset, tmp_path: Path) -> Job:
    """The trained adapter, in a directory of the test's own."""
    shutil.copytree(finished[0].path, tmp_path / "main")
    adapter = adapters.load(tmp_path / "main")
    return Job(adapter, smollm2, PERSONA, data.split("test")[:2], context=1024)


@pytest.fixture(scope="module")
def random_adapter(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that answers otherwise from the first word on, and a graft of it."""
    made = tmp_path_factory.mktemp("random")
    factors = gguf_samples.random_factors(smollm2, size=0.2, matrices=("attn_q", "attn_v"))
    gguf_samples.peft_adapter(made / "main", factors)
    digest = artifact.sha256(smollm2)
    gguf.from_peft(made / "main", Base("small", smollm2, digest, made), made / "main/adapter.gguf")
    files = {file.name: artifact.sha256(file) for file in (made / "main").iterdir()}
    base = {"name": "small", "sha256": digest}
    artifact.write_manifest(made / "main", {"kind": "adapter", "base": base, "files": files})
    grafting.graft(made / "main", smollm2, made / "twin.gguf")
    return made / "main"


@pytest.fixture
def quick(
    random_adapter: Path, smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Job:
    """That adapter; its graft is copied, answers are short, and no replies are scored."""

    def graft(adapter: Path, base: Path, target: Path, **options: Any) -> None:
        shutil.copyfile(random_adapter.parent / "twin.gguf", target)

    monkeypatch.setattr(grafting, "graft", graft)
    monkeypatch.setattr(proof, "LONGEST", 4)
    shutil.copytree(random_adapter, tmp_path / "main")
    return Job(adapters.load(tmp_path / "main"), smollm2, PERSONA, context=1024)


def other(job: Job, trait: str) -> Job:
    """The same adapter for an owner of another manner: another model to Ollama."""
    return replace(job, persona=Persona("Thota", (trait,)))


@pytest.fixture
def worse(quick: Job) -> Job:
    """A job that fails its proof: such an adapter finds no sentence likely."""
    return replace(other(quick, "wordy"), held_out=[example("Ana: well?", "I will be there.")])


# --- Deploying ------------------------------------------------------------------------------------


def test_a_twin_is_made_proved_and_named(ollama: Ollama, standin: Standin, job: Job) -> None:
    """W1, DESIGN decisions 1, 3 and 4."""
    stages: list[str] = []
    sent: list[tuple[int, int]] = []
    done = deploy(ollama, job, Watch(stages.append, lambda *bytes_: sent.append(bytes_)))
    assert (done.method, done.made, done.previous) == ("graft", True, None)
    assert done.name.startswith("aitwin-main:")
    assert done.differing == 1
    assert done.log_probability_twin > done.log_probability_base  # type: ignore[operator]
    assert sent[-1][0] == sent[-1][1]
    assert "success" in stages
    assert set(standin.models) == {done.name, done.base, STABLE, STABLE_BASE}
    twin, base = standin.models[STABLE], standin.models[STABLE_BASE]
    assert (twin, base) == (standin.models[done.name], standin.models[done.base])
    assert twin.files.keys() == {"twin.gguf"}
    assert not twin.adapters
    assert twin.system == prompt.system(PERSONA)
    assert {"<|im_end|>", "<|endoftext|>"} <= set(twin.parameters["stop"])
    assert twin.parameters["num_ctx"] == 1024
    usual = Sampling()
    assert twin.parameters["temperature"] == usual.temperature
    assert twin.parameters["repeat_penalty"] == usual.repeat_penalty
    assert not (job.adapter.path / "twin.gguf").exists()
    adapters.load(job.adapter.path)  # what was added does not spoil it


def test_repeating_it_verifies_and_changes_nothing(
    ollama: Ollama, standin: Standin, quick: Job
) -> None:
    first = deploy(ollama, quick)
    before, standin.asked[:] = dict(standin.models), []
    again = deploy(ollama, quick)
    assert again == replace(first, made=False, previous=first.name)
    assert standin.models == before
    asked = {what for what, _ in standin.asked}
    assert not asked & {"POST /api/create", "POST /api/blobs", "POST /api/copy"}
    assert "POST /api/chat" in asked


def test_the_next_twin_takes_the_name_and_the_one_before_stays(
    ollama: Ollama, standin: Standin, quick: Job
) -> None:
    names = []
    for trait in ("dry", "warm", "curt"):
        names.append(deploy(ollama, other(quick, trait)))
    assert len({done.name for done in names}) == 3
    assert names[2].previous == names[1].name
    assert standin.models[STABLE] == standin.models[names[2].name]
    assert names[0].name not in standin.models
    assert names[1].name in standin.models
    # The base is the same file: it was uploaded once.
    assert standin.count("POST /api/blobs") == 1 + 1
    shown = status(ollama)
    assert (shown.twin, shown.base) == (names[2].name, names[2].base)
    assert shown.names[0].name in (names[2].name, names[2].base)


def test_an_old_ollama_gets_the_lora(ollama: Ollama, standin: Standin, job: Job) -> None:
    standin.behaviour.version = "0.34.0"
    done = deploy(ollama, job)
    assert done.method == "lora"
    twin = standin.models[STABLE]
    assert twin.files == standin.models[STABLE_BASE].files
    assert twin.adapters.keys() == {"adapter.gguf"}
    assert done.log_probability_twin > done.log_probability_base  # type: ignore[operator]
    text = (job.adapter.path / "Modelfile").read_text()
    assert "\nFROM ./base.gguf\nADAPTER ./adapter.gguf\n" in text


def test_a_lora_that_is_refused_at_the_first_draft_becomes_a_graft(
    ollama: Ollama, standin: Standin, quick: Job
) -> None:
    """Some architectures refuse adapters when they generate, although `create` succeeded."""
    standin.behaviour = Behaviour("0.34.0", chat_error=f"loras are not yet implemented {CANARY}")
    stages: list[str] = []
    done = deploy(ollama, quick, Watch(stages.append))
    assert done.method == "graft"
    assert not any(made.adapters for made in standin.models.values())
    assert any("the other way" in stage for stage in stages)
    assert standin.count("POST /api/blobs") == 3  # base, LoRA, graft: the base once
    assert CANARY not in "".join(stages)
    standin.asked.clear()
    assert deploy(ollama, quick).made is False
    assert standin.count("POST /api/create") == 0


# --- What fails -----------------------------------------------------------------------------------


def test_a_twin_that_is_no_better_is_taken_away(
    ollama: Ollama, standin: Standin, quick: Job, worse: Job
) -> None:
    """DESIGN decision 3. The earlier twin stays."""
    good = deploy(ollama, quick)
    with pytest.raises(TwinError, match="less likely"):
        deploy(ollama, worse)
    assert standin.models[STABLE] == standin.models[good.name]
    assert not [
        name for name in standin.models if name.startswith("aitwin-main:") and name != good.name
    ]
    assert not (quick.adapter.path / "twin.gguf").exists()
    assert deploy(ollama, quick).made is False


def test_the_first_twin_that_fails_leaves_no_name(
    ollama: Ollama, standin: Standin, worse: Job
) -> None:
    with pytest.raises(TwinError, match="less likely"):
        deploy(ollama, worse)
    assert standin.models == {}
    assert not (worse.adapter.path / "ollama.json").exists()


def test_a_name_that_cannot_be_moved_is_put_back(
    ollama: Ollama, standin: Standin, quick: Job
) -> None:
    good = deploy(ollama, quick)
    standin.behaviour.copy_fails = True
    with pytest.raises(TwinError, match="did not rename"):
        deploy(ollama, other(quick, "curt"))
    assert standin.models[STABLE] == standin.models[good.name]


def full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this one file not be written."""
    real = artifact.writing

    def writing(file: Path) -> Any:
        if file == path:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file)

    monkeypatch.setattr(artifact, "writing", writing)


@pytest.mark.parametrize(("when", "first"), [("before", True), ("after", False)])
def test_a_record_that_cannot_be_written_changes_nothing(
    ollama: Ollama,
    standin: Standin,
    quick: Job,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    first: bool,
) -> None:
    """Whether the disk is full before the names move, or the file cannot take its place after."""
    if not first:
        deploy(ollama, quick)
    before = dict(standin.models)
    record = quick.adapter.path / "ollama.json"
    if when == "before":
        full_disk(record, monkeypatch)
    else:
        record.unlink(missing_ok=True)
        record.mkdir()
    with pytest.raises(TwinError, match=r"ollama\.json cannot be written"):
        deploy(ollama, other(quick, "curt"))
    assert standin.models == before


def test_a_ledger_that_cannot_be_written_makes_nothing(
    ollama: Ollama, standin: Standin, quick: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(quick.adapter.path.parent / deploying.LEDGER, monkeypatch)
    with pytest.raises(TwinError, match="free some space"):
        deploy(ollama, quick)
    assert standin.models == {}


def test_a_name_that_cannot_be_put_back_is_told(
    ollama: Ollama, standin: Standin, quick: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = deploy(ollama, quick)
    real, copied = ollama.copy, list[str]()

    def copy(source: str, target: str) -> None:
        if copied:
            raise TwinError("Ollama does not listen")
        copied.append(target)
        real(source, target)

    monkeypatch.setattr(ollama, "copy", copy)
    told = rf"does not listen.*aitwin:latest could not be put back.*`ollama cp {good.name} aitwin:"
    with pytest.raises(TwinError, match=told) as error:
        deploy(ollama, replace(quick, persona=Persona("Thota", ("curt",)), context=512))
    assert "aitwin-base:latest could not" not in str(error.value)
    assert good.name in standin.models


def test_models_of_the_owner_are_never_taken_away(
    ollama: Ollama, standin: Standin, quick: Job
) -> None:
    """Whatever they are called: what no deployment noted is not ours."""
    first = deploy(ollama, quick)
    theirs = replace(standin.models[first.name], system="my own")
    kept = ("aitwin-notes:latest", "aitwin-main:0123456789ab", "aitwin-kept:0123456789ab")
    standin.models |= {
        name: replace(theirs, system=f"my own {index}") for index, name in enumerate(kept)
    }
    for trait in ("warm", "curt"):
        deploy(ollama, other(quick, trait))
    assert first.name not in standin.models
    assert set(kept) <= set(standin.models)


class Counted:
    """In llama.cpp's place: finds replies likelier under a twin, and counts what is loaded."""

    loaded: ClassVar[list[str]] = []
    most = 0

    def __init__(self, base: Path, adapter: Path | None = None) -> None:
        self._name = base.name
        self.loaded.append(self._name)
        Counted.most = max(Counted.most, len(self.loaded))

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *error: object) -> None:
        self.loaded.remove(self._name)

    def score(self, messages: object, reply: str, *, adapted: bool) -> Score:
        if "long" in reply:
            raise TooLongError
        return Score(-10.0 if self._name == "twin.gguf" else -50.0, 10)


def test_one_model_is_in_memory_at_a_time(
    ollama: Ollama, standin: Standin, quick: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1: two 7B models, and the same two in Ollama, would not fit into 16 GB."""
    monkeypatch.setattr(deploying, "LlamaCpp", Counted)
    held_out = [example("Ana: well?", reply) for reply in ("I will.", "a long one", "No.")]
    done = deploy(ollama, replace(quick, held_out=held_out))
    assert (Counted.most, Counted.loaded) == (1, [])
    assert (done.log_probability_base, done.log_probability_twin) == (-5.0, -1.0)
    unloaded = [
        body["model"]
        for what, body in standin.asked
        if what == "POST /api/chat" and body.get("keep_alive") == "0s"
    ]
    assert unloaded == [done.base, done.name]


def test_what_the_owner_named_aitwin_is_kept_under_another_name(
    ollama: Ollama, standin: Standin, quick: Job
) -> None:
    theirs = deploy(ollama, quick).name
    made = standin.models.pop(theirs)
    standin.models[STABLE] = replace(made, system="my own")
    done = deploy(ollama, other(quick, "curt"))
    assert done.previous
    assert standin.models[done.previous].system == "my own"


@pytest.mark.parametrize("fault", ["disk", "proof"])
def test_only_a_refused_adapter_is_tried_otherwise(
    ollama: Ollama, standin: Standin, quick: Job, worse: Job, fault: str
) -> None:
    standin.behaviour.version = "0.34.0"
    if fault == "disk":
        standin.behaviour.create_error = "adapter.gguf: no space left on device"
    with pytest.raises(TwinError, match="free some space" if fault == "disk" else "less likely"):
        deploy(ollama, quick if fault == "disk" else worse)
    assert standin.models == {}
    made = [body for what, body in standin.asked if what == "POST /api/create"]
    assert not any("twin.gguf" in body["files"] for body in made)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("write: no space left on device", "free some space"),
        ("unsupported architecture", "update Ollama"),
        (f"something new about {CANARY}", "its own log says why"),
    ],
)
def test_a_create_that_fails_is_told(
    ollama: Ollama, standin: Standin, quick: Job, says: str, told: str
) -> None:
    standin.behaviour.create_error = says
    with pytest.raises(TwinError, match=told) as error:
        deploy(ollama, quick)
    assert CANARY not in str(error.value)
    assert standin.models == {}


def test_a_base_that_is_no_chatml_is_refused_before_ollama_is_asked(
    ollama: Ollama, standin: Standin, quick: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelfile, "render", lambda messages: "[INST] hello [/INST]")
    with pytest.raises(TwinError, match="is not ChatML"):
        deploy(ollama, quick)
    assert standin.asked == []


def test_the_gate_of_the_evaluation(quick: Job) -> None:
    file = quick.adapter.path / "evaluation.json"
    assert "twin eval" in require_gate(quick.adapter)
    digest = artifact.sha256(quick.adapter.path / artifact.MANIFEST)

    def judged(passed: bool, *reasons: str, adapter: str = digest) -> None:
        gate = {"passed": passed, "reasons": reasons}
        file.write_text(json.dumps({"adapter": adapter, "gate": gate}))

    judged(True)
    assert require_gate(quick.adapter) == ""
    judged(False, "canaries: 2, 0 allowed")
    with pytest.raises(TwinError, match=r"canaries: 2, 0 allowed.*--force"):
        require_gate(quick.adapter)
    judged(True, adapter="of another training")
    assert "trained again since" in require_gate(quick.adapter)
    for broken in ("", "[]", '{"gate": 3}'):
        file.write_text(broken)
        assert "twin eval" in require_gate(quick.adapter)


# --- Versions -------------------------------------------------------------------------------------


def test_versions_decide_how_and_whether(ollama: Ollama, standin: Standin) -> None:
    for text, expected in (
        ("0.35.0", (0, 35, 0)),
        ("0.34.1-rc2", (0, 34, 1)),
        ("1.0.10", (1, 0, 10)),
        ("0.12.6-dirty", (0, 12, 6)),
        ("v0.13.0-dirty", (0, 13, 0)),
        ("0.12.7-rc1", (0, 12, 7)),
        ("0.0.0", (0, 0, 0)),
    ):
        standin.behaviour.version = text
        assert ollama.version() == expected
    assert methods(Version(0, 34, 0)) == ("lora", "graft")
    assert methods(Version(0, 0, 0)) == ("graft",)
    assert methods(Version(0, 34, 1)) == methods(Version(1, 0, 0)) == ("graft",)
    assert all(change.source and change.what for change in VERSIONS.values())
    for text, told in (
        ("0.12.5", "too old"),
        ("0.12.6-rc1", "0.12.6-rc1 is too old"),
        ("", "does not say"),
        ("latest", "does not say"),
        ("1.2.3.4", "does not say"),
    ):
        standin.behaviour.version = text
        with pytest.raises(TwinError, match=told):
            ollama.version()
    assert str(OLDEST) == "0.12.6"


ASKED: dict[str, Callable[[Ollama], object]] = {
    "version": lambda ollama: ollama.version(),
    "tags": lambda ollama: ollama.tags(),
    "show": lambda ollama: ollama.require_local("m"),
    "create": lambda ollama: ollama.create({"model": "m"}, lambda status: None),
    "chat": lambda ollama: list(OllamaEngine(ollama, "m").stream(MESSAGES, GREEDY)),
}


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        *((what, answer) for what in ASKED for answer in (b"[]", b"null", b"", b"3", b"<html>")),
        *(("tags", answer) for answer in (b'{"models": [{}]}', b'{"models": 3}')),
    ],
)
def test_another_program_at_its_address_is_told(what: str, answer: bytes) -> None:
    with closing(Parrot(answer)) as parrot, pytest.raises(TwinError) as error:
        ASKED[what](Ollama(parrot.url))
    assert parrot.url in str(error.value) or (what, answer) == ("create", b"")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b'{"error": "zuccanary", "status": "bad"}', "gave up"),
        (b'{"message": "zuccanary"}', "another program listens"),
        (b'{"error": "failed to load lora zuccanary"}', "does not take the adapter"),
    ],
)
def test_odd_words_amid_a_draft_are_told(answer: bytes, told: str) -> None:
    with closing(Parrot(answer)) as parrot, pytest.raises(TwinError, match=told) as error:
        list(OllamaEngine(Ollama(parrot.url), "m").stream(MESSAGES, GREEDY))
    assert CANARY not in str(error.value)


class Parrot:
    """A server that answers everything with the same words."""

    def __init__(self, answer: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *details: object) -> None:
                pass

            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_an_absent_ollama_is_told_with_how_to_start_it(unused_url: str) -> None:
    """O3: on loopback, and without its cloud."""
    with pytest.raises(TwinError, match=r"OLLAMA_HOST=127\.0\.0\.1:11434 OLLAMA_NO_CLOUD=1"):
        Ollama(unused_url).version()


@pytest.fixture
def unused_url() -> str:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# --- Writing --------------------------------------------------------------------------------------


@pytest.fixture
def base(ollama: Ollama, standin: Standin, quick: Job) -> OllamaEngine:
    """The base alone, under both names."""
    ollama.upload(quick.base, quick.adapter.base_digest, lambda done, total: None)
    model = quick.model({"base.gguf": quick.adapter.base_digest})
    ollama.create(model.request(STABLE), lambda status: None)
    ollama.copy(STABLE, STABLE_BASE)
    return OllamaEngine(ollama, context=1024, keep_alive=5)


def test_it_writes_what_the_embedded_engine_writes(
    base: OllamaEngine, standin: Standin, engine: LlamaCpp
) -> None:
    """W2. So template, stops and sampling are those of training (DESIGN decision 2)."""
    pieces = list(base.stream(MESSAGES, GREEDY))
    assert len(pieces) > 1
    assert "".join(pieces).strip() == "".join(engine.stream(MESSAGES, GREEDY)).strip()
    (body,) = [body for what, body in standin.asked if what == "POST /api/chat"]
    assert body["keep_alive"] == "300s"
    assert body["truncate"] is body["shift"] is False


def test_a_prompt_that_is_too_long_is_refused_not_cut(base: OllamaEngine) -> None:
    long = example(f"{CANARY} " * 900).messages[:-1]
    with pytest.raises(TooLongError, match=r"has \d{4} tokens, the context holds 1024") as error:
        list(base.stream(long, GREEDY))
    assert CANARY not in str(error.value)


def test_closing_hangs_up(base: OllamaEngine) -> None:
    pieces = base.stream(MESSAGES, GREEDY)
    assert next(pieces)
    pieces.close()
    assert "".join(base.stream(MESSAGES, GREEDY))


def test_what_a_stream_may_end_with(base: OllamaEngine, standin: Standin) -> None:
    standin.behaviour.chat_breaks = True
    with pytest.raises(TwinError, match="stopped amid"):
        list(base.stream(MESSAGES, GREEDY))


def test_models_that_are_not_there_or_not_here(ollama: Ollama) -> None:
    """W4: a cloud model is asked nothing."""
    with pytest.raises(TwinError, match=r"no model aitwin:latest; run `twin deploy writer`"):
        list(OllamaEngine(ollama).stream(MESSAGES, GREEDY))
    with pytest.raises(TwinError, match="is a cloud model"):
        list(OllamaEngine(ollama, CLOUD).stream(MESSAGES, GREEDY))
    with pytest.raises(TwinError, match=r"writer\.base_model"):
        list(OllamaEngine(ollama, CLOUD, "").stream(MESSAGES, GREEDY, adapted=False))


# --- Prompts --------------------------------------------------------------------------------------


def test_the_template_gives_the_bytes_of_the_base(engine: LlamaCpp, smollm2: Path) -> None:
    """DESIGN decision 2, through llama.cpp's reading of the base's own template."""
    conversations: list[list[prompt.ChatMessage]] = [
        MESSAGES,
        [
            *MESSAGES,
            {"role": "assistant", "content": "No.\n\nT."},
            {"role": "user", "content": "Ü {{ .x }}"},
        ],
    ]
    for messages in conversations:
        go = render_go(TEMPLATE, messages)
        own = engine._post("/apply-template", {"messages": messages, "add_generation_prompt": True})
        assert go == modelfile.render(messages) == own["prompt"]
    modelfile.require_chatml(smollm2, PERSONA)


@pytest.mark.parametrize(
    "change",
    [
        ("message['content']", "message['content'] | trim"),
        ("message['content']", "message['content'] | e"),
        ("{% for message in messages %}", "{% for message in messages[:2] %}"),
        ("{% for message in messages %}", "{% for message in messages if message['content'] %}"),
    ],
)
def test_a_template_that_differs_anywhere_is_refused(
    smollm2: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str]
) -> None:
    """DESIGN decision 2: in later turns, at ends, in what is empty, in other letters."""
    chat = chat_format.read_chat(smollm2)
    other_chat = replace(chat, template=chat.template.replace(*change))
    assert other_chat != chat
    monkeypatch.setattr(chat_format, "read_chat", lambda base: other_chat)
    with pytest.raises(TwinError, match="is not ChatML"):
        modelfile.require_chatml(smollm2, PERSONA)


def test_a_context_beyond_what_the_base_was_trained_for(smollm2: Path) -> None:
    trained = chat_format.read_chat(smollm2).context
    modelfile.require_context(smollm2, trained)
    with pytest.raises(TwinError, match=f"context = {trained} or less"):
        modelfile.require_context(smollm2, trained + 1)


def test_the_modelfile_says_what_the_request_says(smollm2: Path) -> None:
    model = Model({"twin.gguf": "0" * 64}, system='Say """no""".', sampling=Sampling(40))
    text = model.text("made here")
    assert text.startswith("# made here\nFROM ./twin.gguf\n")
    assert f'TEMPLATE """{TEMPLATE}"""' in text
    assert "SYSTEM \"\"\"Say '''no'''.\"\"\"" in text
    for line in ('stop "<|im_end|>"', 'stop "<|endoftext|>"', "num_predict 40", "num_ctx 4096"):
        assert f"PARAMETER {line}\n" in text
    assert mistakes("POST /api/create", model.request("aitwin:latest")) == []
    assert "no" not in repr(model)


def test_the_checker_finds_mistakes() -> None:
    """Else the contract above would prove nothing."""
    good = Model({"twin.gguf": "0" * 64}).request("aitwin:latest")
    for change in ({"modelfile": "FROM x"}, {"files": {"/x.gguf": "sha256:0"}}, {"model": "a b"}):
        assert mistakes("POST /api/create", {**good, **change})
    assert mistakes("POST /api/chat", {"model": "m"})
    assert mistakes("POST /api/chat", {"model": "m", "messages": [], "options": {"seeds": 1}})
    assert mistakes("POST /api/embed", {})


def test_a_name_is_one_that_ollama_allows() -> None:
    for name in ("main", "Meine Mails 2024", "…", "a" * 80):
        assert mistakes("DELETE /api/delete", {"model": f"aitwin-{deploying._slug(name)}:0a"}) == []
