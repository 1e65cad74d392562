"""The training curve: a picture of the losses, and of the pilot's commands against the driver's."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from dingocar.errors import ImageError
from dingocar.images import open_picture

logger = logging.getLogger(__name__)

#: In the file, so that no other picture of a pilot's name is taken for its curve.
_TITLE = "dingocar training curve"


def draw_curve(
    path: Path,
    history: Mapping[str, Sequence[float]],
    best_epoch: int,
    commands: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]],
) -> Path | None:
    """Writes the picture `path` (PNG).

    Args:
        path: the file.
        history: losses per epoch, `loss` and `val_loss`; with `domain_accuracy` and `entanglement` there is a
            second panel that shows them.
        best_epoch: marked; from 1.
        commands: {"steering": (predicted, true), ...}, each (N,) in [-1, 1].

    Returns:
        The path; None where matplotlib is missing or another picture has the name (logged).
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        logger.info("no training curve: matplotlib is not installed (pip install matplotlib)")
        return None
    if path.exists() and not _is_curve(path):
        logger.warning("no training curve: %s is there, and is none; it is left as it is", path)
        return None
    adapts = "domain_accuracy" in history
    panels = 1 + adapts + len(commands)
    figure = Figure(figsize=(4 * panels, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for name, label in (("loss", "training"), ("val_loss", "validation")):
        values = history.get(name, ())
        axes[0].plot(range(1, len(values) + 1), values, label=label)
    if best_epoch:
        axes[0].axvline(
            best_epoch,
            color="grey",
            linestyle=":",
            label=f"{'kept' if adapts else 'best'}: epoch {best_epoch}",
        )
    losses = [v for name in ("loss", "val_loss") for v in history.get(name, ())]
    if losses and min(losses) > 0:
        axes[0].set_yscale("log")
    axes[0].set(xlabel="epoch", ylabel="loss", title=path.stem)
    axes[0].legend()
    if adapts:
        _draw_domains(axes.pop(1), history, best_epoch)
    for axis, (name, (predicted, true)) in zip(axes[1:], commands.items(), strict=True):
        axis.plot((-1, 1), (-1, 1), color="grey", linewidth=0.8)
        axis.scatter(true, predicted, s=4, alpha=0.4)
        axis.set(xlabel="driver", ylabel="pilot", title=f"{name}, validation frames")
    figure.savefig(path, dpi=100, metadata={"Title": _TITLE})
    return path


def _is_curve(path: Path) -> bool:
    """Whether a file is one of ours, to be replaced by that of the next training."""
    try:
        with open_picture(path.read_bytes(), path.name) as picture:
            return bool(picture.info.get("Title") == _TITLE)
    except (OSError, ImageError):
        return False


def _draw_domains(axis: Any, history: Mapping[str, Sequence[float]], best_epoch: int) -> None:
    """How well the domains are told apart, and how much they are mixed, after each epoch."""
    axis.axhline(0.5, color="grey", linewidth=0.8)
    top = 1.0
    for name, label in (
        ("domain_accuracy", "told apart (chance: 0.5)"),
        ("probe_accuracy", "by a fresh probe"),
        ("entanglement", "entanglement"),
        ("entanglement_most", "... if all were mixed"),
    ):
        values = history.get(name, ())
        top = max([top, *values])
        if values:
            style = {"color": "grey", "linestyle": "--"} if name == "entanglement_most" else {}
            axis.plot(range(1, len(values) + 1), values, label=label, **style)
    if best_epoch:
        axis.axvline(best_epoch, color="grey", linestyle=":", label=f"kept: epoch {best_epoch}")
    axis.set(xlabel="epoch", ylim=(-0.02, top + 0.02), title="domains, held-out pictures")
    axis.legend()
