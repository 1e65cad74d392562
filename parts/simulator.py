"""The built-in simulator in the place of the camera; its car is moved by the simulated actuator."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.sim import State, World, car_for, load_track


class Simulator:
    """A simulated car: outputs `cam/image_array`, `sim/state`, `laps`, `off_tracks`.

    It does what `command` says, which `dingocar.parts.actuators.simulated` sets. One loop of the vehicle is
    one step of the world, so the figures do not depend on the computer's speed. A car that has left the track
    by more than its half width is put back on the centre line, at rest.

    Args:
        track: see `dingocar.sim.load_track`.
        look: how the world is painted.
        image_shape: (height, width) of a picture.
        rate_hz: rate of the loop: a step is 1 / rate_hz seconds of the world.
        seed: of everything random in the world.
        randomisation: what the looks, the camera and the car of this drive are drawn from.

    Attributes:
        command: (steering, throttle), each in [-1, 1]: what the motors do until told otherwise.
        expert: the scripted driver that knows this car and track.
    """

    def __init__(
        self,
        track: str = "circuit",
        look: str = "flat",
        image_shape: tuple[int, int] = (120, 160),
        rate_hz: float = 20,
        seed: int = 0,
        randomisation: str = "none",
    ) -> None:
        where = load_track(track)
        car = car_for(where)
        self.world = World(
            where, look, 1, car.camera(image_shape), car.dynamics, 1 / rate_hz, seed, randomisation
        )
        self.expert = car.expert(where)
        self.state: State = self.world.reset(seed)
        self.world.render()  # paints the world now: it takes longer than a loop may
        self.command = (0.0, 0.0)
        self.laps = self.off_tracks = 0
        self._before_m = 0.0  # driven before the car was last put back
        self._was_off = False

    @property
    def metadata(self) -> dict[str, Any]:
        """What a tub recorded here should say of its origin."""
        world = self.world
        words: dict[str, Any] = {"domain": "sim", "track": world.track.name, "look": world.look}
        if world.randomisation.varies:
            words |= {"randomisation": world.randomisation.name, "episode": world.episodes[0].to_json()}
        return words

    def run(self) -> tuple[npt.NDArray[np.uint8], State, int, int]:
        """Drives for one step; returns the picture, uint8 (H, W, 3), the state after it, the laps
        driven, and how often the car has left the track."""
        self.state = self.world.step(*self.command)
        off = bool(self.state.off_track[0])
        self.off_tracks += off and not self._was_off
        self._was_off = off
        if abs(self.state.cte_m[0]) > 2 * self.state.half_width_m[0]:
            self._before_m += float(self.state.progress_m[0])
            self.state = self.world.reset(start_s_m=self.state.s_m, episodes=self.world.episodes)
            self._was_off = False
        laps = int((self._before_m + float(self.state.progress_m[0])) / self.world.track.length_m + 1e-9)
        self.laps = max(self.laps, laps)
        return self.state.image[0], self.state, self.laps, self.off_tracks
