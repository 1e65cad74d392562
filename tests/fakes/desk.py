"""A car with a hub, and gamepads to plug in."""

from dingocar.parts.controllers import _evdev, gamepad
from dingocar.parts.controllers.gamepad import Gamepad
from dingocar.parts.controllers.hub import ControllerHub
from tests.fakes.clock import FakeClock
from tests.fakes.pad import FakePad

#: A stick's whole way.
FULL = 32767


class Desk:
    """A car with a hub, and pads to plug in."""

    def __init__(self, monkeypatch):
        self.clock = FakeClock()
        self.hub = ControllerHub(clock=self.clock)
        self.there: list[FakePad] = []
        self.made: list[FakePad] = []
        monkeypatch.setattr(_evdev, "device_paths", lambda: [pad.path for pad in self.there])
        monkeypatch.setattr(_evdev, "open_device", self.open)
        monkeypatch.setattr(_evdev.os, "access", lambda path, mode: True)
        monkeypatch.setattr(gamepad, "open_device", self.open)

    def open(self, path):
        for pad in self.there:
            if pad.path == path:
                return pad.opened()
        raise FileNotFoundError(2, "No such file or directory")

    def plug(self, *arguments, **options):
        self.made.append(FakePad(*arguments, **options))
        self.there.append(self.made[-1])
        return self.made[-1]

    def unplug(self, pad):
        self.there.remove(pad)
        pad.unplug()

    def gamepad(self, **options):
        return Gamepad(self.hub.source("pad"), clock=self.clock, **options)

    def connected(self, **options):
        """A connection, with the sticks at full range and hardly a dead zone unless told."""
        return self.gamepad(**{"max_throttle": 1.0, "deadzone": 0.01} | options).connect()

    def sticks(self):
        return self.hub.run()[:2]


def drive(desk, connection, **axes):
    """Moves axes and returns steering and throttle."""
    desk.there[0].move(**axes)
    assert connection.step(0)
    return desk.sticks()
