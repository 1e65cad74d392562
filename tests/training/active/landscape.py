"""An environment without a car, where it is known what is hard."""

import numpy as np

from dingocar.training.active import Rollouts


class Landscape:
    """Episodes fail where the first axes are large; `hardness` is the chance of it."""

    most_frames = 80

    def __init__(self, d=8, axes=2, noise=0.15, flat=False):
        self.d, self._axes, self._noise, self._flat = d, axes, noise, flat
        self.driven = []

    def hardness(self, points):
        if self._flat:
            return np.zeros(len(points))
        z = (points[:, : self._axes].mean(axis=1) - 0.5) * np.sqrt(12 * self._axes)
        return 1 / (1 + np.exp(-2.2 * (z - 1)))

    def drive(self, points, rng):
        self.driven.append(points)
        hard = self.hardness(points)
        failure = np.clip(hard + rng.normal(0, self._noise, len(points)), 0, 1)
        windows = tuple(rng.normal(3 * value, 1, (20, 9)) for value in hard)
        return Rollouts(failure, rng.random(len(points)) < hard, failure, windows, 80 * len(points))

    def reference(self, n, rng):
        windows = tuple(rng.normal(0, 1, (20, 9)) for _ in range(n))
        return Rollouts(np.zeros(n), np.zeros(n, bool), np.zeros(n), windows, 80 * n)
