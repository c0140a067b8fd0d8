"""What every test gets: a fresh home, no network, the shared corpora and the small real model."""

import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Ctrl-C and a closed terminal end what a test starts, however these tests were started.

    A shell that started them with & has the one ignored, nohup the other, and processes inherit it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


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
