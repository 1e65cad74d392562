"""The soft nearest neighbour loss: how far classes are entangled among features. numpy only.

Source: Frosst et al. 2019, "Analyzing and Improving Representations with the Soft Nearest Neighbor Loss",
arXiv:1902.01889.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

#: Most rows that `entanglement` compares with each other.
MOST_ROWS = 1000
#: Temperatures are looked for from so far below to so far above the mean squared distance (powers of e).
POWERS = (-12.0, 4.0)


def entanglement(
    features: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    seed: int = 0,
    blocks: IntArray | None = None,
) -> float:
    """The soft nearest neighbour loss at the temperature where it is least; high: classes are entangled.

    0 where all neighbours are of the same class; at most about the classes' entropy (ln 2 = 0.69 for two
    of one size), which `soft_neighbours` gives exactly with an infinite temperature. The paper takes the
    minimum too: features of another scale then have the same entanglement.

    Args:
        features: (N, F).
        labels: (N,), the classes; two or more of at least two rows.
        seed: draws `MOST_ROWS` rows where there are more.
        blocks: (N,), or None. Rows of one block are not compared: near copies of a row, all of its class,
            would make any features look well separated.

    Returns:
        The loss in nats, >= 0.

    Raises:
        UsageError: sizes do not fit, or there is nothing to compare.
    """
    values, classes = np.asarray(features, np.float64), np.asarray(labels)
    if len(values) > MOST_ROWS:
        drawn = np.random.default_rng([seed, 3]).choice(len(values), MOST_ROWS, replace=False)
        values, classes = values[drawn], classes[drawn]
        blocks = None if blocks is None else blocks[drawn]
    apart, same, counts = _pairs(values, classes, blocks)
    scale = float(apart[counts].mean())
    least = _loss(apart, same, counts, math.inf)
    if scale == 0.0:  # all rows are one point
        return least
    powers = np.linspace(*POWERS, 17)
    losses = [_loss(apart, same, counts, scale * math.exp(power)) for power in powers]
    best = int(np.argmin(losses))
    low, high = powers[max(0, best - 1)], powers[min(len(powers) - 1, best + 1)]
    for _ in range(6):  # golden sections
        inner = (high - 0.618034 * (high - low), low + 0.618034 * (high - low))
        found = [_loss(apart, same, counts, scale * math.exp(power)) for power in inner]
        losses += found
        low, high = (low, inner[1]) if found[0] < found[1] else (inner[0], high)
    return min(*losses, least)


def soft_neighbours(
    features: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    temperature: float,
    blocks: IntArray | None = None,
) -> float:
    """The soft nearest neighbour loss at one temperature, in nats.

    The mean over rows i of -log(sum over the j of i's class of exp(-|x_i - x_j|^2 / T) / the same sum over
    all j), j != i. Rows without another of their class are left out. See `entanglement` for the arguments.

    Raises:
        UsageError: sizes do not fit, or there is nothing to compare.
    """
    return _loss(*_pairs(np.asarray(features, np.float64), np.asarray(labels), blocks), temperature)


def _pairs(
    values: FloatArray, classes: npt.NDArray[Any], blocks: IntArray | None
) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Squared distances (n, N) of the rows that have a fellow; which pairs are of one class; which count."""
    rows = len(values)
    if values.ndim != 2 or classes.shape != (rows,) or (blocks is not None and len(blocks) != rows):
        raise UsageError(
            f"entanglement: expected features (N, F), a label and a block for each row, got {values.shape}, "
            f"{classes.shape} and {None if blocks is None else np.shape(blocks)}"
        )
    places = np.arange(rows) if blocks is None else np.asarray(blocks)
    counts = places[:, None] != places
    same = (classes[:, None] == classes) & counts
    kept = same.any(axis=1)
    if len(np.unique(classes[kept])) < 2:
        raise UsageError("entanglement: expected two classes or more, each of two rows in different blocks")
    values = values - values.mean(axis=0)
    square = np.sum(values**2, axis=1)
    apart = np.maximum(square[:, None] + square - 2 * values @ values.T, 0.0)
    return apart[kept], same[kept], counts[kept]


def _loss(apart: FloatArray, same: BoolArray, counts: BoolArray, temperature: float) -> float:
    """`soft_neighbours` of pairs."""
    closeness = -apart / temperature
    among_same = _log_sum(np.where(same, closeness, -np.inf))
    among_all = _log_sum(np.where(counts, closeness, -np.inf))
    return max(0.0, float(np.mean(among_all - among_same)))


def _log_sum(values: FloatArray) -> FloatArray:
    """log(sum(exp)) of each row, without overflow."""
    highest = values.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(values - highest).sum(axis=1)) + highest[:, 0])
