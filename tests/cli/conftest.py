"""What the tests of commands share: the command line as it is run, and an owner with mail."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aitwin import artifact, cli

SMALL = "smollm2-135m-instruct"
CANARY = "zuccanary"
"""Stands in every mail and chat of these tests: no failing command may print it."""


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def refused(self, *said: str) -> None:
        """Exit code 1, one message with all of `said`, nothing of a mail, no traceback."""
        assert self.code == 1, self
        assert self.err.count("twin: ") == 1, self
        for words in said:
            assert words in self.err, self
        assert CANARY not in self.out + self.err
        assert "Traceback" not in self.err


Twin = Callable[..., Result]


@pytest.fixture
def twin(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Twin:
    """Run `twin` as installed, in this process: `twin("corpus", "show")`."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args: object, stdin: str = "") -> Result:
        import io

        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["twin", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def twin_process(home: Path) -> Twin:
    """Run `twin` as a process of its own."""

    def run(*args: object, stdin: str = "", **options: Any) -> Result:
        done = subprocess.run(
            [Path(sys.executable).with_name("twin"), *map(str, args)],
            input=stdin, capture_output=True, text=True, timeout=60, check=False, **options,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def _mbox(count: int, *, owner: str = "thota@x.example", start: int = 0) -> str:
    """A mailbox in which Ana asks and the owner answers, `count` times; no two alike."""
    mails = []
    for n in range(start, start + count):
        thing = "".join(chr(97 + (n * k) % 26) for k in (3, 5, 7, 11, 17)) * 2
        month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun")[n // 28 % 6]
        when = f"{n % 28 + 1} {month} {2019 + n // 168}"
        mails.append(
            f"From a Thu Jan  3 08:00:00 2024\nFrom: Ana <ana@y.example>\nTo: {owner}\n"
            f"Date: {when} 09:00:00 +0000\nMessage-ID: <a{n}@y>\nSubject: On {thing}\n\n"
            f"What about {thing}, {CANARY}?\n\n"
            f"From a Thu Jan  3 08:00:00 2024\nFrom: Thota <{owner}>\nTo: ana@y.example\n"
            f"Date: {when} 10:00:00 +0000\nMessage-ID: <b{n}@x>\nIn-Reply-To: <a{n}@y>\n"
            f"Subject: Re: On {thing}\n\n"
            f"Bring {n} buckets of type {thing}, the {thing} pump is out until {n} o'clock.\n\n"
        )
    return "".join(mails)


@pytest.fixture
def mbox() -> Callable[..., str]:
    """Makes the text of a mailbox: `mbox(30, start=100)`."""
    return _mbox


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    """A small mailbox: 60 messages, 30 pairs."""
    path = tmp_path / "Sent.mbox"
    path.write_text(_mbox(30))
    return path


@pytest.fixture
def owner(twin: Twin) -> Twin:
    """The command line of an owner who is known by one address and one chat name."""
    result = twin("init", "--name", "Thota", "--address", "thota@x.example", "--chat-name", "Thota")
    assert result.code == 0, result
    return twin


@pytest.fixture(scope="session")
def random_adapter(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the real shape with small random weights, in place of minutes of training."""
    import numpy as np
    from gguf import GGUFReader, GGUFType, GGUFWriter, Keys

    random, rank = np.random.default_rng(0), 8
    target = tmp_path_factory.mktemp("adapters") / "main"
    with artifact.building(target) as scratch:
        writer = GGUFWriter(scratch / "adapter.gguf", "llama")
        writer.add_type(GGUFType.ADAPTER)
        writer.add_string(Keys.Adapter.TYPE, "lora")
        writer.add_float32(Keys.Adapter.LORA_ALPHA, 2.0 * rank)
        for tensor in GGUFReader(smollm2).tensors:
            if tensor.name.endswith(("attn_q.weight", "attn_v.weight")):
                inputs, outputs = (int(size) for size in tensor.shape)
                for half, shape in (("a", (rank, inputs)), ("b", (outputs, rank))):
                    values = random.normal(0, 0.01, shape).astype(np.float32)
                    writer.add_tensor(f"{tensor.name}.lora_{half}", values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        manifest = {
            "kind": "adapter",
            "base": {"name": SMALL, "sha256": artifact.sha256(smollm2)},
            "files": {"adapter.gguf": artifact.sha256(scratch / "adapter.gguf")},
        }
        artifact.write_manifest(scratch, manifest)
    return target


@pytest.fixture
def trained(twin: Twin, home: Path, smollm2: Path, random_adapter: Path) -> Twin:
    """The command line of an owner with the small real model and an adapter."""
    twin("init", "--name", "Thota", "--address", "thota@x.example", "--base", SMALL)
    shelf = home / "models" / SMALL
    shelf.mkdir(parents=True)
    (shelf / "model.gguf").symlink_to(smollm2)
    manifest = {"sha256": artifact.sha256(smollm2), "bytes": smollm2.stat().st_size}
    artifact.write_manifest(shelf, manifest)
    (home / "adapters").mkdir()
    shutil.copytree(random_adapter, home / "adapters" / "main")
    return twin
