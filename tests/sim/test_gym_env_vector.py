"""Gymnasium's vector environment: to the bit its single cars."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from dingocar.errors import UnknownNameError, UsageError

from .test_gym_env import make_vec, sync


def equal_to_single_cars(mode, n=5, steps=50, **settings):
    """Drives the batch and Gymnasium's own vector environment; returns how many episodes ended, and how."""
    ours, theirs = make_vec(n, autoreset_mode=mode, **settings), sync(n, mode, **settings)
    for space in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
        assert getattr(ours, space) == getattr(theirs, space)
    assert ours.metadata == theirs.metadata
    assert data_equivalence(ours.reset(seed=3), theirs.reset(seed=3), exact=True)
    ours.action_space.seed(1)
    left = late = 0
    for step in range(steps):
        actions = ours.action_space.sample()
        one, other = ours.step(actions), theirs.step(actions)
        for name, mine, its in zip(("images", "rewards", "left", "late"), one, other, strict=False):
            np.testing.assert_array_equal(mine, its, f"{name} of step {step}")
        assert data_equivalence(one[4], other[4], exact=True), f"infos of step {step}"
        left, late = left + one[2].sum(), late + one[3].sum()
    return left, late


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
@pytest.mark.parametrize(
    "settings",
    [
        {"throttle_range": (0.6, 1.0), "off_track_m": 0.0, "max_episode_steps": 24},
        {"n": 3, "steps": 16, "randomisation": "strong", "max_episode_steps": 4, "redraw_every": 2},
        {"n": 2, "steps": 8, "look": "photo", "randomisation": "mild", "max_episode_steps": 6},
        {"actions": [(-1, 0.5), (1, 0.8)], "reward": lambda car: car["cte_m"], "max_episode_steps": 24},
    ],
    ids=["fast", "strong", "photo", "discrete"],
)
def test_a_batch_is_to_the_bit_its_single_cars(mode, settings):
    left, late = equal_to_single_cars(mode, **settings)
    assert late
    assert left or "randomisation" in settings


def test_more_cars_than_share_floors_elsewhere():
    equal_to_single_cars("next_step", n=9, steps=1, randomisation="strong")


def test_disabled_autoreset_waits_for_a_mask():
    envs = make_vec(3, autoreset_mode="disabled", max_episode_steps=2, randomisation="mild")
    images, _ = envs.reset(seed=0)
    for _ in range(3):
        _, _, _, late, _ = envs.step(np.zeros((3, 2), np.float32))
    assert late.all()
    mask = np.array([True, False, False])
    again, infos = envs.reset(seed=[0, 9, None], options={"reset_mask": mask})
    np.testing.assert_array_equal(again[0], images[0])
    np.testing.assert_array_equal(infos["_episode_json"], mask)
    assert envs.step(np.zeros((3, 2), np.float32))[3].tolist() == [False, True, True]
    assert envs.np_random_seed[:2] == (0, 1)


def test_a_batch_takes_a_seed_and_a_place_for_each_car():
    envs = make_vec(3)
    images, infos = envs.reset(seed=[5, 5, 6])
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[0] != images[2]).any()
    assert envs.np_random_seed == (5, 5, 6)
    _, infos = envs.reset(options={"start_s_m": [0.0, 1.0, 2.0], "cte_m": [0.0, 0.1, 0.2]})
    assert infos["cte_m"] == pytest.approx([0.0, 0.1, 0.2], abs=1e-3)
    with pytest.raises(UsageError, match="3 seeds"):
        envs.reset(seed=[1, 2])
    for mask in ([True], [False] * 3, [1, 0, 1]):
        with pytest.raises(UsageError, match="reset_mask"):
            envs.reset(options={"reset_mask": np.array(mask)})
    with pytest.raises(UnknownNameError, match="next_step"):
        make_vec(2, autoreset_mode="next")


def test_what_was_returned_stays_as_it_is():
    envs = make_vec(2, max_episode_steps=4, autoreset_mode="same_step", throttle_range=(0.2, 0.6))
    said = [envs.reset(seed=0)]
    before = []
    for _ in range(6):
        before.append([np.array(part) for part in said[-1][:-1]])
        said.append(envs.step(np.zeros((2, 2), np.float32)))
    for one, copies in zip(said, before, strict=False):
        for part, copy in zip(one[:-1], copies, strict=True):
            np.testing.assert_array_equal(part, copy)
    assert said[4][4]["final_obs"][0].shape == (24, 32, 3)


def test_a_batch_renders_each_car():
    envs = make_vec(2, render_mode="rgb_array")
    images, _ = envs.reset(seed=0)
    for shown, image in zip(envs.render(), images, strict=True):
        np.testing.assert_array_equal(shown, image)
    assert make_vec(2).render() is None
