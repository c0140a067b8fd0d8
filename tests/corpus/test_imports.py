"""Files and folders into the store, and chats by the dates of their siblings."""

from pathlib import Path

from aitwin.corpus import imports
from aitwin.corpus.store import Imported, Store
from aitwin.errors import TwinError

OPEN = "[01/02/2020, 18:24:25] Ana: dry?\n[01/02/2020, 18:25:02] Thota: No.\n"
SETTLED = "[18/07/2020, 18:24:25] Tom: late?\n[18/07/2020, 18:25:02] Thota: Yes.\n"


def added(store: Store, *paths: Path) -> dict[str, Imported | TwinError | None]:
    return {found.path.name: result for found, result in imports.add(store, paths)}


def test_dates_that_a_chat_leaves_open_are_settled_by_its_siblings(tmp_path):
    """C1: in one go, and by chats that were added before."""
    for name, text in (("ana.txt", OPEN), ("tom.txt", SETTLED)):
        (tmp_path / name).write_text(text)
    alone = Store(tmp_path / "alone")
    assert isinstance(added(alone, tmp_path / "ana.txt")["ana.txt"], TwinError)
    added(alone, tmp_path / "tom.txt")
    assert added(alone, tmp_path / "ana.txt")["ana.txt"].new == 2
    together = Store(tmp_path / "together")
    assert added(together, tmp_path / "ana.txt", tmp_path / "tom.txt")["ana.txt"].new == 2
    for store in (alone, together):
        [first, _] = store.from_source(tmp_path / "ana.txt")
        assert (first.sent_at.month, first.sent_at.day) == (2, 1)
