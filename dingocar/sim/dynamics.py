"""How a car moves: a kinematic bicycle with a slow servo, a motor that lags, and late commands."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.sim.physics import Physics
from dingocar.sim.track import FloatArray, wrap_angle

#: (least, greatest) accepted value of each setting of `Dynamics`.
_LIMITS = {
    "wheelbase_m": (0.05, 2.0),
    "max_steering_rad": (0.05, 1.2),
    "steering_rate_radps": (0.1, 100.0),
    "latency_s": (0.0, 0.3),
    "top_speed_mps": (0.1, 20.0),
    "throttle_response_s": (0.001, 2.0),
    "drag_per_s": (0.05, 20.0),
    "substep_s": (0.001, 0.05),
}


class CarMotion(Protocol):
    """The moving state of n cars; see `Motion`."""

    x_m: FloatArray
    y_m: FloatArray
    yaw_rad: FloatArray
    speed_mps: FloatArray
    steering_rad: FloatArray

    def set_physics(self, car: int, physics: Physics) -> None:
        """Gives one car a physics, from its next step on."""

    def place(
        self, cars: npt.NDArray[np.bool_], x_m: FloatArray, y_m: FloatArray, yaw_rad: FloatArray
    ) -> None:
        """Puts the cars of a mask at a pose, standing still."""

    def advance(self, steering: FloatArray, throttle: FloatArray) -> None:
        """Drives one step; replaces the arrays."""


class CarDynamics(Protocol):
    """What a world and an expert must know of a kind of car; see `Dynamics`."""

    @property
    def latency_s(self) -> float:
        """Time from a command to the first movement."""

    @property
    def top_speed_mps(self) -> float:
        """Speed that full throttle ends at."""

    @property
    def min_radius_m(self) -> float:
        """Radius of the tightest turn."""

    def steering_for(self, curvature: npt.ArrayLike) -> FloatArray:
        """The steering that drives a curvature."""

    def motion(self, n: int, dt_s: float) -> CarMotion:
        """The moving state of n such cars."""


@dataclass(frozen=True)
class Dynamics:
    """What decides how a car answers to steering and throttle.

    The defaults are a 1:10 car. A command shows in the third picture after the one it was made from
    (at 20 Hz: 0.15 s), as on real cars, where 3 to 6 pictures were measured.

    Attributes:
        wheelbase_m: distance between the axles.
        max_steering_rad: angle of the front wheels at steering +1 or -1.
        steering_rate_radps: how fast the servo turns the wheels.
        latency_s: time from a command to the first movement of servo and motor, up to 0.3.
        top_speed_mps: speed that full throttle ends at.
        throttle_response_s: time constant of the motor's force.
        drag_per_s: deceleration per speed; without throttle the car loses speed with the time
            constant 1 / drag_per_s.
        substep_s: longest step of the integration.

    Raises:
        UsageError: a value out of its limits.
    """

    wheelbase_m: float = 0.25
    max_steering_rad: float = 0.5
    steering_rate_radps: float = 5.0
    latency_s: float = 0.1
    top_speed_mps: float = 3.0
    throttle_response_s: float = 0.1
    drag_per_s: float = 1.5
    substep_s: float = 0.0125

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = _LIMITS[field.name]
            if not (isinstance(value, int | float) and low <= value <= high):
                raise UsageError(
                    f"Dynamics: {field.name} must be between {low:g} and {high:g}, got {value!r}"
                )

    @property
    def min_radius_m(self) -> float:
        """Radius of the tightest turn, at the rear axle."""
        return self.wheelbase_m / math.tan(self.max_steering_rad)

    def motion(self, n: int, dt_s: float) -> Motion:
        """The moving state of n such cars."""
        return Motion(self, n, dt_s)

    def steering_for(self, curvature: npt.ArrayLike) -> FloatArray:
        """The steering, in [-1, 1], that drives a curvature (1/m, positive to the left)."""
        angle = np.arctan(np.asarray(curvature, float) * self.wheelbase_m)
        return np.clip(-angle / self.max_steering_rad, -1.0, 1.0)


class Motion:
    """The moving state of n cars, each of which may have a physics of its own.

    Attributes:
        x_m, y_m: middle of the rear axle, (n,).
        yaw_rad: (n,), counter-clockwise from +x, in (-pi, pi].
        speed_mps: (n,), negative backwards.
        steering_rad: angle of the front wheels, (n,), positive to the right as in the command.
    """

    def __init__(self, dynamics: Dynamics, n: int, dt_s: float) -> None:
        """Prepares n cars that stand still at the origin; `place` puts them on the track."""
        self.dynamics, self._dt_s = dynamics, dt_s
        self.x_m, self.y_m, self.yaw_rad = np.zeros(n), np.zeros(n), np.zeros(n)
        self.speed_mps, self.steering_rad, self._force = np.zeros(n), np.zeros(n), np.zeros(n)
        self._cars = np.arange(n)
        self._substeps = math.ceil(dt_s / dynamics.substep_s - 1e-9)
        self._substep_s = dt_s / self._substeps
        self._force_decay = math.exp(-self._substep_s / dynamics.throttle_response_s)
        latest = math.ceil(_LIMITS["latency_s"][1] / dt_s - 1e-9)
        self._commands = np.zeros((latest + 1, 2, n))  # newest first
        self._ages = np.zeros((self._substeps, n), np.intp)
        self._top_mps, self._speed_decay = np.zeros(n), np.zeros(n)
        self._steering_gain, self._steering_offset = np.zeros(n), np.zeros(n)
        self._grip_mps2 = np.zeros(n)
        for car in range(n):
            self.set_physics(car, Physics())

    def set_physics(self, car: int, physics: Physics) -> None:
        """Gives one car a physics, from its next step on."""
        d, h = self.dynamics, self._substep_s
        latency_s = min(max(d.latency_s + physics.latency_offset_s, 0.0), _LIMITS["latency_s"][1])
        # In substep j the command of `age` steps ago acts.
        starts_s = np.arange(self._substeps) * h - latency_s
        self._ages[:, car] = -np.floor(starts_s / self._dt_s + 1e-9)
        self._top_mps[car] = d.top_speed_mps * physics.speed_gain
        self._speed_decay[car] = math.exp(-h * d.drag_per_s * physics.drag_gain)
        self._steering_gain[car] = physics.steering_gain
        self._steering_offset[car] = physics.steering_offset
        self._grip_mps2[car] = physics.most_mps2

    def place(
        self, cars: npt.NDArray[np.bool_], x_m: FloatArray, y_m: FloatArray, yaw_rad: FloatArray
    ) -> None:
        """Puts the cars of a (n,) mask at a pose, standing still; the poses are (n,) too."""
        self.x_m = np.where(cars, x_m, self.x_m)
        self.y_m = np.where(cars, y_m, self.y_m)
        self.yaw_rad = np.where(cars, wrap_angle(yaw_rad), self.yaw_rad)
        self.speed_mps, self.steering_rad, self._force = (
            np.where(cars, 0.0, value) for value in (self.speed_mps, self.steering_rad, self._force)
        )
        self._commands = np.where(cars, 0.0, self._commands)

    def advance(self, steering: FloatArray, throttle: FloatArray) -> None:
        """Drives one step of `dt_s` under the commands, (n,) in [-1, 1].

        All arrays are replaced, not written to, so that states handed out before stay true.
        """
        d, h = self.dynamics, self._substep_s
        steering = np.clip(steering * self._steering_gain + self._steering_offset, -1.0, 1.0)
        self._commands = np.concatenate([np.stack([steering, throttle])[None], self._commands[:-1]])
        x, y, yaw, speed = self.x_m, self.y_m, self.yaw_rad, self.speed_mps
        angle, force = self.steering_rad, self._force
        most = d.steering_rate_radps * h
        slips = bool(np.isfinite(self._grip_mps2).any())
        for ages in self._ages:
            wanted, gas = self._commands[ages, :, self._cars].T
            angle = angle + np.clip(wanted * d.max_steering_rad - angle, -most, most)
            force = gas + (force - gas) * self._force_decay
            before = speed
            top = force * self._top_mps
            speed = top + (speed - top) * self._speed_decay
            way = (before + speed) * (h / 2)
            bend = np.tan(angle) / d.wheelbase_m
            if slips:  # the tyres give no tighter turn at this speed: understeer
                widest = self._grip_mps2 / np.maximum(speed * speed, 1e-9)
                bend = np.clip(bend, -widest, widest)
            turn = -way * bend
            middle = yaw + turn / 2
            x, y, yaw = x + way * np.cos(middle), y + way * np.sin(middle), yaw + turn
        self.x_m, self.y_m, self.yaw_rad = x, y, wrap_angle(yaw)
        self.speed_mps, self.steering_rad, self._force = speed, angle, force
