"""Mail, chats, datasets and pairs over HTTP (C1-C5): read, build, review, keep."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from aitwin import artifact
from aitwin.corpus import dataset as datasets
from aitwin.corpus.dataset import Dataset, Example
from aitwin.errors import TwinError
from aitwin.home import Home
from aitwin.prompt import Kind, Length, Register
from aitwin.server import mailboxes
from aitwin.server.jobs import Job, view
from aitwin.server.ledger import Order
from aitwin.server.mailboxes import Counted, counted
from aitwin.server.pages import private_page
from aitwin.server.problems import Problem, told
from aitwin.server.training import PLAIN_NAME

if TYPE_CHECKING:
    from aitwin.corpus.kept import Kept
    from aitwin.server.parts import Parts

Channel = Literal["mail", "chat"]
Split = Literal["train", "valid", "test"]
MarkName = Literal["drop", "pin", "none"]
LONGEST_TEXT = 20_000
"""Characters of a text that is kept."""


class BuildRequest(BaseModel):
    """A dataset to build; what is left out is as `twin dataset build` has it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"size": 800}]})

    name: str = Field(default="main", pattern=PLAIN_NAME)
    size: StrictInt = Field(default=1000, ge=1, le=5000)
    seed: StrictInt = Field(default=0, ge=0, le=2**31 - 1)
    languages: list[Annotated[str, Field(pattern="^[a-z]{2,3}$")]] | None = Field(
        default=None, max_length=50
    )
    """Codes ("en"); empty: all; left out: those of twin.toml."""
    mail_share: float | None = Field(default=None, ge=0, le=1)
    tokens: StrictInt | None = Field(default=None, ge=64, le=131_072)
    instructions: Literal["rules", "llm"] = "rules"
    allow_small: StrictBool = False


class LengthBar(BaseModel):
    """Replies of a length in words, or of a month."""

    label: str
    mail: int
    chat: int


class FunnelStage(BaseModel):
    """One step from the messages read to the pairs chosen."""

    name: str
    unit: str
    came: int
    went: int
    dropped: list[Counted]


class DatasetSummary(BaseModel):
    """A dataset in a list."""

    id: str
    built_at: datetime
    digest: str
    pairs: int
    counts: dict[Split, int]
    channels: dict[str, int]
    languages: dict[str, int]
    stale: bool
    """Whether pairs were marked, edited or kept, or messages imported, since it was built."""
    adapters: list[str]
    """Adapters that were trained on these very rows."""


class Marked(BaseModel):
    """What the owner decided by hand, in numbers."""

    dropped: int
    pinned: int
    edited: int
    kept: int


class DatasetDetail(DatasetSummary):
    """All of a dataset but its pairs."""

    owner: str
    funnel: list[FunnelStage]
    settings: dict[str, Any]
    redactions: dict[str, int]
    marks: Marked
    lengths: list[LengthBar]
    months: list[LengthBar]
    report: bool
    """Whether `…/page` is there."""


class Datasets(BaseModel):
    """The datasets, newest first."""

    datasets: list[DatasetSummary]
    problems: list[str]
    """Datasets that cannot be read, and why."""


class Pair(BaseModel):
    """One pair as it is learnt: redacted."""

    id: str
    split: Split
    channel: Channel
    sent_at: datetime
    instruction: str = Field(repr=False)
    incoming: str = Field(repr=False)
    reply: str = Field(repr=False)
    """As it is in the dataset."""
    mark: MarkName
    edit: str | None = Field(default=None, repr=False)
    """The owner's own wording, which the next build learns instead of `reply`."""
    kept: bool
    """Whether it is a draft that the owner kept, and no mail or chat."""


class Pairs(BaseModel):
    """A part of the pairs that were asked for."""

    total: int
    offset: int
    pairs: list[Pair]


class MarkRequest(BaseModel):
    """Pairs to drop, pin, or (none) unmark."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"ids": ["3f9a07c1b2d4e6f8"], "mark": "drop"}]},
    )

    ids: list[str] = Field(min_length=1, max_length=1000)
    mark: MarkName


class MarksChanged(BaseModel):
    """Which pairs were marked, and what became of each when the dataset was built.

    An empty reason: it was chosen.
    """

    changed: dict[str, str]
    marks: Marked


class EditRequest(BaseModel):
    """The reply in the owner's own wording; empty takes an edit back."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reply": "Thursday it is. Thanks!"}]}
    )

    reply: str = Field(max_length=LONGEST_TEXT, repr=False)


