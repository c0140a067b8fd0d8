"""Secrets and other people's numbers become placeholders: `[PHONE_1]`, `[EMAIL_2]`.

The same secret has the same placeholder all through one pair, however it is spelt; one that is
announced once ("the password is ...") is also taken out where it merely stands. What a secret
looks like is said elsewhere: secrets, codes, identifiers, phones, addresses, announced.
Names stay, unless they are given.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from aitwin.corpus import addresses, announced, codes, identifiers, phones, secrets
from aitwin.corpus.detector import PLACEHOLDER, Prepared, Span, digits, plain
from aitwin.corpus.names import Names
from aitwin.corpus.pairs import Pair

DETECTORS = (
    *secrets.DETECTORS,
    *codes.DETECTORS,
    *identifiers.DETECTORS,
    *phones.DETECTORS,
    *addresses.DETECTORS,
)
"""In order of precedence: where two overlap, the first says what it is."""
VOCABULARY = frozenset(announced.STEMS).union(*(one.words for one in DETECTORS))
"""All words that any rule looks for."""
SHORTEST_KNOWN = 4
"""Characters of a secret that is looked for by itself where no word announces it."""
SHORTEST_EVERYWHERE = 6
"""The same in the other pairs of a set: "4471" is a gate's code here and a number there. What is
shorter goes where the person or the thread is the same, or a word for a code or a lock stands."""
_KNOWN_KINDS = frozenset({"PASSWORD", "CODE", "API_KEY", "BANK", "ID_NUMBER", "IBAN", "CARD"})
_TOLD_KINDS = frozenset({"PASSWORD", "CODE"})
_WORD = re.compile(r"\w+")
_OPENING = re.compile(rf"{codes.OPENING.pattern}|(?:{secrets.LOCKS})")


@dataclass(frozen=True)
class Redacted:
    """A text without its secrets, and how many of which kind there were."""

    text: str = field(repr=False)
    counts: Counter[str]


@dataclass(frozen=True)
class Rules:
    """What the owner may decide about redaction."""

    allow: frozenset[str] = field(default=frozenset(), repr=False)
    """What stays: a phone number in any spelling, an address, "@company.example" for all of it."""
    names: frozenset[str] = field(default=frozenset(), repr=False)
    """People whose names are taken out, too; none by default."""
    people: bool = False
    """Whether the names of everybody that the owner wrote to or heard from are taken out, too."""
    regions: frozenset[str] = frozenset()
    """Countries ("DE", "IN") whose phone numbers are also found where no word announces them."""


def redact(text: str, rules: Rules = Rules()) -> Redacted:
    """One text on its own."""
    [clean], counts = Redactor(rules).redact([text])
    return Redacted(clean, counts)


def redact_pair(pair: Pair, rules: Rules = Rules()) -> tuple[Pair, Counter[str]]:
    """A pair whose three texts share their placeholders."""
    return _redact_pair(pair, Redactor(rules))


def redact_pairs(
    pairs: Iterable[Pair],
    rules: Rules = Rules(),
) -> tuple[list[Pair], Counter[str]]:
    """All pairs of a set. A secret that one of them gives away is one in all of them."""
    every = list(pairs)
    if rules.people:
        names = frozenset(name for pair in every for name in pair.people)
        rules = replace(rules, names=rules.names | names)
    return Redactor(rules).redact_set(every)


def _redact_pair(pair: Pair, redactor: "Redactor") -> tuple[Pair, Counter[str]]:
    texts = _texts(pair)
    texts, counts = redactor.replace(texts, redactor.find(texts), pair)
    return _with_texts(pair, texts), counts


@dataclass(frozen=True)
class Found:
    """One secret of a set, in the clear: for the owner's own eyes, never for a file."""

    id: str
    """The same for the same secret every time; the beginning of a hash."""
    kind: str
    secret: str = field(repr=False)
    """As it is spelt the first time."""
    times: int
    context: str = field(repr=False)
    """The line that it stood in first."""


def inventory(pairs: Iterable[Pair], rules: Rules = Rules()) -> list[Found]:
    """What is taken out of these pairs, secret by secret, the most frequent of a kind first."""
    redactor = Redactor(rules)
    first: dict[tuple[str, str], tuple[str, str]] = {}
    times: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        texts = _texts(pair)
        for text, spans in zip(texts, redactor.find(texts), strict=True):
            for span in spans:
                times[span.kind, span.key] += 1
                around = text[max(0, span.start - CONTEXT) : span.end + CONTEXT]
                first.setdefault(
                    (span.kind, span.key), (text[span.start : span.end], " ".join(around.split()))
                )
    return [
        Found(secret_id(kind, key), kind, first[kind, key][0], count, first[kind, key][1])
        for (kind, key), count in sorted(times.items(), key=lambda one: (one[0][0], -one[1]))
    ]


