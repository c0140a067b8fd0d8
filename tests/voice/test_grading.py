import re
import string
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from aitwin.voice import audio, grading, measuring
from aitwin.voice.emotions import EMOTIONS
from aitwin.voice.engines import Bundled
from aitwin.voice.grades import Grade
from aitwin.voice.grading import LIMITS, grade
from aitwin.voice.heard import RATE
from aitwin.voice.listening import listen
from aitwin.voice.measures import Measures
from aitwin.voice.vad import Detector

Sound = NDArray[np.float64]

GOOD = Measures(
    seconds=6.0,
    speech=4.5,
    sample_rate=48_000,
    bandwidth=16_000,
    loudness=-24,
    true_peak=-6,
    clipped=0,
    noise=-70,
    snr=44,
    hum=0,
    hum_frequency=None,
    reverb=0.3,
    mos=3.3,
    pitch=120,
    voiced=0.55,
    rate=4.5,
    strange=0.0,
    misread=0,
    words=13,
    tonal=0.01,
)
SENTENCES = (
    "The morning train was late again, so we walked along the river instead.",
    "Nobody told her that the garden had been sold, and she never asked.",
    "Please put the green bottle on the table before you leave the kitchen.",
)


def graded(emotion: str = "neutral", prompted: bool = True, **changes: Any) -> Grade:
    return grade(replace(GOOD, **changes), emotion=emotion, prompted=prompted)


def whats(found: Grade) -> list[tuple[str, str]]:
    return [(reason.what, reason.letter) for reason in found.reasons]


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_a_good_take_is_an_a_without_a_remark(emotion: str) -> None:
    assert graded(emotion) == Grade("A")


@pytest.mark.parametrize(
    ("changes", "letters"),
    [
        ({"snr": 25}, [("noise", "B")]),
        ({"snr": 14}, [("noise", "C")]),
        ({"snr": 6}, [("noise", "D")]),
        ({"clipped": 0.0005}, [("clipping", "B")]),
        ({"clipped": 0.05}, [("clipping", "D")]),
        ({"hum": 20, "hum_frequency": 50}, [("hum", "B")]),
        ({"hum": 35, "hum_frequency": 60, "snr": 31}, [("hum", "C")]),
        ({"hum": 35, "hum_frequency": 60, "snr": 50}, []),
        ({"reverb": 0.6}, [("reverb", "B")]),
        ({"reverb": 1.1}, [("reverb", "D")]),
        ({"bandwidth": 8_000}, [("bandwidth", "B")]),
        ({"bandwidth": 3_400}, [("bandwidth", "D")]),
        ({"loudness": -55}, [("level", "C")]),
        ({"seconds": 20}, [("pauses", "B")]),
        ({"speech": 0.9, "seconds": 2}, [("short", "B")]),
        ({"mos": 2.0, "seconds": 40, "speech": 30}, [("quality", "C")]),
        ({"mos": 2.0}, []),
        ({"gated": True}, [("gate", "B")]),
        ({"strange": 0.02}, [("speakers", "B")]),
        ({"strange": 0.45}, [("speakers", "C")]),
        ({"strange": 0.6}, [("speakers", "D")]),
        ({"misread": 4}, [("misread", "B")]),
        ({"voiced": 0.05}, [("voicing", "C")]),
        ({"tonal": 0.5}, [("music", "C")]),
    ],
)
def test_each_fault_has_its_reason(changes: dict[str, Any], letters: list[Any]) -> None:
    """V3."""
    found = graded(**changes)
    assert whats(found) == letters
    assert found.letter == (letters[0][1] if letters else "A")


def test_the_worst_reason_comes_first_and_makes_the_grade() -> None:
    found = graded(snr=25, clipped=0.05, mos=2.0, seconds=40, speech=30)
    assert found.letter == "D"
    assert whats(found) == [("clipping", "D"), ("quality", "C"), ("noise", "B")]


def test_what_was_found_is_said_with_its_number_and_what_to_do() -> None:
    found = graded(snr=14.3, hum=24, hum_frequency=50, misread=4).reasons
    said = {reason.what: reason for reason in found}
    assert said["noise"].found == "the room is loud: speech is only 14 dB above its noise"
    assert "fan" in said["noise"].advice
    assert "(50 Hz) stands 24 dB" in said["hum"].found
    assert said["misread"].found == "4 of 13 words differ from the prompt"


def test_whispering_is_judged_as_such() -> None:
    """V1: soft, near the noise, without pitch, and DNSMOS does not like it."""
    soft = {"snr": 19, "loudness": -48, "mos": 1.6, "voiced": 0.02}
    assert graded("whispered", **soft) == Grade("A")
    assert graded("neutral", **soft).letter == "C"
    assert graded("whispered", **{**soft, "snr": 8}).letter == "C"


def test_a_file_that_was_added_shall_be_longer_than_a_prompt() -> None:
    """Bad input: 2-second clips."""
    clip = {"seconds": 2.2, "speech": 1.8}
    assert graded(**clip) == Grade("A")
    found = graded(prompted=False, **clip)
    assert whats(found) == [("short", "C")]
    assert found.reasons[0].found == "short: 1.8 seconds of speech"


