"""The classifier that trains itself: its gradients and its optimiser are written out, so they are checked."""

import numpy as np
import pytest

from dingocar.adapt import methods
from tests.adapt.slopes import slopes
from tests.adapt.test_losses import domain_of, features, sigmoid


@pytest.fixture
def batch():
    source, target = features(width=5)
    return np.float32(np.concatenate([source, target])), np.float32(domain_of(source, target))


def critic(steps=1, **settings):
    import keras

    from dingocar.adapt._critic import Critic

    keras.utils.set_random_seed(1)
    made = Critic(7, steps, 1e-2, **settings)
    made.build((None, 5))
    return made


def values(variables):
    return [np.asarray(variable) for variable in variables]


def cross_entropy(x, is_sim, *weights):
    """Computed by Keras' own layers' functions."""
    import keras
    from keras import ops

    kernel_1, bias_1, kernel_2, bias_2 = weights
    said = ops.matmul(ops.relu(ops.matmul(x, kernel_1) + bias_1), kernel_2) + bias_2
    return ops.mean(keras.losses.binary_crossentropy(is_sim[:, None], said, from_logits=True))


def test_its_gradients_are_the_backends(batch):
    from dingocar.adapt._critic import _gradients

    weights = values(critic().weights[:4])
    weights[1] += 0.3  # else the biases are 0
    loss, mine = _gradients(*batch, weights)
    assert float(loss) == pytest.approx(float(cross_entropy(*batch, *weights)), rel=1e-5)
    theirs = slopes(lambda *w: cross_entropy(*batch, *w), *weights)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(one), other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 3])
def test_it_learns_as_kerass_adam_does(batch, steps):
    import keras

    mine = critic(steps)
    theirs = [keras.Variable(value) for value in values(mine.weights[:4])]
    adam = keras.optimizers.AdamW(1e-2, weight_decay=0.01)
    adam.build(theirs)
    for _ in range(4):
        told = mine.learn(*batch)
        for _ in range(steps):
            wanted = float(cross_entropy(*batch, *theirs))
            adam.apply(slopes(lambda *w: cross_entropy(*batch, *w), *values(theirs)), theirs)
        assert float(told) == pytest.approx(wanted, rel=1e-4)  # that of the last step
    for one, other in zip(values(mine.weights[:4]), values(theirs), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert float(mine.weights[-1]) == 4 * steps


def test_it_comes_to_know_the_domains_and_says_so(batch):
    made = critic(100)
    logits = np.asarray(made(batch[0]))
    for _ in range(3):
        made.learn(*batch)
    said = sigmoid(np.asarray(made(batch[0])))
    assert (said.round() == batch[1]).all() and not (sigmoid(logits).round() == batch[1]).all()
    method = methods.load("confusion").from_settings({"form": "mlp", "normalise": False})
    both = method.said_sim(batch[0][:20], batch[0][20:], {"is_sim": made})
    np.testing.assert_allclose(np.asarray(both), said, atol=1e-6)


def test_no_optimiser_but_its_own_ever_sees_its_weights():
    made = critic()
    assert made.trainable_variables == []
    assert len(made.weights) == 13  # four weights, two moments of each, the count
