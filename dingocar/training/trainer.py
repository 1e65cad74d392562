"""Trains a pilot from tubs: data, split, fit, measure, save."""

from __future__ import annotations

import dataclasses
import logging
import statistics
import tempfile
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
from dingocar.training.dataset import LABELS, Dataset, TubUse, load_dataset
from dingocar.training.domains import Adaptation, Domains, own_adaptation, plan_domains
from dingocar.training.fit import Fit, fit
from dingocar.training.leaks import check_leaks
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
    adaptation: Adaptation | None = None,
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
        adaptation: from simulated to real. None: the pilot's own, if its type brings one along
            (`Adaptation("none")` turns it off); otherwise all labels are trained on alike.

    Raises:
        TubError: a folder is no tub.
        TrainingError: no usable records, unsuitable settings or tubs, or a loss that is no number.
        UnknownNameError: there is no such pilot or method, or it has no such setting.
        PilotError: `transfer` is no pilot, or the model cannot be written.
    """
    started = time.perf_counter()
    settings = settings or TrainingSettings()
    chosen = pilot
    if isinstance(chosen, str):
        chosen = pilots.load(chosen).from_settings(pilot_settings or {})
    adaptation = adaptation or own_adaptation(chosen)
    path = _output_path(model_path, models_folder)
    data, labelled, unlabelled = _load(tubs, chosen, settings, adaptation)
    split, domains = _plan(data, settings, adaptation)
    fitted = fit(data, split, chosen, settings, transfer, on_progress, domains)
    path = _output_path(model_path, path.parent)  # another training may have taken the default name
    commands = _drive(fitted.model, chosen, data, split)
    result = _measure(path, chosen, data, split, fitted, commands)
    adapted = _adapted(domains, unlabelled, fitted)
    result = dataclasses.replace(result, adaptation=adapted, seconds=time.perf_counter() - started)
    # The pilot first: a picture or an entry that cannot be written must not cost it.
    _save(fitted.model, chosen, labelled, settings, result)
    if settings.curve:
        result = dataclasses.replace(result, curve=_curve(path, result, commands))
    _enter(chosen, labelled, settings, result, transfer, comment)
    return result


def hold_out(data: Dataset, settings: TrainingSettings) -> Split:
    """Splits a dataset as its training does; see `split_blocks`."""
    return split_blocks(
        data.tub_numbers,
        data.runs,
        settings.validation_fraction,
        settings.validation_blocks,
        settings.gap_frames,
        settings.split_seed,
    )


def _plan(
    data: Dataset, settings: TrainingSettings, adaptation: Adaptation | None
) -> tuple[Split, Domains | None]:
    """What is trained on and what is held out; of the domains, if it adapts."""
    split = hold_out(data, settings)
    if adaptation is None:
        return split, None
    domains = plan_domains(adaptation, data, split, settings.seed)
    return dataclasses.replace(split, train=domains.rows, validation=domains.validation), domains


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
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TrainingError(f"{folder}: the pilot cannot be written there ({error.strerror})") from error
    if path is not None and path.is_dir():
        raise TrainingError(f"{path}: expected a file to write the pilot to, is a folder")
    return default_model_path(folder) if path is None else path


def _load(
    tubs: Sequence[Path | str], pilot: Pilot, settings: TrainingSettings, adaptation: Adaptation | None
) -> tuple[Dataset, list[TubUse], list[TubUse]]:
    """The records, and what was taken from the tubs with labels and from those without."""
    tubs = [tubs] if isinstance(tubs, str | Path) else tubs
    unlabelled = adaptation.unlabelled if adaptation else ()
    if adaptation is not None:
        adaptation.load_method()  # a mistyped name is told before the pictures are read
    limits = CacheLimits(
        ram_bytes=settings.cache_ram_mb << 20,
        disk_bytes=settings.cache_disk_mb << 20,
        folder=Path(settings.cache_folder).expanduser() if settings.cache_folder else None,
    )
    folders = {Path(tub).expanduser().resolve() for tub in tubs}
    for path in unlabelled:
        if Path(path).expanduser().resolve() in folders:
            raise TrainingError(
                f"--unlabelled {path}: is a --tub too, so pictures that are held out from the one would be "
                "trained on in the other; give it once; to use only N of its labels: --real-labels N"
            )
    height, width, _ = pilot.settings.image_shape
    data = load_dataset(tubs, (height, width), limits, settings.decode_workers, unlabelled=unlabelled)
    check_leaks(data, len(tubs))
    return data, data.tubs[: len(tubs)], data.tubs[len(tubs) :]


def _measure(
    path: Path, pilot: Pilot, data: Dataset, split: Split, fitted: Fit, commands: Commands
) -> TrainingResult:
    """Puts the figures together."""
    watcher = fitted.watcher
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
    )


def _adapted(domains: Domains | None, unlabelled: Sequence[TubUse], fitted: Fit) -> dict[str, Any] | None:
    """What the result says of the adaptation; see `TrainingResult`."""
    if domains is None:
        return None
    return {
        "method": domains.method.name,
        "settings": dataclasses.asdict(domains.method.settings),
        "frames": domains.frames(),
        "select": domains.select,
        "told_by": "method" if domains.has_classifier else "probe",
        "unlabelled": [dataclasses.asdict(tub) for tub in unlabelled],
        **fitted.figures,
    }


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


def _curve(path: Path, result: TrainingResult, commands: Commands) -> Path | None:
    """Draws the training curve beside the pilot; None, and a warning, where that cannot be."""
    try:
        return draw_curve(path.with_suffix(".png"), result.history, result.best_epoch, commands)
    except OSError as error:
        logger.warning("no training curve: %s (%s)", path.with_suffix(".png"), error.strerror)
        return None


def _training_facts(result: TrainingResult, settings: TrainingSettings) -> dict[str, Any]:
    """What the pilot's card and the database say of the training."""
    facts = result.to_json()
    for elsewhere in ("model", "validation", "curve"):
        del facts[elsewhere]
    return facts | {"settings": settings.to_json()}


