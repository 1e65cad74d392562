"""Trains a pilot from tubs: data, split, fit, measure, save."""

from __future__ import annotations

import dataclasses
import logging
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import TrainingError
from dingocar.training.cache import CacheLimits
from dingocar.training.curve import draw_curve
from dingocar.training.database import add_entry, default_model_path
from dingocar.training.dataset import LABELS, Dataset, load_dataset
from dingocar.training.fit import Fit, fit
from dingocar.training.metrics import compare
from dingocar.training.result import TrainingResult
from dingocar.training.settings import TrainingSettings
from dingocar.training.split import Split, split_blocks
from dingocar.zoo import Pilot, pilots

if TYPE_CHECKING:
    import keras

    from dingocar.training.loop import Progress

logger = logging.getLogger(__name__)

Commands = dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]


def train(
    tubs: Sequence[Path | str],
    pilot: str | Pilot = "linear",
    model_path: Path | str | None = None,
    settings: TrainingSettings | None = None,
    transfer: Path | str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    pilot_settings: Mapping[str, Any] | None = None,
    models_folder: Path | str = "models",
    comment: str | None = None,
) -> TrainingResult:
    """Trains a pilot and saves the best of it.

    The pictures are decoded once, in parallel; contiguous blocks of them are held out; the network is
    fitted until the held-out loss gets no better, and the weights of the best epoch are saved in
    float32, with a training curve beside them and an entry in the folder's `database.json`. Ctrl-C
    stops the training and saves the best weights so far.

    Args:
        tubs: the tubs' folders.
        pilot: a name of the zoo, or a pilot.
        model_path: the file to write, `.keras`; None: `pilot_YY-MM-DD_N.keras` in `models_folder`.
        settings: None takes the defaults.
        transfer: a pilot file whose weights to start from, where names and shapes agree.
        on_progress: called after each epoch.
        pilot_settings: settings of the pilot, if `pilot` is a name.
        models_folder: folder for `model_path=None`; it is made if need be.
        comment: goes into the database.

    Raises:
        TubError: a folder is no tub.
        TrainingError: no usable records, unsuitable settings, or a loss that is no number.
        UnknownNameError: there is no such pilot, or it has no such setting.
        PilotError: `transfer` is no pilot, or the model cannot be written.
    """
    started = time.perf_counter()
    settings = settings or TrainingSettings()
    chosen = pilot
    if isinstance(chosen, str):
        chosen = pilots.load(chosen).from_settings(pilot_settings or {})
    path = _output_path(model_path, models_folder)
    data = _load(tubs, chosen, settings)
    split = split_blocks(
        data.tub_numbers,
        data.runs,
        settings.validation_fraction,
        settings.validation_blocks,
        settings.gap_frames,
        settings.split_seed,
    )
    fitted = fit(data, split, chosen, settings, transfer, on_progress)
    result = _measure(path, chosen, data, split, settings, fitted)
    result = dataclasses.replace(result, seconds=time.perf_counter() - started)
    _save(fitted.model, chosen, data, settings, result, transfer, comment)
    return result


def _output_path(model_path: Path | str | None, models_folder: Path | str) -> Path:
    """Returns the file to write; its folder exists afterwards. Fails before the training does."""
    path = None if model_path is None else Path(model_path).expanduser()
    if path is not None and path.suffix != ".keras":
        if path.suffix not in ("", path.name):
            raise TrainingError(f"{path}: expected a model file that ends in .keras")
        path = path.with_name(f"{path.name}.keras")
    folder = Path(models_folder) if path is None else path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be made ({error.strerror})") from error
    return default_model_path(folder) if path is None else path


def _load(tubs: Sequence[Path | str], pilot: Pilot, settings: TrainingSettings) -> Dataset:
    limits = CacheLimits(
        ram_bytes=settings.cache_ram_mb << 20,
        disk_bytes=settings.cache_disk_mb << 20,
        folder=Path(settings.cache_folder).expanduser() if settings.cache_folder else None,
    )
    height, width, _ = pilot.settings.image_shape
    return load_dataset(tubs, (height, width), limits, settings.decode_workers)


def _measure(
    path: Path, pilot: Pilot, data: Dataset, split: Split, settings: TrainingSettings, fitted: Fit
) -> TrainingResult:
    """Drives the validation frames, draws the curve and puts the figures together."""
    watcher = fitted.watcher
    commands = _drive(fitted.model, pilot, data, split)
    curve = None
    if settings.curve:
        curve = draw_curve(path.with_suffix(".png"), watcher.history, watcher.best_epoch, commands)
    return TrainingResult(
        model=path,
        pilot=pilot.name,
        validation={name: compare(*pair) for name, pair in commands.items()},
        history=watcher.history,
        images_per_s=statistics.median(watcher.images_per_s or [0.0]),
        load_images_per_s=(len(data) + data.skipped) / max(1e-9, data.load_seconds),
        seconds=0.0,
        epochs=len(watcher.images_per_s),
        best_epoch=watcher.best_epoch,
        frames={
            "train": len(split.train),
            "validation": len(split.validation),
            "gap": split.dropped,
            "skipped": data.skipped,
        },
        precision=fitted.precision,
        interrupted=fitted.interrupted,
        transferred=fitted.transferred,
        curve=curve,
    )


def _drive(model: keras.Model, pilot: Pilot, data: Dataset, split: Split) -> Commands:
    """Drives the validation frames; returns {"steering", "throttle": (predicted, true)}."""
    from keras import ops

    parts: list[tuple[Any, Any]] = []
    for start in range(0, len(split.validation), 128):
        rows = split.validation[start : start + 128]
        outputs = model(data.images[rows], training=False)
        parts.append(pilot.decode({k: ops.convert_to_numpy(v) for k, v in outputs.items()}))
    predicted = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return {
        name: (values, data.columns[channel][split.validation])
        for name, values, channel in zip(("steering", "throttle"), predicted, LABELS, strict=True)
    }


def _save(
    model: keras.Model,
    pilot: Pilot,
    data: Dataset,
    settings: TrainingSettings,
    result: TrainingResult,
    transfer: Path | str | None,
    comment: str | None,
) -> None:
    """Writes the pilot's file and the database's entry."""
    from dingocar.zoo.artefact import save_pilot

    tubs = [dataclasses.asdict(tub) for tub in data.tubs]
    training = {key: value for key, value in result.to_json().items() if key not in ("model", "validation")}
    card = {
        "tubs": tubs,
        "metrics": result.validation,
        "training": {**training, "settings": settings.to_json()},
        "versions": _versions(),
    }
    save_pilot(result.model, model, pilot, card)
    add_entry(
        result.model.parent,
        {
            "Name": result.model.stem,
            "Pilot": type(pilot).__name__,
            "Type": pilot.name,
            "Tubs": ",".join(tub.path for tub in data.tubs),
            "History": result.history,
            "Transfer": None if transfer is None else Path(transfer).name,
            "Comment": comment,
            "Config": settings.to_json(),
            "Validation": result.validation,
            "Training": training,
            "TubHashes": [tub.hash for tub in data.tubs],
        },
    )
    logger.info("saved %s", result.model)


def _versions() -> dict[str, str]:
    """The versions that decide how the same training ends."""
    import importlib.metadata as metadata
    import platform

    import dingocar

    versions = {"dingocar": dingocar.__version__, "python": platform.python_version()}
    for package in ("keras", "tensorflow", "numpy"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
