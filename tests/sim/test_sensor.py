"""The camera's sensor: every parameter acts, the same chance gives the same picture."""

from __future__ import annotations

import numpy as np
import pytest

from dingocar.sim.appearance import Appearance
from dingocar.sim.sensor import Sensor

SHAPE = (48, 64)
EVERYTHING = Appearance(
    light=1.2,
    warmth=0.3,
    tint=0.2,
    gamma=1.1,
    saturation=1.2,
    drift=0.5,
    vignette=0.4,
    blur_px=0.7,
    noise=0.03,
    jpeg_quality=80,
)
GREY = np.full((*SHAPE, 3), 100, np.uint8)


@pytest.fixture
def picture():
    rows, columns = np.indices(SHAPE)
    image = np.stack([columns * 3 + 20, rows * 4 + 10, 200 - columns * 2], axis=2).astype(np.uint8)
    image[10:20, 20:30] = 230
    return image


def exposed(image, appearance, time_s=1.0, step=20, seed=5):
    return Sensor(appearance, image.shape[:2], seed).expose(image, time_s, step)


def test_nothing_to_do_costs_nothing(picture):
    assert exposed(picture, Appearance()) is picture


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("light", 0.9), ("warmth", 0.6), ("tint", -0.3), ("gamma", 1.3), ("saturation", 0.6)),
        *(("drift", 0.0), ("vignette", 0.1), ("blur_px", 1.5), ("noise", 0.1), ("jpeg_quality", 30)),
    ],
)
def test_every_parameter_acts_alone_and_with_the_others(picture, name, value):
    before, after = (
        exposed(picture, EVERYTHING.with_(**{name: v})) for v in (getattr(EVERYTHING, name), value)
    )
    assert (before != after).mean() > 0.05
    alone = exposed(picture, Appearance().with_(**{name: getattr(EVERYTHING, name)}))
    assert (alone != picture).mean() > 0.05
    assert alone.dtype == np.uint8
    assert alone.shape == picture.shape


def test_the_same_step_gives_the_same_picture_and_the_input_stays(picture):
    kept, sensor = picture.copy(), Sensor(EVERYTHING, SHAPE, 5)
    first = sensor.expose(picture, 1.0, 20)
    other = sensor.expose(picture, 1.0, 21)
    assert (sensor.expose(picture, 1.0, 20) == first).all()
    assert (exposed(picture, EVERYTHING) == first).all()
    assert (exposed(picture, EVERYTHING, seed=6) != first).any()
    assert (other != first).any()
    assert (picture == kept).all()


@pytest.mark.parametrize(("value", "share"), [(255, 1.0), (0, 0.4)])
def test_noise_is_as_strong_as_asked_and_weaker_in_the_dark(value, share):
    image = np.full((120, 160, 3), value, np.uint8)
    # Half of it is cut off at the end of the scale, so the deviation from there is measured.
    seen = exposed(image, Appearance(noise=0.05)).astype(float) - value
    half = seen[seen != 0]
    assert np.sqrt((half**2).mean()) == pytest.approx(0.05 * 255 * share, rel=0.12)


def test_noise_of_two_steps_is_unrelated():
    sensor = Sensor(Appearance(noise=0.05), (120, 160), 0)
    seen = [sensor.expose(np.full((120, 160, 3), 128, np.uint8), 0.0, step).ravel() for step in range(6)]
    related = np.abs(np.corrcoef(seen))[np.triu_indices(6, 1)]
    assert related.max() < 0.1


def test_exposure_and_gamma():
    assert (exposed(GREY, Appearance(light=1.5)) == 150).all()
    assert (exposed(GREY, Appearance(light=0.5)) == 50).all()
    white = np.full_like(GREY, 250)
    assert (exposed(white, Appearance(light=2.0)) == 255).all()
    assert (exposed(white, Appearance(light=1.1)) <= 255).all()
    assert exposed(GREY, Appearance(gamma=2.0))[0, 0, 0] == round((100 / 255) ** 2 * 255)
    # Brighter in, brighter out: also beyond white.
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(8, axis=0)
    for light in (1.3, 2.5):
        assert (np.diff(exposed(ramp, Appearance(light=light))[0, :, 0].astype(int)) >= 0).all()


def test_white_balance_and_saturation(picture):
    red, green, blue = exposed(GREY, Appearance(warmth=1.0))[0, 0].astype(int)
    assert red > green > blue
    red, green, blue = exposed(GREY, Appearance(tint=1.0))[0, 0].astype(int)
    assert green > max(red, blue)
    pale = exposed(picture, Appearance(saturation=0.0)).astype(int)
    assert np.ptp(pale, axis=2).max() <= 1
    assert (exposed(GREY, Appearance(saturation=2.0)) == 100).all()


def test_drift_follows_time_and_stays_small():
    sensor = Sensor(Appearance(drift=1.0), SHAPE, 1)
    mean = [float(sensor.expose(GREY, at, 0).mean()) for at in np.arange(0, 30, 0.5)]
    assert np.ptp(mean) > 10
    assert np.abs(np.diff(mean)).max() < 20
    assert 60 < min(mean) < max(mean) < 160
    assert float(sensor.expose(GREY, 3.0, 9).mean()) == float(sensor.expose(GREY, 3.0, 0).mean())


def test_the_corners_are_dark():
    image = exposed(GREY, Appearance(vignette=1.0)).astype(int)
    assert image[24, 32, 0] >= 99
    assert image[0, 0, 0] < 60
    assert image[0, 0, 0] == image[-1, -1, 0]


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0])
def test_blur_is_as_wide_as_asked(sigma):
    image = np.zeros((*SHAPE, 3), np.uint8)
    image[24, 32] = 255
    # A spot of one pixel would be lost in rounding, so many of them are put side by side in a row.
    image[:, 32] = 255
    seen = exposed(image, Appearance(blur_px=sigma))[20].astype(float)[:, 0]
    columns = np.arange(64) - 32.0
    # Pixels have a width of their own: 1/12 pixel^2.
    assert (seen * columns**2).sum() / seen.sum() == pytest.approx(sigma**2 + 1 / 12, rel=0.15)
    assert seen.sum() == pytest.approx(255, rel=0.03)


def test_blur_keeps_an_even_picture_even():
    assert (exposed(GREY, Appearance(blur_px=3.0)) == 100).all()
    tiny = np.full((8, 8, 3), 77, np.uint8)
    assert (exposed(tiny, Appearance(blur_px=3.0)) == 77).all()


def test_jpeg_needs_a_quality(picture):
    assert exposed(picture, Appearance(jpeg_quality=9)) is picture
    error = [
        np.abs(exposed(picture, Appearance(jpeg_quality=q)).astype(int) - picture).mean()
        for q in (15, 60, 95)
    ]
    assert error[0] > error[1] > error[2] > 0
