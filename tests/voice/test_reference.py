"""The clip of a voice that engines of other packages are given."""

from pathlib import Path

import numpy as np
import pytest

from aitwin.errors import TwinError
from aitwin.voice import profile as profiles
from aitwin.voice import reference, voices
from aitwin.voice.heard import RATE
from aitwin.voice.voices import Voice
from tests.voice.test_profile import add
from tests.voice.test_speakers import ANA, BEN, Bands, speaker


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return voices.create(tmp_path / "voices", "Ana")


def test_it_is_whole_utterances_with_their_words(voice: Voice) -> None:
    """Of the emotion that is asked for, the longest that fit, in their order; never repeated."""
    add(voice, [speaker(ANA, seconds) for seconds in (5, 2, 6, 4)])
    add(voice, [speaker(ANA + 3, 3)], emotion="sad")
    profile = profiles.build(voice, None)
    clip = reference.of(voice, profile)
    assert (clip.voice, clip.name, clip.emotion, clip.sample_rate) == ("ana", "Ana", "", RATE)
    assert len(clip.samples) / RATE == pytest.approx(5 + 6 + reference.REST, abs=0.01)
    assert np.allclose(clip.samples[: 5 * RATE], speaker(ANA, 5), atol=1e-4)
    assert clip.text == "something private something private"
    assert "private" not in repr(clip)
    assert "Ana" not in repr(clip)
    sad = reference.of(voice, profile, "sad")
    assert (sad.emotion, len(sad.samples)) == ("sad", 3 * RATE)


def test_a_single_utterance_may_be_longer_than_the_clip_should_be(voice: Voice) -> None:
    add(voice, [speaker(ANA, 14), speaker(ANA, 1)])
    clip = reference.of(voice, profiles.build(voice, None))
    assert len(clip.samples) == 14 * RATE


def test_somebody_elses_utterances_are_not_in_it(voice: Voice) -> None:
    """V1: whoever else is heard in the recordings has agreed to nothing."""
    mine = [speaker(ANA + step, 3) for step in range(6)]
    add(voice, [*mine, speaker(BEN, 5)])
    profile = profiles.build(voice, Bands())  # type: ignore[arg-type]
    assert profile.utterances is not None
    assert profile.utterances.dropped.tolist() == [False] * 6 + [True]
    clip = reference.of(voice, profile)
    assert len(clip.samples) / RATE == pytest.approx(3 * 3 + 2 * reference.REST, abs=0.01)


def test_a_lost_sound_is_told(voice: Voice) -> None:
    take = add(voice, [speaker(ANA, 3)])
    profile = profiles.build(voice, None)
    (voice.prepared_path(take) / "prepared.flac").write_bytes(b"lost")
    with pytest.raises(TwinError, match="missing or damaged; run `twin voice prepare` again"):
        reference.of(voice, profile)
    voice.remove(take)
    with pytest.raises(TwinError, match="no utterance in neutral"):
        reference.of(voice, profile)
