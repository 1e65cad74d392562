"""The Duckiebot against duckietown-world's own figures, its camera, and how its experts drive."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.sim import Camera, Noise, Physics, World, load_track
from dingocar.sim import duckiebot as module
from dingocar.sim.duckiebot import Duckiebot, PurePursuit, commands, wheels
from dingocar.sim.duckiebot_camera import DuckiebotCamera

pytest.importorskip("yaml")

DT_S = 1 / 30


def motion_at(x_m=0.0, y_m=0.0, yaw_rad=0.0, physics=None, dt_s=DT_S, **settings):
    motion = Duckiebot(**settings).motion(1, dt_s)
    if physics is not None:
        motion.set_physics(0, physics)
    motion.place(np.array([True]), np.array([x_m]), np.array([y_m]), np.array([yaw_rad]))
    return motion


@pytest.mark.parametrize(
    ("trim", "after_1_s", "after_3_s"),
    [
        (0.0, (1.1703698, 2.08410202, 0.24603133175920885), (1.71500713, 2.29771159, 0.41450869814259766)),
        (0.05, (1.16595696, 2.0934036, 0.3594340663560924), (1.61808976, 2.45098729, 0.8977335274242542)),
    ],
)
def test_drives_as_duckietown_world_does(trim, after_1_s, after_3_s, monkeypatch):
    """Poses of `get_DB18_nominal` and `get_DB18_uncalibrated`, delay 0.15 s, under the same commands."""
    monkeypatch.setattr(module, "wheels", lambda left, right: (left, right))
    motion = motion_at(1.0, 2.0, 0.5, Physics(steering_offset=-trim))
    poses = []
    for k in range(90):
        motion.advance(np.array([0.5 + 0.5 * math.sin(0.3 * k)]), np.array([0.5 + 0.5 * math.cos(0.2 * k)]))
        poses.append((motion.x_m[0], motion.y_m[0], motion.yaw_rad[0]))
    assert poses[29] == pytest.approx(after_1_s, abs=1e-8)
    assert poses[89] == pytest.approx(after_3_s, abs=1e-8)


def test_stands_for_four_steps_and_ends_at_its_speeds():
    motion = motion_at()
    speeds = []
    for _ in range(200):
        motion.advance(np.array([0.1]), np.array([0.4]))
        speeds.append(motion.speed_mps[0])
    assert speeds[3] == 0 and speeds[4] > 0
    assert speeds[-1] == pytest.approx(0.6 * 0.4)
    left, right = wheels(0.1, 0.4)
    assert motion.turn_radps[0] == pytest.approx(3.75 * (right - left))
    assert motion.turn_radps[0] < 0  # to the right


def test_commands_and_wheels_are_inverses():
    rng = np.random.default_rng(0)
    left, right = rng.uniform(-1, 1, (2, 500))
    fits = np.abs(left - right) <= 2 * module.WHEEL_PER_STEERING
    back = wheels(*commands(left, right))
    assert back[0][fits] == pytest.approx(left[fits])
    assert back[1][fits] == pytest.approx(right[fits])
    assert np.abs(commands(left, right)).max() <= 1
    # Their velocity 0.3 and angle 2 (to the left) in gym-duckietown's own conversion.
    steering, throttle = -2 / module.FULL_ANGLE, 0.3 / module.FULL_VELOCITY
    left_wheel, right_wheel = wheels(steering, throttle)
    assert left_wheel == pytest.approx((0.3 - 0.5 * 2 * 0.102) / 0.0318 / 27)
    assert right_wheel == pytest.approx((0.3 + 0.5 * 2 * 0.102) / 0.0318 / 27)


def test_steering_for_drives_the_curvature_at_cruising_speed():
    car = Duckiebot()
    motion = car.motion(1, DT_S)
    for _ in range(200):
        motion.advance(car.steering_for(np.array([3.0])), np.array([car.cruise_mps / car.top_speed_mps]))
    assert motion.turn_radps[0] / motion.speed_mps[0] == pytest.approx(3.0, rel=1e-3)
    assert car.steering_for(1 / car.min_radius_m) == pytest.approx(-1)


@pytest.mark.parametrize("dt_s", [0.02, 0.05, 0.1])
def test_other_steps_change_little(dt_s):
    ends = []
    for step_s in (DT_S, dt_s):
        motion = motion_at(dt_s=step_s)
        for _ in range(round(6 / step_s)):
            motion.advance(np.array([0.05]), np.array([0.5]))
        ends.append([motion.x_m[0], motion.y_m[0]])
    assert np.hypot(*np.subtract(*ends)) < 0.03


def test_cars_do_not_share_anything():
    """A car placed anew waits for its latency again; the other drives on, with a physics of its own."""
    motion = Duckiebot().motion(2, DT_S)
    motion.set_physics(1, Physics(speed_gain=0.5, latency_offset_s=0.15))
    for _ in range(30):
        motion.advance(np.zeros(2), np.full(2, 0.5))
    assert motion.speed_mps[1] < 0.55 * motion.speed_mps[0]
    motion.place(np.array([True, False]), *np.zeros((3, 2)))
    before = motion.speed_mps[1]
    motion.advance(np.zeros(2), np.full(2, 0.5))
    assert motion.speed_mps[0] == 0 and motion.speed_mps[1] > before
    fresh = Duckiebot().motion(1, DT_S)
    fresh.advance(np.zeros(1), np.full(1, 0.5))
    for _ in range(10):
        motion.advance(np.zeros(2), np.full(2, 0.5))
        fresh.advance(np.zeros(1), np.full(1, 0.5))
        assert motion.x_m[0] == fresh.x_m[0]


@pytest.mark.parametrize(
    ("physics", "compare"),
    [
        (Physics(latency_offset_s=0.1), lambda one, plain: one[0] < plain[0] - 0.01),
        (Physics(latency_offset_s=-0.1), lambda one, plain: one[0] > plain[0] + 0.01),
        (Physics(speed_gain=1.3), lambda one, plain: one[0] > 1.2 * plain[0]),
        (Physics(drag_gain=3.0), lambda one, plain: one[0] > plain[0] + 0.01),
        (Physics(steering_offset=0.1), lambda one, plain: one[2] < plain[2] - 0.1),
        (Physics(steering_gain=0.5), lambda one, plain: abs(one[2]) < 0.6 * abs(plain[2])),
        (Physics(grip_mps2=0.5), lambda one, plain: abs(one[2]) < 0.97 * abs(plain[2])),
    ],
)
def test_physics_is_honoured(physics, compare):
    ends = []
    for one in (physics, None):
        motion = motion_at(physics=one)
        for _ in range(30):
            motion.advance(np.array([-0.4]), np.array([0.9]))
        ends.append((np.hypot(motion.x_m[0], motion.y_m[0]), motion.speed_mps[0], motion.yaw_rad[0]))
    assert compare(*ends)


def test_a_standing_car_with_a_trim_does_not_turn():
    motion = motion_at(physics=Physics(steering_offset=0.3))
    for _ in range(60):
        motion.advance(np.zeros(1), np.zeros(1))
    assert motion.yaw_rad[0] == 0


@pytest.mark.parametrize("settings", [{"latency_s": 0.5}, {"cruise_mps": 1.0}, {"substep_s": math.nan}])
def test_settings_out_of_bounds_are_refused(settings):
    with pytest.raises(UsageError, match="Duckiebot: "):
        Duckiebot(**settings)


def test_the_pinhole_camera_is_a_camera():
    own = DuckiebotCamera(distortion=False)
    same = Camera(own.height_m, own.pitch_rad, own.fov_rad, 0.0, 0.0, own.forward_m)
    assert own.rays() == pytest.approx(same.rays())
    assert own.project(1.0, 0.2) == pytest.approx(same.project(1.0, 0.2))
    assert math.degrees(own.fov_rad) == pytest.approx(91.3, abs=0.05)


@pytest.mark.parametrize("distortion", [False, True])
def test_project_is_the_inverse_of_rays(distortion):
    camera = DuckiebotCamera(shape=(60, 80), distortion=distortion, yaw_rad=0.1, left_m=0.02)
    rays = camera.rays()
    rows, columns = np.nonzero(rays[..., 2] < -0.05)
    ray = rays[rows, columns]
    reach = camera.height_m / -ray[:, 2]
    ahead, left = camera.forward_m + ray[:, 0] * reach, camera.left_m + ray[:, 1] * reach
    row, column = camera.project(ahead, left)
    assert row == pytest.approx(rows + 0.5, abs=1e-6)
    assert column == pytest.approx(columns + 0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("ahead_m", "left_m", "distorted", "pinhole"),
    [
        (0.3, 0.12, (149.67642351, 277.42323241), (173.661371095044, 270.8063338072955)),
        (0.2, -0.1, (552.09865041, 346.2001703), (513.0544317860501, 352.0988373153542)),
        (1.0, 0.5, (123.37287322, 168.7786437), (149.59618901652365, 170.3498294753059)),
    ],
)
def test_the_lens_is_opencvs(ahead_m, left_m, distorted, pinhole):
    """Points on the ground, projected by OpenCV with the same matrices, at 640 x 480."""
    for distortion, expected in ((True, distorted), (False, pinhole)):
        camera = DuckiebotCamera(shape=(480, 640), distortion=distortion)
        row, column = camera.project(ahead_m, left_m)
        assert (float(column), float(row)) == pytest.approx(expected, abs=1e-5)
        row, column = DuckiebotCamera(shape=(120, 160), distortion=distortion).project(ahead_m, left_m)
        assert (4 * float(column), 4 * float(row)) == pytest.approx(expected, abs=1e-5)


def test_a_mounted_camera_stays_a_duckiebots():
    moved = DuckiebotCamera().mounted(Physics(camera_height_gain=1.1))
    assert isinstance(moved, DuckiebotCamera)
    assert moved.height_m == pytest.approx(0.1188)
    assert DuckiebotCamera().mounted(Physics()).rays() == pytest.approx(DuckiebotCamera().rays())


def drive(name, make, laps=1, noise=None, n=4):
    track = load_track(f"duckietown:{name}")
    world = World(track, n=n, dynamics=Duckiebot(), dt_s=DT_S)
    expert = make(track)
    state = world.reset(start_s_m=np.linspace(0, track.length_m, n, endpoint=False))
    cte, off = [], np.zeros(n, bool)
    for _ in range(int(laps * track.length_m / 0.12 / DT_S)):
        action = expert.act(state)
        state = world.step(*(action if noise is None else noise(state, *action)))
        cte.append(np.abs(state.cte_m))
        off |= state.off_track
        if state.laps.min() >= laps:
            break
    assert state.laps.min() >= laps
    return np.array(cte), off


@pytest.mark.parametrize("name", ["loop", "loop,cw", "bends", "bends,cw", "crossing"])
def test_both_experts_keep_to_the_lane(name):
    for make, mean_m, most_m in (
        (PurePursuit, 0.04, 0.1),
        (lambda track: Duckiebot().expert(track), 0.018, 0.06),
    ):
        cte, off = drive(name, make)
        assert not off.any()
        assert cte.mean() < mean_m and cte.max() < most_m


def test_the_baselines_speed_is_too_much_for_the_latency():
    _, off = drive("bends,cw", lambda track: PurePursuit(track, velocity=0.8))
    assert off.any()


def test_the_expert_comes_back_from_noise():
    noise = Noise.of_level(0.3, np.random.default_rng(0), n=4, dt_s=DT_S)
    cte, off = drive("bends", lambda track: Duckiebot().expert(track), noise=noise)
    assert not off.any()
    assert cte.std() > 0.008


@pytest.mark.parametrize(
    "settings", [{"velocity": 0.0}, {"velocity": 0.9}, {"gain": math.inf}, {"look_ahead_m": -1}]
)
def test_pursuit_out_of_bounds_is_refused(settings):
    with pytest.raises(UsageError, match="PurePursuit: "):
        PurePursuit(load_track("duckietown:loop"), **settings)