class KeepRequest(BaseModel):
    """A draft as the owner would have sent it, to learn from.

    The fields up to `length` are those that the draft was asked for with.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "instruction": "Thank Ana, Thursday works",
                    "context": "Does Thursday suit you?",
                    "kind": "reply",
                    "reply": "Thursday it is. Thanks!",
                }
            ]
        },
    )

    instruction: str = Field(default="", max_length=LONGEST_TEXT, repr=False)
    context: str = Field(default="", max_length=LONGEST_TEXT, repr=False)
    """The mail or chat that it answers."""
    kind: Kind = "write"
    to: str = Field(default="", max_length=200, repr=False)
    register_: Register | None = Field(default=None, alias="register")
    length: Length | None = None
    reply: str = Field(min_length=1, max_length=LONGEST_TEXT, repr=False)


class KeptPair(BaseModel):
    """A draft that the owner kept as a pair; the next build learns it."""

    id: str
    channel: Channel
    kept_at: datetime
    instruction: str = Field(repr=False)
    context: str = Field(repr=False)
    reply: str = Field(repr=False)


class KeptPairs(BaseModel):
    """The kept drafts, newest first."""

    pairs: list[KeptPair]


def router_of(parts: "Parts") -> APIRouter:
    """The routes for corpus, datasets and kept pairs."""
    router = APIRouter(tags=["data"])
    mailboxes.add_routes(router, parts)
    _add_datasets(router, parts)
    _add_pairs(router, parts)
    _add_kept(router, parts)
    return router


def _add_datasets(router: APIRouter, parts: "Parts") -> None:
    home = parts.home

    @router.get("/datasets", operation_id="listDatasets")
    def list_datasets() -> Datasets:
        """The datasets, the newest first."""
        found, problems = [], []
        trained = _adapters_by_dataset(home)
        for manifest in home.datasets.glob(f"[!.]*/{artifact.MANIFEST}"):
            try:
                one = datasets.load(manifest.parent)
                found.append(DatasetSummary.model_validate(_summary(home, one, trained)))
            except TwinError as error:
                problems.append(str(error))
            except OSError:
                continue  # replaced at this moment
        found.sort(key=lambda one: one.built_at, reverse=True)
        return Datasets(datasets=found, problems=problems)

    @router.post(
        "/datasets",
        operation_id="buildDataset",
        status_code=202,
        responses=told("not-set-up", "cannot", "queue-full", "disk-full"),
    )
    def build_dataset(wanted: BuildRequest) -> Job:
        """Turn the corpus into instruction pairs: own words only, no near-duplicates, diverse."""
        if not home.settings_file.exists():
            raise Problem("not-set-up")
        _require_choice(wanted)
        return view(parts.jobs.start(Order("build", wanted.name, _build_command(wanted))))

    @router.get(
        "/datasets/{dataset_id}",
        operation_id="getDataset",
        responses=told("unknown-dataset", "cannot"),
    )
    def get_dataset(dataset_id: str) -> DatasetDetail:
        """One dataset in numbers: how messages became pairs, and what was left out for what."""
        return _detail(home, _open(home, dataset_id))

    @router.get(
        "/datasets/{dataset_id}/page",
        operation_id="getDatasetPage",
        response_class=HTMLResponse,
        responses=told("unknown-dataset", "no-report", "cannot"),
    )
    def get_dataset_page(dataset_id: str) -> HTMLResponse:
        """The whole report as a page: every pair, what was left out, and why."""
        from aitwin.corpus import page

        return private_page(_open(home, dataset_id).path / page.FILE, Problem("no-report"))


def _add_pairs(router: APIRouter, parts: "Parts") -> None:
    home = parts.home

    @router.get(
        "/datasets/{dataset_id}/pairs",
        operation_id="listPairs",
        responses=told("unknown-dataset", "cannot"),
    )
    def list_pairs(  # noqa: PLR0913 (one for each thing to look for)
        dataset_id: str,
        split: Split | None = None,
        mark: MarkName | None = None,
        q: Annotated[str, Query(max_length=200, description="Words or an id")] = "",
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Pairs:
        """Pairs as they are learnt, the newest first, with the owner's marks and edits."""
        rows = _pairs(home, _open(home, dataset_id), split)
        wanted = q.strip().casefold()
        fitting = [
            row
            for row in rows
            if (mark is None or row.mark == mark) and (not wanted or _holds(row, wanted))
        ]
        return Pairs(total=len(fitting), offset=offset, pairs=fitting[offset : offset + limit])

    @router.post(
        "/datasets/{dataset_id}/marks",
        operation_id="markPairs",
        responses=told("unknown-dataset", "unknown-pair", "cannot"),
    )
    def mark_pairs(dataset_id: str, wanted: MarkRequest) -> MarksChanged:
        """Drop pairs, pin them, or take such a mark off. It counts from the next build."""
        from aitwin.corpus import pipeline
        from aitwin.corpus.store import Store

        dataset, store = _open(home, dataset_id), Store(home.corpus)
        known = pipeline.messages_of(dataset)
        if not known.keys() >= set(wanted.ids):
            raise Problem("unknown-pair")
        if wanted.mark == "none":
            marked = pipeline.marks_of(store, dataset)
            ids, how = [one for one in wanted.ids if one in marked], None
        else:
            ids, how = wanted.ids, wanted.mark
        changed = pipeline.mark(store, dataset, ids, how) if ids else {}
        return MarksChanged(changed=changed, marks=_marked(home))

    @router.patch(
        "/datasets/{dataset_id}/pairs/{pair_id}",
        operation_id="editPair",
        responses=told("unknown-dataset", "unknown-pair", "cannot"),
    )
    def edit_pair(dataset_id: str, pair_id: str, wanted: EditRequest) -> Pair:
        """Put a reply otherwise: the next build learns it so, and the pair counts as pinned."""
        from aitwin.corpus import kept, pipeline

        dataset = _open(home, dataset_id)
        messages = pipeline.messages_of(dataset)
        row = next((one for one in _pairs(home, dataset) if one.id == pair_id), None)
        if row is None or pair_id not in messages:
            raise Problem("unknown-pair")
        # What stands in the dataset already is no other wording.
        reply = "" if wanted.reply.strip() == row.reply.strip() else wanted.reply
        edit = kept.edit(home.corpus, pair_id, messages[pair_id], reply)
        return row.model_copy(update={"edit": edit.reply if edit else None})


