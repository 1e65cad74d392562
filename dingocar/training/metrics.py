"""How near the pilot's commands come to the driver's, on frames it was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Metrics = dict[str, float | None]


def compare(predicted: npt.NDArray[Any], true: npt.NDArray[Any]) -> Metrics:
    """Returns mean absolute error, R2 and Pearson correlation of (N,) commands in [-1, 1].

    R2 is 1 - sum (predicted - true)^2 / sum (true - mean true)^2: 0 is as good as always saying the
    mean. It is None, as is the correlation, when the true values never change; the correlation also
    when the predicted ones never do.

    >>> compare(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == {"mae": 0.0, "r2": 1.0, "corr": 1.0}
    True
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    error = predicted - true
    spread, own_spread = true - true.mean(), predicted - predicted.mean()
    total, own_total = float(spread @ spread), float(own_spread @ own_spread)
    tiny = 1e-12 * len(true)
    return {
        "mae": float(np.abs(error).mean()),
        "r2": 1 - float(error @ error) / total if total > tiny else None,
        "corr": float(spread @ own_spread) / float(np.sqrt(total * own_total))
        if min(total, own_total) > tiny
        else None,
    }
