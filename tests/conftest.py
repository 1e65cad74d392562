"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest

# Before the first import of a backend: no start-up remarks, no GPU, the same figures everywhere.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")

# A shell that runs the tests in the background ignores these, and every car that is started here would too.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def shared_data():
    """Real tubs and tracks, which are not part of the project."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.fixture(autouse=True)
def no_car_folder():
    """The registries forget the car folder of the test before."""
    from dingocar.registry import use_car_folder

    yield
    use_car_folder(None)


@pytest.fixture
def eagerly():
    """Few steps of training are done sooner than compiled."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
