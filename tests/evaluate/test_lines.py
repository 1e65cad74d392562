"""Lines by colour: true masks, the best thresholds, the pose in the lane, and a verdict that can be both."""

import dataclasses
import json
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from dingocar.cli.main import main
from dingocar.errors import UsageError
from dingocar.evaluate.lane_pose import estimate, floor_points, pose_error
from dingocar.evaluate.line_report import Thresholds, default_tracks, measure, table_text
from dingocar.evaluate.line_truth import line_pictures
from dingocar.evaluate.line_truth_duckietown import duckietown_line_pictures
from dingocar.evaluate.lines import (
    DUCKIETOWN,
    Box,
    boxes_from_json,
    boxes_to_json,
    colour_balance,
    detect,
    f1,
    scores,
    seen_mask,
    to_hsv,
    tune,
)
from dingocar.sim import Look, load_look
from tests.translate.small import tub

SIZE = (60, 80)


@pytest.fixture(scope="module")
def flat():
    return line_pictures(("circuit",), "flat", frames=40, seed=3, picture=SIZE)


def test_masks_are_where_the_paint_is(flat):
    """In flat each line has a colour that nothing else on the road has, so thresholds find all of it."""
    found = scores(flat.images, flat.lines, tune(flat.images, flat.lines))
    assert found["white"] > 0.95 and found["yellow"] > 0.95
    assert not (flat.lines["white"] & flat.lines["yellow"]).any()
    assert 0.01 < flat.lines["white"].mean() < 0.2 and 0.002 < flat.lines["yellow"].mean() < 0.1
    shifted = {colour: np.roll(mask, 3, axis=2) for colour, mask in flat.lines.items()}
    assert scores(flat.images, shifted, tune(flat.images, flat.lines))["mean"] < 0.6


def test_masks_do_not_hang_on_light_and_sensor(monkeypatch):
    """The same places by day and by a noisy lamp have the same lines."""
    day, photo = {}, load_look("photo")
    for name, light in (("day", {}), ("lamp", {"light": 0.4, "noise": 12.0, "blur_px": 1.5, "shadows": 1.0})):
        look = Look(lambda rng, light=light: photo.draw(rng).with_(**light), photo.paint)
        monkeypatch.setattr("dingocar.evaluate.line_truth.load_look", lambda name, look=look: look)
        day[name] = line_pictures(("circuit",), "photo", frames=12, seed=1, picture=SIZE)
    assert np.abs(day["day"].images.astype(int) - day["lamp"].images).mean() > 20
    for colour, mask in day["day"].lines.items():
        assert mask.any()
        np.testing.assert_array_equal(mask, day["lamp"].lines[colour])


def test_poses_differ_and_are_on_the_road(flat):
    assert len(flat.images) == len(flat.cte_m) == 40
    assert flat.cte_m.std() > 0.02 and (np.abs(flat.cte_m) < flat.half_width_m).all()


def test_hsv_is_pillows():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 20, 30, 3)).astype(np.uint8)
    ours = to_hsv(images).astype(float)
    theirs = np.stack([np.asarray(Image.fromarray(each).convert("HSV")) for each in images]).astype(float)
    apart = np.abs(ours[..., 0] * 2 - theirs[..., 0] * 360 / 255)
    assert np.minimum(apart, 360 - apart).max() < 4
    np.testing.assert_allclose(ours[..., 1:], theirs[..., 1:], atol=1.01)


def brute(images, lines, colour):
    """The best F1 by trying every threshold of a coarse grid, one after the other."""
    best = 0.0
    hsv, true = to_hsv(images), lines[colour]
    for saturation in range(0, 256, 32):
        for value in range(0, 256, 32):
            if colour == "white":
                found = (hsv[..., 1] < saturation) & (hsv[..., 2] >= value)
                best = max(best, f1(seen_mask(found), seen_mask(true)))
                continue
            for low in range(0, 180, 20):
                for high in range(low + 20, 181, 20):
                    hue = (hsv[..., 0] >= low) & (hsv[..., 0] < high)
                    found = hue & (hsv[..., 1] >= saturation) & (hsv[..., 2] >= value)
                    best = max(best, f1(seen_mask(found), seen_mask(true)))
    return best


