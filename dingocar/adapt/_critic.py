"""A domain classifier that trains itself while it is applied, several steps for each of the pilot's.

It is its own optimiser, so that it works in any backend's plain `fit`: its gradients are written out, and its
weights change as a batch normalisation's moments do. The pilot's optimiser never sees them.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from dingocar.adapt._ops import cross_entropy

#: Adam's, as published (Kingma and Ba 2015, arXiv:1412.6980).
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7


class Critic(keras.layers.Layer):  # type: ignore[misc]
    """Dense, ReLU, dense: a logit that is positive for simulated features.

    Args:
        hidden: units of the hidden layer.
        steps: of its training, for each batch.
        learning_rate: Adam's.
        decay: of the weights, per step, as a share of the learning rate (AdamW, arXiv:1711.05101).
    """

    def __init__(
        self, hidden: int, steps: int, learning_rate: float, decay: float = 0.01, **options: Any
    ) -> None:
        super().__init__(**options)
        self.hidden, self.steps, self.learning_rate, self.decay = hidden, steps, learning_rate, decay

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights, for features (B, F)."""
        width = int(input_shape[-1] or 0)
        shapes = ((width, self.hidden), (self.hidden,), (self.hidden, 1), (1,))
        names = ("kernel_1", "bias_1", "kernel_2", "bias_2")
        named = list(zip(shapes, names, strict=True))
        self._weights = [self._state(shape, name, len(shape) == 2) for shape, name in named]
        self._first = [self._state(shape, f"{name}_moment_1") for shape, name in named]
        self._second = [self._state(shape, f"{name}_moment_2") for shape, name in named]
        self._count = self._state((), "steps_done")

    def _state(self, shape: tuple[int, ...], name: str, drawn: bool = False) -> Any:
        start = "he_normal" if drawn else "zeros"
        return self.add_weight(shape=shape, initializer=start, trainable=False, name=name, dtype="float32")

    def call(self, x: Any) -> Any:
        """The logits, (B,), of features (B, F); gradients reach `x` alone."""
        return _logits(x, [ops.stop_gradient(ops.convert_to_tensor(w)) for w in self._weights])[0]

    def learn(self, x: Any, is_sim: Any) -> Any:
        """Takes its steps on features (B, F) with their domain (B,); returns its last cross-entropy."""
        x = ops.stop_gradient(x)
        weights, first, second = (
            [ops.convert_to_tensor(value) for value in values]
            for values in (self._weights, self._first, self._second)
        )
        count, loss = ops.convert_to_tensor(self._count), 0.0
        for _ in range(self.steps):
            count = count + 1.0
            loss, gradients = _gradients(x, is_sim, weights)
            rate = self.learning_rate * ops.sqrt(1 - _BETA_2**count) / (1 - _BETA_1**count)
            for i, gradient in enumerate(gradients):
                first[i] = _BETA_1 * first[i] + (1 - _BETA_1) * gradient
                second[i] = _BETA_2 * second[i] + (1 - _BETA_2) * ops.square(gradient)
                step = rate * first[i] / (ops.sqrt(second[i]) + _EPSILON)
                weights[i] = weights[i] - step - self.learning_rate * self.decay * weights[i]
        for variables, values in (
            (self._weights, weights),
            (self._first, first),
            (self._second, second),
            ([self._count], [count]),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return loss


def _logits(x: Any, weights: list[Any]) -> tuple[Any, Any]:
    """The logits (B,) and the hidden units (B, hidden)."""
    kernel_1, bias_1, kernel_2, bias_2 = weights
    hidden = ops.relu(ops.matmul(x, kernel_1) + bias_1)
    return (ops.matmul(hidden, kernel_2) + bias_2)[:, 0], hidden


def _gradients(x: Any, is_sim: Any, weights: list[Any]) -> tuple[Any, list[Any]]:
    """The cross-entropy and its gradients by the weights, in their order."""
    logits, hidden = _logits(x, weights)
    slope = ((ops.sigmoid(logits) - is_sim) / x.shape[0])[:, None]
    back = ops.matmul(slope, ops.transpose(weights[2])) * ops.cast(hidden > 0, "float32")
    return cross_entropy(logits, is_sim), [
        ops.matmul(ops.transpose(x), back),
        ops.sum(back, axis=0),
        ops.matmul(ops.transpose(hidden), slope),
        ops.sum(slope, axis=0),
    ]
