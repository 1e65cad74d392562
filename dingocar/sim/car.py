"""Which car belongs on a track: its camera, its motors, and the scripted driver that knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dingocar.sim.camera import Camera
from dingocar.sim.duckiebot import Duckiebot
from dingocar.sim.duckiebot_camera import DuckiebotCamera
from dingocar.sim.dynamics import CarDynamics, Dynamics
from dingocar.sim.expert import Expert, ScriptedDriver
from dingocar.sim.tiles import TileTrack
from dingocar.sim.track import Track


@dataclass(frozen=True)
class Car:
    """A kind of car.

    Attributes:
        camera: makes its camera for pictures of (height, width).
        dynamics: how it moves.
        expert: makes the driver that knows it and a track.
    """

    camera: Callable[[tuple[int, int]], Camera]
    dynamics: CarDynamics
    expert: Callable[[Track], ScriptedDriver]


def car_for(track: Track) -> Car:
    """The car that a track is made for: a Duckiebot in a Duckietown, elsewhere one of scale 1:10.

    >>> from dingocar.sim import load_track
    >>> car_for(load_track("oval")).dynamics == Dynamics()
    True
    """
    if isinstance(track, TileTrack):
        bot = Duckiebot()
        return Car(lambda shape: DuckiebotCamera(shape=shape), bot, bot.expert)
    return Car(Camera.of_shape, Dynamics(), Expert)
