"""The world from above."""

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.sim import Camera, World, load_track
from dingocar.sim.birdseye import CARS, Plan, _plan, birdseye, footprint, placed
from dingocar.sim.chart import survey
from dingocar.sim.painter import Painting

TRACK = load_track("circuit")


def colour_at(picture, plan, x_m, y_m):
    column, row = plan.pixels([[x_m, y_m]])[0].astype(int)
    return picture[row, column]


def test_a_car_is_where_it_is_and_looks_where_it_goes():
    plan = Plan(TRACK)
    for s_m in (0.0, 3.0, 7.0):
        x, y, yaw = (float(value[0]) for value in TRACK.pose_at(s_m))
        picture = birdseye(TRACK, x, y, yaw)
        assert picture.shape == (480, 640, 3) and picture.dtype == np.uint8
        ahead = placed([[0.2, 0.0]], x, y, yaw)[0]
        assert tuple(colour_at(picture, plan, *ahead)) == CARS[0]
        behind = placed([[-0.2, 0.0]], x, y, yaw)[0]
        assert tuple(colour_at(picture, plan, *behind)) != CARS[0]


def test_up_is_up():
    plan = Plan(TRACK)
    low, high = plan.pixels([[0.0, 0.0], [1.0, 2.0]])
    assert high[0] > low[0] and high[1] < low[1]
    assert high[0] - low[0] == pytest.approx(plan.scale_px)


def test_several_cars_have_several_colours():
    x, y, yaw = TRACK.pose_at([0.0, 3.0])
    picture, plan = birdseye(TRACK, x, y, yaw), Plan(TRACK)
    for car in range(2):
        ahead = placed([[0.1, 0.0]], x[car], y[car], yaw[car])[0]
        assert tuple(colour_at(picture, plan, *ahead)) == CARS[car]


def test_the_background_stays_as_it_is_and_is_drawn_once():
    clean = Plan(TRACK).background
    first = birdseye(TRACK, 0.0, 0.0, 0.0)
    first[:] = 0
    far_away = birdseye(TRACK, 1e6, -1e6, 0.0)
    assert (far_away == clean).all()
    drawn = _plan.cache_info().misses
    birdseye(TRACK, 0.0, 0.0, 0.0)
    assert _plan.cache_info().misses == drawn


def test_path_and_footprint_are_drawn():
    x, y, _ = TRACK.pose_at(np.linspace(0.0, 2.0, 40))
    clean = birdseye(TRACK, 1e6, 0.0, 0.0)
    for drawn in ({"path": np.stack([x, y], axis=1)}, {"seen": [[0, 0], [1, 0], [1, 1]]}):
        changed = birdseye(TRACK, 1e6, 0.0, 0.0, **drawn) != clean
        assert 50 < changed.any(axis=2).sum() < 40_000


def test_a_painting_lies_where_the_track_is():
    chart = survey(TRACK)
    ground = np.zeros((*chart.shape, 3), np.uint8)
    ground[np.abs(chart.cte_m) < chart.half_width_m] = 200
    plan = Plan(TRACK, (300, 400), Painting(ground, ground[:10]))
    x, y, yaw = TRACK.pose_at(np.linspace(0.0, TRACK.length_m, 50))
    inside = plan.pixels(np.stack([x, y], axis=1)).astype(int)
    assert (plan.background[inside[:, 1], inside[:, 0]] == 200).all()
    beside_m = TRACK.half_width_at(0.0)[0] + 0.1
    outside = plan.pixels(np.stack([x + beside_m * np.sin(yaw), y - beside_m * np.cos(yaw)], axis=1)).astype(
        int
    )
    assert (plan.background[outside[:, 1], outside[:, 0]] == 0).mean() > 0.9


def test_the_footprint_is_what_the_camera_sees():
    for camera in (Camera(), Camera(left_m=0.1, yaw_rad=0.2), Camera(pitch_rad=0.6)):
        for ahead, left in footprint(camera, far_m=2.0):
            if np.hypot(ahead - camera.forward_m, left - camera.left_m) > 1.9:
                continue  # cut off there, or the sky
            row, column = camera.project(ahead, left)
            height, width = camera.shape
            assert -1 <= row <= height + 1 and -1 <= column <= width + 1
            on_border = min(abs(row), abs(row - height), abs(column), abs(column - width))
            assert on_border < 1.0


def test_shapes_have_bounds():
    with pytest.raises(UsageError, match="16 to 4096"):
        birdseye(TRACK, 0.0, 0.0, 0.0, shape=(8, 10_000))


def test_it_fits_a_worlds_state():
    state = World("oval", n=3, seed=1).state
    assert birdseye(load_track("oval"), state.x_m, state.y_m, state.yaw_rad, (120, 160)).shape == (
        120,
        160,
        3,
    )
