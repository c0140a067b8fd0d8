"""What is heard in speech that was made: every fault is found, and clean speech has none."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soxr

from aitwin.voice import verify
from aitwin.voice.audio import Samples, Utterance
from aitwin.voice.heard import RATE
from aitwin.voice.mos import Listener
from aitwin.voice.openvoice import Embedding, ReferenceEncoder
from aitwin.voice.transcribe import Transcriber, Word
from aitwin.voice.vad import Detector
from aitwin.voice.verify import GE2E, OPENVOICE, Check, Tools
from aitwin.voice.watermark import Watermark
from tests.voice import sounds

CANARY = "zucchini-canary-4471"
TEXT = sounds.SENTENCES[7]


class Fixed:
    """An encoder that always hears the same."""

    digest = "fixed"

    def __init__(self, *values: float) -> None:
        self.values = np.array(values, np.float32)
        self.heard = 0

    def embed(self, samples: Samples) -> Embedding:
        self.heard += 1
        return self.values


@cache
def detector() -> Detector:
    return Detector()


@cache
def transcriber() -> Transcriber:
    return Transcriber.load()


def said(words: str) -> list[Word]:
    return [Word(word, 0.0, 0.0, 1.0) for word in words.split()]


def listened(samples: Samples, text: str = TEXT, **tools: Any) -> Check:
    return verify.listen(Utterance(samples, RATE, text), {}, Tools(detector(), **tools))


def whats(check: Check) -> list[str]:
    return [fault.what for fault in check.faults]


def check(**values: Any) -> Check:
    clean = Check(
        text=CANARY,
        seconds=3.0,
        speech=2.0,
        likeness={},
        embeddings={},
        words=8,
        wrong=0,
        heard=CANARY,
        mos=3.4,
        peak=0.5,
        clipped=0.0,
        pause=0.2,
        tail=-60.0,
        rate=4.5,
    )
    return replace(clean, **values)


# --- One utterance --------------------------------------------------------------------------------


def test_clean_speech_has_no_fault() -> None:
    for number in (1, 3, 7):
        rest = sounds.silence(0.4)
        samples = np.concatenate([sounds.sentence(number), rest])
        found = listened(samples, sounds.SENTENCES[number], transcriber=transcriber())
        assert found.faults == ()
        assert found.wrong == 0
        assert found.words == len(sounds.SENTENCES[number].split())
        assert found.tail is not None
        assert found.tail < -80
        assert 3.5 < (found.rate or 0) < 6.5
        assert found.speech < found.seconds


def test_other_words_are_counted() -> None:
    found = listened(sounds.sentence(3), sounds.SENTENCES[6], transcriber=transcriber())
    assert found.wrong is not None
    assert found.words == 8
    assert found.wrong > 5
    assert "kettle" in found.heard
    assert "words" in whats(found)


def test_nothing_is_said() -> None:
    for samples in (sounds.silence(2.0), sounds.silence(0.0), sounds.noise(2.0, -75)):
        found = listened(samples, transcriber=transcriber(), listener=None)
        assert found.silent
        assert whats(found) == ["silence"]
        assert (found.tail, found.rate, found.mos) == (None, None, None)


def test_what_is_cut_off_is_found() -> None:
    whole = sounds.sentence(7)
    assert listened(whole).clipped == 0
    top = 0.25 * np.abs(whole).max()
    found = listened((np.clip(whole, -top, top) / top).astype(np.float32))
    assert "clipping" in whats(found)


@pytest.mark.parametrize("level", [-40, -60])
def test_a_room_after_the_last_word_is_no_fault_and_a_noise_is(level: float) -> None:
    """The speech is at -20 dBFS: 18 dB above the noise that is found."""
    rest = sounds.silence(0.5)
    room = np.concatenate([sounds.sentence(7), sounds.silence(1.0)])
    assert "tail" not in whats(listened(sounds.in_room(room, level - 12)))
    buzzing = np.concatenate([sounds.sentence(7), rest, sounds.tone(180, 0.2, -38)])
    found = listened(buzzing)
    assert found.tail == pytest.approx(-18, abs=3)
    assert whats(found) == ["tail"]


def test_a_hole_in_a_sentence_is_found() -> None:
    whole = sounds.sentence(7)
    middle = len(whole) // 2
    torn = np.concatenate([whole[:middle], sounds.silence(1.6), whole[middle:]])
    found = listened(torn)
    assert found.pause == pytest.approx(1.6, abs=0.35)
    assert whats(found) == ["pause"]


@pytest.mark.parametrize("factor", [2.2, 0.3])
def test_a_pace_that_nobody_has_is_found(factor: float) -> None:
    """Faster or slower as a record is; words that were swallowed look the same."""
    whole = sounds.sentence(7)
    assert "pace" in whats(listened(soxr.resample(whole, factor, 1).astype(np.float32)))


def test_a_short_word_takes_as_long_as_it_likes() -> None:
    assert listened(sounds.sentence(7), "Stop!").rate is None


def test_short_sounds_say_nothing_of_who_speaks() -> None:
    encoder = Fixed(1, 0)
    tools = Tools(detector(), {OPENVOICE: encoder})
    short = Utterance(sounds.sentence(7)[: RATE // 2], RATE, "The")
    found = verify.listen(short, {OPENVOICE: np.array([0, 1], np.float32)}, tools)
    assert not found.likeness
    assert not found.embeddings
    assert encoder.heard == 0


def test_an_utterance_of_somebody_else_is_a_fault() -> None:
    found = check(likeness={OPENVOICE: 0.61, GE2E: 0.9}, speech=2.0)
    (fault,) = found.faults
    assert fault.what == "likeness"
    assert "0.61" in fault.found
    # The shorter, the less is wanted.
    assert check(likeness={OPENVOICE: 0.61}, speech=1.2).faults == ()


def test_whatever_its_rate_it_is_heard_at_ours() -> None:
    fine = soxr.resample(sounds.sentence(7), RATE, 44_100).astype(np.float32)
    found = verify.listen(Utterance(fine, 44_100, TEXT), {}, Tools(detector()))
    assert found.seconds == pytest.approx(len(sounds.sentence(7)) / RATE, abs=0.01)
    assert found.faults == ()


def test_quality_is_dnsmos() -> None:
    listener = Listener()
    clean = listened(sounds.sentence(7), listener=listener)
    noisy = listened(sounds.in_room(sounds.sentence(7), -30), listener=listener)
    assert clean.mos is not None
    assert noisy.mos is not None
    assert clean.mos > verify.LEAST_MOS + 0.3
    assert noisy.mos < verify.LEAST_MOS


# --- Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "heard", "wrong"),
    [
        ("He read the whole letter.", "he red the hole letter", 0),  # cannot be heard
        ("Twenty-one people don't know.", "21 people do not know.", 0),
        ("The kettle is on.", "The cattle is on", 1),
        ("The kettle is on.", "The kettle", 2),
        ("The kettle is on.", "Well, the old kettle is on.", 2),
        ("The kettle is on.", "", 4),
        ("It costs $12.50.", "It costs twelve dollars and fifty cents.", 0),
    ],
)
def test_words_are_compared_as_they_sound(written: str, heard: str, wrong: int) -> None:
    assert verify.word_errors(written, said(heard))[0] == wrong


def test_the_rate_may_exceed_one() -> None:
    assert verify.word_error_rate("No.", said("there was nothing at all")) > 1
    assert verify.word_error_rate("The kettle is on.", said("the kettle is in")) == 0.25
    assert verify.word_error_rate("...", []) == 0
    assert verify.word_error_rate("...", said("you")) == 1


# --- All together ---------------------------------------------------------------------------------


LIKE = {OPENVOICE: np.array([1, 0], np.float32)}


def heard_as(cosine: float, **values: Any) -> Check:
    vector = np.array([cosine, np.sqrt(1 - cosine**2)], np.float32)
    return check(embeddings={OPENVOICE: vector}, likeness={OPENVOICE: cosine}, **values)


def test_good_speech_passes() -> None:
    verdict = verify.judge([heard_as(0.9)] * 10, LIKE)
    assert verdict.usable
    assert verdict.likeness[OPENVOICE] == pytest.approx(0.9, abs=1e-5)
    assert (verdict.error_rate, verdict.mos) == (0, pytest.approx(3.4))


def test_the_mean_counts_and_seconds_weigh() -> None:
    """Ten sentences that are off in ways of their own are nearer together than one by one."""
    up, down = (np.array([0.7, side], np.float32) for side in (0.71, -0.71))
    both = [check(embeddings={OPENVOICE: vector}) for vector in (up, down)]
    assert verify.judge(both, LIKE).likeness[OPENVOICE] == pytest.approx(1)
    long = replace(both[0], speech=200.0)
    assert verify.judge([long, both[1]], LIKE).likeness[OPENVOICE] < 0.72


@pytest.mark.parametrize(
    ("checks", "what"),
    [
        ([heard_as(0.7)] * 10, "likeness"),
        ([heard_as(0.9, wrong=1)] * 10, "words"),
        ([heard_as(0.9, mos=2.5)] * 10, "quality"),
        ([heard_as(0.9)] * 9 + [heard_as(0.9, peak=0.0)], "silence"),
        ([heard_as(0.9)] * 8 + [heard_as(0.9, tail=-10.0)] * 2, "tail"),
        ([heard_as(0.9)] * 8 + [heard_as(0.9, pause=3.0)] * 2, "pause"),
        ([heard_as(0.9)] * 8 + [heard_as(0.9, clipped=0.01)] * 2, "clipping"),
        ([heard_as(0.9)] * 8 + [heard_as(0.9, rate=12.0)] * 2, "pace"),
        ([check()] * 3, "likeness"),  # nobody listened
        ([], "likeness"),
    ],
)
def test_what_is_not_good_enough_is_told_with_what_may_help(checks: list[Check], what: str) -> None:
    verdict = verify.judge(checks, LIKE)
    assert not verdict.usable
    assert [reason.what for reason in verdict.reasons] == [what]
    assert verdict.reasons[0].found
    assert verdict.reasons[0].advice


class Sure:
    """A watermark that is found, more or less."""

    def __init__(self, confidence: float) -> None:
        self.value = confidence

    def confidence(self, samples: Samples, rate: int) -> float:
        assert rate == RATE
        return self.value


def test_the_watermark_is_looked_for_where_there_is_enough_to_hear() -> None:
    for confidence, reasons in ((0.95, []), (0.4, ["mark"])):
        tools = Tools(
            detector(), {OPENVOICE: Fixed(1, 0)}, watermark=cast(Watermark, Sure(confidence))
        )
        spoken = [Utterance(sounds.sentence(number), RATE) for number in (3, 7)]
        short = Utterance(sounds.sentence(3)[:RATE], RATE)
        verdict = verify.check([*spoken, short], LIKE, tools)
        assert [one.marked for one in verdict.checks] == [confidence, confidence, None]
        assert [reason.what for reason in verdict.reasons] == reasons
        assert "watermark" not in " ".join(verdict.unchecked)


def test_one_slip_in_ten_is_forgiven() -> None:
    checks = [heard_as(0.9)] * 9
    for slip in (heard_as(0.9, tail=-10.0), heard_as(0.9, wrong=2), heard_as(0.6)):
        assert verify.judge([*checks, slip], LIKE).usable


def test_every_encoder_must_be_satisfied() -> None:
    """OpenVoice's own is a lenient judge of what its converter makes."""
    vectors = {OPENVOICE: LIKE[OPENVOICE], GE2E: np.array([0.6, 0.8], np.float32)}
    verdict = verify.judge([check(embeddings=vectors)], {**LIKE, GE2E: LIKE[OPENVOICE]})
    assert [reason.what for reason in verdict.reasons] == ["likeness"]
    assert "GE2E" in verdict.reasons[0].found


