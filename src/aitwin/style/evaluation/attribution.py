"""Who wrote this? An ensemble of two linear judges that have read the owner and others.

(a) character 2- to 5-grams, tf-idf (Stamatatos 2009); (b) relative frequencies of the commonest
words and of marks, which topics hardly touch (Mosteller and Wallace 1964; Burrows 2002). Each is a
logistic regression; a text is attributed to the owner when their mean probability is over a half.

They learn from the owner's training replies against what others wrote to the owner *and* against
the base model's own drafts: against drafts alone they would learn to tell a human from a model.
No embedding takes part: none of style is in a package under a free licence, and one of meaning
would attribute topics. Every judge is first examined itself, on conversations that it has not
seen; a poor one is not to be trusted, and the report says so.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aitwin.errors import TwinError
from aitwin.style.evaluation.manner import MARKS
from aitwin.style.evaluation.statistics import UNKNOWN, Estimate, Numbers, auc
from aitwin.style.nearest import words

FEWEST = 20
"""Texts of the owner, and of others, below which nobody can be told from anybody."""
FOLDS = 5
DRAFT_WEIGHT = 0.33
"""Of all that is not the owner's: how much the base model's drafts count, however few they are."""
LONGEST = 200
"""Words of a text that are read: others quote, and the owner does not."""
COMMON = 150
"""Words and marks that the second judge counts."""
NGRAMS = (2, 5)
HASHES = 2**17
"""Features of the first judge."""
THRESHOLD = 0.5
SEED = 4


@dataclass(frozen=True)
class Sample:
    """A text of known origin, for a judge to learn from."""

    text: str = field(repr=False)
    group: str
    """The conversation: never on both sides of an examination."""


@dataclass(frozen=True)
class Judge:
    """Two models that have learnt, for one register."""

    register: str
    """mail or chat."""
    models: tuple[Any, ...] = field(repr=False)
    against_others: Estimate
    """AUC on unseen conversations: the owner's replies against what others wrote."""
    against_drafts: Estimate
    """The same against the base model's drafts; UNKNOWN where there are too few."""

    def probabilities(self, texts: Sequence[str]) -> Numbers:
        """How likely each text is the owner's."""
        if not texts:
            return np.zeros(0)
        return _probabilities(self.models, _Read.of([_cut(text) for text in texts]))

    def attributes(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is attributed to the owner; one without words never is."""
        likely = self.probabilities(texts)
        return [bool(p > THRESHOLD and words(text)) for p, text in zip(likely, texts, strict=True)]


def require() -> None:
    """Raise TwinError where what the judges are made of is not installed.

    Asked before the models are: they take minutes.
    """
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        raise TwinError(
            "attribution needs scikit-learn, which is not installed; run: "
            "pip install 'aitwin[eval]'"
        ) from None


def teach(
    register: str, owner: Sequence[Sample], others: Sequence[Sample], drafts: Sequence[Sample]
) -> Judge | None:
    """A judge that has learnt and been examined; None when there is too little to learn from."""
    owner, others, drafts = (
        [sample for sample in these if words(sample.text)] for these in (owner, others, drafts)
    )
    if min(len(owner), len(others)) < FEWEST or len({s.group for s in owner}) < FOLDS:
        return None
    read = _Read.of([_cut(sample.text) for sample in (*owner, *others, *drafts)])
    groups = [sample.group for sample in (*owner, *others, *drafts)]
    labels = np.repeat([1, 0], [len(owner), len(others) + len(drafts)])
    weights = _weights(len(owner), len(others), len(drafts))
    unseen = _examine(read, groups, labels, weights)
    own, first, second = np.split(unseen, [len(owner), len(owner) + len(others)])
    named = [groups[: len(owner)], groups[len(owner) : len(owner) + len(others)]]
    return Judge(
        register,
        _learn(read, labels, weights),
        auc(own.tolist(), first.tolist(), (named[0], named[1])),
        auc(own.tolist(), second.tolist(), (named[0], groups[len(owner) + len(others) :]))
        if len(drafts) >= FOLDS
        else UNKNOWN,
    )


def _weights(owner: int, others: int, drafts: int) -> Numbers:
    """The owner weighs as much as the rest; of the rest, drafts have their fixed part."""
    part = DRAFT_WEIGHT if drafts else 0.0
    each = (1 / owner, (1 - part) / others, part / max(1, drafts))
    return np.repeat(each, [owner, others, drafts]) * (owner + others + drafts) / 2


def _examine(read: "_Read", groups: Sequence[str], labels: Any, weights: Numbers) -> Numbers:
    """Probabilities by models that have seen no text of the same conversation."""
    from sklearn.model_selection import StratifiedGroupKFold

    unseen = np.zeros(len(groups))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    for learnt, asked in folds.split(unseen, labels, groups):
        models = _learn(read.rows(learnt), labels[learnt], weights[learnt])
        unseen[asked] = _probabilities(models, read.rows(asked))
    return unseen


@dataclass(frozen=True)
class _Read:
    """Texts as the judges see them: hashed n-grams, and the counts of words and marks.

    Hashes need no vocabulary, so that texts are read once for all examinations.
    """

    characters: Any = field(repr=False)
    """Sparse, one row a text."""
    counts: tuple[Counter[str], ...] = field(repr=False)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Read":
        from sklearn.feature_extraction.text import HashingVectorizer

        hashed = HashingVectorizer(
            analyzer="char", ngram_range=NGRAMS, n_features=HASHES, lowercase=False,
            alternate_sign=False, norm=None, dtype=np.float32,
        )  # fmt: skip
        return cls(
            hashed.transform(texts),
            tuple(Counter([*words(text), *MARKS.findall(text)]) for text in texts),
        )

    def rows(self, at: Any) -> "_Read":
        """Some of them."""
        return _Read(self.characters[at], tuple(self.counts[place] for place in at))


def _learn(read: _Read, labels: Any, weights: Numbers) -> tuple[Any, ...]:
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    characters = make_pipeline(
        TfidfTransformer(sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=300, solver="liblinear", random_state=SEED),
    )
    function_words = make_pipeline(
        _FunctionWords(), StandardScaler(), LogisticRegression(C=0.1, max_iter=300)
    )
    weighed = {"logisticregression__sample_weight": weights}
    return (
        characters.fit(read.characters, labels, **weighed),
        function_words.fit(read.counts, labels, **weighed),
    )


def _probabilities(models: Sequence[Any], read: _Read) -> Numbers:
    characters, function_words = models
    mean: Numbers = (
        characters.predict_proba(read.characters)[:, 1]
        + function_words.predict_proba(read.counts)[:, 1]
    ) / 2
    return mean


def _cut(text: str) -> str:
    """The text as far as it is read."""
    kept, count = [], 0
    for line in text.strip().splitlines(keepends=True):
        if count >= LONGEST:
            break
        kept.append(line)
        count += len(words(line))
    return "".join(kept)


class _FunctionWords:
    """The commonest words of what it has learnt from, and marks, by their rate in a text.

    The commonest words of a language are its function words; so no list of any language is needed.
    """

    def fit(self, counts: Sequence[Counter[str]], labels: Any = None) -> "_FunctionWords":
        """Find the commonest: by how many texts have them, not how often one repeats them."""
        having = Counter(word for these in counts for word in these)
        self.common = [word for word, _ in having.most_common(COMMON)]
        return self

    def transform(self, counts: Sequence[Counter[str]]) -> Numbers:
        """One row a text."""
        return np.asarray(
            [[these[word] / max(1, these.total()) for word in self.common] for these in counts],
            dtype=np.float64,
        )

    def fit_transform(self, counts: Sequence[Counter[str]], labels: Any = None) -> Numbers:
        """Both."""
        return self.fit(counts).transform(counts)
