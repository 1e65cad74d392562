"""What the commands share."""

import contextlib
import signal

import keras
import pytest

from dingocar.cli._common import import_keras_quietly


def test_a_stop_signal_while_keras_loads_is_not_lost(monkeypatch):
    """An exception in a callback of a backend's C++ has nowhere to go."""

    def in_a_callback(size):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(keras.ops, "zeros", in_a_callback)
    with pytest.raises(KeyboardInterrupt):
        import_keras_quietly()
