"""Measures the Gymnasium environment on one core and prints one JSON object.

Run from the checkout: `python benchmarks/gym_bench.py`. A step is a whole one: actions in, the 60x80 picture,
the reward and the info out, episodes begun anew when they end. Actions are drawn by chance, so episodes are
as short as a beginner's. Each figure is the best of several rounds.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import gymnasium
import numpy as np

import dingocar.sim.gym_env

ROUNDS, ROUND_S = 5, 1.0
SETTINGS: dict[str, Any] = {"image_shape": (60, 80), "throttle_range": (0.1, 0.6)}


def per_second(action: Callable[[], object], items: int) -> float:
    """How many items `action`, which makes `items` of them, makes in a second."""
    action()
    best = 0.0
    for _ in range(ROUNDS):
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < ROUND_S:
            action()
            count += 1
        best = max(best, items * count / spent)
    return round(best, 1)


def single(**settings: Any) -> float:
    """Steps per second of one environment."""
    env = gymnasium.make(dingocar.sim.gym_env.ENV_ID, **SETTINGS, **settings)
    actions = np.random.default_rng(0).uniform(-1, 1, (997, 2)).astype(np.float32)
    env.reset(seed=0)
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        _, _, terminated, truncated, _ = env.step(actions[count % len(actions)])
        if terminated or truncated:
            env.reset()

    return per_second(step, 1)


def vector(num_envs: int, mode: str, **settings: Any) -> float:
    """Steps per second of n environments together."""
    envs = gymnasium.make_vec(
        dingocar.sim.gym_env.ENV_ID, num_envs=num_envs, vectorization_mode=mode, **SETTINGS, **settings
    )
    actions = np.random.default_rng(0).uniform(-1, 1, (97, num_envs, 2)).astype(np.float32)
    envs.reset(seed=0)
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        envs.step(actions[count % len(actions)])

    return per_second(step, num_envs)


def main() -> None:
    """Measures and prints."""
    print(
        json.dumps(
            {
                "single_steps_per_s": single(),
                "vector32_steps_per_s": vector(32, "vector_entry_point"),
                "sync32_steps_per_s": vector(32, "sync"),
                "vector32_mild_steps_per_s": vector(32, "vector_entry_point", randomisation="mild"),
                "vector32_mild_redraw8_steps_per_s": vector(
                    32, "vector_entry_point", randomisation="mild", redraw_every=8
                ),
                "image": [60, 80, 3],
                "gymnasium": gymnasium.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            }
        )
    )


if __name__ == "__main__":
    main()
