"""Augmentation: pictures change, the ones given do not, and the labels follow exactly."""

import hashlib
from dataclasses import fields, replace

import numpy as np
import pytest

from dingocar.errors import TrainingError
from dingocar.training.augment import Augment

OFF = Augment().off()
CHANGES = [field.name for field in fields(Augment) if field.name.endswith("_p")]


@pytest.fixture
def images():
    made = np.random.default_rng(1).integers(0, 256, (16, 24, 32, 3), dtype=np.uint8)
    made.flags.writeable = False
    return made


def draw(augment, n=16, seed=0):
    return augment.draw(np.random.default_rng(seed), n)


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_changes_copies_only(images, name):
    before = hashlib.sha256(images).hexdigest()
    changed = draw(replace(OFF, **{name: 1.0})).images(images)
    assert changed.dtype == np.uint8
    assert changed.shape == images.shape
    assert (changed != images).any(axis=(1, 2, 3)).mean() > 0.8
    assert not np.shares_memory(changed, images)
    assert hashlib.sha256(images).hexdigest() == before


def test_off_changes_nothing(images):
    nothing = draw(OFF)
    assert np.array_equal(nothing.images(images), images)
    steering = np.linspace(-1, 1, 16, dtype=np.float32)
    assert np.array_equal(nothing.labels({"user/angle": steering})["user/angle"], steering)


def test_a_shift_moves_the_picture_and_corrects_the_steering(images):
    shift = draw(replace(OFF, shift_p=1.0, shift_px=5, shift_gain=0.01))
    steering = np.full(16, 0.2, np.float32)
    labels = shift.labels({"user/angle": steering, "user/throttle": steering})
    np.testing.assert_allclose(labels["user/angle"], 0.2 + 0.01 * shift.shift_px, rtol=1e-6)
    assert np.array_equal(labels["user/throttle"], steering)
    assert (shift.shift_px > 0).any()
    assert (shift.shift_px < 0).any()
    for image, moved, k in zip(images, shift.images(images), shift.shift_px, strict=True):
        columns = np.clip(np.arange(32) - k, 0, 31)
        assert np.array_equal(moved, image[:, columns])


def test_steering_stays_in_range_after_a_shift():
    shift = draw(replace(OFF, shift_p=1.0, shift_px=9, shift_gain=0.1), n=200)
    labels = shift.labels({"user/angle": np.full(200, 0.9, np.float32)})["user/angle"]
    assert labels.max() == 1.0
    assert labels.dtype == np.float32


def test_mirror_flips_the_picture_and_the_steering_only_when_asked(images):
    assert not draw(Augment(), n=1000).mirror.any()
    mirror = draw(replace(OFF, mirror_p=0.5))
    steering = np.linspace(0.1, 0.9, 16, dtype=np.float32)
    labels = mirror.labels({"user/angle": steering})["user/angle"]
    changed = mirror.images(images)
    assert 0 < mirror.mirror.sum() < 16
    for i, flipped in enumerate(mirror.mirror):
        assert np.array_equal(changed[i], images[i][:, ::-1] if flipped else images[i])
        assert labels[i] == (-steering[i] if flipped else steering[i])


def test_a_mirrored_and_shifted_picture_gets_both_corrections():
    both = draw(replace(OFF, mirror_p=1.0, shift_p=1.0, shift_px=5, shift_gain=0.01))
    labels = both.labels({"user/angle": np.full(16, 0.4, np.float32)})["user/angle"]
    np.testing.assert_allclose(labels, -0.4 + 0.01 * both.shift_px, rtol=1e-5)


def test_brightness_and_contrast_are_what_was_drawn(images):
    light = draw(replace(OFF, light_p=1.0))
    changed = light.images(images).astype(float)
    for i in range(16):
        wanted = (images[i] - 127.5) * light.contrast[i] + 127.5 + 255 * light.brightness[i]
        np.testing.assert_allclose(changed[i], np.clip(wanted, 0, 255), atol=0.51)


def test_a_shadow_darkens_one_side_only():
    white = np.full((40, 24, 32, 3), 200, np.uint8)
    shadow = draw(replace(OFF, shadow_p=1.0), n=40)
    for image, (_, _, light) in zip(shadow.images(white), shadow.shadow, strict=True):
        assert set(np.unique(image)) <= {200, int(200 * light)}


def test_blur_keeps_a_flat_picture_and_softens_an_edge():
    image = np.zeros((1, 8, 8, 3), np.uint8)
    image[:, :, 4:] = 160
    blurred = draw(replace(OFF, blur_p=1.0), n=1).images(image)
    assert blurred[0, 3, :, 0].tolist() == [0, 0, 0, 40, 120, 160, 160, 160]


def test_noise_has_the_drawn_strength_and_no_bias():
    grey = np.full((32, 120, 160, 3), 128, np.uint8)
    noise = draw(replace(OFF, noise_p=1.0, noise=20.0), n=32)
    changed = noise.images(grey).astype(float) - 128
    np.testing.assert_allclose(changed.std(axis=(1, 2, 3)), noise.noise, rtol=0.05, atol=0.4)
    assert abs(changed.mean()) < 0.6


def test_the_generator_decides_the_draw(images):
    first, again, other = (draw(Augment(), seed=s).images(images) for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("wrong", [{"shift_p": 1.5}, {"noise": -1.0}, {"brightness": 2.0}])
def test_values_out_of_range_are_an_error(wrong):
    with pytest.raises(TrainingError, match=next(iter(wrong))):
        Augment(**wrong)
