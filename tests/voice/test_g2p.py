"""Words to pronunciations: against PyTorch's GRU, against upstream's answers, and damaged files."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch

from aitwin.errors import TwinError
from aitwin.voice import g2p
from aitwin.voice.g2p import G2P, Network
from tests.voice.test_arrays import by_another_method

PULLED = Path(__file__).parents[2] / ".cache" / "models" / "g2p-english"
LATER = "HELLO 1 HH EH0 L OW1\nHELLO 2 HH AH0 L OW1\nRE 1 R EY1\nZOUNDS 1 Z AW1 N D Z\n"
DICTIONARY = "## a comment\nHELLO  HH AH0 - L OW1\nRE  R EY1\nUNICODE  Y UW1 - N IH0 - K OW2 D\n"


def random_weights(seed=0):
    random = np.random.default_rng(seed)
    return {
        name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in g2p._SHAPES.items()
    }


@pytest.fixture
def directory(tmp_path):
    return write_files(tmp_path)


def write_files(directory):
    """Dictionaries of a few words, and a network with random weights."""
    (directory / g2p.DICTIONARY).write_text(DICTIONARY, "utf-8")
    (directory / g2p.HOMOGRAPHS).write_text("#\nINLAYS|IH0 N|IH1 N L EY2 Z|V\n", "utf-8")
    write_later(directory, LATER)
    np.savez(directory / g2p.NETWORK, **random_weights())
    return directory


def write_later(directory, content, member="cmudict/cmudict"):
    with ZipFile(directory / g2p.LATER, "w") as archive:
        archive.writestr(member, content)


@pytest.fixture(scope="session")
def english():
    """The real dictionary and network."""
    if not (PULLED / "manifest.json").is_file():
        pytest.skip("the pronunciations are not here; `make test` pulls them (8 MB)")
    return G2P.load(PULLED)


def by_torch(weights, word):
    """The same network, of PyTorch's own cells."""
    cells = {}
    for half in ("enc", "dec"):
        cells[half] = torch.nn.GRUCell(256, 256)
        cells[half].load_state_dict(
            {
                f"{kind}_{side}": torch.from_numpy(weights[f"{half}_{kind[0]}_{side}"])
                for kind in ("weight", "bias")
                for side in ("ih", "hh")
            }
        )
    letters = [g2p.LETTERS.index(letter) + 3 if letter in g2p.LETTERS else 1 for letter in word]
    state, said, latest = torch.zeros(256), [], 2
    with torch.inference_mode():
        for index in [*letters, 2]:
            state = cells["enc"](torch.from_numpy(weights["enc_emb"][index]), state)
        while len(said) < 20:
            state = cells["dec"](torch.from_numpy(weights["dec_emb"][latest]), state)
            scores = torch.from_numpy(weights["fc_w"]) @ state + torch.from_numpy(weights["fc_b"])
            latest = int(scores.argmax())
            if latest == 3:
                break
            said.append(g2p.PHONEMES[latest])
    return tuple(said)


@pytest.mark.parametrize("seed", range(5))
def test_the_network_is_two_grus(seed):
    weights = random_weights(seed)
    network = Network(weights)
    spelled = [network.spell(word) for word in ("hibari", "a", "", "na-ïve", "x" * 60)]
    assert spelled == [by_torch(weights, word) for word in ("hibari", "a", "", "na-ïve", "x" * 60)]
    assert len(set(spelled)) > 1
    assert all(len(said) <= g2p.LONGEST for said in spelled)


def test_the_networks_alphabet_is_upstreams():
    """74 symbols; the index of some of them, as g2p_en 2.1.0 numbers them."""
    assert len(g2p.PHONEMES) == 74
    indices = {"AA0": 4, "B": 22, "HH": 37, "UW": 65, "UW0": 66, "ZH": 73}
    assert {name: g2p.PHONEMES.index(name) for name in indices} == indices


def test_a_word_is_looked_up_before_it_is_guessed(directory):
    english = G2P.load(directory)
    assert english.pronounce("hello") == ("HH", "AH0", "L", "OW1")
    assert english.pronounce("Hello") == english.pronounce("hello")
    # Of the later release of the dictionary, and one of those with two pronunciations.
    assert english.pronounce("zounds") == ("Z", "AW1", "N", "D", "Z")
    assert english.pronounce("inlays") == ("IH1", "N", "L", "EY2", "Z")
    # No word at all: the network's guess.
    assert english.pronounce("qwzx") == Network(random_weights()).spell("qwzx")


@pytest.mark.parametrize("mark", list("'.,?!-"))
def test_a_mark_is_itself(directory, mark):
    assert G2P.load(directory).pronounce(mark) == (mark,)


@pytest.mark.parametrize("word", ["", "&", "%", ";", ":", "…", "привет", "你好", "😀", "²"])
def test_what_cannot_be_said_is_silent(directory, word):
    assert G2P.load(directory).pronounce(word) == ()


def test_accents_and_foreign_letters_go_before_a_word_is_looked_up_again(directory):
    english = G2P.load(directory)
    assert english.pronounce("øre") == ("R", "EY1")
    # As g2p_en has it, the later release goes first then.
    assert english.pronounce("héllo") == ("HH", "EH0", "L", "OW1")


def test_without_the_later_words_the_network_guesses(directory):
    (directory / g2p.LATER).unlink()
    (directory / g2p.HOMOGRAPHS).unlink()
    english, network = G2P.load(directory), Network(random_weights())
    for word in ("zounds", "inlays"):
        assert english.pronounce(word) == network.spell(word)
    assert english.pronounce("héllo") == english.pronounce("hello")


