"""A small network in numpy, with its gradient written by hand, and Adam.

The networks of active randomisation are tiny and there are ten of them, each asked about five points at a
time: in Keras the calls would cost far more than the arithmetic. One flat vector of weights for each is also
just what Stein's kernel compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mlp:
    """The shape of a network: tanh in the hidden layers, nothing behind the last one.

    Attributes:
        sizes: width of the input, of each hidden layer and of the output.
    """

    sizes: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many weights it has."""
        return sum((below + 1) * above for below, above in pairwise(self.sizes))

    def init(self, rng: np.random.Generator, last_gain: float = 1.0) -> FloatArray:
        """Draws weights, (size,): standard deviation 1 / sqrt(inputs), the last layer's times `last_gain`."""
        parts = []
        for layer, (below, above) in enumerate(pairwise(self.sizes)):
            gain = last_gain if layer == len(self.sizes) - 2 else 1.0
            parts += [rng.normal(0.0, gain / np.sqrt(below), below * above), np.zeros(above)]
        return np.concatenate(parts)

    def forward(self, theta: FloatArray, x: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        """Returns the outputs (b, out) for inputs (b, in), and each layer's inputs for `backward`."""
        inputs, layers = [], self._layers(theta)
        for layer, (weights, bias) in enumerate(layers):
            inputs.append(x)
            x = x @ weights + bias
            if layer < len(layers) - 1:
                x = np.tanh(x)
        return x, inputs

    def backward(self, theta: FloatArray, inputs: list[FloatArray], d_out: FloatArray) -> FloatArray:
        """The gradient of sum(outputs * d_out) by the weights, (size,); `inputs` come from `forward`."""
        parts: list[FloatArray] = []
        for layer, (weights, _) in reversed(list(enumerate(self._layers(theta)))):
            x = inputs[layer]
            parts[:0] = [(x.T @ d_out).ravel(), d_out.sum(axis=0)]
            if layer:
                d_out = (d_out @ weights.T) * (1 - x**2)
        return np.concatenate(parts)

    def _layers(self, theta: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        layers, at = [], 0
        for below, above in pairwise(self.sizes):
            weights = theta[at : at + below * above].reshape(below, above)
            at += below * above
            layers.append((weights, theta[at : at + above]))
            at += above
        return layers


class Adam:
    """Kingma and Ba 2015 (arXiv:1412.6980), for weights of any one shape."""

    def __init__(self, shape: tuple[int, ...], learning_rate: float) -> None:
        self._mean, self._square, self._steps = np.zeros(shape), np.zeros(shape), 0
        self._learning_rate = learning_rate

    def step(self, gradient: FloatArray) -> FloatArray:
        """What to add to the weights to go up along `gradient`, of the same shape."""
        self._steps += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        mean = self._mean / (1 - 0.9**self._steps)
        square = self._square / (1 - 0.999**self._steps)
        return self._learning_rate * mean / (np.sqrt(square) + 1e-8)
