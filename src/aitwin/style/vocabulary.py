"""The tokenizer of a base model without its weights: llama.cpp's own, in a few megabytes.

Counting tokens needs the vocabulary alone, while a base of 5 GB takes its whole size in memory.
So a GGUF file is written that holds the tokenizer of the base, byte for byte, and a model of one
layer that knows nothing. Reads no weights; what such a model generates is meaningless.
"""

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from aitwin import artifact
from aitwin.errors import TwinError
from aitwin.style.base import GGUF_MAGIC
from aitwin.style.engine import LlamaCpp

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value of GGUF metadata, by its type; strings and arrays say their own."""
_U32, _F32, _STRING, _ARRAY = 4, 6, 8, 9
_TENSOR_F32, _TENSOR_Q4_0 = 0, 2
_Q4_0_BYTES = 18
_WIDTH = 32
"""Numbers a token and layer: one block of Q4_0, the least that can be."""
_ALIGNMENT = 32
_CONTEXT = 64  # tokens: nothing is generated
_TOKENS = b"tokenizer.ggml.tokens"
_MOST = 1 << 31
"""Bytes or elements of one entry; a larger number is damage."""


@contextmanager
def tokenizer(gguf: Path) -> Iterator[LlamaCpp]:
    """An engine that tokenizes as `gguf` does, and does nothing else well.

    Raises TwinError when `gguf` cannot be read, or has a tokenizer that llama.cpp does not know.
    """
    with tempfile.TemporaryDirectory(prefix="twin-") as scratch:
        small = Path(scratch) / "vocabulary.gguf"
        write(gguf, small)
        with LlamaCpp(small, context=_CONTEXT) as engine:
            yield engine


def write(gguf: Path, target: Path) -> None:
    """Write the tokenizer of `gguf`, and hardly anything else, to `target`.

    Raises TwinError when it is no model with a tokenizer.
    """
    try:
        with gguf.open("rb") as file:
            entries, tokens = _tokenizer_of(file)
    except (OSError, ValueError, struct.error, KeyError) as error:
        raise TwinError(
            f"the vocabulary of {gguf} cannot be read ({type(error).__name__}); "
            "`twin models verify` tells which model is bad"
        ) from None
    if not tokens:
        raise TwinError(f"{gguf} has no vocabulary; it is no language model")
    artifact.write_private(target, _model(entries, tokens))


def _tokenizer_of(file: BinaryIO) -> tuple[list[bytes], int]:
    """The entries of GGUF metadata that make the tokenizer, as they are, and how many tokens."""
    if file.read(4) != GGUF_MAGIC:
        raise ValueError("no GGUF")
    _, _, count = struct.unpack("<IQQ", file.read(20))
    entries, tokens = [], 0
    for _ in range(count):
        start = file.tell()
        key = file.read(_length(file))
        (kind,) = struct.unpack("<I", file.read(4))
        value = file.tell()
        _skip(file, kind)
        if key.startswith(b"tokenizer."):
            end = file.tell()
            file.seek(start)
            entries.append(file.read(end - start))
        if key == _TOKENS:
            file.seek(value + 4)
            tokens = _length(file)
            file.seek(end)
    return entries, tokens


def _length(file: BinaryIO) -> int:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _MOST:
        raise ValueError("a length beyond all measure")
    return int(length)


def _skip(file: BinaryIO, kind: int) -> None:
    """Go past one value."""
    if kind == _STRING:
        file.seek(_length(file), 1)
    elif kind == _ARRAY:
        (inner,) = struct.unpack("<I", file.read(4))
        count = _length(file)
        if inner in _SIZES:
            file.seek(count * _SIZES[inner], 1)
        else:
            for _ in range(count):
                _skip(file, inner)
    else:
        file.seek(_SIZES[kind], 1)


def _model(tokenizer: list[bytes], tokens: int) -> bytes:
    """A GGUF model of architecture `llama` with one layer of zeros, and this tokenizer."""
    numbers = {"context_length": _CONTEXT, "embedding_length": _WIDTH, "block_count": 1}
    numbers |= {"feed_forward_length": _WIDTH, "attention.head_count": 1}
    numbers |= {"rope.dimension_count": _WIDTH, "vocab_size": tokens}
    entries = [
        _string(b"general.architecture") + struct.pack("<I", _STRING) + _string(b"llama"),
        *(
            _string(f"llama.{name}".encode()) + struct.pack("<II", _U32, number)
            for name, number in numbers.items()
        ),
        _string(b"llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", _F32, 1e-5),
        *tokenizer,
    ]
    square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    shapes = {"token_embd": (_WIDTH, tokens), "output_norm": (_WIDTH,)}
    shapes |= {f"blk.0.{name}": (_WIDTH,) for name in ("attn_norm", "ffn_norm")}
    shapes |= {f"blk.0.{name}": (_WIDTH, _WIDTH) for name in square}
    places, offset = [], 0
    for name, shape in shapes.items():
        many = name == "token_embd"
        kind = _TENSOR_Q4_0 if many else _TENSOR_F32
        sizes = struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        places.append(_string(f"{name}.weight".encode()) + sizes)
        size = tokens * _Q4_0_BYTES if many else 4 * _WIDTH * (shape[1:] or (1,))[0]
        offset += _padded(size)
    head = GGUF_MAGIC + struct.pack("<IQQ", 3, len(shapes), len(entries))
    head += b"".join((*entries, *places))
    return head.ljust(_padded(len(head)), b"\0") + bytes(offset)


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
