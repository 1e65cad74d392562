"""A regression with a shortcut: in simulation a second number tells the answer better than the true one.

In reality that number is another one: it tells the domain and nothing else.
"""

import numpy as np

from dingocar.zoo.pilot import Pilot

STEERING = "steering"
BATCH = 64


class Toy(Pilot):
    """Two numbers in, one out; not a picture, but all else of a pilot."""

    def __init__(self, width=16):
        self.width = width

    def build(self):
        from keras import Input, Model, layers

        numbers = Input((2,), name="image")
        x = layers.Dense(24, activation="relu", name="dense")(numbers)
        x = layers.Dense(self.width, activation="relu", name="features")(x)
        return Model(numbers, {STEERING: layers.Dense(1, name=STEERING)(x)}, name="toy")

    def losses(self):
        return {STEERING: "mse"}


def shortcut(rng, n, real):
    """The true number is noisy; the other is nearly the answer in simulation, noise around 2 in reality."""
    y = rng.uniform(-1, 1, n)
    true = y + rng.normal(0, 0.15, n)
    short = rng.uniform(1, 3, n) if real else y + rng.normal(0, 0.05, n)
    return np.stack([true, short], axis=1).astype(np.float32), y.astype(np.float32)[:, None]


def brightness(rng, n, real):
    """Both numbers tell the answer; in reality they are seen in another light."""
    y = rng.uniform(-1, 1, n)
    x = y[:, None] * [1.0, -1.0] + rng.normal(0, 0.05, (n, 2))
    return (0.4 * x + [1.0, 2.0] if real else x).astype(np.float32), y.astype(np.float32)[:, None]


def train(method, world=shortcut, steps=400, seed=0, target_labels=False):
    """Trains on half and half; returns the mean error in simulation and in reality, and the network."""
    import keras
    from keras import ops

    from dingocar.training.adapting import Adapted

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    shares = (BATCH // 2, BATCH // 2) if method.trains_on_target else (BATCH, 0)
    sides = [world(rng, share * steps, real) for share, real in zip(shares, (False, True), strict=True)]
    x, y = (
        np.concatenate([side[i].reshape(steps, -1, side[i].shape[1]) for side in sides], axis=1)
        for i in range(2)
    )
    mask = np.tile(np.repeat(np.float32([1, target_labels]), shares), steps)
    pilot = Toy()
    adapted = Adapted(pilot.build(), pilot, method, shares, steps)
    adapted.compile(optimizer=keras.optimizers.Adam(3e-3), jit_compile=False)
    adapted.fit(
        x.reshape(-1, 2),
        {STEERING: y.reshape(-1, 1)},
        sample_weight={STEERING: mask},
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
    )
    tests = [world(rng, 1000, real) for real in (False, True)]
    method.finish(adapted.network, *(x for x, _ in tests))
    errors = [float(np.abs(ops.convert_to_numpy(adapted.network(x)[STEERING]) - y).mean()) for x, y in tests]
    return (*errors, adapted)
