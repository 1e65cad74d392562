"""What Keras calls while it trains: batches, a watcher, and a fast dropout.

This module imports keras at its top, as its classes are derived from Keras'; import it only inside
the functions that train.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from dingocar.errors import TrainingError
from dingocar.training.augment import Augment
from dingocar.training.dataset import Dataset
from dingocar.training.selection import Chooser
from dingocar.zoo import Pilot

IntArray = npt.NDArray[np.int64]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of uint8 pictures and targets, gathered from a dataset.

    With a `seed` each epoch has its own order; with `augment` each picture is changed anew every time.
    A batch depends on (seed, epoch, number) alone, not on the threads that prepare it.

    Args:
        dataset: where the records are.
        rows: int64 (n,), the records to use.
        pilot: turns the columns into its heads' targets.
        batch_size: records per batch; the last batch may be smaller.
        seed: None keeps the order of `rows`.
        augment: None changes nothing.
        workers: threads that prepare batches.

    Attributes:
        epoch: number of the epoch the batches are for; the watcher counts it up.
        frames: records in an epoch.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: IntArray,
        pilot: Pilot,
        batch_size: int,
        seed: int | None = None,
        augment: Augment | None = None,
        workers: int = 1,
    ) -> None:
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=8)
        self.dataset, self.rows, self.pilot = dataset, rows, pilot
        self.batch_size, self.seed, self.augment = batch_size, seed, augment
        self.epoch, self.frames = 0, len(rows)
        self._order: tuple[int, IntArray] = (-1, rows)

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Returns batch `number`: pictures (B, H, W, 3) uint8 and {head: targets}."""
        epoch = self.epoch
        rows = self._rows(epoch)[number * self.batch_size : (number + 1) * self.batch_size]
        images = self.dataset.images[rows]
        columns = {channel: values[rows] for channel, values in self.dataset.columns.items()}
        if self.augment is not None:
            rng = np.random.default_rng([self.seed or 0, epoch, number])
            draw = self.augment.draw(rng, len(rows))
            images, columns = draw.images(images), draw.labels(columns)
        return images, self.pilot.targets(columns)

    def _rows(self, epoch: int) -> IntArray:
        """The records in this epoch's order."""
        if self.seed is None:
            return self.rows
        known, order = self._order
        if known != epoch:
            # Two threads may both get here; they write the same.
            order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
            self._order = (epoch, order)
        return order


@dataclass(frozen=True)
class Progress:
    """How a training run stands, after each epoch.

    Attributes:
        epoch: the epoch that has ended, from 1.
        epochs: most epochs there will be.
        loss: training loss of this epoch.
        val_loss: validation loss after it.
        best_epoch: the epoch whose weights would be kept now, from 1: the one with the lowest validation loss
            so far, if no adaptation chooses otherwise.
        best_val_loss: its validation loss.
        images_per_s: training frames per second in this epoch, validation left out.
        eta_s: seconds until the last epoch, should training not stop before.
        domain_accuracy: how often the domains are told apart, in [0, 1]; None without an adaptation.
        entanglement: how much they are mixed, see `dingocar.adapt.probes.entanglement`; None without one.
    """

    epoch: int
    epochs: int
    loss: float
    val_loss: float
    best_epoch: int
    best_val_loss: float
    images_per_s: float
    eta_s: float
    domain_accuracy: float | None = None
    entanglement: float | None = None


