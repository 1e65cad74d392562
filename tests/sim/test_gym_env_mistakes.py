"""The Gymnasium environments: what does not fit is told in one line, with its name."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import dingocar.sim.gym_env as gym_env
from dingocar.errors import UsageError

SMALL = {"image_shape": (24, 32)}


def make(**settings):
    return gymnasium.make(gym_env.ENV_ID, **SMALL | settings)


def make_vec(n=2, **settings):
    return gymnasium.make_vec(gym_env.ENV_ID, num_envs=n, **SMALL | settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("image_shape", value) for value in ((60,), (0, 0), "a", 3, (np.inf, 80), (60, [80]))),
        *(("dt_s", value) for value in ("x", None, True, 0.0)),
        *(("track", value) for value in (3, None)),
        *(("look", value) for value in (3, None)),
        ("randomisation", 3),
        ("dynamics", "fast"),
        ("throttle_range", "ab"),
        ("throttle_range", None),
        ("actions", ["left"]),
        ("actions", [(0, 1), (0,)]),
        ("off_track_m", "x"),
        ("wrong_way_m", None),
        ("redraw_every", 1.5),
        ("view", 3),
    ],
)
def test_a_setting_of_another_type(name, value):
    for build in (make, make_vec):
        with pytest.raises(UsageError, match=f"^{name} must be .* got") as caught:
            build(**{name: value})
        assert "\n" not in str(caught.value)


def test_a_camera_must_be_one():
    with pytest.raises(UsageError, match="camera must be a Camera, got 3"):
        make(camera=3, image_shape=None)
    with pytest.raises(UsageError, match=r"max_episode_steps must be .* got 'a'"):
        make_vec(max_episode_steps="a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cte_m": "a"}, "cte_m must be a finite number.* got 'a'"),
        ({"start_s_m": None}, "start_s_m must be"),
        ({"heading_error_rad": np.nan}, "heading_error_rad must be"),
        ({"cte_m": 100}, "cte_m must be on the track or at most off_track_m beside it .* got 100"),
        ({"cte_m": -0.5, "start_s_m": 3.0}, "cte_m must be on the track"),
        (3, "options must be a dictionary"),
    ],
)
def test_an_option_that_does_not_fit(options, message):
    for env in (make(track="oval"), make_vec(track="oval")):
        with pytest.raises(UsageError, match=message) as caught:
            env.reset(options=options)
        assert "\n" not in str(caught.value)


def test_a_car_may_begin_beside_the_track():
    assert make(track="oval").reset(options={"cte_m": -0.44})[1]["off_track"]
    assert make(track="oval", off_track_m=0.5).reset(options={"cte_m": 0.8})[1]["off_track"]


@pytest.mark.parametrize("action", [np.array([0.5], np.float32), "ahead", None, [0.1, np.nan], ["0", "1"]])
def test_an_action_that_does_not_fit(action):
    env = make().unwrapped
    env.reset()
    with pytest.raises(UsageError, match=r"action must be \[steering, throttle\], got") as caught:
        env.step(action)
    assert "\n" not in str(caught.value)
    envs = make_vec(3)
    envs.reset()
    with pytest.raises(UsageError, match="for each of 3 cars"):
        envs.step([action] * 3)


@pytest.mark.parametrize("action", [2, -1, 0.5, "left", None, [0, 1]])
def test_an_index_that_does_not_fit(action):
    env = make(actions=[(-1, 0.3), (1, 0.3)]).unwrapped
    env.reset()
    with pytest.raises(UsageError, match="action must be a whole number from 0 to 1, got"):
        env.step(action)


def test_a_step_before_the_first_reset():
    for env, action in ((make().unwrapped, [0.0, 0.5]), (make_vec(2), np.zeros((2, 2)))):
        with pytest.raises(UsageError, match="call reset first"):
            env.step(action)
        env.reset()
        env.step(action)
