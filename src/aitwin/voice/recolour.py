"""From one speaker's timbre to another's: how formants and bands differ, learned from frames.

The two need not have said the same words. Three steps, each as coarse as the data allow:
the frequency axis is stretched as a longer or shorter vocal tract would (Eide & Gish, "A parametric
approach to vocal tract length normalization", ICASSP 1996); every band gets the other's mean and
spread; and each of a few kinds of sound gets a shift of its own, by the adaptation of a mixture of
Gaussians that speaker recognition uses (Reynolds, Quatieri & Dunn, "Speaker verification using
adapted Gaussian mixture models", Digital Signal Processing 10, 2000). Makes no sound: see matched.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aitwin.voice.envelope import FREQUENCIES
from aitwin.voice.timbre import BANDS, CENTRES, Timbre, bands, mel

STRETCHES = np.arange(0.80, 1.251, 0.02)
"""Of the frequency axis that are tried: a grown man's vocal tract to a child's."""
COMPARED = (200.0, 5_000.0)
"""Hertz between which formants tell a vocal tract's length."""
LOOKED_AT = 800
"""Frames of either speaker by which it is told."""
COEFFICIENTS = 20
"""Of a frame's cosine transform, by which kinds of sound are told apart."""
KINDS = 8
"""Kinds of sound. Measured on nine speakers with 3 to 7 s each: 8, 16 and 32 do equally well."""
TRUST = 4.0
"""Frames of a kind at which it is believed half (Reynolds's relevance factor)."""
ROUNDS = 15
ADAPTING = 3
"""Rounds of learning the kinds, and of adapting them."""
SPREADS = (0.6, 1.6)
"""Between which a band's spread is changed."""
MOST = 20.0
"""dB by which a band is changed at most."""
BLEND = 7
"""Frames (80 ms) over which one kind of sound goes over into the next."""

_INVERSE = np.arange(BANDS) + 0.5
_COSINES = np.cos(np.pi * np.arange(1, COEFFICIENTS + 1)[:, None] * _INVERSE / BANDS) * np.sqrt(
    2 / BANDS
)
_PLACES = mel(CENTRES)

Levels = NDArray[np.float64]
"""Of bands in dB, shape [frames, BANDS], each frame's mean being 0."""


@dataclass(frozen=True, eq=False)
class _Kinds:
    """A mixture of Gaussians over cosine coefficients, and each one's shift."""

    means: NDArray[np.float64]
    """Shape [KINDS, COEFFICIENTS]; so are `variances`."""
    variances: NDArray[np.float64]
    weights: NDArray[np.float64]
    shifts: Levels
    """dB, shape [KINDS, BANDS]."""

    def shares(self, levels: Levels) -> NDArray[np.float64]:
        """How much of each kind frames are, shape [frames, KINDS]; a row sums up to 1."""
        return _shares(levels @ _COSINES.T, self.means, self.variances, self.weights)


