"""gym-duckietown in the place of the camera; its car is moved by the simulated actuator."""

from __future__ import annotations

from typing import Any

from dingocar.images import Uint8Array
from dingocar.sim.duckietown_gym import DuckietownGym


class DuckietownSimulator:
    """A Duckiebot in gym-duckietown: outputs `cam/image_array`, `sim/state` (None), `laps`, `off_tracks`.

    It does what `command` says. One loop of the vehicle is one step of the world. A car that has left the
    road, or hit something, is put to a new start.

    A lap is done when the car comes back to the tile that it started on and has been on every tile of the
    road since: on maps with crossings that may never be.

    Args:
        map_name: one of gym-duckietown's maps.
        image_shape: (height, width) of a picture.
        rate_hz: rate of the loop: a step is 1 / rate_hz seconds of the world.
        seed: of everything random in the world.
        domain_rand: with gym-duckietown's own randomisation.

    Attributes:
        command: (steering, throttle), each in [-1, 1]: what the motors do until told otherwise.

    Raises:
        MissingExtraError: gym-duckietown is not installed.
        UnknownNameError: no such map.
    """

    def __init__(
        self,
        map_name: str = "loop_empty",
        image_shape: tuple[int, int] = (120, 160),
        rate_hz: float = 20,
        seed: int = 0,
        domain_rand: bool = False,
    ) -> None:
        self.gym = DuckietownGym(map_name, seed, domain_rand, image_shape, rate_hz=rate_hz)
        self.command = (0.0, 0.0)
        self.laps = self.off_tracks = 0
        self._seed = seed
        self._begin()

    @property
    def metadata(self) -> dict[str, Any]:
        """What a tub recorded here says of its origin."""
        return {
            "domain": "sim",
            "world": "gym-duckietown",
            "track": self.gym.map_name,
            "domain_rand": self.gym.domain_rand,
            "seed": self._seed,
        }

    def run(self) -> tuple[Uint8Array, None, int, int]:
        """Drives for one step; returns the picture, uint8 (H, W, 3), None, the laps driven, and how often
        the car has left the road."""
        state = self.gym.step(*self.command)
        if state.done:
            self.off_tracks += 1
            self.gym.reset()
            self._begin()
            return self.gym.state.image, None, self.laps, self.off_tracks
        self._to_visit.discard(state.tile)
        if state.tile == self._start and not self._to_visit:
            self.laps += 1
            self._begin()
        return state.image, None, self.laps, self.off_tracks

    def shutdown(self) -> None:
        """Closes the world."""
        self.gym.close()

    def _begin(self) -> None:
        """A lap begins where the car is."""
        self._start = self.gym.state.tile
        self._to_visit = set(self.gym.road) - {self._start}
