"""The gap between domains: sure of what differs, and silent where nothing does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dingocar.cli import _sim_gap, _sim_sheet
from dingocar.errors import TubError, UnknownNameError, UsageError
from dingocar.evaluate import pictures
from dingocar.evaluate.contact_sheet import GAP_PX, TITLE_PX, contact_sheet
from dingocar.evaluate.domain_gap import Comparison, features, kernel_distance
from dingocar.evaluate.pictures import PictureSet, from_look, from_tub, histogram_matched
from dingocar.images import decode_image
from dingocar.tub import TubWriter

SHAPE = (32, 48)


def scenes(name, seed, tint=0, grain=6.0, count=160, each=8):
    """Pictures whose blocks are places: stripes that hardly move within a block."""
    rng = np.random.default_rng(seed)
    columns = np.arange(SHAPE[1])
    images = []
    for _ in range(count // each):
        width, phase, level = rng.uniform(6, 14), rng.uniform(0, 20), rng.uniform(80, 150)
        for k in range(each):
            stripes = level + 50 * np.sin((columns + phase + 0.3 * k) / width * 6.28)
            image = stripes[None, :, None] + rng.normal(0, grain, (*SHAPE, 3)) + np.array([tint, 0, 0])
            images.append(np.clip(image, 0, 255).astype(np.uint8))
    return PictureSet(name, np.stack(images), np.repeat(np.arange(count // each), each))


def gap_of(*sets, also=()):
    return {(gap.one, gap.other): gap for gap in Comparison(sets, also).gaps()}


@pytest.fixture
def tub(tmp_path):
    rng = np.random.default_rng(0)
    with TubWriter(tmp_path / "ride", ["cam/image_array"], ["image_array"], on_full="wait") as writer:
        for number in range(100):
            image = np.full((*SHAPE, 3), number * 2, np.uint8)
            writer.write({"cam/image_array": image + rng.integers(0, 40, image.shape, np.uint8)})
    return tmp_path / "ride"


def test_what_differs_is_told_apart_and_what_does_not_is_not():
    a, same, red = scenes("a", 1), scenes("same", 2), scenes("red", 3, 40)
    gaps = gap_of(a, same, also=[(0, red), (0, scenes("grainy", 4, 0, 16.0))])
    alike = gaps["a", "same"]
    assert alike.accuracy < 0.7
    assert alike.a_distance < 0.8
    assert alike.kid_low < 0.1
    for other in ("red", "grainy"):
        gap = gaps["a", other]
        assert gap.accuracy > 0.95
        assert gap.a_distance > 1.8
        assert gap.kid_low > alike.kid_high
        assert gap.accuracy_low <= gap.accuracy <= gap.accuracy_high
        assert gap.kid_low <= gap.kid <= gap.kid_high
    assert gap_of(a, same)["a", "same"] == alike


def test_the_floor_is_chance_although_neighbours_are_near_copies():
    """Pictures of a block on both sides of a split would be found again, and look like a difference."""
    floors = [gap for gap in Comparison([scenes("a", 1), scenes("b", 2)]).gaps() if gap.floor]
    assert [gap.one for gap in floors] == ["a", "b"]
    for gap in floors:
        assert 0.2 < gap.accuracy < 0.75
        assert gap.kid_low < 0 < gap.kid_high


def test_a_third_set_falls_on_the_side_that_it_is_like():
    red, plain, reddish = scenes("red", 1, 50), scenes("plain", 2), scenes("reddish", 3, 45)
    comparison = Comparison([red, plain, reddish, scenes("other", 4)])
    assert comparison.verdict(0, 1, 2).share > 0.9
    assert comparison.verdict(0, 1, 3).share < 0.1
    assert comparison.verdict(0, 1, 3).to_json() == {
        "one": "red",
        "other": "plain",
        "asked": "other",
        "share": comparison.verdict(0, 1, 3).share,
    }


def test_the_kernel_distance_of_known_sets():
    """Of two single-valued sets it is k(x,x) + k(y,y) - 2 k(x,y)."""
    one, other = np.full((6, 4), 1.0), np.full((8, 4), 3.0)
    blocks = np.arange(6) // 2, np.arange(8) // 2
    whole, low, high = kernel_distance(one, blocks[0], other, blocks[1], rng=np.random.default_rng(0))
    expected = (1 + 1) ** 3 + (9 + 1) ** 3 - 2 * (3 + 1) ** 3
    assert (whole, low, high) == pytest.approx((expected,) * 3)


def test_the_kernel_distance_is_unbiased():
    rng = np.random.default_rng(0)
    found = [
        kernel_distance(
            rng.normal(size=(20, 8)), np.arange(20), rng.normal(size=(30, 8)), np.arange(30), rng=rng
        )[0]
        for _ in range(60)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(60)


FROZEN = (-0.00055145, 0.06831335, 0.13097940, 0.13373078)


def test_features_are_frozen():
    """Figures of one version can be laid beside those of another."""
    image = (np.arange(32 * 48 * 3, dtype=np.uint32) * 2654435761 >> 7).astype(np.uint8).reshape(1, 32, 48, 3)
    seen = features(image)
    assert seen.shape == (1, 4 * (3 + 24 + 32 + 48))
    assert features(np.concatenate([image] * 40))[35] == pytest.approx(seen[0], rel=1e-5)
    assert seen[0, [0, 20, 150, -1]] == pytest.approx(FROZEN, rel=1e-3, abs=1e-6)


def test_matched_histograms_take_the_colours_away():
    dark, red = scenes("dark", 1), scenes("red", 2, 60)
    matched = histogram_matched(dark, red)
    assert matched.name == "dark in colours of red"
    assert (matched.blocks == dark.blocks).all()
    for channel in range(3):
        have, want = (np.sort(x.images[..., channel].ravel())[::997].astype(int) for x in (matched, red))
        assert np.abs(have - want).mean() < 2
    gaps = gap_of(dark, red, also=[(1, matched)])
    assert gaps["red", matched.name].accuracy < 0.7 < 0.95 < gaps["dark", "red"].accuracy
    assert ("dark", matched.name) not in gaps


def test_pictures_out_of_a_tub(tub):
    ride = from_tub(tub, 80, SHAPE)
    assert ride.images.shape == (80, *SHAPE, 3)
    assert ride.name == "ride"
    assert (np.diff(ride.blocks) >= 0).all()
    assert len(np.unique(ride.blocks)) == 40
    brightness = ride.images.mean(axis=(1, 2, 3))
    assert (brightness[-1] - brightness[0]) > 150
    assert from_tub(tub, 1000, (16, 24)).images.shape == (100, 16, 24, 3)


def test_too_few_or_no_pictures(tub, tmp_path):
    with pytest.raises(UsageError, match="expected at least 80 whole pictures, found 50"):
        from_tub(tub, 50)
    with pytest.raises(TubError):
        from_tub(tmp_path)
    with pytest.raises(UsageError, match="frames must be at least 80"):
        from_look("flat", 10)
    with pytest.raises(UnknownNameError):
        from_look("flatt", 80)
    with pytest.raises(UsageError, match="at least two sets"):
        Comparison([scenes("a", 1)])


@pytest.fixture
def few_blocks(monkeypatch):
    monkeypatch.setattr(pictures, "BLOCKS", 6)
    monkeypatch.setattr(pictures, "RUN_UP", 2)


def test_pictures_of_a_look_are_seeded(few_blocks):
    told = []
    one, same = (from_look("flat", 12, SHAPE, "oval", 1, told.append) for _ in range(2))
    assert one.images.tobytes() == same.images.tobytes()
    assert (np.bincount(one.blocks) == 2).all()
    assert told == [2, 4, 6, 8, 10, 12] * 2
    assert from_look("flat", 12, SHAPE, "oval", 2).images.tobytes() != one.images.tobytes()


def test_a_contact_sheet_shows_all_sets():
    red, blue = (
        PictureSet(name, np.full((80, *SHAPE, 3), colour, np.uint8), np.arange(80) // 2)
        for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200)))
    )
    sheet = contact_sheet([red, blue], columns=3, rows=2)
    high = TITLE_PX + 2 * (SHAPE[0] + GAP_PX)
    assert sheet.shape == (2 * high, 3 * (SHAPE[1] + GAP_PX), 3)
    for top, colour in ((0, (200, 0, 0)), (high, (0, 0, 200))):
        part = sheet[top : top + high].reshape(-1, 3)
        assert (part == colour).all(axis=1).sum() == 6 * SHAPE[0] * SHAPE[1]
        assert (sheet[top : top + TITLE_PX] > 200).any()
    with pytest.raises(UsageError, match="at least one set"):
        contact_sheet([])


def test_a_contact_sheet_shows_different_blocks():
    numbered = np.arange(80, dtype=np.uint8)[:, None, None, None] * np.ones((*SHAPE, 3), np.uint8)
    sheet = contact_sheet([PictureSet("n", numbered, np.arange(80) // 2)], columns=40, rows=1)
    seen = sheet[TITLE_PX + 5, SHAPE[1] // 2 :: SHAPE[1] + GAP_PX, 0]
    assert sorted(seen // 2) == list(range(40))


def test_the_commands(tub, few_blocks, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    asked = ["--tub", str(tub), "--look", "flat", "--track", "oval", "--json"]
    assert _sim_sheet.run(["sim", "sheet", "--out", str(out), "--columns", "4", *asked]) == 0
    assert json.loads(capsys.readouterr().out) == {"out": str(out), "rows": ["ride", "flat"]}
    assert decode_image(out).shape[1] == 4 * (160 + GAP_PX)
    assert _sim_gap.run(["sim", "gap", "--frames", "48", *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(gap["one"], gap["other"]) for gap in found["gaps"]] == [
        ("ride", "its other half"),
        ("flat", "its other half"),
        ("ride", "flat"),
        ("ride", "flat in colours of ride"),
    ]
    assert found["verdicts"] == []
    with pytest.raises(UsageError, match="--out must end in"):
        _sim_sheet.run(["sim", "sheet", "--out", str(tmp_path / "sheet.gif")])
    with pytest.raises(UsageError, match="no such folder"):
        _sim_sheet.run(["sim", "sheet", "--out", str(tmp_path / "nowhere" / "sheet.png")])
    with pytest.raises(UsageError, match="--frames must be a whole number from 12"):
        _sim_gap.run(["sim", "gap", "--frames", "3"])


@pytest.mark.parametrize(
    ("looks", "told"),
    [(["flat"], "--look flat alone"), (["flat", "flat"], "--look flat, given more than once,")],
)
def test_one_look_is_refused_before_anything_is_drawn(looks, told, monkeypatch):
    monkeypatch.setattr("dingocar.evaluate.pictures.from_look", None)
    argv = [word for look in looks for word in ("--look", look)]
    with pytest.raises(UsageError, match=f"{told} has nothing .* give another --look or --tub"):
        _sim_gap.run(["sim", "gap", *argv])


def test_a_sheet_that_cannot_be_finished_leaves_the_old_one(tub, few_blocks, tmp_path, monkeypatch):
    out = tmp_path / "sheet.png"
    out.write_bytes(b"old")

    def full(image, file, *more, **options):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    with pytest.raises(UsageError, match=r"cannot be written \(No space left"):
        _sim_sheet.run(["sim", "sheet", "--out", str(out), "--tub", str(tub), "--columns", "2"])
    assert out.read_bytes() == b"old"
    assert sorted(file.name for file in tmp_path.glob("*sheet*")) == ["sheet.png"]
