"""Donkeycar's own pilots drive here.

The files that Donkeycar itself writes are made when DINGOCAR_PEER_PYTHON names a Python with
Donkeycar 5.3.0; otherwise files of the same format, which our own export writes, stand in.
"""

import json
import os
import subprocess

import numpy as np
import pytest

from dingocar.errors import PilotError
from dingocar.training.export import export_for_donkeycar
from dingocar.zoo import load_pilot
from tests.zoo.making import outputs, pictures, small

PEER = os.environ.get("DINGOCAR_PEER_PYTHON")

MAKE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
from donkeycar.parts.interpreter import KerasInterpreter, keras_model_to_tflite
from donkeycar.parts.keras import KerasCategorical, KerasLinear
tf.keras.utils.set_random_seed(1)
images = np.load("images.npy")
for name, kind in (("linear", KerasLinear), ("categorical", KerasCategorical)):
    pilot = kind(KerasInterpreter())
    pilot.compile()
    pilot.interpreter.model.save(f"{name}.h5")
    keras_model_to_tflite(f"{name}.h5", f"{name}.tflite")
    np.save(f"{name}.npy", [pilot.run(image) for image in images])
"""


@pytest.fixture(scope="module")
def donkeycar(tmp_path_factory):
    """A folder with pilots that Donkeycar made, pictures, and what it drives on them."""
    if PEER is None:
        pytest.skip("DINGOCAR_PEER_PYTHON names no Python with Donkeycar 5.3.0")
    folder = tmp_path_factory.mktemp("donkeycar")
    np.save(folder / "images.npy", np.random.default_rng(0).integers(0, 256, (4, 120, 160, 3), np.uint8))
    subprocess.run([PEER, "-c", MAKE], cwd=folder, check=True, capture_output=True, timeout=120)
    return folder


@pytest.mark.parametrize("suffix", [".h5", ".tflite"])
@pytest.mark.parametrize("name", ["linear", "categorical"])
def test_donkeycars_own_files_drive_as_in_donkeycar(name, suffix, donkeycar):
    loaded = load_pilot(donkeycar / f"{name}{suffix}", throttle_range=0.5)
    assert loaded.card["origin"] == "Donkeycar"
    assert loaded.image_shape == (120, 160, 3)
    got = [loaded.run(image) for image in np.load(donkeycar / "images.npy")]
    wanted = np.load(donkeycar / f"{name}.npy").reshape(-1, 2)
    np.testing.assert_allclose(got, wanted, atol=1e-4)


@pytest.mark.parametrize("suffix", [".h5", ".tflite"])
@pytest.mark.parametrize("crop_top", [0, 3])
def test_files_in_donkeycars_format_drive(suffix, crop_top, built, tmp_path):
    if crop_top:
        pilot, model = small(built[0].name, crop_top=crop_top)
    else:
        pilot, model = built
    (path,) = export_for_donkeycar((pilot, model), tmp_path / f"pilot{suffix}")
    loaded = load_pilot(path)
    assert loaded.card["heads"] == {head: tensor.shape[1] for head, tensor in model.output.items()}
    images = pictures(3)
    got = loaded._interpreter.run_batch(images)
    for head, value in outputs(model, images).items():
        np.testing.assert_allclose(got[head], value, atol=1e-3)


def test_a_categorical_pilot_decodes_as_donkeycar_does(tmp_path):
    pilot, model = small("categorical")
    model.get_layer("throttle").bias.assign([0] * 19 + [50])
    model.get_layer("steering").bias.assign([50] + [0] * 14)
    (path,) = export_for_donkeycar((pilot, model), tmp_path / "a.tflite")
    # Donkeycar's largest throttle is one bin short of the range it was given.
    assert load_pilot(path).run(pictures(1)[0]) == pytest.approx((-1, 0.76))
    assert load_pilot(path, throttle_range=0.5).run(pictures(1)[0]) == pytest.approx((-1, 0.475))


# --- refused ---


@pytest.fixture
def h5(linear, tmp_path):
    (path,) = export_for_donkeycar(linear, tmp_path / "pilot.h5")
    return path


def edit_config(path, edit):
    import h5py

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config)
        file.attrs["model_config"] = json.dumps(config)


def lambda_layer(config):
    config["config"]["layers"][1] = {"class_name": "Lambda", "config": {"name": "x", "function": ["4wEA"]}}


def custom_layer(config):
    config["config"]["layers"][1]["class_name"] = "MyLayer"


def custom_activation(config):
    config["config"]["layers"][1]["config"]["activation"] = {"class_name": "function", "config": "system"}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda_layer, r"holds code \(Lambda\)"),
        (custom_layer, "Keras's own layers, got the class 'MyLayer'"),
        (custom_activation, r"holds code \(function\)"),
        (lambda config: config.update(class_name="Chaos"), "class 'Chaos'"),
        (lambda config: config["config"].update(layers=3), "cannot load the network"),
    ],
)
def test_an_h5_with_code_or_nonsense_is_refused(edit, words, h5):
    edit_config(h5, edit)
    with pytest.raises(PilotError, match=words):
        load_pilot(h5)


def wide_layers(config):
    for entry in config["config"]["layers"]:
        if entry["class_name"] == "Dense" and entry["config"]["units"] > 1:
            entry["config"]["units"] = 4096


def test_no_memory_is_asked_for_before_the_shapes_are_known(h5, made_weights):
    load_pilot(h5)
    assert made_weights
    made_weights.clear()
    edit_config(h5, wide_layers)
    with pytest.raises(PilotError, match=r"cannot load the network"):
        load_pilot(h5)
    assert not made_weights


def test_weights_alone_are_no_pilot(tmp_path):
    import h5py

    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file["x"] = [1.0]
    with pytest.raises(PilotError, match=r"without model_config"):
        load_pilot(path)


def test_an_h5_cut_short_is_damaged(h5):
    h5.write_bytes(h5.read_bytes()[:20_000])
    with pytest.raises(PilotError, match=r"damaged"):
        load_pilot(h5)


def test_an_h5_with_other_outputs_is_no_pilot(tmp_path):
    import keras

    from dingocar.zoo import _keras2

    image = keras.Input((8, 8, 3), name="img_in")
    scores = keras.layers.GlobalAveragePooling2D(name="scores")(image)
    path = tmp_path / "classifier.h5"
    path.write_bytes(_keras2.to_h5(keras.Model(image, {"a": scores}), "img_in", {"a": "scores"}))
    with pytest.raises(PilotError, match=r"expected a pilot .*got the outputs scores \(3,\)"):
        load_pilot(path)


def test_an_h5_that_takes_something_else_is_no_pilot(tmp_path):
    import keras

    from dingocar.zoo import _keras2

    numbers = keras.Input((4,), name="numbers")
    heads = {head: keras.layers.Dense(1, name=head)(numbers) for head in ("a", "b")}
    path = tmp_path / "other.h5"
    path.write_bytes(_keras2.to_h5(keras.Model(numbers, heads), "numbers", {"a": "a", "b": "b"}))
    with pytest.raises(PilotError, match=r"takes one RGB picture"):
        load_pilot(path)
