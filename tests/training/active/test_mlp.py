"""The small network: its gradient, and Adam's direction."""

import numpy as np
import pytest

from dingocar.training.active.mlp import Adam, Mlp


@pytest.mark.parametrize("sizes", [(3, 2), (3, 5, 2), (4, 6, 5, 1)])
def test_gradient_agrees_with_finite_differences(sizes):
    rng = np.random.default_rng(0)
    net = Mlp(sizes)
    theta, x = net.init(rng), rng.normal(size=(7, sizes[0]))
    theta += rng.normal(0, 0.1, theta.shape)  # biases too
    weight = rng.normal(size=(7, sizes[-1]))

    def value(theta):
        return float((net.forward(theta, x)[0] * weight).sum())

    gradient = net.backward(theta, net.forward(theta, x)[1], weight)
    eps = 1e-6
    differences = [
        (value(theta + eps * unit) - value(theta - eps * unit)) / (2 * eps) for unit in np.eye(net.size)
    ]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)


def test_adam_goes_uphill():
    at, adam = np.array([3.0, -2.0]), Adam((2,), 0.1)
    for _ in range(200):
        at = at + adam.step(-2 * at)  # of -|at|^2
    assert np.abs(at).max() < 0.1
