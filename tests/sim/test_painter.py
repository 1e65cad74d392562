"""Painting: every parameter is seen, and each does what it says."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.sim import load_track
from dingocar.sim.appearance import FLOORS, Appearance
from dingocar.sim.chart import survey
from dingocar.sim.painter import paint
from dingocar.sim.textures import MATERIALS, noise, ranked, tile

#: What happens in the camera: the sensor and the renderer.
IN_CAMERA = {
    *("light", "warmth", "tint", "gamma", "saturation", "drift", "vignette", "blur_px", "shutter_s"),
    *("readout_s", "noise", "jpeg_quality"),
}
PAINTED = [field.name for field in fields(Appearance) if field.name not in IN_CAMERA]
#: One in which all there is takes part.
FULL = Appearance(
    floor="mat",
    backdrop="room",
    **dict.fromkeys(("wear", "tape", "seams", "clutter", "shadows", "gloss", "light_gradient"), 0.5),
)


@pytest.fixture(scope="module")
def chart():
    return survey(load_track("oval"), texel_m=0.015)


def painted(chart, appearance, seed=3):
    return paint(chart, appearance, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def full(chart):
    return painted(chart, FULL)


def on(chart, cte_m, tolerance_m=0.008):
    return np.abs(chart.cte_m - cte_m) < tolerance_m


@pytest.mark.parametrize("name", PAINTED)
def test_every_parameter_is_seen(chart, full, name):
    change = {"floor": "tiles", "backdrop": "sky", "light_yaw_rad": 2.0}.get(name)
    if change is None:
        now = getattr(FULL, name)
        change = now * 0.5 if now > 0.05 else now + 0.02
    other = painted(chart, FULL.with_(**{name: change}))
    differs = (other.ground != full.ground).mean(), (other.sky != full.sky).mean()
    assert max(differs) > 0.002


@pytest.mark.parametrize("name", sorted(IN_CAMERA))
def test_what_the_camera_does_is_not_painted(chart, full, name):
    other = painted(chart, FULL.with_(**{name: 0.02 if name != "jpeg_quality" else 50}))
    assert (other.ground == full.ground).all()
    assert (other.sky == full.sky).all()


def test_the_same_seed_paints_the_same_and_another_one_does_not(chart, full):
    again, other = painted(chart, FULL), painted(chart, FULL, seed=4)
    assert again.ground.tobytes() == full.ground.tobytes()
    assert again.sky.tobytes() == full.sky.tobytes()
    assert (other.ground != full.ground).mean() > 0.3
    assert (other.sky != full.sky).mean() > 0.3


def test_plain_lines_have_their_colours_and_widths(chart):
    ground = painted(chart, Appearance(gap_m=0.0)).ground
    edge, middle = on(chart, 0.35 - 0.025), on(chart, 0.0)
    assert np.abs(ground[edge].astype(int) - (235, 235, 230)).max() <= 1
    assert np.abs(ground[middle].astype(int) - (235, 190, 40)).max() <= 1
    # Beside the lines, and between the dashes, is floor.
    for beside in (0.1, 0.25, 0.4):
        assert ground[on(chart, beside)].max() < 100


def test_dashes_and_gaps_fit_a_whole_number_of_times(chart):
    ground = painted(chart, Appearance()).ground
    middle = on(chart, 0.0)
    yellow = ground[middle][:, 0] > 150
    assert yellow.mean() == pytest.approx(0.5, abs=0.03)
    length = chart.track.length_m
    period = length / round(length / 0.5)
    phase = chart.s_m[middle] % period
    assert yellow[np.abs(phase - 0.12) < 0.1].all()
    assert not yellow[np.abs(phase - 0.38) < 0.1].any()


def test_wear_takes_paint_off(chart):
    bright = []
    for wear in (0.0, 0.4, 1.0):
        ground = painted(chart, Appearance(wear=wear)).ground
        bright.append((ground[on(chart, 0.325)].min(axis=1) > 150).mean())
    assert bright[0] == 1.0
    assert 0.3 < bright[1] < 0.8
    assert bright[2] < 0.15


def test_tape_moves_lines_but_leaves_them_where_they_are_on_the_whole(chart):
    ground = painted(chart, Appearance(tape=1.0)).ground
    covered = ground.min(axis=2) > 120
    places = chart.cte_m[covered & (chart.cte_m > 0)]
    assert places.mean() == pytest.approx(0.325, abs=0.012)
    assert np.percentile(places, 99) > 0.355


def test_a_mat_is_another_colour_beside_the_road(chart):
    look = Appearance(
        floor="mat", floor_r=90, floor_g=90, floor_b=90, beside_r=10, beside_g=100, beside_b=200
    )
    ground = painted(chart, look).ground.astype(int)
    road, beside = ground[on(chart, 0.15, 0.1)], ground[np.isinf(chart.cte_m)]
    assert np.abs(road[:, 0] - road[:, 2]).mean() < 5
    assert (beside[:, 2] - beside[:, 0]).mean() > 120


@pytest.mark.parametrize("material", sorted(MATERIALS))
def test_a_material_has_its_colour_and_its_texture_scales(chart, material):
    look = Appearance(
        floor=material, floor_r=120, floor_g=100, floor_b=80, beside_r=120, beside_g=100, beside_b=80
    )
    far = np.isinf(chart.cte_m)
    far[:40], far[-40:], far[:, :40], far[:, -40:] = False, False, False, False
    spreads = []
    for texture in (0.0, 1.0, 2.0):
        ground = painted(chart, look.with_(texture=texture)).ground[far].astype(float)
        assert ground.mean(axis=0) == pytest.approx((120, 100, 80), rel=0.08)
        spreads.append(ground[:, 0].std())
    assert spreads[0] < 1
    assert spreads[1] > 2
    assert spreads[2] > 1.5 * spreads[1]


def test_tiles_are_seamless_and_made_once():
    assert set(MATERIALS) == set(FLOORS) - {"plain"}
    assert tile("concrete", 0.02) is tile("concrete", 0.02)
    field = noise(np.random.default_rng(0), (64, 64), 8, 64)
    assert field.mean() == pytest.approx(0, abs=1e-5)
    assert field.std() == pytest.approx(1, abs=1e-5)
    inside = np.abs(np.diff(field, axis=1)).mean()
    assert np.abs(field[:, 0] - field[:, -1]).mean() < 2 * inside
    assert np.sort(ranked(field).ravel()) == pytest.approx(np.linspace(0, 1, 64 * 64), abs=1e-6)


def test_the_light_comes_from_where_it_is_said(chart):
    look = Appearance(texture=0, light_gradient=1.0, backdrop="blank")
    for yaw, brighter, darker in ((0.0, np.s_[:, -20:], np.s_[:, :20]), (np.pi / 2, np.s_[-20:], np.s_[:20])):
        ground = painted(chart, look.with_(light_yaw_rad=yaw)).ground
        assert ground[brighter].mean() > 2 * ground[darker].mean()
    sky = painted(chart, look).sky
    assert sky[:, 0].mean() > 1.5 * sky[:, sky.shape[1] // 2].mean()


def test_shadows_darken_and_gloss_brightens(chart):
    plain = painted(chart, Appearance()).ground.astype(int)
    shadow = painted(chart, Appearance(shadows=1.0)).ground.astype(int)
    gloss = painted(chart, Appearance(gloss=1.0)).ground.astype(int)
    assert (shadow <= plain).all()
    assert shadow.mean() < 0.95 * plain.mean()
    assert (gloss >= plain).all()
    assert gloss.max() > 200
    assert gloss.mean() > 1.02 * plain.mean()


@pytest.mark.parametrize("floor", ["asphalt", "wood"])
def test_all_around_goes_on_in_one_colour(chart, floor):
    """What lies beyond the border is drawn as the border is: it must show no streaks."""
    ground = painted(chart, Appearance(floor=floor, backdrop="sky")).ground
    for border in (ground[0], ground[-1], ground[:, 0], ground[:, -1]):
        inner = border[40:-40].astype(int)
        assert np.ptp(inner, axis=0).max() == 0
        assert np.abs(inner[0] - np.median(ground[::9, ::9], axis=(0, 1))).max() < 12


def test_texels_can_be_coarser_and_nothing_else_changes():
    track = load_track("oval")
    fine, coarse = survey(track), survey(track, texel_m=0.02)
    assert coarse.texel_m == 0.02
    assert fine.shape[0] == pytest.approx(4 * coarse.shape[0], abs=4)
    assert painted(coarse, FULL).ground.mean() == pytest.approx(painted(fine, FULL).ground.mean(), rel=0.15)
    for wrong in (0.0, -1.0, 0.2, float("nan")):
        with pytest.raises(UsageError, match="texel_m must be"):
            survey(track, texel_m=wrong)