def test_what_is_not_here_is_told() -> None:
    encoder = Fixed(1, 0)
    spoken = [
        Utterance(sounds.sentence(number), RATE, sounds.SENTENCES[number]) for number in (3, 7)
    ]
    done: list[int] = []
    verdict = verify.check(spoken, LIKE, Tools(detector(), {OPENVOICE: encoder}), done.append)
    assert done == [1, 2]
    assert verdict.usable
    assert (verdict.error_rate, verdict.mos) == (None, None)
    told = " ".join(verdict.unchecked)
    for wanted in ("GE2E", "twin models pull ge2e", "words", "aitwin[hear]", "clean"):
        assert wanted in told
    assert "OpenVoice's" not in told


def test_words_stay_out_of_reprs() -> None:
    one = heard_as(0.6)
    assert CANARY not in repr(one)
    assert CANARY not in repr(verify.judge([one], LIKE))
    assert CANARY not in " ".join(fault.found for fault in one.faults)


# --- Whose voice it should be ---------------------------------------------------------------------


def profile(**values: Any) -> Any:
    """What of a VoiceProfile is looked at."""
    manner = SimpleNamespace(embedding=np.array([0, 1], np.float32))
    seen = SimpleNamespace(
        embeddings=np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], np.float32),
        dropped=np.array([False, False, False, True]),
        emotions=("neutral", "neutral", "sad", "neutral"),
    )
    pooled = np.array([1, 0], np.float32)
    found = {"pooled": pooled, "manners": {"sad": manner}, "utterances": seen}
    return SimpleNamespace(**{**found, **values})


