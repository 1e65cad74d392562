"""Intervals for figures that come from few trials."""

from __future__ import annotations

import math

from dingocar.errors import UsageError


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