def _add_kept(router: APIRouter, parts: "Parts") -> None:
    home = parts.home

    @router.get("/pairs", operation_id="listKeptPairs", responses=told("cannot"))
    def list_kept_pairs() -> KeptPairs:
        """The drafts that the owner kept, the newest first."""
        from aitwin.corpus import kept

        drafts = kept.load(home.corpus).drafts.values()
        ordered = sorted(drafts, key=lambda one: (one.kept_at, one.id), reverse=True)
        return KeptPairs(pairs=[_kept(one) for one in ordered])

    @router.post("/pairs", operation_id="keepPair", status_code=201, responses=told("cannot"))
    def keep_pair(wanted: KeepRequest) -> KeptPair:
        """Keep a mended draft as a pair; the next build learns it. Kept twice, it is one."""
        from aitwin.corpus import kept
        from aitwin.prompt import Task, request

        # What is learnt is what was asked: a draft's request is worded like this, too.
        task = Task(
            wanted.instruction.strip(),
            wanted.context,
            kind=wanted.kind,
            to=wanted.to.strip(),
            register=wanted.register_,
            length=wanted.length,
        )
        draft = kept.draft(request(task), wanted.context, wanted.reply, wanted.register_ or "mail")
        return _kept(kept.keep(home.open().corpus, draft))

    @router.delete(
        "/pairs/{pair_id}",
        operation_id="deleteKeptPair",
        status_code=204,
        responses=told("unknown-pair", "cannot"),
    )
    def delete_kept_pair(pair_id: str) -> None:
        """Delete a kept draft. A dataset that has it keeps it until it is built again."""
        from aitwin.corpus import kept

        if not home.corpus.is_dir() or not kept.forget(home.corpus, pair_id):
            raise Problem("unknown-pair")


# Datasets


def _open(home: Home, dataset_id: str) -> Dataset:
    """Raises Problem when there is none of that id, TwinError for a damaged one."""
    path = home.datasets / dataset_id
    if not re.fullmatch(PLAIN_NAME, dataset_id) or not (path / artifact.MANIFEST).is_file():
        raise Problem("unknown-dataset")
    return datasets.load(path)


def _require_choice(wanted: BuildRequest) -> None:
    """Raise TwinError for what the command would refuse."""
    from aitwin.corpus import languages
    from aitwin.corpus.curate import Choice

    codes = languages.codes(wanted.languages or ())
    Choice(wanted.size, wanted.seed, wanted.allow_small, codes, wanted.mail_share)


def _build_command(wanted: BuildRequest) -> tuple[str, ...]:
    command = ["dataset", "build", "--name", wanted.name, "--size", str(wanted.size)]
    command += ["--seed", str(wanted.seed), "--instructions", wanted.instructions]
    for language in wanted.languages or ():
        command += ["--language", language]
    if wanted.mail_share is not None:
        command += ["--mail-share", str(wanted.mail_share)]
    if wanted.tokens is not None:
        command += ["--tokens", str(wanted.tokens)]
    return (*command, *(["--allow-small"] if wanted.allow_small else []))


def _adapters_by_dataset(home: Home) -> dict[str, list[str]]:
    """Names of adapters by the digest of the rows that they were trained on."""
    names: dict[str, list[str]] = {}
    for manifest in sorted(home.adapters.glob(f"[!.]*/{artifact.MANIFEST}")):
        try:
            told_ = artifact.read_manifest(manifest.parent, kind="adapter", remedy="")
        except TwinError:
            continue  # the list of adapters says so
        names.setdefault(str(told_.get("dataset")), []).append(manifest.parent.name)
    return names