def test_openvoices_reference_is_the_profiles_own() -> None:
    encoders = {OPENVOICE: Fixed(9, 9)}
    found = verify.target(profile(), encoders, iter(lambda: 1 / 0, None), "neutral")
    assert found.references[OPENVOICE].tolist() == [1, 0]
    assert found.recordings[OPENVOICE] == pytest.approx(0.9)  # the dropped one is nobody's
    sad = verify.target(profile(), encoders, [], "sad")
    assert sad.references[OPENVOICE].tolist() == [0, 1]
    assert not verify.target(profile(pooled=None), encoders, [], "").references


def test_any_other_listens_to_the_recordings() -> None:
    encoder = Fixed(3, 4)
    recordings = [sounds.sentence(3), sounds.silence(3.0), sounds.sentence(7)]
    found = verify.target(profile(), {GE2E: encoder}, recordings)
    assert encoder.heard == 2  # silence is nobody's
    np.testing.assert_allclose(found.references[GE2E], [3, 4])
    assert found.recordings[GE2E] == pytest.approx(1)
    assert not verify.target(profile(), {GE2E: encoder}, []).references


def test_real_voices_by_the_real_encoder(shared: Path) -> None:
    """Two people's clips of 3 s: each passes as itself, and as the other it does not."""
    import soundfile

    place = shared / "golden" / "ref_encoder"
    encoder = ReferenceEncoder.load(place / "ref_enc_openvoice_v2.safetensors")
    clips = {
        path.stem: soundfile.read(path, dtype="float32")[0] for path in sorted(place.glob("*.wav"))
    }
    tools = Tools(detector(), {OPENVOICE: encoder})
    for name in ("spk1688", "spk3331"):
        for other in ("spk1688", "spk3331"):
            references = {OPENVOICE: encoder.embed(clips[f"{name}_a"])}
            verdict = verify.check([Utterance(clips[f"{other}_b"], RATE)], references, tools)
            assert verdict.usable == (name == other)
