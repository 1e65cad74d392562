"""The adapter of gym-duckietown: what needs no gym-duckietown everywhere, the rest where it is installed."""

import contextlib
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from multiprocessing import Pipe

import numpy as np
import pytest

from dingocar.errors import HardwareError, MissingExtraError, UnknownNameError, UsageError
from dingocar.sim import duckietown_gym_shim as shim
from dingocar.sim.duckiebot import WHEEL_PER_VELOCITY
from dingocar.sim.duckietown_gym import DuckietownExpert, DuckietownGym
from dingocar.sim.duckietown_gym_world import scaled

INSTALLED = find_spec("gym_duckietown") is not None
needs_it = pytest.mark.skipif(not INSTALLED, reason="the duckietown extra is not installed")


@pytest.mark.skipif(
    INSTALLED or sys.version_info[:2] > shim.NEWEST_PYTHON,
    reason="the duckietown extra is installed, or cannot be",
)
def test_without_the_extra_the_message_names_it():
    with pytest.raises(MissingExtraError, match=r"pip install 'dingocar\[duckietown\]'"):
        DuckietownGym()


def test_a_python_that_is_too_new_is_told_of(monkeypatch):
    monkeypatch.setattr(shim, "NEWEST_PYTHON", (3, 8))
    with pytest.raises(UsageError, match=r"works with Python 3\.8 at most"):
        shim.load_world.__wrapped__()


def test_pictures_are_scaled_by_averaging():
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, ::2] = 200
    small = scaled(image, (120, 160))
    assert small.shape == (120, 160, 3) and small.dtype == np.uint8
    assert (small == 100).all()
    assert scaled(image, (480, 640)) is image


def test_numbers_in_arrays_become_numbers():
    drawn = {"camera_height": np.array([1.5]), "camera_noise": np.zeros(3), "trim": np.array([0.1])}
    found = shim._with_scalars(lambda: drawn)()
    assert type(found["camera_height"]) is float and found["camera_height"] == 1.5
    assert found["camera_noise"].shape == (3,) and found["trim"].shape == (1,)  # those are used as arrays


class Exited:
    returncode = 0

    def wait(self, timeout_s):
        return self.returncode


def test_a_late_answer_is_not_taken_for_the_next_question():
    gym = DuckietownGym.__new__(DuckietownGym)
    gym._connection, theirs = Pipe()
    gym._process = Exited()
    with theirs:
        with pytest.raises(HardwareError, match="has not answered"):
            gym._ask("sine_to_lane", 0.3, timeout_s=0.0)
        with contextlib.suppress(BrokenPipeError):
            theirs.send(("ok", "late"))
        with pytest.raises(HardwareError, match="has ended"):
            gym._ask("reset", 1, timeout_s=0.0)


@pytest.fixture(scope="module")
def gym():
    """One for all: a program can have one at a time, and making it takes seconds."""
    with DuckietownGym("loop_empty", seed=1) as one:
        yield one


@needs_it
def test_a_seed_gives_the_same_start_and_picture_whatever_was_before(gym):
    before = gym.reset(5)
    for _ in range(10):
        gym.step(0.3, 0.5)
    after = gym.reset(5)
    assert (before.x_m, before.y_m, before.yaw_rad) == (after.x_m, after.y_m, after.yaw_rad)
    np.testing.assert_array_equal(before.image, after.image)
    assert before.image.shape == (120, 160, 3) and before.image.dtype == np.uint8
    assert not np.array_equal(gym.reset(6).image, before.image)


@needs_it
def test_signs_and_units(gym):
    start = gym.reset(5)
    for _ in range(30):
        state = gym.step(0.1, 0.3)
    moved = np.array([state.x_m - start.x_m, state.y_m - start.y_m])
    heading = np.array([np.cos(start.yaw_rad), np.sin(start.yaw_rad)])
    right = np.array([heading[1], -heading[0]])
    assert moved @ heading > 0.05, "a throttle drives ahead"
    assert moved @ right > 0 and state.yaw_rad < start.yaw_rad, "steering is positive to the right"
    assert 0.15 < state.speed_mps < 0.6 * 0.3 + 0.01
    assert state.time_s == pytest.approx(1.0) and state.step == 30
    assert state.lane_angle_rad < start.lane_angle_rad


@needs_it
def test_the_first_command_arrives_late(gym):
    gym.reset(5)
    speeds = [gym.step(0.0, 0.5).speed_mps for _ in range(6)]
    assert speeds[:4] == [0, 0, 0, 0] and speeds[4] > 0


@needs_it
def test_the_expert_keeps_the_lane(gym):
    expert = DuckietownExpert(gym, 0.3)
    gym.reset(5)
    beside = []
    for step in range(150):
        state = gym.step(*expert.act())
        assert not state.done
        if step > 90:
            beside.append(abs(state.lane_dist_m))
    assert np.mean(beside) < 0.06
    assert state.speed_mps == pytest.approx(0.3 * WHEEL_PER_VELOCITY * 0.6, rel=0.05)


@needs_it
def test_off_the_road_it_is_done(gym):
    state = gym.reset(5)
    for _ in range(200):
        state = gym.step(0.0, 1.0)
        if state.done:
            break
    assert state.done and state.reward == -1000


@needs_it
def test_a_mistyped_map_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'loop_empty'"):
        DuckietownGym("loop_emty")


@needs_it
def test_starts_within_a_distance():
    with DuckietownGym("zigzag_dists", 1, distortion=False, start_within_m=0.04) as gym:
        assert all(abs(gym.reset(seed).lane_dist_m) <= 0.04 for seed in range(2))


@needs_it
def test_lines_are_where_the_picture_shows_them():
    with DuckietownGym("small_loop", 1, image_shape=(120, 160)) as gym:
        state, lines = gym.reset(0), gym.lines()
        image = state.image.astype(float)
        white, yellow = image[lines["white"]], image[lines["yellow"]]
        road = image[70:][~(lines["white"] | lines["yellow"])[70:]]
        assert len(white) > 300 and len(yellow) > 100 and not (lines["white"] & lines["yellow"]).any()
        assert white.min(axis=1).mean() > road.mean() + 60
        assert yellow[:, 0].mean() > road.mean() + 60 and (yellow[:, 0] - yellow[:, 2]).mean() > 50
        # It changes nothing.
        assert (gym.reset(0).image == state.image).all()


@needs_it
def test_its_end_is_told(gym):
    with DuckietownGym("loop_empty", 1, distortion=False) as other:  # two at once
        assert gym.reset(5).image.shape == other.reset(5).image.shape
        os.kill(other._process.pid, signal.SIGSEGV)
        with pytest.raises(HardwareError, match=r"process has ended \(exit code -11\)"):
            for _ in range(3):
                other.step(0, 0)
    gym.step(0, 0)


QUIETLY = """
from dingocar.sim.duckietown_gym import DuckietownGym
with DuckietownGym("loop_empty", 2, domain_rand=True, image_shape=(60, 80), distortion=False) as gym:
    first, second = gym.reset(1), gym.reset(2)
    assert gym.step(0, 0).image.shape == (60, 80, 3)
    assert abs(first.image.mean() - second.image.mean()) > 1
"""


@needs_it
def test_it_is_quiet_also_with_their_randomisation():
    """Its packages print when imported, and log thousands of lines at a reset."""
    done = subprocess.run([sys.executable, "-c", QUIETLY], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
