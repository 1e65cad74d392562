"""The training curve: a picture of the losses, and of the pilot's commands against the driver's."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

logger = logging.getLogger(__name__)


def draw_curve(
    path: Path,
    history: Mapping[str, Sequence[float]],
    best_epoch: int,
    commands: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]],
) -> Path | None:
    """Writes the picture `path` (PNG).

    Args:
        path: the file.
        history: losses per epoch, `loss` and `val_loss`.
        best_epoch: marked; from 1.
        commands: {"steering": (predicted, true), ...}, each (N,) in [-1, 1].

    Returns:
        The path, or None where matplotlib is missing (logged).
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        logger.info("no training curve: matplotlib is not installed (pip install matplotlib)")
        return None
    figure = Figure(figsize=(4 * (1 + len(commands)), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(commands), squeeze=False)[0]
    for name, label in (("loss", "training"), ("val_loss", "validation")):
        values = history.get(name, ())
        axes[0].plot(range(1, len(values) + 1), values, label=label)
    if best_epoch:
        axes[0].axvline(best_epoch, color="grey", linestyle=":", label=f"best: epoch {best_epoch}")
    losses = [v for name in ("loss", "val_loss") for v in history.get(name, ())]
    if losses and min(losses) > 0:
        axes[0].set_yscale("log")
    axes[0].set(xlabel="epoch", ylabel="loss", title=path.stem)
    axes[0].legend()
    for axis, (name, (predicted, true)) in zip(axes[1:], commands.items(), strict=True):
        axis.plot((-1, 1), (-1, 1), color="grey", linewidth=0.8)
        axis.scatter(true, predicted, s=4, alpha=0.4)
        axis.set(xlabel="driver", ylabel="pilot", title=f"{name}, validation frames")
    figure.savefig(path, dpi=100)
    return path
