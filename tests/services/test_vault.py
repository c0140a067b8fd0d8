"""The vault (V4, P4): for real with gocryptfs where it is, and what hdiutil says, as recorded.

hdiutil's words: hdiutil(1) of macOS 14, and public reports of its errors.
"""

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.home import VAULT_PARTS, Home, Settings
from aitwin.services import volume
from aitwin.services.commands import Done
from aitwin.services.vault import Vault, finding
from aitwin.services.volume import SparseImage
from tests.services.said import Said

WORDS = "four wet dogs in a van"


def _can_mount() -> bool:
    return (
        sys.platform == "linux"
        and bool(shutil.which("gocryptfs"))
        and bool(shutil.which("fusermount3") or shutil.which("fusermount"))
        and os.access("/dev/fuse", os.W_OK)
    )


mounts = pytest.mark.skipif(
    not _can_mount(), reason="gocryptfs, or the right to mount with it, is not on this machine"
)


@pytest.fixture
def owner(tmp_path: Path):
    home = Home(tmp_path / "owner").open()
    home.write_settings(Settings("Ana", ("ana@x.example",)))
    for part in ("corpus", "datasets/main", "adapters/main"):
        artifact.write_private(home.root / part / "content", f"zuccanary of {part}")
    (home.root / "datasets" / "empty").mkdir(mode=0o700)
    yield home
    subprocess.run(["fusermount3", "-uz", home.root / "vault"], capture_output=True, check=False)


@mounts
def test_what_is_private_moves_in_and_is_nowhere_on_the_disk(owner: Home) -> None:
    vault = Vault(owner)
    state = vault.create(WORDS, 1 << 30)
    assert state.is_open
    assert set(state.inside) == set(VAULT_PARTS)
    assert (owner.datasets / "main" / "content").read_text() == "zuccanary of datasets/main"
    assert (owner.datasets / "empty").is_dir()
    vault.close()
    on_disk = [path for path in owner.root.rglob("*") if path.is_file()]
    assert on_disk
    assert not [path for path in on_disk if b"zuccanary" in path.read_bytes()]
    vault.open(WORDS)
    artifact.write_private(owner.adapters / "second" / "content", "new")
    vault.close()
    vault.open(WORDS)
    assert (owner.adapters / "second" / "content").read_text() == "new"


@mounts
def test_a_locked_vault_is_told_and_nothing_is_written_in_its_place(owner: Home) -> None:
    vault = Vault(owner)
    vault.create(WORDS, 1 << 30)
    vault.close()
    for read in ("corpus", "datasets", "adapters", "voices"):
        with pytest.raises(TwinError, match="the vault is locked"):
            getattr(owner, read)
    assert not any((owner.root / "vault").iterdir())
    with pytest.raises(TwinError, match="passphrase is not the vault's"):
        vault.open("five dry cats in a tin")
    assert not vault.state().is_open


