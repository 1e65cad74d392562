"""Laps and restarts of the gym-duckietown part, on a stand-in for gym-duckietown."""

from types import SimpleNamespace

import numpy as np
import pytest

from dingocar.parts import duckietown_simulator
from dingocar.parts.duckietown_simulator import DuckietownSimulator

IMAGE = np.zeros((4, 4, 3), np.uint8)
ROAD = [(0, 0), (1, 0), (1, 1), (0, 1)]


class Ring:
    """One tile further with each step of full throttle; steering leaves the road."""

    map_name, domain_rand = "ring", False
    road = frozenset(ROAD)

    def __init__(self, map_name, seed, domain_rand, image_shape, rate_hz):
        self.rate_hz, self.closed = rate_hz, False
        self.reset()

    def reset(self):
        self.at = 0
        return self._now(False)

    def step(self, steering, throttle):
        self.at += int(throttle)
        return self._now(steering != 0)

    def close(self):
        self.closed = True

    def _now(self, done):
        self.state = SimpleNamespace(image=IMAGE, tile=ROAD[self.at % 4], done=done)
        return self.state


@pytest.fixture
def simulator(monkeypatch):
    monkeypatch.setattr(duckietown_simulator, "DuckietownGym", Ring)
    return DuckietownSimulator("ring", (4, 4), 20)


def test_a_lap_is_once_over_every_tile(simulator):
    assert simulator.run()[2:] == (0, 0), "standing on the start is no lap"
    simulator.command = (0.0, 1.0)
    assert [simulator.run()[2] for _ in range(8)] == [0, 0, 0, 1, 1, 1, 1, 2]


def test_to_and_fro_is_no_lap(simulator):
    for throttle in (1.0, -1.0, 1.0, -1.0):
        simulator.command = (0.0, throttle)
        assert simulator.run()[2] == 0


def test_off_the_road_it_starts_again_and_the_lap_too(simulator):
    simulator.command = (0.0, 1.0)
    for _ in range(3):
        simulator.run()
    simulator.command = (1.0, 0.0)
    assert simulator.run()[2:] == (0, 1), "off the road, on the lap's last tile"
    simulator.command = (0.0, -1.0)
    simulator.run()
    simulator.command = (0.0, 1.0)
    assert simulator.run()[2] == 0, "back on the start, where the lap was begun anew"
    assert [simulator.run()[2] for _ in range(4)] == [0, 0, 0, 1]


def test_what_a_tub_says_of_it(simulator):
    assert simulator.metadata["domain"] == "sim" and simulator.metadata["world"] == "gym-duckietown"
    assert simulator.gym.rate_hz == 20
    simulator.shutdown()
    assert simulator.gym.closed
