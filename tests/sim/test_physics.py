"""Each parameter of an episode's physics does what it says, and the defaults change nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.sim import Camera, Dynamics, Physics, World
from dingocar.sim.physics import PHYSICS_BOUNDS


def drive(physics, steering=0.3, throttle=0.5, steps=40):
    """The way of a car with a physics; (T, 5): x, y, yaw, speed, steering angle."""
    world = World("oval")
    episode = dataclasses.replace(world.episodes[0], physics=physics)
    world.reset(start_s_m=0.0, episodes=[episode])
    rows = []
    for _ in range(steps):
        state = world.step(steering, throttle)
        rows.append([state.x_m[0], state.y_m[0], state.yaw_rad[0], state.speed_mps[0], state.steering_rad[0]])
    return np.array(rows)


PLAIN = drive(Physics())


def test_the_defaults_change_nothing():
    world = World("oval")
    world.reset(start_s_m=0.0)
    for _ in range(40):
        state = world.step(0.3, 0.5)
    assert PLAIN[-1, 0] == state.x_m[0]
    assert Camera().mounted(Physics()) == Camera()


@pytest.mark.parametrize("name", PHYSICS_BOUNDS)
def test_bounds(name):
    low, high = PHYSICS_BOUNDS[name]
    Physics(**{name: low})
    Physics(**{name: high})
    for wrong in (low - 0.01, high + 0.01, float("nan"), "1"):
        with pytest.raises(UsageError, match=f"Physics: {name}"):
            Physics(**{name: wrong})


def test_speed_gain():
    fast = drive(Physics(speed_gain=1.5), steps=200)
    assert fast[-1, 3] == pytest.approx(1.5 * 0.5 * Dynamics().top_speed_mps, rel=0.01)


def test_drag_gain_stops_sooner():
    def coast(gain):
        world = World("oval")
        episode = dataclasses.replace(world.episodes[0], physics=Physics(drag_gain=gain))
        world.reset(episodes=[episode])
        for _ in range(100):
            top = world.step(0.0, 0.5).speed_mps[0]
        for _ in range(20):
            rest = world.step(0.0, 0.0).speed_mps[0]
        return rest / top

    assert coast(2.0) < 0.5 * coast(1.0)


def test_steering_offset_and_gain():
    angle = Dynamics().max_steering_rad
    assert drive(Physics(steering_offset=0.1), steering=0.0)[-1, 4] == pytest.approx(0.1 * angle)
    assert drive(Physics(steering_gain=0.5), steering=0.4)[-1, 4] == pytest.approx(0.2 * angle)


def test_latency_delays_by_whole_steps():
    """A command acts latency_offset_s later, here two steps of 0.05 s."""
    late = drive(Physics(latency_offset_s=0.1))
    assert late[2:, 4] == pytest.approx(PLAIN[:-2, 4])
    assert late[2:, 3] == pytest.approx(PLAIN[:-2, 3])
    early = drive(Physics(latency_offset_s=-0.1))
    assert early[:-2, 4] == pytest.approx(PLAIN[2:, 4])


def test_little_grip_is_a_wider_turn():
    def bend(physics):
        rows = drive(physics, steering=1.0, throttle=0.8, steps=100)
        turn = np.diff(np.unwrap(rows[:, 2]))[-20:].mean() / 0.05
        return abs(turn), rows[-1, 3]

    turn, speed = bend(Physics(grip_mps2=2.0))
    assert turn * speed == pytest.approx(2.0, rel=0.02)  # the sideways acceleration is what the tyres give
    own_turn, own_speed = bend(Physics())
    assert own_turn * own_speed > 6


def test_each_car_has_its_own_physics():
    world = World("oval", n=2)
    one = world.episodes[0]
    slow = dataclasses.replace(one, physics=Physics(speed_gain=0.5))
    world.reset(start_s_m=0.0, episodes=[one, slow])
    for _ in range(40):
        state = world.step(0.0, 0.5)
    assert state.speed_mps[1] == pytest.approx(0.5 * state.speed_mps[0], rel=1e-6)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"camera_height_gain": 1.2}, {"height_m": 0.3}),
        ({"camera_pitch_offset_rad": 0.1}, {"pitch_rad": 0.4}),
        ({"camera_fov_gain": 0.9}, {"fov_rad": 1.71}),
        ({"camera_forward_offset_m": 0.05}, {"forward_m": 0.25}),
        ({"camera_left_offset_m": 0.05}, {"left_m": 0.05}),
        ({"camera_yaw_offset_rad": 0.1}, {"yaw_rad": 0.1}),
        ({"camera_k1_offset": -0.01}, {"k1": -0.06}),
    ],
)
def test_the_camera_is_mounted_as_drawn(change, expected):
    mounted = Camera().mounted(Physics(**change))
    for field in dataclasses.fields(Camera):
        wanted = expected.get(field.name, getattr(Camera(), field.name))
        assert getattr(mounted, field.name) == pytest.approx(wanted), field.name


def test_a_mounting_that_folds_the_picture_is_brought_nearer_to_the_own_lens():
    mounted = Camera().mounted(Physics(camera_fov_gain=1.4, camera_k1_offset=-0.2))
    assert Camera().fov_rad < mounted.fov_rad < 1.4 * Camera().fov_rad
    assert mounted.k1 < Camera().k1


def test_a_camera_moved_and_turned_sees_a_point_where_it_projects_it():
    camera = Camera(left_m=0.05, yaw_rad=0.2, k1=0.0)
    rays = camera.rays()
    row, column = 80, 50
    ahead, left, up = rays[row, column]
    scale = camera.height_m / -up
    at = camera.project(camera.forward_m + ahead * scale, camera.left_m + left * scale)
    assert at == pytest.approx((row + 0.5, column + 0.5))
    assert (
        Camera(k1=0.0, yaw_rad=0.2).project(2.0, 0.0)[1] > 80
    )  # turned to the left: it is seen on the right
