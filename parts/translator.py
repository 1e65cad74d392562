"""A translator in the loop: the camera's picture in, out one like those the pilot has learned from."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path

import numpy as np

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import DingocarError, TranslatorError
from dingocar.images import Uint8Array
from dingocar.translate.artefact import load_for_loop

logger = logging.getLogger(__name__)

#: So long after a failure another one holds the car, and so long without one lets it go again.
PASSED_S, CALM_S = 0.2, 1.0


class TranslatorPart:
    """Runs a translator's file: inputs `cam/image_array`, `run_pilot`; outputs `cam/translated`,
    `translator/latency_s`.

    Where it fails, the picture is passed through as it is, and a warning is logged, once. A pilot does not
    know such pictures: where it fails again after `PASSED_S` the time is inf, which holds the car, until
    nothing has failed for `CALM_S`.

    Args:
        path: the file, `.keras` or `.tflite`; of one with two directions "to_sim".
        threads: of the interpreter; None: all cores, up to 4.
        image_shape: (height, width) of the pictures that will come; None: unknown yet.
        gated: whether a gate hears that time; otherwise the drive ends at the first failure.
        clock: tells the time.

    Attributes:
        gives: the domain that the pictures look like afterwards, "sim" or "real".
        failures: pictures that were passed through.

    Raises:
        TranslatorError: the file is missing, no translator, or one for pictures of another size.
    """

    def __init__(
        self,
        path: Path | str,
        threads: int | None = None,
        image_shape: tuple[int, int] | None = None,
        gated: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._translator = load_for_loop(path, threads)
        height, width, _ = self._translator.image_shape
        if image_shape is not None and image_shape != (height, width):
            self._translator.close()
            raise TranslatorError(
                f"{path}: is for pictures of {height}x{width} pixels, the camera's have "
                f"{image_shape[0]}x{image_shape[1]}; set IMAGE_H and IMAGE_W, or train a translator for this "
                "size"
            )
        self.gives = self._translator.gives
        self.failures = 0
        self._gated, self._clock = gated, clock or MonotonicClock()
        self._first_s = self._last_s = -math.inf  # failures
        self._held = False
        # The first one takes longer than all others.
        self._translator.run(np.zeros(self._translator.image_shape, np.uint8))

    def run(self, image: Uint8Array | None, wanted: bool = True) -> tuple[Uint8Array | None, float]:
        """The translated picture, and the seconds that took; None and inf where there is none, or nobody to
        look at it; the picture itself and inf where the car is held.

        Raises:
            TranslatorError: it fails, and no gate would hold the car.
        """
        if image is None or not wanted:
            return None, math.inf
        began_s = time.perf_counter()
        try:
            image = self._translator.run(image)
            failed = False
        except DingocarError as error:  # all else is a bug, which ends the drive
            if not self._gated:
                raise
            failed = True
            self.failures += 1
            if self.failures == 1:
                logger.warning("pictures are passed through untranslated: %s", error)
        self._judge(failed)
        return image, math.inf if self._held else time.perf_counter() - began_s

    def _judge(self, failed: bool) -> None:
        """Decides whether the car is held."""
        now_s = self._clock.now_s()
        if failed:
            if now_s - self._last_s >= CALM_S:
                self._first_s = now_s
            self._last_s = now_s
            if not self._held and now_s - self._first_s >= PASSED_S:
                self._held = True
                lasted_s = now_s - self._first_s
                logger.error("pictures were not translated for %.1f s: the car is held", lasted_s)
        elif now_s - self._last_s >= CALM_S:
            self._held = False

    def shutdown(self) -> None:
        self._translator.close()
