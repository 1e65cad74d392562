"""A translator in the loop: the camera's picture in, out one like those the pilot has learned from."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path

import numpy as np

from dingocar.errors import DingocarError, TranslatorError
from dingocar.images import Uint8Array
from dingocar.translate.artefact import load_for_loop

logger = logging.getLogger(__name__)

#: So many pictures in a row may be passed through, half a second at 20 Hz; then the pilot gets no more time.
MOST_IN_A_ROW = 10


class TranslatorPart:
    """Runs a translator's file: inputs `cam/image_array`, `run_pilot`; outputs `cam/translated`,
    `translator/latency_s`.

    Where it fails, the picture is passed through as it is, and a warning is logged, once. A pilot does not
    know such pictures: where `MOST_IN_A_ROW` have failed, the time is inf until one succeeds, which holds the
    car.

    Args:
        path: the file, `.keras` or `.tflite`; of one with two directions "to_sim".
        threads: of the interpreter; None: all cores, up to 4.
        image_shape: (height, width) of the pictures that will come; None: unknown yet.

    Attributes:
        gives: the domain that the pictures look like afterwards, "sim" or "real".
        failures: pictures that were passed through.

    Raises:
        TranslatorError: the file is missing, no translator, or one for pictures of another size.
    """

    def __init__(
        self, path: Path | str, threads: int | None = None, image_shape: tuple[int, int] | None = None
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
        self.failures = self._in_a_row = 0
        # The first one takes longer than all others.
        self._translator.run(np.zeros(self._translator.image_shape, np.uint8))

    def run(self, image: Uint8Array | None, wanted: bool = True) -> tuple[Uint8Array | None, float]:
        """The translated picture, and the seconds that took; None and inf where there is none, or nobody to
        look at it; the picture itself and inf where too many have failed."""
        if image is None or not wanted:
            return None, math.inf
        began_s = time.perf_counter()
        try:
            image = self._translator.run(image)
            self._in_a_row = 0
        except DingocarError as error:
            if not self.failures:
                logger.warning("pictures are passed through untranslated: %s", error)
            self.failures += 1
            self._in_a_row += 1
            if self._in_a_row == MOST_IN_A_ROW:
                logger.error("%d pictures in a row were not translated: the car is held", MOST_IN_A_ROW)
        held = self._in_a_row >= MOST_IN_A_ROW
        return image, math.inf if held else time.perf_counter() - began_s

    def shutdown(self) -> None:
        self._translator.close()
