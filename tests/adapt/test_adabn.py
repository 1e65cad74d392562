"""AdaBN gives the target the source's moments, with batch normalisation and without."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from dingocar.adapt.adabn import AdaBn, _layers_before_features, _moments
from dingocar.errors import TrainingError
from dingocar.zoo import pilots

SHAPES = {"linear": (64, 84, 3), "resnet1": (60, 80, 3)}
#: Convolutions and dense layers up to the features, and batch normalisations.
COUNTS = {"linear": 7, "resnet1": 8}


def looks(shape, n=24):
    """Pictures of the same scenes in two looks: brighter, flatter and of another colour, with noise."""
    rng = np.random.default_rng(0)
    height, width, _ = shape
    scenes = rng.integers(0, 256, (n, 4, 4, 3)).astype(np.float32)
    scenes = scenes.repeat(-(-height // 4), 1).repeat(-(-width // 4), 2)[:, :height, :width]
    real = scenes * [0.5, 0.3, 0.4] + [90, 110, 60] + rng.normal(0, 5, scenes.shape)
    return scenes.astype(np.uint8), real.clip(0, 255).astype(np.uint8)


def made(name):
    """A pilot's network with random moments in its batch normalisations, as training leaves them."""
    keras.utils.set_random_seed(2)
    network = pilots.load(name).from_settings({"image_shape": SHAPES[name]}).build()
    rng = np.random.default_rng(3)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    return network


@pytest.mark.parametrize("name", SHAPES)
def test_the_target_gets_the_moments_of_the_source_in_every_layer(name):
    source, target = looks(SHAPES[name])
    network = made(name)
    adapted = _layers_before_features(network)
    assert len(adapted) == COUNTS[name]
    wanted, before = _moments(network, adapted, source), _moments(network, adapted, target)
    AdaBn().finish(network, source, target)
    for (mean, variance), (old_mean, _), (got_mean, got) in zip(
        wanted, before, _moments(network, adapted, target), strict=True
    ):
        deviation = np.sqrt(variance)
        # Channels that hardly vary are left so: an unused one must not become noise.
        lively = variance > 1e-2 * variance.mean()
        np.testing.assert_allclose(np.sqrt(got)[lively], deviation[lively], rtol=0.02)
        np.testing.assert_allclose(got_mean, mean, atol=1e-3 * deviation.max())
        assert np.abs(old_mean - mean).max() > 0.02 * deviation.max()


@pytest.mark.parametrize("name", SHAPES)
def test_the_same_pictures_change_nothing(name):
    source, _ = looks(SHAPES[name], 8)
    network = made(name)
    before = network.get_weights()
    AdaBn().finish(network, source, source)
    for one, other in zip(network.get_weights(), before, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_moments_are_those_before_the_activation():
    source, _ = looks(SHAPES["linear"], 70)  # more than one batch
    network = made("linear")
    (first, *_) = _layers_before_features(network)
    kernel, bias = first.get_weights()
    y = ops.convert_to_numpy(ops.conv(source.astype(np.float32) / 255, kernel, strides=2) + bias)
    ((mean, variance),) = _moments(network, [first], source)
    np.testing.assert_allclose(mean, y.mean((0, 1, 2), dtype=np.float64), atol=1e-5)
    np.testing.assert_allclose(variance, y.var((0, 1, 2), dtype=np.float64), rtol=1e-4)


def test_behind_batch_normalisation_it_is_the_papers():
    """There the normalisation simply gets the target's moments in place of the source's."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(5, 3, use_bias=False)(image)
    x = layers.BatchNormalization(name="norm", epsilon=1e-9)(x)
    x = layers.Flatten(name="features")(x)
    network = keras.Model(image, {"steering": layers.Dense(1, name="steering")(x)})
    rng = np.random.default_rng(0)
    source, target = (rng.normal(m, s, (40, 8, 8, 3)).astype(np.float32) for m, s in ((0, 1), (2, 3)))
    convolution, norm = network.layers[1], network.get_layer("norm")

    def moments_of(pictures):
        y = ops.convert_to_numpy(convolution(pictures))
        return y.mean((0, 1, 2)), y.var((0, 1, 2))

    scale, shift = rng.uniform(0.5, 2, 5), rng.normal(0, 1, 5)
    norm.set_weights([scale, shift, *moments_of(target)])
    wanted = ops.convert_to_numpy(network(target)["steering"])
    norm.set_weights([scale, shift, *moments_of(source)])
    assert np.abs(ops.convert_to_numpy(network(target)["steering"]) - wanted).max() > 0.1
    AdaBn().finish(network, source, target)
    np.testing.assert_allclose(
        ops.convert_to_numpy(network(target)["steering"]), wanted, rtol=0.01, atol=0.01
    )


def test_a_channel_that_is_constant_on_the_target_is_not_blown_up():
    network = made("linear")
    source, target = looks(SHAPES["linear"], 8)
    AdaBn().finish(network, source, np.zeros_like(target))
    assert all(np.abs(w).max() < 1e4 for w in network.get_weights())
    assert np.isfinite(ops.convert_to_numpy(network(target)["steering"])).all()


def test_a_network_without_a_layer_to_adapt_is_an_error():
    image = keras.Input((4, 4, 3))
    network = keras.Model(image, layers.Flatten(name="features")(image), name="bare")
    with pytest.raises(TrainingError, match=r"adabn: network bare: expected a convolution.*choose another"):
        AdaBn().finish(network, np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 3)))