@pytest.mark.parametrize("emotion", EMOTIONS)
@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"noise": None, "true_peak": -120}, "silence", "muted"),
        ({"noise": -85, "true_peak": -30}, "silence", "muted"),
        ({"noise": -30, "tonal": 0.9}, "music", "voice alone"),
        ({"noise": -40, "tonal": 0.0}, "silence", "closer"),
        ({"noise": None, "tonal": None}, "silence", "closer"),
    ],
)
def test_nobody_speaks(emotion: str, changes: dict[str, Any], what: str, words: str) -> None:
    """Bad input: silence and music; one reason, and no list of what follows from it."""
    nothing = {"speech": 0.1, "snr": None, "pitch": None, "voiced": 0, "mos": None}
    found = graded(emotion, **{**nothing, **changes})
    assert whats(found) == [(what, "D")]
    assert words in found.reasons[0].advice


BAD: dict[str, tuple[float, float]] = {
    "snr": (60, -10),
    "clipped": (0, 1),
    "hum": (0, 60),
    "reverb": (0.1, 3),
    "bandwidth": (11_000, 500),
    "loudness": (-10, -80),
    "speech": (6, 0),
    "mos": (5, 1),
    "strange": (0, 1),
    "misread": (0, 13),
    "voiced": (1, 0),
    "tonal": (0, 1),
}
"""From the best to the worst of each measure."""


@st.composite
def takes(draw: st.DrawFn) -> Measures:
    drawn: dict[str, Any] = {}
    for name, (best, worst) in BAD.items():
        low, high = min(best, worst), max(best, worst)
        value = st.integers(0, 13) if name == "misread" else st.floats(low, high)
        needed = name in ("speech", "clipped", "voiced")
        drawn[name] = draw(value if needed else st.none() | value)
    return replace(GOOD, hum_frequency=50, **drawn)


emotions = st.sampled_from(sorted(EMOTIONS))


@given(takes(), emotions, st.booleans(), st.sampled_from(sorted(BAD)), st.floats(0, 1))
def test_worse_is_never_graded_better(
    take: Measures, emotion: str, prompted: bool, name: str, share: float
) -> None:
    """Monotone in every measure, whatever the others are."""
    value = getattr(take, name)
    if value is None:
        value = BAD[name][0]
    worse = value + share * (BAD[name][1] - value)
    if name == "misread":
        worse = round(worse)
    before = grade(replace(take, **{name: value}), emotion=emotion, prompted=prompted)
    after = grade(replace(take, **{name: worse}), emotion=emotion, prompted=prompted)
    assert after.letter >= before.letter


@given(takes(), emotions, st.booleans())
def test_reasons_explain_the_grade(take: Measures, emotion: str, prompted: bool) -> None:
    """In order, none of them an A, the first the grade; no letter D without a reason."""
    found = grade(take, emotion=emotion, prompted=prompted)
    letters = [reason.letter for reason in found.reasons]
    assert letters == sorted(letters, reverse=True)
    assert "A" not in letters
    assert found.letter == (letters[0] if letters else "A")
    assert all(reason.found and reason.advice for reason in found.reasons)


@given(takes(), emotions, st.booleans(), st.sampled_from(["snr", "mos", "reverb", "hum", "tonal"]))
def test_what_is_not_measured_does_not_count(
    take: Measures, emotion: str, prompted: bool, name: str
) -> None:
    before = grade(take, emotion=emotion, prompted=prompted)
    after = grade(replace(take, **{name: None}), emotion=emotion, prompted=prompted)
    assert after.letter <= before.letter


def test_the_table_is_in_order() -> None:
    """Every row gets worse from B to D, has a name of its own, and names only what there is."""
    assert len({limit.what for limit in LIMITS}) == len(LIMITS)
    for limit in LIMITS:
        sign = 1 if limit.worse == "high" else -1
        for marks in (limit.marks, limit.whispered, limit.added):
            given_marks = [sign * mark for mark in marks or () if mark is not None]
            assert given_marks == sorted(given_marks)
        fields = {field for _, field, _, _ in string.Formatter().parse(limit.found) if field}
        assert {field.split(".")[0] for field in fields} <= {"v", "m"}


# From sound to grade.


@cache
def detector() -> Detector:
    return Detector()


@cache
def take() -> Sound:
    """Three sentences of the bundled voice in a quiet room (50 dB), eleven seconds of speech."""
    rest = np.zeros(round(0.8 * RATE))
    parts = [rest]
    for sentence in SENTENCES:
        spoken = audio.trim(Bundled().speak(sentence), before=0, after=0)
        parts += [audio.resample(spoken, RATE).samples, rest]
    sound = np.concatenate(parts)
    return sound / sound.std() * 10 ** (-27 / 20) + noise(len(sound), -75)


def noise(samples: int, level: float) -> Sound:
    return np.random.default_rng(0).standard_normal(samples) * 10 ** (level / 20)