def test_tuning_finds_the_best_box(flat):
    some = flat.images[:6]
    lines = {colour: mask[:6] for colour, mask in flat.lines.items()}
    found = scores(some, lines, tune(some, lines))
    for colour in lines:
        assert found[colour] >= brute(some, lines, colour) - 1e-9 > 0.5
    assert found["mean"] > scores(some, lines, DUCKIETOWN)["mean"]


def test_nothing_to_tune_on_is_told(flat):
    nothing = {colour: np.zeros_like(mask) for colour, mask in flat.lines.items()}
    with pytest.raises(UsageError, match="no white line is in any of the 40 pictures"):
        tune(flat.images, nothing)


def test_the_upper_third_is_not_looked_at():
    white = np.full((1, 60, 80, 3), 255, np.uint8)
    found = detect(white, DUCKIETOWN)["white"]
    assert not found[:, :20].any() and found[:, 20:].all()


def test_boxes_are_read_again_and_others_are_refused():
    assert boxes_from_json(json.loads(json.dumps(boxes_to_json(DUCKIETOWN))), "x") == DUCKIETOWN
    for bad in ({}, [], {"white": {"low": [0, 0], "high": [1, 1]}}, {"white": 3}):
        with pytest.raises(UsageError, match=r"x: expected thresholds.*dingocar lines tune"):
            boxes_from_json(bad, "x")


def test_colour_balance_clips_and_stretches():
    image = np.zeros((1, 10, 10, 3), np.uint8)
    image[0, 3:, :, :] = np.linspace(50, 150, 70).reshape(7, 10, 1)
    made = colour_balance(image)
    assert made.max() == 255 and (made[0, 3:] == 0).mean() == pytest.approx(0.4, abs=0.03)


def test_the_floor_is_where_the_camera_sees_it(flat):
    points = floor_points(flat.camera)
    row, column = flat.camera.project(*points[40, 20])
    assert (row, column) == (pytest.approx(40.5, abs=0.01), pytest.approx(20.5, abs=0.01))
    assert np.isnan(points[0]).all()


def test_the_pose_is_estimated_from_true_lines(flat):
    error = pose_error(flat, flat.lines)
    always_middle = np.abs(flat.cte_m).mean()
    assert error["known"] > 0.9 and error["offset_m"] < 0.6 * always_middle
    none = {colour: np.zeros_like(mask) for colour, mask in flat.lines.items()}
    # Where nothing is known the middle is assumed, so that all ways are judged by the same pictures.
    assert pose_error(flat, none) == {"offset_m": pytest.approx(always_middle), "known": 0.0}


def test_a_pose_that_is_made_up_is_found(flat):
    """Lines of a straight lane, drawn pixel by pixel for a car 10 cm to the right, turned left by 0.1."""
    points, half = floor_points(flat.camera), 0.35
    aside = points[..., 1] * np.cos(0.1) + points[..., 0] * np.sin(0.1) - 0.1
    lines = {
        "yellow": (np.abs(aside) < 0.03)[None],
        "white": (np.abs(np.abs(aside) - half + 0.025) < 0.03)[None],
    }
    found = estimate(lines, flat.camera, np.array([half]))
    assert found.cte_m[0] == pytest.approx(0.1, abs=0.02)
    assert found.heading_error_rad[0] == pytest.approx(0.1, abs=0.051)


class Fake:
    """A translator that makes what it is told to of every picture."""

    image_shape = (*SIZE, 3)

    def __init__(self, make):
        self.run_batch = make


@pytest.fixture(scope="module")
def thresholds(flat):
    boxes = tune(flat.images, flat.lines)
    return Thresholds(boxes, "flat", "none", SIZE, scores(flat.images, flat.lines, boxes))


def report_of(thresholds, **translators):
    return measure(thresholds, ("circuit",), "photo", "none", 20, 2, translators)


def test_the_verdict_hangs_on_what_is_recovered(thresholds):
    """A translator that knows the truth makes the hypothesis hold; one that makes pictures black does not."""
    away = line_pictures(("circuit",), "photo", "none", 20, 2, SIZE)

    def true(images):
        made = np.full_like(images, 60)
        made[away.lines["white"]], made[away.lines["yellow"]] = (235, 235, 230), (235, 190, 40)
        return made

    good = report_of(thresholds, t=Fake(true))
    rows = {row["name"]: row for row in good["rows"]}
    assert good["holds"] is True and rows["t"]["mean"] > 0.95 and rows["t"]["recovered"] > 0.9
    assert rows["home"]["mean"] > 0.8 > rows["raw"]["mean"] and rows["raw"]["recovered"] == 0
    assert rows["tuned there"]["mean"] >= rows["raw"]["mean"]
    bad = report_of(thresholds, t=Fake(np.zeros_like))
    assert bad["holds"] is False and "does not hold" in table_text(bad)
    assert f"the middle of the lane errs by {bad['middle_m']:.3f} m" in table_text(bad)
    assert {row["name"]: row for row in bad["rows"]}["t"]["recovered"] < 0


