"""What a translation is worth, in figures: likeness, diversity, what a pilot still steers.

Pictures that look right may show another road, and figures of likeness do not see that; so what a pilot
steers by them stands beside.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.evaluate.domain_gap import LIMIT, kernel_distance
from dingocar.training.metrics import compare

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Principal components of the frozen network's features that the Frechet distance is measured on. Covariances
#: of more would take more pictures than a tub has.
COMPONENTS = 48
#: Labels to the left of -TURN or right of TURN are turns.
TURN = 0.15
SIDES = ("left", "straight", "right")


@dataclass(frozen=True)
class Likeness:
    """How far pictures are from genuine ones.

    Attributes:
        frechet: the Frechet distance of two Gaussians (Heusel et al. 2017, arXiv:1706.08500), on the first
            principal components of the frozen network's features (`dingocar.evaluate.domain_gap`): to be
            compared here, not with published figures. More pictures make it smaller, so all of a report
            have as many.
        kid: the unbiased kernel distance of all features; see `kernel_distance`.
        kid_low, kid_high: its 95 % interval, stretches resampled.
    """

    frechet: float
    kid: float
    kid_low: float
    kid_high: float


@dataclass(frozen=True)
class Side:
    """Pictures whose label turns to one side.

    Attributes:
        pictures: how many.
        label, said: the mean of the labels, and of what the pilot steers.
        lost: the share for which it steers less than half as far to that side; of straights, further than
            `TURN`.
    """

    pictures: int
    label: float
    said: float
    lost: float


class Space:
    """Scale and principal components of the features of genuine pictures of both domains, (N, F) each."""

    def __init__(self, *genuine: FloatArray) -> None:
        known = np.concatenate(genuine)
        self._middle, self._spread = known.mean(axis=0), known.std(axis=0) + 1e-6
        scaled = self.scaled(known)
        _, _, axes = np.linalg.svd(scaled - scaled.mean(axis=0), full_matrices=False)
        self._axes = axes[:COMPONENTS].T

    def scaled(self, values: FloatArray) -> FloatArray:
        """Features, (N, F), on one scale."""
        return np.asarray(np.clip((values - self._middle) / self._spread, -LIMIT, LIMIT))

    def likeness(
        self, made: tuple[FloatArray, IntArray], genuine: tuple[FloatArray, IntArray], count: int, seed: int
    ) -> Likeness:
        """How far two sets are from each other.

        Args:
            made, genuine: scaled features (N, F) and the stretch of each picture.
            count: pictures of each to draw for the Frechet distance.
            seed: draws them, and what is resampled.
        """
        rng = np.random.default_rng([seed, 0xF1D])
        drawn = [values[rng.permutation(len(values))[:count]] @ self._axes for values, _ in (made, genuine)]
        return Likeness(frechet(*drawn), *kernel_distance(*made, *genuine, rng=rng))


def frechet(one: FloatArray, other: FloatArray) -> float:
    """The squared Frechet distance of the Gaussians of two sets of features, (N, C) and (M, C).

    >>> rng = np.random.default_rng(0)
    >>> one = rng.normal(0, 1, (4000, 2))
    >>> round(frechet(one, one + [3, 4]), 6)
    25.0
    >>> abs(frechet(one, 3 * one) - 8) < 0.5  # (3 - 1)^2 for each of two
    True
    """
    first, second = np.cov(one.T), np.cov(other.T)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # The trace of the root of the product is that of a symmetric matrix with the same eigenvalues.
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    apart = one.mean(axis=0) - other.mean(axis=0)
    return float(apart @ apart + np.trace(first) + np.trace(second) - 2 * cross)


def diversity(given: FloatArray, made: FloatArray, genuine: FloatArray) -> tuple[float, float]:
    """Whether different pictures become different ones.

    Args:
        given, made: features (N, C) of pictures and of their translations, in the same order.
        genuine: features of genuine pictures of the domain translated to.

    Returns:
        The mean distance between translations, divided by that between genuine pictures: 0 is a collapse;
        and the correlation of the distances between translations with those between the given pictures.
    """
    before, after = _distances(given), _distances(made)
    spread = float(after.mean() / _distances(genuine).mean())
    if after.std() == 0 or before.std() == 0:
        return spread, 0.0
    return spread, float(np.corrcoef(before, after)[0, 1])


def _distances(values: FloatArray) -> FloatArray:
    """Of all pairs."""
    squares = (values**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * values @ values.T
    return np.asarray(np.sqrt(np.maximum(apart[np.triu_indices(len(values), 1)], 0)))


def steered(said: npt.NDArray[Any], labels: npt.NDArray[Any]) -> dict[str, Any]:
    """How a pilot's steering on pictures fits their labels, (N,) in [-1, 1] each.

    Returns:
        "mae", "corr", "r2" (see `compare`), and {"left", "straight", "right": a `Side`'s values}.
    """
    found: dict[str, Any] = {**compare(said, labels)}
    sides = dict(zip(SIDES, (labels < -TURN, np.abs(labels) <= TURN, labels > TURN), strict=True))
    for name, rows in sides.items():
        if not rows.any():
            found[name] = None
            continue
        here, true = said[rows], labels[rows]
        lost = np.abs(here) > TURN if name == "straight" else here * np.sign(true) < np.abs(true) / 2
        found[name] = asdict(
            Side(int(rows.sum()), float(true.mean()), float(here.mean()), float(lost.mean()))
        )
    return found
