"""Does it sound like the owner? An adapter, examined on held-out conversations (C6, W3).

Base, base with five examples, and twin answer prompts of the dataset's test part, which training
and its early stop have not seen; the owner's own replies stand beside them as the ceiling. Asks
and arranges; each kind of figure has a module of its own, and gate.py has the thresholds.

- `drafts`: what the models wrote, remembered, so that a stopped evaluation goes on
- `likelihood`, `attribution`, `manner`, `faults`, `memorisation`: the figures
- `gate`: the verdict; `report`: the page; `blind`: the page on which the owner guesses
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from aitwin import artifact
from aitwin.corpus.dataset import Dataset, Example
from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage
from aitwin.style import canaries
from aitwin.style.adapter import StyleAdapter
from aitwin.style.engine import CONTEXT, LlamaCpp, Sampling, Score
from aitwin.style.evaluation import attribution, faults, gate, likelihood, manner, memorisation
from aitwin.style.evaluation.attribution import Judge, Sample
from aitwin.style.evaluation.blind import Round
from aitwin.style.evaluation.drafts import FILE as ANSWERS
from aitwin.style.evaluation.drafts import Desk, Draft, Notebook, workplace
from aitwin.style.evaluation.gate import Verdict
from aitwin.style.evaluation.likelihood import Scored
from aitwin.style.evaluation.measures import (
    CANDIDATES,
    DRAFTING,
    Candidate,
    Measure,
    Section,
)
from aitwin.style.evaluation.memorisation import Written
from aitwin.style.evaluation.statistics import Estimate, share
from aitwin.style.evaluation.texts import body, incoming, instruction, others_words
from aitwin.style.guard import Habits
from aitwin.style.nearest import Index, NearestReplies, request

FORMAT = 1
SAMPLING = Sampling(max_tokens=128)
"""Some 95 words, more than nine of ten replies have; else as drafts are served."""
REGISTERS = ("mail", "chat")
"""Judged apart: chats are short and bare by nature."""
NEAREST = 5
"""Own replies that the prompted base is shown."""


@dataclass(frozen=True)
class Plan:
    """How much is asked."""

    prompts: int = 16
    """Held-out prompts, answered by three candidates and scored by them."""
    strangers: int = 12
    """Training prompts that the base answers, for the judges of authorship to learn from."""
    members: int = 12
    """Training replies that are scored, to see whether the twin knows them."""
    sampling: Sampling = SAMPLING


@dataclass(frozen=True)
class Answered:
    """One held-out prompt and what each candidate wrote."""

    example: Example
    drafts: dict[Candidate, Draft]


@dataclass(frozen=True)
class Evaluation:
    """All figures of an adapter, its verdict, and the texts for the private page."""

    adapter: str
    """SHA-256 of the adapter's manifest: another one stands for another adapter."""
    base: str
    dataset: str
    made: datetime
    plan: Plan
    sections: tuple[Section, ...]
    verdict: Verdict
    answered: tuple[Answered, ...] = field(repr=False)
    counts: dict[str, int]
    """Prompts, conversations, and what was left out as too long."""
    kept: bool = True
    """False where an earlier one of the adapter has enough prompts, and this has not."""

    @property
    def measures(self) -> list[Measure]:
        """Those of all sections."""
        return [measure for section in self.sections for measure in section.measures]

    def as_json(self) -> dict[str, Any]:
        """evaluation.json: figures, no text."""
        return {
            "kind": "evaluation",
            "format": FORMAT,
            "adapter": self.adapter,
            "base": self.base,
            "dataset": self.dataset,
            "made": self.made.isoformat(timespec="seconds"),
            "counts": self.counts,
            "plan": {
                "prompts": self.plan.prompts,
                "strangers": self.plan.strangers,
                "members": self.plan.members,
                "sampling": self.plan.sampling.as_request(),
            },
            "gate": self.verdict.as_json(),
            "warnings": [warning for section in self.sections for warning in section.warnings],
            "measures": {measure.key: measure.as_json() for measure in self.measures},
        }


