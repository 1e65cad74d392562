"""The simulator: tracks, cars, cameras, looks and a driver, in numpy and Pillow alone."""

from dingocar.sim.appearance import Appearance, Chart
from dingocar.sim.camera import Camera
from dingocar.sim.demonstrate import Frame, drive_expert
from dingocar.sim.dynamics import Dynamics
from dingocar.sim.expert import Expert
from dingocar.sim.noise import Noise
from dingocar.sim.track import Track, load_track
from dingocar.sim.world import State, World

__all__ = [
    "Appearance",
    "Camera",
    "Chart",
    "Dynamics",
    "Expert",
    "Frame",
    "Noise",
    "State",
    "Track",
    "World",
    "drive_expert",
    "load_track",
]
