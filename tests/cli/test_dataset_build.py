"""twin dataset build: languages, shares, tokens, and who words instructions."""

import subprocess
import sys
from pathlib import Path

import pytest

from aitwin.corpus import dataset, reverse
from aitwin.corpus.context import CUT
from aitwin.style.engine import LlamaCpp
from aitwin.style.tokens import encode
from tests.cli.conftest import CANARY, SMALL, Result, Twin

FIRST = (
    "From a Thu Jan  3 08:00:00 2024\nFrom: Thota <thota@x.example>\nTo: Ana <ana@y.example>\n"
    "Date: {day} Feb 2020 09:00:00 +0000\nMessage-ID: <f{day}@x>\nSubject: {subject}\n\n{text}\n\n"
)
LONG = (
    "From a Thu Jan  3 08:00:00 2024\nFrom: Ana <ana@y.example>\nTo: Thota <thota@x.example>\n"
    "Date: 1 Mar 2020 09:00:00 +0000\nMessage-ID: <l@y>\nSubject: Slip\n\n{text}\n\n"
    "From a Thu Jan  3 08:00:00 2024\nFrom: Thota <thota@x.example>\nTo: Ana <ana@y.example>\n"
    "Date: 2 Mar 2020 09:00:00 +0000\nMessage-ID: <m@x>\nIn-Reply-To: <l@y>\n"
    "Subject: Re: Slip\n\nI read all of that twice. The answer to it is no.\n\n"
)
TEXTS = (
    "The boat leaks again. Could you bring two buckets and the old pump on Tuesday?",
    "Thank you for the leeks. Reg has hidden his, and the cat has found them.",
    "The launch is at nine, come early and wear boots.",
)


@pytest.fixture
def writer(owner: Twin, home: Path, mbox, tmp_path: Path) -> Twin:
    """The command line of an owner who answers 30 mails and begins 3."""
    mails = "".join(
        FIRST.format(day=day, subject="Boat", text=text) for day, text in enumerate(TEXTS, start=1)
    )
    long = LONG.format(text="\n\n".join(f"Slip {n} is free on Monday." for n in range(90)))
    (tmp_path / "Sent.mbox").write_text(mbox(30) + mails + long)
    assert owner("corpus", "add", tmp_path / "Sent.mbox").code == 0
    return owner


@pytest.fixture
def shelved(writer: Twin, home: Path, trained: Twin) -> Twin:
    """The same, with the small real base on the shelf."""
    assert (home / "models" / SMALL / "model.gguf").exists()
    return writer


def build(twin: Twin, *options: object) -> Result:
    return twin("dataset", "build", "--allow-small", "--json", *options)


def test_a_language_is_taken_alone_from_the_option_or_the_settings(writer, home):
    assert build(writer).json["languages"]["en"] > 25
    settings = home / "twin.toml"
    settings.write_text(settings.read_text().replace("languages = []", 'languages = ["de"]'))
    writer("dataset", "build", "--allow-small").refused(
        "0 usable pairs", "reply in another language (en)", "--language"
    )
    built = build(writer, "--language", "en", "--language", "de").json
    assert built["settings"]["languages"] == ["en", "de"]
    writer("dataset", "build", "--language", "klingon").refused("klingon", "en, de, pt")


def test_shares_and_tokens_are_written_down(writer, home):
    built = build(writer, "--mail-share", "1", "--tokens", "256").json["settings"]
    assert built["mail_share"] == 1
    assert built["tokens"] == {"row": 256, "counted_by": "estimate"}
    assert writer("dataset", "build", "--mail-share", "2").code == 2
    # There are no chats: half of nothing is nothing.
    writer("dataset", "build", "--allow-small", "--mail-share", "0.5").refused(
        "share of 0.5 leaves 0"
    )
    told = writer("dataset", "build", "--allow-small")
    assert "tokens are estimated" in told.err


def test_a_row_without_room_for_an_example_is_refused(writer):
    """M4."""
    writer("dataset", "build", "--allow-small", "--tokens", "64").refused(
        "64 tokens", "--tokens 192"
    )


def test_a_model_that_is_not_there_words_nothing(writer):
    result = writer("dataset", "build", "--allow-small", "--instructions", "llm")
    result.refused("qwen2.5-7b-instruct", "twin models pull")


@pytest.mark.model
def test_tokens_are_those_of_the_owners_base(shelved, home):
    """The count that the trainer will make, without loading the weights."""
    built = build(shelved, "--tokens", "300").json
    assert built["settings"]["tokens"] == {"row": 300, "counted_by": SMALL}
    loaded = dataset.load(home / "datasets" / "main")
    rows = [row for name in dataset.SPLITS for row in loaded.split(name)]
    with LlamaCpp(home / "models" / SMALL / "model.gguf", context=512) as engine:
        sizes = {row.id: len(encode(engine, row, 4096)) for row in rows}
    [cut] = [row.id for row in rows if CUT in row.messages[1]["content"]]
    # A paragraph of nine tokens would not have fitted any more.
    assert 300 - 12 <= sizes[cut] <= 300
    assert max(sizes.values()) <= 300


@pytest.mark.model
def test_the_base_words_instructions_and_a_rerun_asks_nothing(shelved, home):
    """Local, private, resumed (P1)."""
    first = build(shelved, "--instructions", "llm").json["settings"]
    assert first["instructions"] == "llm"
    assert sum(first["instructions_llm"].values()) == len(TEXTS)
    kept = home / "corpus" / reverse.FILE
    assert kept.stat().st_mode & 0o777 == 0o600
    before = kept.read_text()
    assert CANARY not in before
    assert build(shelved, "--instructions", "llm").json["settings"] == first
    assert kept.read_text() == before
    told = shelved("dataset", "build", "--allow-small", "--instructions", "llm").err
    assert "instructions of first mails:" in told


def test_the_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['twin', 'dataset', 'build', '--help']\n"
        "from aitwin.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'py3langid', 'xllamacpp', 'rensa', 'torch'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
