"""Export: a pilot as `.tflite` (float or int8), or as `.h5` and `.tflite` that Donkeycar drives and trains.

Needs Keras's TensorFlow backend: the converter to TensorFlow Lite is TensorFlow's.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dingocar.errors import ImageError, PilotError, UsageError
from dingocar.images import Uint8Array, check_image
from dingocar.zoo import _keras2, foreign
from dingocar.zoo.artefact import load_network, make_card, write_bytes, write_tflite
from dingocar.zoo.pilot import STEERING, THROTTLE, Array, Pilot

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

#: Most pictures that int8 calibration looks at; more change the ranges no more.
MAX_CALIBRATION = 300
_NORMALISE = "normalise"

Source = Path | str | tuple[Pilot, "keras.Model"]


def export_tflite(
    source: Source,
    out: Path | str,
    quantise: Literal["int8"] | None = None,
    images: Iterable[Uint8Array] | None = None,
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a pilot as `.tflite`, with its card.

    Args:
        source: a `.keras` pilot, or a pilot and its trained network.
        out: the file to write; ends in `.tflite`.
        quantise: None keeps float32 and takes the uint8 picture. "int8" makes every operation an
            integer one (weights per channel); input uint8, outputs int8.
        images: for int8: uint8 (H, W, 3) pictures like the ones it will drive on, the first
            `MAX_CALIBRATION` of which set the ranges of all values inside. Take some hundred, spread
            over the tubs it was trained with.
        card: what the card should say; None takes the `.keras` file's card over.

    Returns:
        `out`.

    Raises:
        UsageError: int8 without pictures, or an unknown `quantise`.
        ImageError: a picture has the wrong shape.
        PilotError: the source is no pilot, or the network cannot be converted.
    """
    if quantise not in (None, "int8"):
        raise UsageError(f"quantise: expected None or 'int8', got {quantise!r}")
    pilot, model, old_card = _open(source)
    heads = _sizes(model)
    if quantise is None:
        flatbuffer = convert(model, "image", "uint8", {head: head for head in heads})
    else:
        calibration = _calibration(images, pilot)
        network = _integer_norms(unit_input(model, "int8 export"))
        flatbuffer = convert(network, "image", "float32", {head: head for head in heads}, calibration)
    more = {
        **(old_card if card is None else card),
        "quantised": quantise,
        "outputs": {head: head for head in heads},
    }
    return write_tflite(out, flatbuffer, make_card(pilot, heads, more))


def export_for_donkeycar(source: Source, out: Path | str) -> list[Path]:
    """Writes a pilot as files that Donkeycar 5.3.0 (Keras 2.15) drives: `.h5` and `.tflite`.

    The network loses its normalisation layer, as Donkeycar divides by 255 itself; so a linear or
    categorical pilot becomes Donkeycar's own, layer for layer, and Donkeycar can train it on
    (`donkey train --transfer`). Donkeycar's type is `linear`, or `categorical` for a categorical pilot, with
    `MODEL_CATEGORICAL_MAX_THROTTLE_RANGE` as `donkeycar_throttle_range` says.

    Args:
        source: a `.keras` pilot, or a pilot and its trained network.
        out: the path without a suffix, or with `.h5` or `.tflite` for this file alone.

    Returns:
        The files written.

    Raises:
        PilotError: Donkeycar cannot express the pilot; the message says why.
    """
    out = Path(out)
    if out.suffix not in ("", ".h5", ".tflite"):
        raise UsageError(f"{out}: expected a path ending in .h5, in .tflite or without a suffix")
    pilot, model, _ = _open(source)
    names = _donkeycar_names(pilot, _sizes(model))
    network = unit_input(model, "export for Donkeycar")
    paths = []
    if out.suffix in ("", ".h5"):
        paths.append(out.with_suffix(".h5"))
        content = _keras2.to_h5(network, "img_in", names)
        write_bytes(paths[-1], content)
    if out.suffix in ("", ".tflite"):
        paths.append(out.with_suffix(".tflite"))
        write_bytes(paths[-1], convert(network, "img_in", "float32", names))
    return paths


