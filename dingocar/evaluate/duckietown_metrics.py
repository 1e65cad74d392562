"""AI-DO's lane-following metrics of a driven path, on the lanes of a map of tiles, in numpy.

Definitions after AI-DO's scoring (duckietown/challenge-aido_LF, scoring.yaml) and the rules of
duckietown_world: the lane's centre is 0.22 tiles right of the road's, and a lane is 0.376 tiles wide. The
lanes of curves are circles about the tile's corner here; AI-DO's leave them by up to 0.013 tiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import numpy.typing as npt

from dingocar.errors import TrackError, UsageError

FloatArray = npt.NDArray[np.float64]

#: Distance of a lane's centre from the road's, and width of a lane, in tiles.
LANE_OFFSET, LANE_WIDTH = 0.22, 0.376
#: By which a lane crosses a tile that is entered from the west; then how far the tile is turned, in quarters.
_STRAIGHT, _LEFT, _RIGHT = "straight", "left", "right"
_TEE = [(_STRAIGHT, 0), (_LEFT, 0), (_LEFT, 3), (_RIGHT, 3), (_RIGHT, 2), (_STRAIGHT, 2)]
LANES: dict[str, list[tuple[str, int]]] = {
    "straight": [(_STRAIGHT, 0), (_STRAIGHT, 2)],
    "curve_left": [(_RIGHT, 3), (_LEFT, 0)],
    "curve_right": [(_RIGHT, 0), (_LEFT, 1)],
    "3way_left": _TEE,
    "3way_right": [(move, turn + 2) for move, turn in _TEE],
    "4way": [(move, turn) for turn in range(4) for move in (_STRAIGHT, _LEFT, _RIGHT)],
}
QUARTERS = {"E": 0, "N": 1, "W": 2, "S": 3}


class LaneMap:
    """The lanes of a map.

    Args:
        tiles: rows of `kind/orientation`, the top row first; without an orientation E. Kinds that are not in
            `LANES` have no lanes.
        tile_size_m: side of a tile.

    Raises:
        TrackError: the rows are not of one length, or an orientation is none.
    """

    def __init__(self, tiles: Sequence[Sequence[str]], tile_size_m: float) -> None:
        if not tiles or len({len(row) for row in tiles}) != 1:
            raise TrackError("the map's rows of tiles must be of one length, and at least one")
        self.tile_size_m = tile_size_m
        self.rows, self.columns = len(tiles), len(tiles[0])
        self._lanes: dict[int, list[tuple[str, int]]] = {}
        for row, line in enumerate(reversed(list(tiles))):  # counted from below, as y is
            for column, tile in enumerate(line):
                kind, _, orientation = tile.strip().partition("/")
                if kind not in LANES:
                    continue
                if (orientation := orientation.strip() or "E") not in QUARTERS:
                    raise TrackError(f"tile {tile!r}: expected an orientation of E, N, W or S")
                quarters = QUARTERS[orientation]
                self._lanes[row * self.columns + column] = [
                    (move, (turn + quarters) % 4) for move, turn in LANES[kind.strip()]
                ]

    def lane_poses(self, path: FloatArray) -> list[list[LanePose]]:
        """Where a car is in the lanes that it is in: at most half a lane beside, at most 90 degrees askew.

        Args:
            path: float64 (T, 3): x_m from the map's left edge, y_m up from its lower edge, yaw_rad.

        Returns:
            For each pose its lanes; none off the road, out of lane, or against the traffic.
        """
        at = path[:, :2] / self.tile_size_m
        cell = np.floor(at).astype(int)
        inside = (cell >= 0).all(1) & (cell[:, 0] < self.columns) & (cell[:, 1] < self.rows)
        tile = np.where(inside, cell[:, 1] * self.columns + cell[:, 0], -1)
        found: list[list[LanePose]] = [[] for _ in range(len(path))]
        for number in set(tile.tolist()) & self._lanes.keys():
            here = np.flatnonzero(tile == number)
            for lane, (move, quarters) in enumerate(self._lanes[number]):
                turn = quarters * math.pi / 2
                lateral, tangent = _lane_pose(move, _turned(at[here] - cell[here] - 0.5, -turn))
                tangent = _turned(tangent, turn)
                heading = np.arctan2(tangent[:, 1], tangent[:, 0])
                error = np.angle(np.exp(1j * (path[here, 2] - heading)))
                valid = (np.abs(lateral) <= LANE_WIDTH / 2) & (np.abs(error) <= math.pi / 2)
                for k in np.flatnonzero(valid):
                    distance_m = float(lateral[k] * self.tile_size_m)
                    found[here[k]].append(
                        LanePose(number, lane, distance_m, float(error[k]), (tangent[k, 0], tangent[k, 1]))
                    )
        return found


@dataclass(frozen=True)
class LanePose:
    """A car's place in a lane.

    Attributes:
        tile, lane: which; the lane's number within the tile.
        lateral_m: distance from the lane's centre, positive to its right.
        heading_error_rad: yaw less the lane's heading, positive: it points to the left.
        tangent: the lane's direction there, (x, y) of length 1.
    """

    tile: int
    lane: int
    lateral_m: float
    heading_error_rad: float
    tangent: tuple[float, float]


def _turned(vectors: FloatArray, angle_rad: float) -> FloatArray:
    """Turns (n, 2) vectors counter-clockwise."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    turned: FloatArray = vectors @ np.array([[c, s], [-s, c]])
    return turned


