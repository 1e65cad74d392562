"""Measures the simulator on one core and prints one JSON object.

    python benchmarks/sim_bench.py [--duckietown PYTHON]

A frame is a whole step: the car is driven, found on the track, and its picture is drawn. Each figure is the
best of several rounds. With `--duckietown`, a Python that has gym-duckietown, that one is measured in the
same call, in turn with ours, and the ratios are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dingocar.sim import Camera, Expert, World

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


def frames_per_s(
    look: str, n: int = 1, shape: tuple[int, int] = (120, 160), randomised: bool = False
) -> float:
    """Frames a second of a world, with pictures, while it drives."""
    name = "strong" if randomised else "none"
    world = World("circuit", look, n, Camera.of_shape(shape), seed=1, randomisation=name)
    return per_second(lambda: world.step(0.05, 0.4).image, n)


def peer(python: str) -> dict[str, float]:
    """What gym-duckietown does on this machine now."""
    script = Path(__file__).parent / "duckietown_bench.py"
    done = subprocess.run([python, str(script)], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--duckietown", metavar="PYTHON", help="a Python that has gym-duckietown")
    args = parser.parse_args()
    single, batch = World("circuit", seed=1), World("circuit", n=64, seed=1)
    expert = Expert(batch.track, batch.dynamics)
    figures: dict[str, Any] = {
        "frames_per_s": frames_per_s("flat"),
        "photo_frames_per_s": frames_per_s("photo"),
        "frames_per_s_batch64": frames_per_s("flat", 64),
        "frames_per_s_batch32_60x80": frames_per_s("flat", 32, (60, 80)),
        "photo_frames_per_s_batch32_60x80": frames_per_s("photo", 32, (60, 80)),
        "randomised_frames_per_s_batch32_60x80": frames_per_s("flat", 32, (60, 80), randomised=True),
        "physics_steps_per_s": per_second(lambda: single.step(0.0, 0.0), 1),
        "physics_steps_per_s_batch64": per_second(lambda: batch.step(0.0, 0.0), 64),
        "expert_steps_per_s_batch64": per_second(lambda: batch.step(*expert.act(batch.state)), 64),
        "image": [*batch.camera.shape, 3],
        "track": batch.track.name,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    if args.duckietown:
        theirs = peer(args.duckietown)
        again = {"flat": frames_per_s("flat"), "photo": frames_per_s("photo")}
        figures |= {"duckietown": theirs, "again_after_duckietown": again}
        fastest = theirs["frames_per_s"]
        figures["ratio_flat"] = round(max(figures["frames_per_s"], again["flat"]) / fastest, 1)
        figures["ratio_photo"] = round(max(figures["photo_frames_per_s"], again["photo"]) / fastest, 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
