from dataclasses import fields
from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitwin.errors import TwinError
from aitwin.style.recipe import Recipe


def test_defaults_are_those_of_the_requirements() -> None:
    """M2: rank 8 on q and v. M3: 2e-4, 5-10 % warm-up, dropout 0.05. M4: 4 x 4, 512. M5: 1-3."""
    assert Recipe().as_dict() == {
        "rank": 8,
        "alpha": 16,
        "targets": ("q_proj", "v_proj"),
        "dropout": 0.05,
        "learning_rate": 2e-4,
        "warmup": 0.1,
        "batch": 4,
        "accumulation": 4,
        "sequence_length": 512,
        "epochs": 2,
        "steps": None,
        "patience": 3,
        "clip": 1.0,
        "seed": 20,
    }
    assert not list(Recipe().warnings(3_000_000_000))


BOUNDS = [
    ("rank", 1, 0),
    ("rank", 32, 33),
    ("alpha", 1, 0),
    ("alpha", 512, 513),
    ("dropout", 0.0, -0.01),
    ("dropout", 0.5, 0.51),
    ("learning_rate", 1e-6, 9e-7),
    ("learning_rate", 1e-3, 1.1e-3),
    ("warmup", 0.05, 0.049),
    ("warmup", 0.10, 0.11),
    ("batch", 4, 3),
    ("batch", 8, 9),
    ("accumulation", 4, 3),
    ("accumulation", 8, 9),
    ("sequence_length", 64, 63),
    ("sequence_length", 4096, 4097),
    ("epochs", 1, 0),
    ("epochs", 3, 4),
    ("steps", 300, 299),
    ("steps", 600, 601),
    ("patience", 1, 0),
    ("patience", 10, 11),
    ("clip", 0.01, 0.0),
]


@pytest.mark.parametrize(("name", "allowed", "refused"), BOUNDS)
def test_bounds(name: str, allowed: float, refused: float) -> None:
    """M2-M5: the outermost value passes, the next one is refused by name."""
    Recipe(**{name: allowed})  # type: ignore[arg-type]
    with pytest.raises(TwinError, match=rf"- {name} {refused} is not within .*: \w+"):
        Recipe(**{name: refused})  # type: ignore[arg-type]


def test_every_number_has_bounds() -> None:
    """A field added later without bounds, and a reason, fails here; a seed may be anything."""
    numbers = {f.name for f in fields(Recipe) if isinstance(f.default, int | float)}
    assert {name for name, _, _ in BOUNDS} == (numbers | {"steps"}) - {"seed"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(TwinError, match="learning_rate"):
        Recipe(learning_rate=value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(TwinError) as error:
        Recipe(rank=64, warmup=0.5, epochs=9, targets=("gate_proj", "q_proj"), steps=10)
    lines = str(error.value).splitlines()
    assert len(lines) == 1 + 5
    for name in ("rank 64", "warmup 0.5", "epochs 9", "steps 10", "targets gate_proj"):
        assert sum(name in line for line in lines) == 1


@pytest.mark.parametrize("targets", [(), ("q_proj", "q_proj"), ("Q_PROJ",), ("mlp",)])
def test_targets_that_are_refused(targets: tuple[str, ...]) -> None:
    """M2: q and v, optionally k and o, each once."""
    with pytest.raises(TwinError, match="targets"):
        Recipe(targets=targets)


def test_what_is_allowed_but_warned_of() -> None:
    """M4: 2,048 tokens and more take much memory. M2: above 16 is beyond style and task."""
    assert not list(Recipe(sequence_length=2047, rank=16).warnings(3_000_000_000))
    (memory,) = Recipe(sequence_length=2048).warnings(3_000_000_000)
    assert "sequence_length 2048" in memory
    assert "3.0 GB" in memory
    (rank,) = Recipe(rank=17).warnings(3_000_000_000)
    assert "rank 17" in rank
    assert len(list(Recipe(sequence_length=4096, rank=32).warnings(3_000_000_000))) == 2


@pytest.mark.parametrize(
    ("examples", "epochs", "steps"),
    [(1, 1, 1), (16, 1, 1), (17, 1, 2), (800, 2, 100), (33, 3, 9)],
)
def test_steps_are_epochs_of_updates(examples: int, epochs: int, steps: int) -> None:
    """M4, M5: 4 x 4 examples per update, the last update of an epoch may be smaller."""
    assert Recipe(epochs=epochs).total_steps(examples) == steps
    assert Recipe(epochs=epochs, steps=300).total_steps(examples) == 300


@given(st.integers(1, 700), st.sampled_from([0.05, 0.07, 0.1]))
def test_the_rate_rises_to_its_peak_and_falls_on_a_cosine(total: int, warmup: float) -> None:
    """M3."""
    recipe = Recipe(warmup=warmup)
    rates = [recipe.learning_rate_at(step, total) for step in range(total)]
    warm = max(1, round(warmup * total))
    rising, falling = rates[:warm], rates[warm:]
    assert rising == sorted(rising)
    assert rising[-1] == pytest.approx(recipe.learning_rate)
    assert falling == sorted(falling, reverse=True)
    assert all(0 < rate <= recipe.learning_rate * (1 + 1e-9) for rate in rates)
    for step in range(warm, total):
        share = (step - warm) / (total - warm)
        assert rates[step] == pytest.approx(recipe.learning_rate * (1 + cos(pi * share)) / 2)


def test_the_rate_ends_near_zero() -> None:
    """M3: the cosine has fallen below a thousandth of the peak by the last of 300 steps."""
    recipe = Recipe()
    assert recipe.learning_rate_at(299, 300) < recipe.learning_rate / 1000
