"""The base model: the GGUF file that is served, and where its converted forms are kept.

Does not fetch anything: the file is on the shelf already (see models). Converts nothing: see
base_torch and base_mlx.
"""

from dataclasses import dataclass
from pathlib import Path

from aitwin.errors import TwinError
from aitwin.style import header

GGUF_MAGIC = b"GGUF"
ARCHITECTURES = ("llama", "qwen2")
"""Architectures whose adapters we can export and have compared with llama.cpp, number by number."""


@dataclass(frozen=True)
class Base:
    """A base model, of a supported architecture."""

    name: str
    """As in twin.toml: a name on the shelf, or the path of a GGUF file."""
    gguf: Path
    digest: str
    """SHA-256 of the GGUF file."""
    cache: Path
    """Where converted forms of bases are kept."""

    def converted(self, form: str) -> Path:
        """The directory of this base in another form: "floats" for PyTorch, "mlx" for MLX.

        Holds config and weights. Token ids come from the engine: see tokens.
        """
        return self.cache / form / self.digest[:16]


def find(name: str, gguf: Path, digest: str, cache: Path) -> Base:
    """The base in the file `gguf`, whose SHA-256 is `digest`; converted forms go below `cache`.

    Raises TwinError for a file that is not a GGUF model of a supported architecture.
    """
    architecture = header.read(gguf).architecture
    if architecture not in ARCHITECTURES:
        raise TwinError(
            f"{gguf} holds a model of architecture {architecture!r}; adapters can be made for "
            f"{' and '.join(ARCHITECTURES)}: choose another base in twin.toml"
        )
    return Base(name, gguf, digest, cache)
