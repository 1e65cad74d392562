"""The scripted driver: pure pursuit of the centre line, for many cars at once."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from dingocar.errors import UsageError
from dingocar.sim.dynamics import CarDynamics, Dynamics
from dingocar.sim.track import FloatArray, Track
from dingocar.sim.world import State

#: Highest speed, if nothing else is asked for.
SPEED_MPS = 1.4
#: A car that drives more than 1 / STEADY_DELAYS of the look-ahead before it answers begins to sway
#: (the loop's phase margin is gone at 1.9, to which the servo's own lag adds).
STEADY_DELAYS = 2.6
#: What the servo and the length of a step add to the latency, about.
SERVO_S = 0.05
#: The speed plan is kept at points this far apart.
_GRID_M = 0.05


class ScriptedDriver(Protocol):
    """Drives by what a world knows, not by pictures."""

    def act(self, state: State) -> tuple[FloatArray, FloatArray]:
        """Steering and throttle of each car, (n,) each, in [-1, 1]."""


class Expert:
    """Steers to a point of the centre line some way ahead (Coulter 1992, "Implementation of the Pure
    Pursuit Path Tracking Algorithm", CMU-RI-TR-92-01), and slows down for turns.

    Both actions follow from where the car is on the track, its heading and its speed alone, so that
    a picture shows nearly all a pilot needs to copy them. For the same reason nothing is predicted
    from the commands under way: the latency is met by a speed at which the look-ahead covers it. (To
    predict that the car follows the track until the command acts was tried: it steers into turns
    too early, and the mean |cte| is four times as large.)
    """

    def __init__(
        self,
        track: Track,
        dynamics: CarDynamics = Dynamics(),  # noqa: B008 (frozen)
        speed_mps: float | None = None,
        lateral_mps2: float = 1.3,
        look_ahead_m: float = 0.6,
    ) -> None:
        """Plans the speeds for a track.

        Args:
            track: the track to drive.
            dynamics: the car's.
            speed_mps: highest speed; None: `SPEED_MPS`, or as fast as the car's latency allows
                without swaying.
            lateral_mps2: highest sideways acceleration in turns (speed^2 / radius).
            look_ahead_m: distance to the point it steers to.

        Raises:
            UsageError: a value is not positive, or the speed is higher than the car's.
        """
        if speed_mps is None:
            steady_mps = look_ahead_m / (STEADY_DELAYS * (dynamics.latency_s + SERVO_S))
            speed_mps = min(SPEED_MPS, steady_mps, dynamics.top_speed_mps)
        for name, value in (
            ("look_ahead_m", look_ahead_m),
            ("lateral_mps2", lateral_mps2),
            ("speed_mps", speed_mps),
        ):
            if not value > 0:
                raise UsageError(f"Expert: {name} must be positive, got {value}")
        if speed_mps > dynamics.top_speed_mps:
            raise UsageError(
                f"Expert: speed_mps is {speed_mps:g}, but the car's top speed is {dynamics.top_speed_mps:g}"
            )
        self.track, self.dynamics = track, dynamics
        self.look_ahead_m = look_ahead_m
        self._plan_mps = _plan(track, speed_mps, lateral_mps2)

    def act(self, state: State) -> tuple[FloatArray, FloatArray]:
        """The clean action of each car: steering and throttle, (n,) each, in [-1, 1]."""
        goal_x, goal_y, _ = self.track.pose_at(state.s_m + self.look_ahead_m)
        dx, dy, yaw = goal_x - state.x_m, goal_y - state.y_m, state.yaw_rad
        left = dy * np.cos(yaw) - dx * np.sin(yaw)
        behind = dx * np.cos(yaw) + dy * np.sin(yaw) < 0
        curvature = 2 * left / (dx**2 + dy**2)
        turn = np.where(behind, np.sign(left) / self.dynamics.min_radius_m, curvature)
        target = self._speed_at(state.s_m)
        throttle = target / self.dynamics.top_speed_mps + 0.3 * (target - state.speed_mps)
        return self.dynamics.steering_for(turn), np.clip(throttle, 0.0, 1.0)

    def _speed_at(self, s_m: FloatArray) -> FloatArray:
        size = len(self._plan_mps)
        at = s_m % self.track.length_m / self.track.length_m * size
        low = at.astype(np.intp) % size
        part = at - np.floor(at)
        return self._plan_mps[low] * (1 - part) + self._plan_mps[(low + 1) % size] * part


def _plan(track: Track, speed_mps: float, lateral_mps2: float) -> FloatArray:
    """The speed at evenly spaced points of a lap, (N,): low in turns and before them."""
    points = max(8, round(track.length_m / _GRID_M))
    curvature = track.curvature(np.arange(points) * (track.length_m / points))

    def smooth(values: FloatArray, width_m: float) -> FloatArray:
        size = min(points, max(1, round(width_m / _GRID_M)))
        around = np.concatenate([values[points - size :], values, values[:size]])
        mean = np.convolve(around, np.full(size, 1 / size), mode="same")
        return mean[size : size + points]

    bend = np.abs(smooth(curvature, 0.3))
    ahead = np.maximum.reduce([np.roll(bend, -round(way / _GRID_M)) for way in np.arange(0, 0.9, 0.1)])
    turn_mps = np.sqrt(lateral_mps2 / np.maximum(ahead, 1e-6))
    return smooth(np.minimum(turn_mps, speed_mps), 0.6)
