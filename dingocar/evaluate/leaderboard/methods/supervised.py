"""Learns from its recording, and from the labelled pictures of the target if it has some; or these alone."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard.methods import Kind, Task, Trained
from dingocar.evaluate.leaderboard.suite import MethodSpec
from dingocar.training.fit import auto_epochs
from dingocar.tub import open_tub

if TYPE_CHECKING:
    from dingocar.training.domains import Adaptation
    from dingocar.training.loop import Progress

#: Few labels are gone through more often, so that the network learns for as long; but not more often.
MOST_EPOCHS = 1000
#: Fewer labels cannot be parted into some to learn from and some that are held out.
LEAST_LABELS = 10


def fit(
    task: Task,
    tubs: Sequence[Path],
    share: tuple[float, float] = (0.0, 1.0),
    adaptation: Adaptation | None = None,
    **extra: Any,
) -> Trained:
    """Trains the task's pilot on tubs.

    Args:
        task: what to train.
        tubs: what from.
        share: from where to where this training takes the task's progress.
        adaptation: from simulated to real pictures.
        extra: further fields of `Trained`.
    """
    from dingocar.training import train

    def tell(progress: Progress) -> None:
        task.on_progress(share[0] + (share[1] - share[0]) * progress.epoch / progress.epochs)

    file = task.folder / "pilot.keras"
    result = train(tubs, task.pilot, file, task.settings, on_progress=tell, adaptation=adaptation)
    facts = {
        "frames": sum(result.frames.values()),
        "validation_mae": result.validation["steering"]["mae"],
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "images_per_s": result.images_per_s,
    }
    return Trained(result.model, **(facts | extra))


def some_labels(tub: Path, count: int, folder: Path, rng: np.random.Generator) -> Path:
    """Copies so many records of a tub, drawn by chance: a smaller number is a part of a larger one's."""
    target = folder / f"{count}-labels"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(tub, target)
    copied = open_tub(target)
    order = rng.permutation([record.index for record in copied])
    if len(order) < count:
        raise UsageError(f"{tub}: {count} labels are asked for, and {len(order)} are there")
    copied.delete(int(index) for index in order[count:])
    return target


def _train(task: Task) -> Trained:
    """Trains; with `labels`, of those few a part is held out as of any others."""
    uses = ("labelled",) if task.options["alone"] else ("recording", "labelled")
    tubs = [task.tubs[name] for name in uses if name in task.tubs]
    count = task.options["labels"]
    if count < 0:
        return fit(task, tubs)
    some = some_labels(tubs[-1], count, task.folder, task.rng(0x1AB))
    if len(tubs) == 1:
        whole, settings = task.method.recording.frames, task.settings
        epochs = min(MOST_EPOCHS, round((settings.epochs or auto_epochs(whole)) * whole / count))
        longer = {"epochs": epochs, "patience": max(settings.patience, epochs), "gap_frames": 0}
        task = dataclasses.replace(task, settings=dataclasses.replace(settings, **longer))
    made = fit(task, [*tubs[:-1], some])
    shutil.rmtree(some)
    return made


def _check(method: MethodSpec) -> None:
    if method.options.get("alone") and method.labelled is None:
        raise UsageError("options.alone: learns from labelled pictures alone: add labelled = {...}")
    count = method.options.get("labels", -1)
    if count == 0 or 0 < count < LEAST_LABELS:
        raise UsageError(f"options.labels: expected at least {LEAST_LABELS}, or -1 for all, got {count}")


kind = Kind(_train, options={"labels": -1, "alone": False}, uses=("labelled",), labels="labels", check=_check)
