"""A trained pilot in the loop: picture in, steering and throttle out."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import PilotError, UsageError
from dingocar.zoo import load_pilot
from dingocar.zoo.runnable import RunnablePilot

NOT_AT_REST = "stop the car first: mode user, no throttle; then change the pilot"


class PilotPart:
    """Runs a pilot file: inputs `cam/image_array`, outputs `pilot/angle`, `pilot/throttle`,
    `pilot/latency_s`.

    The file says itself what it is; `.keras` and `.tflite`, ours and Donkeycar's, are loaded alike.

    Args:
        path: the pilot file; None: none yet, see `use`.
        threads: of the interpreter; None: all cores, up to 4.
        image_shape: (height, width) of the pictures that will come; None: unknown yet.
        throttle_range: highest throttle of Donkeycar's categorical pilots, whose files do not say it.
        looks: the domain that a translator gives the pictures; None: they are the camera's.
        on_change: told the name of the file that drives from now on; "" for none.

    Raises:
        PilotError: the file is missing, no pilot, or one for other pictures.
    """

    def __init__(
        self,
        path: Path | str | None,
        threads: int | None = None,
        image_shape: tuple[int, int] | None = None,
        throttle_range: float = 0.8,
        looks: str | None = None,
        on_change: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._threads, self._image_shape, self._throttle_range = threads, image_shape, throttle_range
        self._looks, self._on_change = looks, on_change
        self._running = threading.Lock()  # a pilot is not taken away while it runs
        self.pilot: RunnablePilot | None = None
        self.use(path)

    def use(self, path: Path | str | None, allowed: Callable[[], bool] = lambda: True) -> None:
        """Lets another pilot drive, or none; may be called from any thread.

        The file is read and run once before it takes over, so that no loop waits for it.

        Args:
            path: the pilot file; None: none.
            allowed: asked at the moment of the change: loading takes seconds, in which much may happen.

        Raises:
            PilotError: as for the class; the pilot so far stays.
            UsageError: it was not allowed; the pilot so far stays.
        """
        pilot = None if path is None else self._load(path)
        with self._running:
            changed = allowed()
            old = pilot
            if changed:
                old, self.pilot = self.pilot, pilot
        if old is not None:
            old.close()
        if not changed:
            raise UsageError(NOT_AT_REST)
        self._on_change("" if path is None else Path(path).name)

    def run(
        self, image: np.ndarray[Any, np.dtype[np.uint8]] | None, earlier_s: float = 0.0
    ) -> tuple[float, float, float]:
        """Steering and throttle, each in [-1, 1], and the seconds that took, those that the picture took
        before it came here included; without a picture or a pilot, or where that took forever, zeros, and
        inf: there will be no answer."""
        with self._running:
            if image is None or self.pilot is None or math.isinf(earlier_s):
                return 0.0, 0.0, math.inf
            began_s = time.perf_counter()
            steering, throttle = self.pilot.run(image)
            return steering, throttle, earlier_s + time.perf_counter() - began_s

    def shutdown(self) -> None:
        if self.pilot is not None:
            self.pilot.close()

    def _load(self, path: Path | str) -> RunnablePilot:
        pilot = load_pilot(path, self._threads, self._throttle_range)
        height, width, _ = pilot.image_shape
        if self._image_shape not in (None, (height, width)):
            pilot.close()
            raise PilotError(
                f"{path}: is for pictures of {height}x{width} pixels, the camera's have "
                f"{self._image_shape[0]}x{self._image_shape[1]}; set IMAGE_H and IMAGE_W, or train a pilot "
                "for this size"
            )
        if self._looks is not None:
            try:
                pilot.check_looks(self._looks)
            except PilotError:
                pilot.close()
                raise
        pilot.run(np.zeros(pilot.image_shape, np.uint8))
        return pilot


class PilotSwitch:
    """Changes a `PilotPart`'s pilot by name, while the car stands.

    Args:
        part: the pilot's part.
        folder: where the pilot files are.
        at_rest: tells whether the user drives and gives no throttle.
    """

    def __init__(self, part: PilotPart, folder: Path, at_rest: Callable[[], bool]) -> None:
        self.part, self.folder, self._at_rest = part, folder, at_rest

    def __call__(self, name: str | None) -> None:
        """Lets the pilot file `name` of the folder drive from now on; None: no pilot.

        Raises:
            UsageError: the car moves, or a pilot may move it, now or when the file has been loaded; or the
                name is no plain file name.
            PilotError: the file is missing, no pilot, or one for pictures of another size.
        """
        if not self._at_rest():
            raise UsageError(NOT_AT_REST)
        if name is not None and (not name or Path(name).name != name or name.startswith(".")):
            raise UsageError(f"the pilot must be a file in {self.folder}, got {name!r}")
        self.part.use(None if name is None else self.folder / name, self._at_rest)
