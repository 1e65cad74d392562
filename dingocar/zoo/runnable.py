"""A loaded pilot: picture in, steering and throttle out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import ImageError, PilotError
from dingocar.images import Uint8Array, check_image
from dingocar.zoo.interpreter import Interpreter
from dingocar.zoo.pilot import FloatArray, Pilot


def looks_of(card: Mapping[str, Any]) -> set[str]:
    """What a card says of the pictures that its pilot has learned from; see `RunnablePilot.looks`."""
    adapted = card.get("domain_method") or {}
    tubs = [*card.get("tubs", ()), *adapted.get("unlabelled", ())]
    return {looks for tub in tubs if (looks := tub.get("looks") or tub.get("domain"))}


class RunnablePilot:
    """A pilot that drives: picture in, steering and throttle out.

    Attributes:
        path: the file it came from.
        card: the content of the file's `dingocar.json`.
        image_shape: (height, width, 3) of the pictures it takes.
        pilot: the zoo's pilot that decodes the network's outputs.
    """

    def __init__(self, path: Path, card: dict[str, Any], pilot: Pilot, interpreter: Interpreter) -> None:
        self.path, self.card, self.pilot = path, card, pilot
        self.image_shape = interpreter.image_shape
        self._interpreter = interpreter

    @property
    def looks(self) -> set[str]:
        """The domains that the pictures which it has learned from look like; empty where the file does not
        say.

        Those that it was adapted to without their labels count too.
        """
        return looks_of(self.card)

    def run(self, image: Uint8Array) -> tuple[float, float]:
        """Drives one picture.

        Args:
            image: uint8 (H, W, 3), RGB, of `image_shape`.

        Returns:
            steering and throttle, both in [-1, 1].

        Raises:
            ImageError: the picture has another shape or type.
            PilotError: the network gave something that is no number.
        """
        check_image(image)
        if image.shape != self.image_shape:
            raise self._wrong_shape(image.shape)
        steering, throttle = self.pilot.decode(self._interpreter.run(image[np.newaxis]))
        commands = float(steering[0]), float(throttle[0])
        if not all(map(math.isfinite, commands)):
            raise self._no_number()
        return commands

    def run_batch(self, images: Uint8Array) -> tuple[FloatArray, FloatArray]:
        """Drives uint8 (N, H, W, 3) pictures; returns steering (N,) and throttle (N,)."""
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            raise self._wrong_shape(images.shape[1:], images.dtype)
        if not len(images):
            return np.zeros(0, np.float32), np.zeros(0, np.float32)
        steering, throttle = self.pilot.decode(self._interpreter.run_batch(images))
        if not (np.isfinite(steering).all() and np.isfinite(throttle).all()):
            raise self._no_number()
        return steering, throttle

    def seeing(self, translate: Callable[[Uint8Array], Uint8Array]) -> RunnablePilot:
        """The same pilot that sees what `translate` makes of uint8 (N, H, W, 3) pictures."""
        return RunnablePilot(self.path, self.card, self.pilot, _Through(translate, self._interpreter))

    def check_looks(self, looks: str) -> None:
        """Raises a `PilotError` where the pilot's file says that it knows no pictures that look like `looks`,
        "sim" or "real", to which a translator translates."""
        if self.looks and looks not in self.looks:
            raise PilotError(
                f"{self.path}: has learned from pictures that look {' and '.join(sorted(self.looks))}, and "
                f"the translator makes them look {looks}; take the other one of the two that fits"
            )

    def close(self) -> None:
        """Lets the network go; the pilot cannot run any more."""
        self._interpreter.close()

    def _wrong_shape(self, shape: Any, dtype: Any = "uint8") -> ImageError:
        height, width, _ = self.image_shape
        return ImageError(
            f"{self.path}: the pilot takes uint8 pictures of {height}x{width} RGB pixels, got {dtype} "
            f"{tuple(shape)}; set the camera to that size, or train a pilot for this one"
        )

    def _no_number(self) -> PilotError:
        return PilotError(
            f"{self.path}: the network's output is not a finite number; its weights are damaged or "
            "its training diverged; train it again with a smaller learning rate"
        )


class _Through(Interpreter):
    """Runs another interpreter on what a function makes of its pictures."""

    def __init__(self, translate: Callable[[Uint8Array], Uint8Array], inner: Interpreter) -> None:
        self.image_shape = inner.image_shape
        self._translate, self._inner = translate, inner

    def run(self, images: Uint8Array) -> dict[str, Any]:
        return self._inner.run(self._translate(images))

    def run_batch(self, images: Uint8Array) -> dict[str, Any]:
        return self._inner.run_batch(self._translate(images))

    def close(self) -> None:
        self._inner.close()