def test_many_threads_get_the_same_answers(directory):
    english = G2P.load(directory)
    words = [f"{a}{b}oz" for a in "bcdfg" for b in "aeiou"]
    alone = [Network(random_weights()).spell(word) for word in words]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(english.pronounce, words)) == alone


@pytest.mark.parametrize("file", [g2p.DICTIONARY, g2p.NETWORK])
def test_a_missing_file_names_the_remedy(directory, file):
    (directory / file).unlink()
    with pytest.raises(TwinError, match=rf"{file} is missing; run `twin models pull voice`"):
        G2P.load(directory)


def test_a_damaged_network_is_refused(directory):
    path = directory / g2p.NETWORK
    whole = path.read_bytes()
    odd = by_another_method(path)
    for content in (b"", b"PK\3\4", whole[: len(whole) // 2], b"\x93NUMPY", odd):
        path.write_bytes(content)
        with pytest.raises(TwinError, match="cannot be read as g2p_en's network"):
            G2P.load(directory)
    weights = random_weights()
    np.savez(path, **(weights | {"fc_w": weights["fc_w"][:, :-1]}))
    with pytest.raises(TwinError, match=r"is not g2p_en's network \(fc_w differs\)"):
        G2P.load(directory)
    np.savez(path, **(weights | {"fc_b": np.full(74, np.nan, np.float32)}))
    with pytest.raises(TwinError, match=r"\(fc_b differs\)"):
        G2P.load(directory)


class Touch:
    """What a pickle must not do when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_pickle_in_a_network_runs_anything(directory):
    touched = directory / "touched"
    bombs = np.full(74, Touch(touched), object)
    np.savez(directory / g2p.NETWORK, **(random_weights() | {"fc_b": bombs}))
    with pytest.raises(TwinError, match="cannot be read"):
        G2P.load(directory)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no words"),
        (b"## a comment\n", "has no words"),
        (b"HELLO  HH AH0\nWORLD\n", "line 2 has no pronunciation"),
        (b"HELLO   \n", "line 1 has no pronunciation"),
        (b"\xff\xfe", r"cannot be read \(UnicodeDecodeError\)"),
    ],
)
def test_a_damaged_dictionary_is_refused(directory, content, words):
    (directory / g2p.DICTIONARY).write_bytes(content)
    with pytest.raises(TwinError, match=words):
        G2P.load(directory)


def test_damaged_later_words_are_refused(directory):
    for content in ("A 1 AH0\nB\n", "A AH0 X\n"):
        write_later(directory, content)
        with pytest.raises(TwinError, match=r"zip: line \d has no pronunciation"):
            G2P.load(directory)
    write_later(directory, LATER, member="other")
    with pytest.raises(TwinError, match=r"cmudict-0.7a.zip cannot be read \(KeyError\)"):
        G2P.load(directory)
    write_later(directory, LATER)
    (directory / g2p.LATER).write_bytes(by_another_method(directory / g2p.LATER))
    with pytest.raises(TwinError, match=r"cannot be read \(NotImplementedError\)"):
        G2P.load(directory)
    (directory / g2p.LATER).write_bytes(b"PK")
    with pytest.raises(TwinError, match=r"cannot be read \(BadZipFile\)"):
        G2P.load(directory)


@pytest.mark.parametrize("content", ["", "#\n", "WORD|A|B\n", "A B C V\n"])
def test_damaged_homographs_are_refused(directory, content):
    (directory / g2p.HOMOGRAPHS).write_text(content)
    with pytest.raises(TwinError, match="is not g2p_en's list of homographs"):
        G2P.load(directory)


def test_upstreams_guesses_are_ours(english, shared):
    golden = shared / "golden" / "melo"
    for name in ("g2p_seq2seq_predictions.json", "g2p_homographs_not_in_dict.json"):
        expected = json.loads((golden / name).read_text("utf-8"))
        assert {word: list(english.pronounce(word)) for word in expected} == expected


def test_the_pulled_later_words_are_upstreams(english, shared):
    """S1. Every word that upstream looks up where MeloTTS's dictionary has none."""
    with gzip.open(shared / "golden" / "melo" / "g2p_extra_words.tsv.gz", "rt") as file:
        golden = dict(line.rstrip("\n").split("\t") for line in file)
    ours = g2p.read_dictionary(PULLED / g2p.DICTIONARY)
    homographs = g2p.read_homographs(PULLED / g2p.HOMOGRAPHS)
    later = g2p.read_later(PULLED / g2p.LATER, ours)
    asked = {
        word: said
        for word, said in later.items()
        if word.upper() not in ours and word not in homographs
    }
    assert asked == golden


def test_all_that_is_pulled_is_of_the_networks_alphabet(english):
    later = g2p.read_later(PULLED / g2p.LATER, {}) | g2p.read_homographs(PULLED / g2p.HOMOGRAPHS)
    assert {phone for said in later.values() for phone in said.split()} <= set(g2p.PHONEMES)
    # MeloTTS's dictionary knows two vowels without stress besides.
    words = g2p.read_dictionary(PULLED / g2p.DICTIONARY)
    phones = {phone for said in words.values() for phone in said.split()}
    assert phones - set(g2p.PHONEMES) == {"ER", "IH"}


def test_the_pulled_dictionary_is_melotts_own(english, shared, tmp_path):
    """S1. Made of another package's pickle, and yet word for word upstream's file."""
    upstream = tmp_path / "cmudict.rep"
    with gzip.open(shared / "golden" / "extra" / "cmudict.rep.gz") as file:
        upstream.write_bytes(file.read())
    words = g2p.read_dictionary(upstream)
    assert len(words) == 129_464
    assert g2p.read_dictionary(PULLED / g2p.DICTIONARY) == words
