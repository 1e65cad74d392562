"""A loaded translator: picture in, picture out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import PilotError, TranslatorError
from dingocar.images import Uint8Array, check_image
from dingocar.translate._method import DIRECTIONS
from dingocar.zoo.interpreter import Interpreter


class RunnableTranslator:
    """A translator in one direction.

    Attributes:
        path: the file it came from.
        card: the content of the file's `dingocar.json`.
        direction: "to_real" or "to_sim".
        image_shape: (height, width, 3) of the pictures it takes and gives.
    """

    def __init__(self, path: Path, card: dict[str, Any], direction: str, interpreter: Interpreter) -> None:
        self.path, self.card, self.direction = path, card, direction
        self.image_shape = interpreter.image_shape
        self._interpreter = interpreter

    @property
    def takes(self) -> str:
        """The domain of the pictures it takes: "sim" or "real"."""
        return DIRECTIONS[self.direction]

    @property
    def gives(self) -> str:
        """The domain whose pictures those it gives are to look like."""
        return self.direction.removeprefix("to_")

    def run(self, image: Uint8Array) -> Uint8Array:
        """Translates one picture, uint8 (H, W, 3) of `image_shape`.

        Raises:
            TranslatorError: the picture has another size, the network is closed or gives what is no number.
            ImageError: it is no picture.
        """
        if check_image(image).shape != self.image_shape:
            raise self._wrong_shape(image.shape)
        return np.asarray(self._bytes(self._interpreter.run, image[np.newaxis])[0])

    def run_batch(self, images: Uint8Array) -> Uint8Array:
        """Translates uint8 (N, H, W, 3) pictures; returns as many."""
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            raise self._wrong_shape(images.shape[1:], images.dtype)
        return self._bytes(self._interpreter.run_batch, images) if len(images) else images.copy()

    def close(self) -> None:
        """Lets the network go; the translator cannot run any more."""
        self._interpreter.close()

    def _bytes(self, network: Callable[[Uint8Array], dict[str, Any]], images: Uint8Array) -> Uint8Array:
        try:
            values = network(images)[self.direction]
        except PilotError as error:  # pilots run on the same interpreters
            raise TranslatorError(f"{self.path}: {error}") from None
        if not np.isfinite(values).all():
            raise TranslatorError(
                f"{self.path}: the network's picture holds what is no finite number; its weights are damaged "
                "or its training diverged; train it again with a smaller learning_rate"
            )
        return as_bytes(values)

    def _wrong_shape(self, shape: Any, dtype: Any = "uint8") -> TranslatorError:
        height, width, _ = self.image_shape
        return TranslatorError(
            f"{self.path}: translates uint8 pictures of {height}x{width} RGB pixels, got {dtype} "
            f"{tuple(shape)}; scale them to that size, or train a translator for this one"
        )


def as_bytes(values: Any) -> Uint8Array:
    """A network's pictures, floats in [0, 255], as uint8."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
