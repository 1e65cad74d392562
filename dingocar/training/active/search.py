"""What chooses the points to try next: Stein variational policy gradient, cross-entropy, and controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from dingocar.errors import UnknownNameError
from dingocar.training.active.mlp import FloatArray
from dingocar.training.active.svpg import Svpg, SvpgSettings


class Search(Protocol):
    """Proposes points of the unit cube and learns from their rewards."""

    def propose(self) -> FloatArray:
        """The next points, (n, d) in [0, 1]."""

    def learn(self, rewards: FloatArray) -> None:
        """Takes the rewards, (n,), of the points last proposed."""


class Uniform:
    """Draws evenly from the cube and learns nothing: what the others are compared with."""

    def __init__(self, d: int, rng: np.random.Generator, batch: int = 50) -> None:
        self._shape, self._rng = (batch, d), rng

    def propose(self) -> FloatArray:
        """Points drawn evenly, (batch, d)."""
        return self._rng.random(self._shape)

    def learn(self, rewards: FloatArray) -> None:
        """Nothing."""


class Walk(Svpg):
    """The particles' walk without learning: what of a search's success is not owed to the reward."""

    def learn(self, rewards: FloatArray) -> None:
        """Nothing."""


class CrossEntropy:
    """Draws around the best points so far (Rubinstein 1999, "The Cross-Entropy Method", with a mixture).

    The best points are kept as they are, not as one normal distribution, so that there can be several hard
    regions. A share of the points is drawn evenly, as a guard against having looked in one place only.
    """

    def __init__(
        self,
        d: int,
        rng: np.random.Generator,
        batch: int = 50,
        elite: float = 0.2,
        width: float = 0.15,
        fresh: float = 0.2,
    ) -> None:
        """Begins with an empty archive.

        Args:
            d: number of axes.
            rng: of the draws.
            batch: points at a time.
            elite: share of the archive that is drawn from.
            width: standard deviation of the draw around one of them.
            fresh: share of the points that is drawn evenly.
        """
        self._shape, self._rng = (batch, d), rng
        self._elite, self._width, self._fresh = elite, width, fresh
        self._points, self._rewards = np.zeros((0, d)), np.zeros(0)
        self._asked = np.zeros((0, d))

    def propose(self) -> FloatArray:
        """Points around the best ones, (batch, d); the first batch is drawn evenly."""
        n, _ = self._shape
        even = self._rng.random(self._shape)
        if len(self._points):
            best = np.argsort(self._rewards)[-max(1, round(self._elite * len(self._points))) :]
            centres = self._points[self._rng.choice(best, n)]
            near = np.clip(centres + self._rng.normal(0, self._width, self._shape), 0, 1)
            even = np.where((self._rng.random(n) < self._fresh)[:, None], even, near)
        self._asked = even
        return even

    def learn(self, rewards: FloatArray) -> None:
        """Adds the points to the archive."""
        self._points = np.concatenate([self._points, self._asked])
        self._rewards = np.concatenate([self._rewards, rewards])


def make_search(name: str, d: int, rng: np.random.Generator, settings: SvpgSettings) -> Search:
    """Makes a search by its name; all propose equally many points at a time.

    Raises:
        UnknownNameError: there is none of that name.
    """
    batch = settings.particles * settings.rollout_length
    kinds: dict[str, Callable[[], Search]] = {
        "svpg": lambda: Svpg(d, rng, settings),
        "cem": lambda: CrossEntropy(d, rng, batch),
        "walk": lambda: Walk(d, rng, settings),
        "uniform": lambda: Uniform(d, rng, batch),
    }
    if name not in kinds:
        raise UnknownNameError("search", name, kinds)
    return kinds[name]()
