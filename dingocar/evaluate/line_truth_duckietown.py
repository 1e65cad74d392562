"""Pictures of the real gym-duckietown, with the true pixels of its lines."""

from __future__ import annotations

import itertools

import numpy as np

from dingocar.errors import UsageError
from dingocar.evaluate.duckietown import HALF_LANE_M, episode_seed
from dingocar.evaluate.line_truth import LINES, BoolArray, LinePictures
from dingocar.images import Uint8Array
from dingocar.sim.duckietown_gym import DuckietownExpert, DuckietownGym

#: The look of this name is that place, as in a leaderboard's suite.
PLACE = "gym-duckietown"
#: Maps where nothing is recorded that a translator of the trials learns from; and others, to tune on.
MAPS = ("loop_empty", "zigzag_dists")
TUNING_MAPS = ("small_loop", "ETH_large_loop")
#: Of the driving: velocity in their units, and how far a start may be turned from the lane.
_VELOCITY, _START_ANGLE_DEG = 0.3, 20.0
#: One picture of so many steps, and so many of an episode.
_EVERY, _OF_EPISODE = 8, 6


def duckietown_line_pictures(
    maps: tuple[str, ...] = MAPS, frames: int = 400, seed: int = 0, picture: tuple[int, int] = (60, 80)
) -> LinePictures:
    """Takes pictures along maps that the expert drives, from starts aside and askew.

    Args:
        maps: of gym-duckietown; each gets its even share of the pictures.
        frames: how many.
        seed: of starts.
        picture: (height, width).

    Raises:
        MissingExtraError: gym-duckietown is not installed.
        UnknownNameError: no such map.
        UsageError: fewer frames than maps.
    """
    if frames < len(maps) or not maps:
        raise UsageError(f"expected at least a picture of each map, got {frames} of {len(maps)} maps")
    images: list[Uint8Array] = []
    lines: dict[str, list[BoolArray]] = {colour: [] for colour in LINES}
    places: list[tuple[float, float]] = []
    for number, name in enumerate(maps):
        wanted = (number + 1) * frames // len(maps)
        first = int(np.random.default_rng([seed, number]).integers(2**31))
        with DuckietownGym(name, first, image_shape=picture, accept_start_angle_deg=_START_ANGLE_DEG) as gym:
            expert = DuckietownExpert(gym, _VELOCITY)
            for episode in itertools.count():
                state = gym.reset(episode_seed(first, episode))
                for step in range(_EVERY * _OF_EPISODE):
                    if step % _EVERY == 0 and len(images) < wanted:
                        images.append(state.image)
                        for colour, mask in gym.lines().items():
                            lines[colour].append(mask)
                        places.append((state.lane_dist_m, state.lane_angle_rad))
                    state = gym.step(*expert.act(state))
                    if state.done:
                        break
                if len(images) == wanted:
                    break
    cte_m, heading_rad = np.array(places).T
    masks = {colour: np.stack(each) for colour, each in lines.items()}
    return LinePictures(np.stack(images), masks, cte_m, heading_rad, np.full(len(images), HALF_LANE_M), None)
