"""AI-DO's lane-following metrics on paths whose figures can be said beforehand."""

import math

import numpy as np
import pytest

from dingocar.errors import TrackError, UsageError
from dingocar.evaluate.duckietown_metrics import LANE_OFFSET, LANE_WIDTH, LaneMap, lane_metrics, medians

TILE_M, DT_S = 0.6, 0.05
RING = [
    ["curve_left/W", "straight/W", "curve_left/N"],
    ["straight/S", "floor", "straight/N"],
    ["curve_left/S", "straight/E", "curve_left/E"],
]


def road(length=3):
    """A road along x, of `length` tiles."""
    return LaneMap([["straight/E"] * length], TILE_M)


def line(start, end, y, n=61, yaw=None):
    """A path along x in tiles, at y, in metres."""
    x = np.linspace(start, end, n)
    yaw = (0.0 if end > start else math.pi) if yaw is None else yaw
    return np.stack([x * TILE_M, np.full(n, y * TILE_M), np.full(n, yaw)], 1)


EASTWARDS = 0.5 - LANE_OFFSET  # y of the lane that goes east, in tiles
WESTWARDS = 0.5 + LANE_OFFSET


def test_a_car_on_the_lanes_centre():
    found = lane_metrics(line(0, 2.9, EASTWARDS), road(), DT_S)
    assert found.survival_s == pytest.approx(3.0)
    assert found.driven_lanedir_consec_m == pytest.approx(2.9 * TILE_M)
    assert found.driven_any_m == pytest.approx(2.9 * TILE_M)
    assert (found.deviation_tile_s, found.out_of_lane_s) == (pytest.approx(0, abs=1e-9), 0)


@pytest.mark.parametrize("beside", [-0.1, 0.1])
def test_deviation_is_integrated_over_time_in_tiles(beside):
    found = lane_metrics(line(0, 2.9, EASTWARDS + beside), road(), DT_S)
    assert found.deviation_tile_s == pytest.approx(3.0 * 0.1)
    assert found.mean_abs_lateral_m == pytest.approx(0.1 * TILE_M)
    assert found.out_of_lane_s == 0


def test_signs_of_a_lane_pose():
    path = line(0, 1, EASTWARDS - 0.1, n=2, yaw=0.3)
    (pose,) = road().lane_poses(path)[0]
    assert pose.lateral_m == pytest.approx(0.1 * TILE_M)  # further down is to the right
    assert pose.heading_error_rad == pytest.approx(0.3)  # and turned to the left
    assert pose.tangent == pytest.approx((1, 0))


def test_out_of_lane_is_beside_the_lane_off_the_road_and_against_the_traffic():
    within = LANE_WIDTH / 2 - 0.01
    assert lane_metrics(line(0, 2.9, EASTWARDS - within), road(), DT_S).out_of_lane_s == 0
    for wrong in (
        line(0, 2.9, EASTWARDS - within - 0.02),
        line(0, 2.9, -0.5),
        line(2.9, 0, EASTWARDS),
    ):
        found = lane_metrics(wrong, road(), DT_S)
        assert found.out_of_lane_s == pytest.approx(3.0)
        assert found.driven_lanedir_m == 0 and found.deviation_tile_s == 0
        assert found.driven_any_m == pytest.approx(2.9 * TILE_M)


def test_the_way_back_in_the_other_lane_is_no_travelled_distance():
    there, back = line(0.1, 2.9, EASTWARDS), line(2.9, 0.1, WESTWARDS)
    found = lane_metrics(np.concatenate([there, back]), road(), DT_S)
    assert found.driven_lanedir_m == pytest.approx(2 * 2.8 * TILE_M, rel=0.01)
    assert found.driven_lanedir_consec_m == pytest.approx(2.8 * TILE_M, rel=0.01)


