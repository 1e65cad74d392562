"""A trained pilot in the loop: picture in, steering and throttle out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import PilotError
from dingocar.zoo import load_pilot


class PilotPart:
    """Runs a pilot file: inputs `cam/image_array`, outputs `pilot/angle`, `pilot/throttle`.

    The file says itself what it is; `.keras` and `.tflite`, ours and Donkeycar's, are loaded alike.

    Args:
        path: the pilot file.
        threads: of the interpreter; None: all cores, up to 4.
        image_shape: (height, width) of the pictures that will come; None: unknown yet.
        throttle_range: highest throttle of Donkeycar's categorical pilots, whose files do not say it.

    Raises:
        PilotError: the file is missing, no pilot, or one for pictures of another size.
    """

    def __init__(
        self,
        path: Path | str,
        threads: int | None = None,
        image_shape: tuple[int, int] | None = None,
        throttle_range: float = 0.8,
    ) -> None:
        self.pilot = load_pilot(path, threads, throttle_range)
        height, width, _ = self.pilot.image_shape
        if image_shape not in (None, (height, width)):
            raise PilotError(
                f"{path}: is for pictures of {height}x{width} pixels, the camera's have {image_shape[0]}x"
                f"{image_shape[1]}; set IMAGE_H and IMAGE_W, or train a pilot for this size"
            )

    def run(self, image: np.ndarray[Any, np.dtype[np.uint8]] | None) -> tuple[float, float]:
        """Steering and throttle, each in [-1, 1]; (0, 0) while there is no picture yet."""
        if image is None:
            return 0.0, 0.0
        return self.pilot.run(image)

    def shutdown(self) -> None:
        self.pilot.close()
