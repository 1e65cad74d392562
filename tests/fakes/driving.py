"""A vehicle that drives, of the simplest parts."""

from dingocar.vehicle import Vehicle
from tests.fakes.actuator import RecordingActuator
from tests.fakes.clock import FakeClock


class Constant:
    def __init__(self, *values):
        self.values = values

    def run(self):
        return self.values if len(self.values) > 1 else self.values[0]


class Call:
    """Runs a function: `Call(f)` is the part, `f` does the work."""

    def __init__(self, function):
        self.function = function

    def run(self, *inputs):
        return self.function(*inputs)


def driving(log=None):
    """A vehicle whose actuator is told (0.3, 0.8) in every loop."""
    vehicle = Vehicle(clock=FakeClock())
    actuator = RecordingActuator(log)
    vehicle.add(Constant(0.3, 0.8), outputs=["steering", "throttle"])
    vehicle.add(actuator, inputs=["steering", "throttle"])
    return vehicle, actuator
