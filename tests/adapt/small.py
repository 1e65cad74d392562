"""A pilot with batch normalisation and a penalty, and without dropout, that trains in no time."""

import numpy as np

from dingocar.training.dataset import LABELS
from dingocar.zoo import Pilot, PilotSettings

SHAPE = (12, 16, 3)


class Small(Pilot):
    """One convolution, one normalisation, one dense layer."""

    def __init__(self):
        super().__init__(PilotSettings(image_shape=SHAPE))

    def build(self):
        from keras import Input, Model, layers, regularizers

        image = Input(SHAPE, dtype="uint8", name="image")
        x = layers.Rescaling(1 / 255, name="normalise")(image)
        x = layers.Conv2D(4, 5, 3, kernel_regularizer=regularizers.L2(0.01), name="conv")(x)
        x = layers.BatchNormalization(name="norm")(x)
        x = layers.Flatten(name="flat")(x)
        x = layers.Dense(8, activation="relu", name="features")(x)
        heads = {head: layers.Dense(1, dtype="float32", name=head)(x) for head in ("steering", "throttle")}
        return Model(image, heads, name="small")


def pictures(n, seed=0, shape=SHAPE):
    """Coarse random pictures, uint8 (n, *shape); those of an odd seed are darker."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256 >> seed % 2, (n, 4, 4, 3)).astype(np.uint8)
    height, width, _ = shape
    return blocks.repeat(-(-height // 4), 1).repeat(-(-width // 4), 2)[:, :height, :width]


def batch(counts=(6, 5), seed=0, shape=SHAPE):
    """Pictures of both domains, {head: targets}, {head: 1 where labelled}: the target has no labels."""
    rng = np.random.default_rng(seed)
    images = np.concatenate([pictures(n, side, shape) for side, n in enumerate(counts)])
    labels = {
        head: rng.uniform(-1, 1, (sum(counts), 1)).astype(np.float32) for head in ("steering", "throttle")
    }
    mask = np.repeat(np.float32([1, 0]), counts)
    return images, labels, dict.fromkeys(labels, mask)


class Records:
    """As much of a `Dataset` as batches need; the steering is the record's number."""

    def __init__(self, n):
        self.images = pictures(n)
        self.columns = {name: np.arange(n, dtype=np.float32) for name in LABELS}
