"""The `.npz` files in which arrays are kept: one reader, whatever has happened to the file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file at `path`, by their names. No code in it is run.

    Raises FileNotFoundError when there is none, ValueError when it cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return dict(stored)
    except FileNotFoundError:
        raise
    # A damaged file ends anywhere in zipfile, zlib, tokenize and numpy, which have no common error:
    # six kinds were seen in 3,000 damaged files (tests/voice/test_arrays.py).
    except Exception as error:  # noqa: BLE001
        raise ValueError(f"{path} holds no arrays ({type(error).__name__})") from None
