"""Learns from its recording, and from the labelled pictures of the target if it has some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.evaluate.leaderboard.methods import Kind, Task, Trained

if TYPE_CHECKING:
    from dingocar.training.loop import Progress


def fit(task: Task, tubs: Sequence[Path], share: tuple[float, float] = (0.0, 1.0), **extra: Any) -> Trained:
    """Trains the task's pilot on tubs.

    Args:
        task: what to train.
        tubs: what from.
        share: from where to where this training takes the task's progress.
        extra: further fields of `Trained`.
    """
    from dingocar.training import train

    def tell(progress: Progress) -> None:
        task.on_progress(share[0] + (share[1] - share[0]) * progress.epoch / progress.epochs)

    result = train(tubs, task.pilot, task.folder / "pilot.keras", task.settings, on_progress=tell)
    return Trained(
        result.model,
        frames=sum(result.frames.values()),
        validation_mae=result.validation["steering"]["mae"],
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        **extra,
    )


def _train(task: Task) -> Trained:
    return fit(task, [task.tubs[name] for name in ("recording", "labelled") if name in task.tubs])


kind = Kind(_train, uses=("labelled",))
