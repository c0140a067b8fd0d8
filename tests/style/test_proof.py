from collections.abc import Iterator
from pathlib import Path

import pytest
from style_samples import PERSONA, example, pairs

from aitwin import prompt
from aitwin.corpus.dataset import Dataset
from aitwin.errors import TwinError
from aitwin.prompt import ChatMessage
from aitwin.style import proof as proving
from aitwin.style.adapter import StyleAdapter
from aitwin.style.engine import LlamaCpp, Sampling, Score
from aitwin.style.proof import PROBES, Answer, ProofOfLife

Finished = tuple[StyleAdapter, object, object]


@pytest.fixture(scope="module")
def twin(smollm2: Path, finished: Finished) -> Iterator[LlamaCpp]:
    with LlamaCpp(smollm2, finished[0].gguf, threads=2) as engine:
        yield engine


def test_a_trained_adapter_proves_itself(twin: LlamaCpp, data: Dataset) -> None:
    """DESIGN decision 3: other answers than the base's, and likelier replies of the owner."""
    told: list[tuple[int, int]] = []
    proof = proving.prove(twin, PERSONA, data.split("test"), lambda *done: told.append(done))
    proof.require()
    assert proof.differing >= 1
    assert proof.twin.mean > proof.base.mean
    assert proof.twin.tokens == proof.base.tokens > 0
    assert proof.too_long == 0
    assert told == [(n, len(PROBES) + 5) for n in range(len(PROBES) + 5 + 1)]
    greedy = Sampling(max_tokens=120, temperature=0.0)
    for answer in proof.answers:
        messages = prompt.messages(PERSONA, answer.task)
        alone = "".join(twin.stream(messages, greedy, adapted=False)).strip()
        assert answer.base == alone


def test_an_engine_without_an_adapter_is_found_out(engine: LlamaCpp, data: Dataset) -> None:
    """An adapter that is not applied must not pass for one."""
    proof = proving.prove(engine, PERSONA, data.split("test")[:1])
    assert proof.differing == 0
    with pytest.raises(TwinError, match="not live"):
        proof.require()


def test_at_most_so_many_replies_from_the_whole_time(
    engine: LlamaCpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [example(pair.incoming, pair.reply) for pair in pairs(100)]
    asked: list[str] = []
    real = engine.score

    def noting(messages: list[ChatMessage], reply: str, *, adapted: bool = True) -> Score:
        asked.append(reply)
        return real(messages, reply, adapted=adapted)

    monkeypatch.setattr(engine, "score", noting)
    proving.prove(engine, PERSONA, rows)
    spread = [rows[index * len(rows) // proving.SCORED] for index in range(proving.SCORED)]
    assert asked[::2] == [row.reply for row in spread]


def test_replies_longer_than_the_context_are_counted(smollm2: Path, finished: Finished) -> None:
    """One long mail among the held-out ones does not fail a deployment."""
    rows = [example("Ana: " + "word " * 400), example("Ana: done?", "No. T.")]
    with LlamaCpp(smollm2, finished[0].gguf, context=256, threads=2) as engine:
        proof = proving.prove(engine, PERSONA, rows)
        assert proof.too_long == 1
        assert proof.twin.tokens == len(engine.tokenize("No. T.")) + 1
        nothing = proving.prove(engine, PERSONA, rows[:1])
    with pytest.raises(TwinError, match=r"no held-out reply could be scored \(1 are too long\)"):
        nothing.require()


SAME, OTHER = Answer(PROBES[0], "a", "a"), Answer(PROBES[1], "a", "b")


@pytest.mark.parametrize(
    ("answers", "base", "twin", "says"),
    [
        ((SAME, SAME), -4.0, -3.0, "not live"),
        ((SAME, OTHER), -4.0, -4.0, "less likely"),
        ((OTHER, OTHER), -4.0, -4.5, r"-4\.500 against -4\.000"),
    ],
)
def test_what_fails_the_proof(
    answers: tuple[Answer, ...], base: float, twin: float, says: str
) -> None:
    proof = ProofOfLife(answers, Score(10 * base, 10), Score(10 * twin, 10))
    with pytest.raises(TwinError, match=says):
        proof.require()


def test_scores_add_up_by_tokens() -> None:
    assert (Score(-10.0, 10) + Score(-2.0, 1)).mean == pytest.approx(-12 / 11)


def test_texts_stay_out_of_reprs() -> None:
    assert "secret" not in repr(
        ProofOfLife((Answer(PROBES[0], "secret", "secret"),), Score(0, 0), Score(0, 0))
    )
