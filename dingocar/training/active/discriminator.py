"""The discriminator: was this moment driven in the reference environment or in a randomised one?

Mehta et al. 2019 (arXiv:1904.04762, section 4.1): where it is sure of "randomised", the driver behaves as
it never does at home, and the particles are rewarded for having found that place.
"""

from __future__ import annotations

import numpy as np

from dingocar.training.active.mlp import Adam, FloatArray, Mlp

#: No window is taken to be more certain than this: one sure moment must not outweigh an episode.
LEAST_P = 0.01


class Discriminator:
    """A network on windows (state, action, next state); its output is the chance of "randomised", label 1."""

    def __init__(
        self,
        width: int,
        rng: np.random.Generator,
        hidden: tuple[int, ...] = (128, 128),
        learning_rate: float = 3e-3,
        batch_size: int = 320,
    ) -> None:
        """Draws the weights; hidden layers, learning rate and batch size are the paper's.

        Args:
            width: numbers in a window.
            rng: of weights and batches.
            hidden: widths of the hidden layers.
            learning_rate: Adam's.
            batch_size: windows in a step, half of them of either kind.
        """
        self._rng, self._half = rng, max(1, batch_size // 2)
        self._net = Mlp((width, *hidden, 1))
        self._theta = self._net.init(rng)
        self._ascent = Adam(self._theta.shape, learning_rate)
        self._mean, self._deviation = np.zeros(width), np.ones(width)
        self._scaled = False

    def fit(self, reference: FloatArray, randomised: FloatArray, steps: int = 20) -> None:
        """Learns to tell windows apart, (m, width) each; the scale stays that of the first reference."""
        if not self._scaled:
            self._mean, self._deviation = reference.mean(axis=0), reference.std(axis=0) + 1e-3
            self._scaled = True
        for _ in range(steps):
            rows = [part[self._rng.integers(len(part), size=self._half)] for part in (reference, randomised)]
            windows = np.concatenate(rows)
            labels = np.repeat([0.0, 1.0], self._half)[:, None]
            logits, inputs = self._net.forward(self._theta, self._normal(windows))
            gradient = (labels - _sigmoid(logits)) / len(labels)  # of the log likelihood
            self._theta = self._theta + self._ascent.step(self._net.backward(self._theta, inputs, gradient))

    def probability(self, windows: FloatArray) -> FloatArray:
        """The chance that each of (m, width) windows is of a randomised environment, (m,)."""
        return _sigmoid(self._net.forward(self._theta, self._normal(windows))[0])[:, 0]

    def reward(self, windows: FloatArray) -> FloatArray:
        """log D - log 0.5 of each window, (m,): positive where "randomised" is the better guess."""
        return np.asarray(np.log(np.clip(self.probability(windows), LEAST_P, 1.0)) - np.log(0.5))

    def _normal(self, windows: FloatArray) -> FloatArray:
        # Far outside the reference's range one unit more says nothing new.
        return np.clip((windows - self._mean) / self._deviation, -10, 10)


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))
