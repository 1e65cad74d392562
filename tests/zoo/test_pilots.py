"""What every pilot of the zoo must do, and what each one promises."""

import importlib.util
import logging
import os
import subprocess
import sys

import numpy as np
import pytest

from dingocar.errors import PilotError, UnknownNameError
from dingocar.zoo import pilots
from dingocar.zoo.categorical import Categorical, CategoricalSettings
from tests.zoo.making import SHAPE, networks, outputs, pictures, small

NAMES = pilots.names()


def columns(n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "user/angle": np.concatenate([[-1.0, 1.0, 0.0], rng.uniform(-1, 1, n - 3)]),
        "user/throttle": np.concatenate([[0.0, 1.0, 0.5], rng.uniform(0, 1, n - 3)]),
    }


def test_the_zoo_is_complete():
    assert {"linear", "categorical", "resnet1"} <= set(NAMES)
    assert all(pilots.summaries().values())


def test_importing_the_zoo_loads_no_keras():
    code = (
        "import sys; from dingocar.zoo import pilots, load_pilot; import dingocar.zoo.foreign; "
        "[pilots.load(name)() for name in pilots.names()]; "
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'h5py', 'ai_edge_litert'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_network_takes_uint8_and_names_its_layers(built):
    pilot, model = built
    (image,) = model.inputs
    assert (image.name, image.dtype, image.shape) == ("image", "uint8", (None, *SHAPE))
    names = [layer.name for layer in model.layers]
    assert "features" in names
    assert len(model.get_layer("features").output.shape) == 2
    # A name that Keras made up ends in a running number when the same network is built again.
    assert [layer.name for layer in pilot.build().layers] == names
    assert type(pilot)().name == pilot.name in NAMES
    heads = set(model.output)
    assert heads == set(pilot.losses()) == set(pilot.loss_weights()) == set(pilot.targets(columns(3)))
    assert not {type(layer).__name__ for layer in model.layers} & {"Lambda", "TFOpLambda"}


def test_heads_read_the_features(built):
    import keras

    _, model = built
    features = model.get_layer("features").output
    heads = keras.Model(features, model.output)
    images = pictures(2)
    got = outputs(heads, keras.Model(model.input, features)(images, training=False))
    for head, value in outputs(model, images).items():
        np.testing.assert_allclose(got[head], value, atol=1e-5)


@pytest.mark.parametrize("crop_top", [0, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_plain_call_is_inference(name, crop_top):
    _, model = small(name, crop_top=crop_top)
    images = pictures(3)
    first = outputs(model, images)
    for head, value in model(images).items():
        np.testing.assert_allclose(np.asarray(value), first[head], atol=1e-6)
    for head, value in outputs(model, images).items():
        np.testing.assert_array_equal(value, first[head])


@pytest.mark.parametrize("name", NAMES)
def test_the_crop_hides_its_rows(name):
    _, model = small(name, crop_top=3)
    images = pictures(2)
    other = images.copy()
    other[:, :3] = 255 - other[:, :3]
    changed = images.copy()
    changed[:, 4:8] = 255 - changed[:, 4:8]
    first = outputs(model, images)
    for head, value in outputs(model, other).items():
        np.testing.assert_array_equal(value, first[head])
    assert any(np.abs(value - first[head]).max() > 1e-6 for head, value in outputs(model, changed).items())


@pytest.mark.parametrize("name", NAMES)
def test_targets_decode_to_the_commands(name):
    pilot = pilots.load(name)()
    wanted = columns(50)
    targets = pilot.targets(wanted)
    assert all(value.dtype == np.float32 and value.ndim == 2 for value in targets.values())
    steering, throttle = pilot.decode(targets)
    np.testing.assert_allclose(steering, wanted["user/angle"], atol=1e-5)
    np.testing.assert_allclose(throttle, wanted["user/throttle"], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_decoded_commands_are_in_range(name):
    pilot, model = small(name)
    rng = np.random.default_rng(1)
    made_up = {head: rng.normal(0, 9, (40, tensor.shape[1])) for head, tensor in model.output.items()}
    for command in pilot.decode(made_up):
        assert command.shape == (40,)
        assert np.abs(command).max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_column_is_named(name):
    with pytest.raises(PilotError, match=r"'user/throttle'.*got 'user/angle'"):
        pilots.load(name)().targets({"user/angle": np.zeros(2)})


@pytest.mark.parametrize("name", networks())
def test_training_steps_reduce_the_loss(name):
    import keras

    pilot, model = small(name)
    images = pictures(16)
    brightness = images[:, :, : SHAPE[1] // 2].mean((1, 2, 3)) / 255
    targets = pilot.targets({"user/angle": brightness * 2 - 1, "user/throttle": brightness})
    weights = pilot.loss_weights()
    model.compile(keras.optimizers.Adam(2e-3), pilot.losses(), loss_weights=weights, jit_compile=False)
    before = model.evaluate(images, targets, batch_size=16, verbose=0, return_dict=True)["loss"]
    model.fit(images, targets, batch_size=16, epochs=12, verbose=0)
    after = model.evaluate(images, targets, batch_size=16, verbose=0, return_dict=True)["loss"]
    assert after < 0.97 * before


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_all_train_on_jax():
    # One process for all: to load and to compile takes long.
    names = networks()
    code = f"""
import numpy as np
from dingocar.zoo import pilots
from dingocar.zoo.interpreter import KerasInterpreter
for name in {names}:
    pilot = pilots.load(name).from_settings({{"image_shape": {SHAPE}}})
    model = pilot.build()
    targets = pilot.targets({{"user/angle": np.zeros(4), "user/throttle": np.ones(4)}})
    model.compile("adam", pilot.losses())
    model.fit(np.zeros((4, *{SHAPE}), np.uint8), targets, verbose=0)
    KerasInterpreter(model).run_batch(np.zeros((2, *{SHAPE}), np.uint8))
    print(name)
"""
    # What is compiled runs once: no need to optimise it.
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    env = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": quick}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, env=env, timeout=300, capture_output=True, text=True
    )
    assert done.stdout.split() == names


@pytest.mark.parametrize(
    ("name", "parameters", "trainable"),
    [("linear", 817_028, 817_028), ("categorical", 268_311, 268_311), ("resnet1", 167_810, 167_682)],
)
def test_parameter_counts_are_the_sources(name, parameters, trainable):
    model = pilots.load(name)().build()
    assert model.count_params() == parameters
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == trainable


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"crop_tob": 3}, UnknownNameError, "did you mean 'crop_top'"),
        ({"crop_top": "3"}, PilotError, "crop_top: expected int, got '3'"),
        ({"crop_top": True}, PilotError, "crop_top: expected int, got True"),
        ({"crop_top": 100, "crop_bottom": 20}, PilotError, "leave some of the picture's 120"),
        ({"image_shape": [120, 160]}, PilotError, "image_shape: expected"),
        ({"image_shape": [120, 160, 1]}, PilotError, r"expected \(height, width, 3\)"),
        ({"dropout": 1.0}, PilotError, r"dropout: expected a share in \[0, 1\)"),
    ],
)
def test_bad_settings_say_what_is_wrong(settings, error, words):
    with pytest.raises(error, match=words):
        pilots.load("linear").from_settings(settings)


