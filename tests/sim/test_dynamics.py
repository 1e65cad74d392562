"""The car's motion against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.sim import Dynamics
from dingocar.sim.dynamics import Motion


def drive(dynamics, steering, throttle, steps, dt_s=0.05):
    motion = Motion(dynamics, 1, dt_s)
    path = []
    for _ in range(steps):
        motion.advance(np.array([steering], float), np.array([throttle], float))
        path.append([motion.x_m[0], motion.y_m[0], motion.yaw_rad[0], motion.speed_mps[0]])
    return motion, np.array(path)


@pytest.mark.parametrize("steering", [-1.0, -0.5, 0.5, 1.0])
def test_turning_circle_is_the_bicycles(steering):
    dynamics = Dynamics()
    _, path = drive(dynamics, steering, 0.3, 400)
    x, y = path[100:, :2].T
    # A circle through the points: 2 a x + 2 b y + c = x^2 + y^2.
    (a, b, c), *_ = np.linalg.lstsq(
        np.stack([2 * x, 2 * y, np.ones_like(x)], axis=1), x**2 + y**2, rcond=None
    )
    radius = math.sqrt(c + a**2 + b**2)
    expected = dynamics.wheelbase_m / math.tan(abs(steering) * dynamics.max_steering_rad)
    assert radius == pytest.approx(expected, rel=2e-3)


def test_steering_to_the_right_turns_clockwise():
    motion, path = drive(Dynamics(), 1.0, 0.3, 20)
    assert motion.yaw_rad[0] < -0.1
    assert path[-1, 1] < -0.01
    assert motion.steering_rad[0] > 0


def test_full_throttle_ends_at_top_speed_and_lifting_coasts():
    dynamics = Dynamics(top_speed_mps=2.5, drag_per_s=2.0)
    motion, path = drive(dynamics, 0.0, 1.0, 200)
    assert path[-1, 3] == pytest.approx(2.5, rel=1e-3)
    assert path[-1, 1] == 0.0
    for _ in range(40):  # let the motor's force die away
        motion.advance(np.zeros(1), np.zeros(1))
    before = motion.speed_mps[0]
    for _ in range(10):
        motion.advance(np.zeros(1), np.zeros(1))
    assert motion.speed_mps[0] / before == pytest.approx(math.exp(-2.0 * 0.5), rel=0.01)


def test_reverse_drives_backwards_and_still_steers():
    motion, _ = drive(Dynamics(), 1.0, -0.3, 30)
    assert motion.speed_mps[0] < 0
    assert motion.x_m[0] < 0
    assert motion.yaw_rad[0] > 0  # wheels to the right, backwards: the nose goes left


@pytest.mark.parametrize(("latency_s", "first_step"), [(0.0, 1), (0.05, 2), (0.1, 3), (0.3, 7)])
def test_a_command_acts_after_the_latency(latency_s, first_step):
    _, path = drive(Dynamics(latency_s=latency_s), 0.0, 1.0, 10)
    assert int(np.flatnonzero(path[:, 3] > 0)[0]) + 1 == first_step


def test_latency_need_not_be_a_multiple_of_the_step():
    speeds = [drive(Dynamics(latency_s=latency_s), 0.0, 1.0, 3)[1][-1, 3] for latency_s in (0.05, 0.075, 0.1)]
    assert speeds[0] > speeds[1] > speeds[2] > 0


def test_the_servo_is_no_faster_than_its_rate():
    dynamics = Dynamics(latency_s=0.0, steering_rate_radps=2.0)
    motion, _ = drive(dynamics, 1.0, 0.0, 3)
    assert motion.steering_rad[0] == pytest.approx(2.0 * 0.15)
    motion, _ = drive(dynamics, 1.0, 0.0, 10)
    assert motion.steering_rad[0] == pytest.approx(dynamics.max_steering_rad)


def test_the_step_length_hardly_matters():
    ends = [
        drive(Dynamics(latency_s=0.1), 0.4, 0.5, round(2 / dt_s), dt_s)[1][-1, :2]
        for dt_s in (0.1, 0.05, 0.0125)
    ]
    assert ends[0] == pytest.approx(ends[2], abs=0.01)
    assert ends[1] == pytest.approx(ends[2], abs=0.01)


def test_steering_for_undoes_the_bicycle():
    dynamics = Dynamics()
    angle = -dynamics.steering_for([0.5, -1.0]) * dynamics.max_steering_rad
    assert np.tan(angle) / dynamics.wheelbase_m == pytest.approx([0.5, -1.0])
    assert dynamics.steering_for(100.0) == -1.0
    assert dynamics.steering_for(1 / dynamics.min_radius_m) == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("latency_s", 0.31), ("latency_s", -0.1), ("wheelbase_m", 0.0), ("drag_per_s", math.nan)],
)
def test_limits(name, value):
    with pytest.raises(UsageError, match=name):
        Dynamics(**{name: value})
