import pytest

from aitwin.errors import TwinError
from aitwin.style import vocabulary
from aitwin.style.engine import LlamaCpp

TEXTS = (
    "Bring a bucket, the boat leaks. Call 07700 900123 at 10:30!",
    "  two  spaces\n\n\tand a tab\u00a0",
    "Grüße aus Köln, ça va?",
    "雨が降っている 🙂🙂 ☔",
    "<|im_end|> in a mail",
    "1234567890 x==y; } // http://a.example/?q=1",
)


@pytest.mark.model
def test_it_tokenizes_as_the_whole_model_does(smollm2, tmp_path):
    """The tokens that are counted are those that will be trained on (M4)."""
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "dry?"}]
    with LlamaCpp(smollm2, context=64) as whole, vocabulary.tokenizer(smollm2) as small:
        for text in TEXTS:
            assert small.tokenize(text) == whole.tokenize(text)
        assert small.prompt_tokens(turns) == whole.prompt_tokens(turns)


@pytest.mark.model
def test_it_is_small_and_private(smollm2, tmp_path):
    vocabulary.write(smollm2, tmp_path / "v.gguf")
    assert (tmp_path / "v.gguf").stat().st_size < smollm2.stat().st_size / 20
    assert (tmp_path / "v.gguf").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGUF",
        b"nothing of the kind, but long enough to be read",
        b"GGUF" + (3).to_bytes(4, "little") + (0).to_bytes(8, "little") * 2,
        b"GGUF" + (3).to_bytes(4, "little") + b"\0" * 8 + b"\xff" * 40,
        b"GGUF\3\0\0\0" + b"\0" * 8 + b"\1" + b"\0" * 7 + b"\1" + b"\0" * 7 + b"kcccc",
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused(content, tmp_path):
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(TwinError, match="vocabulary"):
        vocabulary.write(tmp_path / "m.gguf", tmp_path / "v.gguf")
    with pytest.raises(TwinError, match="cannot be read"):
        vocabulary.write(tmp_path / "absent.gguf", tmp_path / "v.gguf")
