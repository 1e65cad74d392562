"""LiteRT and Keras give the same commands; LiteRT does so without Keras."""

import os
import subprocess
import sys

import numpy as np
import pytest

from dingocar.errors import ImageError, PilotError
from dingocar.training.export import export_tflite
from dingocar.zoo import load_pilot, read_card
from dingocar.zoo.interpreter import KerasInterpreter, LiteRTInterpreter, _without_greeting
from tests.zoo.making import SHAPE, outputs, pictures


@pytest.fixture(scope="module")
def tflite(built, tmp_path_factory):
    pilot, model = built
    return export_tflite((pilot, model), tmp_path_factory.mktemp("float") / f"{pilot.name}.tflite")


@pytest.fixture(scope="module")
def linear_tflite(linear, tmp_path_factory):
    return export_tflite(linear, tmp_path_factory.mktemp("linear") / "linear.tflite")


def test_litert_gives_what_keras_gives(built, tflite):
    pilot, model = built
    images = pictures(4)
    wanted = outputs(model, images)
    keras, litert = KerasInterpreter(model), LiteRTInterpreter(tflite)
    assert keras.image_shape == litert.image_shape == SHAPE
    for head, value in wanted.items():
        # The two heads of a regression have the same shape: only their names tell them apart.
        np.testing.assert_allclose(keras.run(images[:1])[head], value[:1], atol=1e-4)
        np.testing.assert_allclose(keras.run_batch(images)[head], value, atol=1e-4)
        np.testing.assert_allclose(litert.run(images[:1])[head], value[:1], atol=1e-3)
        np.testing.assert_allclose(litert.run_batch(images)[head], value, atol=1e-3)
    loaded = load_pilot(tflite)
    np.testing.assert_allclose(loaded.run_batch(images), pilot.decode(wanted), atol=1e-3)
    assert loaded.card == read_card(tflite)
    assert loaded.card["pilot"] == pilot.name


def test_loading_says_nothing_but_what_matters(linear_tflite, capfd):
    LiteRTInterpreter(linear_tflite)
    assert capfd.readouterr().err == ""
    with pytest.raises(ValueError, match="no"), _without_greeting():
        os.write(2, b"INFO: here I am\nERROR: something\nelse\n")
        raise ValueError("no")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ERROR: something\nelse\nafter\n"


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_nothing(threads, linear, linear_tflite):
    images = pictures(1)
    got = LiteRTInterpreter(linear_tflite, threads).run(images)
    np.testing.assert_allclose(got["steering"], outputs(linear[1], images)["steering"], atol=1e-3)


def test_results_stay_when_the_next_picture_is_run(linear_tflite):
    interpreter = LiteRTInterpreter(linear_tflite)
    images = pictures(2)
    first = interpreter.run(images[:1])["steering"]
    kept = first.copy()
    interpreter.run(images[1:])
    np.testing.assert_array_equal(first, kept)


def test_driving_a_tflite_needs_no_keras(linear, linear_tflite, tmp_path):
    image = pictures(1)[0]
    np.save(tmp_path / "image.npy", image)
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("keras", "tensorflow", "jax", "torch", "h5py"):
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)")
sys.meta_path.insert(0, Blocked())
import numpy as np
from dingocar.zoo import load_pilot
print(*load_pilot({str(linear_tflite)!r}).run(np.load({str(tmp_path / "image.npy")!r})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    got = [float(word) for word in done.stdout.split()]
    pilot, model = linear
    np.testing.assert_allclose(got, np.ravel(pilot.decode(outputs(model, image[None]))), atol=1e-3)


def test_bound_heads_must_exist(linear_tflite):
    with pytest.raises(PilotError, match=r"must have the output 'speed'; it has 'steering', 'throttle'"):
        LiteRTInterpreter(linear_tflite).bind({"steering": "speed"})


def test_a_closed_interpreter_says_so(linear, linear_tflite):
    for interpreter in (LiteRTInterpreter(linear_tflite), KerasInterpreter(linear[1])):
        interpreter.close()
        with pytest.raises(PilotError, match=r"was closed"):
            interpreter.run(pictures(1))
        with pytest.raises(PilotError, match=r"was closed"):
            interpreter.run_batch(pictures(2))


@pytest.mark.parametrize("where", ["_find_input", "_find_outputs", "run"])
@pytest.mark.parametrize(
    "error", [UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), KeyError("x"), MemoryError()]
)
def test_whatever_litert_raises_is_a_pilot_error(error, where, linear_tflite, monkeypatch):
    def broken(*_):
        raise error

    monkeypatch.setattr(LiteRTInterpreter, where, broken)
    with pytest.raises(PilotError, match=r"^[^\n]*linear\.tflite: expected a \.tflite network[^\n]*$"):
        LiteRTInterpreter(linear_tflite)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_tflite_cut_short_is_refused(share, linear_tflite, tmp_path):
    content = linear_tflite.read_bytes()
    path = tmp_path / "short.tflite"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(PilotError, match=r"^[^\n]*short\.tflite[^\n]*$"):
        load_pilot(path)


def test_a_tflite_of_another_kind_is_refused(tmp_path):
    import keras

    from dingocar.training.export import convert

    image = keras.Input((8, 8, 3), name="image")
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(image)
    path = tmp_path / "classifier.tflite"
    path.write_bytes(
        convert(keras.Model(image, {"scores": pooled}), "image", "float32", {"scores": "scores"})
    )
    with pytest.raises(PilotError, match=r"classifier\.tflite: expected a pilot .*outputs scores \(3,\)"):
        load_pilot(path)
    numbers = keras.Input((4,), name="numbers")
    dense = keras.layers.Dense(1, name="dense")(numbers)
    path.write_bytes(convert(keras.Model(numbers, {"y": dense}), "numbers", "float32", {"y": "y"}))
    with pytest.raises(PilotError, match=r"one picture"):
        load_pilot(path)


def test_a_wrong_picture_is_an_image_error(linear_tflite):
    with pytest.raises(ImageError, match=r"80x96"):
        load_pilot(linear_tflite).run(np.zeros((120, 160, 3), np.uint8))