def test_settings_survive_json():
    pilot = pilots.load("categorical").from_settings({"image_shape": [90, 100, 3], "max_throttle": 1})
    assert pilot.settings == CategoricalSettings(image_shape=(90, 100, 3), max_throttle=1.0)


@pytest.mark.parametrize("name", ["linear", "categorical"])
def test_too_small_a_picture_is_an_error(name):
    pilot = pilots.load(name).from_settings({"image_shape": (120, 160, 3), "crop_top": 90})
    with pytest.raises(PilotError, match=r"30x160 pixels.*too small"):
        pilot.build()


# --- categorical ---


@pytest.mark.parametrize("decoding", ["peak", "mean"])
def test_categorical_decodes_the_largest_throttle(decoding):
    pilot = Categorical(CategoricalSettings(max_throttle=0.8, min_throttle=-0.2, decoding=decoding))
    wanted = {"user/angle": np.array([-1.0, 1.0]), "user/throttle": np.array([-0.2, 0.8])}
    steering, throttle = pilot.decode(pilot.targets(wanted))
    np.testing.assert_allclose(steering, [-1, 1], atol=1e-6)
    np.testing.assert_allclose(throttle, [-0.2, 0.8], atol=1e-6)


def test_categorical_argmax_is_the_nearest_bin():
    pilot = Categorical(CategoricalSettings(decoding="argmax"))
    steering, _ = pilot.decode(
        pilot.targets({"user/angle": np.array([0.03, 0.08]), "user/throttle": np.zeros(2)})
    )
    np.testing.assert_allclose(steering, [0, 1 / 7], atol=1e-6)


