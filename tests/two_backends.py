"""What TensorFlow and JAX say to the same question."""

import json
import os
import subprocess
import sys


def on_both(module, path):
    """(what `module.everything` gives here, what it gives on JAX in a process of its own, meanwhile).

    The module, run as a program, writes it to the file that it is told.
    """
    # What is compiled runs a few times: no need to optimise it.
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    env = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": quick}
    other = subprocess.Popen([sys.executable, "-m", module.__name__, str(path)], env=env)
    try:
        ours = module.everything()
        assert other.wait(timeout=300) == 0
    finally:
        other.kill()
        other.wait()
    return ours, json.loads(path.read_text())
