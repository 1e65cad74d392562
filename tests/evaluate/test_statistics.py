"""Intervals against published values."""

import pytest

from dingocar.errors import UsageError
from dingocar.evaluate import wilson_interval


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
