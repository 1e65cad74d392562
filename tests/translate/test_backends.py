"""TensorFlow and JAX calculate the same losses, and train every translator that learns."""

import importlib.util

import pytest

from tests.translate import backends
from tests.translate.small import learners
from tests.two_backends import on_both

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each backend says."""
    return on_both(backends, tmp_path_factory.mktemp("jax") / "found.json")


@pytest.mark.parametrize("name", learners())
def test_the_losses_are_the_same(found, name):
    ours, theirs = (each[name] for each in found)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-4, abs=1e-4)
    assert ours[1] == pytest.approx(theirs[1], rel=0.05, abs=1e-3)
    assert ours[0] != ours[1] and all(abs(value) > 1e-4 for value in ours[0].values())
