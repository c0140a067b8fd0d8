"""Front ends and BERT: what is large is loaded once, what differs is not shared."""

import json
from pathlib import Path

import pytest

from aitwin.errors import TwinError
from aitwin.voice.g2p import G2P
from aitwin.voice.melo_reader import Reader
from aitwin.voice.melo_text import Vocabulary
from tests.voice import small_melo
from tests.voice.test_g2p import write_files


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    small_melo.write_bert(tmp_path / "bert")
    (tmp_path / "g2p").mkdir()
    write_files(tmp_path / "g2p")
    return Reader(tmp_path / "g2p", tmp_path / "bert")


def config(directory: Path, name: str, symbols: list[str]) -> Path:
    path = directory / name
    path.write_text(json.dumps({"symbols": symbols}), "utf-8")
    return path


def test_what_is_large_is_loaded_once_for_all_networks(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    for kind in (G2P, Vocabulary):
        load = kind.load

        def counting(path: Path, load=load, name=kind.__name__):  # type: ignore[no-untyped-def]
            loaded.append(name)
            return load(path)

        monkeypatch.setattr(kind, "load", counting)
    pad, *others = small_melo.SYMBOLS
    one = reader.front_end(config(tmp_path, "one.json", [pad, *others]))
    other = reader.front_end(config(tmp_path, "other.json", [pad, *others[::-1]]))
    assert sorted(loaded) == ["G2P", "Vocabulary"]
    (said,), (again,) = one.read("Hello."), other.read("Hello.")
    assert said.phones == again.phones
    assert said.phone_ids != again.phone_ids  # each network has numbers of its own
    assert reader.network is reader.network
    assert len(reader.network.features(said.token_ids)) == len(said.token_ids)


def test_what_is_missing_is_told_when_it_is_wanted(reader: Reader, tmp_path: Path) -> None:
    own = config(tmp_path, "config.json", small_melo.SYMBOLS)
    (reader.bert / "model.safetensors").unlink()
    assert reader.front_end(own).read("Hello.")
    with pytest.raises(TwinError, match=r"model\.safetensors is missing"):
        reader.network  # noqa: B018
    with pytest.raises(TwinError, match=r"none\.json is missing"):
        reader.front_end(tmp_path / "none.json")
