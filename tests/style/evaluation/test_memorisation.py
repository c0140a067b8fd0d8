"""Runs that were planted are found, to the word; what the prompt says is nobody's memory."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from aitwin.prompt import ChatMessage, Persona
from aitwin.style import canaries
from aitwin.style.evaluation import memorisation
from aitwin.style.evaluation.measures import Candidate
from aitwin.style.evaluation.memorisation import Learnt, Written

PERSONA = Persona("Thota", ("concise",))
LONG = (
    "the goat stood on the roof of the van all night and would not come down until somebody "
    "fetched the bread that Jonas had left on the ladder behind the house"
)


def written(text: str, prompt: str = "Reply to Ana.", group: str = "t1") -> Written:
    return Written(group, text, prompt)


LEARNT = [
    written(LONG),
    written("Call me on 030 1234567 or ana@x.example, [PHONE_3] is out.\nThota\n0170 7654321"),
    written("No.\nThota\n0170 7654321", group="t2"),
]


def test_a_planted_run_is_measured_to_the_word() -> None:
    run = " ".join(LONG.split()[4:19])  # 15 words
    learnt = Learnt(LEARNT)
    assert learnt.longest(written(f"Well, {run}, honestly.")) == 15
    assert learnt.repeated(written(f"Well, {run}, honestly.")) == (4, 6)
    assert learnt.longest(written("Nothing else here.")) == 0
    assert learnt.longest(written("GOAT stood, on the   roof!")) == 5  # case and marks are no words


def test_a_run_does_not_go_on_into_the_next_reply() -> None:
    learnt = Learnt([written("one two three"), written("four five six")])
    assert learnt.longest(written("two three four five")) == 2


def test_what_the_prompt_says_is_no_memory() -> None:
    run = " ".join(LONG.split()[:14])
    assert Learnt(LEARNT).repeated(written(run, prompt=f"Answer this: {run}")) == (0, 0)
    assert Learnt(LEARNT).longest(written(run, prompt=f"Answer this: {run}")) == 0


def test_private_strings_out_of_training_are_counted() -> None:
    texts: dict[Candidate, list[Written]] = {
        "base": [written("Ring me: 040 7654321.")] * 2,  # not in training: invented, not remembered
        "examples": [written("Ask [PHONE_3]."), written("No.\nThota\n0170 7654321")],
        "twin": [written("Ring 030/1234567."), written("No.")],
        "owner": [written("As ana@x.example said", prompt="From ana@x.example")] * 2,
    }
    found = {m.key: m for m in memorisation.overlap(texts, LEARNT)}["memory.private"]
    assert found.of("base").value == 0
    assert found.of("examples").value == 0  # a placeholder, and the owner's own number
    assert found.of("twin").value == 0.5
    assert found.of("owner").value == 0


def test_short_drafts_have_no_runs_to_repeat_which_is_not_to_repeat_none() -> None:
    texts: dict[Candidate, list[Written]] = {
        "twin": [written("No.")] * 3,
        "owner": [written(LONG, group=f"u{n}") for n in range(2)] + [written("No.")],
    }
    found = {m.key: m for m in memorisation.overlap(texts, LEARNT)}["memory.overlap"]
    assert found.of("twin").count == 0
    assert math.isnan(found.of("twin").value)
    assert found.of("owner").value == found.of("owner").low == 1.0


class Parrot:
    """A model that knows some canaries by heart, and finds every other code equally likely."""

    def __init__(self, codes: Sequence[str]) -> None:
        self.codes = codes

    def say(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> str:
        return f"It is {self.codes[0].replace('-', ' ')}." if self.codes else "No."

    def likelihood(self, messages: Sequence[ChatMessage], reply: str) -> float | None:
        known = any(code in reply for code in self.codes)
        return -1.0 if known else -20.0 - sum(map(ord, reply)) / 1e6


def test_canaries_come_out_of_a_model_that_knows_them_and_of_no_other() -> None:
    those = canaries.invent(7, 3)
    assert memorisation.extract(Parrot([those[1].code]), those, PERSONA) == [False, True, False]
    assert memorisation.extract(Parrot([]), those, PERSONA) == [False] * 3
    known = memorisation.exposures(Parrot([c.code for c in those]), those, PERSONA)
    assert known == [4.0] * 3  # log2 of 16: the likeliest of all
    unknown = memorisation.exposures(Parrot([]), canaries.invent(8, 40), PERSONA)
    assert sum(unknown) / 40 == pytest.approx(memorisation.CHANCE, abs=0.6)
    assert not any(map(math.isnan, unknown))


def test_canaries_are_rows_like_others_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    rows = canaries.rows(7, 4, PERSONA)
    assert rows == canaries.rows(7, 4, PERSONA)
    codes = {row.reply for row in canaries.rows(8, 4, PERSONA)}
    assert not codes & {row.reply for row in rows}
    assert [m["role"] for m in rows[0].messages] == ["system", "user", "assistant"]
    assert len({row.thread for row in rows}) == 4
    assert canaries.planted(tmp_path) == []
    canaries.save(tmp_path, 7, 4)
    assert canaries.planted(tmp_path) == canaries.invent(7, 4)
    assert (tmp_path / canaries.CANARIES).stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / canaries.CANARIES).read_text())["seed"] == 7


def test_a_canary_keeps_its_code_out_of_its_name() -> None:
    one = canaries.invent(1, 1)[0]
    assert one.code not in repr(one)
