"""Maps of tiles: the lanes over them, the routes, files, names and errors."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from dingocar.errors import MissingExtraError, TrackError, UnknownNameError
from dingocar.sim import load_track
from dingocar.sim.tiles import HALF_LANE, LEFT, OPENINGS, RIGHT, STRAIGHT, Passage, TileMap, TileTrack
from dingocar.sim.track import wrap_angle
from dingocar.sim.tracks import duckietown

yaml = pytest.importorskip("yaml")

SQUARE = [
    ["curve_left/W", "straight/W", "curve_left/N"],
    ["straight/S", "grass", "straight/N"],
    ["curve_left/S", "straight/E", "curve_left/E"],
]
#: Two loops that share a road: below it one can also go straight on, to a dead end.
JUNCTION = [
    ["curve_left/W", "straight/W", "curve_left/N"],
    ["3way_left/S", "straight/W", "3way_right/N"],
    ["curve_left/S", "straight/E", "curve_left/E"],
]


def track_of(rows, tile_m=0.5):
    tiles = TileMap.parse(rows, tile_m)
    return TileTrack("map", tiles, tiles.route())


def write(path, rows, **more):
    path.write_text(yaml.safe_dump({"tiles": rows, "tile_size": 0.585, **more}))
    return path


def test_the_first_row_is_the_uppermost():
    tiles = TileMap.parse([["grass", "empty"], ["asphalt", "curve_right/W"]], 0.5)
    assert tiles.at(0, 1).kind == "grass" and tiles.at(0, 0).kind == "asphalt"
    assert tiles.at(1, 0).heading == 2
    assert tiles.at(2, 0) is None and tiles.at(0, -1) is None


def test_a_tile_leads_where_its_name_says():
    """A car that heads north into a tile named curve_left/N leaves to the west."""
    for text, sides in (
        ("straight/N", {1, 3}),
        ("curve_left/N", {2, 3}),
        ("curve_right/N", {0, 3}),
        ("3way_left/N", {1, 2, 3}),
        ("3way_right/N", {0, 1, 3}),
        ("4way", {0, 1, 2, 3}),
        ("grass", set()),
    ):
        assert TileMap.parse([[text]], 0.5).at(0, 0).sides == sides


def test_the_lane_is_right_of_the_middle_on_straights():
    track = track_of(SQUARE)
    assert track.anticlockwise
    # On the lower side the middle of the road is at y = 0.25; the car drives towards +x.
    s, cte, heading = track.locate(0.75, 0.25 - 0.2 * 0.5)
    assert cte[0] == pytest.approx(0, abs=1e-3)
    assert wrap_angle(heading[0]) == pytest.approx(0, abs=1e-3)
    assert track.half_width_at(s)[0] == pytest.approx(HALF_LANE * 0.5, rel=1e-2)


def test_lanes_join_and_their_headings_too():
    """Where a passage ends the next begins, for every kind of turn in every direction."""
    tiles = TileMap.parse(JUNCTION, 0.5)
    checked = set()
    for x, y, heading in np.ndindex(3, 3, 4):
        for turn in (STRAIGHT, LEFT, RIGHT):
            here = tiles.onward(x, y, heading, (turn,))
            for after in (tiles.after(here, (turn,)) for turn in (STRAIGHT, LEFT, RIGHT)) if here else ():
                if after is None:
                    continue
                one, other = tiles.lane(here), tiles.lane(after)
                assert one[-1] == pytest.approx(other[0])
                out = np.arctan2(*(one[-1] - one[-2])[::-1])
                into = np.arctan2(*(other[1] - other[0])[::-1])
                assert abs(wrap_angle(out - into)) < 0.35
                checked.add((here.turn, after.turn))
    assert len(checked) >= 6


@pytest.mark.parametrize("name", ["loop", "bends", "crossing"])
def test_shipped_maps_have_both_directions(name):
    one, other = load_track(f"duckietown:{name},ccw"), load_track(f"duckietown:{name},cw")
    assert one.anticlockwise and not other.anticlockwise
    assert one.reversed().name == other.name
    assert one.reversed().centre == pytest.approx(other.centre)
    default = load_track(f"duckietown:{name}")
    assert default.length_m == max(one.length_m, other.length_m)
    if name == "crossing":
        return
    # The lanes run beside each other: never nearer than the yellow line is wide, never a tile apart.
    distance = np.abs(one.locate(*other.centre.T)[1])
    assert distance.min() > 0.1 and distance.max() < 0.45


def test_bends_turns_to_both_sides_and_a_lane_is_never_left_of_the_road():
    track = load_track("duckietown:bends")
    turns = {passage.turn for passage in track.route}
    assert turns == {STRAIGHT, LEFT, RIGHT}
    for passage in track.route:
        assert OPENINGS[track.tiles.at(passage.x, passage.y).kind]
        lane = track.tiles.lane(passage) / track.tiles.tile_m - (passage.x + 0.5, passage.y + 0.5)
        assert np.abs(lane).max() <= 0.5 + 1e-9


def test_a_crossing_is_driven_straight_over():
    route = load_track("duckietown:crossing").route
    assert [p.turn for p in route if (p.x, p.y) == (3, 3)] == [STRAIGHT, STRAIGHT]


def test_of_several_loops_the_largest_is_taken_and_the_choice_is_stable():
    tiles = TileMap.parse(JUNCTION, 0.5)
    route = tiles.route()
    assert len(route) == 8 and not any((p.x, p.y) == (1, 1) for p in route)
    assert tiles.route() == route
    assert track_of(JUNCTION).anticlockwise


def test_a_way_that_does_not_fit_the_next_tile_ends():
    tiles = TileMap.parse([["straight/E", "curve_right/W"]], 0.5)  # open to the east and the north
    assert tiles.onward(0, 0, 0, (STRAIGHT,)) == Passage(0, 0, 0, STRAIGHT)
    assert tiles.after(Passage(0, 0, 0, STRAIGHT), (STRAIGHT,)) is None


def test_an_open_road_is_no_track(tmp_path):
    path = write(tmp_path / "road.yaml", [["straight/E", "straight/E"]])
    with pytest.raises(TrackError, match=r"road\.yaml: the map has no closed loop of lanes"):
        load_track(f"duckietown:{path}")


@pytest.mark.parametrize(
    ("rows", "tile_size", "message"),
    [
        (
            [["straigth/E"]],
            0.585,
            "row 0, column 0: unknown kind of tile 'straigth'; did you mean 'straight'",
        ),
        ([["grass"], ["straight/X"]], 0.585, "row 1, column 0: straight must head to E, N, W or S"),
        ([["grass", 7]], 0.585, "row 0, column 1: expected a tile as straight/E or grass, got 7"),
        ([["grass"], ["grass", "grass"]], 0.585, "row 1 has 2 tiles, the rows above have 1"),
        ([["grass"] * 65], 0.585, "row 0 must be a list of 1 to 64 tiles"),
        ("grass", 0.585, "tiles must be a list of 1 to 64 rows, got 'grass'"),
        ([["grass"]], float("nan"), "tile_size must be 0.1 to 5 metres, got nan"),
        ([["grass"]], True, "tile_size must be"),
    ],
)
def test_mistakes_name_the_tile(rows, tile_size, message, tmp_path):
    path = write(tmp_path / "map.yaml", rows, tile_size=tile_size)
    with pytest.raises(TrackError) as caught:
        load_track(f"duckietown:{path}")
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_maps(tmp_path):
    path = tmp_path / "map.yaml"
    for content, message in (
        ("tiles: [", "not a YAML file"),
        ("- 1", "must have tiles, rows of tiles as straight/E or grass$"),
        ("tiles: [[grass]]", "must have tile_size, the side of a tile in metres; Duckietown's own is 0.585$"),
        ("tile_size: 0.5", "must have tiles, rows"),
        ("!!python/object/apply:os.getcwd []", "not a YAML file"),
        ("[" * 2_000, "not a YAML file"),
        ("#" * (duckietown.MAX_FILE_BYTES + 1), "larger than"),
    ):
        path.write_text(content)
        with pytest.raises(TrackError, match=message) as caught:
            load_track(f"duckietown:{path}")
        assert "\n" not in str(caught.value)
    with pytest.raises(TrackError, match="no such map file"):
        load_track(f"duckietown:{tmp_path / 'none.yaml'}")
    with pytest.raises(TrackError, match="cannot be read"):
        (tmp_path / "folder.yaml").mkdir()
        load_track(f"duckietown:{tmp_path / 'folder.yaml'}")


def test_unknown_names_are_helped():
    with pytest.raises(UnknownNameError, match="did you mean 'bends'"):
        load_track("duckietown:bend")
    with pytest.raises(UnknownNameError, match="did you mean 'ccw'"):
        load_track("duckietown:loop,ccv")


@pytest.mark.parametrize("name", ["duckietown:", "duckietown:,cw"])
def test_an_empty_name_is_no_map(name):
    with pytest.raises(
        TrackError, match=r"a map's name \(bends, crossing, loop\) or a .yaml file .* got nothing"
    ):
        load_track(name)


def test_without_pyyaml_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dingocar\[duckietown\]'"):
        load_track("duckietown:loop")


def test_objects_of_a_map_are_left_out(tmp_path):
    objects = {"duckie": {"kind": "duckie", "pos": [0.5, 0.5], "height": 0.06}}
    path = write(tmp_path / "map.yaml", SQUARE, objects=objects, start_tile=[0, 1])
    assert load_track(f"duckietown:{path}").length_m == pytest.approx(track_of(SQUARE, 0.585).length_m)


def test_bombs_in_maps_are_refused_before_they_go_off(tmp_path):
    path = tmp_path / "map.yaml"
    # Each level holds the one before twice: 2 ** 17 texts, if somebody prints them.
    levels = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 18))
    merged = "".join(f"a{n}: &a{n}\n  <<: [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 8))
    square = "tiles: [[grass]]\ntile_size: "
    for content, message in (
        (f"a0: &a0 [x, x]\n{levels}tile_size: 1\ntiles: [[*a17]]", r"aliases \(\*a0\) are not read"),
        (f"a0: &a0 {{x: 1}}\n{merged}{square}1", r"aliases \(\*a0\) are not read"),
        (square + "0x" + "f" * 20_000, "longer than 1000 characters"),
        (square + "1" + ":1" * 20_000, "longer than 1000 characters"),
        (square + "1" + ":1" * 300 + ":1.5", "not a YAML file"),
        (square + '!!int ""', "not a YAML file"),
        (square + "!!bool x", "not a YAML file"),
        (square + "!!timestamp x", "not a YAML file"),
    ):
        path.write_text(content)
        with pytest.raises(TrackError, match=message) as caught:
            load_track(f"duckietown:{path}")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_what_is_no_map_is_never_printed_whole():
    nested = ["x"]
    for _ in range(16):
        nested = [nested, nested]
    for rows, tile_m in (
        (("x",) * 10**6, 1),
        ([[nested]], 1),
        ([["x"]], 1 << 20_000),
        ([["x"]], [1 << 20_000]),
    ):
        tracemalloc.start()
        try:
            with pytest.raises(TrackError) as caught:
                TileMap.parse(rows, tile_m)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(str(caught.value)) < 150 and peak < 200_000
