"""The Duckiebot's camera as gym-duckietown draws it: a pinhole picture, distorted by a calibrated lens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dingocar.sim.camera import Camera
from dingocar.sim.track import FloatArray

#: Width and height of the picture that all constants are for.
SIZE_PX = np.array([640.0, 480.0])
#: Vertical field of view of the pinhole picture, in degrees.
FOV_Y_DEG = 75.0
#: The lens: focal lengths and middle in pixels, radial and tangential distortion (OpenCV's model).
FOCAL_PX = np.array([305.5718893575089, 308.8338858195428])
MIDDLE_PX = np.array([303.0797142544728, 231.8845403702499])
K1, K2, P1, P2 = -0.2, 0.0305, 0.0005859930422629722, -0.0006697840226199427
#: The matrix that undistorting such a picture without black borders ends at (OpenCV's alpha = 0).
FREE_FOCAL_PX = np.array([217.83360227, 264.14761074])
FREE_MIDDLE_PX = np.array([289.59435749, 229.45912466])

_FOV_RAD = 2 * math.atan(SIZE_PX[0] / SIZE_PX[1] * math.tan(math.radians(FOV_Y_DEG) / 2))


@dataclass(frozen=True)
class DuckiebotCamera(Camera):
    """A camera whose picture is gym-duckietown's of 480 x 640, scaled to `shape`.

    There the distorted picture is a pinhole picture with its pixels moved, as if that had been made by
    undistorting: its middle is magnified by 1.4 across and by 1.2 down.

    Attributes:
        fov_rad: horizontal field of view of the pinhole picture.
        k1, k2: radial distortion of the lens, used where `distortion` is.
        distortion: False: the pinhole picture itself.
    """

    height_m: float = 0.108
    pitch_rad: float = math.radians(19.15)
    fov_rad: float = _FOV_RAD
    k1: float = K1
    k2: float = K2
    forward_m: float = 0.066
    distortion: bool = True

    @property
    def focal_px(self) -> float:
        """Focal length of the pinhole picture, in pixels of the width."""
        return self.shape[1] / 2 / math.tan(self.fov_rad / 2)

    def rays(self, shift_px: float = 0.0) -> FloatArray:
        """The direction each pixel looks in, float64 (H, W, 3) = ahead, left, up; see `Camera.rays`."""
        height, width = self.shape
        columns = (np.arange(width) + 0.5 + shift_px) * (SIZE_PX[0] / width)
        rows = (np.arange(height) + 0.5 + shift_px) * (SIZE_PX[1] / height)
        pixel = np.stack(np.meshgrid(columns, rows), axis=-1)
        if self.distortion:
            # OpenCV counts from the middle of the first pixel, we from its corner.
            lens = (pixel - 0.5 - MIDDLE_PX) / FOCAL_PX
            pixel = self._straightened(lens) * FREE_FOCAL_PX + FREE_MIDDLE_PX + 0.5
        right, down = np.moveaxis((pixel - SIZE_PX / 2) / self._pinhole_px, -1, 0)
        return self._in_car(right, down)

    def project(
        self, ahead_m: npt.ArrayLike, left_m: npt.ArrayLike, up_m: npt.ArrayLike = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Where a point is seen: (row, column) in pixels; see `Camera.project`."""
        pinhole = Camera(
            *(self.height_m, self.pitch_rad, self.fov_rad, 0.0, 0.0, self.forward_m),
            *((int(SIZE_PX[1]), int(SIZE_PX[0])), self.left_m, self.yaw_rad),
        )
        row, column = pinhole.project(ahead_m, left_m, up_m)
        pixel = np.stack(np.broadcast_arrays(column, row), axis=-1)
        if self.distortion:
            bent = self._bent((pixel - 0.5 - FREE_MIDDLE_PX) / FREE_FOCAL_PX)
            pixel = bent * FOCAL_PX + MIDDLE_PX + 0.5
        height, width = self.shape
        return pixel[..., 1] * (height / SIZE_PX[1]), pixel[..., 0] * (width / SIZE_PX[0])

    @property
    def _pinhole_px(self) -> float:
        return float(SIZE_PX[0]) / 2 / math.tan(self.fov_rad / 2)

    def _bent(self, straight: FloatArray) -> FloatArray:
        """The lens: where rays (..., 2) = right, down tangents are seen."""
        x, y = straight[..., 0], straight[..., 1]
        r2 = x**2 + y**2
        radial = 1 + self.k1 * r2 + self.k2 * r2**2
        return np.stack(
            [
                x * radial + 2 * P1 * x * y + P2 * (r2 + 2 * x**2),
                y * radial + P1 * (r2 + 2 * y**2) + 2 * P2 * x * y,
            ],
            axis=-1,
        )

    def _straightened(self, seen: FloatArray) -> FloatArray:
        """The inverse of the lens, by fixed-point iteration."""
        straight = seen.copy()
        for _ in range(100):
            error = seen - self._bent(straight)
            straight = straight + error
            if np.abs(error).max() < 1e-9:
                break
        return straight
