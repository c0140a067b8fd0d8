"""Channels: which of a recording's channels hold a voice, and whether it is the same one.

Known from the whole recording, as the levels of every tenth of a second: the owner may have the
second channel, and say nothing for its first half hour. Does not read files and mixes nothing:
see source. Tells no voices apart: two channels that sound at different times hold two of them.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from aitwin.voice.grades import Reason
from aitwin.voice.sound_file import Block

WINDOW = 0.1
"""Seconds of which a level is taken: a syllable."""
BAND = (150.0, 6_000.0)
"""Hertz, about, in which it is taken: without the hum and rumble of a channel that is otherwise
dead, and without much of its hiss. Vowels lie in it."""
NOTHING = -96.0
"""dBFS of a window in which nothing was recorded: half a step of 16 bits."""
MUTED = -70.0
"""dBFS up to which a channel is silent when another is not: crosstalk, no microphone."""
LOWEST = 0.1
"""Share of a channel's windows that lie at its noise floor, or under it."""
RISE = 6.0
"""dB over its floor from which a window of it sounds. Hiss and hum stay within 1 dB of theirs,
and the loudest syllables rise so far even where speech is as loud as the noise."""
HEARD = 3
"""Windows that sound in a channel that is alive: a cough."""
FAINT = 30.0
"""dB under the loudest channel from which one is left out where none of them rises: of steady
sound there is no telling noise from anything else."""
MIRRORED = 0.5
"""Correlation with a louder channel from which one is that one, or, where it is below nought, that
one upside down: a wire was swapped, and their mean would be silence."""
APART = 15.0
"""dB by which two channels change places, from one that is louder to the other, where they hold
two speakers. Two microphones at one speaker give up to 4 (simulated rooms, RT60 0.3 to 1 s), a
stereo microphone between two speakers up to 12, a microphone for each of them 16 and more."""
SHARE = 0.01
"""Of the windows that sound: how long each of the two speaks at the least."""
TURN = 10
"""Windows that each of the two speaks at the least: one second."""
LOUD = 10.0
"""dB under a channel's loud windows within which its own voice is, and not the echo of another's:
the far microphone of two hears the room on when the near one hears nothing any more."""


@dataclass(frozen=True)
class Channels:
    """What a recording's channels hold."""

    of: int
    """How many the file has."""
    heard: tuple[int, ...]
    """Those that are alive anywhere, ascending, from 0; the others are silent, or mere noise."""
    signs: tuple[int, ...]
    """Of each of `heard`: -1 where it is upside down, otherwise 1."""
    apart: bool = False
    """Whether each holds another speaker: they sound at different times."""

    @property
    def remarks(self) -> tuple[Reason, ...]:
        """What the owner has to know of it; lowers no grade but where others speak."""
        remarks = []
        if self.apart:
            # What others say must not come into the owner's profile.
            found = "each channel holds another speaker"
            advice = "export yours alone, as mono, and add that"
            remarks.append(Reason("channels", "D", found, advice))
        silent = [channel for channel in range(self.of) if channel not in self.heard]
        if silent:
            found = f"{_named(silent)} of {self.of} left out: nobody is heard in it"
            advice = "nothing, if only one microphone was connected"
            remarks.append(Reason("channels", "A", found, advice))
        mirrored = [one for one, sign in zip(self.heard, self.signs, strict=True) if sign < 0]
        if mirrored:
            found = f"{_named(mirrored)} of {self.of} turned: it is the other upside down"
            advice = "nothing; a cable, or an adapter for two microphones, has its wires swapped"
            remarks.append(Reason("channels", "A", found, advice))
        return tuple(remarks)


def _named(channels: list[int]) -> str:
    """As people count them."""
    numbers = ", ".join(str(channel + 1) for channel in channels)
    return f"channel{'s' * (len(channels) > 1)} {numbers}"


