"""One private HTML page on what was read, kept and left out, and why. Counts and renders only.

Self-contained: styles, script and plots are inside, nothing is fetched, and a policy in the page
forbids it. Every text of a message passes the redaction first: the page lies in the dataset's
directory, where no secret may be. Your addresses and the names of files stand as they are.
"""

import base64
import hashlib
import re
import shlex
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from aitwin import artifact
from aitwin.corpus import curate, marks, redact
from aitwin.corpus import dataset as datasets
from aitwin.corpus.dataset import SPLITS, Dataset, Example
from aitwin.corpus.messages import Channel, Message, Owner
from aitwin.corpus.pairs import Pair
from aitwin.corpus.report import Losses
from aitwin.corpus.store import Imported, Store
from aitwin.prompt import ROW_TOKENS

if TYPE_CHECKING:
    from aitwin.corpus.pipeline import Selection

FILE = "report.html"
MAIN = "main"
"""The dataset that commands work with when none is named."""
FILES_SHOWN = 3
"""Files of a folder that have a row of their own; more of them share one."""
PLACES_SHOWN = 100
EXAMPLES = 5
"""Pairs shown for each reason why pairs were left out."""
LINES_SHOWN = 300
"""Further pairs listed for each reason, with one line of their replies."""
LINE = 90
"""Characters of such a line."""
GROUPS_SHOWN = 60
COPIES_SHOWN = 5
"""Near-identical pairs shown beside the one that was kept."""
PEOPLE_SHOWN = 30
EXCERPT = 600
"""Characters of a text that was left out; what was chosen is shown in full."""
MONTHS_MOST = 300
"""Bars of a timeline; a longer one counts by year."""
LENGTHS = (2, 5, 10, 20, 40, 80, 160, 320)
"""Upper ends of the bars of reply lengths, in words; they double, as lengths do."""

_PLACEHOLDER = re.compile(r"\[[A-Z]+(?:_[A-Z]+)*_\d+\]")


REDACTIONS_SHOWN = 12
"""Places shown for each kind of secret."""


class Bar(NamedTuple):
    """One step of a plot; `values` has a number for each series."""

    label: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Shown:
    """A pair or a message as the page shows it, redacted."""

    id: str
    channel: Channel
    sent_at: datetime
    reply: str = field(repr=False)
    instruction: str = field(default="", repr=False)
    incoming: str = field(default="", repr=False)
    people: tuple[str, ...] = field(default=(), repr=False)
    fate: str = ""
    """Its part of the dataset, or why it is in none."""
    pinned: bool = False
    by_hand: str = ""
    """What the owner has to do with its words, beyond having written them once."""

    @property
    def words(self) -> int:
        """Length of the reply."""
        return curate.words(self.reply)

    @property
    def redacted(self) -> bool:
        """Whether any of its texts holds a placeholder."""
        texts = (self.instruction, self.incoming, self.reply)
        return any(_PLACEHOLDER.search(text) for text in texts)


def write(path: Path, page: str) -> None:
    """Write a page, readable by the owner alone."""
    # Half characters can come from old mail, and no UTF-8 file can hold them.
    artifact.write_private(path, page.encode(errors="replace"))


def of_corpus(store: Store, owner: Owner) -> str:
    """What was imported, before any dataset is built from it."""
    return _render(dataset=None, name="", option="", build="", digest="", **_imported(store, owner))


def of_dataset(dataset: Dataset, selection: "Selection", store: Store, owner: Owner) -> str:
    """All the way from the files to the chosen pairs."""
    split: dict[str, str] = {row.id: name for name in SPLITS for row in dataset.split(name)}
    reasons = selection.reasons | _reasons_of_split(selection)
    name = dataset.path.name
    return _render(
        dataset=dataset,
        name=name,
        option=_option(name),
        build=_build_command(dataset),
        digest=dataset.digest,
        funnel=_stages(dataset, selection, reasons),
        pairs=[
            replace(_pair(pair, split[pair.id]), by_hand=_by_hand(pair, selection.edited))
            for pair in reversed(selection.pairs)
            if pair.id in split
        ],
        marks=marks.load(store.path.parent),
        redactions=_redactions(selection),
        groups=_groups(selection, split | reasons),
        all_groups=len(selection.copies),
        gone={
            redact.redact(path).text: count
            for path, count in dataset.manifest["settings"]["mails_gone"].items()
        },
        people=_people(selection, split),
        languages=Counter(dataset.manifest["languages"]).most_common(),
        lengths=lengths(selection.pairs),
        chosen_by_month=timeline(Counter(f"{pair.sent_at:%Y-%m}" for pair in selection.pairs)),
        **_imported(store, owner),
    )


