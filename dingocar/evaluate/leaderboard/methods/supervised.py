"""Learns from its recording, and from the labelled pictures of the target if it has some; or these alone."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard.elsewhere import RATE_HZ, write_moments
from dingocar.evaluate.leaderboard.methods import Kind, Task, Trained
from dingocar.evaluate.leaderboard.suite import MethodSpec
from dingocar.tub import open_tub

if TYPE_CHECKING:
    from dingocar.training.domains import Adaptation
    from dingocar.training.loop import Progress

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


def some_labels(task: Task, tub: Path, count: int, frames: int) -> Path:
    """Writes a tub of so many of a tub's records, drawn by chance: fewer are a part of more.

    Args:
        task: whose seed draws, and whose folder it goes to.
        tub: what from.
        count: how many.
        frames: of the new tub: the records are gone through again and again until there are so many, in
            another order each time. So a network learns from few labels for as long as from many.
    """
    records = open_tub(tub).records
    if len(records) < count:
        raise UsageError(f"{tub}: {count} labels are asked for, and {len(records)} are there")
    rng = task.rng(0x1AB)
    chosen = [records[number] for number in rng.permutation(len(records))[:count]]
    images = [record.image(size=task.picture) for record in chosen]
    rounds = (rng.permutation(count) for _ in range(-(-frames // count)))
    order = np.concatenate(list(rounds))[:frames]
    target = task.folder / "labels"
    shutil.rmtree(target, ignore_errors=True)
    moments = (
        (number / RATE_HZ, images[which], chosen[which].steering, chosen[which].throttle)
        for number, which in enumerate(order)
    )
    write_moments(target, moments, {"domain": "real"})
    return target


def _train(task: Task) -> Trained:
    """Trains; few labels alone fill as many batches as others, and the last epoch is kept.

    What is held out of them would be too little to choose an epoch by, and it is trained on as well.
    """
    uses = ("labelled",) if task.options["alone"] else ("recording", "labelled")
    tubs = [task.tubs[name] for name in uses if name in task.tubs]
    count = task.options["labels"]
    if count < 0:
        return fit(task, tubs)
    alone = len(tubs) == 1
    some = some_labels(task, tubs[-1], count, task.method.recording.frames if alone else count)
    if alone:
        settings = dataclasses.replace(task.settings, keep="last", validation_fraction=0.05, gap_frames=0)
        task = dataclasses.replace(task, settings=settings)
    made = fit(task, [*tubs[:-1], some])
    shutil.rmtree(some)
    if not alone:
        return made
    return dataclasses.replace(made, frames=count, validation_mae=None)


def _check(method: MethodSpec) -> None:
    if method.options.get("alone") and method.labelled is None:
        raise UsageError("options.alone: learns from labelled pictures alone: add labelled = {...}")
    count = method.options.get("labels", -1)
    if count == 0 or 0 < count < LEAST_LABELS:
        raise UsageError(f"options.labels: expected at least {LEAST_LABELS}, or -1 for all, got {count}")


kind = Kind(_train, options={"labels": -1, "alone": False}, uses=("labelled",), labels="labels", check=_check)