@mounts
def test_a_move_that_was_stopped_goes_on(owner: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from aitwin.services import vault as module

    vault = Vault(owner)
    copied = module._copied

    def stopped(source: Path, target: Path, report: object) -> None:
        if source.name == "datasets":
            raise KeyboardInterrupt
        copied(source, target, report)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_copied", stopped)
    with pytest.raises(KeyboardInterrupt):
        vault.create(WORDS, 1 << 30)
    assert (owner.root / "datasets" / "main" / "content").is_file()
    assert vault.state().outside == ("datasets", "adapters")
    monkeypatch.undo()
    assert vault.create("", 0).outside == ()
    assert (owner.datasets / "main" / "content").read_text() == "zuccanary of datasets/main"


@mounts
def test_everything_moves_out_again(owner: Home) -> None:
    vault = Vault(owner)
    vault.create(WORDS, 1 << 30)
    vault.dissolve()
    assert not vault.state().exists
    assert not (owner.root / "datasets").is_symlink()
    assert (owner.datasets / "main" / "content").read_text() == "zuccanary of datasets/main"
    assert not [path for path in owner.root.iterdir() if path.is_symlink()]


@mounts
def test_a_vault_in_use_is_closed_only_by_force(owner: Home) -> None:
    vault = Vault(owner)
    vault.create(WORDS, 1 << 30)
    with (owner.corpus / "content").open():
        with pytest.raises(TwinError, match="--force"):
            vault.close()
        vault.close(force=True)
    assert not vault.state().is_open


@mounts
def test_a_mount_point_that_holds_something_is_not_covered(owner: Home) -> None:
    vault = Vault(owner)
    vault.create(WORDS, 1 << 30)
    vault.close()
    (owner.root / "vault" / "stray").touch()
    with pytest.raises(TwinError, match="is not empty"):
        vault.open(WORDS)


@mounts
def test_doctor_tells_what_lies_outside(owner: Home) -> None:
    vault = Vault(owner)
    assert finding(owner, Said()).state == "ok"
    vault.create(WORDS, 1 << 30)
    assert "open, holds" in finding(owner, Said()).evidence
    (owner.root / "voices").unlink()
    artifact.write_private(owner.root / "voices" / "x", "x")
    assert finding(owner, Said()).state == "bad"


@mounts
def test_what_came_to_lie_outside_joins_what_is_in_the_vault(owner: Home) -> None:
    vault = Vault(owner)
    vault.create(WORDS, 1 << 30)
    (owner.root / "adapters").unlink()
    artifact.write_private(owner.root / "adapters" / "second" / "content", "new")
    assert vault.create("", 0).outside == ()
    assert (owner.adapters / "main" / "content").read_text() == "zuccanary of adapters/main"
    assert (owner.adapters / "second" / "content").read_text() == "new"


@mounts
def test_two_that_are_not_the_same_are_left_to_the_owner(owner: Home) -> None:
    vault = Vault(owner)
    vault.create(WORDS, 1 << 30)
    (owner.root / "adapters").unlink()
    artifact.write_private(owner.root / "adapters" / "main" / "content", "another")
    with pytest.raises(TwinError, match="nothing was deleted"):
        vault.create("", 0)
    with pytest.raises(TwinError, match="nothing was deleted"):
        vault.dissolve()
    assert (owner.root / "adapters" / "main" / "content").read_text() == "another"
    inner = owner.root / "vault" / "adapters" / "main" / "content"
    assert inner.read_text() == "zuccanary of adapters/main"


@mounts
def test_what_is_written_while_it_moves_is_not_lost(
    owner: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aitwin.services import vault as module

    vault = Vault(owner)
    copied = module._copied

    def late(source: Path, target: Path, report: object) -> None:
        copied(source, target, report)  # type: ignore[arg-type]
        if source.name == "corpus":
            artifact.write_private(source / "late", "a message")

    monkeypatch.setattr(module, "_copied", late)
    with pytest.raises(TwinError, match="changed while it moved"):
        vault.create(WORDS, 1 << 30)
    assert (owner.root / "corpus" / "late").read_text() == "a message"
    monkeypatch.undo()
    assert vault.create("", 0).outside == ()
    assert (owner.corpus / "late").read_text() == "a message"


@mounts
@pytest.mark.parametrize("at", ["unlink", "rename", "rmtree"])
def test_a_move_out_that_was_stopped_goes_on(
    owner: Home, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    from aitwin.services import vault as module

    vault = Vault(owner)
    vault.create(WORDS, 1 << 30)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if at == "rmtree":
            patch.setattr(module.shutil, at, stop)
        else:
            patch.setattr(Path, at, stop)
        with pytest.raises(KeyboardInterrupt):
            vault.dissolve()
    vault.dissolve()
    assert (owner.corpus / "content").read_text() == "zuccanary of corpus"
    assert (owner.datasets / "main" / "content").read_text() == "zuccanary of datasets/main"
    assert not [path for path in owner.root.iterdir() if path.name.startswith(".corpus")]


@mounts
def test_what_the_owner_put_into_the_vault_is_not_deleted_with_it(owner: Home) -> None:
    vault = Vault(owner)
    vault.create(WORDS, 1 << 30)
    (owner.root / "vault" / "will.txt").write_text("mine")
    with pytest.raises(TwinError, match=r"holds will\.txt"):
        vault.dissolve()
    assert (owner.root / "vault" / "will.txt").read_text() == "mine"


def test_nothing_moves_while_the_twin_is_served(owner: Home) -> None:
    from aitwin.services import serving

    with serving.alone(owner) as directory:
        address = serving.Address("http://127.0.0.1:8787", "a socket", os.getpid())
        with serving.announced(directory, address), pytest.raises(TwinError, match="is served"):
            Vault(owner, Said()).create(WORDS, 1 << 30)
    assert not Vault(owner, Said()).state().exists


# --- macOS ----------------------------------------------------------------------------------------

ATTACHED = {
    "system-entities": [
        {"content-hint": "GUID_partition_scheme", "dev-entry": "/dev/disk4"},
        {
            "content-hint": "Apple_APFS",
            "dev-entry": "/dev/disk5s1",
            "mount-point": "{mount}",
            "volume-kind": "apfs",
        },
    ]
}


def image(tmp_path: Path, said: dict[str, Done | str]) -> tuple[SparseImage, Said]:
    commands = Said(said)
    (tmp_path / "vault").mkdir()
    return SparseImage(tmp_path / "twin.sparsebundle", tmp_path / "vault", commands), commands


def test_a_sparse_image_is_made_encrypted_and_the_passphrase_is_no_argument(tmp_path: Path) -> None:
    made, commands = image(tmp_path, {"hdiutil create": ""})
    made.create(WORDS, 100 << 30)
    (asked,) = commands.asked
    assert "-encryption AES-256 -stdinpass" in asked
    assert "-size 100g" in asked
    assert WORDS not in asked


def test_a_sparse_image_is_open_where_hdiutil_says_so(tmp_path: Path) -> None:
    answer = plistlib.dumps(ATTACHED).decode().replace("{mount}", str(tmp_path / "vault"))
    made, commands = image(tmp_path, {"hdiutil attach": answer})
    made.open(WORDS)
    assert "-owners on" in commands.asked[0]
    elsewhere, _ = image(
        tmp_path / "b" if (tmp_path / "b").mkdir() is None else tmp_path,
        {"hdiutil attach": plistlib.dumps(ATTACHED).decode().replace("{mount}", "/Volumes/X")},
    )
    with pytest.raises(TwinError, match="not at"):
        elsewhere.open(WORDS)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("hdiutil: attach failed - Authentication error\n", "passphrase is not"),
        ("hdiutil: attach failed - image not recognized\n", "image not recognized"),
        ("hdiutil: attach failed - Resource temporarily unavailable\n", "temporarily unavailable"),
    ],
)
def test_why_a_sparse_image_does_not_open(tmp_path: Path, said: str, told: str) -> None:
    made, _ = image(tmp_path, {"hdiutil attach": Done(1, "", said)})
    with pytest.raises(TwinError, match=told):
        made.open(WORDS)


@pytest.mark.parametrize(
    "said",
    [
        'hdiutil: couldn\'t unmount "disk5" - Resource busy\n',
        "hdiutil: detach: timeout for DiskArbitration expired\nhdiutil: couldn't unmount\n",
    ],
)
def test_a_sparse_image_in_use(tmp_path: Path, said: str) -> None:
    made, commands = image(
        tmp_path,
        {f"hdiutil detach {tmp_path}/vault -force": "", "hdiutil detach": Done(16, "", said)},
    )
    with pytest.raises(TwinError, match="--force"):
        made.close()
    made.close(force=True)
    assert commands.asked[-1].endswith("-force")


@pytest.mark.parametrize("text", ["", "no plist", "<plist><array/></plist>"])
def test_what_is_no_answer_of_hdiutil_mounts_nothing(text: str) -> None:
    assert volume.mounted(text) == []
