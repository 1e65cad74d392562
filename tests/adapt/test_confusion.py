"""Confusion trains exactly what dingocar-research's two heads train, the second a copy of the first."""

import numpy as np
import pytest

from dingocar.adapt import methods
from dingocar.zoo import pilots

SHAPE = (64, 84, 3)
SIM, REAL, STEPS = 5, 4, 6


def batch(seed):
    """Pictures of both domains, their labels, and 1 for simulated."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (SIM + REAL, 4, 6, 3)).astype(np.uint8).repeat(16, 1).repeat(14, 2)
    pictures[SIM:] = 255 - pictures[SIM:] // 3
    labels = {
        name: rng.uniform(-1, 1, (SIM + REAL, 1)).astype(np.float32) for name in ("steering", "throttle")
    }
    return pictures, labels, np.float32(np.arange(SIM + REAL) < SIM)[:, None]


def with_two_heads(network, outputs):
    """The network with the heads `is_sim`, on stopped features, and `smoosh`, which is not trained."""
    import keras
    from keras import layers, ops

    class Stop(layers.Layer):
        def call(self, x):
            return ops.stop_gradient(x)

    features = network.get_layer("features").output
    activation = "sigmoid" if outputs == 1 else "softmax"
    is_sim = layers.Dense(outputs, activation=activation, name="is_sim")(Stop()(features))
    smoosh = layers.Dense(outputs, activation=activation, name="smoosh", trainable=False)(features)
    model = keras.Model(network.input, {**network.output, "is_sim": is_sim, "smoosh": smoosh})
    error = "mse" if outputs == 1 else "categorical_crossentropy"
    losses = {"steering": "mse", "throttle": "mse", "is_sim": error, "smoosh": error}
    model.compile(keras.optimizers.Adam(1e-3), losses, jit_compile=False)
    return model


def train_two_heads(model, outputs):
    """As dingocar-research trains it; returns the losses of each step."""
    told = []
    for step in range(STEPS):
        pictures, labels, is_sim = batch(step)
        # Before every batch the one head's weights go into the other.
        model.get_layer("smoosh").set_weights(model.get_layer("is_sim").get_weights())
        doubt = np.full((len(pictures), outputs), 0.5, np.float32)
        truth = is_sim if outputs == 1 else np.concatenate([is_sim, 1 - is_sim], axis=1)
        model.reset_metrics()
        targets = {**labels, "is_sim": truth, "smoosh": doubt}
        logs = model.train_on_batch(pictures, targets, return_dict=True)
        told.append([logs["loss"], logs["is_sim_loss"], logs["smoosh_loss"]])
    return told


def train_confusion(adapted):
    import keras

    adapted.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    told = []
    for step in range(STEPS):
        pictures, labels, _ = batch(step)
        mask = dict.fromkeys(labels, np.ones(len(pictures), np.float32))
        adapted.reset_metrics()
        logs = adapted.train_on_batch(pictures, labels, mask, return_dict=True)
        told.append([logs["loss"], logs["is_sim"], logs["confusion"]])
    return told


@pytest.mark.parametrize(("name", "outputs"), [("confusion_linear", 1), ("confusion_categorical", 2)])
def test_it_trains_what_two_heads_with_copied_weights_train(name, outputs):
    import keras

    from dingocar.training.adapting import Adapted

    pilot = pilots.load(name).from_settings({"image_shape": SHAPE, "dropout": 0.0})
    keras.utils.set_random_seed(4)
    network = pilot.build()
    before = network.get_weights()
    theirs = with_two_heads(network, outputs)
    head = theirs.get_layer("is_sim").get_weights()
    wanted = train_two_heads(theirs, outputs)
    trained = network.get_weights()

    network.set_weights(before)
    method, settings = pilot.adaptation
    adapted = Adapted(network, pilot, methods.load(method).from_settings(settings), (SIM, REAL), STEPS)
    adapted.method_layers["is_sim"].set_weights(head)
    got = train_confusion(adapted)

    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    moved = [np.abs(a - b).max() for a, b in zip(trained, before, strict=True)]
    assert min(moved) > 1e-4  # else there is nothing to compare
    for mine, other in zip(network.get_weights(), trained, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)
    for mine, other in zip(
        adapted.method_layers["is_sim"].get_weights(), theirs.get_layer("is_sim").get_weights(), strict=True
    ):
        np.testing.assert_allclose(mine, other, atol=1e-6)
