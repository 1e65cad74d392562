"""Rewards: what a step of driving is worth to a learner.

A reward is a function of one dictionary, the same for all of them and for those that a user writes:

==================== ==================================================================================
steering, throttle   the command, in [-1, 1]
step_m               way along the track that this step made; negative backwards, 0 off the track
cte_m, half_width_m  distance from the centre line (positive to its right), and how far its edges are
heading_error_rad    to the left of the track's direction
speed_mps            measured, negative backwards
progress_m, laps     since the start of the episode
s_m, length_m        place on the centre line, and its whole length
off_track            whether |cte_m| is beyond half_width_m
left                 whether this step ended the episode: too far off the track, or the wrong way
time_s, dt_s         since the start of the episode, and of this step
==================== ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UnknownNameError, UsageError

FloatArray = npt.NDArray[np.float64]
#: The values of the table above: numbers for one car, or (n,) arrays for n.
Params = Mapping[str, Any]
Reward = Callable[[Params], Any]

#: What leaving the track costs: as much as this many metres in the middle of it. Enough to be felt, and too
#: little to make standing still the better choice for a beginner who drives a metre before leaving.
LEAVING = 0.5
#: A step is worth no more than this many metres: coming back to the track from afar books them all at once.
MOST_M = 1.0


def progress(params: Params) -> FloatArray:
    """Metres along the track, fewer beside its middle, less `LEAVING` for leaving it.

    A step forwards is worth `step_m * (1 - |cte_m| / half_width_m)`, gym-donkeycar's
    `(1 - |cte| / max_cte) * forward_vel` with the way along the track for the speed; a step backwards costs
    its whole way, so that going to and fro earns nothing. Always within [-MOST_M - LEAVING, MOST_M].

    >>> here = {"step_m": 0.1, "cte_m": -0.1, "half_width_m": 0.4, "left": False}
    >>> round(float(progress(here)), 6), round(float(progress(here | {"left": True})), 6)
    (0.075, -0.425)
    """
    step_m = np.clip(params["step_m"], -MOST_M, MOST_M)
    centred = 1.0 - np.minimum(np.abs(params["cte_m"]) / params["half_width_m"], 1.0)
    worth = np.where(step_m > 0, step_m * centred, step_m)
    return np.asarray(worth - LEAVING * np.asarray(params["left"], float), np.float64)


#: The rewards that can be asked for by name; all take (n,) arrays.
REWARDS: dict[str, Reward] = {"progress": progress}


def load_reward(reward: str | Reward) -> Callable[[Mapping[str, npt.NDArray[Any]]], FloatArray]:
    """Makes a function for n cars of a reward's name, or of a function for one car.

    Args:
        reward: a name, or a function that takes the table above with numbers for one car and returns one.

    Returns:
        A function from the table with (n,) arrays to float64 (n,).

    Raises:
        UnknownNameError: there is no such reward.
        UsageError: it is neither; or, from the function returned, what came back is not one finite number.
    """
    if isinstance(reward, str):
        if reward not in REWARDS:
            raise UnknownNameError("reward", reward, REWARDS)
        return REWARDS[reward]
    if not callable(reward):
        raise UsageError(f"reward must be a name ({', '.join(REWARDS)}) or a function, got {reward!r}")

    def of_all(params: Mapping[str, npt.NDArray[Any]]) -> FloatArray:
        columns = [values.tolist() for values in params.values()]
        cars = (dict(zip(params, row, strict=True)) for row in zip(*columns, strict=True))
        return np.array([_checked(reward(car), reward) for car in cars])

    return of_all


def _checked(value: Any, reward: Reward) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        name = getattr(reward, "__name__", type(reward).__name__)
        raise UsageError(f"reward {name!r} must return one finite number, got {value!r}")
    return number