def _summary(home: Home, dataset: Dataset, trained: Mapping[str, list[str]]) -> dict[str, Any]:
    built = (dataset.path / artifact.MANIFEST).stat().st_mtime
    return {
        "id": dataset.path.name,
        "built_at": datetime.fromtimestamp(built, UTC),
        "digest": dataset.digest,
        "pairs": sum(dataset.counts.values()),
        "counts": dataset.counts,
        "channels": dataset.manifest["channels"],
        "languages": dataset.manifest["languages"],
        "stale": _changed_at(home) > built,
        "adapters": trained.get(dataset.digest, []),
    }


def _changed_at(home: Home) -> float:
    """When the owner last decided something by hand, or messages came in; 0 for never."""
    from aitwin.corpus import kept, marks, store

    files = [home.corpus / name for name in (marks.FILE, kept.FILE)]
    times = [file.stat().st_mtime for file in files if file.is_file()]
    if (home.corpus / store.FILE).is_file() and (last := store.Store(home.corpus).last_new()):
        times.append(last.timestamp())
    return max(times, default=0.0)


def _detail(home: Home, dataset: Dataset) -> DatasetDetail:
    from aitwin.corpus import page

    rows = [row for split in datasets.SPLITS for row in dataset.split(split)]
    settings = dict(dataset.manifest["settings"])
    return DatasetDetail.model_validate(
        {
            **_summary(home, dataset, _adapters_by_dataset(home)),
            "owner": dataset.persona.name,
            "funnel": [
                FunnelStage(
                    name=stage.name,
                    unit=stage.unit,
                    came=stage.came,
                    went=stage.went,
                    dropped=counted(stage.dropped),
                )
                for stage in dataset.funnel.stages
            ],
            "redactions": settings.get("redactions", {}),
            "settings": settings,
            "marks": _marked(home),
            "lengths": [
                LengthBar(label=bar.label, mail=bar.values[0], chat=bar.values[1])
                for bar in page.lengths(rows)
            ],
            "months": _months(rows),
            "report": (dataset.path / page.FILE).is_file(),
        }
    )


def _months(rows: Sequence[Example]) -> list[LengthBar]:
    from aitwin.corpus import page

    months = Counter((f"{row.sent_at:%Y-%m}", row.channel) for row in rows)
    bars = page.timeline(Counter(month for month, _ in months.elements()))
    counts: Counter[tuple[str, str]] = Counter()
    for (month, channel), count in months.items():
        # Of a long time, a bar is a year.
        counts[month[: len(bars[0].label)], channel] += count
    return [
        LengthBar(label=bar.label, mail=counts[bar.label, "mail"], chat=counts[bar.label, "chat"])
        for bar in bars
    ]


def _marked(home: Home) -> Marked:
    from aitwin.corpus import kept, marks

    by_hand, book = marks.load(home.corpus), kept.load(home.corpus)
    return Marked(
        dropped=by_hand.count("drop"),
        pinned=by_hand.count("pin"),
        edited=len(book.edits),
        kept=len(book.drafts),
    )


# Pairs


def _pairs(home: Home, dataset: Dataset, only: Split | None = None) -> list[Pair]:
    """The pairs of a dataset, the newest first."""
    from aitwin.corpus import kept, pipeline
    from aitwin.corpus.store import Store
    from aitwin.style.evaluation import texts

    marks = pipeline.marks_of(Store(home.corpus), dataset)
    edits = kept.load(home.corpus).edits
    drafts = set(dataset.manifest["settings"].get("kept", ()))
    rows = [
        Pair(
            id=row.id,
            split=split,
            channel=row.channel,
            sent_at=row.sent_at,
            instruction=texts.instruction(row),
            incoming=texts.incoming(row),
            reply=row.reply,
            mark=marks.get(row.id, "none"),
            edit=edits[row.id].reply if row.id in edits else None,
            kept=row.id in drafts,
        )
        for split in datasets.SPLITS
        if only in (None, split)
        for row in dataset.split(split)
    ]
    rows.sort(key=lambda row: (row.sent_at, row.id), reverse=True)
    return rows


def _holds(row: Pair, wanted: str) -> bool:
    texts = (row.instruction, row.incoming, row.reply, row.edit or "")
    return row.id.startswith(wanted) or any(wanted in text.casefold() for text in texts)


def _kept(draft: "Kept") -> KeptPair:
    return KeptPair(
        id=draft.id,
        channel=draft.channel,
        kept_at=draft.kept_at,
        instruction=draft.instruction,
        context=draft.incoming,
        reply=draft.reply,
    )
