"""Pilots that Donkeycar wrote: `.h5` (Keras 2) and `.tflite`, recognised by their outputs.

Source: Donkeycar 5.3.0, `KerasLinear` (outputs n_outputs0, n_outputs1: angle and throttle) and
`KerasCategorical` (angle_out: 15 bins, throttle_out: 20). Their input is the RGB picture divided by 255.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.errors import PilotError
from dingocar.zoo import _safety
from dingocar.zoo.categorical import Categorical, CategoricalSettings
from dingocar.zoo.interpreter import LiteRTInterpreter
from dingocar.zoo.linear import Linear, LinearSettings
from dingocar.zoo.pilot import STEERING, THROTTLE, Pilot

if TYPE_CHECKING:
    import keras

LINEAR_OUTPUTS = ("n_outputs0", "n_outputs1")
CATEGORICAL_OUTPUTS = ("angle_out", "throttle_out")
STEERING_BINS, THROTTLE_BINS = 15, 20
_CATEGORICAL_SIZES = {CATEGORICAL_OUTPUTS[0]: (STEERING_BINS,), CATEGORICAL_OUTPUTS[1]: (THROTTLE_BINS,)}


def load_h5(path: Path, throttle_range: float) -> tuple[keras.Model, Pilot, dict[str, Any]]:
    """Loads a `.h5` pilot of Donkeycar.

    Args:
        path: the file; its size was checked.
        throttle_range: what a categorical pilot was trained with.

    Returns:
        The network, with a uint8 input and named heads; the zoo's pilot that decodes it as
        Donkeycar does; a card.

    Raises:
        PilotError: the file is damaged, holds code, or is no such pilot.
    """
    import keras

    _safety.check_weights(path, path)
    config = _config(path)
    _safety.check_config(config, path, keras_2=True)
    cannot_load = f"Keras {keras.__version__} cannot load the network"
    with _safety.as_pilot_error(path, cannot_load):
        network = _safety.load_keras(path)
        _restore_axes(network, config)
        inputs, outputs = list(network.inputs), list(network.outputs)
    shapes = [tuple(tensor.shape) for tensor in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3 or None in shapes[0][1:]:
        raise PilotError(
            f"{path}: expected a pilot that takes one RGB picture, got inputs {shapes}; Donkeycar's "
            "memory, imu, behavior, rnn and 3d pilots cannot be driven here"
        )
    with _safety.as_pilot_error(path, cannot_load):
        names = dict(zip(network.output_names, outputs, strict=True))
    sizes = {name: tuple(tensor.shape[1:]) for name, tensor in names.items()}
    heads, pilot = _recognise(sizes, shapes[0][1:], throttle_range, path)
    with _safety.as_pilot_error(path, cannot_load):
        image = keras.Input(shapes[0][1:], dtype="uint8", name="image")
        results = network(keras.layers.Rescaling(1 / 255, name="normalise")(image))
        by_name = dict(zip(names, results, strict=True))
        model = keras.Model(image, {head: by_name[name] for head, name in heads.items()}, name="donkey")
    return model, pilot, _card(pilot, sizes, heads)


def recognise_tflite(
    path: Path, interpreter: LiteRTInterpreter, throttle_range: float
) -> tuple[Pilot, dict[str, Any]]:
    """Finds out which of Donkeycar's pilots a `.tflite` is, and binds its heads.

    Raises:
        PilotError: it is none of them.
    """
    sizes = interpreter.outputs
    heads, pilot = _recognise(sizes, interpreter.image_shape, throttle_range, path)
    interpreter.bind(heads)
    return pilot, _card(pilot, sizes, heads)


def _recognise(
    sizes: Mapping[str, tuple[int, ...]],
    image_shape: Sequence[int],
    throttle_range: float,
    path: Path,
) -> tuple[dict[str, str], Pilot]:
    """Returns {head: output's name} and the pilot that decodes them."""
    height, width, channels = image_shape
    shape = (height, width, channels)
    if dict(sizes) == _CATEGORICAL_SIZES:
        # Donkeycar decodes bin i of N as i * range / N, so its last bin is one step below the range.
        top = throttle_range * (THROTTLE_BINS - 1) / THROTTLE_BINS
        settings = CategoricalSettings(image_shape=shape, max_throttle=top, decoding="argmax")
        return dict(zip((STEERING, THROTTLE), CATEGORICAL_OUTPUTS, strict=True)), Categorical(settings)
    if len(sizes) == 2 and all(size == (1,) for size in sizes.values()):
        # Two numbers are angle and throttle in this order, whatever their names: so Donkeycar reads them.
        return dict(zip((STEERING, THROTTLE), sizes, strict=True)), Linear(LinearSettings(image_shape=shape))
    got = ", ".join(f"{name} {size}" for name, size in sizes.items())
    raise PilotError(
        f"{path}: expected a pilot of dingocar (with a dingocar.json) or of Donkeycar (two outputs of "
        f"one number, or angle_out of 15 and throttle_out of 20), got the outputs {got}"
    )


def _config(path: Path) -> Any:
    """The network's description in a `.h5` file."""
    import h5py

    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    if text is None:
        raise PilotError(
            f"{path}: expected a whole Keras model, got an .h5 file without model_config (weights alone?)"
        )
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise PilotError(f"{path}: its model_config is no JSON ({_safety.short(error)})") from None


def _restore_axes(network: Any, config: Any) -> None:
    """Sets the axes of normalisations over several axes, which Keras 3 drops from a `.h5` file."""
    for layer in config["config"]["layers"]:
        axis = layer["config"].get("axis")
        if isinstance(axis, list) and len(axis) > 1:
            network.get_layer(layer["config"]["name"]).axis = axis


def _card(pilot: Pilot, sizes: Mapping[str, tuple[int, ...]], heads: Mapping[str, str]) -> dict[str, Any]:
    # Imported here: the artefact's module imports this one.
    from dingocar.zoo.artefact import make_card

    units = {head: int(sizes[name][0]) for head, name in heads.items()}
    return make_card(pilot, units, {"outputs": dict(heads), "origin": "Donkeycar", "created": None})
