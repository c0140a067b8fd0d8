"""MeloTTS's front end: against the golden inputs, by hand, and what holds for every text."""

import gzip
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitwin.errors import TwinError
from aitwin.voice import g2p, melo_text
from aitwin.voice.g2p import G2P, PHONEMES, Network
from aitwin.voice.melo_text import FrontEnd, Vocabulary
from tests.voice.test_g2p import PULLED, random_weights

ENGLISH = sorted({phone.rstrip("012").lower() for phone in PHONEMES[4:]} - {"v"})
SYMBOLS = ["_", *ENGLISH, "V", "!", "?", ",", ".", "'", "-", "UNK"]
TOKENS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", *".,!?'-#", "hello", "wor", "##ld", "##s", "the", "one"),
    *("two", "three", "five", "hundred", "i", "phone", "a", "##b", "b", "v", "very", "uw"),
]
DICTIONARY = {
    "HELLO": "HH AH0 L OW1",
    "WORLD": "W ER1 L D",
    "ONE": "W AH1 N",
    "I": "AY1",
    "VERY": "V EH1 R IY0",
    "UW": "UW",
}


@pytest.fixture(scope="session")
def front_end():
    """A few words, the rest guessed by a network with random weights."""
    return FrontEnd(G2P(DICTIONARY, Network(random_weights())), Vocabulary(TOKENS), SYMBOLS)


@pytest.fixture(scope="session")
def english(shared, tmp_path_factory):
    """All of upstream's data."""
    golden, extra = shared / "golden" / "melo", shared / "golden" / "extra"
    place = tmp_path_factory.mktemp("g2p") / g2p.DICTIONARY
    with gzip.open(extra / "cmudict.rep.gz") as file:
        place.write_bytes(file.read())
    with gzip.open(golden / "g2p_extra_words.tsv.gz", "rt") as file:
        later = dict(line.rstrip("\n").split("\t") for line in file)
    homographs = json.loads((golden / "g2p_homographs_not_in_dict.json").read_text("utf-8"))
    later |= {word: " ".join(said) for word, said in homographs.items()}
    network = Network.load(extra / "g2p_en_checkpoint20.npz")
    return FrontEnd(
        G2P(g2p.read_dictionary(place), network, later),
        Vocabulary.load(extra / "vocab_official.txt"),
        melo_text.read_symbols(golden / "config.json"),
    )


def golden_lines(shared):
    text = (shared / "golden" / "melo" / "frontend.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_every_golden_input_is_made_exactly(english, shared):
    """S1. Pieces, words, phonemes, stress and all that the network reads."""
    lines = golden_lines(shared)
    assert len(lines) == 34
    for line in lines:
        assert english.pieces(line["text"]) == [piece["piece"] for piece in line["pieces"]]
        for piece in line["pieces"]:
            units = english.units(piece["piece"])
            made = {
                "norm_text": units.text,
                "bert_tokens": list(units.bert_tokens),
                "phones": list(units.phones),
                "tones": list(units.tones),
                "word2ph": list(units.word2ph),
                "input_phone_ids": list(units.phone_ids),
                "input_tone_ids": list(units.tone_ids),
                "input_lang_ids": list(units.language_ids),
                "input_word2ph": list(units.repeats),
            }
            assert made == {name: piece[name] for name in made}


def test_every_golden_split_is_made_exactly(english, shared):
    for case in json.loads((shared / "golden" / "melo" / "splits.json").read_text("utf-8")):
        assert english.pieces(case["text"]) == case["pieces"]


def test_what_make_test_pulled_says_the_same(english, shared):
    """The shelf's own files, made of packages, in place of upstream's."""
    if not (PULLED / "manifest.json").is_file():
        pytest.skip("the pronunciations are not here; `make test` pulls them (8 MB)")
    golden = shared / "golden"
    pulled = FrontEnd(
        G2P.load(PULLED),
        Vocabulary.load(golden / "extra" / "vocab_official.txt"),
        melo_text.read_symbols(golden / "melo" / "config.json"),
    )
    for line in golden_lines(shared):
        assert pulled.read(line["text"]) == english.read(line["text"])


def test_a_sentence_by_hand(front_end):
    units = front_end.units("Hello worlds, one!")
    assert units.bert_tokens == ("hello", "wor", "##ld", "##s", ",", "one", "!")
    assert units.token_ids[0] == TOKENS.index("[CLS]")
    assert units.token_ids[-1] == TOKENS.index("[SEP]")
    assert units.phones[:5] == ("_", "hh", "ah", "l", "ow")
    assert units.phones[-5:] == ("w", "ah", "n", "!", "_")
    assert units.tones[:5] == (0, 0, 1, 0, 2)
    assert units.word2ph[:2] == (1, 4)
    assert units.word2ph[-4:] == (1, 3, 1, 1)
    assert units.phone_ids[:4] == (0, 0, 0, SYMBOLS.index("hh"))
    assert units.tone_ids[:6] == (0, 7, 0, 7, 0, 8)
    assert units.language_ids[:4] == (0, 2, 0, 2)


def test_symbols_that_english_writes_differently(front_end):
    """The small "v" is another language's; the network's bare "UW" has no symbol."""
    assert front_end.units("very").phones == ("_", "V", "eh", "r", "iy", "_")
    assert front_end.units("uw").phones == ("_", "UNK", "_")


def test_camel_case_is_two_words(front_end):
    assert front_end.units("iPhone").bert_tokens == ("i", "phone")


def test_a_hash_of_the_text_joins_the_word_before(front_end):
    assert front_end.units("one # one").word2ph == (1, 2, 1, 3, 1)
    assert front_end.units("# one").word2ph == (1, 0, 3, 1)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" \n ", []),
        ("... ?! ;", []),
        ("Yes.", ["Yes."]),
        ("a,b.c", ["a, b. c"]),
        ("“Stop”, (he said) ‘now’。", ["Stop, he said 'now'."]),
        ("One.\n\nTwo.", ["One. Two."]),
    ],
)
def test_pieces(front_end, text, pieces):
    assert front_end.pieces(text) == pieces


