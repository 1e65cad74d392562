"""A trained pilot in the loop: picture in, steering and throttle out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dingocar.zoo import load_pilot


class PilotPart:
    """Runs a pilot file: inputs `cam/image_array`, outputs `pilot/angle`, `pilot/throttle`.

    The file says itself what it is; `.keras` and `.tflite`, ours and Donkeycar's, are loaded alike.

    Args:
        path: the pilot file.
        threads: of the interpreter; None: all cores.

    Raises:
        PilotError: the file is missing, or no pilot.
    """

    def __init__(self, path: Path | str, threads: int | None = None) -> None:
        self.pilot = load_pilot(path, threads=threads)

    def run(self, image: np.ndarray[Any, np.dtype[np.uint8]] | None) -> tuple[float, float]:
        """Steering and throttle, each in [-1, 1]; (0, 0) while there is no picture yet."""
        if image is None:
            return 0.0, 0.0
        return self.pilot.run(image)

    def shutdown(self) -> None:
        self.pilot.close()