def secret_id(kind: str, key: str) -> str:
    """What the owner calls a secret by, where it is to be allowed."""
    return hashlib.sha256(f"{kind} {key}".encode()).hexdigest()[:8]


def _texts(pair: Pair) -> list[str]:
    return [pair.instruction, pair.incoming, pair.reply]


def _with_texts(pair: Pair, texts: Sequence[str]) -> Pair:
    return replace(pair, instruction=texts[0], incoming=texts[1], reply=texts[2])


CONTEXT = 40
"""Characters shown before and after a secret."""


class Redactor:
    """Finds secrets by rules, remembers those it is told to learn, puts placeholders for them."""

    def __init__(self, rules: Rules) -> None:
        self._allowed = _Allowed(rules.allow)
        self._names = Names(rules.names, keep=rules.allow)
        self._regional = phones.regional_phones(rules.regions) if rules.regions else None
        self._everywhere = _Known(SHORTEST_EVERYWHERE)
        self._short = _Known(SHORTEST_KNOWN)
        self._sharing: dict[str, set[str]] = {}
        self._in_names: dict[str, list[Span]] = {}

    def redact(self, texts: Sequence[str]) -> tuple[list[str], Counter[str]]:
        """Texts that belong together, with placeholders for their secrets."""
        return self.replace(texts, self.find(texts))

    def hear(self, pairs: Iterable[Pair]) -> None:
        """Learn what these pairs give away, which are not to be redacted themselves."""
        for pair in pairs:
            texts = _texts(pair)
            for text, spans in zip(texts, self.find(texts), strict=True):
                self.learn(text, spans, pair)

    def redact_set(self, pairs: Sequence[Pair]) -> tuple[list[Pair], Counter[str]]:
        """Pairs of which each may give away what stands in another."""
        self._names.spare(text for pair in pairs for text in _texts(pair))
        found = [(pair, self.find(_texts(pair))) for pair in pairs]
        for pair, spans in found:
            for text, ones in zip(_texts(pair), spans, strict=True):
                self.learn(text, ones, pair)
        counts: Counter[str] = Counter()
        clean = []
        for pair, spans in found:
            texts, these = self.replace(_texts(pair), spans, pair)
            clean.append(_with_texts(pair, texts))
            counts += these
        return clean, counts

    def redact_pair(self, pair: Pair) -> Pair:
        """A pair by what is known so far."""
        return _redact_pair(pair, self)[0]

    def redact_text(self, text: str) -> str:
        """One text on its own by what is known so far."""
        return self.redact([text])[0][0]

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """The secrets of texts that follow each other: of each apart, in their order."""
        prepared = [Prepared(text, VOCABULARY) for text in texts]
        found = [list(self._all(text)) for text in prepared]
        for which, span in announced.answers(prepared):
            found[which].append(span)
        return [
            _apart(
                span
                for span in spans
                if not self._allowed(span, text.text) and not _in_link(span, text)
            )
            for text, spans in zip(prepared, found, strict=True)
        ]

    def _all(self, text: Prepared) -> Iterator[Span]:
        for detector in DETECTORS:
            yield from detector.find(text)
        yield from announced.columns(text)
        if self._regional:
            yield from self._regional(text)
        yield from self._names.find(text.text)

    def learn(self, text: str, spans: Sequence[Span], pair: Pair) -> None:
        """Take these secrets for secrets in every text that is to come."""
        bare = plain(text)
        self._everywhere.add(bare, spans)
        for secret in self._short.add(bare, spans):
            self._sharing.setdefault(secret, set()).update(_circle(pair))

    def replace(
        self, texts: Sequence[str], found: Sequence[list[Span]], pair: Pair | None = None
    ) -> tuple[list[str], Counter[str]]:
        """Put placeholders for what was found, and for the same where no rule sees it.

        A text without its pair is no row: it loses every short secret, whoever told it.
        """
        here = _Known(SHORTEST_KNOWN)
        read = [plain(text) for text in texts]
        for text, spans in zip(read, found, strict=True):
            here.add(text, spans)
        for name in pair.people if pair else ():
            here.add(plain(name), self._in_name(name), words=True)
        placeholders = _Placeholders(texts)
        clean = []
        short = self._shared(read, pair)
        for text, bare, spans, few in zip(texts, read, found, short, strict=True):
            again = (*spans, *here.find(bare), *self._everywhere.find(bare), *few)
            clean.append(placeholders.put(text, _apart(again)))
        return clean, placeholders.counts

    def _in_name(self, name: str) -> list[Span]:
        """What a contact's name gives away: an instruction goes on after it as if it were prose."""
        if name not in self._in_names:
            [self._in_names[name]] = self.find([name])
        return self._in_names[name]

    def _shared(self, read: Sequence[str], pair: Pair | None) -> list[list[Span]]:
        """Short secrets of other pairs, where this one is of the same people or about a lock."""
        found = [list(self._short.find(bare)) for bare in read]
        if pair is None or not any(found) or any(map(_OPENING.search, read)):
            return found
        circle = _circle(pair)
        return [
            [span for span in spans if circle & self._sharing[bare[span.start : span.end]]]
            for bare, spans in zip(read, found, strict=True)
        ]


