"""The golden samples: one small file per format and dialect. Invented people, nobody's real words.

Knows where they are, not what is in them: see test_golden. A folder that holds a WhatsApp export
is zipped on the way, so that no archive lies in the repository.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"
GOLDEN = ".golden.json"


@dataclass(frozen=True)
class Sample:
    """One file, or folder, that a reader must claim."""

    source: Path

    def __str__(self) -> str:
        """Its name in the list of tests."""
        return str(self.source.relative_to(FOLDER))

    @property
    def format(self) -> str:
        """The reader that must claim it, as sources.SOURCES calls it."""
        return "whatsapp" if self.source.parent.name == "whatsapp" else "mail"

    @property
    def golden(self) -> Path:
        """What reading it must give."""
        return self.source.with_name(self.source.name + GOLDEN)

    @property
    def is_zipped(self) -> bool:
        """Whether the test has to make a zip of it."""
        return (self.source / "_chat.txt").is_file()

    def file(self, scratch: Path) -> Path:
        """What to give to a reader; a zip is made in `scratch`."""
        if not self.is_zipped:
            return self.source
        path = scratch / f"{self.source.name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in sorted(self.source.iterdir()):
                archive.write(member, member.name)
        return path

    def data(self) -> bytes:
        """The bytes that hold the messages: of a folder, those of the file in it."""
        for inside in ("mbox", "_chat.txt"):
            if (self.source / inside).is_file():
                return (self.source / inside).read_bytes()
        return self.source.read_bytes()


def samples() -> list[Sample]:
    """Every sample, in the order of its name."""
    folders = [path for path in FOLDER.rglob("*") if _is_export(path)]
    files = [
        path
        for path in FOLDER.rglob("*")
        if path.is_file()
        and not path.name.startswith(".")
        and not path.name.endswith(GOLDEN)
        and "Attachments" not in path.parts
        and not any(folder in path.parents for folder in folders)
    ]
    return [Sample(path) for path in sorted([*folders, *files])]


def _is_export(path: Path) -> bool:
    return any((path / inside).is_file() for inside in ("mbox", "_chat.txt"))