@dataclass(frozen=True, eq=False)
class Recolouring:
    """What takes one speaker's envelopes to another's."""

    stretch: float
    """Of the frequency axis: over 1, formants move up."""
    before: NDArray[np.float64] = field(repr=False)
    after: NDArray[np.float64] = field(repr=False)
    """Mean levels of vowels in dB, shape [BANDS]: those of the stretched base, and the wanted."""
    spread: NDArray[np.float64] = field(repr=False)
    """Factor on how far a band swings, shape [BANDS]."""
    hiss: NDArray[np.float64] = field(repr=False)
    """dB that unvoiced frames get, shape [BANDS]."""
    kinds: _Kinds = field(repr=False)

    def gains(
        self, envelopes: NDArray[np.float64], voiced: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Amplitude factors per bin, shape [frames, BINS], for envelopes of that shape.

        No frame gets louder or softer by them; that is the base speaker's to decide.
        """
        stretched = _stretched_bins(envelopes, self.stretch)
        levels = bands(stretched)
        moved = (levels - self.before) * self.spread + self.after
        moved += _blended(self.kinds.shares(moved)) @ self.kinds.shifts
        vowel = _blended(voiced.astype(np.float64)[:, None])
        change = vowel * (moved - levels) + (1 - vowel) * self.hiss
        shape = _at_bins(np.clip(change, -MOST, MOST))
        wanted = stretched * 10 ** (shape / 10)
        wanted *= envelopes.sum(axis=1, keepdims=True) / wanted.sum(axis=1, keepdims=True)
        return np.asarray(np.sqrt(wanted / envelopes))


def learn(base: Timbre, wanted: Timbre) -> Recolouring:
    """What takes `base` to `wanted`. Always the same for the same two."""
    own, other = base.vowels.astype(np.float64), wanted.vowels.astype(np.float64)
    stretch = stretch_of(own, other)
    stretched = _stretched(own, stretch)
    before, after = stretched.mean(axis=0), other.mean(axis=0)
    swing = other.std(axis=0) / np.maximum(stretched.std(axis=0), 1e-3)
    spread = np.clip(swing, *SPREADS)
    moved = (stretched - before) * spread + after
    return Recolouring(
        stretch=stretch,
        before=before,
        after=after,
        spread=spread,
        hiss=wanted.hiss - _stretched(base.hiss[None].astype(np.float64), stretch)[0],
        kinds=_adapted(moved, other),
    )


def stretch_of(own: Levels, other: Levels) -> float:
    """The stretch of `own`'s frequencies that makes the frames of the two most alike.

    By the distance from every frame to the nearest of the other's; mean spectra are taken off
    first, since a microphone changes them as well.
    """
    own, other = _thinned(own), _thinned(other)
    there = _centred(other)
    distances = []
    for stretch in STRETCHES:
        here = _centred(_stretched(own, float(stretch)))
        squares = (
            np.square(here).sum(axis=1)[:, None] + np.square(there).sum(axis=1) - 2 * here @ there.T
        )
        distances.append(squares.min(axis=0).mean() + squares.min(axis=1).mean())
    return round(float(STRETCHES[int(np.argmin(distances))]), 2)


def _centred(levels: Levels) -> NDArray[np.float64]:
    within = (COMPARED[0] <= CENTRES) & (COMPARED[1] >= CENTRES)
    chosen = np.where(within, levels - levels.mean(axis=0), 0)
    return np.asarray(chosen @ _COSINES.T)


def _thinned(levels: Levels) -> Levels:
    if len(levels) <= LOOKED_AT:
        return levels
    return levels[np.linspace(0, len(levels) - 1, LOOKED_AT).astype(np.intp)]


def _stretched(levels: Levels, stretch: float) -> Levels:
    """Bands of which each is heard `stretch` times higher than before."""
    place = np.interp(mel(CENTRES / stretch), _PLACES, np.arange(BANDS))
    return _read(levels, place)


def _stretched_bins(power: NDArray[np.float64], stretch: float) -> NDArray[np.float64]:
    if stretch == 1:
        return power
    place = np.minimum(FREQUENCIES / stretch, FREQUENCIES[-1]) / FREQUENCIES[1]
    return np.asarray(np.exp(_read(np.log(power), place)))


def _read(rows: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of rows at places between them."""
    below = np.minimum(place.astype(np.intp), rows.shape[1] - 2)
    share = place - below
    return np.asarray(rows[:, below] * (1 - share) + rows[:, below + 1] * share)


def _at_bins(levels: Levels) -> NDArray[np.float64]:
    """From bands to bins, shape [frames, BINS]."""
    return _read(levels, _BIN_PLACES)


_BIN_PLACES = np.interp(mel(FREQUENCIES), _PLACES, np.arange(BANDS))


def _blended(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column smoothed over BLEND frames."""
    bell = np.hanning(BLEND + 2)[1:-1]
    padded = np.pad(rows, ((BLEND // 2, BLEND // 2), (0, 0)), mode="edge")
    columns = [np.convolve(column, bell / bell.sum(), "valid") for column in padded.T]
    return np.stack(columns, axis=1)


# --- Kinds of sound -------------------------------------------------------------------------------


def _adapted(moved: Levels, other: Levels) -> _Kinds:
    """Kinds of the moved base's frames, and how far the other's frames of each kind lie off."""
    points, targets = moved @ _COSINES.T, other @ _COSINES.T
    means, variances, weights = _mixture(points)
    own = _shares(points, means, variances, weights)
    here = own.T @ moved / np.maximum(own.sum(axis=0), 1e-9)[:, None]
    there = here
    for _ in range(ADAPTING):
        heard = _shares(targets, there @ _COSINES.T, variances, weights)
        count = heard.sum(axis=0)[:, None]
        trust = count / (count + TRUST)
        there = trust * (heard.T @ other / np.maximum(count, 1e-9)) + (1 - trust) * here
    return _Kinds(means, variances, weights, there - here)


def _mixture(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Means, variances and weights of KINDS diagonal Gaussians, by expectation-maximisation."""
    count = min(KINDS, len(points))
    means = points[np.random.default_rng(0).choice(len(points), count, replace=False)]
    total = points.var(axis=0) + 1e-6
    variances, weights = np.tile(total, (count, 1)), np.full(count, 1 / count)
    for _ in range(ROUNDS):
        shares = _shares(points, means, variances, weights)
        size = shares.sum(axis=0)[:, None] + 1e-9
        means = shares.T @ points / size
        variances = np.maximum(shares.T @ np.square(points) / size - np.square(means), total / 20)
        weights = size[:, 0] / size.sum()
    return means, variances, weights


def _shares(
    points: NDArray[np.float64],
    means: NDArray[np.float64],
    variances: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Of each Gaussian in each point, shape [points, Gaussians]."""
    distance = (
        np.square(points) @ (1 / variances).T
        - 2 * points @ (means / variances).T
        + (np.square(means) / variances).sum(axis=1)
    )
    odds = np.log(weights) - 0.5 * (np.log(variances).sum(axis=1) + distance)
    odds -= odds.max(axis=1, keepdims=True)
    shares = np.exp(odds)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