def run(
    engine: LlamaCpp,
    adapter: StyleAdapter,
    data: Dataset,
    plan: Plan,
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Evaluation:
    """Examine `adapter`, which `engine` has loaded, and write evaluation.json beside its weights.

    Too few prompts to say anything leave an earlier verdict that had enough as it is. May be
    stopped at any moment; the next run goes on. Raises TwinError when the dataset is not the one
    that the adapter was trained on.
    """
    require_same(adapter, data)
    attribution.require()
    asked = held_out(data, plan.prompts)
    trained = data.split("train")
    desk = open_desk(engine, adapter, data, plan)
    shown = NearestReplies(
        Index.build(trained), lambda turns: len(engine.prompt_tokens(turns)), CONTEXT, NEAREST
    )
    strangers = choose(trained, plan.strangers)
    # The newest: style drifts with the years, and must not be taken for memory.
    members = choose(trained[-4 * plan.members :], plan.members)
    total = len(asked) * 6 + len(strangers) + len(members) * 2
    done = iter(range(1, total + 1))

    def tick(stage: str) -> None:
        on_progress(stage, next(done, total), total)

    answered, scored = [], []
    for example in asked:
        drafts: dict[Candidate, Draft] = {}
        scores: dict[Candidate, Score] = {}
        for candidate, prompt in _prompts(example, shown, plan.sampling.max_tokens).items():
            # One after the other: llama.cpp reads a prompt once that two requests begin with.
            if draft := desk.draft(prompt, adapted=candidate == "twin"):
                drafts[candidate] = draft
            tick("drafts")
            if score := desk.score(prompt, example.reply, adapted=candidate == "twin"):
                scores[candidate] = score
            tick("likelihood")
        if len(drafts) == len(DRAFTING):
            answered.append(Answered(example, drafts))
        if len(scores) == len(DRAFTING):
            scored.append(Scored(example.thread, scores))
    others = [
        Sample(draft.text, example.thread)
        for example in _ticking(strangers, tick, "drafts to compare with")
        if (draft := desk.draft(example.messages[:-1], adapted=False)) is not None
    ]
    remembered = list(_members(desk, members, tick))
    on_progress("figures", total, total)
    if not answered or not scored:
        raise TwinError(
            f"none of {len(asked)} held-out prompts fits the context of {CONTEXT} tokens with its "
            "reply; build the dataset with shorter rows (`twin dataset build --tokens N`)"
        )
    sections = (
        replace(likelihood.measure(scored), warnings=_few(len(answered))),
        _attribution(answered, strangers, others, data),
        _manner(answered, trained),
        _faults(answered),
        _memory(desk, answered, likelihood.membership(remembered, scored), adapter, data),
    )
    desk.notebook.keep_only((desk.base, desk.adapter))
    verdict = gate.judge([measure for section in sections for measure in section.measures])
    evaluation = Evaluation(
        adapter=desk.adapter,
        base=desk.base,
        dataset=data.digest,
        made=datetime.now(UTC),
        plan=plan,
        sections=sections,
        verdict=verdict,
        answered=tuple(answered),
        counts={
            "prompts": len(asked),
            "conversations": len({example.thread for example in asked}),
            "answered": len(answered),
            "scored": len(scored),
            "too_long": 2 * len(asked) - len(answered) - len(scored),
        },
        kept=verdict.settled or not gate.is_settled(adapter),
    )
    if evaluation.kept:
        artifact.write_private(adapter.path / gate.FILE, json.dumps(evaluation.as_json(), indent=2))
    return evaluation


def rounds(
    engine: LlamaCpp,
    adapter: StyleAdapter,
    data: Dataset,
    plan: Plan,
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[Round]:
    """Held-out prompts with the owner's reply and the twin's, for the blind page.

    A draft that was stopped at its longest would give itself away: it is left out.
    """
    require_same(adapter, data)
    desk = open_desk(engine, adapter, data, plan)
    asked = held_out(data, plan.prompts)
    found = []
    for done, example in enumerate(asked, start=1):
        draft = desk.draft(example.messages[:-1], adapted=True)
        if draft is not None and not draft.cut:
            task = instruction(example), incoming(example)
            found.append(Round(example.id, *task, example.reply.strip(), draft.text))
        on_progress("drafts", done, len(asked))
    return found


def require_same(adapter: StyleAdapter, data: Dataset) -> None:
    """Refuse a dataset that the adapter was not trained on: its test part may have been learnt."""
    learnt = str(adapter.manifest.get("dataset", "unknown"))
    if learnt != data.digest:
        raise TwinError(
            f"{adapter.path} was trained on the dataset {learnt[:12]}, but {data.path} is "
            f"{data.digest[:12]} by now: what is held out there may have been learnt; train on it "
            "(`twin train`), or evaluate with the earlier dataset (`twin eval --dataset NAME`)"
        )


def held_out(data: Dataset, count: int) -> list[Example]:
    """`count` rows of the test part. Raises TwinError when it has none."""
    if examples := data.split("test"):
        return choose(examples, count)
    raise TwinError(
        f"the test part of {data.path} is empty, so there is nothing to examine with; add mail or "
        "chats, build the dataset again (`twin dataset build`), and train on it (`twin train`)"
    )


def open_desk(engine: LlamaCpp, adapter: StyleAdapter, data: Dataset, plan: Plan) -> Desk:
    """Where the adapter's drafts are made, or found."""
    return Desk(
        engine,
        Notebook(workplace(adapter.path) / ANSWERS),
        adapter.base_digest,
        artifact.sha256(adapter.path / artifact.MANIFEST),
        data.digest,
        plan.sampling,
        # An adapter of before there were habits: the replies that it learnt from tell them.
        Habits.load(adapter.path) or Habits.of(one.reply for one in data.split("train")),
    )


def choose(examples: Sequence[Example], count: int) -> list[Example]:
    """`count` of them, spread evenly, from as many conversations as there are; always the same."""
    seen: Counter[str] = Counter()
    order: dict[str, int] = {}
    for example in examples:
        order[example.id] = seen[example.thread]
        seen[example.thread] += 1
    ranked = sorted(examples, key=lambda example: order[example.id])
    first = [example for example in ranked if not order[example.id]]
    if len(first) >= count:
        return [first[at * len(first) // count] for at in range(count)]
    return ranked[:count]


def _prompts(
    example: Example, shown: NearestReplies, max_tokens: int
) -> dict[Candidate, list[ChatMessage]]:
    plain = example.messages[:-1]
    return {"base": plain, "examples": shown.added(plain, max_tokens), "twin": plain}


def _ticking(
    examples: Sequence[Example], tick: Callable[[str], None], stage: str
) -> Iterator[Example]:
    for example in examples:
        yield example
        tick(stage)


def _members(
    desk: Desk, members: Sequence[Example], tick: Callable[[str], None]
) -> Iterator[Scored]:
    for example in members:
        base = desk.reply_score(example, adapted=False)
        tick("memory")
        twin = desk.reply_score(example, adapted=True)
        tick("memory")
        if base is not None and twin is not None:
            yield Scored(example.thread, {"base": base, "twin": twin})


def _few(count: int) -> tuple[str, ...]:
    if count >= gate.FEW:
        return ()
    return (
        f"only {count} held-out prompts: little is settled by them; ask for more with --prompts, "
        "or add mail or chats",
    )


# --- What goes to which figure --------------------------------------------------------------------


def _texts(answered: Sequence[Answered]) -> dict[Candidate, list[str]]:
    """What is compared: drafts as the owner would get them, and the owner's replies."""
    texts: dict[Candidate, list[str]] = {
        c: [one.drafts[c].text for one in answered] for c in DRAFTING
    }
    return {**texts, "owner": [one.example.reply for one in answered]}


def _groups(answered: Sequence[Answered]) -> list[str]:
    return [one.example.thread for one in answered]


def _attribution(
    answered: Sequence[Answered],
    strangers: Sequence[Example],
    drafted: Sequence[Sample],
    data: Dataset,
) -> Section:
    """Shares attributed to the owner: whole texts, and bodies without greeting and sign-off."""
    measures: list[Measure] = []
    warnings: list[str] = []
    channel_of = {example.thread: example.channel for example in strangers}
    asked = {one.example.channel for one in answered}
    for key, name, part in (
        ("body", "taken for you, body", body),
        ("whole", "taken for you, whole text", str.strip),
    ):
        judges: list[Judge] = []
        silent: list[str] = []
        hits: dict[Candidate, list[tuple[bool, str]]] = {c: [] for c in CANDIDATES}
        for channel in REGISTERS:
            judge = _taught(
                channel, data, [s for s in drafted if channel_of[s.group] == channel], part
            )
            if judge is None:
                silent.append(channel)
                continue
            judges.append(judge)
            for candidate, texts in _of_channel(answered, data, channel).items():
                found = judge.attributes([part(text) for text, _ in texts])
                hits[candidate] += zip(found, (group for _, group in texts), strict=True)
        trusted = [j for j in judges if j.against_others.value >= gate.TRUSTED_AUC]
        examined: dict[Candidate, Estimate] = {}
        if judges:
            examined["owner"] = min((j.against_others for j in judges), key=lambda e: e.value)
        if not judges:
            warnings.append(f"{name}: too few texts to learn from; nobody was told from anybody")
        elif silent := [c for c in silent if c in asked]:
            warnings.append(
                f"{name}: too few texts to learn from in {' and '.join(silent)}; these shares are "
                f"of {' and '.join(judge.register for judge in judges)} alone"
            )
        if len(trusted) < len(judges):
            warnings.append(
                f"{name}: the judge itself tells you from others hardly better than a coin "
                f"(AUC {examined['owner'].value:.2f}); do not trust these shares"
            )
        shares = {
            c: share([hit for hit, _ in found], [group for _, group in found])
            for c, found in hits.items()
            if found
        }
        # A key that the gate does not know: it asks no judge that cannot be trusted.
        known = f"attribution.{key}" + ("" if len(trusted) == len(judges) else "_untrusted")
        measures += [
            Measure(known, name, "share", "high", shares, headline=True),
            Measure(
                f"attribution.{key}_auc", f"the judge, examined on you and others ({key}, AUC)",
                "number", "high", examined,
            ),
        ]  # fmt: skip
    note = (
        "Two linear judges (character n-grams; function words and marks) have read your training "
        "replies, what others wrote to you, and the base's drafts. Your column is the ceiling: how "
        "often they recognise you in all your held-out replies."
    )
    return Section("Attribution", note, tuple(measures), tuple(warnings))


def _taught(
    channel: str, data: Dataset, drafted: Sequence[Sample], part: Callable[[str], str]
) -> Judge | None:
    trained = [example for example in data.split("train") if example.channel == channel]
    return attribution.teach(
        channel,
        [Sample(part(example.reply), example.thread) for example in trained],
        [Sample(part(others_words(example, data.persona)), example.thread) for example in trained],
        [Sample(part(sample.text), sample.group) for sample in drafted],
    )


def _of_channel(
    answered: Sequence[Answered], data: Dataset, channel: str
) -> dict[Candidate, list[tuple[str, str]]]:
    """Texts and conversations; of the owner all that is held out, for a surer ceiling."""
    these = [one for one in answered if one.example.channel == channel]
    texts: dict[Candidate, list[tuple[str, str]]] = {
        c: [(one.drafts[c].text, one.example.thread) for one in these] for c in DRAFTING
    }
    held_out = [example for example in data.split("test") if example.channel == channel]
    return {**texts, "owner": [(example.reply, example.thread) for example in held_out]}


def _manner(answered: Sequence[Answered], trained: Sequence[Example]) -> Section:
    groups = _groups(answered)
    channels = {one.example.channel for one in answered}
    # Chats are short and bare by nature: each register is compared with its own.
    learnt = [example.reply for example in trained if example.channel in channels]
    return manner.measure(_texts(answered), dict.fromkeys(CANDIDATES, groups), learnt)


def _faults(answered: Sequence[Answered]) -> Section:
    def case(example: Example, draft: Draft) -> faults.Case:
        return faults.Case(
            example.thread,
            instruction(example),
            request(example),
            example.reply,
            draft.raw,
            draft.cut,
            draft.touched,
        )

    cases: dict[Candidate, list[faults.Case]] = {
        c: [case(one.example, one.drafts[c]) for one in answered] for c in DRAFTING
    }
    owner = (one.example for one in answered)
    cases["owner"] = [case(e, Draft(e.reply, False, e.reply, False)) for e in owner]
    return faults.measure(cases)


def _memory(
    desk: Desk,
    answered: Sequence[Answered],
    told_apart: Measure,
    adapter: StyleAdapter,
    data: Dataset,
) -> Section:
    written: dict[Candidate, list[Written]] = {
        c: [
            Written(one.example.thread, text, request(one.example))
            for one, text in zip(answered, texts, strict=True)
        ]
        for c, texts in _texts(answered).items()
    }
    learnt = [Written(e.thread, e.reply, request(e)) for e in data.split("train")]
    measures = [*memorisation.overlap(written, learnt), told_apart]
    note = (
        "What stands in training and not in the prompt. You repeat yourself, too: your held-out "
        "replies against your earlier ones are the measure. Membership is a guess by likelihood "
        "whether a reply was in training; 0.5 is a coin."
    )
    if planted := canaries.planted(adapter.path):
        measures += memorisation.canary_measures(desk, planted, data.persona)
    else:
        note += " No secrets were planted in this training (`twin train --canaries N`)."
    return Section("Memorisation", note, tuple(measures))