def judged(sound: Sound, emotion: str = "neutral") -> Grade:
    measures = measuring.measure(
        listen(sound.astype(np.float32), detector()),
        sample_rate=RATE,
        bandwidth=11_000,
        true_peak=float(20 * np.log10(np.abs(sound).max() + 1e-6)),
        clipped=0,
        loudness=-25,
    )
    return grade(measures, emotion=emotion, prompted=True)


def test_a_clean_take_of_the_bundled_voice_is_an_a() -> None:
    assert judged(take()) == Grade("A")


@pytest.mark.parametrize(("snr", "letter"), [(35, "A"), (25, "B"), (15, "C"), (6, "D")])
def test_planted_noise_lowers_the_grade(snr: float, letter: str) -> None:
    """V3: noise at a known distance under the speech (-25.6 dBFS where it is heard)."""
    found = judged(take() + noise(len(take()), -25.6 - snr))
    assert found.letter == letter
    assert [reason.what for reason in found.reasons] == (["noise"] if letter != "A" else [])


def test_planted_hum_is_named() -> None:
    """Hum of -50 dBFS under speech of -26: heard, named with its mains, never a D by itself."""
    time = np.arange(len(take())) / RATE
    hum = np.sum([np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3)], axis=0)
    found = judged(take() + hum / hum.std() * 10 ** (-50 / 20))
    reason = next(reason for reason in found.reasons if reason.what == "hum")
    assert "50 Hz" in reason.found
    assert found.letter == "C"


def test_silence_is_a_muted_microphone() -> None:
    for sound in (np.zeros(5 * RATE), noise(5 * RATE, -90)):
        found = judged(sound)
        assert found.letter == "D"
        assert "muted" in found.reasons[0].advice


@pytest.mark.parametrize("samples", [1, 300, 5_000])
def test_a_take_of_a_moment_is_too_short(samples: int) -> None:
    """And not said to be noise, or a muted microphone."""
    for sound in (noise(samples, -30), np.zeros(samples)):
        found = judged(sound)
        assert (found.letter, found.reasons[0].what) == ("D", "short")
        assert found.reasons[0].found == "too short to hold a word"


def test_a_gate_is_named_and_no_echo() -> None:
    """V3: noise 12 dB under the speech, taken out of the pauses in a second, is not 48 dB away."""
    sound = take() + noise(len(take()), -38)
    spoken = np.repeat(listen(take().astype(np.float32), detector()).speech >= 0.35, 256)
    behind = np.zeros(len(sound))
    last = -RATE
    for at in range(0, len(sound), 64):
        last = at if spoken[at : at + 64].any() else last
        behind[at : at + 64] = at - last
    closing = np.clip((behind / RATE - 0.1) * 40, 0, 50)
    found = judged(sound * 10 ** (-closing / 20))
    assert whats(found) == [("noise", "C"), ("gate", "B")]


def test_a_loud_room_without_a_word_is_a_d() -> None:
    found = judged(noise(5 * RATE, -30))
    assert (found.letter, found.reasons[0].found) == ("D", "no speech in it, only noise")


def test_a_chord_is_music() -> None:
    time = np.arange(6 * RATE) / RATE
    chord = np.sum([np.sin(2 * np.pi * hertz * time) for hertz in (220, 277.2, 329.6)], axis=0)
    assert whats(judged(0.1 * chord)) == [("music", "D")]


def test_people_are_no_d(shared: Path) -> None:
    """LibriSpeech's volunteers, three seconds each: usable, all of them."""
    for path in sorted((shared / "golden" / "ref_encoder").glob("*.wav")):
        samples, _ = soundfile.read(path)
        assert judged(samples).letter in "ABC"


def test_the_emotion_with_limits_of_its_own_exists() -> None:
    assert grading.WHISPERED in EMOTIONS


# --- What the owner reads about them --------------------------------------------------------------

DOCUMENTED = {
    "speech above the room's noise": ("noise", 1),
    "samples at full scale": ("clipping", 100),
    "mains hum above the noise around it": ("hum", 1),
    "time in which the room's echo dies away (RT60)": ("reverb", 1),
    "highest frequency": ("bandwidth", 1),
    "DNSMOS, 1 to 5, of takes from 20 seconds": ("quality", 1),
    "speech that sounds like somebody else": ("speakers", 100),
}
"""Rows of the table in docs/voice.md, the limit of each, and how much larger the page writes it."""


@pytest.mark.parametrize("row", DOCUMENTED)
def test_the_page_on_voices_names_these_marks(row: str) -> None:
    page = Path(__file__).parent.parent.parent / "docs" / "voice.md"
    (line,) = (line for line in page.read_text().splitlines() if line.startswith(f"| {row} |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    what, scale = DOCUMENTED[row]
    (limit,) = (limit for limit in LIMITS if limit.what == what)
    assert cells[1].startswith("to" if limit.worse == "high" else "from")
    named = [re.search(r"[\d.,]+", cell) for cell in cells[1:4]]
    assert [float(found[0].replace(",", "")) if found else None for found in named] == [
        None if mark is None else pytest.approx(mark * scale) for mark in limit.marks
    ]
