"""Files that a pull fetches; how the shelf uses them is in test_models."""

import pickle
import sys
import venv
from hashlib import sha256

import pytest

from aitwin import downloads
from aitwin.downloads import Hub, Packaged
from aitwin.errors import TwinError


def test_git_knows_a_file_by_this_digest(tmp_path):
    """The example in git's own book (chapter 10.2)."""
    file = tmp_path / "a"
    file.write_bytes(b"what is up, doc?")
    assert downloads.git_blob(file) == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"


def test_a_file_of_the_hub_has_an_address():
    assert Hub("me/It", "abc", "a b/c.bin").path == "me/It/resolve/abc/a%20b/c.bin"


class Named:
    """Something that a pickle has to name."""


@pytest.mark.parametrize("value", [Named(), Named, len])
def test_a_pickle_that_names_anything_is_not_read(value):
    pickled = pickle.dumps({"A": value})
    source = Packaged("p==1", "m", pickle=sha256(pickled).hexdigest())
    with pytest.raises(TwinError, match=r"names .*: it is not read"):
        downloads._dictionary(pickled, source)


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A folder that pip takes packages from, and nothing else; none of this machine's settings."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def refusal(directory, requirement="tiny==1.0"):
    with pytest.raises(TwinError) as caught:
        downloads.fetch_packaged(Packaged(requirement, "m"), directory / "target")
    assert str(caught.value).startswith(f"pip could not download {requirement} (exit code ")
    assert str(caught.value).endswith(", and run the command again")
    return str(caught.value)


def test_a_python_without_pip_is_told_how_to_get_it(tmp_path, monkeypatch):
    """As uv makes them. It is no matter of the network."""
    venv.create(tmp_path / "bare", symlinks=True)
    bare = str(tmp_path / "bare" / "bin" / "python")
    monkeypatch.setattr(sys, "executable", bare)
    told = refusal(tmp_path)
    assert f"{bare} -m ensurepip" in told
    assert "network" not in told


def test_a_package_of_another_python_is_told(pip):
    (pip / "tiny-1.0-cp27-cp27m-win32.whl").write_bytes(b"")
    told = refusal(pip)
    assert "No matching distribution found for tiny==1.0 (Python 3." in told
    assert "which index" in told


def test_what_else_pip_says_is_passed_on(pip):
    (pip / "tiny-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    told = refusal(pip)
    assert "is invalid; see to that" in told
    assert "network" not in told


def test_a_network_that_is_down_is_told(pip, monkeypatch):
    """Nothing listens at port 9."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert "(exit code 1): check the network connection, and" in refusal(pip)


def test_a_full_disk_is_told():
    told = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    assert downloads._why(told) == "free some disk space"
    assert "did not say" in downloads._why("")
