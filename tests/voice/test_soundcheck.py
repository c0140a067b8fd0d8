from collections.abc import Iterator

import numpy as np
import pytest

from aitwin.voice import soundcheck
from aitwin.voice.audio import trim
from aitwin.voice.engines import Bundled
from aitwin.voice.microphone import Block
from aitwin.voice.soundcheck import Meter, Room, level, room, voice_advice

RATE = 24_000
Samples = np.ndarray


def noise(dbfs: float, seconds: float, rate: int = RATE, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed).normal(0, 1, round(rate * seconds))
    return (random * 10 ** (dbfs / 20)).astype(np.float32)


def tone(hertz: float, dbfs: float, seconds: float, rate: int = RATE) -> Samples:
    """A sine whose RMS is `dbfs`."""
    time = np.arange(round(rate * seconds)) / rate
    return (10 ** (dbfs / 20) * np.sqrt(2) * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def blocks(samples: Samples, rate: int = RATE) -> Iterator[Block]:
    size = round(rate * 0.02)
    for at in range(0, len(samples), size):
        yield samples[at : at + size, None]


def heard(samples: Samples, *, room: float = -70.0) -> Meter:
    meter = Meter(RATE, room)
    for block in blocks(samples):
        meter.hear(block)
    return meter


def listen(samples: Samples, rate: int = RATE) -> Room:
    return room(blocks(samples, rate), rate, latency=0.01, lost=0)


@pytest.fixture(scope="module")
def speech() -> Samples:
    said = Bundled().speak("The kettle is on, and the cat sits by the stove.", seed=1)
    return trim(said, before=0.0, after=0.0).samples


@pytest.mark.parametrize("dbfs", [-3.0, -20.0, -60.0])
def test_level_is_that_of_the_louder_channel(dbfs: float) -> None:
    loud = tone(440, dbfs, 0.1)
    both = np.stack([loud, loud / 100], axis=1)
    assert level(both) == pytest.approx(dbfs, abs=0.1)
    assert level(both[:, ::-1]) == pytest.approx(dbfs, abs=0.1)
    assert level(np.zeros((9, 2), np.float32)) == soundcheck.SILENCE


def test_a_meter_tells_speech_from_quiet(speech: Samples) -> None:
    quiet = noise(-65, 1.0)
    meter = heard(np.concatenate([quiet, speech, quiet]), room=-65)
    assert meter.seconds == pytest.approx(2 + len(speech) / RATE)
    assert meter.said == pytest.approx(len(speech) / RATE, rel=0.3)
    assert meter.quiet == pytest.approx(1.0, abs=0.3)
    loudest = 20 * np.log10(np.abs(speech).max())
    assert meter.peak == pytest.approx(loudest, abs=0.1)
    assert meter.levels().speech == pytest.approx(level(speech[:, None]), abs=2)


def test_a_key_that_is_struck_is_not_speech() -> None:
    click = np.concatenate([noise(-65, 0.5), noise(-20, 0.03), noise(-65, 0.5)])
    meter = heard(click, room=-65)
    assert (meter.said, meter.quiet) == (0, pytest.approx(1.03))
    assert meter.levels().speech == soundcheck.SILENCE


def test_a_sentence_is_over_after_a_rest(speech: Samples) -> None:
    pause = noise(-65, 1.1)
    assert not heard(np.concatenate([speech, pause]), room=-65).finished(11)
    assert heard(np.concatenate([speech, pause, noise(-65, 0.3)]), room=-65).finished(11)


def test_a_pause_within_a_long_sentence_is_no_end(speech: Samples) -> None:
    """Sad lines are read "slowly, with pauses"."""
    so_far = np.concatenate([speech, noise(-65, 2.0)])
    assert not heard(so_far, room=-65).finished(words=40)
    assert heard(np.concatenate([so_far, noise(-65, 1.5)]), room=-65).finished(words=40)


def test_who_says_nothing_is_not_waited_for_forever() -> None:
    assert not heard(noise(-65, 9.5), room=-65).finished(9)
    assert heard(noise(-65, 10.1), room=-65).finished(9)


def test_a_slow_reader_who_is_not_heard_has_time_to_end() -> None:
    assert not heard(noise(-65, 14.5), room=-65).finished(25)
    assert heard(noise(-65, 15.1), room=-65).finished(25)


def test_what_was_said_lasts_from_its_beginning_to_its_end(speech: Samples) -> None:
    """The rests within count towards the hour, the silence around does not."""
    quiet, rest = noise(-65, 1.0), noise(-65, 0.8)
    levels = heard(np.concatenate([quiet, speech, rest, speech, quiet]), room=-65).levels()
    assert levels.lasted == pytest.approx(2 * len(speech) / RATE + 0.8, abs=0.2)
    assert levels.said < levels.lasted - 0.7
    assert heard(quiet, room=-65).levels().lasted == 0


def softly(above: float, room: float = -62.0) -> Meter:
    """A sound like a whisper, `above` dB over the room, between two stretches of the room."""
    quiet = noise(room, 1.5)
    breathed = noise(room + above, 3.0, seed=1) + noise(room, 3.0, seed=2)
    meter = Meter(RATE, room, whispered=True)
    for block in blocks(np.concatenate([quiet, breathed, quiet])):
        meter.hear(block)
    return meter


@pytest.mark.parametrize("above", [6.0, 6.5, 12.0])
@pytest.mark.parametrize("room", [-50.0, -62.0, -80.0])
def test_a_whisper_is_heard_and_its_end_too(above: float, room: float) -> None:
    meter = softly(above, room)
    assert meter.levels().lasted == pytest.approx(3.0, abs=0.1)
    assert meter.finished(9)


@pytest.mark.parametrize("seed", range(4))
def test_the_room_is_no_whisper(seed: int) -> None:
    """White, and falling by 6 dB per octave as rooms do."""
    brown = np.cumsum(noise(-90, 9.0, seed=seed)).astype(np.float32)
    brown = np.diff(brown - np.convolve(brown, np.ones(800) / 800, "same"), prepend=0) * 5
    brown = np.cumsum(brown).astype(np.float32)
    for samples in (noise(-60, 9.0, seed=seed), brown):
        meter = Meter(RATE, level(samples[:, None]), whispered=True)
        for block in blocks(samples):
            meter.hear(block)
        assert meter.said == 0


def test_a_take_has_an_end() -> None:
    meter = Meter(RATE)
    loud = tone(200, -20, 1.0)[:, None]
    for _ in range(119):
        meter.hear(loud)
    assert not meter.finished(9)
    meter.hear(loud)
    assert meter.finished(9)


@pytest.mark.parametrize("full", [1.0, 32_767 / 32_768])
def test_clipping_is_counted_whatever_the_converter(full: float) -> None:
    samples = tone(200, -20, 0.2)
    samples[1_000:1_005] = full
    samples[2_000:2_003] = -full
    assert heard(samples).clipped == 8
    assert any("too loud: 8 samples" in said for said in voice_advice(heard(samples).levels(), -70))


@pytest.mark.parametrize(
    ("dbfs", "room", "said"),
    [(-48, -75, "quiet"), (-30, -45, "15 dB above the room"), (-4, -70, "nearly too loud")],
)
def test_advice_on_a_voice(dbfs: float, room: float, said: str) -> None:
    (advice,) = voice_advice(heard(tone(200, dbfs, 1.0), room=room).levels(), room)
    assert said in advice


def test_a_voice_that_is_heard_well_needs_none(speech: Samples) -> None:
    assert voice_advice(heard(speech).levels(), -65) == ()


def test_nothing_at_all_is_told_from_nothing_said() -> None:
    assert heard(np.zeros(RATE, np.float32)).levels().silent
    unsaid = heard(noise(-75, 1.0)).levels()
    assert not unsaid.silent
    assert "nothing was heard" in voice_advice(unsaid, -75)[0]


@pytest.mark.parametrize("dbfs", [-75.0, -60.0, -45.0])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_the_room_is_measured_within_half_a_decibel(dbfs: float, rate: int) -> None:
    found = listen(noise(dbfs, 3.0, rate), rate)
    assert found.noise == pytest.approx(dbfs, abs=0.5)
    assert (found.hum, found.hum_frequency, found.disturbed) == (0, None, False)
    assert any("loud" in said for said in found.advice) == (dbfs > -50)


def test_a_word_in_between_is_not_the_room() -> None:
    samples = noise(-65, 3.0)
    samples[30_000:33_000] += tone(300, -20, 0.125)
    found = listen(samples)
    assert found.disturbed
    assert found.noise == pytest.approx(-65, abs=1)
    assert "check again" in found.advice[0]


@pytest.mark.parametrize("mains", [50, 60])
@pytest.mark.parametrize("below", [0.0, 6.0])
def test_hum_is_found_and_named(mains: int, below: float) -> None:
    """Harmonics together as loud as the room's noise over all its width, or a quarter of it."""
    samples = noise(-60, 3.0)
    for harmonic in (1, 2, 3, 4):
        samples += tone(mains * harmonic, -66 - below, 3.0)
    found = listen(samples)
    assert found.hum_frequency == mains
    assert f"{mains} Hertz" in found.advice[0]


@pytest.mark.parametrize("seed", range(8))
def test_noise_has_no_hum(seed: int) -> None:
    """White, and falling by 6 dB per octave as rooms do."""
    white = noise(-60, 3.0, seed=seed)
    brown = np.cumsum(noise(-90, 3.0, seed=seed)).astype(np.float32)
    assert listen(white).hum_frequency is None
    assert listen(brown - brown.mean()).hum_frequency is None


def test_a_room_of_nothing_at_all() -> None:
    """A muted microphone, or one with a noise gate."""
    found = listen(np.zeros(RATE * 3, np.float32))
    assert (found.noise, found.hum_frequency, found.disturbed) == (-120, None, False)


def test_a_stretch_too_short_for_hum() -> None:
    assert listen(noise(-60, 0.5)).hum_frequency is None


def test_lost_sound_and_a_low_rate_are_told() -> None:
    """V2: 24 kHz recommended."""
    found = room(blocks(noise(-70, 3.0, 16_000), 16_000), 16_000, latency=0.01, lost=3)
    assert ["lost" in said for said in found.advice] == [True, False]
    assert "16,000 Hertz" in found.advice[1]
