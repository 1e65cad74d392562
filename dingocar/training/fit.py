"""Fits a pilot's network to a dataset: compile, run, keep the best weights."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.training import precision as precisions
from dingocar.training.augment import Augment
from dingocar.training.dataset import Dataset
from dingocar.training.progress import Bar, progress_bar
from dingocar.training.settings import TrainingSettings
from dingocar.training.split import Split
from dingocar.training.transfer import take_weights
from dingocar.zoo import Pilot

if TYPE_CHECKING:
    import keras

    from dingocar.training.loop import Progress, Watcher

logger = logging.getLogger(__name__)

#: Pictures a run with `epochs=0` sees in all: one to two minutes on two cores.
AUTO_FRAMES = 120_000


@dataclass(frozen=True)
class Fit:
    """A fitted network and how it came about.

    Attributes:
        model: the network with its best weights, in float32, not compiled.
        watcher: what happened in each epoch.
        precision: the dtype policy it was trained with.
        interrupted: whether it was stopped by hand.
        transferred: layers whose weights were taken from another pilot.
    """

    model: keras.Model
    watcher: Watcher
    precision: str
    interrupted: bool
    transferred: int


def fit(
    data: Dataset,
    split: Split,
    pilot: Pilot,
    settings: TrainingSettings,
    transfer: Path | str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Fit:
    """Fits the pilot's network; arguments as in `train`, and the data and its split.

    Raises:
        TrainingError: the loss is no number any more, or no weights fit for the transfer.
    """
    import keras

    from dingocar.training.loop import Batches, Watcher
    from dingocar.zoo.artefact import dtype_policy, plain_network

    if settings.deterministic:
        precisions.make_deterministic()
    keras.utils.set_random_seed(settings.seed)
    epochs = settings.epochs or auto_epochs(len(split.train))
    batches = Batches(
        data,
        split.train,
        pilot,
        settings.batch_size,
        settings.seed,
        _augmentation(settings),
        settings.workers,
    )
    held_out = Batches(data, split.validation, pilot, max(128, settings.batch_size))
    policy = precisions.resolve_precision(settings.precision)
    with dtype_policy(policy):
        model = pilot.build()
    taken = 0 if transfer is None else take_weights(model, transfer)
    _compile(model, pilot, _learning_rate(settings, epochs, len(batches)))
    counts = (pilot.name, len(split.train), len(split.validation), policy)
    logger.info("training %s on %d frames, validating on %d, in %s", *counts)
    with progress_bar(len(split.train) * epochs, epochs, settings.progress) as bar:
        report = _reporter(bar, on_progress)
        watcher = Watcher(batches, epochs, settings.patience, settings.min_delta, report, bar.frames)
        interrupted = not _run(model, batches, held_out, watcher)
    if interrupted:
        kept = "training was stopped by hand: the weights of epoch %d, the best so far, are saved"
        logger.warning(kept, watcher.best_epoch)
    plain = plain_network(pilot, watcher.best or model.get_weights())
    return Fit(plain, watcher, policy, interrupted, taken)


def auto_epochs(frames: int) -> int:
    """Epochs for this many training frames: `AUTO_FRAMES` pictures in all, but 12 to 60 epochs.

    >>> auto_epochs(700), auto_epochs(8000), auto_epochs(100_000)
    (60, 15, 12)
    """
    return min(60, max(12, round(AUTO_FRAMES / frames)))


def _augmentation(settings: TrainingSettings) -> Augment | None:
    augment = settings.augmentation if settings.augment else settings.augmentation.off()
    if settings.mirror:
        augment = dataclasses.replace(augment, mirror_p=augment.mirror_p or 0.5)
    return augment if settings.augment or settings.mirror else None


def _compile(model: keras.Model, pilot: Pilot, learning_rate: Any) -> None:
    import keras

    from dingocar.training.loop import use_byte_dropout

    use_byte_dropout(model)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=pilot.losses(),
        loss_weights=pilot.loss_weights(),
        jit_compile=precisions.jit_compile(),
    )


def _reporter(bar: Bar, on_progress: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        bar.epoch(progress.epoch, progress.epochs, progress.val_loss, progress.best_epoch)
        if on_progress is not None:
            on_progress(progress)

    return report


def _run(model: keras.Model, batches: Any, held_out: Any, watcher: Watcher) -> bool:
    """Runs the epochs; returns whether they ended by themselves.

    Raises:
        KeyboardInterrupt: it was stopped before the first epoch's end.
    """
    try:
        model.fit(
            batches,
            validation_data=held_out,
            epochs=watcher.epochs,
            callbacks=[watcher],
            shuffle=False,
            verbose=0,
        )
    except KeyboardInterrupt:
        if watcher.best is None:
            raise  # nothing was learned: an earlier pilot of that name stays
        return False
    return True


def _learning_rate(settings: TrainingSettings, epochs: int, steps: int) -> Any:
    """A number, or a Keras schedule; `steps` is the number of steps in an epoch."""
    import keras

    if settings.schedule == "constant" and not settings.warmup_epochs:
        return settings.learning_rate
    warmup = round(settings.warmup_epochs * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else settings.learning_rate,
        decay_steps=max(1, epochs * steps - warmup),
        alpha=1.0 if settings.schedule == "constant" else 0.01,
        warmup_target=settings.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
