"""TensorFlow and JAX calculate the same losses, and train with every method."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.adapt.backends import PILOTS, everything, variants

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each backend says, {backend: everything}; the other one in a process of its own, meanwhile."""
    path = tmp_path_factory.mktemp("jax") / "found.json"
    # What is compiled runs three times: no need to optimise it.
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    env = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": quick}
    other = subprocess.Popen([sys.executable, "-m", "tests.adapt.backends", str(path)], env=env)
    try:
        ours = everything()
        assert other.wait(timeout=300) == 0
    finally:
        other.kill()
        other.wait()
    return {"tensorflow": ours, "jax": json.loads(path.read_text())}


@pytest.mark.parametrize("name", variants())
def test_the_first_losses_are_the_same(found, name):
    for pilot in PILOTS:
        ours, theirs = (each[pilot][name] for each in found.values())
        assert ours.keys() == theirs.keys()
        for loss, value in ours.items():
            assert theirs[loss] == pytest.approx(value, rel=1e-4, abs=1e-4), (pilot, loss)


@pytest.mark.parametrize("name", variants())
def test_some_steps_of_training_are_the_same(found, name):
    ours, theirs = (each["training"][name] for each in found.values())
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys() and np.isfinite(list(one.values())).all()
        for loss, value in one.items():
            # Adam's first steps are as long for a tiny gradient as for a large one: rounding shows.
            assert other[loss] == pytest.approx(value, rel=0.05, abs=1e-3), loss


def test_the_losses_are_not_nothing(found):
    for pilot in PILOTS:
        for name, losses in found["tensorflow"][pilot].items():
            assert all(abs(value) > 1e-4 for value in losses.values()), (pilot, name, losses)
