"""Noise on the driven action, so that recordings show how to come back to the lane."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.sim.track import FloatArray
from dingocar.sim.world import State


class Noise:
    """Pulls at the steering in bursts, and lets go before the car leaves the track.

    The noisy action is driven, the expert's own one is the label: so a pilot learns what to do
    where the expert alone would never be (noise injection as in DART, Laskey et al. 2017,
    arXiv:1703.09327). Between bursts the steering trembles a little: an Ornstein-Uhlenbeck process.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        n: int = 1,
        dt_s: float = 0.05,
        bursts_hz: float = 0.5,
        burst_s: tuple[float, float] = (0.2, 0.7),
        strength: tuple[float, float] = (0.3, 0.9),
        limit: float = 0.3,
        tremble: float = 0.05,
    ) -> None:
        """Prepares the noise of n cars.

        Args:
            rng: where the chance comes from.
            n: number of cars.
            dt_s: length of a step.
            bursts_hz: how many bursts begin in a second of quiet driving, on average.
            burst_s: shortest and longest burst.
            strength: least and greatest steering of a burst, to either side.
            limit: a burst ends where the car will soon be this part of the half width off the
                centre, away from it.
            tremble: standard deviation of the trembling.

        Raises:
            UsageError: a range is empty or a value negative.
        """
        if not (0 < burst_s[0] <= burst_s[1] and 0 <= strength[0] <= strength[1]):
            raise UsageError("Noise: burst_s and strength must be (least, greatest), not negative")
        if min(bursts_hz, limit, tremble) < 0 or dt_s <= 0:
            raise UsageError("Noise: bursts_hz, limit, tremble and dt_s must not be negative")
        self._rng, self._dt_s = rng, dt_s
        self._chance = 1 - math.exp(-bursts_hz * dt_s)
        self._burst_s, self._strength, self._limit = burst_s, strength, limit
        self._left_s, self._pull = np.zeros(n), np.zeros(n)
        self._tremble, self._wander = tremble, np.zeros(n)

    @classmethod
    def of_level(cls, level: float, rng: np.random.Generator, n: int = 1, dt_s: float = 0.05) -> Noise:
        """Noise of one number: 0 none, 0.5 the defaults, 1 twice as strong.

        Raises:
            UsageError: the level is negative or no number.
        """
        if not 0 <= level < math.inf:
            raise UsageError(f"Noise: level must not be negative, got {level}")
        return cls(rng, n, dt_s, strength=(0.6 * level, 1.8 * level), tremble=0.1 * level)

    def __call__(
        self, state: State, steering: npt.ArrayLike, throttle: npt.ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """The action to drive instead of this clean one: steering and throttle, (n,) each."""
        rng, n = self._rng, len(self._pull)
        # The same numbers are drawn at every step, so that one car's bursts do not shift another's.
        draw, length, size = (
            rng.random(n),
            rng.uniform(*self._burst_s, n),
            rng.uniform(*self._strength, n),
        )
        side = rng.choice([-1.0, 1.0], n)
        begins = (self._left_s <= 0) & (draw < self._chance)
        self._left_s = np.where(begins, length, self._left_s - self._dt_s)
        self._pull = np.where(begins, side * size, self._pull)
        # Where the car will be when letting go now begins to act.
        soon = state.cte_m - 0.3 * state.speed_mps * np.sin(state.heading_error_rad)
        outwards = soon * self._pull > 0
        self._left_s[(np.abs(soon) > self._limit * state.half_width_m) & outwards] = 0.0
        decay = math.exp(-self._dt_s / 0.2)
        self._wander = decay * self._wander + math.sqrt(1 - decay**2) * rng.normal(0, self._tremble, n)
        noisy = np.asarray(steering, float) + self._wander + np.where(self._left_s > 0, self._pull, 0.0)
        return np.clip(noisy, -1.0, 1.0), np.broadcast_to(np.asarray(throttle, float), n).copy()
