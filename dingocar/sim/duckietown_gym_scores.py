"""AI-DO's own scorer, from duckietown_world, on a driven path: what our metrics are checked against."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.sim.duckietown_gym_shim import load_world, no_warnings

#: Their names of our metrics: (rule, name within the rule).
_NAMES = {
    "driven_lanedir_consec_m": ("driving-distance-consecutive", ("driven_lanedir_consec",)),
    "survival_s": ("survival_time", ()),
    "deviation_tile_s": ("deviation-center-line", ()),
    "out_of_lane_s": ("in-drivable-lane", ()),
    "driven_lanedir_m": ("driving-distance", ("driven_lanedir",)),
    "driven_any_m": ("driving-distance", ("driven_any",)),
    "deviation_heading_rad_s": ("deviation-heading", ()),
}


def official_scores(path: npt.NDArray[np.float64], map_name: str, dt_s: float) -> dict[str, float]:
    """Scores a path by the rules of duckietown_world. Slow: about 30 poses a second.

    Args:
        path: float64 (T, 3): x_m, y_m, yaw_rad, one pose for each step.
        map_name: a map of gym-duckietown.
        dt_s: length of a step.

    Returns:
        The figures under the names of `dingocar.evaluate.duckietown_metrics.LaneMetrics`.

    Raises:
        MissingExtraError: duckietown_world is not installed.
    """
    world = load_world()
    rules: Any = importlib.import_module("duckietown_world.rules.rule")
    sequences: Any = importlib.import_module("duckietown_world.seqs.tsequence")
    times = [i * dt_s for i in range(len(path))]
    with no_warnings():
        duckietown = world.load_map(map_name)
        poses = [world.SE2Transform([float(x), float(y)], float(yaw)) for x, y, yaw in path]
        timed = sequences.SampledSequence[world.SE2Transform](times, poses)
        duckietown.set_object("ego", world.DB18(), ground_truth=timed)
        interval = sequences.SampledSequence.from_iterator(enumerate(times))
        results = rules.evaluate_rules(
            poses_sequence=timed, interval=interval, world=duckietown, ego_name="ego"
        )
    scores = {ours: float(results[rule].metrics[name].total) for ours, (rule, name) in _NAMES.items()}
    in_lane_s = scores["survival_s"] - scores["out_of_lane_s"]
    # Their lane poses are in tiles, other than their poses.
    deviation_m_s = scores["deviation_tile_s"] * duckietown.tile_size
    return scores | {"mean_abs_lateral_m": deviation_m_s / max(in_lane_s, dt_s)}
