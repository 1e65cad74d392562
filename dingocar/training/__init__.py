"""Training: tubs in, a pilot's file out. Importing this package loads no keras."""

from __future__ import annotations

from dingocar.training.augment import Augment
from dingocar.training.dataset import Dataset, load_dataset
from dingocar.training.domains import Adaptation
from dingocar.training.result import TrainingResult
from dingocar.training.settings import TrainingSettings
from dingocar.training.split import Split, split_blocks
from dingocar.training.trainer import train

__all__ = [
    "Adaptation",
    "Augment",
    "Dataset",
    "Split",
    "TrainingResult",
    "TrainingSettings",
    "load_dataset",
    "split_blocks",
    "train",
]
