"""The Duckietown imitation baseline in gym-duckietown: demonstrations, its reward, AI-DO's metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.evaluate.duckietown_metrics import LaneMap, LaneMetrics, lane_metrics, medians
from dingocar.images import Uint8Array
from dingocar.sim import Noise, State
from dingocar.sim.duckiebot import WHEEL_PER_VELOCITY
from dingocar.sim.duckietown_gym import DuckietownExpert, DuckietownGym
from dingocar.sim.duckietown_gym_scores import official_scores
from dingocar.sim.duckietown_gym_state import DuckietownState
from dingocar.zoo import RunnablePilot

FloatArray = npt.NDArray[np.float64]

#: State to steering and throttle, each in [-1, 1].
Driver = Callable[[DuckietownState], tuple[float, float]]

#: The starts of AI-DO's lane following, for `DuckietownGym`.
AIDO_STARTS: dict[str, Any] = {"accept_start_angle_deg": 40, "start_within_m": 0.04}

#: Half the distance between the lines of a lane, with which the noise keeps the car in it.
HALF_LANE_M = 0.11


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One picture, and what the expert does there.

    Attributes:
        image: uint8 (H, W, 3).
        steering, throttle: the expert's action: the label.
        time_s: since the first episode's start.
        episode: which, from 0.
        crashed: the car leaves the road by this step.
    """

    image: Uint8Array
    steering: float
    throttle: float
    time_s: float
    episode: int
    crashed: bool


def demonstrate(
    gym: DuckietownGym,
    velocity: float,
    noise: float,
    episodes: int,
    steps: int,
    seed: int,
    rng: np.random.Generator,
) -> Iterator[Demonstration]:
    """Lets the baseline's expert drive, and yields each picture with the action computed on it.

    The pictures of a car that has not begun to move yet, but for the first, are left out: they are all alike.

    Args:
        gym: the world; it is reset.
        velocity: that the expert asks for, in their units.
        noise: level of the disturbance of what is driven, see `dingocar.sim.Noise`; 0: none.
        episodes, steps: how much; an episode ends early where the car leaves the road.
        seed: draws the starts.
        rng: of the noise.
    """
    expert = DuckietownExpert(gym, velocity)
    before_s = 0.0
    for episode in range(episodes):
        state = gym.reset(episode_seed(seed, episode))
        disturbance = Noise.of_level(noise, rng, dt_s=gym.dt_s) if noise else None
        for _ in range(steps):
            steering, throttle = expert.act(state)
            image, time_s, moves = state.image, state.time_s, state.step == 0 or state.speed_mps > 0
            driven = (steering, throttle)
            if disturbance is not None:
                disturbed = disturbance(_as_noise_sees(state), np.array([steering]), np.array([throttle]))
                driven = float(disturbed[0][0]), float(disturbed[1][0])
            state = gym.step(*driven)
            if moves:
                yield Demonstration(image, steering, throttle, before_s + time_s, episode, state.done)
            if state.done:
                break
        before_s += state.time_s + 1.0


def _as_noise_sees(state: DuckietownState) -> State:
    """The four figures of a state that `Noise` looks at; off the road it sees the car in the lane."""
    figures = {
        "cte_m": np.nan_to_num(np.array([state.lane_dist_m])),
        "speed_mps": np.array([state.speed_mps]),
        "heading_error_rad": np.nan_to_num(np.array([state.lane_angle_rad])),
        "half_width_m": np.array([HALF_LANE_M]),
    }
    return cast(State, SimpleNamespace(**figures))


