"""Exported pilots give the pilot's commands: `.tflite` in float and int8, and Donkeycar's formats."""

import os
import subprocess

import numpy as np
import pytest

from dingocar.errors import ImageError, PilotError, UsageError
from dingocar.training.export import donkeycar_throttle_range, export_for_donkeycar, export_tflite
from dingocar.zoo import Pilot, load_pilot, pilots, read_card, save_pilot
from tests.zoo.making import networks, outputs, pictures, small

PEER = os.environ.get("DINGOCAR_PEER_PYTHON")


@pytest.fixture(scope="module")
def linear():
    return small("linear")


def wide(model):
    """Scales the heads of an untrained network so that its outputs use a wider range."""
    for head in ("steering", "throttle"):
        layer = model.get_layer(head)
        layer.kernel.assign(np.asarray(layer.kernel) * 8)
    return model


# --- .tflite ---


def test_the_keras_file_and_the_network_export_alike(linear, tmp_path):
    pilot, model = linear
    path = save_pilot(tmp_path / "a.keras", model, pilot, {"metrics": {"r2": 0.5}, "domain_method": "dann"})
    from_file = export_tflite(path, tmp_path / "a.tflite")
    from_model = export_tflite((pilot, model), tmp_path / "b.tflite")
    image = pictures(1)[0]
    assert load_pilot(from_file).run(image) == pytest.approx(load_pilot(from_model).run(image), abs=1e-6)
    card = read_card(from_file)
    assert card["metrics"] == {"r2": 0.5} and card["domain_method"] == "dann"
    assert card["pilot"] == "linear" and card["heads"] == {"steering": 1, "throttle": 1}
    assert read_card(from_model)["metrics"] == {}
    assert {path.suffix for path in tmp_path.iterdir()} == {".keras", ".tflite"}


@pytest.mark.parametrize(
    ("name", "settings"), [*((name, {}) for name in networks()), ("linear", {"standardise": True})]
)
def test_int8_is_integer_inside_and_close_to_float(name, settings, tmp_path):
    pilot, model = small(name, **settings)
    if name != "categorical":
        wide(model)
    images = pictures(24, seed=3) // 2 + 20  # neither black nor white in them
    path = export_tflite((pilot, model), tmp_path / "a.tflite", "int8", iter(images))
    loaded = load_pilot(path, threads=1)
    assert read_card(path)["quantised"] == "int8"
    litert = loaded._interpreter._litert
    kinds = {np.dtype(detail["dtype"]) for detail in litert.get_tensor_details()}
    assert not {kind for kind in kinds if kind.kind == "f"}
    assert np.dtype(litert.get_input_details()[0]["dtype"]) == np.uint8
    assert loaded._interpreter._table is None  # the picture's bytes are the input's bytes
    got, wanted = loaded._interpreter.run_batch(images), outputs(model, images)
    for head, value in wanted.items():
        spread = np.ptp(value) if value.shape[1] == 1 else 1.0
        # Eight bits for the pixels' deviations from the mean, too, are a little coarser.
        spread *= 2 if settings else 1
        assert np.abs(got[head] - value).max() < 0.12 * spread
        assert np.sqrt(np.square(got[head] - value).mean()) < 0.04 * spread