def _reasons_of_split(selection: "Selection") -> dict[str, str]:
    """Id -> why a chosen pair is in no part: the split is made once more, and tells."""
    dropped = Losses()
    datasets.split(selection.pairs, dropped)
    return dropped.reasons


def _option(name: str) -> str:
    return "" if name == MAIN else f" --name {shlex.quote(name)}"


def _build_command(dataset: Dataset) -> str:
    """What builds this dataset again, with the owner's marks."""
    settings = dataset.manifest["settings"]
    usual = curate.Choice()
    options = _option(dataset.path.name)
    options += f" --size {settings['size']}" if settings["size"] != usual.size else ""
    options += f" --seed {settings['seed']}" if settings["seed"] != usual.seed else ""
    options += " --allow-small" if settings["allow_small"] else ""
    options += "".join(f" --language {language}" for language in settings["languages"])
    share, row = settings["mail_share"], settings["tokens"]["row"]
    options += f" --mail-share {share:g}" if share is not None else ""
    options += f" --tokens {row}" if row != ROW_TOKENS else ""
    options += " --instructions llm" if settings["instructions"] == "llm" else ""
    return f"twin dataset build{options}"


def _render(**context: Any) -> str:
    environment = Environment(
        loader=PackageLoader("aitwin.corpus", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"placeholders": _placeholders, "hue": _hue}
    script = resources.files("aitwin.corpus").joinpath("page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment.get_template("page.html.jinja")
    return template.render(script=Markup(script), script_digest=digest, **context)  # noqa: S704 - ours


def _placeholders(text: str) -> Markup:
    """The text, escaped, with its placeholders marked."""
    return Markup(_PLACEHOLDER.sub(r"<mark>\g<0></mark>", str(escape(text))))  # noqa: S704 - escaped


def _hue(name: str) -> int:
    """The same colour for the same person on every page."""
    return zlib.crc32(name.casefold().encode(errors="replace")) % 360


# What was read


def _imported(store: Store, owner: Owner) -> dict[str, Any]:
    log = store.files()
    months = store.months(owner)
    strangers = [
        redact.redact(path.name).text
        for path, speakers in store.chats().items()
        if not owner.chat_names & speakers.keys()
    ]
    return {
        "owner": owner,
        "summary": store.summary(owner),
        "files": len({one.source for one in log}),
        "unfinished": _unfinished(log),
        "sources": _sources(log),
        "losses": losses(log),
        "not_read": not_read(store.passed_over()),
        "suggested": store.suggest_addresses(owner).most_common(10),
        "strangers": strangers,
        "written_by_month": timeline({month: own for month, (_, own) in months.items()}),
    }


def _sources(log: Sequence[Imported]) -> list[dict[str, Any]]:
    """One row per file, but one per folder where a folder holds many."""
    in_folder = Counter((one.source.parent, one.format) for one in log)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for one in log:
        files = in_folder[one.source.parent, one.format]
        together = files > FILES_SHOWN
        path = one.source.parent if together else one.source
        # A chat's file bears the name or number of whom it is with.
        name = redact.redact(f"{path.name}/ ({files:,} files)" if together else path.name).text
        row = rows.setdefault(
            (str(path), one.format),
            {"name": name, "path": redact.redact(str(path)).text, "format": one.format}
            | dict.fromkeys(("read", "new", "skipped"), 0),
        )
        row["read"] += one.read
        row["new"] += one.new
        row["skipped"] += one.skipped.total()
    return list(rows.values())


def _unfinished(log: Sequence[Imported]) -> list[str]:
    """Files that were not listed to their end, by the last time that each was added."""
    last = {one.source: one.finished for one in log}
    return [redact.redact(str(path)).text for path, finished in last.items() if not finished]


def losses(log: Iterable[Imported]) -> list[dict[str, Any]]:
    """What could not become a message: reason, how often, and where."""
    counts: Counter[str] = Counter()
    places: dict[str, dict[str, None]] = {}
    for one in log:
        counts.update(one.skipped)
        for reason, where in one.places.items():
            clean = (redact.redact(place).text for place in where[:PLACES_SHOWN])
            places.setdefault(reason, {}).update(dict.fromkeys(clean))
    return [
        {"reason": reason, "count": count, "places": list(places.get(reason, ()))[:PLACES_SHOWN]}
        for reason, count in counts.most_common()
    ]


def not_read(passed_over: Mapping[Path, str]) -> list[dict[str, Any]]:
    """Files that were not imported: reason, how many, and which."""
    rows: dict[str, list[str]] = {}
    for path, reason in passed_over.items():
        # An error about one file names it; the reason is the same for others.
        rows.setdefault(reason.replace(str(path), "it"), []).append(str(path))
    return [
        {
            "reason": redact.redact(reason).text,
            "count": len(paths),
            "places": [redact.redact(path).text for path in paths[:PLACES_SHOWN]],
        }
        for reason, paths in sorted(rows.items(), key=lambda row: -len(row[1]))
    ]


def timeline(counts: Mapping[str, int]) -> list[Bar]:
    """A bar for every month ("2024-05") from the first to the last; of a long time, every year."""
    filled = sorted(month for month, count in counts.items() if count)
    if not filled:
        return []
    first, last = (12 * int(month[:4]) + int(month[5:7]) - 1 for month in (filled[0], filled[-1]))
    if last - first < MONTHS_MOST:
        months = (f"{n // 12:04}-{n % 12 + 1:02}" for n in range(first, last + 1))
        return [Bar(month, (counts.get(month, 0),)) for month in months]
    years: Counter[str] = Counter()
    for month in filled:
        years[month[:4]] += counts[month]
    return [
        Bar(f"{year:04}", (years[f"{year:04}"],)) for year in range(first // 12, last // 12 + 1)
    ]


# What became of it


def _stages(
    dataset: Dataset, selection: "Selection", reasons: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The funnel with examples for its reasons."""
    left_out: dict[str, list[Pair]] = {}
    for pair in selection.found:
        if reason := reasons.get(pair.id, ""):
            left_out.setdefault(reason, []).append(pair)
    examples, lines = {}, {}
    for reason, some in left_out.items():
        spread = _spread(some, EXAMPLES)
        examples[reason] = [
            _excerpt(_pair(selection.redactor.redact_pair(pair), reason)) for pair in spread
        ]
        shown = {pair.id for pair in spread}
        rest = sorted(some, key=lambda pair: (pair.sent_at, pair.id), reverse=True)
        lines[reason] = [
            (pair.id, f"{pair.sent_at:%Y-%m-%d}", _line(selection.redactor.redact_text(pair.reply)))
            for pair in [pair for pair in rest if pair.id not in shown][:LINES_SHOWN]
        ]
    for reason, messages in selection.lost.items():
        examples[reason] = [_message(message, selection.redactor) for message in messages]
    return [
        {
            "name": stage.name,
            "unit": stage.unit,
            "came": stage.came,
            "went": stage.went,
            "dropped": [
                {
                    "reason": reason,
                    "count": count,
                    "examples": examples.get(reason, []),
                    "lines": lines.get(reason, []),
                }
                for reason, count in stage.dropped.most_common()
            ],
        }
        for stage in dataset.funnel.stages
    ]


def _spread(pairs: Sequence[Pair], count: int) -> Sequence[Pair]:
    """Some of them, from all of their time."""
    step = max(1, len(pairs) // count)
    return sorted(pairs, key=lambda pair: (pair.sent_at, pair.id))[::step][:count]


def _pair(pair: Pair, fate: str) -> Shown:
    """A pair that is redacted already."""
    return Shown(
        pair.id,
        pair.channel,
        pair.sent_at,
        pair.reply,
        pair.instruction,
        pair.incoming,
        tuple(redact.redact(name).text for name in pair.people),
        fate,
        pair.pinned,
    )


def _by_hand(pair: Pair, edited: frozenset[str]) -> str:
    if pair.id in edited:
        return "edited by you"
    return "a draft that you kept" if pair.kept else ""


def _message(message: Message, redactor: redact.Redactor) -> Shown:
    text = redactor.redact_text(f"{message.subject}\n\n{message.text}".strip())
    return _excerpt(Shown("", message.channel, message.sent_at, text or "(empty)"))


def _excerpt(shown: Shown) -> Shown:
    return replace(shown, reply=_cut(shown.reply), incoming=_cut(shown.incoming))


def _line(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LINE else plain[:LINE].rstrip() + " …"


def _cut(text: str) -> str:
    return text if len(text) <= EXCERPT else text[:EXCERPT].rstrip() + " …"


def _redactions(selection: "Selection") -> list[dict[str, Any]]:
    """Per kind how often, and where the first few stood: with the placeholder, never the secret."""
    places: dict[str, list[tuple[str, str]]] = {}
    for pair in selection.pairs:
        for text in (pair.instruction, pair.incoming, pair.reply):
            for found in _PLACEHOLDER.finditer(text):
                kind = found[0].strip("[]").rpartition("_")[0]
                shown = places.setdefault(kind, [])
                if len(shown) < REDACTIONS_SHOWN:
                    around = text[max(0, found.start() - 60) : found.end() + 60]
                    shown.append((pair.id, " ".join(around.split())))
    return [
        {"kind": kind, "count": count, "places": places.get(kind, [])}
        for kind, count in selection.redactions.most_common()
    ]


def _groups(selection: "Selection", fates: Mapping[str, str]) -> list[dict[str, Any]]:
    """The largest groups of near-identical pairs: the one that stands for it, and its copies."""
    largest = sorted(selection.copies, key=lambda group: (-len(group), group[0].id))
    rows = []
    for group in largest[:GROUPS_SHOWN]:
        shown = []
        for pair in group[: COPIES_SHOWN + 1]:
            clean = selection.redactor.redact_pair(pair)
            shown.append(_excerpt(_pair(clean, fates[pair.id])))
        rows.append({"kept": shown[0], "copies": shown[1:], "more": len(group) - len(shown)})
    return rows


def _people(selection: "Selection", split: Mapping[str, str]) -> dict[str, Any]:
    """Pairs per person: found and chosen. A reply to several counts for each of them."""
    found: Counter[str] = Counter()
    chosen: Counter[str] = Counter()
    for pair in selection.found:
        for name in pair.people:
            found[name] += 1
            chosen[name] += pair.id in split
    ranked = sorted(found, key=lambda name: (-chosen[name], -found[name], name))
    rows = [(redact.redact(name).text, chosen[name], found[name]) for name in ranked[:PEOPLE_SHOWN]]
    rest = ranked[PEOPLE_SHOWN:]
    return {
        "rows": rows,
        "others": len(rest),
        "others_chosen": sum(chosen[name] for name in rest),
        "others_found": sum(found[name] for name in rest),
    }


def lengths(pairs: Iterable[Pair | Example]) -> list[Bar]:
    """How long the chosen replies are: a bar for mail and one for chats at each length."""
    ends = [*LENGTHS, 0]
    bars = {end: [0, 0] for end in ends}
    for pair in pairs:
        words = curate.words(pair.reply)
        end = next((end for end in LENGTHS if words <= end), 0)
        bars[end][pair.channel == "chat"] += 1
    labels = [f"{low + 1}–{end}" for low, end in zip((0, *LENGTHS), LENGTHS, strict=False)]
    labels.append(f"{LENGTHS[-1] + 1}+")
    return [Bar(label, tuple(bars[end])) for label, end in zip(labels, ends, strict=True)]
