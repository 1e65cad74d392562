"""A camera without a camera: a moving pattern, for trying out a car on a desk."""

from __future__ import annotations

import numpy as np

from dingocar.clock import Clock
from dingocar.images import Uint8Array
from dingocar.parts.cameras._camera import Camera


class MockCamera(Camera):
    """Outputs `cam/image_array`, `cam/age_s`: coloured blocks that move to the right; see `Camera`.

    Args:
        image_shape: (height, width) of the pictures.
        rate_hz: pictures per second.
        seed: of the pattern; the n-th picture depends on it and on n alone.
        clock: what tells time; tests pass a fake.
    """

    still = True
    paced = True

    def __init__(
        self,
        image_shape: tuple[int, int] = (120, 160),
        rate_hz: float = 20.0,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        coarse = np.random.default_rng(seed).integers(40, 216, (8, 8, 3), np.uint8)
        height, width = image_shape
        rows = np.arange(height) * 8 // max(height, 1)
        columns = np.arange(width) * 8 // max(width, 1)
        self._pattern: Uint8Array = coarse[rows][:, columns]
        self._count = 0
        super().__init__(image_shape, rate_hz, clock)

    def read(self) -> Uint8Array:
        """The next picture: the pattern, two pixels further to the right."""
        self._count += 1
        return np.roll(self._pattern, 2 * self._count, axis=1)
