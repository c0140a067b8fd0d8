"""How far the manner of texts is from the owner's: length, marks, capitals, emoji, phrases.

Every trait is a number per text; two sets of texts are as far apart as their distributions are by
the Wasserstein distance, in units of how far two of the owner's own replies are apart on average
(Gini's mean difference; both are E|X - Y|, so 1 means: as far as one own reply from another). It
needs no bins, no normal distribution, and one odd text moves it by its share only. The marks
themselves are compared as one distribution by the Jensen-Shannon distance (Lin 1991), 0 to 1.

Phrases are looked for in English, German, French and Spanish; in other languages they are not
found, in nobody's texts. Does not decide who wrote a text: see attribution.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp2, log2, nan
from typing import Any

import numpy as np

from aitwin.style.evaluation.measures import CANDIDATES, Better, Candidate, Measure, Section, Unit
from aitwin.style.evaluation.statistics import Estimate, Numbers, bootstrap, draws, summary
from aitwin.style.evaluation.statistics import mean as mean_of
from aitwin.style.nearest import words

EMOJI = re.compile("[\u2600-\u27bf\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff]|[:;]-?[)(DPp](?!\\w)")
MARKS = re.compile(r"\.{3}|…|--|[–—]|[.,;:!?()\"'’“”„«»/*_¿¡。，、！？]")
_SENTENCE = re.compile(r"(?:^|[.!?…]\s+|\n\s*)[\"'(“„«¿¡]*([^\W\d_])")
_CAPITALS = re.compile(r"\b[A-Z]{3,}\b")


def _phrases(text: str) -> re.Pattern[str]:
    alternatives = "|".join(re.escape(phrase.strip()) for phrase in text.split("/"))
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)


# After the list of Hyland (1998), and what its words are in three other languages.
HEDGES = _phrases(
    "maybe/perhaps/possibly/probably/presumably/apparently/I think/I guess/I believe/I suppose/"
    "I feel like/it seems/it appears/seems to/appears to/might/sort of/kind of/somewhat/"
    "I would say/as far as I know/in my opinion/if possible/"
    "vielleicht/wahrscheinlich/vermutlich/möglicherweise/eventuell/ich glaube/ich denke/ich meine/"
    "es scheint/anscheinend/wohl/irgendwie/meines Erachtens/unter Umständen/"
    "peut-être/probablement/sans doute/je pense/je crois/il semble/il me semble/apparemment/"
    "éventuellement/en quelque sorte/"
    "quizás/quizá/tal vez/probablemente/posiblemente/creo que/pienso que/me parece/parece que/"
    "supongo que/a lo mejor"
)
CORPORATE = _phrases(
    "I hope this email finds you well/I hope this message finds you well/I hope you are doing well/"
    "please do not hesitate/please don't hesitate/feel free to reach out/reach out to/"
    "touch base/circle back/moving forward/going forward/at your earliest convenience/"
    "per my last email/as per/please find attached/looking forward to hearing from you/"
    "I look forward to hearing from you/thank you for reaching out/thank you for your patience/"
    "thank you for bringing this to/I appreciate your/we appreciate your/I wanted to follow up/"
    "I am writing to/leverage/synergy/synergies/stakeholders/best practices/valued/streamline/"
    "if you have any questions/if you have any further questions/I understand your concern/"
    "ich hoffe, es geht Ihnen gut/zögern Sie nicht/für Rückfragen stehe ich/zeitnah/zielführend/"
    "anbei finden Sie/ich freue mich auf Ihre Rückmeldung/vielen Dank für Ihre Geduld/"
    "j'espère que vous allez bien/n'hésitez pas/dans les meilleurs délais/veuillez trouver/"
    "dans l'attente de votre/je reste à votre disposition/"
    "espero que se encuentre bien/no dude en/quedo a su disposición/adjunto encontrará/"
    "quedo a la espera/a la mayor brevedad"
)


def _length(text: str) -> float:
    return log2(1 + len(words(text)))


def _words_of(length: float) -> float:
    return exp2(length) - 1


def _sentence_length(text: str) -> float:
    parts = [part for part in re.split(r"[.!?…]+(?:\s|$)|\n\s*\n", text) if words(part)]
    return log2(1 + len(words(text)) / max(1, len(parts)))


def _rate(pattern: re.Pattern[str]) -> Callable[[str], float]:
    return lambda text: 100 * len(pattern.findall(text)) / max(1, len(words(text)))


def _small_starts(text: str) -> float:
    starts = _SENTENCE.findall(text)
    return 100.0 * sum(bool(start.islower()) for start in starts) / max(1, len(starts))


def _line_breaks(text: str) -> float:
    return 100 * text.strip().count("\n") / max(1, len(words(text)))


@dataclass(frozen=True)
class Trait:
    """One thing that a text has more or less of."""

    key: str
    name: str
    of: Callable[[str], float]
    shown: Callable[[float], float] = float
    """From the scale on which distances are taken to the one that is read."""
    least: float = 1.0
    """Smallest spread: an owner who never uses emoji would be infinitely far from one."""


TRAITS = (
    # Lengths double; twenty words more are nothing to a long mail and everything to "ok".
    Trait("length", "words in a text", _length, _words_of, 0.25),
    Trait("sentence", "words in a sentence", _sentence_length, _words_of, 0.25),
    Trait("marks", "marks per 100 words", _rate(MARKS)),
    Trait("breaks", "line breaks per 100 words", _line_breaks),
    Trait("small", "sentences that begin small, %", _small_starts, least=5.0),
    Trait("capitals", "WORDS IN CAPITALS per 100", _rate(_CAPITALS)),
    Trait("emoji", "emoji per 100 words", _rate(EMOJI)),
    Trait("hedges", "hedges per 100 words", _rate(HEDGES)),
    Trait("corporate", "corporate phrases per 100 words", _rate(CORPORATE)),
)


def measure(
    texts: Mapping[Candidate, Sequence[str]],
    groups: Mapping[Candidate, Sequence[str]],
    learnt: Sequence[str],
) -> Section:
    """Distances of each candidate's texts from `learnt`, the owner's replies in training.

    The owner's own held-out replies are a candidate, too: what they reach is the ceiling.
    """
    levels, distances = [], []
    every: dict[Candidate, list[Numbers]] = {c: [] for c in texts}
    for trait in TRAITS:
        reference = np.sort([trait.of(text) for text in learnt])
        unit = max(trait.least, spread(reference))
        level: dict[Candidate, Estimate] = {}
        distance: dict[Candidate, Estimate] = {}
        for candidate, these in texts.items():
            values = np.asarray([trait.of(text) for text in these])
            apart = wasserstein(values, reference, draws(groups[candidate])) / unit
            every[candidate].append(apart)
            level[candidate] = _level(trait, values, groups[candidate])
            distance[candidate] = summary(apart, groups[candidate])
        levels.append(_line(trait.key, trait.name, "number", level))
        distances.append(
            _line(f"{trait.key}_distance", f"distance: {trait.name}", "distance", distance)
        )
    marks = Counter(mark for text in learnt for mark in MARKS.findall(text))
    which = {c: _marks(texts[c], groups[c], marks) for c in texts}
    distances.append(_line("which_marks_distance", "distance: which marks", "distance", which))
    overall = Measure(
        "manner.distance",
        "distance of manner",
        "distance",
        "low",
        {c: summary(np.mean(every[c], axis=0), groups[c]) for c in texts},
        headline=True,
    )
    note = (
        "How far texts are from your replies in training; 1 is as far as two of your own are apart "
        "on average. Your held-out replies, to the same prompts, show what is nearest possible."
    )
    return Section("Manner", note, (overall, *levels, *distances))


def _line(key: str, name: str, unit: Unit, estimates: dict[Candidate, Estimate]) -> Measure:
    ordered = {c: estimates[c] for c in CANDIDATES if c in estimates}
    better: Better = "low" if unit == "distance" else "owner"
    return Measure(f"manner.{key}", name, unit, better, ordered)


def _level(trait: Trait, values: Numbers, groups: Sequence[str]) -> Estimate:
    found = mean_of(values.tolist(), groups)
    value, low, high = (trait.shown(x) for x in (found.value, found.low, found.high))
    return Estimate(value, low, high, found.count)


def _marks(texts: Sequence[str], groups: Sequence[str], reference: Counter[str]) -> Estimate:
    counted = [Counter(MARKS.findall(text)) for text in texts]
    names = sorted({*reference, *(mark for counts in counted for mark in counts)})
    table = np.asarray([[counts[name] for name in names] for counts in counted], dtype=np.float64)
    other = np.asarray([reference[name] for name in names], dtype=np.float64)
    return bootstrap(lambda at: jensen_shannon(table[at].sum(axis=0), other), groups)


def wasserstein(values: Numbers, reference: Numbers, times: Any) -> Numbers:
    """First Wasserstein distances of samples of `values` from `reference`, which is sorted.

    Each line of `times` is a sample: how often it has each value. The distance of two samples is
    the area between their cumulative distributions.
    """
    if not len(values) or not len(reference):
        return np.full(len(times), nan)
    ends = np.unique(np.concatenate((values, reference)))
    parts = times / np.maximum(1, times.sum(axis=1, keepdims=True))
    below = parts @ (values[:, None] <= ends[None, :-1])
    other = np.searchsorted(reference, ends[:-1], side="right") / len(reference)
    apart: Numbers = np.abs(below - other) @ np.diff(ends)
    return apart


def spread(ordered: Numbers) -> float:
    """Gini's mean difference: how far two values of a sorted sample are apart on average."""
    count = len(ordered)
    if count < 2:
        return 0.0
    ranks = 2 * np.arange(count) - count + 1
    return float(2 * np.dot(ranks, ordered) / (count * (count - 1)))


def jensen_shannon(counts: Numbers, other: Numbers) -> float:
    """Distance of two distributions given as counts: 0 for equal ones, 1 for disjoint ones."""
    if not counts.sum() or not other.sum():
        return 0.0 if counts.sum() == other.sum() else 1.0
    p, q = counts / counts.sum(), other / other.sum()
    middle = (p + q) / 2

    def divergence(one: Numbers) -> float:
        some = one > 0
        return float(np.dot(one[some], np.log2(one[some] / middle[some])))

    return float(np.sqrt(max(0.0, (divergence(p) + divergence(q)) / 2)))