def _circle(pair: Pair) -> set[str]:
    """Who may know what a pair gives away."""
    return {f"thread {pair.thread}", *(name.casefold() for name in pair.people)}


def _in_link(span: Span, text: Prepared) -> bool:
    """A word of a link's path that looks like a password or a code beside its neighbours."""
    return span.kind in _TOLD_KINDS and text.in_path(span.start)


def _apart(spans: Iterable[Span]) -> list[Span]:
    """Overlapping spans become one, of the kind that came first."""
    ranked = sorted(enumerate(spans), key=lambda item: (item[1].start, item[0]))
    joined: list[tuple[int, Span]] = []
    for rank, span in ranked:
        if joined and span.start < joined[-1][1].end:
            before_rank, before = joined[-1]
            first = before if before_rank <= rank else span
            end = max(before.end, span.end)
            joined[-1] = (min(before_rank, rank), first._replace(start=before.start, end=end))
        else:
            joined.append((rank, span))
    return [span for _, span in joined]


class _Allowed:
    """What the owner lets stay."""

    def __init__(self, entries: frozenset[str]) -> None:
        plain = {" ".join(Prepared(entry).text.casefold().split()) for entry in entries}
        self._exactly = plain | {re.sub(r"[\W_]", "", entry) for entry in plain}
        self._exactly -= {""}
        self._endings = tuple(entry for entry in plain if entry.startswith("@"))
        self._phones = {
            phones.phone_key(entry)
            for entry in plain
            if len(digits(entry)) >= phones.PHONE_DIGITS[0]
        }

    def __call__(self, span: Span, text: str) -> bool:
        if not self._exactly:
            return False
        if span.kind == "PHONE":
            return span.key in self._phones
        secret = " ".join(text[span.start : span.end].casefold().split())
        if span.kind == "EMAIL" and self._endings and secret.endswith(self._endings):
            return True
        return secret in self._exactly or re.sub(r"[\W_]", "", secret) in self._exactly


class _Known:
    """Secrets that were found, looked for by themselves: by their first word, then in full."""

    def __init__(self, shortest: int) -> None:
        self._shortest = shortest
        self._by_word: dict[str, dict[str, Span]] = {}

    def add(self, text: str, spans: Iterable[Span], *, words: bool = False) -> list[str]:
        """Those of the spans' secrets that are to be looked for, mere words only on demand."""
        added = []
        for span in spans:
            secret = text[span.start : span.end]
            if (
                span.kind in _KNOWN_KINDS
                and len(secret) >= self._shortest
                and (words or _telling(secret))
            ):
                word = _WORD.search(secret)
                if word:
                    self._by_word.setdefault(word[0], {}).setdefault(secret, span)
                    added.append(secret)
        return added

    def find(self, text: str) -> Iterator[Span]:
        if not self._by_word:
            return
        for word in _WORD.finditer(text):
            for secret, span in self._by_word.get(word[0], {}).items():
                start = word.start() - secret.index(word[0])
                end = start + len(secret)
                if (
                    start >= 0
                    and text.startswith(secret, start)
                    and not text[end : end + 1].isalnum()
                ):
                    yield span._replace(start=start, end=end)


def _telling(secret: str) -> bool:
    """No word that others write, too."""
    return any(not c.isalpha() for c in secret) or not (secret.islower() or secret.istitle())


class _Placeholders:
    """Which placeholder stands for what, in texts that belong together."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.counts: Counter[str] = Counter()
        self._given: dict[tuple[str, str], str] = {}
        self._numbers: Counter[str] = Counter()
        # Somebody may have written "[PHONE_1]" before: go on after it.
        for found in (found for text in texts for found in PLACEHOLDER.findall(text)):
            kind, _, number = found.strip("[]").rpartition("_")
            self._numbers[kind] = max(self._numbers[kind], int(number[:6]))

    def put(self, text: str, spans: Iterable[Span]) -> str:
        pieces, last = [], 0
        for span in spans:
            self.counts[span.kind] += 1
            pieces += [text[last : span.start], self._placeholder(span)]
            last = span.end
        return "".join((*pieces, text[last:]))

    def _placeholder(self, span: Span) -> str:
        key = (span.kind, span.key)
        if key not in self._given:
            self._numbers[span.kind] += 1
            self._given[key] = f"[{span.kind}_{self._numbers[span.kind]}]"
        return self._given[key]