class Survey:
    """A look at all of a recording, in 40 bytes of memory per channel and second."""

    def __init__(self, rate: int, channels: int) -> None:
        """Of a recording at `rate` Hertz."""
        import scipy.signal

        # The mean of so many neighbours is filter enough, and makes the rest quicker.
        self._step = max(1, rate // round(2 * BAND[1]))
        self._rate = rate / self._step
        self._filter = scipy.signal.sosfilt
        self._sections = scipy.signal.butter(2, BAND[0], "highpass", fs=self._rate, output="sos")
        self._settled = scipy.signal.sosfilt_zi(self._sections)
        self._state: NDArray[np.float64] | None = None
        self._levels: list[NDArray[np.float32]] = []
        self._products = np.zeros((channels, channels))

    def add(self, block: Block) -> None:
        """Hear what comes next: some windows, [time, channels], not less than one sample."""
        whole = max(1, len(block) // self._step) * self._step
        sound = block[:whole].reshape(-1, min(self._step, len(block)), block.shape[1]).mean(axis=1)
        if self._state is None:
            self._state = np.multiply.outer(self._settled, sound[0])
        sound, self._state = self._filter(self._sections, sound, axis=0, zi=self._state)
        self._products += sound.T @ sound
        windows = max(1, round(len(sound) / (WINDOW * self._rate)))
        borders = np.linspace(0, len(sound), windows + 1).astype(np.intp)
        sums = np.add.reduceat(np.square(sound), borders[:-1])
        power = sums / np.diff(borders)[:, np.newaxis]
        self._levels.append((10 * np.log10(power + 1e-12)).astype(np.float32))

    def end(self) -> Channels:
        """What was heard. At least one block was."""
        levels = np.concatenate(self._levels)  # [windows, channels], dBFS
        floors = np.array([_floor(channel) for channel in levels.T])
        heard = _alive(levels, floors)
        products = self._products[np.ix_(heard, heard)]
        return Channels(
            of=levels.shape[1],
            heard=tuple(int(channel) for channel in heard),
            signs=_signs(products),
            apart=any(
                _change_places(levels[:, list(pair)], floors[list(pair)])
                for pair in combinations(heard, 2)
            ),
        )


def _floor(levels: NDArray[np.float32]) -> float:
    """dBFS of the noise of one channel."""
    recorded = levels[levels > NOTHING]
    return float(np.quantile(recorded, LOWEST)) if len(recorded) else NOTHING


def _alive(levels: NDArray[np.float32], floors: NDArray[np.float64]) -> NDArray[np.intp]:
    """The channels in which something sounds: speech comes and goes, noise stays."""
    sounds = (levels > floors + RISE) & (levels > MUTED)
    alive = np.flatnonzero(sounds.sum(axis=0) >= HEARD)
    if len(alive):
        return alive
    loudest = levels.max(axis=0)
    return np.flatnonzero(loudest >= loudest.max() - FAINT)


def _signs(products: NDArray[np.float64]) -> tuple[int, ...]:
    """Of channels with these sums of products, see `Channels.signs`: each as its nearest kin."""
    powers = np.diag(products)
    likeness = products / np.sqrt(np.outer(powers, powers) + 1e-12)
    order = np.argsort(-powers, kind="stable")
    signs = [1] * len(powers)
    for place, one in enumerate(order[1:], 1):
        nearest = order[np.argmax(np.abs(likeness[one, order[:place]]))]
        if abs(likeness[one, nearest]) > MIRRORED:
            signs[one] = signs[nearest] * int(np.sign(likeness[one, nearest]))
    return tuple(signs)


def _change_places(levels: NDArray[np.float32], floors: NDArray[np.float64]) -> bool:
    """Whether two channels, [windows, 2], hold two speakers.

    At times the first is so much louder than the second, at others the second than the first;
    how much in all is what does not depend on their gains. Where one does not sound it counts as
    if it just did, so that its noise makes no difference, and its neighbours in time count too,
    since the same sound arrives later at one of them.
    """
    at_least = np.maximum(levels, floors + RISE)
    around = np.pad(at_least, ((1, 1), (0, 0)), mode="edge")
    around = np.maximum(np.maximum(around[:-2], around[2:]), at_least)
    sounds = (levels > floors + RISE) & (levels > MUTED)
    turn = max(TURN, round(SHARE * np.count_nonzero(sounds.any(axis=1))))
    places = 0.0
    for one, other in ((0, 1), (1, 0)):
        mine, others = levels[sounds[:, one], one], around[sounds[:, one], other]
        if len(mine) < turn:
            return False
        loud = mine >= np.quantile(mine, 0.95) - LOUD
        louder = np.where(loud, mine - others, -np.inf)
        places += float(np.partition(louder, -turn)[-turn])
    return places > APART
