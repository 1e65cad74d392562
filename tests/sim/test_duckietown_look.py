"""The look duckietown: the right paint at the right places of tiles, and how a Duckiebot sees it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dingocar.sim import World, load_track
from dingocar.sim.chart import survey
from dingocar.sim.duckiebot import Duckiebot
from dingocar.sim.duckiebot_camera import DuckiebotCamera
from dingocar.sim.look import load_look
from dingocar.sim.tiles import TileMap, TileTrack

pytest.importorskip("yaml")

JUNCTION = [
    ["grass", "grass", "grass", "grass", "grass"],
    ["grass", "curve_left/W", "straight/W", "curve_left/N", "grass"],
    ["grass", "3way_left/S", "straight/W", "3way_right/N", "grass"],
    ["asphalt", "curve_left/S", "straight/E", "curve_left/E", "grass"],
    ["grass", "grass", "grass", "empty", "grass"],
]
SIDE_M = 0.6


@pytest.fixture(scope="module")
def painted():
    tiles = TileMap.parse(JUNCTION, SIDE_M)
    chart = survey(TileTrack("junction", tiles, tiles.route()))
    look = load_look("duckietown")
    return chart, look.paint(chart, look.draw(np.random.default_rng(0)), np.random.default_rng(0))


@pytest.fixture(scope="module")
def at(painted):
    """The colour at a place given in tiles from the map's lower left corner, as a word."""
    chart, painting = painted

    def colour(x, y):
        row = int((y * SIDE_M - chart.y0_m) / chart.texel_m)
        column = int((x * SIDE_M - chart.x0_m) / chart.texel_m)
        red, green, blue = painting.ground[row, column].astype(int)
        if min(red, green, blue) > 140:
            return "white"
        if min(red, green) > 140 and blue < 110:
            return "yellow"
        if red > 140 and green < 90:
            return "red"
        if green > red + 15:
            return "grass"
        return "void" if green < 30 else "road"

    return colour


def dashes(at, points):
    return {at(x, y) for x, y in points}


def test_straight_tiles(at):
    """The lower side: tile (2, 1), driven along +x."""
    for x in (2.1, 2.5, 2.9):
        assert at(x, 1.04) == at(x, 1.96) == "white"
        assert at(x, 1.2) == at(x, 1.8) == "road"
    middle = [at(x, 1.49) for x in np.arange(2.0, 3.0, 0.005)]
    assert set(middle) == {"yellow", "road"}
    starts = sum(one == "road" and two == "yellow" for one, two in pairwise(middle))
    assert starts == 9
    assert 0.55 < middle.count("yellow") / len(middle) < 0.75


def test_curves_bend_around_their_inner_corner(at):
    """Tile (1, 1), the lower left corner of the loop: its inner corner is its upper right one, (2, 2)."""
    assert at(1.97, 1.97) == "white"
    assert at(1.05, 1.9) == at(1.9, 1.05) == "white"  # the outer line, at both ends
    assert at(2 - 0.77, 2 - 0.77) == "white"  # and in its middle, farther out than a circle
    assert at(1.04, 1.04) == "road"
    assert "yellow" in dashes(at, [(1.49, y) for y in np.arange(1.7, 2.0, 0.01)])
    cosine, sine = np.cos(np.radians(52.5)), np.sin(np.radians(52.5))  # the middle of a dash
    assert "yellow" in dashes(at, [(2 - r * cosine, 2 - r * sine) for r in np.arange(0.54, 0.62, 0.005)])
    assert dashes(at, [(2 - r * cosine, 2 - r * sine) for r in np.arange(0.2, 0.52, 0.01)]) == {"road"}
    assert dashes(at, [(2 - r, 2 - r) for r in np.arange(0.1, 0.36, 0.01)]) == {"road"}


def test_junctions_have_red_stops_for_who_comes_in(at):
    """Tile (1, 2), 3way_left/S: open to the north, south and east, closed to the west."""
    assert at(1.2, 2.98) == "red" and at(1.7, 2.98) == "road"  # southwards on the right: in the west
    assert at(1.7, 2.02) == "red" and at(1.2, 2.02) == "road"
    assert at(1.98, 2.7) == "red" and at(1.98, 2.3) == "road"
    assert at(1.03, 2.5) == "white"
    assert at(1.98, 2.98) == "white"  # the corner between two ways
    # 3way_right/N, tile (3, 2): open to the north, east and south, though no road is there in the east.
    assert at(3.03, 2.2) == "white" and at(3.98, 2.7) == "red"


def test_beside_the_road(at):
    assert at(0.5, 3.5) == at(4.5, 2.5) == "grass"
    assert at(0.5, 1.5) == "road"
    assert at(3.5, 0.5) == "void"


def test_appearance_is_obeyed():
    chart = survey(load_track("duckietown:bends"), texel_m=0.01)
    look = load_look("duckietown")
    own = look.draw(np.random.default_rng(0))

    def ground(**changes):
        return look.paint(chart, own.with_(**changes), np.random.default_rng(0)).ground.astype(int)

    plain = ground()
    white = (plain.min(axis=2) > 180).sum()
    assert (ground(edge_width_m=0.09).min(axis=2) > 180).sum() > 1.6 * white
    assert (ground(wear=0.5).min(axis=2) > 180).sum() < 0.8 * white
    pink = ground(edge_g=60, edge_r=250)
    assert ((pink[..., 0] > 200) & (pink[..., 1] < 80)).sum() > 0.8 * white
    assert not np.array_equal(ground(tape=1.0), plain)
    yellow = [(g[..., 0] - g[..., 2] > 90).sum() for g in (plain, ground(gap_m=0.0))]
    assert yellow[1] > 1.3 * yellow[0]


def test_another_track_is_a_road_in_this_style():
    look, chart = load_look("duckietown"), survey(load_track("oval"), texel_m=0.01)
    ground = look.paint(chart, look.draw(np.random.default_rng(0)), np.random.default_rng(0)).ground.astype(
        int
    )
    outside = np.isinf(chart.cte_m)
    assert (ground[outside][:, 1] - ground[outside][:, 0]).mean() > 15  # green beside the road
    middle = np.abs(chart.cte_m) < 0.005
    assert (ground[middle][:, 0] - ground[middle][:, 2] > 80).mean() > 0.3


def test_the_camera_sees_the_lines_where_they_are():
    """White edges and the yellow line of a straight, at the columns that the geometry says, to two pixels."""
    camera = DuckiebotCamera()
    world = World("duckietown:loop", "duckietown", camera=camera, dynamics=Duckiebot())
    track = world.track
    s = track.locate(2.1 * 0.585, 1.3 * 0.585)[0]  # at the start of the lower straight
    image = world.reset(start_s_m=s).image[0].astype(int)
    white = image.min(axis=2) > 160
    for ahead in (0.25, 0.4, 0.6):
        # The lane's centre is 0.2 tiles right of the road's middle, the white line 0.42 to 0.5 beside it.
        row, _ = camera.project(ahead, 0.0)
        for side in (1, -1):
            left = 0.585 * (side * (0.5 - 0.0402) + 0.2)
            row, column = (float(value) for value in camera.project(ahead, left))
            if not 3 < column < 157:
                continue
            seen = np.flatnonzero(white[int(row)])
            assert np.abs(seen + 0.5 - column).min() < 2
    assert image[:30].mean(axis=(0, 1)) == pytest.approx([110, 199, 243], abs=15)  # a blue sky
