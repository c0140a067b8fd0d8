"""Sound check: how loud a room and a voice are while they are heard, and what to do about it.

Quick numbers for a meter and for advice before and during a recording, from blocks at the
device's own rate. The verdict on a take is passed later, on all of it: see measuring and grading.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aitwin.voice.microphone import GOOD_RATE, Block

SILENCE = -120.0  # dBFS given for digital silence
CLIP = 0.9995
"""Of full scale: 16-bit converters stop at 32,767 of 32,768, and some drivers a step below."""
ABOVE_NOISE = 8.0  # dB over the room at which a block counts as said
LEAST_NOISE = -70.0  # dBFS; in a quieter room a rustle would count as said
WHISPER_ABOVE_NOISE = 5.0
"""dB: a whisper is 20 to 30 dB softer than speech, and over a room's noise it stays under 8."""
LEAST_WHISPER_NOISE = -90.0  # dBFS: many a converter's own; a whisper is no louder than a rustle
ONSET = 0.08  # seconds; a key or a click is shorter, a syllable longer
REST = 1.2  # seconds of quiet after which a sentence is over
LONG_REST = 3.0  # the same while much of the sentence is still to be read
PER_WORD = 0.18  # seconds of speech that a word takes at least: 330 words a minute
UNHEARD = 10.0  # seconds after which somebody who says nothing is asked why
SLOW_WORD = 0.6
"""Seconds of a word read slowly, pauses and all: whoever is not heard may be reading even so."""
LONGEST = 120.0  # seconds; nobody reads a sentence so long

LOUD_ROOM = -50.0  # dBFS
DISTURBED = 20.0  # dB over the room's own level: a door, a word, a passing lorry
HUM = 12.0  # dB of mains harmonics over the noise beside them
FAINT_HUM = -80.0  # dBFS under which nobody hears it
HARMONICS = (1, 2, 3, 4)
QUIET_VOICE = -42.0  # dBFS; 24 bits forgive it, the noise of the microphone does not
NEAR_CLIP = -3.0  # dBFS of the peak; an angry sentence is 6 dB louder than this line
CLEAR = 20.0  # dB of voice over room


@dataclass(frozen=True)
class Levels:
    """How loud something said was."""

    said: float
    """Seconds of it, pauses left out."""
    lasted: float
    """Seconds from its beginning to its end, the pauses within it included."""
    speech: float
    """Mean level of what was said, dBFS; SILENCE when nothing was."""
    peak: float
    """dBFS."""
    clipped: int
    """Samples at full scale."""
    silent: bool
    """Whether every sample was zero: the microphone gave nothing at all."""


class Meter:
    """Follows the level block by block, and knows what was said from what was quiet."""

    def __init__(
        self, sample_rate: int, noise: float = LEAST_NOISE, *, whispered: bool = False
    ) -> None:
        """`noise`: of the room, dBFS; `whispered`: what is to be heard is soft."""
        self._rate = sample_rate
        if whispered:
            self._threshold = max(noise, LEAST_WHISPER_NOISE) + WHISPER_ABOVE_NOISE
        else:
            self._threshold = max(noise, LEAST_NOISE) + ABOVE_NOISE
        self.level = SILENCE
        """Of the last block, dBFS."""
        self.peak = SILENCE
        """Of all of it, dBFS."""
        self.clipped = 0
        """Samples at full scale."""
        self.seconds = 0.0
        """Heard so far."""
        self.said = 0.0
        """Seconds of what was said."""
        self.quiet = 0.0
        """Seconds since something was last said."""
        self._run = 0.0
        self._run_power = 0.0
        self._power = 0.0
        self._began = 0.0

    def hear(self, block: Block) -> None:
        """Take the next block, shape [time, channels]."""
        if not len(block):
            return
        seconds = len(block) / self._rate
        size = np.abs(block)
        self.level = level(block)
        self.peak = max(self.peak, decibels(float(size.max())))
        self.clipped += int((size >= CLIP).sum())
        self.seconds += seconds
        if self.level < self._threshold:
            self._run = self._run_power = 0.0
            self.quiet += seconds
            return
        self._run += seconds
        self._run_power += seconds * 10 ** (self.level / 10)
        if self._run < ONSET:
            self.quiet += seconds
            return
        if not self.said:
            self._began = self.seconds - self._run
        # The onset counts only once it has proved to be one.
        self.said += self._run if self._run - seconds < ONSET else seconds
        self._power += self._run_power
        self._run_power = 0.0
        self.quiet = 0.0

    def finished(self, words: int) -> bool:
        """Whether the reader of so many words has come to the end, or says nothing at all."""
        if not self.said:
            return self.seconds >= max(UNHEARD, words * SLOW_WORD)
        rest = REST if self.said >= words * PER_WORD else LONG_REST
        return self.quiet >= rest or self.seconds >= LONGEST

    def levels(self) -> Levels:
        """What was heard so far."""
        speech = decibels((self._power / self.said) ** 0.5) if self.said else SILENCE
        lasted = self.seconds - self.quiet - self._began if self.said else 0.0
        silent = self.peak == SILENCE
        return Levels(self.said, lasted, speech, self.peak, self.clipped, silent)