def _save(
    model: keras.Model,
    pilot: Pilot,
    tubs: Sequence[TubUse],
    settings: TrainingSettings,
    result: TrainingResult,
) -> None:
    """Writes the pilot's file; `tubs` are those with labels, by which its held-out blocks are found again."""
    from dingocar.zoo.artefact import save_pilot

    facts = _training_facts(result, settings)
    domain_method = facts.pop("adaptation")
    if domain_method is not None:
        domain_method = {"name": domain_method.pop("method"), **domain_method}
    card = {
        "domain_method": domain_method,
        "tubs": [dataclasses.asdict(tub) for tub in tubs],
        "metrics": result.validation,
        "training": facts,
        "versions": _versions(),
    }
    save_pilot(result.model, model, pilot, card)
    logger.info("saved %s", result.model)


def _enter(
    pilot: Pilot,
    tubs: Sequence[TubUse],
    settings: TrainingSettings,
    result: TrainingResult,
    transfer: Path | str | None,
    comment: str | None,
) -> None:
    """Writes the database's entry; a warning where that cannot be."""
    facts = _training_facts(result, settings)
    entry = {
        "Name": result.model.stem,
        "Pilot": type(pilot).__name__,
        "Type": pilot.name,
        "Tubs": ",".join(tub.path for tub in tubs),
        "History": result.history,
        "Transfer": None if transfer is None else Path(transfer).name,
        "Comment": comment,
        "Config": facts.pop("settings"),
        "Validation": result.validation,
        "Training": facts,
        "TubHashes": [tub.hash for tub in tubs],
    }
    try:
        add_entry(result.model.parent, entry)
    except TrainingError as error:
        logger.warning("the pilot is saved, but not entered in the database: %s", error)


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
