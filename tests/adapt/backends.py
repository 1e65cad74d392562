"""Every method's first losses on a real pilot, and some training with each, in whatever backend Keras has.

Run as a program it writes them to a file: `KERAS_BACKEND=jax python -m tests.adapt.backends FILE`.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

from dingocar.adapt import methods
from tests.adapt.small import Small, batch

COUNTS = (6, 5)
FORMS = ("linear", "categorical", "mlp")


def variants():
    """{name: method}, confusion in each form, with its losses at full weight from the start."""
    from dingocar.adapt import LossSettings

    found = {}
    for name in methods.names():
        kind = methods.load(name)
        plain = {"warmup": 0.0} if issubclass(kind.settings_type, LossSettings) else {}
        for form in FORMS if name == "confusion" else ("",):
            found[f"{name} {form}".strip()] = kind.from_settings(plain | ({"form": form} if form else {}))
    return found


def drawn(variables, seed):
    """The same weights in every backend: numpy draws them."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(0, 1.4 / np.sqrt(max(1, np.prod(v.shape[:-1]))), v.shape).astype(np.float32)
        if len(v.shape) > 1 and "moment" not in v.path
        else np.ones(v.shape, np.float32) * ("gamma" in v.path or "variance" in v.path)
        for v in variables
    ]


def adapted(pilot, network, method):
    """The network in training, all its weights drawn."""
    import keras

    from dingocar.training import precision
    from dingocar.training.adapting import Adapted

    counts = COUNTS if method.trains_on_target else (sum(COUNTS), 0)
    model = Adapted(network, pilot, method, counts, 8)
    model.set_weights(drawn(model.weights, 1))
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=precision.jit_compile())
    return model


def first_losses(pilot, network, method):
    """{loss: value} of one batch, `total` with the pilot's own and its penalties."""
    model = adapted(pilot, network, method)
    images, labels, mask = batch(COUNTS, shape=pilot.settings.image_shape)
    said = model(images, training=True)
    found = {name: float(value) for name, value in said["losses"].items()}
    return found | {"total": float(model.compute_loss(images, labels, said, mask))}


def some_training(method):
    """The losses of three steps of the smallest pilot, as compiled as the backend has it."""
    pilot = Small()
    model = adapted(pilot, pilot.build(), method)
    images, labels, mask = batch(COUNTS, shape=pilot.settings.image_shape)
    logs = [model.train_on_batch(images, labels, mask, return_dict=True) for _ in range(3)]
    method.finish(model.network, images[: COUNTS[0]], images[COUNTS[0] :])
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    return [{name: float(value) for name, value in each.items()} for each in logs]


def everything():
    """{"first": {method: losses}, "training": {method: losses of each step}}."""
    from dingocar.zoo import pilots

    # It has batch normalisation, which some methods change.
    pilot = pilots.load("resnet1").from_settings({"image_shape": (60, 80, 3)})
    network = pilot.build()
    return {
        "first": {name: first_losses(pilot, network, method) for name, method in variants().items()},
        "training": {name: some_training(method) for name, method in variants().items()},
    }


if __name__ == "__main__":
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    Path(sys.argv[1]).write_text(json.dumps(everything()))