def test_where_nothing_is_lost_nothing_is_decided(thresholds):
    report = measure(thresholds, ("circuit",), "flat", "none", 20, 2)
    assert report["holds"] is None and "too little is lost" in table_text(report)


@pytest.mark.parametrize("name", ["home", "raw", "histogram", "tuned there"])
def test_a_translator_does_not_take_a_rows_place(name, thresholds):
    with pytest.raises(UsageError, match=f"translator {name}: the table has a row of that name; rename the"):
        measure(thresholds, ("circuit",), "photo", "none", 20, 2, {name: Fake(np.zeros_like)})


def test_a_translator_of_another_size_is_refused(thresholds):
    other = Fake(np.zeros_like)
    other.image_shape = (8, 8, 3)
    with pytest.raises(UsageError, match="translator t: takes pictures of 8x8, the thresholds are for 60x80"):
        report_of(thresholds, t=other)


def test_the_commands(tmp_path, capsys):
    file, few = str(tmp_path / "lines.json"), ["--frames", "12", "--json"]
    assert main(["lines", "tune", "--out", file, "--track", "circuit", *few]) == 0
    assert json.loads(capsys.readouterr().out)["f1"]["mean"] > 0.8
    assert main(["lines", "measure", "--lines", file, "--track", "circuit", *few]) == 0
    names = [row["name"] for row in json.loads(capsys.readouterr().out)["rows"]]
    assert names == ["home", "raw", "colour balance", "histogram", "tuned there"]
    real = tub(tmp_path / "real", "real", 10, (60, 80, 3))
    assert main(["lines", "show", "--lines", file, "--tub", str(real), "--out", str(tmp_path / "s.png")]) == 0
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 600


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), ("{", "make them with"), ("{}", "make them anew"), ("[1]", "make them anew")],
)
def test_thresholds_that_are_none_are_one_line(content, words, tmp_path, capsys):
    if content is not None:
        (tmp_path / "lines.json").write_text(content)
    assert main(["lines", "measure", "--lines", str(tmp_path / "lines.json")]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
    assert Box((0, 0, 0), (1, 1, 1)).holds(np.zeros((1, 3), np.uint8)).all()


def test_gym_duckietown_is_a_look_without_our_randomisation():
    boxes = {colour: Box((0, 0, 0), (180, 255, 255)) for colour in ("white", "yellow")}
    thresholds = Thresholds(boxes, "flat", "none", (30, 40), {})
    with pytest.raises(UsageError, match="gym-duckietown has none of ours"):
        measure(thresholds, ("loop_empty",), "gym-duckietown", "mild", 4, 0)
    assert default_tracks("gym-duckietown") == ("loop_empty", "zigzag_dists") != default_tracks("photo")


def test_a_camera_that_is_not_ours_has_no_pose():
    taken = line_pictures(("circuit",), "flat", "none", 2, 0, (30, 40))
    assert taken.camera is not None
    assert line_pictures(("circuit",), "flat", "strong", 2, 0, (30, 40)).camera is None  # it is moved
    unknown = dataclasses.replace(taken, camera=None)
    assert pose_error(unknown, unknown.lines) == {"offset_m": None, "known": None}


@pytest.mark.skipif(find_spec("gym_duckietown") is None, reason="the duckietown extra is not installed")
def test_pictures_of_gym_duckietown_and_their_lines():
    taken = duckietown_line_pictures(("small_loop", "loop_empty"), 10, 1, (60, 80))
    assert taken.images.shape == (10, 60, 80, 3) and taken.camera is None
    assert all(mask.shape == (10, 60, 80) and mask.any() for mask in taken.lines.values())
    # Thresholds that are tuned on them find them.
    assert min(scores(taken.images, taken.lines, tune(taken.images, taken.lines)).values()) > 0.7
