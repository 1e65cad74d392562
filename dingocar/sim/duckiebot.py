"""The Duckiebot: a slow car on two driven wheels, its camera, and how its makers' expert drives it.

Constants and equations are those of gym-duckietown 6 and duckietown-world 6 (`get_DB18_nominal`), so that
what is learned here can be tried there. Its command of (velocity, angle) and ours are the same two numbers in
other units: velocity is `FULL_VELOCITY` times the throttle, angle is -`FULL_ANGLE` times the steering.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.sim.physics import Physics
from dingocar.sim.track import FloatArray, Track, wrap_angle
from dingocar.sim.world import State

#: Wheel command per m/s of their velocity: 1 / (motor constant 27 * wheel radius 0.0318 m).
WHEEL_PER_VELOCITY = 1 / (27 * 0.0318)
#: Wheel command, added to one wheel and taken from the other, per unit of their angle: half of the
#: 0.102 m between the wheels.
WHEEL_PER_ANGLE = 0.102 / 2 * WHEEL_PER_VELOCITY
#: Their velocity at throttle 1, where both wheel commands are 1.
FULL_VELOCITY = 1 / WHEEL_PER_VELOCITY
#: Their angle at steering -1: the largest their expert asks for.
FULL_ANGLE = 10.0
#: Half of the difference of the wheel commands at steering 1.
WHEEL_PER_STEERING = FULL_ANGLE * WHEEL_PER_ANGLE

#: Speed that both wheels at 1 end at, and the turning rate of a difference of 1 between them.
TOP_SPEED_MPS, TURN_RADPS = 0.6, 3.75
#: How fast speed and turning rate follow the wheels.
SPEED_PER_S, TURN_PER_S = 5.0, 4.0
#: Longest latency that a physics may ask for.
MAX_LATENCY_S = 0.3


def wheels(steering: npt.ArrayLike, throttle: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Our command as wheel commands (left, right), each cut to [-1, 1].

    Nothing is cut while |throttle| + 0.594 |steering| is at most 1; then `commands` is the inverse.

    >>> left, right = wheels(0.5, 0.35)
    >>> float(left.round(3)), float(right.round(3))
    (0.647, 0.053)
    """
    straight = np.asarray(throttle, float)
    turn = WHEEL_PER_STEERING * np.asarray(steering, float)
    return np.clip(straight + turn, -1.0, 1.0), np.clip(straight - turn, -1.0, 1.0)