def donkeycar_throttle_range(pilot: Pilot) -> float:
    """The `MODEL_CATEGORICAL_MAX_THROTTLE_RANGE` with which Donkeycar decodes a categorical pilot.

    Donkeycar decodes bin i of N as i * range / N; here the last bin, i = N - 1, is the largest throttle.

    >>> from dingocar.zoo.categorical import Categorical, CategoricalSettings
    >>> round(donkeycar_throttle_range(Categorical(CategoricalSettings(max_throttle=0.76))), 6)
    0.8
    """
    steering, throttle = np.eye(1, foreign.STEERING_BINS), np.eye(1, foreign.THROTTLE_BINS)[:, ::-1]
    top = float(pilot.decode({STEERING: steering, THROTTLE: throttle})[1][0])
    return top * foreign.THROTTLE_BINS / (foreign.THROTTLE_BINS - 1)


def unit_input(model: keras.Model, purpose: str) -> keras.Model:
    """The network behind its normalisation layer: it takes float32 pictures in [0, 1].

    Raises:
        PilotError: the picture does not go through one `Rescaling` by 1/255 and nothing else.
    """
    import keras

    scale = next((layer for layer in model.layers if layer.name == _NORMALISE), None)
    if (
        isinstance(scale, keras.layers.Rescaling)
        and np.isclose(scale.scale, 1 / 255)
        and not scale.offset
        and scale.input is model.inputs[0]
    ):
        try:
            return keras.Model(scale.output, model.output, name=model.name)
        except ValueError:  # the picture also goes elsewhere
            pass
    raise PilotError(
        f"{purpose}: pilot {model.name}'s picture must go through the layer {_NORMALISE!r} (a Rescaling by "
        "1/255, see dingocar.zoo._blocks.image_input) and nowhere else"
    )


def check_backend() -> None:
    """Raises a `PilotError` unless Keras runs on TensorFlow."""
    import keras

    if keras.config.backend() != "tensorflow":
        raise PilotError(
            f"export needs Keras's TensorFlow backend, got {keras.config.backend()!r}: "
            "run it with KERAS_BACKEND=tensorflow (the file is the same)"
        )


def _open(source: Source) -> tuple[Pilot, Any, dict[str, Any]]:
    check_backend()
    if isinstance(source, tuple):
        return source[0], source[1], {}
    return load_network(source)


def _calibration(images: Iterable[Uint8Array] | None, pilot: Pilot) -> list[Array]:
    """float32 (1, H, W, 3) pictures in [0, 1], which use that range to its ends."""
    shape = pilot.settings.image_shape
    found = []
    for image in itertools.islice(() if images is None else images, MAX_CALIBRATION):
        if check_image(image, "calibration picture").shape != shape:
            raise ImageError(f"calibration picture: expected shape {shape}, got {image.shape}")
        found.append(image)
    if not found:
        raise UsageError("int8 export needs pictures for calibration: name the training tub (--tub)")
    # Two pixels make the input's range exactly [0, 1], its step 1/255: the picture's own bytes.
    extremes = found[0].copy()
    extremes[0, 0], extremes[-1, -1] = 0, 255
    return [image[np.newaxis].astype(np.float32) / 255 for image in [extremes, *found]]


def convert(
    model: Any,
    input_name: str,
    input_type: str,
    names: Mapping[str, str],
    calibration: list[Array] | None = None,
) -> bytes:
    """Converts a network to a TensorFlow Lite flatbuffer for one picture.

    Args:
        model: gives {head: tensor}.
        input_name: the input's name in the signature.
        input_type: the network's own input type.
        names: {head: name of the output in the signature}.
        calibration: pictures for full-integer quantisation; None keeps float32.
    """
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    shape = (1, *model.inputs[0].shape[1:])
    signature = [tf.TensorSpec(shape, input_type, name=input_name)]

    def function(body: Callable[[Any], Any]) -> Any:
        return tf.function(body, input_signature=signature, autograph=False)

    def network(image: Any) -> list[Any]:
        outputs = model(image, training=False)
        return [outputs[head] for head in names]

    # Keras's variables would stay variables in the file, unset; as constants they are weights.
    frozen = convert_to_constants.convert_variables_to_constants_v2(function(network).get_concrete_function())
    module = tf.Module()
    module.serve = function(lambda image: dict(zip(names.values(), frozen(image), strict=True)))
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if calibration is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: _feeds(input_name, calibration)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
            converter.inference_output_type = tf.int8
        try:
            with warnings.catch_warnings():
                # TensorFlow calibrates with its own interpreter and warns of it.
                warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
                flatbuffer: bytes = converter.convert()
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            lines = str(error).splitlines()
            raise PilotError(
                f"{model.name} cannot be converted to TensorFlow Lite: {lines[0] if lines else error!r}"
            ) from None
    return flatbuffer


