"""Intervals and tests for figures that come from few trials or few seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError

FloatArray = npt.NDArray[np.float64]

#: Up to this many pairs all signs are tried, beyond it as many by chance.
EXACT_PAIRS = 14


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson 1927), 95 % unless `z` says otherwise.

    Raises:
        UsageError: no trials, or more successes than trials.

    >>> low, high = wilson_interval(5, 5)
    >>> round(low, 3), round(high, 3)
    (0.566, 1.0)
    """
    if not 0 <= successes <= trials or trials < 1:
        raise UsageError(f"expected 0 <= successes <= trials and a trial, got {successes} of {trials}")
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def interquartile_mean(values: npt.ArrayLike) -> float:
    """The mean of the middle half (IQM): the lowest and the highest quarter are left out.

    What the quarters cut through counts in part, so that few values have one too. Source: Agarwal et al.
    2021, "Deep reinforcement learning at the edge of the statistical precipice", arXiv:2108.13264.

    Raises:
        UsageError: no values.

    >>> interquartile_mean([0, 1, 2, 100])
    1.5
    """
    ordered = np.sort(_values(values))
    edges = np.arange(len(ordered) + 1) / len(ordered)
    weight = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0, None)
    return float(ordered @ weight / weight.sum())


def mean_interval(values: npt.ArrayLike) -> tuple[float, float]:
    """Student's 95 % t interval of the mean of independent values (Student 1908).

    Of few values a bootstrap's interval is far too narrow: of two it is their range, which holds the mean of
    normal values in half of all cases, of three in three quarters, of five in five sixths. This one holds it
    in 95 % of them. A single value has no interval: it comes back as both ends.

    Args:
        values: (n,), one for each trial.

    Raises:
        UsageError: no values.

    >>> low, high = mean_interval([1.0, 2.0, 3.0])
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    from scipy.special import stdtrit  # a second, which who reads no table need not wait

    column = _values(values)
    mean = float(column.mean())
    if len(column) == 1:
        return mean, mean
    reach = float(stdtrit(len(column) - 1, 0.975) * column.std(ddof=1) / math.sqrt(len(column)))
    return mean - reach, mean + reach


def sign_flip_test(differences: npt.ArrayLike, rng: np.random.Generator, draws: int = 10_000) -> float:
    """The two-sided p-value of paired differences, by flipping their signs (Fisher 1935).

    Exact for up to `EXACT_PAIRS` pairs: with n of them the smallest p there can be is 2 / 2^n (0.25 for
    three). Beyond, `draws` sets of signs are drawn.

    Raises:
        UsageError: no differences.

    >>> sign_flip_test([1.0, 2.0, 1.5], np.random.default_rng(0))
    0.25
    """
    values = _values(differences)
    exact = len(values) <= EXACT_PAIRS
    signs = (
        np.array(list(itertools.product((1.0, -1.0), repeat=len(values))))
        if exact
        else rng.choice((1.0, -1.0), (draws, len(values)))
    )
    sums = np.abs(signs @ values)
    as_far = int(np.sum(sums >= abs(values.sum()) * (1 - 1e-9) - 1e-15))
    return as_far / len(signs) if exact else (as_far + 1) / (draws + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction for several comparisons (Holm 1979).

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    corrected: dict[str, float] = {}
    highest = 0.0
    ordered = sorted(p_values.items(), key=lambda item: item[1])
    for number, (name, p) in enumerate(ordered):
        highest = max(highest, min(1.0, p * (len(ordered) - number)))
        corrected[name] = highest
    return corrected


def _values(values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values, np.float64).ravel()
    if not array.size or not np.isfinite(array).all():
        raise UsageError(f"expected at least one value, all of them numbers, got {array.tolist()}")
    return array