def test_categorical_passes_an_obstacle_on_one_side():
    pilot = Categorical()
    steering = np.zeros((1, 15), np.float32)
    steering[0, [2, 12]] = 0.45, 0.55  # left or right, rather right
    throttle = np.eye(1, 20, dtype=np.float32)
    assert pilot.decode({"steering": steering, "throttle": throttle})[0][0] == pytest.approx(5 / 7)
    mean = Categorical(CategoricalSettings(decoding="mean"))
    assert abs(mean.decode({"steering": steering, "throttle": throttle})[0][0]) < 0.1


def test_categorical_decoding_does_not_jump_between_bins():
    pilot = Categorical()
    steering = np.zeros((2, 15), np.float32)
    steering[0, 3:8] = 0.1, 0.2, 0.301, 0.299, 0.1
    steering[1, 3:8] = 0.1, 0.2, 0.299, 0.301, 0.1
    left, right = pilot.decode({"steering": steering, "throttle": np.eye(2, 20, dtype=np.float32)})[0]
    assert 0 < right - left < 0.002


def test_categorical_says_when_it_clips_throttle(caplog):
    pilot = Categorical(CategoricalSettings(max_throttle=0.5))
    with caplog.at_level(logging.WARNING, logger="dingocar"):
        pilot.targets({"user/angle": np.zeros(3), "user/throttle": np.array([0.5, 0.6, -0.1])})
        pilot.targets({"user/angle": np.zeros(3), "user/throttle": np.array([0.5, 0.6, -0.1])})
    assert caplog.text.count("2 of 3 throttles are outside [0, 0.5]") == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"throttle_bins": 1}, "at least 2 bins"),
        ({"max_throttle": 0.0}, "min < max"),
        ({"decoding": "argmx"}, "decoding: expected"),
    ],
)
def test_categorical_bad_settings(settings, words):
    with pytest.raises(PilotError, match=words):
        Categorical.from_settings(settings)


# --- resnet1 ---


@pytest.mark.parametrize(
    ("name", "settings"),
    [("resnet1", {}), ("linear", {"standardise": True}), ("categorical", {"standardise": True})],
)
def test_standardised_pictures_have_no_brightness_or_contrast(name, settings):
    _, model = small(name, **settings)
    images = pictures(8) // 2
    first = outputs(model, images)
    for changed in (images + 100, images * 2):
        for head, value in outputs(model, changed).items():
            assert np.abs(value - first[head]).max() < 0.05 * np.ptp(first[head], axis=0).max()


def test_linear_sees_pictures_as_they_are_unless_told():
    _, model = small("linear")
    images = pictures(8) // 2
    first, brighter = (outputs(model, each)["steering"] for each in (images, images + 100))
    assert np.abs(first - brighter).max() > 0.2 * np.ptp(first)
    assert model.count_params() == small("linear", standardise=True)[1].count_params()


def test_resnet1_has_its_penalty_and_trains_its_norms():
    pilot, model = small("resnet1")
    weights = [layer.kernel for layer in model.layers if "conv" in layer.name or layer.name == "shortcut"]
    assert len(weights) == 4
    squares = sum(float(np.square(np.asarray(weight)).sum()) for weight in weights)
    assert float(sum(np.asarray(loss) for loss in model.losses)) == pytest.approx(1e-4 * squares, rel=1e-4)
    norm = model.get_layer("branch_norm_1")
    model.compile("adam", pilot.losses(), jit_compile=False)
    model.fit(pictures(4), pilot.targets(columns(4)), verbose=0)
    assert np.abs(np.asarray(norm.moving_mean)).max() > 0


@pytest.mark.parametrize("shape", [(120, 160, 3), (90, 120, 3), (240, 320, 3), (48, 60, 3)])
def test_resnet1_shrinks_without_aliasing(shape):
    import keras

    from dingocar.zoo import _blocks

    image = keras.Input(shape)
    shrink = keras.Model(image, _blocks.shrink(image, 60, 80))
    ramp = np.broadcast_to(np.linspace(0, 1, shape[1])[None, None, :, None], (1, *shape))
    got = np.asarray(shrink(ramp.astype(np.float32)))
    assert got.shape == (1, 60, 80, 3)
    assert np.abs(got[0, 5, 2:-2, 0] - np.linspace(0, 1, 80)[2:-2]).max() < 0.01
    if shape[0] % 120 == 0:  # single-pixel stripes have the mean of black and white, not one of them
        stripes = np.zeros((1, *shape), np.float32)
        stripes[:, :, ::2] = 1
        assert np.abs(np.asarray(shrink(stripes)) - 0.5).max() < 1e-6
