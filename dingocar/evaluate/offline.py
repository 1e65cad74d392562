"""Open-loop evaluation: a pilot's commands beside the driver's, on a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.training import Dataset, load_dataset, split_blocks
from dingocar.training.dataset import LABELS
from dingocar.training.metrics import Metrics, compare
from dingocar.zoo import RunnablePilot


@dataclass(frozen=True)
class OfflineResult:
    """How near a pilot's commands come to the driver's.

    Attributes:
        steering, throttle: {"mae", "r2", "corr"}; see `dingocar.training.metrics.compare`.
        frames: pictures judged.
        held_out: True: only the blocks that were held out when the pilot was trained; False: the pilot was
            not trained on these tubs, and all their pictures were judged.
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
    """The rows that were held out in training; None if the pilot was trained on other recordings."""
    trained_on = [tub["hash"] for tub in card.get("tubs", [])]
    settings = card.get("training", {}).get("settings")
    if not trained_on or settings is None or trained_on != [tub.hash for tub in data.tubs]:
        return None
    return split_blocks(
        data.tub_numbers,
        data.runs,
        settings["validation_fraction"],
        settings["validation_blocks"],
        settings["gap_frames"],
        settings["split_seed"],
    ).validation
