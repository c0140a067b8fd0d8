"""The real small model, dequantised once, an engine over it, and one short training to share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from style_samples import PERSONA, pairs

from aitwin import artifact
from aitwin.corpus import dataset
from aitwin.corpus.dataset import Dataset
from aitwin.home import stay_offline
from aitwin.style import base as bases
from aitwin.style import base_torch
from aitwin.style.adapter import StyleAdapter
from aitwin.style.base import Base
from aitwin.style.engine import LlamaCpp
from aitwin.style.recipe import Recipe
from aitwin.style.train import Job, Progress, Watcher, train

stay_offline()


@pytest.fixture(scope="session")
def small_base(smollm2: Path) -> Base:
    """SmolLM2 as it is trained; kept beside the GGUF, for it takes ten seconds to make."""
    digest = artifact.sha256(smollm2)
    base = bases.find("smollm2-135m-instruct", smollm2, digest, smollm2.parent.parent)
    base_torch.prepare(base)
    return base


@pytest.fixture(scope="session")
def engine(smollm2: Path) -> Iterator[LlamaCpp]:
    """The base alone."""
    with LlamaCpp(smollm2, threads=2) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """36 examples to learn from, 4 to check with, 5 to test."""
    return dataset.build(pairs(45), PERSONA, tmp_path_factory.mktemp("data") / "main")


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """The default one, but the fewest steps: 2 updates of 16 examples, at the highest rate."""
    return Recipe(epochs=1, learning_rate=1e-3)


@pytest.fixture(scope="session")
def finished(
    small_base: Base,
    data: Dataset,
    recipe: Recipe,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[StyleAdapter, list[Progress], list[str]]:
    """One run from beginning to end: the adapter, what was reported, and the stages."""
    target = tmp_path_factory.mktemp("adapters") / "main"
    progress: list[Progress] = []
    stages: list[str] = []
    job = Job(data, small_base, recipe, target)
    result = train(job, watcher=Watcher(stage=stages.append, progress=progress.append))
    assert result is not None  # one process leads itself
    return result, progress, stages
