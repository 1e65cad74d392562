"""Histogram matching: the colours become the target's, what is brighter stays brighter, chance is seeded."""

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.translate.histogram import HistogramMatcher, cumulated, curves


def pictures(seed, low, high, count=4):
    """Noise between two levels, other ones in each channel."""
    rng = np.random.default_rng(seed)
    images = rng.integers(low, high, (count, 24, 32, 3))
    return (images + np.array([0, 10, 20])).astype(np.uint8)


def means(images):
    return images.reshape(-1, 3).astype(float).mean(axis=0)


@pytest.mark.parametrize("how", ["each", "together"])
def test_the_colours_are_the_target_s_channel_by_channel(how):
    source, target = pictures(0, 0, 60), pictures(1, 120, 200)
    matcher = HistogramMatcher.of(target)
    rng = np.random.default_rng(0)
    matched = matcher.each(source, rng) if how == "each" else matcher.together(source)
    assert matched.shape == source.shape and matched.dtype == np.uint8
    np.testing.assert_allclose(means(matched), means(target), atol=2)
    for channel in range(3):
        assert abs(matched[..., channel].std() - target[..., channel].std()) < 2


def test_what_is_brighter_stays_so():
    source, target = pictures(0, 0, 60), pictures(1, 120, 200)
    matched = HistogramMatcher.of(target).together(source)
    order = np.argsort(source[0, ..., 1].ravel(), kind="stable")
    assert (np.diff(matched[0, ..., 1].ravel()[order].astype(int)) >= 0).all()


def test_pictures_of_the_target_stay_as_they_are():
    target = pictures(1, 120, 200)
    np.testing.assert_array_equal(HistogramMatcher.of(target).together(target), target)


def test_each_picture_gets_the_colours_of_one_that_is_drawn_with_the_seed():
    source = pictures(0, 0, 60, 8)
    dark, bright = pictures(1, 20, 60, 1), pictures(2, 180, 220, 1)
    matcher = HistogramMatcher.of(np.concatenate([dark, bright]))
    one, same, other = (matcher.each(source, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    levels = sorted({round(float(image[..., 0].mean()) / 40) for image in one})
    assert levels == [1, 5], "dark or bright, and nothing in between"


def test_one_curve_may_be_of_more_pictures_than_these():
    source, target = pictures(0, 0, 60), pictures(1, 120, 200)
    matcher = HistogramMatcher.of(target)
    have = cumulated(source)
    parts = [matcher.together(source[i : i + 1], have) for i in range(len(source))]
    np.testing.assert_array_equal(np.concatenate(parts), matcher.together(source))
    assert (matcher.together(source[:1]) != parts[0]).any()


def test_curves_rise_to_white_at_most():
    tables = curves(cumulated(pictures(0, 0, 60)), cumulated(np.full((1, 4, 4, 3), 255, np.uint8)))
    assert tables.shape == (3, 256) and tables.dtype == np.uint8 and tables.max() == 255
    assert (np.diff(tables.astype(int), axis=1) >= 0).all()


def test_what_is_darker_than_all_that_was_seen_becomes_the_darkest():
    tables = curves(cumulated(pictures(0, 20, 60)), cumulated(pictures(1, 120, 200)))
    assert (tables[:, :20].T == [120, 130, 140]).all() and (tables.max(axis=1) == [199, 209, 219]).all()


@pytest.mark.parametrize(
    "images", [np.zeros((0, 4, 4, 3), np.uint8), np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 4, 4, 3))]
)
def test_what_is_no_pictures(images):
    with pytest.raises(UsageError, match=r"expected uint8 pictures \(N, H, W, 3\), got"):
        HistogramMatcher.of(images)
    with pytest.raises(UsageError, match="expected uint8 pictures"):
        HistogramMatcher.of(pictures(0, 0, 60)).together(images)
