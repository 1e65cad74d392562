"""A wide-angle camera: pinhole with radial distortion, and where on the ground its pixels look."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.sim.physics import Physics
from dingocar.sim.track import FloatArray

_LIMITS = {
    "height_m": (0.02, 5.0),
    "pitch_rad": (-0.5, 1.5),
    "fov_rad": (0.2, 2.7),
    "k1": (-1.0, 1.0),
    "k2": (-1.0, 1.0),
    "forward_m": (-2.0, 2.0),
    "left_m": (-1.0, 1.0),
    "yaw_rad": (-1.6, 1.6),
}


@dataclass(frozen=True)
class Camera:
    """Where the camera sits and what it sees.

    The lens follows Brown's radial model as in OpenCV: a ray at the tangent r from the optical axis
    is seen at f * r * (1 + k1 r^2 + k2 r^4) pixels from the middle.

    Attributes:
        height_m: of the lens above the ground.
        pitch_rad: how far it looks down.
        fov_rad: horizontal field of view, from the left edge to the right one, distortion included.
        k1, k2: radial distortion; k1 < 0 bends straight lines outwards (barrel), as wide lenses do.
        forward_m, left_m: how far the lens is ahead and to the left of the middle of the rear axle.
        yaw_rad: how far it is turned to the left.
        shape: (height, width) in pixels; the width must be a multiple of 4.

    Raises:
        UsageError: a value out of its limits, or a distortion that folds the picture.
    """

    height_m: float = 0.25
    pitch_rad: float = 0.3
    fov_rad: float = 1.9
    k1: float = -0.05
    k2: float = 0.0
    forward_m: float = 0.2
    shape: tuple[int, int] = (120, 160)
    left_m: float = 0.0
    yaw_rad: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not (isinstance(value, int | float) and low <= value <= high):
                raise UsageError(f"Camera: {name} must be between {low:g} and {high:g}, got {value!r}")
        shape = self.shape
        if (
            len(shape) != 2
            or any(not isinstance(side, int) or not 8 <= side <= 4096 for side in shape)
            or shape[1] % 4
        ):
            raise UsageError(
                "Camera: shape must be (height, width) of 8 to 4096 pixels, the width a multiple of 4; "
                f"got {shape!r}"
            )
        seen, fold_r = self._distorted(math.tan(self.fov_rad / 2)), self._fold_r()
        farthest = math.hypot(*shape) / shape[1] * seen  # the corners
        if math.tan(self.fov_rad / 2) >= fold_r or self._distorted(fold_r) < farthest:
            raise UsageError(
                f"Camera: the distortion k1={self.k1:g}, k2={self.k2:g} folds the picture before its "
                f"corners at fov_rad={self.fov_rad:g}; choose k1 and k2 nearer to 0"
            )

    @classmethod
    def of_shape(cls, shape: tuple[int, int]) -> Camera:
        """The default camera with pictures of another size; from corner to corner it sees the same.

        >>> Camera.of_shape((240, 320)).fov_rad == Camera().fov_rad
        True
        >>> round(Camera.of_shape((120, 120)).fov_rad, 2)
        1.75
        """
        default = cls()
        diagonal_px = math.hypot(*default.shape)
        focal_px = default.focal_px * math.hypot(*shape) / diagonal_px
        seen = np.array([shape[1] / 2 / focal_px])
        fov_rad = 2 * math.atan(float(seen[0] * default._undistort(seen)[0]))
        return cls(fov_rad=round(fov_rad, 9), shape=shape)

    def mounted(self, physics: Physics) -> Camera:
        """This camera as an episode's car carries it; where that were no camera any more, as near to it
        as can be.

        >>> from dingocar.sim.physics import Physics
        >>> Camera().mounted(Physics(camera_height_gain=1.2)).height_m
        0.3
        """
        if not physics.moves_camera:
            return self
        wanted = {
            "height_m": self.height_m * physics.camera_height_gain,
            "pitch_rad": self.pitch_rad + physics.camera_pitch_offset_rad,
            "fov_rad": self.fov_rad * physics.camera_fov_gain,
            "forward_m": self.forward_m + physics.camera_forward_offset_m,
            "left_m": self.left_m + physics.camera_left_offset_m,
            "yaw_rad": self.yaw_rad + physics.camera_yaw_offset_rad,
            "k1": self.k1 + physics.camera_k1_offset,
        }
        for name, value in wanted.items():
            wanted[name] = min(max(value, _LIMITS[name][0]), _LIMITS[name][1])
        while True:
            try:
                return replace(self, **cast(dict[str, Any], wanted))
            except UsageError:  # lens and field of view together fold the picture: nearer to the own lens
                for name in ("fov_rad", "k1"):
                    wanted[name] = (wanted[name] + getattr(self, name)) / 2

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.shape[1] / 2 / self._distorted(math.tan(self.fov_rad / 2))

    def rays(self, shift_px: float = 0.0) -> FloatArray:
        """The direction each pixel looks in, float64 (H, W, 3) = ahead, left, up.

        The length is 1 along the optical axis.

        Args:
            shift_px: how far to the right of and below its middle a pixel is looked through.
        """
        height, width = self.shape
        right = (np.arange(width) + 0.5 + shift_px - width / 2) / self.focal_px
        down = (np.arange(height) + 0.5 + shift_px - height / 2) / self.focal_px
        right, down = np.broadcast_to(right, self.shape), np.broadcast_to(down[:, None], self.shape)
        stretch = self._undistort(np.hypot(right, down))
        return self._in_car(right * stretch, down * stretch)

    def project(
        self, ahead_m: npt.ArrayLike, left_m: npt.ArrayLike, up_m: npt.ArrayLike = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Where a point is seen, given from the middle of the rear axle: (row, column) in pixels.

        Pixel (i, j) covers row i to i + 1 and column j to j + 1. NaN: behind the camera.
        """
        ahead = np.asarray(ahead_m, float) - self.forward_m
        left, up = np.asarray(left_m, float) - self.left_m, np.asarray(up_m, float) - self.height_m
        turn_sine, turn_cosine = math.sin(self.yaw_rad), math.cos(self.yaw_rad)
        ahead, left = turn_cosine * ahead + turn_sine * left, turn_cosine * left - turn_sine * ahead
        sine, cosine = math.sin(self.pitch_rad), math.cos(self.pitch_rad)
        depth = cosine * ahead - sine * up
        depth = np.where(depth > 1e-9, depth, np.nan)
        right, down = -left / depth, (-sine * ahead - cosine * up) / depth
        r2 = right**2 + down**2
        scale = self.focal_px * (1 + self.k1 * r2 + self.k2 * r2**2)
        return self.shape[0] / 2 + down * scale, self.shape[1] / 2 + right * scale

    def _in_car(self, right: FloatArray, down: FloatArray) -> FloatArray:
        """Rays with these tangents to the optical axis, (H, W) each, as the car has them: see `rays`."""
        sine, cosine = math.sin(self.pitch_rad), math.cos(self.pitch_rad)
        ahead, left = cosine - sine * down, -right
        turn_sine, turn_cosine = math.sin(self.yaw_rad), math.cos(self.yaw_rad)
        ahead, left = turn_cosine * ahead - turn_sine * left, turn_sine * ahead + turn_cosine * left
        return np.stack([ahead, left, -sine - cosine * down], axis=-1)

    def _undistort(self, seen: FloatArray) -> FloatArray:
        """How much farther from the axis a ray is than it is seen, by Newton's method."""
        r = seen.copy()
        for _ in range(50):
            excess = r * (1 + self.k1 * r**2 + self.k2 * r**4) - seen
            slope = 1 + 3 * self.k1 * r**2 + 5 * self.k2 * r**4
            r = r - excess / np.maximum(slope, 0.05)
        return np.divide(r, seen, out=np.ones_like(r), where=seen > 0)

    def _distorted(self, r: float) -> float:
        return r * (1 + self.k1 * r**2 + self.k2 * r**4)

    def _fold_r(self) -> float:
        """The tangent at which the distortion stops growing (10 if that is farther out)."""
        r = np.linspace(0.0, 10.0, 5_001)
        falls = np.flatnonzero(np.diff(r * (1 + self.k1 * r**2 + self.k2 * r**4)) <= 0)
        return float(r[falls[0]] if len(falls) else r[-1])
