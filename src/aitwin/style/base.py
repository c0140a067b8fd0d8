"""The base model: the GGUF file that is served, and where its converted forms are kept.

Does not fetch anything: the file is on the shelf already (see models). Converts nothing: see
base_torch and base_mlx.
"""

from dataclasses import dataclass
from pathlib import Path

from aitwin.errors import TwinError

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
    architecture = read_architecture(gguf)
    if architecture not in ARCHITECTURES:
        raise TwinError(
            f"{gguf} holds a model of architecture {architecture!r}; adapters can be made for "
            f"{' and '.join(ARCHITECTURES)}: choose another base in twin.toml"
        )
    return Base(name, gguf, digest, cache)


def read_architecture(gguf: Path) -> str:
    """`general.architecture` of a GGUF file.

    Raises TwinError when the file is missing, truncated or something else.
    """
    try:
        with gguf.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise TwinError(f"{gguf} cannot be read ({error.strerror}); `twin models list`") from None
    if magic != GGUF_MAGIC:
        raise TwinError(f"{gguf} is not a GGUF model file; `twin models verify` tells which is bad")
    from gguf import GGUFReader

    try:
        field = GGUFReader(gguf).get_field("general.architecture")
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise TwinError(
            f"{gguf} is damaged ({type(error).__name__}); pull it again: `twin models verify`"
        ) from None
    if field is None:
        raise TwinError(f"{gguf} does not say its architecture; it is no language model")
    return str(field.contents())


def count_parameters(gguf: Path) -> int:
    """How many numbers the model consists of."""
    from gguf import GGUFReader

    return sum(int(tensor.n_elements) for tensor in GGUFReader(gguf).tensors)
