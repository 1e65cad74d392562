"""Fits a pilot's network to a dataset: compile, run, keep the best weights."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.adapt import Method
from dingocar.training import precision as precisions
from dingocar.training.augment import Augment
from dingocar.training.dataset import Dataset
from dingocar.training.domains import Domains
from dingocar.training.heldout import FIGURES, HeldOut
from dingocar.training.progress import Bar, progress_bar
from dingocar.training.selection import Chooser
from dingocar.training.settings import TrainingSettings
from dingocar.training.split import Split
from dingocar.training.transfer import take_weights
from dingocar.zoo import Pilot

if TYPE_CHECKING:
    import keras

    from dingocar.images import Uint8Array
    from dingocar.training.loop import Progress, Watcher

logger = logging.getLogger(__name__)

#: Pictures a run with `epochs=0` sees in all: one to two minutes on two cores.
AUTO_FRAMES = 120_000
#: Most pictures of each domain that a method sees all at once, before the training or after it.
METHOD_FRAMES = 2000


@dataclass(frozen=True)
class Fit:
    """A fitted network and how it came about.

    Attributes:
        model: the network with its best weights, in float32, not compiled.
        watcher: what happened in each epoch.
        precision: the dtype policy it was trained with.
        interrupted: whether it was stopped by hand.
        transferred: layers whose weights were taken from another pilot.
        figures: the domains as `model` sees them, see `HeldOut.figures`; empty without an adaptation.
    """

    model: keras.Model
    watcher: Watcher
    precision: str
    interrupted: bool
    transferred: int
    figures: dict[str, float]


def fit(
    data: Dataset,
    split: Split,
    pilot: Pilot,
    settings: TrainingSettings,
    transfer: Path | str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    domains: Domains | None = None,
) -> Fit:
    """Fits the pilot's network; arguments as in `train`, and the data, its split, its domains if it adapts.

    Raises:
        TrainingError: the loss is no number any more, or no weights fit for the transfer.
    """
    import keras

    from dingocar.training.loop import Batches, Watcher
    from dingocar.zoo.artefact import dtype_policy, plain_network

    if settings.deterministic:
        precisions.make_deterministic()
    keras.utils.set_random_seed(settings.seed)
    batches, validation = _batches(data, split, pilot, settings, domains)
    held_out = Batches(data, validation, pilot, max(128, settings.batch_size))
    epochs = settings.epochs or auto_epochs(batches.frames)
    policy = precisions.resolve_precision(settings.precision)
    with dtype_policy(policy):
        model = pilot.build()
    taken = 0 if transfer is None else take_weights(model, transfer)
    trained = model if domains is None else _adapted(model, pilot, domains, batches, epochs)
    _compile(model, trained, pilot, _learning_rate(settings, epochs, len(batches)))
    counts = (pilot.name, batches.frames, len(validation), policy)
    logger.info("training %s on %d frames, validating on %d, in %s", *counts)
    chooser = Chooser("last" if settings.keep == "last" else "source")
    if domains is not None:
        chooser = _chooser(trained, pilot, data, domains, batches, settings)
    with progress_bar(batches.frames * epochs, epochs, settings.progress) as bar:
        report = _reporter(bar, on_progress)
        watcher = Watcher(
            *(batches, model, epochs, settings.patience, settings.min_delta, chooser), report, bar.frames
        )
        interrupted = not _run(trained, batches, held_out, watcher)
    if interrupted:
        why = "the last whole one" if chooser.select == "last" else "the best so far"
        kept = "training was stopped by hand: the weights of epoch %d, %s, are saved"
        logger.warning(kept, watcher.best_epoch, why)
    plain = plain_network(pilot, watcher.best or model.get_weights())
    figures = {
        name: watcher.history[name][watcher.best_epoch - 1] for name in FIGURES if name in watcher.history
    }
    if domains is not None and _finish(plain, data, domains):
        model.set_weights(plain.get_weights())
        figures = chooser.look()
    return Fit(plain, watcher, policy, interrupted, taken, figures)


def _batches(
    data: Dataset, split: Split, pilot: Pilot, settings: TrainingSettings, domains: Domains | None
) -> tuple[Any, Any]:
    """The training batches, and the rows to validate with."""
    from dingocar.training.adapting import MixedBatches
    from dingocar.training.loop import Batches

    how = (_augmentation(settings), settings.workers)
    if domains is None:
        batches = Batches(data, split.train, pilot, settings.batch_size, settings.seed, *how)
        return batches, split.validation
    counts = domains.counts(settings.batch_size)
    translation = None
    if domains.method.translates and len(domains.target):
        translation = domains.method.translation(*_some(data, domains))
    return MixedBatches(
        data, domains.streams, counts, pilot, settings.seed, *how, translation
    ), domains.validation


def _adapted(model: keras.Model, pilot: Pilot, domains: Domains, batches: Any, epochs: int) -> Any:
    """The network with the method's losses."""
    from dingocar.training.adapting import Adapted

    counts = (batches.counts[0], sum(batches.counts[1:]))
    return Adapted(model, pilot, domains.method, counts, epochs * len(batches))


def _chooser(
    adapted: Any, pilot: Pilot, data: Dataset, domains: Domains, batches: Any, settings: TrainingSettings
) -> Chooser:
    """What says which epoch to keep, and looks at held-out pictures of both domains."""
    frames, thorough = batches.frames, domains.select == "probe"
    held_out = HeldOut(adapted, pilot, data, domains, frames, settings.seed, thorough)
    return Chooser(domains.select, held_out)


def _some(data: Dataset, domains: Domains) -> Iterator[Uint8Array]:
    """Up to `METHOD_FRAMES` pictures of the source and of the target that are trained on."""
    for rows in (domains.streams[0].rows, domains.target):
        yield data.images[np.sort(rows)[:: -(-len(rows) // METHOD_FRAMES)]]


def _finish(network: keras.Model, data: Dataset, domains: Domains) -> bool:
    """Lets the method change the trained network.

    Returns:
        Whether it did.
    """
    if not len(domains.target) or type(domains.method).finish is Method.finish:
        return False
    domains.method.finish(network, *_some(data, domains))
    return True


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


def _compile(network: keras.Model, trained: keras.Model, pilot: Pilot, learning_rate: Any) -> None:
    import keras

    from dingocar.training.loop import use_byte_dropout

    use_byte_dropout(network)
    own = {"loss": pilot.losses(), "loss_weights": pilot.loss_weights()} if trained is network else {}
    trained.compile(
        optimizer=keras.optimizers.Adam(learning_rate), jit_compile=precisions.jit_compile(), **own
    )


def _reporter(bar: Bar, on_progress: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        bar.epoch(progress)
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