def ring_lap(radius, clockwise):
    """A lap of RING in tiles: four straights of one tile and four quarters of a circle about the map's
    corners' inner tiles."""
    points = []
    for side in range(4):
        turn = side * math.pi / 2
        t = np.linspace(0, 1, 200, endpoint=False)
        # From the middle tile's lower left to its lower right, then the corner; all turned by the side.
        straight = np.stack([t - 0.5, np.full_like(t, -0.5 - radius), np.zeros_like(t)], 1)
        angle = t * math.pi / 2
        corner = np.stack([0.5 + radius * np.sin(angle), -0.5 - radius * np.cos(angle), angle], 1)
        part = np.concatenate([straight, corner])
        c, s = math.cos(turn), math.sin(turn)
        x, y, yaw = part.T
        points.append(np.stack([c * x - s * y, s * x + c * y, yaw + turn], 1))
    lap = np.concatenate(points)
    lap[:, :2] = (lap[:, :2] + 1.5) * TILE_M
    if clockwise:
        lap = lap[::-1] + np.array([0, 0, math.pi])
    return lap


@pytest.mark.parametrize("radius, clockwise", [(0.5 + LANE_OFFSET, False), (0.5 - LANE_OFFSET, True)])
def test_lanes_join_in_curves_of_every_orientation(radius, clockwise):
    path = ring_lap(radius, clockwise)
    found = lane_metrics(path, LaneMap(RING, TILE_M), DT_S)
    # But for the last step, which would close the lap.
    assert found.driven_lanedir_consec_m == pytest.approx(4 * (1 + radius * math.pi / 2) * TILE_M, rel=2e-3)
    assert found.mean_abs_lateral_m == pytest.approx(0, abs=1e-6)
    assert found.deviation_heading_rad_s == pytest.approx(0, abs=0.01)
    assert found.out_of_lane_s == 0


@pytest.mark.parametrize("radius, clockwise", [(0.5 + LANE_OFFSET, True), (0.5 - LANE_OFFSET, False)])
def test_a_lap_in_the_wrong_lane_is_out_of_lane(radius, clockwise):
    path = ring_lap(radius, clockwise)
    found = lane_metrics(path, LaneMap(RING, TILE_M), DT_S)
    assert found.out_of_lane_s == pytest.approx(found.survival_s)


@pytest.mark.parametrize(
    "kind, entering",  # from the west, the south, the east and the north
    [
        ("straight", [1, 0, 1, 0]),
        ("curve_left", [1, 0, 0, 1]),
        ("curve_right", [1, 1, 0, 0]),
        ("3way_left", [2, 0, 2, 2]),
        ("3way_right", [2, 2, 2, 0]),
        ("4way", [3, 3, 3, 3]),
    ],
)
def test_lanes_enter_a_tile_where_there_is_road(kind, entering):
    lanes = LaneMap([[f"{kind}/E"]], 1.0)
    found = []
    for quarter in range(4):
        turn = quarter * math.pi / 2
        c, s = math.cos(turn), math.sin(turn)
        x, y = -0.499, -LANE_OFFSET
        at = np.array([[0.5 + c * x - s * y, 0.5 + s * x + c * y, turn]])
        found.append(sum(abs(pose.lateral_m) < 1e-3 for pose in lanes.lane_poses(at)[0]))
    assert found == entering


def test_a_crash_deviates_little_so_the_mean_is_told_too():
    whole, crash = line(0, 2.9, EASTWARDS + 0.05, 61), line(0, 0.5, EASTWARDS + 0.05, 11)
    long, short = (lane_metrics(path, road(), DT_S) for path in (whole, crash))
    assert short.deviation_tile_s < long.deviation_tile_s / 5
    assert short.mean_abs_lateral_m == pytest.approx(long.mean_abs_lateral_m)
    assert short.survival_s < long.survival_s


def test_medians():
    paths = [line(0, length, EASTWARDS, n) for length, n in ((1, 21), (2, 41), (2.9, 61))]
    found = medians([lane_metrics(path, road(), DT_S) for path in paths])
    assert found["survival_s"] == pytest.approx(2.0)
    assert found["driven_lanedir_consec_m"] == pytest.approx(2 * TILE_M)


@pytest.mark.parametrize("path", [np.zeros((1, 3)), np.zeros((5, 2)), np.full((5, 3), np.nan)])
def test_what_is_no_path(path):
    with pytest.raises(UsageError, match="expected a path"):
        lane_metrics(path, road(), DT_S)


@pytest.mark.parametrize("tiles", [[], [["straight/E"], []], [["straight/X"]]])
def test_what_is_no_map(tiles):
    with pytest.raises(TrackError, match="tile"):
        LaneMap(tiles, TILE_M)