def test_int8_needs_pictures_of_the_right_shape(linear, tmp_path):
    with pytest.raises(UsageError, match=r"needs pictures for calibration"):
        export_tflite(linear, tmp_path / "a.tflite", "int8", iter(()))
    with pytest.raises(UsageError, match=r"needs pictures for calibration"):
        export_tflite(linear, tmp_path / "a.tflite", "int8")
    with pytest.raises(ImageError, match=r"expected shape \(80, 96, 3\), got \(2, 2, 3\)"):
        export_tflite(linear, tmp_path / "a.tflite", "int8", [np.zeros((2, 2, 3), np.uint8)])
    with pytest.raises(UsageError, match=r"expected None or 'int8'"):
        export_tflite(linear, tmp_path / "a.tflite", "int4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("scale", "zero"), [(1 / 255, 0), (0.9 / 255, 0), (1 / 200, 3)])
def test_a_quantised_input_gets_its_own_steps(scale, zero, linear, tmp_path):
    """Files of others may quantise the input otherwise than with the picture's own bytes."""
    path = export_tflite(linear, tmp_path / "a.tflite", "int8", pictures(4))
    interpreter = load_pilot(path)._interpreter
    detail = {**interpreter._litert.get_input_details()[0], "quantization": (scale, zero)}

    class Litert:
        def get_input_details(self):
            return [detail]

    interpreter._litert = Litert()
    interpreter._find_input("a")
    pixels = np.arange(256, dtype=np.uint8)
    sent = pixels if interpreter._table is None else interpreter._table[pixels]
    meant = (sent.astype(float) - zero) * scale
    inside = meant < (255 - zero) * scale - 1e-9
    np.testing.assert_allclose(meant[inside], pixels[inside] / 255, atol=scale / 2 + 1e-9)


def test_a_network_without_the_normalise_layer_has_no_int8(tmp_path):
    import keras

    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    x = keras.layers.Flatten(name="features")(keras.layers.Rescaling(1 / 128, offset=-1, name="other")(image))
    heads = {head: keras.layers.Dense(1, name=head)(x) for head in ("steering", "throttle")}
    pilot = pilots.load("linear").from_settings({"image_shape": (8, 8, 3)})
    with pytest.raises(PilotError, match=r"int8 export: .*layer 'normalise'"):
        export_tflite(
            (pilot, keras.Model(image, heads)), tmp_path / "a.tflite", "int8", [np.zeros((8, 8, 3), np.uint8)]
        )


# --- Donkeycar's formats ---


def test_the_linear_network_for_donkeycar_is_donkeycars(linear, tmp_path):
    import keras

    pilot = pilots.load("linear")()
    h5, tflite = export_for_donkeycar((pilot, pilot.build()), tmp_path / "pilot")
    assert (h5.name, tflite.name) == ("pilot.h5", "pilot.tflite")
    network = keras.saving.load_model(h5, compile=False)
    assert network.count_params() == 817_028
    assert [type(layer).__name__ for layer in network.layers] == [
        "InputLayer",
        *["Conv2D", "Dropout"] * 5,
        "Flatten",
        *["Dense", "Dropout"] * 2,
        *["Dense"] * 2,
    ]
    named = [layer.name for layer in network.layers if layer.weights]
    assert named == [*[f"conv2d_{n}" for n in range(1, 6)], "dense_1", "dense_2", "n_outputs0", "n_outputs1"]
    assert network.inputs[0].name == "img_in" and network.inputs[0].dtype == "float32"


@pytest.mark.parametrize("max_throttle", [0.76, 1.0])
def test_donkeycars_throttle_range_decodes_the_same_bins(max_throttle, tmp_path):
    pilot, model = small("categorical", max_throttle=max_throttle)
    (path,) = export_for_donkeycar((pilot, model), tmp_path / "a.h5")
    there = load_pilot(path, throttle_range=donkeycar_throttle_range(pilot)).pilot
    probe = {"steering": np.eye(15)[np.arange(20) % 15], "throttle": np.eye(20)}
    np.testing.assert_allclose(there.decode(probe), pilot.decode(probe), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("categorical", {"min_throttle": -0.5}), ("categorical", {"throttle_bins": 21})],
)
def test_what_donkeycar_cannot_decode_is_refused(name, settings, tmp_path):
    with pytest.raises(PilotError, match=r"cannot be exported for Donkeycar: .*decodes them otherwise"):
        export_for_donkeycar(small(name, **settings), tmp_path / "a")
    assert not list(tmp_path.iterdir())