class Watcher(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the best weights, stops when nothing gets better, and reports.

    Keras' EarlyStopping gives the best weights back only when training ends by itself; these are here
    also after an interruption.

    Args:
        batches: the training batches, told the epoch.
        network: whose weights are kept; what Keras trains may hold more.
        epochs: most epochs.
        patience: epochs without a better validation loss before it stops.
        min_delta: by how much a loss must be lower to be better.
        chooser: says which epoch's weights to keep.
        on_progress: called after each epoch.
        on_frames: called after each step with the number of frames in it and the loss so far.

    Attributes:
        best: the weights to keep, None before the first validation.
        best_epoch: theirs, from 1; 0 before the first validation.
        best_val_loss: validation loss of those weights.
        images_per_s: training frames per second of each epoch.
        history: {name: value of each epoch}.
    """

    def __init__(
        self,
        batches: Any,
        network: keras.Model,
        epochs: int,
        patience: int,
        min_delta: float,
        chooser: Chooser,
        on_progress: Callable[[Progress], None] | None = None,
        on_frames: Callable[[int, float], None] | None = None,
    ) -> None:
        super().__init__()
        self.batches, self.network, self.epochs, self.patience = batches, network, epochs, patience
        self.chooser = chooser
        self.min_delta, self.on_progress, self.on_frames = min_delta, on_progress, on_frames
        self.best: list[Any] | None = None
        self.best_epoch, self.best_val_loss = 0, math.inf
        self.images_per_s: list[float] = []
        self.history: dict[str, list[float]] = {}
        self._weights: dict[int, list[Any]] = {}
        self._epoch_began = self._trained = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Tells the batches the epoch before Keras asks for the first of them."""
        self.batches.epoch = epoch
        self._epoch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Passes on how many frames were done."""
        self._trained = time.perf_counter()
        if self.on_frames is not None:
            size, frames = self.batches.batch_size, self.batches.frames
            loss = float((logs or {}).get("loss", math.nan))
            self.on_frames(min(size, frames - batch * size), loss)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remembers the weights if they are the best; stops if they have not been for long."""
        logs = {name: float(value) for name, value in (logs or {}).items()}
        loss, val_loss = logs["loss"], logs["val_loss"]
        if not (math.isfinite(loss) and math.isfinite(val_loss)):
            raise TrainingError(
                f"training diverged in epoch {epoch + 1} (loss {loss}, validation loss {val_loss}): "
                "set a lower learning_rate"
            )
        logs |= self.chooser.look()
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
        self._keep(epoch + 1, val_loss)
        if self.chooser.may_end and epoch + 1 - self.best_epoch >= self.patience:
            self.model.stop_training = True
        now = time.perf_counter()
        rate = self.batches.frames / max(1e-9, self._trained - self._epoch_began)
        self.images_per_s.append(rate)
        if self.on_progress is not None:
            eta_s = (self.epochs - epoch - 1) * (now - self._epoch_began)
            self.on_progress(
                Progress(
                    epoch + 1,
                    self.epochs,
                    loss,
                    val_loss,
                    self.best_epoch,
                    self.best_val_loss,
                    rate,
                    eta_s,
                    logs.get("domain_accuracy"),
                    logs.get("entanglement"),
                )
            )

    def _keep(self, epoch: int, val_loss: float) -> None:
        """Remembers the weights that are, or may yet be, the ones to keep."""
        self.chooser.judge(epoch, val_loss, self.min_delta)
        worth = self.chooser.worth
        self._weights = {number: weights for number, weights in self._weights.items() if number in worth}
        if epoch in worth:
            self._weights[epoch] = self.network.get_weights()
        self.best_epoch = self.chooser.kept
        self.best = self._weights[self.best_epoch]
        self.best_val_loss = self.history["val_loss"][self.best_epoch - 1]


class ByteDropout(keras.layers.Dropout):  # type: ignore[misc]
    """Dropout that draws a byte per unit where Keras draws a float: a quarter of the random numbers.

    The share dropped is rounded to 1/256, and what is kept is scaled to match, so the expectation is
    exact. After convolutions Keras' dropout takes up to half of a training step on a CPU.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drops units while training; see `keras.layers.Dropout`."""
        threshold = round(self.rate * 256)
        shape = inputs.shape[1:]
        if not training or not 0 < threshold < 256 or None in shape or self.noise_shape is not None:
            return super().call(inputs, training=training)
        units, batch = math.prod(shape), ops.shape(inputs)[0]
        words = keras.random.randint(
            (batch, -(-units // 4)), -(2**31), 2**31 - 1, dtype="int32", seed=self.seed_generator
        )
        drawn = ops.reshape(ops.view(words, "uint8"), (batch, -1))[:, :units]
        kept = ops.cast(ops.reshape(drawn >= threshold, ops.shape(inputs)), inputs.dtype)
        return inputs * (kept * ops.cast(256 / (256 - threshold), inputs.dtype))


def use_byte_dropout(model: keras.Model) -> None:
    """Lets every plain Dropout in `model` draw bytes. For training only: never saved."""
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.Dropout:
            # Same state, another `call`: no copy of the model is needed, and nested ones work too.
            layer.__class__ = ByteDropout
