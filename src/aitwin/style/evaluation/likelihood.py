"""How likely the owner's real replies are under each model: nats per token, and perplexity.

Also whether the twin knows which replies it was trained on (membership inference). Works on scores;
does not ask a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

from aitwin.style.engine import Score
from aitwin.style.evaluation.measures import DRAFTING, Candidate, Measure, Section
from aitwin.style.evaluation.statistics import Estimate, auc, mean, share


@dataclass(frozen=True)
class Scored:
    """One reply of the owner, as each model finds it."""

    group: str
    scores: Mapping[Candidate, Score]

    @property
    def gain(self) -> float:
        """Nats per token by which the twin finds it likelier than the base does."""
        return self.scores["twin"].mean - self.scores["base"].mean


def measure(held_out: Sequence[Scored]) -> Section:
    """Perplexity by candidate, and what the twin gains."""
    groups = [one.group for one in held_out]
    lost: dict[Candidate, Estimate] = {}
    for candidate in DRAFTING:
        scores = [one.scores[candidate] for one in held_out]
        lost[candidate] = mean(
            [-score.mean for score in scores], groups, weights=[score.tokens for score in scores]
        )
    gain = mean(
        [one.gain for one in held_out],
        groups,
        weights=[one.scores["base"].tokens for one in held_out],
    )
    note = (
        "Your own held-out replies, which no model has seen, scored token by token. The gain is "
        "taken reply by reply, so its interval is narrower than those of the two perplexities."
    )
    return Section(
        "Likelihood of your replies",
        note,
        (
            Measure(
                "likelihood.perplexity", "perplexity", "number", "low",
                {c: _exp(estimate) for c, estimate in lost.items()}, headline=True,
            ),
            Measure("likelihood.nats", "nats per token", "number", "low", lost),
            Measure(
                "likelihood.gain", "gained over the base, nats per token", "number", "high",
                {"twin": gain},
            ),
            Measure(
                "likelihood.likelier", "replies that became likelier", "share", "high",
                {"twin": share([one.gain > 0 for one in held_out], groups)},
            ),
        ),
    )  # fmt: skip


def _exp(estimate: Estimate) -> Estimate:
    value, low, high = (exp(x) for x in (estimate.value, estimate.low, estimate.high))
    return Estimate(value, low, high, estimate.count)


def membership(trained: Sequence[Scored], held_out: Sequence[Scored]) -> Measure:
    """How well the gain tells replies in training from held-out ones: AUC, 0.5 is not at all.

    The base's score calibrates for replies that are easy to guess for anybody (Watson et al. 2022;
    Carlini et al. 2022).
    """
    told = auc(
        [one.gain for one in trained],
        [one.gain for one in held_out],
        ([one.group for one in trained], [one.group for one in held_out]),
    )
    name = "tells training replies from held-out ones (AUC)"
    return Measure("memory.membership", name, "number", "low", {"twin": told})
