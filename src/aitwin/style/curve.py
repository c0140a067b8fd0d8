"""The loss curve of a run as a picture. Reads the history, knows nothing of the run."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw training and validation loss (nats per reply token) over optimiser steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(
        [entry["step"] for entry in history],
        [entry["validation"] for entry in history],
        marker="o",
        color="#c2410c",
        label="held-out replies",
    )
    trained = [entry for entry in history if "training" in entry]
    if trained:
        axes.plot(
            [entry["step"] for entry in trained],
            [entry["training"] for entry in trained],
            marker=".",
            color="#64748b",
            linestyle="--",
            label="training batches",
        )
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("loss (nats per reply token)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path)
    path.chmod(0o600)