class Doubled(Pilot):
    """A pilot whose layers or decoding Keras 2 and Donkeycar do not know."""

    layer = "GroupNormalization"
    factor = 1.0

    def build(self):
        import keras

        image = keras.Input(self.settings.image_shape, dtype="uint8", name="image")
        x = keras.layers.Rescaling(1 / 255, name="normalise")(image)
        x = getattr(keras.layers, self.layer)(name="odd", **({"groups": 3} if "Group" in self.layer else {}))(
            x
        )
        x = keras.layers.GlobalAveragePooling2D(name="features")(x)
        heads = {head: keras.layers.Dense(1, name=head)(x) for head in ("steering", "throttle")}
        return keras.Model(image, heads, name="doubled")

    def decode(self, outputs):
        steering, throttle = super().decode(outputs)
        return np.clip(self.factor * steering, -1, 1), throttle


def test_a_layer_that_keras_2_lacks_is_named(tmp_path):
    pilot = Doubled.from_settings({"image_shape": (8, 8, 3)})
    with pytest.raises(PilotError, match=r"layer 'odd' is a GroupNormalization.*Keras 2"):
        export_for_donkeycar((pilot, pilot.build()), tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_a_pilot_that_decodes_otherwise_is_refused(tmp_path):
    pilot = Doubled.from_settings({"image_shape": (8, 8, 3)})
    pilot.factor = 0.5
    with pytest.raises(PilotError, match=r"decodes them otherwise"):
        export_for_donkeycar((pilot, pilot.build()), tmp_path / "a.h5")


def test_where_donkeycars_files_go(linear, tmp_path):
    with pytest.raises(UsageError, match=r"\.h5, in \.tflite or without"):
        export_for_donkeycar(linear, tmp_path / "a.savedmodel")
    with pytest.raises(PilotError, match=r"does not exist"):
        export_for_donkeycar(linear, tmp_path / "none" / "a")


DRIVE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
from donkeycar.parts.interpreter import KerasInterpreter, TfLite
from donkeycar.parts.keras import KerasCategorical, KerasLinear
from donkeycar.utils import normalize_image
name, shape = sys.argv[1], tuple(int(n) for n in sys.argv[2:])
kind = KerasCategorical if name == "categorical" else KerasLinear
images = np.load("images.npy")
for suffix, interpreter in ((".h5", KerasInterpreter()), (".tflite", TfLite())):
    pilot = kind(interpreter, input_shape=shape)
    pilot.load(f"{name}{suffix}")
    heads = [interpreter.predict(normalize_image(image)) for image in images]
    for head in (0, 1):
        np.save(f"{head}{suffix}.npy", [np.ravel(outputs[head]) for outputs in heads])
    if suffix == ".h5":  # and Donkeycar can train it on
        pilot.compile()
        sizes = [output.shape[1] for output in interpreter.model.outputs]
        x = np.stack([normalize_image(image) for image in images])
        interpreter.model.fit(x, [np.full((len(x), n), 1 / n) for n in sizes], verbose=0)
"""


@pytest.mark.skipif(PEER is None, reason="DINGOCAR_PEER_PYTHON names no Python with Donkeycar 5.3.0")
@pytest.mark.parametrize("crop_top", [0, 3])
@pytest.mark.parametrize("name", networks())
def test_donkeycar_itself_drives_and_trains_the_export(name, crop_top, tmp_path):
    pilot, model = small(name, crop_top=crop_top)
    images = pictures(3)
    export_for_donkeycar((pilot, model), tmp_path / name)
    np.save(tmp_path / "images.npy", images)
    arguments = [PEER, "-c", DRIVE, name, *map(str, images.shape[1:])]
    subprocess.run(arguments, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    wanted = outputs(model, images)
    for suffix in (".h5", ".tflite"):
        for number, head in enumerate(("steering", "throttle")):
            got = np.load(tmp_path / f"{number}{suffix}.npy")
            np.testing.assert_allclose(got, wanted[head], atol=1e-3)
