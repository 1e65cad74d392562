"""Measures the simulator on one core and prints one JSON object.

Run from the checkout: `python benchmarks/sim_bench.py`. A frame is a whole step: the car is driven,
found on the track, and its 160x120 picture is drawn. Each figure is the best of several rounds.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dingocar.sim import Expert, World

ROUNDS, ROUND_S = 7, 0.4


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


def main() -> None:
    """Measures and prints."""
    single, batch = World("circuit", seed=1), World("circuit", n=64, seed=1)
    expert = Expert(batch.track, batch.dynamics)
    print(
        json.dumps(
            {
                "frames_per_s": per_second(lambda: single.step(0.0, 0.0).image, 1),
                "frames_per_s_batch64": per_second(lambda: batch.step(0.0, 0.0).image, 64),
                "physics_steps_per_s": per_second(lambda: single.step(0.0, 0.0), 1),
                "physics_steps_per_s_batch64": per_second(lambda: batch.step(0.0, 0.0), 64),
                "expert_steps_per_s_batch64": per_second(lambda: batch.step(*expert.act(batch.state)), 64),
                "image": [*batch.camera.shape, 3],
                "track": batch.track.name,
                "numpy": np.__version__,
                "python": platform.python_version(),
            }
        )
    )


if __name__ == "__main__":
    main()
