"""What reaches the simulator's car."""

import math
from types import SimpleNamespace

import pytest

from dingocar.parts.actuators.simulated import SimulatedActuator


@pytest.mark.parametrize(
    ("steering", "throttle", "command"),
    [
        (0.3, -0.4, (0.3, -0.4)),
        (2, -2, (1, -1)),
        (None, 0.5, (0, 0)),
        (0.5, math.nan, (0, 0)),
        (math.inf, 0.5, (0, 0)),
    ],
)
def test_commands(steering, throttle, command):
    simulator = SimpleNamespace(command=(0.1, 0.1))
    SimulatedActuator(simulator).run(steering, throttle)
    assert simulator.command == command


def test_neutral():
    simulator = SimpleNamespace(command=(0.1, 0.1))
    SimulatedActuator(simulator).neutral()
    assert simulator.command == (0, 0)
