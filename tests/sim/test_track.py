"""Tracks: geometry against closed forms, files, names and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dingocar.errors import TrackError, UnknownNameError
from dingocar.registry import use_car_folder
from dingocar.sim import Track, load_track
from dingocar.sim.track import rounded_polygon, tracks, wrap_angle

ROOT = Path(__file__).resolve().parents[2]
DEEPRACER = ROOT.parent / "shared" / "data" / "deepracer_tracks"
RADIUS_M, HALF_WIDTH_M = 2.0, 0.35


@pytest.fixture(scope="module")
def circle() -> Track:
    """Driven anticlockwise from (2, 0)."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    centre = RADIUS_M * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Track.from_centre("circle", centre, HALF_WIDTH_M)


def test_circle_has_its_length_curvature_and_edges(circle):
    assert circle.length_m == pytest.approx(2 * np.pi * RADIUS_M, rel=1e-4)
    s = np.linspace(0, circle.length_m, 37)
    assert circle.curvature(s) == pytest.approx(1 / RADIUS_M, rel=1e-3)
    assert circle.reversed().curvature(s) == pytest.approx(-1 / RADIUS_M, rel=1e-3)
    assert np.hypot(*circle.left.T) == pytest.approx(RADIUS_M - HALF_WIDTH_M)
    assert np.hypot(*circle.right.T) == pytest.approx(RADIUS_M + HALF_WIDTH_M)
    assert circle.half_width_at(s) == pytest.approx(HALF_WIDTH_M)


def test_locate_on_a_circle(circle):
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 500), rng.uniform(1.0, 3.0, 500)
    s, cte, heading = circle.locate(radius * np.cos(angle), radius * np.sin(angle))
    # Anticlockwise, the outside is to the right.
    assert cte == pytest.approx(radius - RADIUS_M, abs=2e-4)
    assert s == pytest.approx(angle * RADIUS_M, abs=0.01)
    assert wrap_angle(heading - angle - np.pi / 2) == pytest.approx(0, abs=5e-3)


def test_cte_is_positive_to_the_right_in_both_directions(circle):
    assert circle.locate(2.2, 0.0)[1][0] == pytest.approx(0.2, abs=1e-3)
    assert circle.reversed().locate(2.2, 0.0)[1][0] == pytest.approx(-0.2, abs=1e-3)


def test_pose_at_is_the_inverse_of_locate():
    track = load_track("circuit")
    rng = np.random.default_rng(1)
    s, cte = rng.uniform(0, track.length_m, 300), rng.uniform(-0.3, 0.3, 300)
    x, y, yaw = track.pose_at(s)
    found_s, found_cte, heading = track.locate(x + cte * np.sin(yaw), y - cte * np.cos(yaw))
    assert track.wrap_s(found_s - s) == pytest.approx(0, abs=0.03)
    assert found_cte == pytest.approx(cte, abs=2e-3)
    assert wrap_angle(heading - yaw) == pytest.approx(0, abs=0.06)


def test_pose_at_wraps(circle):
    for s in (-1.0, circle.length_m - 1.0, 2 * circle.length_m - 1.0):
        x, y, _ = circle.pose_at(s)
        assert (x[0], y[0]) == pytest.approx((2 * np.cos(-0.5), 2 * np.sin(-0.5)), abs=1e-3)


def test_locate_projects_to_segments_not_to_vertices():
    square = Track.from_centre("square", [(0, 0), (4, 0), (4, 4), (0, 4)], 0.3)
    s, cte, _ = square.locate([1.7], [-0.1])
    assert s[0] == pytest.approx(1.7)
    assert cte[0] == pytest.approx(0.1)


def test_locate_near_stays_on_its_part_of_a_narrow_loop():
    corners = [(0, 0), (6, 0), (6, 1), (0, 1)]
    track = Track.from_centre("narrow", rounded_polygon(corners, 0.5), 0.35)
    start_s, _, _ = track.locate(3.0, 0.0)
    point = (3.0, 0.6)  # nearer to the other straight
    assert track.locate(*point)[1][0] == pytest.approx(-0.4)
    s, cte, _ = track.locate(*point, near_s_m=start_s)
    assert s == pytest.approx(start_s, abs=1e-6)
    assert cte[0] == pytest.approx(-0.6)
    with_lost = track.locate([3.0, 3.0], [0.6, 0.6], near_s_m=[start_s[0], np.nan])[1]
    assert with_lost == pytest.approx([-0.6, -0.4])


