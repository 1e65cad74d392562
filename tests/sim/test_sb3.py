"""Stable-Baselines3 on the Gymnasium environment: what the docs show runs, and PPO learns to drive."""

from __future__ import annotations

import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import dingocar.sim.gym_env as gym_env

stable_baselines3 = pytest.importorskip("stable_baselines3", reason="needs stable_baselines3, not installed")

import torch  # noqa: E402
from stable_baselines3.common.env_checker import check_env  # noqa: E402
from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.vec_env import SubprocVecEnv  # noqa: E402

DOCS = Path(__file__).resolve().parents[2] / "docs" / "gymnasium.md"
#: Small pictures and a short horizon: learning to drive takes seconds, not a minute.
SETTINGS = {"image_shape": (40, 56), "throttle_range": (0.2, 0.5), "max_episode_steps": 200}

pytestmark = [
    pytest.mark.filterwarnings("default::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("default::UserWarning:torch"),
]


@pytest.fixture(autouse=True)
def one_thread():
    """Nets this small are slower on many, and the other tests go on as before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def blocks():
    """The docs' examples for Stable-Baselines3: PPO as it is, and the batched adapter."""
    text = DOCS.read_text(encoding="utf-8").split("## Stable-Baselines3")[1]
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def run_block(number, steps, names=()):
    """Runs an example with small settings and `steps`; returns its names."""
    code, replaced = re.subn(r"total_timesteps=[\d_]+", f"total_timesteps={steps}", blocks()[number])
    assert replaced == 1
    code = re.sub(r"settings = \{.*\}", "", code)
    space = {"settings": SETTINGS, "__name__": "example", **dict(names)}
    exec(compile(code, f"{DOCS.name}, example {number}", "exec"), space)
    return space


def mean_return(model, seeds):
    """Of whole episodes from places that were not trained from, without exploration."""
    env = gymnasium.make(gym_env.ENV_ID, **SETTINGS)
    returns = []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            action, _ = model.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + reward, terminated or truncated
        returns.append(total)
    return float(np.mean(returns))


def test_their_checker_has_nothing_to_say():
    check_env(gymnasium.make(gym_env.ENV_ID, **SETTINGS, render_mode="rgb_array").unwrapped)


def test_ppo_unchanged_learns_to_drive():
    seeds = range(1000, 1006)
    done = run_block(0, steps=8_192)
    untrained = stable_baselines3.PPO("CnnPolicy", done["cars"], seed=0, device="cpu")
    before, after = mean_return(untrained, seeds), mean_return(done["model"], seeds)
    print(f"return before {before:.2f}, after {after:.2f}")
    assert after > 2 * before + 1


def test_the_batched_cars_are_sb3s_own():
    """To the bit what `make_vec_env` gives, with ends of episodes and their last observations."""
    names = run_block(1, steps=256)
    settings = SETTINGS | {"max_episode_steps": 25, "throttle_range": (0.5, 1.0), "off_track_m": 0.0}
    ours = names["VecMonitor"](names["Batched"](4, **settings))
    theirs = make_vec_env(gym_env.ENV_ID, n_envs=4, env_kwargs=settings)
    for cars in (ours, theirs):
        cars.seed(7)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    rng, late, left = np.random.default_rng(0), 0, 0
    for _ in range(60):
        actions = rng.uniform(-1, 1, (4, 2)).astype(np.float32)
        one, other = ours.step(actions), theirs.step(actions)
        for mine, its in zip(one[:2], other[:2], strict=True):
            np.testing.assert_array_equal(np.asarray(mine, np.float32), np.asarray(its, np.float32))
        np.testing.assert_array_equal(one[2], other[2])
        for mine, its, done in zip(one[3], other[3], one[2], strict=True):
            if done:
                np.testing.assert_array_equal(mine["terminal_observation"], its["terminal_observation"])
                assert mine["TimeLimit.truncated"] == its["TimeLimit.truncated"]
                assert mine["episode"]["r"] == pytest.approx(its["episode"]["r"], abs=1e-5)
                late += mine["TimeLimit.truncated"]
                left += not mine["TimeLimit.truncated"]
    assert late and left


def test_workers_in_processes_of_their_own():
    cars = make_vec_env(
        f"dingocar.sim.gym_env:{gym_env.ENV_ID}",
        n_envs=2,
        seed=0,
        env_kwargs=SETTINGS,
        vec_env_cls=SubprocVecEnv,
    )
    try:
        assert cars.reset().shape == (2, 40, 56, 3)
        assert cars.step(np.zeros((2, 2), np.float32))[0].dtype == np.uint8
    finally:
        cars.close()
