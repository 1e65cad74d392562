"""What Keras trains while a pilot is adapted: both domains in one batch, the method's losses added.

This module imports keras at its top, as its classes are derived from Keras'; import it only inside the
functions that train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from dingocar.adapt import Method
from dingocar.training.augment import Augment
from dingocar.training.dataset import LABELS, Dataset
from dingocar.training.domains import Stream
from dingocar.zoo import Pilot
from dingocar.zoo.artefact import dtype_policy

if TYPE_CHECKING:
    from dingocar.adapt._method import Translation

IntArray = npt.NDArray[np.int64]
FEATURES = "features"


class MixedBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches with a fixed number of pictures of each stream, in the streams' order.

    An epoch shows every picture of the first stream once, but for a rest that fills no batch and begins the
    next epoch; the others, longer or shorter, go round and round, in a new order each time. A batch depends
    on (seed, epoch, number) alone.

    Args:
        dataset: where the records are.
        streams: the first one is the source's.
        counts: pictures of each in every batch.
        pilot: turns the columns into its heads' targets.
        seed: of the orders and the augmentation.
        augment: None changes nothing.
        workers: threads that prepare batches.
        translation: what the first stream's pictures go through; see `Method.translation`.

    Attributes:
        epoch: number of the epoch the batches are for; the watcher counts it up.
        frames: pictures in an epoch, of all streams.
    """

    def __init__(
        self,
        dataset: Dataset,
        streams: Sequence[Stream],
        counts: Sequence[int],
        pilot: Pilot,
        seed: int,
        augment: Augment | None = None,
        workers: int = 1,
        translation: Translation | None = None,
    ) -> None:
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=8)
        self.dataset, self.pilot = dataset, pilot
        self.streams, self.counts = list(streams), list(counts)
        self.seed, self.augment, self.translation, self.epoch = seed, augment, translation, 0
        self.batch_size = sum(counts)
        self.frames = len(self) * self.batch_size
        self._orders: dict[tuple[int, int], IntArray] = {}

    def __len__(self) -> int:
        return max(1, len(self.streams[0].rows) // self.counts[0])

    def __getitem__(self, number: int) -> tuple[npt.NDArray[np.uint8], dict[str, Any], dict[str, Any]]:
        """Returns batch `number`: pictures, {head: targets}, {head: 1 where labelled, else 0}."""
        epoch, batch = self.epoch, self.epoch * len(self) + number
        parts = [self._rows(which, batch) for which in range(len(self.streams))]
        rows = np.concatenate(parts)
        pictures = self.dataset.images[rows]
        labels = {name: self.dataset.columns[name][rows] for name in LABELS}
        mask = np.repeat(np.array([stream.labelled for stream in self.streams], np.float32), self.counts)
        rng = np.random.default_rng([self.seed, epoch, number])
        if self.translation is not None:
            pictures[: self.counts[0]] = self.translation(pictures[: self.counts[0]], rng)
        if self.augment is not None:
            draw = self.augment.draw(rng, len(pictures))
            pictures, labels = draw.images(pictures), draw.labels(labels)
        targets = self.pilot.targets(labels)
        return pictures, targets, dict.fromkeys(targets, mask)

    def _rows(self, which: int, batch: int) -> IntArray:
        """The records of a stream that are in the batch of this number since the training began."""
        rows, count = self.streams[which].rows, self.counts[which]
        places = np.arange(batch * count, (batch + 1) * count)
        rounds = places // len(rows)
        return np.concatenate(
            [self._order(which, int(turn))[places[rounds == turn] % len(rows)] for turn in np.unique(rounds)]
        )

    def _order(self, which: int, turn: int) -> IntArray:
        """A stream's records in the order of its `turn`-th time round."""
        order = self._orders.get((which, turn))
        if order is None:
            if len(self._orders) > 8 * len(self.streams):
                self._orders.clear()
            rng = np.random.default_rng([self.seed, which, turn])
            order = rng.permutation(self.streams[which].rows)
            # Two threads may both get here; they write the same.
            self._orders[which, turn] = order
        return order


class Adapted(keras.Model):  # type: ignore[misc]
    """A pilot's network in training, with a method's losses on its features.

    Args:
        network: the pilot's; its weights are what is learned.
        pilot: gives the heads' losses.
        method: gives the domain losses.
        counts: how many pictures of each training batch are the source's and the target's, in this order.
            (n, 0): there are no domain losses.
        steps: of the whole training.
    """

    def __init__(
        self, network: keras.Model, pilot: Pilot, method: Method, counts: tuple[int, int], steps: int
    ) -> None:
        super().__init__(name="adapted")
        self.network, self.counts, self.steps = network, counts, steps
        features = network.get_layer(FEATURES).output
        width = int(features.shape[-1])
        self._seen = keras.Model(network.input, {"heads": network.output, FEATURES: features})
        self._weights = pilot.loss_weights()
        self._head_losses = {head: keras.losses.get(loss) for head, loss in pilot.losses().items()}
        self._method = method
        self._done = self.add_weight(shape=(), initializer="zeros", trainable=False, name="steps_done")
        self.method_layers: dict[str, keras.Layer] = {}
        self._trackers: dict[str, keras.metrics.Mean] = {}
        if counts[1]:
            with dtype_policy("float32"):
                self.method_layers = method.layers(width)
            for layer in self.method_layers.values():
                layer.build((None, width))
            with keras.StatelessScope():  # only to hear the losses' names: nothing is learned
                source, target = (ops.zeros((count, width)) for count in counts)
                names = list(method.losses(source, target, self.method_layers, ops.zeros(())))
            self._trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.built = True

    def compile(self, optimizer: keras.Optimizer, **options: Any) -> None:
        """See `keras.Model.compile`; it scales gradients in float16, as Keras does for a plain network."""
        if self.network.dtype_policy.name == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        super().compile(optimizer=optimizer, **options)

    def call(self, images: Any, training: bool = False) -> dict[str, Any]:
        """Returns the heads' outputs, the features, and in training the method's losses."""
        seen = self._seen(images, training=training)
        losses: dict[str, Any] = {}
        if training and self.counts[1]:
            # Backends that trace a batch of any size need to be told the one there is.
            features = ops.reshape(
                ops.cast(seen[FEATURES], "float32"), (sum(self.counts), seen[FEATURES].shape[-1])
            )
            progress = ops.minimum(1.0, ops.convert_to_tensor(self._done) / max(1, self.steps))
            self._done.assign_add(1.0)
            source, target = features[: self.counts[0]], features[self.counts[0] :]
            losses = self._method.losses(source, target, self.method_layers, progress)
        return {**seen, "losses": losses}

    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The pilot's loss over the labelled pictures, plus the method's losses and the penalties."""
        total = sum(y_pred["losses"].values(), ops.zeros(()))
        for head, loss in self._head_losses.items():
            function = loss.call if isinstance(loss, keras.losses.Loss) else loss
            each = function(y[head], ops.cast(y_pred["heads"][head], "float32"))
            if sample_weight is None:
                mean = ops.mean(each)
            else:
                # A batch without a label has no loss, not an undefined one.
                mask = sample_weight[head]
                mean = ops.sum(each * mask) / ops.maximum(ops.sum(mask), 1.0)
            total = total + self._weights[head] * mean
        return total + sum(self.losses, ops.zeros(()))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Averages the method's losses over the epoch."""
        for name, value in y_pred["losses"].items():
            self._trackers[name].update_state(value)
        return dict(self.get_metrics_result())

    def features(self, images: npt.NDArray[np.uint8], batch: int = 128) -> npt.NDArray[np.float32]:
        """The features of uint8 pictures (N, H, W, 3), float32 (N, F)."""
        parts = [
            ops.convert_to_numpy(
                ops.cast(self._seen(images[i : i + batch], training=False)[FEATURES], "float32")
            )
            for i in range(0, len(images), batch)
        ]
        return np.concatenate(parts)
