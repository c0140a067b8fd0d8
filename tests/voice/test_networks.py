import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.voice import networks

SILERO = ("silero_vad", "data/silero_vad_16k_sequence.onnx")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package of the test's own, still empty."""
    origin = str(tmp_path / "__init__.py")
    monkeypatch.setattr(networks, "find_spec", lambda name: ModuleSpec(name, None, origin=origin))
    return tmp_path


def test_a_network_opens_without_its_package() -> None:
    """silero_vad would import torch, speechmos librosa."""
    for name, file in (SILERO, ("speechmos", "dnsmos_models/sig_bak_ovr.onnx")):
        assert networks.open_(name, file).get_inputs()
        assert name not in sys.modules


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(TwinError, match=r"no_such_package is not installed; .*aitwin\[clone\]"):
        networks.open_("no_such_package", "network.onnx")


def test_a_package_without_its_network_is_named(package: Path) -> None:
    with pytest.raises(TwinError, match=r"silero_vad is installed without its silero.*\.onnx"):
        networks.open_(*SILERO)


def test_a_damaged_network_is_named(package: Path) -> None:
    (package / "data").mkdir()
    (package / SILERO[1]).write_bytes(b"no network")
    with pytest.raises(TwinError, match=r"sequence\.onnx does not load .*pip install"):
        networks.open_(*SILERO)


def test_a_missing_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(TwinError, match=r"onnxruntime does not load .*aitwin\[clone\]"):
        networks.open_(*SILERO)
