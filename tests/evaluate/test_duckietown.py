"""The baseline's protocol on a stand-in for gym-duckietown: a straight road, and a car that does as told."""

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.evaluate.duckietown import demonstrate, evaluate, straight_driver
from dingocar.sim.duckietown_gym_state import DuckietownState

TILE_M = 0.6
LANE_Y_M = 0.28 * TILE_M


class Road:
    """Drives 0.1 m per step and throttle; steering moves it aside. The road ends at 3 tiles."""

    map_name, dt_s, domain_rand, start_within_m = "road", 0.1, False, None
    tiles, tile_size_m = [["straight/E"] * 3], TILE_M

    def __init__(self):
        self.seeds, self.driven = [], []

    def reset(self, seed):
        self.seeds.append(seed)
        self.x_m, self.y_m, self.count = 0.01, LANE_Y_M, 0
        return self._state(0.0, False)

    def step(self, steering, throttle):
        self.driven.append((steering, throttle))
        self.x_m += 0.1 * throttle
        self.y_m -= 0.1 * steering
        self.count += 1
        done = self.x_m > 3 * TILE_M
        return self._state(-1000.0 if done else 1.0, done)

    def sine_to_lane(self, ahead_m):
        return (self.y_m - LANE_Y_M) / ahead_m

    def _state(self, reward, done):
        image = np.full((4, 4, 3), min(self.count, 255), np.uint8)
        speed = 0.0 if self.count in (0, 1, 2) else 1.0
        aside = LANE_Y_M - self.y_m
        return DuckietownState(
            *(image, self.x_m, self.y_m, 0.0, aside, 0.0, speed, reward, done, self.count),
            *(0.1 * self.count, (0, 0), {}),
        )


def test_a_crash_costs_and_the_episode_goes_on_from_a_new_start():
    road = Road()
    result = evaluate(lambda state: (0.0, 1.0), road, episodes=2, steps=25)
    # 18 steps to the end of the road, of which the last costs 1000; then 7 more.
    assert result.rewards == [17 - 1000 + 7] * 2
    assert result.mean_reward == -976
    assert (result.crashes, result.survived) == (2, 0)
    assert len(road.seeds) == 4 and len(set(road.seeds)) == 4
    assert result.medians["survival_s"] == pytest.approx(1.8), "metrics end with the first crash"


def test_as_aido_an_episode_ends_with_a_crash():
    road = Road()
    result = evaluate(lambda state: (0.0, 1.0), road, episodes=2, steps=25, restart=False)
    assert result.rewards == [17 - 1000] * 2
    assert len(road.driven) == 2 * 18


def test_every_driver_gets_the_same_starts():
    crashing, careful = Road(), Road()
    evaluate(lambda state: (0.0, 1.0), crashing, episodes=3, steps=25, seed=4)
    result = evaluate(straight_driver(0.1), careful, episodes=3, steps=25, seed=4)
    assert result.survived == 3 and result.crashes == 0
    assert crashing.seeds[::2] == careful.seeds
    evaluate(straight_driver(0.1), other := Road(), episodes=3, steps=25, seed=5)
    assert not set(other.seeds) & set(careful.seeds)


def test_figures_are_json_without_the_paths():
    figures = evaluate(straight_driver(0.1), Road(), episodes=2, steps=5).to_json()
    assert "paths" not in figures and len(figures["metrics"]) == 2
    assert figures["metrics"][0]["survival_s"] == pytest.approx(0.5)


def test_nothing_to_drive():
    with pytest.raises(UsageError, match="at least 1 episode"):
        evaluate(straight_driver(0.1), Road(), episodes=0)


def test_a_picture_goes_with_the_action_computed_on_it():
    frames = list(demonstrate(Road(), 0.1, 0.0, episodes=2, steps=10, seed=0, rng=np.random.default_rng(0)))
    assert [frame.episode for frame in frames] == [0] * 8 + [1] * 8
    # The first one at rest stays; the others of a car that has not moved go.
    assert [int(frame.image[0, 0, 0]) for frame in frames[:8]] == [0, 3, 4, 5, 6, 7, 8, 9]
    assert all(frame.steering == 0 for frame in frames)
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)


def test_the_label_is_the_correction_of_the_noise():
    road = Road()
    frames = list(demonstrate(road, 0.1, 0.8, episodes=1, steps=60, seed=0, rng=np.random.default_rng(3)))
    driven = np.array([steering for steering, _ in road.driven])
    labels = np.array([frame.steering for frame in frames])
    assert np.abs(driven).max() > 0.3, "it was disturbed"
    aside = np.array([0.0, *-np.cumsum(driven)])[:-1][[0, *range(3, 60)]] * -0.1  # right of the lane
    assert np.corrcoef(labels, aside)[0, 1] < -0.9, "the label leads back"
