"""TensorFlow and JAX calculate the same losses, and train with every method."""

import importlib.util

import numpy as np
import pytest

from tests.adapt import backends
from tests.adapt.backends import variants
from tests.two_backends import on_both

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each backend says, {backend: everything}."""
    ours, theirs = on_both(backends, tmp_path_factory.mktemp("jax") / "found.json")
    return {"tensorflow": ours, "jax": theirs}


@pytest.mark.parametrize("name", variants())
def test_the_first_losses_are_the_same(found, name):
    ours, theirs = (each["first"][name] for each in found.values())
    assert ours.keys() == theirs.keys()
    for loss, value in ours.items():
        assert theirs[loss] == pytest.approx(value, rel=1e-4, abs=1e-4), loss


@pytest.mark.parametrize("name", variants())
def test_some_steps_of_training_are_the_same(found, name):
    ours, theirs = (each["training"][name] for each in found.values())
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys() and np.isfinite(list(one.values())).all()
        for loss, value in one.items():
            # Adam's first steps are as long for a tiny gradient as for a large one: rounding shows.
            assert other[loss] == pytest.approx(value, rel=0.05, abs=1e-3), loss


def test_the_losses_are_not_nothing(found):
    for name, losses in found["tensorflow"]["first"].items():
        assert all(abs(value) > 1e-4 for value in losses.values()), (name, losses)