def test_locate_near_agrees_with_the_whole_search_across_the_start():
    track = load_track("circuit")
    s = np.linspace(-2, 2, 41)
    x, y, yaw = track.pose_at(s)
    x, y = x + 0.2 * np.sin(yaw), y - 0.2 * np.cos(yaw)
    for near in (s - 0.7, s + 0.7):
        for whole, nearby in zip(track.locate(x, y), track.locate(x, y, near), strict=True):
            np.testing.assert_array_equal(whole, nearby)


def test_reversed_twice_is_the_same():
    track = load_track("circuit")
    back = track.reversed().reversed()
    assert back.name == track.name
    for part in ("centre", "left", "right"):
        np.testing.assert_array_equal(getattr(back, part), getattr(track, part))


def test_rounded_polygon_refuses_arcs_that_do_not_fit():
    with pytest.raises(TrackError, match="radii"):
        rounded_polygon([(0, 0), (2, 0), (2, 2), (0, 2)], 1.2)


@pytest.mark.parametrize("name", tracks.names())
def test_every_track_is_a_sound_circuit(name):
    """The contract of a track file."""
    track = load_track(name)
    assert track.name == name
    assert 5 < track.length_m < 100
    assert len(track.centre) == len(track.left) == len(track.right) == len(track.half_width_m)
    np.testing.assert_array_equal(track.centre, load_track(name).centre)
    steps = np.hypot(*(np.roll(track.centre, -1, axis=0) - track.centre).T)
    assert steps.max() < 0.3
    # Both edges stay half a width away from every part of the centre line.
    for edge in (track.left, track.right):
        _, cte, _ = track.locate(*edge.T)
        assert np.abs(cte) == pytest.approx(track.half_width_m, abs=0.01)
    turn = track.curvature(np.linspace(0, track.length_m, 2000, endpoint=False))
    assert abs(turn.mean() * track.length_m) == pytest.approx(2 * np.pi, rel=0.05)


def test_circuit_turns_to_both_sides():
    turn = load_track("circuit").curvature(np.linspace(0, 17, 500))
    assert turn.max() > 0.9
    assert turn.min() < -0.9


def test_a_cars_own_track_joins_in(tmp_path):
    folder = tmp_path / "tracks"
    folder.mkdir()
    (folder / "garden.py").write_text(
        '"""My garden."""\nfrom dingocar.sim.tracks.oval import build as oval\n'
        "def build(argument):\n    return oval(None)\n"
    )
    use_car_folder(tmp_path)
    try:
        assert load_track("garden").name == "garden"
    finally:
        use_car_folder(None)


def test_unknown_names_get_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'circuit'"):
        load_track("circiut")


@pytest.mark.parametrize("name", ["/tmp/x", "tracks/mine.npz", "./map.yaml", "map.yaml", "~/mine:3"])
def test_a_path_that_is_no_track_is_told_what_files_are(name):
    with pytest.raises(
        TrackError, match=r"no such track; expected a name \(.*oval.*\), a DeepRacer .npy file, or"
    ):
        load_track(name)


@pytest.mark.parametrize("name", ["oval:3", "circuit:", "random:-1", "random:x", "random:1.5"])
def test_wrong_arguments(name):
    with pytest.raises(TrackError, match=r"argument|whole number"):
        load_track(name)


def test_sample_in_the_deepracer_format_is_the_circuit():
    sample, circuit = load_track(ROOT / "data" / "tracks" / "sample.npy"), load_track("circuit")
    np.testing.assert_array_equal(sample.centre, circuit.centre)
    np.testing.assert_array_equal(sample.left, circuit.left)


