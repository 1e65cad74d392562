"""Intervals against published values."""

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.evaluate import wilson_interval
from dingocar.evaluate.statistics import (
    bootstrap_interval,
    holm,
    interquartile_mean,
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


def test_bootstrap_interval_holds_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = bootstrap_interval(rng.normal(1.0, 2.0, 40), rng, draws=400)
        held += low <= 1.0 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_bootstrap_is_seeded_and_takes_any_statistic():
    values = np.geomspace(1.0, 8.0, 12)
    ends = [bootstrap_interval(values, np.random.default_rng(s), interquartile_mean) for s in (3, 3, 4)]
    assert ends[0] == ends[1] != ends[2]
    assert 1.0 <= ends[0][0] < interquartile_mean(values) < ends[0][1] <= 8.0


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
        lambda v: bootstrap_interval(v, np.random.default_rng(0)),
    ],
)
@pytest.mark.parametrize("values", [[], [float("nan")]])
def test_statistics_of_nothing_are_refused(call, values):
    with pytest.raises(UsageError, match="at least one value"):
        call(values)
