"""Every learning translator's first losses, and those after a step, in whatever backend Keras has.

Run as a program it writes them to a file: `KERAS_BACKEND=jax python -m tests.translate.backends FILE`.
"""

import json
import os
import sys
from pathlib import Path

from tests.adapt.backends import drawn
from tests.translate.small import learners, pictures, small

#: Without what is drawn: each backend draws other numbers.
SETTINGS = {"cut": {"patches": 10_000}, "cyclegan": {"pool_size": 0}, "unit": {}}


def steps_of(name, steps=2, eager=False):
    """[{loss: value} of each step] from drawn weights."""
    import keras

    from dingocar.training import precision
    from dingocar.translate._game import Game

    game = Game(small(name, **SETTINGS.get(name, {})))
    game.networks.pop("noise", None)
    game.networks |= {"noise": keras.layers.GaussianNoise(0.0)} if name == "unit" else {}
    weights = game.trainable_variables
    for variable, values in zip(weights, drawn(weights, 4), strict=True):
        variable.assign(values)
    game.compile(
        optimizer=keras.optimizers.Adam(1e-4), jit_compile=precision.jit_compile(), run_eagerly=eager
    )
    size = game._translator.settings.batch_size
    batch = {domain: pictures(domain, size, 3) for domain in ("sim", "real")}
    found = [game.train_on_batch(batch, return_dict=True) for _ in range(steps)]
    return [{key: float(value) for key, value in each.items()} for each in found]


def everything():
    """{translator: losses of each step}."""
    import keras

    # TensorFlow is sooner done with two steps as they are, JAX when they are compiled.
    eager = keras.backend.backend() == "tensorflow"
    return {name: steps_of(name, eager=eager) for name in learners()}


if __name__ == "__main__":
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    Path(sys.argv[1]).write_text(json.dumps(everything()))