def test_a_piece_ends_with_a_sentence_once_it_is_long(front_end):
    """Of sentences of 60 characters, five reach 256."""
    sentence = "x" * 58 + ". "
    assert [len(piece) for piece in front_end.pieces(sentence * 12)] == [299, 299, 119]
    assert [len(piece) for piece in front_end.pieces("word " * 300)] == [509, 509, 479]
    assert [len(piece) for piece in front_end.pieces("x" * 600)] == [256, 344]
    long = "a " * 100 + ". " + "b" * 500
    assert front_end.pieces(long)[0] == ("a " * 100 + ".").strip()


TEXTS = st.text(
    alphabet=st.sampled_from("abv oneHELLOwrld .,!?'-#&%$()“”\n0123456789éß你😀"), max_size=700
)


@given(TEXTS)
def test_pieces_lose_nothing_but_spaces_and_brackets(text):
    front_end = FrontEnd(G2P({}, Network(random_weights())), Vocabulary(TOKENS), SYMBOLS)
    pieces = front_end.pieces(text)
    assert all(0 < len(piece) <= melo_text.LONGEST_PIECE for piece in pieces)
    kept = [letter for letter in text if letter.isalnum()]
    assert [letter for piece in pieces for letter in piece if letter.isalnum()] == kept


@given(text=TEXTS)
def test_the_inputs_fit_together(front_end, text):
    for units in front_end.read(text):
        assert len(units.token_ids) == len(units.word2ph) == len(units.bert_tokens) + 2
        assert len(units.token_ids) <= 512
        assert sum(units.word2ph) == len(units.phones) == len(units.tones)
        inputs = {len(units.phone_ids), len(units.tone_ids), len(units.language_ids)}
        assert inputs == {2 * len(units.phones) + 1} == {sum(units.repeats)}
        assert set(units.phone_ids[::2]) == set(units.language_ids[::2]) == {0}
        assert [SYMBOLS[number] for number in units.phone_ids[1::2]] == list(units.phones)
        assert [tone - 7 for tone in units.tone_ids[1::2]] == list(units.tones)
        assert set(units.tones) <= {0, 1, 2, 3}
        features = np.repeat(np.zeros((len(units.token_ids), 3)), units.repeats, axis=0)
        assert len(features) == len(units.phone_ids)


