"""What every test gets: a fresh home, no network, the shared corpora and the small real model."""

import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Ctrl-C works in every process that a test starts, even where a shell started this one with &.

    Such a shell has it ignored, which processes inherit.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TWIN_HOME of the test's own: no test can see, or spoil, the owner's."""
    path = tmp_path / "twin-home"
    monkeypatch.setenv("TWIN_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def shared() -> Path:
    """Other people's mailboxes and golden vectors, beside the checkout; never in it."""
    path = REPOSITORY.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"other people's data is not here: {path}")
    return path


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct, Q4_1 GGUF: the smallest real base model (`make test` pulls it)."""
    path = REPOSITORY / ".cache" / "models" / "smollm2-135m-instruct" / "model.gguf"
    if not path.is_file():
        pytest.skip("the small model is not here; `make test` pulls it (93 MB)")
    return path
