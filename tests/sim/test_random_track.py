"""Random circuits are sound for every seed."""

from __future__ import annotations

import numpy as np
import pytest

from dingocar.sim import Dynamics, Track, load_track

SEEDS = range(100)


def crosses_itself(line: np.ndarray) -> bool:
    """Whether two sides of a closed polygon that are no neighbours touch."""
    start, end = line, np.roll(line, -1, axis=0)

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (
            c[..., 0] - a[..., 0]
        )

    a, b, c, d = start[:, None], end[:, None], start[None], end[None]
    cross = (side(a, b, c) * side(a, b, d) <= 0) & (side(c, d, a) * side(c, d, b) <= 0)
    n = len(line)
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return bool(cross[(apart > 1) & (apart < n - 1)].any())


def test_the_check_itself_sees_a_crossing():
    assert crosses_itself(np.array([(0, 0), (1, 1), (1, 0), (0, 1)], float))
    assert not crosses_itself(np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float))


@pytest.mark.parametrize("seed", SEEDS)
def test_sound(seed):
    track = load_track(f"random:{seed}")
    s = np.arange(0, track.length_m, 0.02)
    curvature = track.curvature(s)
    assert 10 < track.length_m < 20
    assert np.abs(curvature).max() < 1 / (1.5 * Dynamics().min_radius_m)
    turned = curvature * 0.02
    assert turned[turned > 0].sum() > 0.6
    assert turned[turned < 0].sum() < -0.6
    # No edge crosses itself or the other one, and no part lies on another: nowhere is a point of
    # an edge nearer to the centre line than half the width.
    for edge in (track.left, track.right):
        assert not crosses_itself(edge[::2])
        _, cte, _ = track.locate(*edge.T)
        assert np.abs(cte).min() > 0.34


def test_a_seed_is_a_track():
    one, same, other = (load_track(f"random:{seed}") for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.centre, same.centre)
    assert one.length_m != other.length_m
    np.testing.assert_array_equal(load_track("random").centre, load_track("random:0").centre)


def test_both_directions_of_driving_occur():
    def area(track: Track) -> float:
        x, y = track.centre.T
        return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))

    clockwise = sum(area(load_track(f"random:{seed}")) < 0 for seed in range(40))
    assert 10 <= clockwise <= 30