def test_silence_is_known(front_end):
    assert [front_end.units(text).silent for text in ("...", "-", "", "one", "!a")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_what_bert_cannot_read_at_once_is_cut(front_end):
    """512 characters can become more than 510 tokens: numbers grow when they are read."""
    text = "3 7," * 128
    piece = " ".join(text.split())
    with pytest.raises(TwinError, match=r"longer than BERT reads at once \(510\)"):
        front_end.units(piece * 4)
    units = front_end.read("35 " * 170)
    assert len(units) >= 1
    assert all(len(one.token_ids) <= 512 for one in units)
    several = front_end.read("1111111,2222222," * 32)
    assert len(several) > 1
    assert all(len(one.token_ids) <= 512 for one in several)


LETTERS = [
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *".,!?'-#",
    *(f"{a}{b}" for a in ("", "##") for b in g2p.LETTERS),
]


@pytest.fixture(scope="session")
def spelling():
    """BERT with a piece for every letter, as the real one has, and for no other character."""
    return FrontEnd(
        G2P({"UNK": "AH1 NG K"}, Network(random_weights())), Vocabulary(LETTERS), SYMBOLS
    )


def heard(units):
    return [phone for one in units for phone in one.phones if phone != "_"]


@pytest.mark.parametrize("strange", ["😀", "你好", "a😀b", "日", "ab 😀😀 你c"])
def test_what_bert_has_no_piece_for_is_silent(spelling, strange):
    """S1. Upstream says "unk" for each; what it can read beside them is said."""
    plain = "".join(letter if letter.isascii() else " " for letter in strange)
    units = spelling.read(f"see {strange}, bob.")
    assert not any("[UNK]" in one.bert_tokens for one in units)
    assert heard(units) == heard(spelling.read(f"see {plain}, bob."))
    assert "[UNK]" in spelling.units(f"see {strange}, bob.").bert_tokens  # exactly as upstream


def test_nothing_but_what_has_no_piece_is_nothing(spelling):
    assert spelling.read("😀 你好") == []


@pytest.mark.parametrize("letters", [100, 101, 2_000])
def test_a_word_of_any_length_is_said(spelling, letters):
    """S1. BERT takes up to 100 letters of one; g2p says some 20 sounds of each part."""
    units = spelling.read("ab" * (letters // 2) + "c" * (letters % 2))
    said = heard(units)
    assert said[:3] != ["ah", "ng", "k"]
    assert len(said) >= min(letters, 40) / 10
    assert sum(one.text.replace(" ", "").count("b") for one in units) == letters // 2


@settings(deadline=None)
@given(text=st.text(max_size=300))
def test_no_text_says_unk(spelling, text):
    assert not any("[UNK]" in units.bert_tokens for units in spelling.read(text))


def test_a_word_that_the_text_spells_so_is_said(spelling):
    assert heard(spelling.read("unk")) == ["ah", "ng", "k"]


def test_the_text_is_not_shown(front_end):
    units = front_end.units("hello")
    assert "hello" not in repr(units)
    assert not any(one.repr for one in fields(units))


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ([], "holds no settings of a network"),
        ({"data": {"add_blank": False}, "symbols": SYMBOLS}, "reads no blanks between its symbols"),
        ({"symbols": "_abc"}, "has no list of symbols"),
        ({"symbols": [1]}, "has no list of symbols"),
        ({"symbols": [name for name in SYMBOLS if name not in ("V", "ih")]}, "lack V, ih"),
        ({"symbols": SYMBOLS[::-1]}, "lack the padding at the beginning"),
        ({"symbols": []}, "its symbols lack"),
    ],
)
def test_a_config_of_something_else_is_refused(tmp_path, content, words):
    with pytest.raises(TwinError, match=words):
        melo_text.read_symbols(write(tmp_path / "config.json", content))


def test_missing_files_name_the_remedy(tmp_path):
    for read in (melo_text.read_symbols, Vocabulary.load):
        with pytest.raises(TwinError, match=r"x is missing; run `twin models pull voice`"):
            read(tmp_path / "x")
    with pytest.raises(TwinError, match=r"has no \[CLS\], \[SEP\], \[UNK\]"):
        Vocabulary.load(write(tmp_path / "vocab.txt", "a\nb\n"))
    (tmp_path / "vocab.txt").write_bytes(b"\xff")
    with pytest.raises(TwinError, match="cannot be read"):
        Vocabulary.load(tmp_path / "vocab.txt")


def test_the_vocabulary_is_read_line_by_line(tmp_path: Path):
    """Some of BERT's tokens are other separators of lines, which splitlines would cut at."""
    tokens = [*TOKENS, "\u2028", "\x85", "last"]
    vocabulary = Vocabulary.load(write(tmp_path / "vocab.txt", "\n".join(tokens) + "\n"))
    assert vocabulary.cut("last")[1] == (len(tokens) - 1,)


def test_two_lines_that_are_one_token_keep_the_later_number():
    assert Vocabulary([*TOKENS, "hello"]).cut("hello")[1] == (len(TOKENS),)