@dataclass(frozen=True)
class Room:
    """What a microphone hears while nobody speaks."""

    noise: float
    """dBFS."""
    hum: float
    """Mains hum and its harmonics over the noise beside them, dB; 0 without."""
    hum_frequency: int | None
    """50 or 60 Hertz; None without hum."""
    disturbed: bool
    """Whether something was heard that is not the room's own: then it is to be heard again."""
    latency: float
    """Seconds, as the device states them."""
    lost: int
    """How often sound was lost because this machine was too slow."""
    sample_rate: int
    """Hertz."""

    @property
    def advice(self) -> tuple[str, ...]:
        """What would make it better, in plain words; empty for a good room."""
        found = []
        if self.disturbed:
            found.append("something was heard in between; keep still and check again")
        if self.noise > LOUD_ROOM:
            found.append(
                f"the room is loud ({self.noise:.0f} dBFS): switch off fans, close the window, "
                "come closer to the microphone"
            )
        if self.hum_frequency is not None:
            found.append(
                f"there is mains hum ({self.hum_frequency} Hertz): move the microphone and its "
                "cable away from chargers and lamps, or run the laptop on its battery"
            )
        if self.lost:
            found.append("sound was lost on the way: close programs that keep this machine busy")
        if self.sample_rate < GOOD_RATE:
            found.append(
                f"the microphone gives {self.sample_rate:,} Hertz; {GOOD_RATE:,} and more keep "
                "the whole voice: use another one if you can"
            )
        return tuple(found)


def room(blocks: Iterable[Block], sample_rate: int, *, latency: float, lost: int) -> Room:
    """What is heard in a stretch of silence; two seconds and more tell hum from noise."""
    heard = [block for block in blocks if len(block)]
    powers = np.array([10 ** (level(block) / 10) for block in heard])
    # Without the loudest tenth: a creak does not make a room loud.
    calm = np.sort(powers)[: max(1, round(len(powers) * 0.9))]
    noise = max(SILENCE, 10 * float(np.log10(calm.mean())))
    loudest = 10 * float(np.log10(powers.max()))
    samples = np.concatenate([block[:, _louder(block)] for block in heard])
    hum, frequency = _hum(samples, sample_rate)
    return Room(
        noise=noise,
        hum=hum,
        hum_frequency=frequency,
        # Noise at the edge of nothing jumps by more than that when a bit flips.
        disturbed=loudest - noise > DISTURBED and loudest > LEAST_NOISE,
        latency=latency,
        lost=lost,
        sample_rate=sample_rate,
    )


def voice_advice(levels: Levels, noise: float) -> tuple[str, ...]:
    """What would make a voice heard better, in plain words; empty when it is heard well."""
    if not levels.said:
        return ("nothing was heard: read the line aloud, about a hand's length from it",)
    found = []
    if levels.clipped:
        found.append(
            f"too loud: {levels.clipped:,} samples are at full scale; lower the input level in "
            "the sound settings, or move back a little"
        )
    elif levels.peak > NEAR_CLIP:
        found.append("nearly too loud: lower the input level a little, some lines are for shouting")
    if levels.speech < QUIET_VOICE:
        found.append(
            f"quiet ({levels.speech:.0f} dBFS): come closer, to a hand's length, or raise the "
            "input level in the sound settings"
        )
    elif levels.speech - noise < CLEAR:
        found.append(
            f"your voice is only {levels.speech - noise:.0f} dB above the room: come closer, or "
            "find a quieter room"
        )
    return tuple(found)


def level(block: Block) -> float:
    """RMS of the louder channel, dBFS."""
    power = np.square(block, dtype=np.float64).mean(axis=0).max(initial=0.0)
    return decibels(float(power) ** 0.5)


def decibels(amplitude: float) -> float:
    """DBFS of an amplitude; at least SILENCE."""
    return max(SILENCE, 20 * float(np.log10(max(amplitude, 1e-9))))


def _louder(block: Block) -> int:
    return int(np.square(block, dtype=np.float64).mean(axis=0).argmax())


def _hum(samples: NDArray[np.float32], rate: int) -> tuple[float, int | None]:
    """The stronger of 50 and 60 Hertz: its harmonics' mean height over their surroundings, dB.

    Windows of one second tell 50 from 60 Hertz; noise stays under HUM by averaging few of them.
    """
    starts: Sequence[int] = range(0, len(samples) - rate + 1, rate // 2)
    if not starts:
        return 0.0, None
    window = np.hanning(rate)
    power = np.mean([np.abs(np.fft.rfft(samples[at : at + rate] * window)) ** 2 for at in starts],
                    axis=0)  # fmt: skip
    power = power * 2 / (window.sum() ** 2) + 1e-15  # a sine's own mean square in its bin
    found: tuple[float, int | None] = (0.0, None)
    for mains in (50, 60):
        heights, strongest = [], 0.0
        for harmonic in HARMONICS:
            at = mains * harmonic
            line = power[at - 1 : at + 2].max()
            beside = np.median(np.concatenate([power[at - 8 : at - 3], power[at + 4 : at + 9]]))
            heights.append(10 * float(np.log10(line / beside)))
            strongest = max(strongest, line)
        height = float(np.mean(heights))
        if height > max(HUM, found[0]) and 10 * np.log10(strongest) > FAINT_HUM:
            found = (height, mains)
    return found
