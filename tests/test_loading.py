"""What the twin reads cannot run: no pickle from outside, no YAML with objects, no code of models.

Read from the source itself, call by call. What may do it is listed with its reason.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "aitwin"
RUNNING = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
"""Modules whose files are programs."""
ALLOWED = {
    # Pipes between this process and those that it has started from its own code.
    "corpus/cores.py: pickle.load": 3,
    # The one pickle that a pull takes: its SHA-256 is checked, and it may name nothing at all.
    "downloads.py: pickle.Unpickler": 1,
}


def _name(node: ast.expr) -> str:
    """ "np.load" of `np.load(…)`."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "…"


def _says(call: ast.Call, name: str, value: object) -> bool:
    """Whether a call has that very argument, written out."""
    return any(
        keyword.arg == name
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value == value
        for keyword in call.keywords
    )


def dangers(source: str) -> Iterator[str]:
    """What could run something of a file that it reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            yield from (_name(base) for base in node.bases if "Unpickler" in _name(base))
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.partition(".")[0] in RUNNING | {"yaml"}:
                yield from (f"{module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Call):
            yield from _dangers_of(node)


def _dangers_of(call: ast.Call) -> Iterator[str]:
    name = _name(call.func)
    module, _, verb = name.rpartition(".")
    wrong = (
        module.partition(".")[0] in RUNNING and verb in ("load", "loads", "open", "Unpickler"),
        name == "torch.load" and not _says(call, "weights_only", True),
        name in ("np.load", "numpy.load") and not _says(call, "allow_pickle", False),
        module == "yaml" and verb not in ("safe_load", "safe_dump", "dump"),
        name in ("eval", "exec", "os.system", "os.popen", "__import__"),
        verb in ("extractall", "unpack_archive") and not _says(call, "filter", "data"),
        verb == "from_pretrained" and not _says(call, "local_files_only", True),
        any(_says(call, word, True) for word in ("trust_remote_code", "shell", "allow_pickle")),
    )
    if any(wrong):
        yield name


def test_nothing_that_is_read_can_run():
    """P1: weights, recordings, mail and archives come from others."""
    found: dict[str, int] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        for danger in dangers(file.read_text("utf-8")):
            key = f"{file.relative_to(SOURCE)}: {danger}"
            found[key] = found.get(key, 0) + 1
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=chosen)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "pickle.loads(data)",
        "from pickle import loads",
        "import joblib\njoblib.load(path)",
        "shelve.open(path)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "from yaml import load",
        "class Mine(pickle.Unpickler): pass",
        "tar.extractall(place)",
        "AutoModel.from_pretrained(name)",
        "AutoModel.from_pretrained(name, local_files_only=True, trust_remote_code=True)",
        "subprocess.run(command, shell=True)",
        "eval(text)",
        "exec(text)",
    ],
)
def test_each_danger_is_seen(source):
    assert list(dangers(source))


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path, map_location='cpu', weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "network.eval()",
        "tar.extractall(place, filter='data')",
        "AutoModel.from_pretrained(place, local_files_only=True)",
        "json.loads(text)",
    ],
)
def test_what_is_safe_is_left_alone(source):
    assert list(dangers(source)) == []
