"""The simulator: tracks, cars, cameras, looks and a driver, in numpy and Pillow alone."""

from dingocar.sim.appearance import Appearance
from dingocar.sim.camera import Camera
from dingocar.sim.car import Car, car_for
from dingocar.sim.chart import Chart
from dingocar.sim.demonstrate import Frame, drive_expert
from dingocar.sim.dynamics import Dynamics
from dingocar.sim.expert import Expert
from dingocar.sim.look import Look, Painting, load_look
from dingocar.sim.noise import Noise
from dingocar.sim.physics import Physics
from dingocar.sim.randomisation import Episode, Randomisation, load_randomisation
from dingocar.sim.track import Track, load_track
from dingocar.sim.world import State, World

__all__ = [
    "Appearance",
    "Camera",
    "Car",
    "Chart",
    "Dynamics",
    "Episode",
    "Expert",
    "Frame",
    "Look",
    "Noise",
    "Painting",
    "Physics",
    "Randomisation",
    "State",
    "Track",
    "World",
    "car_for",
    "drive_expert",
    "load_look",
    "load_randomisation",
    "load_track",
]