def _integer_norms(model: Any) -> Any:
    """A copy whose layer normalisations subtract the mean.

    Keras adds the negated mean instead, and TensorFlow Lite has no integer negation: the network would
    hold one float operation, which integer-only devices do not run.
    """
    import keras

    class IntegerNorm(keras.layers.LayerNormalization):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            mean = keras.ops.mean(inputs, self.axis, keepdims=True)
            centred = inputs - mean
            variance = keras.ops.mean(keras.ops.square(centred), self.axis, keepdims=True)
            outputs = centred * keras.ops.rsqrt(variance + self.epsilon)
            shape = [n if axis in self.axis else 1 for axis, n in enumerate(inputs.shape)]
            if self.gamma is not None:
                outputs = outputs * keras.ops.reshape(self.gamma, shape)
            return outputs if self.beta is None else outputs + keras.ops.reshape(self.beta, shape)

    def clone(layer: Any) -> Any:
        norm = isinstance(layer, keras.layers.LayerNormalization)
        kind = IntegerNorm if norm else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def _feeds(input_name: str, calibration: list[Array]) -> Iterator[dict[str, Array]]:
    for image in calibration:
        yield {input_name: image}


def _donkeycar_names(pilot: Pilot, sizes: Mapping[str, int]) -> dict[str, str]:
    """{head: Donkeycar's name for the output}, if Donkeycar decodes the heads as the pilot does.

    Args:
        pilot: its `decode` is tried on made-up outputs.
        sizes: number of outputs of each head of its network.
    """
    n, m = foreign.STEERING_BINS, foreign.THROTTLE_BINS
    if sizes == {STEERING: 1, THROTTLE: 1}:
        numbers = np.linspace(-1, 1, 9, dtype=np.float32)
        probe: dict[str, Array] = {
            STEERING: numbers[:, np.newaxis],
            THROTTLE: -numbers[:, np.newaxis],
        }
        if _decodes(pilot, probe, numbers, -numbers):
            return dict(zip((STEERING, THROTTLE), foreign.LINEAR_OUTPUTS, strict=True))
    elif sizes == {STEERING: n, THROTTLE: m}:
        # Every bin of both heads at least once, as a certainty.
        steering, throttle = np.arange(n * m) % n, np.arange(n * m) % m
        probe = {STEERING: np.eye(n)[steering], THROTTLE: np.eye(m)[throttle]}
        step = donkeycar_throttle_range(pilot) / m
        if _decodes(pilot, probe, steering / (n - 1) * 2 - 1, throttle * step):
            return dict(zip((STEERING, THROTTLE), foreign.CATEGORICAL_OUTPUTS, strict=True))
    raise PilotError(
        f"pilot {pilot.name} cannot be exported for Donkeycar: that drives steering and throttle given as "
        f"numbers, or {n} bins of steering over [-1, 1] and {m} bins of throttle from 0 up; this pilot "
        f"has the heads {dict(sizes)} or decodes them otherwise"
    )


def _sizes(model: Any) -> dict[str, int]:
    return {head: int(tensor.shape[-1]) for head, tensor in model.output.items()}


def _decodes(pilot: Pilot, probe: dict[str, Array], steering: Array, throttle: Array) -> bool:
    """Whether the pilot decodes the probe to these commands."""
    try:
        got = pilot.decode(probe)
    except (ValueError, IndexError):
        return False
    return got[0].shape == steering.shape and bool(
        np.allclose(got[0], steering, atol=1e-5) and np.allclose(got[1], throttle, atol=1e-5)
    )