def _lane_pose(move: str, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance to the right of the lane's centre, (n,), and its direction, (n, 2), of a lane that enters a
    tile of side 1 from the west; `at` is (n, 2) from the tile's middle."""
    if move == _STRAIGHT:
        return -LANE_OFFSET - at[:, 1], np.tile([1.0, 0.0], (len(at), 1))
    side = 1.0 if move == _LEFT else -1.0
    spoke = at - np.array([-0.5, 0.5 * side])
    length = np.maximum(np.linalg.norm(spoke, axis=1), 1e-12)
    radius = 0.5 + LANE_OFFSET * side
    return side * (length - radius), side * np.stack([-spoke[:, 1], spoke[:, 0]], 1) / length[:, None]


@dataclass(frozen=True)
class LaneMetrics:
    """The metrics of one episode, in AI-DO's order of importance.

    Attributes:
        driven_lanedir_consec_m: way along the lanes ("travelled distance"); on a tile that was driven on in
            one lane, other lanes do not count any more. More is better.
        survival_s: the episode's length. More is better.
        deviation_tile_s: distance from the lane's centre, in tiles as AI-DO's scorer has it, integrated over
            time; 0 where the car is in no lane. Less is better, but only between episodes of about the
            same length: who crashes early deviates little.
        out_of_lane_s: time in no lane or against its direction ("in-drivable-lane", "major infractions").
            Less is better.
        driven_lanedir_m: way along the lanes, all of them.
        driven_any_m: length of the path.
        deviation_heading_rad_s: |heading error| integrated over time.
        mean_abs_lateral_m: mean distance from the lane's centre while in a lane, whatever the length.
    """

    driven_lanedir_consec_m: float
    survival_s: float
    deviation_tile_s: float
    out_of_lane_s: float
    driven_lanedir_m: float
    driven_any_m: float
    deviation_heading_rad_s: float
    mean_abs_lateral_m: float


def lane_metrics(path: FloatArray, tiles: LaneMap, dt_s: float) -> LaneMetrics:
    """Computes the metrics of an episode.

    Where lanes cross, the nearest one counts for the deviation, and the one that brings most for the way.

    Args:
        path: float64 (T, 3), T at least 2: as for `LaneMap.lane_poses`, one pose for each step.
        tiles: the map.
        dt_s: length of a step.

    Raises:
        UsageError: the path is no such array.
    """
    path = np.asarray(path, float)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) < 2 or not np.isfinite(path).all():
        raise UsageError(f"lane_metrics: expected a path of shape (T, 3), T at least 2, got {path.shape}")
    moves = np.diff(path[:, :2], axis=0)
    # As in AI-DO, a step counts with what is true where it begins.
    poses = tiles.lane_poses(path[:-1])
    lateral_m, heading_rad, along_m, consecutive_m = [], [], 0.0, 0.0
    first_lane: dict[int, int] = {}
    for lanes, move in zip(poses, moves, strict=True):
        if not lanes:
            continue
        nearest = min(lanes, key=lambda pose: abs(pose.lateral_m))
        lateral_m.append(abs(nearest.lateral_m))
        heading_rad.append(abs(nearest.heading_error_rad))
        ways = {pose: float(np.dot(pose.tangent, move)) for pose in lanes}
        along_m += max(ways.values())
        same = [way for pose, way in ways.items() if first_lane.setdefault(pose.tile, pose.lane) == pose.lane]
        consecutive_m += max(same, default=0.0)
    return LaneMetrics(
        driven_lanedir_consec_m=consecutive_m,
        survival_s=len(moves) * dt_s,
        deviation_tile_s=sum(lateral_m) / tiles.tile_size_m * dt_s,
        out_of_lane_s=(len(moves) - len(lateral_m)) * dt_s,
        driven_lanedir_m=along_m,
        driven_any_m=float(np.linalg.norm(moves, axis=1).sum()),
        deviation_heading_rad_s=sum(heading_rad) * dt_s,
        mean_abs_lateral_m=sum(lateral_m) / max(len(lateral_m), 1),
    )


def medians(metrics: Sequence[LaneMetrics]) -> dict[str, float]:
    """The median of each metric over the episodes, as AI-DO reports them."""
    rows = [asdict(one) for one in metrics]
    return {field.name: float(np.median([row[field.name] for row in rows])) for field in fields(LaneMetrics)}
