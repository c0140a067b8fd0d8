import random
import re
from functools import cache

import pytest

from aitwin.voice.audio import Samples, resample
from aitwin.voice.consent import SENTENCE
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.engines import Bundled
from aitwin.voice.heard import RATE
from aitwin.voice.prompts import Prompt, prompts
from aitwin.voice.read_aloud import Reading, Slip, compare, contains
from aitwin.voice.transcribe import Transcriber, Word

VOICE = Bundled()
READ = [prompts(emotion)[number] for emotion in EMOTIONS for number in (5, 60)]
CONSENT = SENTENCE.format(name="Tom Baker", date="29 November 2026")
PERMISSION = "This is my own voice, and I allow this computer to learn it, for my own use."


def heard(text: str) -> list[Word]:
    return [Word(word, at, at + 0.3, 0.9) for at, word in enumerate(text.split())]


def slips(written: str, said: str) -> list[tuple[str, int, str, str]]:
    reading = compare(written, heard(said))
    return [(slip.kind, slip.position, slip.written, slip.heard) for slip in reading.slips]


@cache
def transcriber() -> Transcriber:
    return Transcriber.load()


def spoken(text: str) -> Samples:
    return resample(VOICE.speak(text), RATE).samples


def by_whisper(texts: list[str]) -> list[list[Word]]:
    return transcriber().words_of_each([spoken(text) for text in texts])


def test_what_is_read_as_written_has_no_slips() -> None:
    for prompt in READ:
        assert compare(prompt.text, heard(prompt.text)).slips == ()


def test_slips_are_told_apart_and_placed() -> None:
    written = "We never did take that trip to the coast."
    assert slips(written, "We never did take that trip to the farm.") == [
        ("replaced", 8, "coast", "farm")
    ]
    assert slips(written, "We never take that trip to the coast.") == [("missing", 2, "did", "")]
    assert slips(written, "We never did did take that nice trip to the coast.") == [
        ("added", 2, "", "did"),
        ("added", 5, "", "nice"),
    ]
    reading = compare(written, heard("they never did take that to the the beach"))
    assert (reading.words, reading.misread) == (9, 4)
    assert [reading.count(kind) for kind in ("replaced", "missing", "added")] == [2, 1, 1]


def test_silence_misses_every_word() -> None:
    assert compare("One, two, three.", []).count("missing") == 3
    assert compare("", heard("hello there")).count("added") == 2
    assert compare("", []) == Reading(0)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("I went to bed at ten.", "i went to bed at 10"),
        ("Twenty-five of the four hundred seats", "25 of the 400 seats"),
        ("after three thousand years", "After 3,000 years"),
        ("a tree of a hundred years", "a tree of 100 years"),
        (
            "on the first of May, the ninth and the twentieth",
            "on the 1st of May, the 9th and the 20th",
        ),
        ("It is late and I cannot stay.", "It's late and I can't stay."),
        ("You're right, they have gone.", "You are right, they've gone"),
        ("Let's go, I'd rather walk", "Let us go, I would rather walk"),
        ("The color of the gray harbor", "The colour of the grey harbour"),
        ("We realize it, and we apologize.", "We realise it and we apologise"),
        ("their house", "there house"),
        ("the brave knight", "the brave night"),
        ("the man with the ladder", "the man with the latter"),
        ("she seemed to know", "she seem to know"),
        ("every one of the ice creams", "everyone of the icecreams"),
        ("my grandmother's vase", "my grandmothers vase"),
        ("bread and butter", "bread in butter"),
        ("Hmm, let me think, oh no!", "Let me think. Oh, no."),
        ("half of it, fifty percent", "half of it, 50%"),
        ("well-known", "well known"),
        ("don’t", "do not"),
    ],
)
def test_another_spelling_is_no_slip(written: str, said: str) -> None:
    assert slips(written, said) == []
    assert slips(said, written) == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("five cups", "nine cups"),
        ("the boy is here", "the boys are here"),
        ("I can go", "I can't go"),
        ("the first of May", "the third of May"),
        ("a dog", "the dog"),
        ("she said yes", "he said yes"),
    ],
)
def test_another_word_is_a_slip(written: str, said: str) -> None:
    assert slips(written, said)


