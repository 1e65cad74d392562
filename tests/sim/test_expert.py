"""The expert drives clean laps; the noise pushes it about without losing it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.sim import Dynamics, Expert, Noise, World
from dingocar.sim.track import tracks

DEEPRACER = Path(__file__).resolve().parents[3] / "shared" / "data" / "deepracer_tracks"


def drive(name, laps=1, n=2, dynamics=None, noise=None):
    """|cte| over half width, steering and speed of each step, and the cars that left the track."""
    world = World(name, n=n, dynamics=dynamics or Dynamics())
    expert = Expert(world.track, world.dynamics)
    state = world.reset(seed=1)
    off = state.off_track
    rows = []
    for _ in range(int(laps * world.track.length_m / 0.3 / world.dt_s)):
        action = expert.act(state)
        state = world.step(*(action if noise is None else noise(state, *action)))
        off = off | state.off_track
        rows.append([np.abs(state.cte_m) / state.half_width_m, action[0], state.speed_mps])
        if state.laps.min() >= laps:
            break
    assert state.laps.min() >= laps
    cte, steering, speed = np.array(rows).transpose(1, 0, 2)
    return cte[20:], steering[20:], speed[20:], off


#: A Duckietown's lanes are for the Duckiebot, which has a driver of its own.
TRACKS = [name for name in tracks.names() if name != "duckietown"]


@pytest.mark.parametrize("name", [*TRACKS, *(f"random:{seed}" for seed in range(1, 16))])
def test_clean_smooth_laps_near_the_middle(name):
    cte, steering, speed, off = drive(name)
    assert not off.any()
    assert cte.mean() < 0.05
    assert cte.max() < 0.15
    assert np.abs(np.diff(steering, axis=0)).max() < 0.15
    assert 1.0 < speed.mean() < 1.5


@pytest.mark.parametrize("latency_s", [0.0, 0.2, 0.3])
def test_other_latencies(latency_s):
    cte, _, _, off = drive("circuit", dynamics=Dynamics(latency_s=latency_s))
    assert not off.any()
    assert cte.mean() < 0.1


@pytest.mark.skipif(not DEEPRACER.is_dir(), reason=f"{DEEPRACER} is absent")
@pytest.mark.parametrize("name", ["reinvent_base", "Tokyo_Training_track", "New_York_Eval_Track"])
def test_deepracer_tracks(name):
    cte, _, _, off = drive(str(DEEPRACER / f"{name}.npy"), n=1)
    assert not off.any()
    assert cte.mean() < 0.1


def test_it_steers_back_to_the_middle():
    world = World("oval", n=3)
    state = world.reset(start_s_m=0.0, cte_m=[0.2, 0.0, -0.2])
    steering, throttle = Expert(world.track).act(state)
    assert steering[0] < -0.2  # right of the line: to the left
    assert steering[1] == pytest.approx(0, abs=1e-6)
    assert steering[2] > 0.2
    assert (throttle > 0.3).all()


@pytest.mark.parametrize("side", [-1, 1])
def test_it_turns_round_when_it_looks_the_wrong_way(side):
    world = World("oval")
    state = world.reset(start_s_m=0.0, heading_error_rad=side * 3.0)
    steering, _ = Expert(world.track).act(state)
    assert steering[0] == side  # turned to the left: back to the right


def test_it_slows_down_before_turns():
    world = World("circuit")
    expert = Expert(world.track)
    plan = expert._speed_at(np.array([0.0, 2.0]))
    radii = 1 / np.abs(world.track.curvature([0.0, 2.4]) + 1e-9)
    assert radii[0] > 100 > 2 > radii[1]
    assert plan[0] == pytest.approx(1.4)
    assert plan[1] < 1.35


def test_settings_are_checked():
    world = World("oval")
    for settings in ({"speed_mps": 0.0}, {"look_ahead_m": -1.0}, {"speed_mps": 5.0}):
        with pytest.raises(UsageError, match="Expert"):
            Expert(world.track, world.dynamics, **settings)


def test_noise_spreads_the_car_but_hardly_ever_loses_it():
    noise = Noise(np.random.default_rng(0), n=24)
    cte, _, _, off = drive("circuit", laps=4, n=24, noise=noise)
    assert off.sum() <= 1
    assert 0.08 < cte.mean() < 0.2
    assert 0.25 < np.quantile(cte, 0.95) < 0.5
    assert 0.45 < np.quantile(cte, 0.999) < 0.8


def test_noise_is_repeatable_and_leaves_the_label_alone():
    world = World("oval", n=2)
    state = world.reset(start_s_m=0.0)
    label = np.array([0.1, -0.1])
    one, same = (Noise(np.random.default_rng(3), n=2, bursts_hz=20.0) for _ in range(2))
    for _ in range(5):
        driven, throttle = one(state, label, 0.5)
        np.testing.assert_array_equal(driven, same(state, label, 0.5)[0])
    assert label.tolist() == [0.1, -0.1]
    assert (np.abs(driven - label) > 0.2).all()
    assert throttle.tolist() == [0.5, 0.5]


def test_noise_lets_go_at_the_limit():
    world = World("oval", n=2)
    noise = Noise(np.random.default_rng(3), n=2, bursts_hz=100.0, tremble=0.0, limit=0.3)
    middle = world.reset(start_s_m=0.0)
    driven, _ = noise(middle, np.zeros(2), 0.0)
    outside = world.reset(start_s_m=0.0, cte_m=0.3 * np.sign(driven))
    assert (np.abs(driven) >= 0.3).all()
    assert noise(outside, np.zeros(2), 0.0)[0].tolist() == [0.0, 0.0]


def test_noise_settings_are_checked():
    for settings in ({"burst_s": (1.0, 0.5)}, {"strength": (-1.0, 0.5)}, {"limit": -0.1}):
        with pytest.raises(UsageError, match="Noise"):
            Noise(np.random.default_rng(0), **settings)


def test_noise_of_level_grows_with_the_level():
    """Level 0.5 are the defaults, 0 is none."""

    def spread(level):
        world = World("oval", n=16, seed=0)
        expert, noise = Expert(world.track), Noise.of_level(level, np.random.default_rng(0), n=16)
        state = world.reset(0)
        found = []
        for _ in range(200):
            state = world.step(*noise(state, *expert.act(state)))
            found.append(np.abs(state.cte_m).mean())
        return np.mean(found)

    none, half, full = spread(0.0), spread(0.5), spread(1.0)
    assert none < 0.2 * half < 0.2 * full
    with pytest.raises(UsageError, match="level must not be negative"):
        Noise.of_level(-0.1, np.random.default_rng(0))
