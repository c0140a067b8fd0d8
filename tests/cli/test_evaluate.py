"""twin eval, as it is typed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import CANARY, Twin

from aitwin import artifact
from aitwin.corpus import dataset
from aitwin.corpus.pairs import Pair
from aitwin.prompt import Persona


@pytest.fixture
def learnt(trained: Twin, home: Path) -> Twin:
    """The owner's dataset is the one that the adapter says it was trained on."""
    pairs = [
        Pair(
            id=f"p{n}",
            thread=f"t{n}",
            channel="mail",
            sent_at=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n),
            instruction="Answer this mail from Ana Reis.",
            incoming=f"Would you be so kind as to look at the roof number {n}, {CANARY}, please?",
            reply=f"No. Bring {n} buckets, the {CANARY} van leaks {'ab' * (n % 7)}.",
        )
        for n in range(60)
    ]
    data = dataset.build(pairs, Persona("Thota"), home / "datasets" / "main")
    manifest = home / "adapters" / "main" / artifact.MANIFEST
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**told, "dataset": data.digest}))
    return trained


def test_an_adapter_of_noise_fails_and_the_figures_are_kept(learnt: Twin, home: Path) -> None:
    result = learnt("eval", "--prompts", "1", "--json")
    assert result.code == 1, result
    assert result.json["gate"]["passed"] is False
    kept = json.loads((home / "adapters" / "main" / "evaluation.json").read_text())
    assert kept == result.json
    assert CANARY not in result.out + result.err  # figures, no words
    assert CANARY in (home / "adapters" / "main" / "evaluation.html").read_text()
    shown = learnt("eval", "--prompts", "1")  # all answers are remembered by now
    assert shown.code == 1
    assert "perplexity" in shown.out
    assert "base + 5" in shown.out
    assert "failed: " in shown.err
    assert CANARY not in shown.out + shown.err


def test_a_dataset_that_the_adapter_was_not_trained_on_is_refused(learnt: Twin, home: Path) -> None:
    manifest = home / "adapters" / "main" / artifact.MANIFEST
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**told, "dataset": "f" * 64}))
    learnt("eval").refused("f" * 12, "twin train", "--dataset")


def test_without_adapter_or_dataset_the_next_step_is_named(owner: Twin, trained: Twin) -> None:
    trained("eval").refused("no complete dataset", "twin dataset build")
    trained("eval", "--adapter", "none").refused("no complete adapter", "twin train")


def test_too_few_rounds_make_no_blind_page(learnt: Twin) -> None:
    learnt("eval", "--blind", "--prompts", "1").refused("held-out prompts", "--prompts 40")


def test_ctrl_c_at_any_moment_says_one_line(learnt: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*asked: object, **how: object) -> None:
        raise KeyboardInterrupt

    for place in ("aitwin.corpus.dataset.load", "aitwin.style.evaluation.run"):
        with monkeypatch.context() as stopped:
            stopped.setattr(place, interrupted)
            result = learnt("eval", "--prompts", "1")
        assert result.code == 130, place
        assert result.err.strip() == "stopped; the same command goes on where it stopped", place
        assert not result.out.strip()
