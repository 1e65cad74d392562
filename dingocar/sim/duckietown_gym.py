"""gym-duckietown as a world of ours: the same pictures, commands and signs; needs the duckietown extra.

It runs in a process of its own: two in one process would share a drawing context, and Mesa, which it draws
with, and TensorFlow do not go together: a segmentation fault, whichever comes first. Nothing of it is in
this repository: its code, maps and textures come with its own packages, under its own terms of use.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar import errors
from dingocar.errors import HardwareError
from dingocar.sim.duckiebot import FULL_ANGLE, WHEEL_PER_ANGLE, WHEEL_PER_VELOCITY, commands
from dingocar.sim.duckietown_gym_state import DuckietownState

#: Making the world takes seconds, on a busy machine many; a step hundredths of one.
START_TIMEOUT_S, ANSWER_TIMEOUT_S, END_TIMEOUT_S = 180.0, 60.0, 5.0


class DuckietownGym:
    """One car in gym-duckietown, which runs in a process of its own.

    Args:
        map_name: one of its maps, e.g. `loop_empty`.
        seed: draws starts and randomisation.
        domain_rand: its own randomisation of light, colours and camera in each episode.
        image_shape: (height, width) of a picture; drawn in 480 x 640 and averaged down.
        distortion: with the real camera's distortion.
        rate_hz: steps per second of the world: 30 is its own default.
        accept_start_angle_deg: largest angle to the lane at a start.
        start_within_m: largest distance from the lane's centre at a start; None: anywhere on the tile.
        draw: False: pictures are black, and a step takes a tenth of the time; for drivers that see none.

    Attributes:
        state: after the last step or reset.
        tiles: the map's tiles as rows of `kind/orientation`, the top row first.
        tile_size_m: side of a tile.
        road: (column, row) of every tile that can be driven on.

    Raises:
        MissingExtraError: gym-duckietown is not installed.
        UsageError: it cannot draw here.
        UnknownNameError: no such map.
        HardwareError: its process failed, has ended, or does not answer.
    """

    def __init__(
        self,
        map_name: str = "loop_empty",
        seed: int = 0,
        domain_rand: bool = False,
        image_shape: tuple[int, int] = (120, 160),
        distortion: bool = True,
        rate_hz: float = 30,
        accept_start_angle_deg: float = 4,
        start_within_m: float | None = None,
        draw: bool = True,
    ) -> None:
        self.map_name, self.dt_s, self.domain_rand = map_name, 1 / rate_hz, domain_rand
        self.image_shape, self.start_within_m = image_shape, start_within_m
        ours, theirs = socket.socketpair()
        with theirs:
            path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "dingocar.sim.duckietown_gym_process"),
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # stdout is for results
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for this process, which then ends that one
            )
        self._connection = Connection(ours.detach())
        asked = (map_name, seed, domain_rand, image_shape, distortion, rate_hz)
        try:
            self.state: DuckietownState
            self.state, self.tiles, self.tile_size_m, self.road = self._ask(
                "", *asked, accept_start_angle_deg, start_within_m, draw, timeout_s=START_TIMEOUT_S
            )
        except BaseException:
            self.close()
            raise

    def reset(self, seed: int | None = None) -> DuckietownState:
        """Puts the car to a new start.

        Args:
            seed: the same seed gives the same start, appearance and picture, whatever was before; None:
                the next ones.

        Raises:
            UsageError: no start is near enough to the lane's centre.
            HardwareError: the process has ended or does not answer.
        """
        self.state = self._ask("reset", seed)
        return self.state

    def step_wheels(self, left: float, right: float) -> DuckietownState:
        """Drives one step under wheel commands, each cut to [-1, 1].

        Raises:
            HardwareError: the process has ended or does not answer.
        """
        self.state = self._ask("step_wheels", left, right)
        return self.state

    def step(self, steering: float, throttle: float) -> DuckietownState:
        """Drives one step under our commands, each in [-1, 1], +1 is right and full ahead.

        Raises:
            HardwareError: the process has ended or does not answer.
        """
        self.state = self._ask("step", steering, throttle)
        return self.state

    def lines(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Where the picture of the state shows the tiles' lines: {"white", "yellow": bool (H, W)}.

        As the package takes them out of its textures. The objects that stand about hide none.

        Raises:
            HardwareError: the process has ended or does not answer.
        """
        found: dict[str, npt.NDArray[np.bool_]] = self._ask("lines")
        return found

    def sine_to_lane(self, ahead_m: float) -> float | None:
        """The sine of the angle, to the right, from the car's heading to a point of the lane's centre.

        Args:
            ahead_m: the point is the lane's nearest to one so far along the lane's tangent beside the car;
                where that is off the road, half as far, and so on.

        Returns:
            In [-1, 1]; None off the road.
        """
        sine: float | None = self._ask("sine_to_lane", ahead_m)
        return sine

    def close(self) -> None:
        """Ends the process. May be called again."""
        self._connection.close()  # at which it ends
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> DuckietownGym:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, name: str, *arguments: Any, timeout_s: float = ANSWER_TIMEOUT_S) -> Any:
        try:
            self._connection.send((name, arguments))
            if not self._connection.poll(timeout_s):
                self.close()  # a late answer would be taken for the next question's
                raise HardwareError(f"gym-duckietown has not answered for {timeout_s:.0f} s; start again")
            kind, *answer = self._connection.recv()
        except (EOFError, OSError):
            self.close()
            code = self._process.returncode
            raise HardwareError(
                f"gym-duckietown's process has ended (exit code {code}); start again"
            ) from None
        if kind == "refused":
            error = Exception.__new__(getattr(errors, answer[0]), answer[1])
            raise error
        if kind == "failed":
            raise HardwareError(f"gym-duckietown failed: {answer[0]}")
        return answer[0]


class DuckietownExpert:
    """The imitation baseline's expert in gym-duckietown: turns towards a point of the lane ahead of it.

    As `dingocar.sim.duckiebot.PurePursuit`, but it knows the road as gym-duckietown does: the point is the
    lane's nearest to one `look_ahead_m` along the tangent of the lane beside the car.

    Args:
        gym: the world.
        velocity: in their units; the car drives 0.7 m/s per unit.
        look_ahead_m: how far ahead the point is; off the road nearer ones are taken.
        gain: their angle per sine of the angle to the point.
    """

    def __init__(
        self, gym: DuckietownGym, velocity: float = 0.3, look_ahead_m: float = 0.3, gain: float = FULL_ANGLE
    ) -> None:
        self.gym, self.velocity, self.look_ahead_m, self.gain = gym, velocity, look_ahead_m, gain

    def act(self, state: DuckietownState | None = None) -> tuple[float, float]:
        """The command for where the car is now: (steering, throttle), each in [-1, 1], such that no wheel is
        asked for more than it can; (0, 0) off the road."""
        sine = self.gym.sine_to_lane(self.look_ahead_m)
        if sine is None:
            return 0.0, 0.0
        straight, turn = self.velocity * WHEEL_PER_VELOCITY, self.gain * sine * WHEEL_PER_ANGLE
        left, right = np.clip([straight + turn, straight - turn], -1.0, 1.0)
        steering, throttle = commands(left, right)
        return float(steering), float(throttle)
