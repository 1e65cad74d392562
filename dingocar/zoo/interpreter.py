"""What runs a network: Keras (compiled once), or LiteRT for `.tflite` files (no keras needed).

Both take uint8 (1, H, W, 3) pictures, give {head: float32 (1, K)}, and are warmed up when they are made, so
the first frame on the road is as fast as the others.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.errors import PilotError
from dingocar.images import Uint8Array
from dingocar.zoo._safety import as_pilot_error
from dingocar.zoo.pilot import Array

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

_BATCH = 64


class Interpreter(ABC):
    """Runs one network.

    Attributes:
        image_shape: (height, width, 3) of the pictures it takes.
    """

    image_shape: tuple[int, int, int]

    @abstractmethod
    def run(self, images: Uint8Array) -> dict[str, Array]:
        """Runs one picture.

        Args:
            images: uint8 (1, H, W, 3).

        Returns:
            {head: float32 (1, K)}.
        """

    @abstractmethod
    def run_batch(self, images: Uint8Array) -> dict[str, Array]:
        """Runs (N, H, W, 3) pictures; returns {head: float32 (N, K)}."""

    @abstractmethod
    def close(self) -> None:
        """Lets the network go."""


class KerasInterpreter(Interpreter):
    """Runs a Keras model, compiled for pictures of one shape on any of Keras's backends.

    Args:
        model: takes uint8 (B, H, W, 3), gives {head: (B, K)}.
    """

    def __init__(self, model: keras.Model) -> None:
        self.image_shape = tuple(model.inputs[0].shape[1:])
        self._call = _compiled(model, (1, *self.image_shape))
        self._call_many: Callable[[Uint8Array], dict[str, Array]] | None = None
        self._model: keras.Model | None = model
        self.run(np.zeros((1, *self.image_shape), np.uint8))

    def run(self, images: Uint8Array) -> dict[str, Array]:
        """Runs one picture; see `Interpreter.run`."""
        return self._call(images)

    def run_batch(self, images: Uint8Array) -> dict[str, Array]:
        """Runs many pictures, in batches of bounded size."""
        if self._call_many is None:
            self._call_many = _compiled(self._model, (None, *self.image_shape))
        call = self._call_many
        parts = [call(images[at : at + _BATCH]) for at in range(0, len(images), _BATCH)]
        return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}

    def close(self) -> None:
        """Lets the model and its compiled functions go."""
        self._model = None
        self._call = self._call_many = _closed


def _compiled(model: Any, shape: tuple[int | None, ...]) -> Callable[[Uint8Array], dict[str, Array]]:
    """Returns `model` as a fast function of uint8 arrays of `shape`, for the backend in use."""
    import keras

    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        # A concrete function skips the tracing checks, a fifth of the time of a small network.
        function = tf.function(
            lambda image: model(image, training=False),
            input_signature=[tf.TensorSpec(shape, tf.uint8, name="image")],
            autograph=False,
        ).get_concrete_function()
        return lambda images: {head: tensor.numpy() for head, tensor in function(tf.constant(images)).items()}
    if backend == "jax":
        import jax

        state = (
            [variable.value for variable in model.trainable_variables],
            [variable.value for variable in model.non_trainable_variables],
        )
        jitted = jax.jit(lambda s, image: model.stateless_call(*s, image, training=False)[0])
        return lambda images: {head: np.asarray(x) for head, x in jitted(state, images).items()}

    if backend == "torch":
        import torch

        def call(images: Uint8Array) -> dict[str, Array]:
            with torch.inference_mode():
                outputs = model(keras.ops.convert_to_tensor(images), training=False)
            return {head: keras.ops.convert_to_numpy(x) for head, x in outputs.items()}

        return call
    raise PilotError(f"the Keras backend {backend!r} cannot drive; use tensorflow, jax or torch")


def _closed(images: Uint8Array) -> dict[str, Array]:
    raise PilotError("this network was closed; load its file again to run it")


#: File descriptors are the whole process's.
_GREETING = threading.Lock()


@contextlib.contextmanager
def _without_greeting() -> Iterator[None]:
    """LiteRT says on stderr that it is there, and cannot be told not to; all else that is said is kept."""
    with _GREETING, contextlib.ExitStack() as stack:
        try:
            said = stack.enter_context(tempfile.TemporaryFile())
            kept = os.dup(2)
        except OSError:  # a full disk, or stderr is closed
            yield
            return
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            said.seek(0)
            with contextlib.suppress(OSError):  # the terminal has gone
                os.write(kept, b"".join(line for line in said if not line.startswith(b"INFO: ")))
            os.close(kept)


class LiteRTInterpreter(Interpreter):
    """Runs a `.tflite` network with LiteRT, without keras or tensorflow.

    A plain uint8 input takes the picture itself. A float input, or one with a quantisation, takes
    pixels divided by 255, as Donkeycar's do; with a step of 1/255 that is the picture itself too.

    Args:
        path: the file.
        threads: threads to use; None takes all cores, up to 4.

    Attributes:
        outputs: name of each output in the file's signature -> its shape without the batch. LiteRT's
            own order of outputs is not the model's, so outputs are known by name only.

    Raises:
        PilotError: LiteRT cannot load the file, or it takes no single RGB picture.
    """

    def __init__(self, path: Path | str, threads: int | None = None) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter as LiteRT
        except ImportError as error:
            raise PilotError(
                f"{path}: driving a .tflite needs the package 'ai-edge-litert' ({error}): "
                "run pip install ai-edge-litert"
            ) from None
        with as_pilot_error(path, "expected a .tflite network of LiteRT's built-in operations"):
            with _without_greeting():
                self._litert: Any = LiteRT(str(path), num_threads=threads or _default_threads())
                self._litert.allocate_tensors()
            self.image_shape = self._find_input(path)
            self._details = self._find_outputs()
            self.outputs = {
                name: tuple(int(n) for n in detail["shape"][1:]) for name, detail in self._details.items()
            }
            self._heads: list[tuple[str, int, float, int]] = []
            self.bind({name: name for name in self.outputs})
            self.run(np.zeros((1, *self.image_shape), np.uint8))

    def bind(self, heads: Mapping[str, str]) -> None:
        """Says which outputs to read, and what to call them: {head: name in the signature}."""
        self._heads = []
        for head, name in heads.items():
            if name not in self._details:
                raise PilotError(
                    f"the .tflite must have the output {name!r}; it has "
                    f"{', '.join(map(repr, sorted(self._details)))}"
                )
            detail = self._details[name]
            scale, zero = detail["quantization"]
            self._heads.append((head, detail["index"], float(scale), int(zero)))

    def run(self, images: Uint8Array) -> dict[str, Array]:
        """Runs one picture; see `Interpreter.run`."""
        litert = self._litert
        if litert is None:
            return _closed(images)
        if self._table is not None:
            images = self._table[images]
        elif self._floats is not None:
            images = np.multiply(images, np.float32(1 / 255), out=self._floats)
        litert.set_tensor(self._input, images)
        litert.invoke()
        outputs = {}
        for head, index, scale, zero in self._heads:
            value = litert.get_tensor(index)
            outputs[head] = (value.astype(np.float32) - zero) * scale if scale else value
        return outputs

    def run_batch(self, images: Uint8Array) -> dict[str, Array]:
        """Runs many pictures, one after the other: the network is laid out for one."""
        parts = [self.run(image[np.newaxis]) for image in images]
        return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}

    def close(self) -> None:
        """Lets the network go."""
        self._litert = None

    def _find_input(self, path: Path | str) -> tuple[int, int, int]:
        details = self._litert.get_input_details()
        shapes = [tuple(int(n) for n in detail["shape"]) for detail in details]
        if len(shapes) != 1 or len(shapes[0]) != 4 or (shapes[0][0], shapes[0][3]) != (1, 3):
            raise PilotError(
                f"{path}: expected a network with one picture (1, H, W, 3) as its input, got {shapes}"
            )
        detail, shape = details[0], shapes[0]
        self._input = detail["index"]
        scale, zero = detail["quantization"]
        self._table: Array | None = None
        self._floats: Array | None = None
        kind = np.dtype(detail["dtype"])
        if kind == np.float32:
            self._floats = np.zeros(shape, np.float32)
        elif kind in (np.uint8, np.int8):
            if scale:
                limits = np.iinfo(kind)
                steps = np.round(np.arange(256) / 255 / scale) + zero
                table = np.clip(steps, limits.min, limits.max).astype(kind)
                same = kind == np.uint8 and np.array_equal(table, np.arange(256))
                self._table = None if same else table
        else:
            raise PilotError(f"{path}: expected a float32, uint8 or int8 input, got {kind}")
        return shape[1], shape[2], shape[3]

    def _find_outputs(self) -> dict[str, Any]:
        signatures = self._litert.get_signature_list()
        if not signatures:
            return {detail["name"]: detail for detail in self._litert.get_output_details()}
        key = "serving_default" if "serving_default" in signatures else next(iter(signatures))
        details = self._litert.get_signature_runner(key).get_output_details()
        return {name: details[name] for name in signatures[key]["outputs"]}


def _default_threads() -> int:
    return min(4, os.cpu_count() or 1)
