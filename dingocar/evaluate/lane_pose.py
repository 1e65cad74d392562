"""Where a car is in its lane, by the pixels of its lines: votes of each pixel on the road before the car.

Source of the idea: Duckietown's lane filter, which lets line segments vote over a grid of offset and heading.
Here each pixel near the car is laid on the floor and must lie on a line of its colour of a lane that is
straight or an arc.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dingocar.evaluate.line_truth import BoolArray, LinePictures
from dingocar.sim import Camera

FloatArray = npt.NDArray[np.float64]

#: Only what is so near votes: farther away a lane is no arc.
NEAR_M = 0.9
#: A pixel votes for lines within about this distance.
_SPREAD_M = 0.03
#: So many votes and more are a place; with fewer nothing is known.
_LEAST = 5
#: More pixels of a line say no more.
_VOTERS = 80
_HEADINGS = np.linspace(-0.6, 0.6, 25)
#: To the left, in 1 / m.
_CURVATURES = np.append(np.linspace(-1.5, 1.5, 12), 1e-6)
#: What fits a bent lane as well as a straight one is straight: so much less counts a curvature of 1 / m.
_BENT = 0.01


@dataclass(frozen=True)
class LanePoses:
    """Estimates for N pictures; NaN where too few pixels voted.

    Attributes:
        cte_m: (N,), to the right of the middle.
        heading_error_rad: (N,), to the left.
    """

    cte_m: FloatArray
    heading_error_rad: FloatArray


def floor_points(camera: Camera) -> FloatArray:
    """Where each pixel looks at the floor, from the middle of the rear axle: (H, W, 2) metres ahead and to
    the left; NaN above the horizon."""
    rays = camera.rays()
    down = np.where(rays[..., 2] < -1e-6, -rays[..., 2], np.nan)
    ahead = camera.forward_m + rays[..., 0] / down * camera.height_m
    left = camera.left_m + rays[..., 1] / down * camera.height_m
    return np.stack([ahead, left], axis=-1)


def estimate(
    lines: Mapping[str, BoolArray], camera: Camera, half_width_m: FloatArray, edge_m: float = 0.05
) -> LanePoses:
    """Estimates the pose in the lane.

    Args:
        lines: found pixels of "white" and "yellow", bool (N, H, W).
        camera: that took the pictures.
        half_width_m: (N,), of the track.
        edge_m: width of an edge line: its middle lies half of it within the track.
    """
    points = floor_points(camera)
    near = (points[..., 0] > 0) & (points[..., 0] < NEAR_M)
    found = np.full((len(half_width_m), 2), np.nan)
    for number, half in enumerate(half_width_m):
        voters = {colour: _some(points[mask[number] & near]) for colour, mask in lines.items()}
        if sum(map(len, voters.values())) < _LEAST:
            continue
        offsets = np.linspace(-half, half, 41)
        places = {"yellow": (0.0,), "white": (half - edge_m / 2, edge_m / 2 - half)}
        votes = np.zeros((len(_HEADINGS), len(_CURVATURES), len(offsets)))
        for row, heading in enumerate(_HEADINGS):
            for colour, where in voters.items():
                votes[row] += _votes(where, float(heading), places[colour], offsets)
        votes *= 1 - _BENT * np.abs(_CURVATURES)[:, None]
        best = np.unravel_index(int(np.argmax(votes)), votes.shape)
        found[number] = offsets[best[2]], _HEADINGS[best[0]]
    return LanePoses(found[:, 0], found[:, 1])


def _some(points: FloatArray) -> FloatArray:
    """At most `_VOTERS` of the points (N, 2), evenly."""
    return points[:: -(-len(points) // _VOTERS) or 1]


def _votes(where: FloatArray, heading: float, places: tuple[float, ...], offsets: FloatArray) -> FloatArray:
    """What points (N, 2) vote for a heading: (curvatures, offsets).

    Args:
        where: ahead and to the left of the car.
        heading: the car's, to the left of the lane.
        places: of the colour's lines, to the left of the middle.
        offsets: of the car, to the right of it.
    """
    cosine, sine = np.cos(heading), np.sin(heading)
    along = where[:, 0] * cosine - where[:, 1] * sine
    aside = where[:, 1] * cosine + where[:, 0] * sine
    # Edges are arcs around the middle's own centre: how far to the left of the middle, (curvatures, N,
    # offsets).
    radius = 1 / _CURVATURES[:, None, None]
    reach = np.hypot(along[:, None], aside[:, None] - offsets - radius)
    left = radius - np.sign(radius) * reach
    apart = np.min([np.abs(left - place) for place in places], axis=0)
    votes: FloatArray = np.exp(-0.5 * (apart / _SPREAD_M) ** 2).sum(axis=1)
    return votes


def pose_error(pictures: LinePictures, lines: Mapping[str, BoolArray]) -> dict[str, float | None]:
    """How far estimates are from the truth.

    Returns:
        `offset_m`: mean absolute error over all pictures; where nothing is known, the middle is assumed.
        `known`: for which share of the pictures something is. None for both with a camera that is not ours.
        The heading is not judged: a lane that is seen for less than a metre may as well be bent, so that the
        estimate is no better than 0 even by the true lines.
    """
    if pictures.camera is None:  # nobody knows where on the floor its pixels look
        return {"offset_m": None, "known": None}
    cte_m = estimate(lines, pictures.camera, pictures.half_width_m).cte_m
    error = np.abs(np.nan_to_num(cte_m) - pictures.cte_m)
    return {"offset_m": float(error.mean()), "known": float(np.isfinite(cte_m).mean())}
