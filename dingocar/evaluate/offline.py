"""Open-loop evaluation: a pilot's commands beside the driver's, on a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.training import Dataset, TrainingSettings, load_dataset
from dingocar.training.dataset import LABELS
from dingocar.training.metrics import Metrics, compare
from dingocar.training.trainer import hold_out
from dingocar.zoo import RunnablePilot


@dataclass(frozen=True)
class OfflineResult:
    """How near a pilot's commands come to the driver's.

    Attributes:
        steering, throttle: {"mae", "r2", "corr"}; see `dingocar.training.metrics.compare`.
        frames: pictures judged.
        held_out: True: only the blocks that were held out when the pilot was trained; False: all pictures,
            as the pilot's file does not name these recordings.
        skipped: records without a label or a whole picture.
    """

    steering: Metrics
    throttle: Metrics
    frames: int
    held_out: bool
    skipped: int

    def to_json(self) -> dict[str, Any]:
        """The figures as `dingocar train --json` names them."""
        return {
            "validation": {"steering": self.steering, "throttle": self.throttle},
            "frames": self.frames,
            "held_out": self.held_out,
            "skipped": self.skipped,
        }


def evaluate_offline(pilot: RunnablePilot, tubs: Sequence[Path | str]) -> OfflineResult:
    """Lets a pilot say what it would do on the pictures of tubs.

    Pictures a pilot was trained on tell nothing, so when the pilot's card names just these recordings, only
    the blocks that were held out then are judged.

    Raises:
        UsageError: the pilot was trained on some of these recordings and others, so what was held out then
            cannot be told from what was not.
        TubError: a folder is no tub.
        TrainingError: no usable records.
    """
    height, width, _ = pilot.image_shape
    data = load_dataset(tubs, (height, width))
    rows = _held_out(data, pilot.card)
    judged = np.arange(len(data)) if rows is None else rows
    chunks = [pilot.run_batch(data.images[judged[i : i + 128]]) for i in range(0, len(judged), 128)]
    steering, throttle = (
        compare(np.concatenate(predicted), data.columns[channel][judged])
        for predicted, channel in zip(zip(*chunks, strict=True), LABELS, strict=True)
    )
    return OfflineResult(steering, throttle, len(judged), rows is not None, data.skipped)


def _held_out(data: Dataset, card: dict[str, Any]) -> npt.NDArray[np.int64] | None:
    """The rows that were held out in training; None if the pilot's card does not name the recordings."""
    trained_on = {tub["hash"]: tub["path"] for tub in card.get("tubs", [])}
    settings = card.get("training", {}).get("settings")
    ours = [tub.hash for tub in data.tubs]
    if settings is None:
        return None
    changed = {Path(tub.path).resolve() for tub in data.tubs if tub.hash not in trained_on} & {
        Path(path).resolve() for path in trained_on.values()
    }
    if changed:
        raise UsageError(
            f"--tub {min(changed)}: has changed since the pilot was trained on it (records added, deleted or "
            "damaged), so what was held out then cannot be told; record a new tub to judge it on"
        )
    if not trained_on.keys() & set(ours):
        return None
    if list(trained_on) != ours:
        raise UsageError(
            "--tub: the pilot was trained on some of these recordings together with others; to judge it on "
            f"what was held out then, give just these, in this order: {', '.join(trained_on.values())}"
        )
    names = ("validation_fraction", "validation_blocks", "gap_frames", "split_seed")
    return hold_out(data, TrainingSettings(**{name: settings[name] for name in names})).validation
