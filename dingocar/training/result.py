"""What a training run gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dingocar.training.metrics import Metrics


@dataclass(frozen=True)
class TrainingResult:
    """A trained pilot and how it did.

    Attributes:
        model: the pilot's file.
        pilot: the pilot's name.
        validation: {"steering" | "throttle": {"mae", "r2", "corr"}} of the saved file's network, on
            the validation blocks.
        history: {"loss", "val_loss", ...: value of each epoch}.
        images_per_s: training frames per second, validation left out; the median over the epochs.
        load_images_per_s: pictures decoded per second.
        seconds: everything together.
        epochs: epochs done.
        best_epoch: the epoch whose weights were saved, from 1; 0 if none was finished.
        frames: {"train", "validation", "gap", "skipped": records}.
        precision: the dtype policy it was trained with; the file is float32.
        interrupted: whether it was stopped by hand.
        transferred: layers whose weights were taken from another pilot.
        curve: the training curve's picture, if one was drawn.
        adaptation: None without. "method", its "settings", "frames" trained on by kind ("sim",
            "real_labelled", "real_unlabelled"), "select", "unlabelled" (what was taken from those tubs);
            where there were pictures to measure them on, the kept epoch's "domain_accuracy", "entanglement"
            and "entanglement_most", "told_by" ("method": its own classifier, or a fresh "probe") of the
            accuracy, and "probe_accuracy" or "consistency" if that chose it: see `training.heldout`.
    """

    model: Path
    pilot: str
    validation: dict[str, Metrics]
    history: dict[str, list[float]]
    images_per_s: float
    load_images_per_s: float
    seconds: float
    epochs: int
    best_epoch: int
    frames: dict[str, int]
    precision: str
    interrupted: bool = False
    transferred: int = 0
    curve: Path | None = None
    adaptation: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The figures as plain JSON values; the history is left out (it is in the database)."""
        return {
            "model": str(self.model),
            "pilot": self.pilot,
            "validation": self.validation,
            "images_per_s": round(self.images_per_s, 1),
            "load_images_per_s": round(self.load_images_per_s, 1),
            "seconds": round(self.seconds, 2),
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "frames": dict(self.frames),
            "precision": self.precision,
            "interrupted": self.interrupted,
            "transferred": self.transferred,
            "curve": None if self.curve is None else str(self.curve),
            "adaptation": None if self.adaptation is None else dict(self.adaptation),
        }