def episode_seed(seed: int, episode: int, restart: int = 0) -> int:
    """The seed of an episode's start: the same for every driver.

    >>> episode_seed(0, 1) == episode_seed(0, 1) != episode_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence((seed, episode, restart)).generate_state(1)[0])


def pilot_driver(pilot: RunnablePilot, throttle: float | None = None) -> Driver:
    """Makes a driver of a pilot: it sees the picture and nothing else.

    Args:
        pilot: it steers.
        throttle: instead of its own.
    """

    def drive(state: DuckietownState) -> tuple[float, float]:
        steering, own_throttle = pilot.run_batch(state.image[None])
        return float(steering[0]), float(own_throttle[0]) if throttle is None else throttle

    return drive


def straight_driver(velocity: float) -> Driver:
    """Makes a driver that does not steer."""
    return lambda state: (0.0, velocity * WHEEL_PER_VELOCITY)


@dataclass(frozen=True)
class DuckietownResult:
    """How the episodes went.

    Attributes:
        map: the map's name.
        episodes, steps, dt_s: how much was driven; dt_s is the length of a step in seconds.
        seed: drew the starts.
        domain_rand: with gym-duckietown's own randomisation.
        start_within_m: largest distance from the lane's centre at the starts; None: anywhere.
        mean_reward: of an episode: the rewards of all steps together, divided by the number of episodes. A
            step gives at most 1.2; one off the road costs 1000, which may happen several times an episode.
        rewards: of each episode.
        crashes: how often a car left the road.
        survived: episodes in which it never did.
        medians: of the metrics over the episodes, each up to the first time off the road.
        metrics: of each episode.
        paths: one float64 (T, 3) array for each episode up to the first time off the road: x_m, y_m, yaw_rad.
            Not part of `to_json`.
    """

    map: str
    episodes: int
    steps: int
    dt_s: float
    seed: int
    domain_rand: bool
    start_within_m: float | None
    mean_reward: float
    rewards: list[float]
    crashes: int
    survived: int
    medians: dict[str, float]
    metrics: list[LaneMetrics]
    paths: list[FloatArray] = field(default_factory=list, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The figures, without the paths."""
        figures = {name: value for name, value in vars(self).items() if name != "paths"}
        return figures | {"metrics": [vars(one) for one in self.metrics]}


def evaluate(
    driver: Driver,
    gym: DuckietownGym,
    episodes: int = 10,
    steps: int = 65,
    seed: int = 0,
    restart: bool = True,
    on_progress: Callable[[float], None] = lambda episodes_driven: None,
) -> DuckietownResult:
    """Lets `driver` drive, by the protocol of the AI-DO imitation baseline (its `eval.py`).

    The baseline's published result is a mean reward of -565 over 10 episodes of 65 steps. The lane-following
    metrics are AI-DO's (see `duckietown_metrics`), of the same episodes up to the first time off the road.

    Args:
        driver: what drives.
        gym: the world; it is reset.
        episodes, steps: how much.
        seed: draws the starts, also those after a crash: the same ones for every driver.
        restart: a car that has left the road starts again and drives on until the episode's steps are used
            up, as in the baseline's protocol; False: its episode ends, as in AI-DO.
        on_progress: told the number of episodes driven so far, in parts of an episode too.

    Raises:
        UsageError: nothing to drive.
    """
    if episodes < 1 or steps < 2:
        raise UsageError(
            f"expected at least 1 episode and 2 steps, got --episodes {episodes} --steps {steps}"
        )
    tiles = LaneMap(gym.tiles, gym.tile_size_m)
    rewards, paths, crashes = [], [], []
    for episode in range(episodes):
        reward, path, left = _drive(driver, gym, episode, steps, seed, restart, on_progress)
        rewards.append(reward)
        paths.append(path)
        crashes.append(left)
    metrics = [lane_metrics(path, tiles, gym.dt_s) for path in paths]
    return DuckietownResult(
        map=gym.map_name,
        episodes=episodes,
        steps=steps,
        dt_s=gym.dt_s,
        seed=seed,
        domain_rand=gym.domain_rand,
        start_within_m=gym.start_within_m,
        mean_reward=float(np.mean(rewards)),
        rewards=rewards,
        crashes=sum(crashes),
        survived=crashes.count(0),
        medians=medians(metrics),
        metrics=metrics,
        paths=paths,
    )


def _drive(
    driver: Driver,
    gym: DuckietownGym,
    episode: int,
    steps: int,
    seed: int,
    restart: bool,
    on_progress: Callable[[float], None],
) -> tuple[float, FloatArray, int]:
    """Drives an episode; returns its reward, its path up to the first time off the road, and how often the
    car left it."""
    state = gym.reset(episode_seed(seed, episode))
    reward, path, crashes = 0.0, [(state.x_m, state.y_m, state.yaw_rad)], 0
    for step in range(steps):
        state = gym.step(*driver(state))
        reward += state.reward
        if crashes == 0:
            path.append((state.x_m, state.y_m, state.yaw_rad))
        if state.done:
            crashes += 1
            if not restart:
                break
            state = gym.reset(episode_seed(seed, episode, crashes))
        if step % 20 == 0:
            on_progress(episode + step / steps)
    return reward, np.array(path), crashes


def official_metrics(result: DuckietownResult) -> dict[str, float]:
    """The medians of AI-DO's metrics as duckietown_world's own rules score the same paths."""
    return medians([LaneMetrics(**official_scores(path, result.map, result.dt_s)) for path in result.paths])
