"""Which simulator goes by which name, and what a car needs of one."""

from __future__ import annotations

from typing import Any, Protocol

from dingocar.errors import UnknownNameError
from dingocar.images import Uint8Array
from dingocar.parts.simulator import Simulator
from dingocar.sim import State


class AnySimulator(Protocol):
    """A simulated car in the place of the camera.

    Attributes:
        command: (steering, throttle), each in [-1, 1]: what its motors do until told otherwise.
    """

    command: tuple[float, float]

    @property
    def metadata(self) -> dict[str, Any]:
        """What a tub recorded here should say of its origin."""

    def run(self) -> tuple[Uint8Array | None, State | None, int, int]:
        """The picture, uint8 (H, W, 3), the world's state where it is ours, laps, off-tracks."""


def open_simulator(
    name: str,
    image_shape: tuple[int, int],
    rate_hz: float,
    seed: int,
    place: str,
    look: str = "flat",
    randomisation: str = "none",
    address: tuple[str, int] = ("127.0.0.1", 9091),
) -> AnySimulator:
    """Opens a simulator.

    Args:
        name: dingocar, donkey or duckietown.
        image_shape: (height, width) of a picture.
        rate_hz: rate of the loop.
        seed: of all that is random in it (not donkey).
        place: the track, the scene or the map.
        look, randomisation: of our own simulator.
        address: host and port of the donkey simulator.

    Raises:
        UnknownNameError: there is no such simulator.
        HardwareError: it does not answer.
        MissingExtraError: its package is not installed.
    """
    if name == "dingocar":
        return Simulator(place, look, image_shape, rate_hz, seed, randomisation)
    if name == "donkey":
        from dingocar.parts.donkey_simulator import DonkeySimulator

        return DonkeySimulator(*address, place, image_shape, rate_hz)
    if name == "duckietown":
        from dingocar.parts.duckietown_simulator import DuckietownSimulator

        return DuckietownSimulator(place, image_shape, rate_hz, seed)
    raise UnknownNameError("simulator", name, ("dingocar", "donkey", "duckietown"))
