"""TensorFlow and JAX calculate the same losses, and train every translator that learns."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from tests.translate.backends import everything
from tests.translate.small import learners

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each backend says; the other one in a process of its own, meanwhile."""
    path = tmp_path_factory.mktemp("jax") / "found.json"
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    env = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": quick}
    other = subprocess.Popen([sys.executable, "-m", "tests.translate.backends", str(path)], env=env)
    try:
        ours = everything()
        assert other.wait(timeout=300) == 0
    finally:
        other.kill()
        other.wait()
    return ours, json.loads(path.read_text())


@pytest.mark.parametrize("name", learners())
def test_the_losses_are_the_same(found, name):
    ours, theirs = (each[name] for each in found)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-4, abs=1e-4)
    assert ours[1] == pytest.approx(theirs[1], rel=0.05, abs=1e-3)
    assert ours[0] != ours[1] and all(abs(value) > 1e-4 for value in ours[0].values())