@pytest.mark.parametrize("way", ["as it is", "reversed"])
def test_save_and_load(tmp_path, way):
    track = load_track("random:5")
    track = track if way == "as it is" else track.reversed()
    track.save(tmp_path / "t.npy")
    loaded = load_track(tmp_path / "t.npy")
    for part in ("centre", "left", "right"):
        np.testing.assert_allclose(getattr(loaded, part), getattr(track, part), atol=1e-12)


def _rows() -> np.ndarray:
    track = load_track("oval")
    return np.concatenate([track.centre, track.left, track.right], axis=1)


def test_repeated_rows_are_dropped(tmp_path):
    rows = _rows()
    again = np.concatenate([rows[:50], rows[49:50] + 1e-11, rows[50:], rows[:1], rows[:1]])
    np.save(tmp_path / "t.npy", again)
    assert len(load_track(tmp_path / "t.npy").centre) == len(rows)


def test_bad_files_are_explained(tmp_path):
    path = tmp_path / "t.npy"
    bad = {
        "expected numbers": np.zeros((10, 4)),
        "holds no number": np.where(_rows() > 1, np.nan, _rows()),
        "different centre points": np.zeros((10, 6)),
        "between -1000": _rows() * 1e6,
        "expected numbers of": np.full((10, 6), "x"),
        "only closed tracks": _rows()[:60],
    }
    for message, array in bad.items():
        np.save(path, array)
        with pytest.raises(TrackError, match=message):
            load_track(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(TrackError, match="not a DeepRacer track file"):
        load_track(path)
    for content in (b"", b"hello", b"\x93NUMPY\x01\x00", (tmp_path / "t.npy").read_bytes()[:60]):
        path.write_bytes(content)
        with pytest.raises(TrackError, match="not a DeepRacer track file"):
            load_track(path)
    with pytest.raises(TrackError, match="no such track file"):
        load_track(tmp_path / "none.npy")
    with pytest.raises(TrackError, match="not a DeepRacer track file"):
        path.unlink()
        path.mkdir()
        load_track(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': ('<f8', 'fortran_order': False",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({1 << 70}, 6), }}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 6), }",
    ],
)
def test_headers_of_no_array_are_explained(tmp_path, header):
    path = tmp_path / "t.npy"
    text = (header + "\n").encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(480))
    with pytest.raises(TrackError, match="not a DeepRacer track file"):
        load_track(path)


def test_a_track_for_no_car_is_refused():
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 20, endpoint=False))
    line = np.stack([circle.real, circle.imag], axis=1)
    assert Track.from_centre("small", line * 0.17, 0.1).length_m > 1
    with pytest.raises(TrackError, match=r"0\.939 m long, expected 1 m or more"):
        Track.from_centre("tiny", line * 0.15, 0.1)


def test_a_header_that_promises_too_much_allocates_nothing(tmp_path):
    path = tmp_path / "t.npy"
    np.save(path, _rows())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(243, 6), }      ", b"(900000000, 6), }"))
    with pytest.raises(TrackError, match="not a DeepRacer track file"):
        load_track(path)


def test_files_that_are_too_large_are_not_read(tmp_path):
    path = tmp_path / "t.npy"
    np.save(path, np.zeros((60_000, 6), np.float32))
    with pytest.raises(TrackError, match="rows"):
        load_track(path)
    path.write_bytes(bytes(5 << 20))
    with pytest.raises(TrackError, match="larger than"):
        load_track(path)


def test_swapped_edges_are_refused():
    oval = load_track("oval")
    with pytest.raises(TrackError, match="left edge"):
        Track("swapped", oval.centre, oval.right, oval.left)


@pytest.mark.skipif(not DEEPRACER.is_dir(), reason=f"{DEEPRACER} is absent")
def test_published_deepracer_tracks_load():
    paths = sorted(DEEPRACER.glob("*.npy"))
    assert len(paths) == 41
    for path in paths:
        if path.stem == "Straight_track":
            with pytest.raises(TrackError, match="only closed tracks"):
                load_track(path)
            continue
        track = load_track(path)
        assert 15 < track.length_m < 110
        assert 0.25 < track.half_width_m.min() <= track.half_width_m.max() < 1.2
    assert load_track(DEEPRACER / "reinvent_base.npy").length_m == pytest.approx(17.71, abs=0.01)
