"""Intervals against published values."""

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.evaluate import wilson_interval
from dingocar.evaluate.statistics import (
    holm,
    interquartile_mean,
    mean_interval,
    sign_flip_test,
)


@pytest.mark.parametrize(
    "successes, trials, low, high",
    [  # Newcombe 1998, table I, method 3 (score without continuity correction)
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval(successes, trials, low, high):
    assert wilson_interval(successes, trials, z=1.959964) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("successes, trials", [(1, 0), (3, 2), (-1, 2)])
def test_impossible_counts(successes, trials):
    with pytest.raises(UsageError, match="expected 0 <= successes"):
        wilson_interval(successes, trials)


def test_interquartile_mean_leaves_out_the_outer_quarters():
    assert interquartile_mean([1000, 1, 2, 3, 4, 5, 6, -1000]) == pytest.approx(3.5)
    # Five values: the quarters cut through the second and the fourth.
    assert interquartile_mean([0, 1, 2, 3, 1000]) == pytest.approx((0.75 * 1 + 2 + 0.75 * 3) / 2.5)
    assert interquartile_mean([7.0]) == 7.0


@pytest.mark.parametrize("values", [2, 3, 5, 40])
def test_an_interval_holds_the_mean_as_often_as_it_says(values):
    rng = np.random.default_rng(0)
    ends = [mean_interval(rng.normal(1.0, 2.0, values)) for _ in range(1000)]
    assert 0.93 <= np.mean([low <= 1.0 <= high for low, high in ends]) <= 0.97


def test_an_interval_of_published_values():
    # NIST e-Handbook, 1.3.5.2, ZARR13.DAT: n 195, mean 9.261460, standard deviation 0.022789
    values = np.full(195, 9.261460)
    values[::2], values[1::2] = 9.261460 + 1, 9.261460 - 1
    values = (values - values.mean()) / values.std(ddof=1) * 0.022789 + 9.261460
    assert mean_interval(values) == pytest.approx((9.258242, 9.264679), abs=1e-6)
    assert mean_interval([3.0]) == (3.0, 3.0) and mean_interval([2.0, 2.0]) == (2.0, 2.0)


@pytest.mark.parametrize(
    "pairs, p",
    [([1, 1, 1], 0.25), ([1, 2, 3, 4, 5, 6], 2 / 64), ([1, -1], 1.0), ([0, 0], 1.0)],
)
def test_sign_flips_are_exact_for_few_pairs(pairs, p):
    assert sign_flip_test(pairs, np.random.default_rng(0)) == pytest.approx(p)


def test_sign_flips_of_many_pairs_are_drawn():
    rng = np.random.default_rng(0)
    assert sign_flip_test(rng.normal(0.0, 1.0, 60), rng) > 0.05
    assert sign_flip_test(rng.normal(1.0, 1.0, 60), rng) == pytest.approx(1e-4, rel=0.5)


def test_holm_steps_down_and_never_back():
    # Holm 1979: the smallest times n, the next times n - 1, ..., each at least the one before.
    assert holm({"a": 0.02, "b": 0.03, "c": 0.5}) == pytest.approx({"a": 0.06, "b": 0.06, "c": 0.5})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@pytest.mark.parametrize(
    "call",
    [
        interquartile_mean,
        lambda v: sign_flip_test(v, np.random.default_rng(0)),
        mean_interval,
    ],
)
@pytest.mark.parametrize("values", [[], [float("nan")]])
def test_statistics_of_nothing_are_refused(call, values):
    with pytest.raises(UsageError, match="at least one value"):
        call(values)
