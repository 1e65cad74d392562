"""What one episode's car and camera are like beside what was planned: parameters of the randomisation."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from dingocar.errors import UsageError

#: (least, greatest) value of each parameter.
PHYSICS_BOUNDS: dict[str, tuple[float, float]] = {
    "camera_height_gain": (0.5, 2.0),
    "camera_pitch_offset_rad": (-0.4, 0.4),
    "camera_fov_gain": (0.6, 1.4),
    "camera_forward_offset_m": (-0.2, 0.2),
    "camera_left_offset_m": (-0.1, 0.1),
    "camera_yaw_offset_rad": (-0.3, 0.3),
    "camera_k1_offset": (-0.2, 0.2),
    "latency_offset_s": (-0.1, 0.2),
    "steering_offset": (-0.3, 0.3),
    "steering_gain": (0.5, 1.5),
    "grip_mps2": (0.5, 20.0),
    "drag_gain": (0.3, 3.0),
    "speed_gain": (0.3, 2.0),
    "dropped_frames": (0.0, 0.8),
}


@dataclass(frozen=True)
class Physics:
    """How one episode's car differs from the world's `Camera` and `Dynamics`; the defaults change nothing.

    Attributes:
        camera_height_gain: height of the lens, as a factor.
        camera_pitch_offset_rad: added to the pitch; positive looks farther down.
        camera_fov_gain: field of view, as a factor.
        camera_forward_offset_m, camera_left_offset_m: how far the camera has been moved.
        camera_yaw_offset_rad: how far it has been turned to the left.
        camera_k1_offset: added to the radial distortion.
        latency_offset_s: added to the time from a command to its effect; the sum stays in [0, 0.3].
        steering_offset: added to every steering command: wheels that are not straight at 0.
        steering_gain: factor on every steering command.
        grip_mps2: the largest sideways acceleration; beyond it the car understeers. 20: never.
        drag_gain: factor on the rolling resistance; the car coasts less.
        speed_gain: factor on the speed that a throttle ends at: battery, tyres.
        dropped_frames: chance that a picture is the last one again.

    Raises:
        UsageError: a value out of its bounds.
    """

    camera_height_gain: float = 1.0
    camera_pitch_offset_rad: float = 0.0
    camera_fov_gain: float = 1.0
    camera_forward_offset_m: float = 0.0
    camera_left_offset_m: float = 0.0
    camera_yaw_offset_rad: float = 0.0
    camera_k1_offset: float = 0.0
    latency_offset_s: float = 0.0
    steering_offset: float = 0.0
    steering_gain: float = 1.0
    grip_mps2: float = 20.0
    drag_gain: float = 1.0
    speed_gain: float = 1.0
    dropped_frames: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = PHYSICS_BOUNDS[field.name]
            if not (isinstance(value, int | float) and low <= value <= high):
                raise UsageError(f"Physics: {field.name} must be between {low:g} and {high:g}, got {value!r}")

    @property
    def most_mps2(self) -> float:
        """The largest sideways acceleration; infinite where the tyres never slip."""
        return self.grip_mps2 if self.grip_mps2 < PHYSICS_BOUNDS["grip_mps2"][1] else math.inf

    @property
    def moves_camera(self) -> bool:
        """Whether the episode's camera is not the world's own."""
        own = Physics()
        return any(
            getattr(self, field.name) != getattr(own, field.name)
            for field in fields(self)
            if field.name.startswith("camera_")
        )