def commands(left: npt.ArrayLike, right: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Wheel commands as ours (steering, throttle), each cut to [-1, 1].

    >>> steering, throttle = commands(*wheels(0.5, 0.35))
    >>> float(steering.round(6)), float(throttle.round(6))
    (0.5, 0.35)
    """
    left, right = np.asarray(left, float), np.asarray(right, float)
    steering = (left - right) / (2 * WHEEL_PER_STEERING)
    return np.clip(steering, -1.0, 1.0), np.clip((left + right) / 2, -1.0, 1.0)


@dataclass(frozen=True)
class Duckiebot:
    """A differential drive that follows its wheel commands late and slowly.

    Speed u and turning rate w obey u' = 5 (0.6 (VR + VL) / 2 - u) and w' = 4 (3.75 (VR - VL) - w).
    Throttle 1 with straight wheels ends at 0.6 m/s; steering 1 turns by 4.46 rad/s to the right whatever
    the speed is, also on the spot.

    Attributes:
        latency_s: time from a command to its effect on the wheels.
        cruise_mps: the speed that `steering_for` and `min_radius_m` are for, since a curvature needs the
            more steering the faster the car drives.
        substep_s: longest step of the integration: the frames of gym-duckietown.

    Raises:
        UsageError: a value out of its limits.
    """

    latency_s: float = 0.15
    cruise_mps: float = 0.21
    substep_s: float = 1 / 30

    def __post_init__(self) -> None:
        for name, low, high in (
            ("latency_s", 0.0, MAX_LATENCY_S),
            ("cruise_mps", 0.02, TOP_SPEED_MPS),
            ("substep_s", 0.001, 0.05),
        ):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and low <= value <= high):
                raise UsageError(f"Duckiebot: {name} must be between {low:g} and {high:g}, got {value!r}")

    @property
    def top_speed_mps(self) -> float:
        """Speed that full throttle ends at."""
        return TOP_SPEED_MPS

    @property
    def min_radius_m(self) -> float:
        """Radius of the tightest turn at `cruise_mps`."""
        return self.cruise_mps / (2 * WHEEL_PER_STEERING * TURN_RADPS)

    def steering_for(self, curvature: npt.ArrayLike) -> FloatArray:
        """The steering, in [-1, 1], that drives a curvature (1/m, positive to the left) at `cruise_mps`."""
        return np.clip(-np.asarray(curvature, float) * self.min_radius_m, -1.0, 1.0)

    def motion(self, n: int, dt_s: float) -> DuckiebotMotion:
        """The moving state of n such cars."""
        return DuckiebotMotion(self, n, dt_s)

    def expert(self, track: Track) -> PurePursuit:
        """A driver for recordings: at `cruise_mps`, and looking less far ahead than the baseline's, which
        halves the distance to the lane's centre and keeps to the lane under strong noise.
        """
        return PurePursuit(track, self.cruise_mps * FULL_VELOCITY / TOP_SPEED_MPS, look_ahead_m=0.2)


class DuckiebotMotion:
    """The moving state of n Duckiebots, each of which may have a physics of its own.

    Attributes:
        x_m, y_m: middle between the driven wheels, (n,).
        yaw_rad: (n,), counter-clockwise from +x, in (-pi, pi].
        speed_mps: (n,), negative backwards.
        turn_radps: (n,), positive to the left.
        steering_rad: (n,), 0: there are no steered wheels.
    """

    def __init__(self, dynamics: Duckiebot, n: int, dt_s: float) -> None:
        """Prepares n cars that stand still at the origin; `place` puts them on the track."""
        self.dynamics = dynamics
        self.x_m, self.y_m, self.yaw_rad = np.zeros(n), np.zeros(n), np.zeros(n)
        self.speed_mps, self.turn_radps, self.steering_rad = np.zeros(n), np.zeros(n), np.zeros(n)
        self._cars = np.arange(n)
        self._substeps = math.ceil(dt_s / dynamics.substep_s - 1e-9)
        self._substep_s = dt_s / self._substeps
        # Each substep's command and when it was given, newest first; the last ones are never looked at.
        kept = math.ceil(MAX_LATENCY_S / self._substep_s) + 2
        self._commands, self._given_s = np.zeros((kept, 2, n)), np.full((kept, n), -np.inf)
        self._time_s = np.zeros(n)
        self._latency_s, self._trim, self._turn_gain = np.zeros(n), np.zeros(n), np.zeros(n)
        self._speed_gain, self._drag_gain, self._grip_mps2 = np.zeros(n), np.zeros(n), np.zeros(n)
        for car in range(n):
            self.set_physics(car, Physics())

    def set_physics(self, car: int, physics: Physics) -> None:
        """Gives one car a physics, from its next step on.

        The steering offset is the trim of its motors: a part of their force that goes to one side, so that
        a car that stands does not turn.
        """
        latency_s = self.dynamics.latency_s + physics.latency_offset_s
        self._latency_s[car] = min(max(latency_s, 0.0), MAX_LATENCY_S)
        self._trim[car], self._turn_gain[car] = -physics.steering_offset, physics.steering_gain
        self._speed_gain[car], self._drag_gain[car] = physics.speed_gain, physics.drag_gain
        self._grip_mps2[car] = physics.most_mps2

    def place(
        self, cars: npt.NDArray[np.bool_], x_m: FloatArray, y_m: FloatArray, yaw_rad: FloatArray
    ) -> None:
        """Puts the cars of a (n,) mask at a pose, standing still; the poses are (n,) too."""
        self.x_m = np.where(cars, x_m, self.x_m)
        self.y_m = np.where(cars, y_m, self.y_m)
        self.yaw_rad = np.where(cars, wrap_angle(yaw_rad), self.yaw_rad)
        self.speed_mps, self.turn_radps, self._time_s = (
            np.where(cars, 0.0, value) for value in (self.speed_mps, self.turn_radps, self._time_s)
        )
        self._commands = np.where(cars, 0.0, self._commands)
        self._given_s = np.where(cars, -np.inf, self._given_s)

    def advance(self, steering: FloatArray, throttle: FloatArray) -> None:
        """Drives one step under the commands, (n,) in [-1, 1]; forward Euler, the pose by the exponential
        of SE(2).

        All arrays are replaced, not written to, so that states handed out before stay true.
        """
        h, given = self._substep_s, np.stack(wheels(steering, throttle))
        x, y, yaw = self.x_m, self.y_m, self.yaw_rad
        speed, turn = self.speed_mps, self.turn_radps
        for _ in range(self._substeps):
            left, right = self._late(given)
            force = TOP_SPEED_MPS * self._speed_gain * (right + left) / 2
            pull = right * (1 + self._trim) - left * (1 - self._trim)
            wanted = TURN_RADPS * self._speed_gain * self._turn_gain * pull
            speed = speed + h * SPEED_PER_S * self._drag_gain * (force - speed)
            turn = turn + h * TURN_PER_S * (wanted - turn)
            most = self._grip_mps2 / np.maximum(np.abs(speed), 1e-9)
            turn = np.clip(turn, -most, most)
            angle, way = turn * h, speed * h
            # The chord of the arc points half of the angle aside.
            chord, middle = way * np.sinc(angle / (2 * np.pi)), yaw + angle / 2
            x, y, yaw = x + chord * np.cos(middle), y + chord * np.sin(middle), yaw + angle
        self.x_m, self.y_m, self.yaw_rad = x, y, wrap_angle(yaw)
        self.speed_mps, self.turn_radps = speed, turn

    def _late(self, given: FloatArray) -> FloatArray:
        """The wheel commands (2, n) that act in the next substep, under those that are given in it.

        As in duckietown-world the one given nearest to `latency_s` before the substep's end acts, times
        added up in the same way: 0.15 s are 4.5 of its steps, so what is nearest hangs on the rounding.
        """
        self._commands = np.concatenate([given[None], self._commands[:-1]])
        self._given_s = np.concatenate([self._time_s[None], self._given_s[:-1]])
        self._time_s = self._time_s + self._substep_s
        wanted_s = self._time_s - self._latency_s
        age = np.abs(wanted_s - self._given_s).argmin(axis=0)
        return np.where(wanted_s < 0, 0.0, self._commands[age, :, self._cars].T)


class PurePursuit:
    """The expert of the AI-DO imitation baseline: turns towards a point of the lane's centre ahead.

    After Coulter 1992 (CMU-RI-TR-92-01), with a turning rate in proportion to the sine of the angle to the
    point instead of the arc through it. Same use as `Expert`. At velocity 0.8, the baseline's own, it sways
    out of the lane with a Duckiebot's latency; 0.3 to 0.5 is steady.
    """

    def __init__(
        self, track: Track, velocity: float = 0.3, look_ahead_m: float = 0.3, gain: float = 10.0
    ) -> None:
        """Prepares the driver.

        Args:
            track: the track to drive; its centre line is the lane's centre.
            velocity: in their units; the car drives 0.7 m/s per unit.
            look_ahead_m: how far ahead the point is.
            gain: their angle per sine of the angle to the point.

        Raises:
            UsageError: a value is not positive, or the velocity more than the car's.
        """
        for name, value in (("velocity", velocity), ("look_ahead_m", look_ahead_m), ("gain", gain)):
            if not 0 < value < math.inf:
                raise UsageError(f"PurePursuit: {name} must be positive, got {value}")
        if velocity > FULL_VELOCITY:
            raise UsageError(f"PurePursuit: velocity must be at most {FULL_VELOCITY:.3f}, got {velocity}")
        self.track, self.velocity, self.look_ahead_m, self.gain = track, velocity, look_ahead_m, gain

    def act(self, state: State) -> tuple[FloatArray, FloatArray]:
        """The clean action of each car: steering and throttle, (n,) each, in [-1, 1]."""
        goal_x, goal_y, _ = self.track.pose_at(state.s_m + self.look_ahead_m)
        dx, dy, yaw = goal_x - state.x_m, goal_y - state.y_m, state.yaw_rad
        right = dx * np.sin(yaw) - dy * np.cos(yaw)
        sine = right / np.maximum(np.hypot(dx, dy), 1e-9)
        steering = np.clip(self.gain / FULL_ANGLE * sine, -1.0, 1.0)
        return steering, np.full(len(steering), self.velocity / FULL_VELOCITY)