def test_a_correct_reading_by_the_bundled_voice_is_correct() -> None:
    """Through Whisper: at most one word in a hundred is held against the reader."""
    readings = [
        compare(prompt.text, words)
        for prompt, words in zip(READ, by_whisper([p.text for p in READ]), strict=True)
    ]
    assert sum(r.misread for r in readings) <= sum(r.words for r in readings) / 100


def test_planted_errors_are_found() -> None:
    """Words left out or replaced: through Whisper, nine in ten at least."""
    dice = random.Random(5)  # noqa: S311
    strange = ["elephant", "sixteen", "yellow", "Wednesday", "carpet"]
    spoiled: list[tuple[Prompt, str]] = []
    for number, prompt in enumerate(READ):
        words = prompt.text.split()
        at = dice.choice([n for n in range(1, len(words) - 1) if len(words[n]) > 3])
        words[at : at + 1] = [] if number % 2 else [dice.choice(strange)]
        spoiled.append((prompt, " ".join(words)))
    found = [
        compare(prompt.text, words).misread > 0
        for (prompt, _), words in zip(
            spoiled, by_whisper([text for _, text in spoiled]), strict=True
        )
    ]
    assert sum(found) >= 0.9 * len(found)


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("the twenty-ninth of November, twenty twenty-six", "29 November 2026"),
        ("November 29th, 2026", "29 November 2026"),
        ("the 29th of November", "November 29, 2026"),
        ("29 November, two thousand and twenty-six", "the twenty-ninth of November 2026"),
        ("May 1st, 2027", "the first of May, twenty twenty-seven"),
    ],
)
def test_consent_is_heard_whatever_the_form_of_its_date(read: str, written: str) -> None:
    said = SENTENCE.format(name="Mario Lindfist", date=read)
    assert contains(SENTENCE.format(name="Maria Lindqvist", date=written), heard(said)) == 1


def test_consent_by_the_bundled_voice() -> None:
    read = SENTENCE.format(name="Tom Baker", date="the twenty-ninth of November, twenty twenty-six")
    right, other = by_whisper([read, READ[0].text])
    assert contains(CONSENT, right) > 0.95
    assert contains(CONSENT, other) < 0.3


@pytest.mark.parametrize(
    "written",
    [
        "29 November 2026",
        "November 29, 2026",
        "the twenty-ninth of November",
        "Sunday, the twenty-ninth of November, twenty twenty-six",
        "November the twenty-ninth, two thousand and twenty-six",
    ],
)
def test_consent_of_another_day_lacks_something(written: str) -> None:
    """A recording of April is no consent of November, whatever else it says."""
    asked = SENTENCE.format(name="Tom Baker", date=written)
    assert contains(asked, heard(asked)) == 1
    assert 0.8 < contains(asked, heard(asked.replace(written, "April 3rd"))) < 0.9


@pytest.mark.parametrize(
    ("said", "most"),
    [
        ("", 0.0),
        ("I am Tom Baker. Today is November 29th.", 0.1),
        ("I am Tom Baker. Today is November 29th. This is my own voice.", 0.4),
        ("I am Tom Baker. Today is November 29th. This is not my voice. " + PERMISSION, 0.0),
        (CONSENT.replace("I allow", "I do not allow"), 0.0),
        (CONSENT.replace("I allow", "I don't allow"), 0.0),
        (PERMISSION, 0.8),
        ("use own my for it learn to computer this allow I voice own my is this", 0.2),
    ],
)
def test_without_the_words_of_permission_there_is_no_consent(said: str, most: float) -> None:
    assert contains(CONSENT, heard(said)) <= most


def test_any_other_sentence_is_compared_word_by_word() -> None:
    assert contains("My voice is mine to lend.", heard("my voice is mine to lend")) == 1
    assert contains("My voice is mine to lend.", heard("my voice is yours")) == 0.5


def test_slips_are_private() -> None:
    """P4."""
    reading = compare("The secret garden", heard("The hidden garden"))
    assert reading.slips == (Slip("replaced", 1, "secret", "hidden"),)
    assert not re.search("secret|hidden", repr(reading))
