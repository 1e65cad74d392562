"""Frames per second of gym-duckietown at 160x120 on one core, run by a Python that has it (the peer's).

    PEER_PYTHON benchmarks/duckietown_bench.py [--map NAME] [--steps N] [--repeats N]

Prints one JSON object. A frame is one step of the world: physics, picture and reward. Two ways to such a
picture: drawn in that size without the lens's distortion (the fastest there is), and drawn in 480 x 640 with
it, as its own programs do, then averaged down. On a busy machine look at the frames per second of the
processor.
Nothing of dingocar is imported, so that the peer may be as old as it likes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import sys
import time
import warnings
from typing import Any

# Before the packages that read them: one core, drawn in software, for a fair comparison.
os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"), "1")
)
os.environ["LIBGL_ALWAYS_SOFTWARE"] = "1"


def simulator() -> Any:
    """Imports gym-duckietown, without what it prints, under an old numpy or a new one."""
    import numpy as np

    old = {"float": float, "int": int, "bool": bool, "bool8": np.bool_, "float_": np.float64}
    for name, meaning in old.items():
        if name not in vars(np):
            setattr(np, name, meaning)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import duckietown_world  # noqa: F401  (before geometry)
        import geometry
        from gym_duckietown import simulator

    warnings.simplefilter("ignore")  # after gym, which shows all of its own
    made = geometry.se2_from_linear_angular

    def number(value: Any) -> float:
        return float(np.asarray(value).reshape(-1)[0])

    geometry.se2_from_linear_angular = lambda linear, angular: made(
        [number(value) for value in linear], number(angular)
    )
    return simulator


def measure(
    map_name: str, steps: int, repeats: int, shape: tuple[int, int], distortion: bool
) -> tuple[list[float], float]:
    """Frames per second of each repeat, and the best per second of the processor; what has to be averaged
    down is."""
    import cv2

    cv2.setNumThreads(1)
    height, width = shape
    env = simulator().Simulator(
        seed=1,
        map_name=map_name,
        max_steps=1 << 60,
        domain_rand=False,
        camera_width=width,
        camera_height=height,
        accept_start_angle_deg=4,
        distortion=distortion,
    )
    rates, best = [], 0.0
    for _ in range(repeats):
        env.reset()
        began_s, cpu_s = time.perf_counter(), time.process_time()
        for _ in range(steps):
            image, _, done, _ = env.step([0.2, 0.2])
            if (height, width) != (120, 160):
                cv2.resize(image, (160, 120), interpolation=cv2.INTER_AREA)
            if done:
                env.reset()
        rates.append(round(steps / (time.perf_counter() - began_s), 1))
        best = max(best, steps / (time.process_time() - cpu_s))
    return rates, round(best, 1)


def main() -> None:
    """Measures both ways and prints them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--map", default="loop_empty")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    logging.disable(logging.WARNING)
    run = (arguments.map, arguments.steps, arguments.repeats)
    (small, small_cpu), (full, full_cpu) = measure(*run, (120, 160), False), measure(*run, (480, 640), True)
    figures = {
        "frames_per_s": max(small),
        "frames_per_s_repeats": small,
        "frames_per_cpu_s": small_cpu,
        "frames_per_s_distorted": max(full),
        "frames_per_s_distorted_repeats": full,
        "frames_per_cpu_s_distorted": full_cpu,
        "map": arguments.map,
        "python": sys.version.split()[0],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
