"""Recording helper: frames of the expert's laps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dingocar.errors import TrackError, UsageError
from dingocar.sim import Camera, Dynamics, Expert, Noise, Track, World, drive_expert
from dingocar.sim.track import rounded_polygon

SMALL = Camera(shape=(24, 32))


def frames(laps=1.0, noise=None, seed=0, name="oval", **settings):
    world = World(name, camera=SMALL, seed=seed, **settings)
    return list(drive_expert(world, Expert(world.track, world.dynamics), laps, noise)), world


def test_a_lap_in_frames():
    shots, world = frames(1.5)
    assert shots[0].lap == 0
    assert shots[-1].lap == 1
    assert shots[0].image.shape == (24, 32, 3)
    steps = np.diff([shot.time_s for shot in shots])
    assert steps == pytest.approx(world.dt_s)
    way = sum(shot.speed_mps * world.dt_s for shot in shots)
    assert way == pytest.approx(1.5 * world.track.length_m, rel=0.05)
    assert all(
        (shot.steering, shot.throttle) == (shot.driven_steering, shot.driven_throttle) for shot in shots
    )
    assert np.mean([shot.steering for shot in shots]) < -0.05  # the oval turns left


def test_the_picture_is_the_one_the_action_was_made_from():
    shots, world = frames(0.2)
    expert = Expert(world.track)
    for shot in (shots[0], shots[-1]):
        state = world.reset(start_s_m=shot.s_m, cte_m=shot.cte_m, heading_error_rad=shot.heading_error_rad)
        state.speed_mps[:] = shot.speed_mps
        assert np.abs(state.image[0].astype(int) - shot.image).mean() < 3
        assert expert.act(state)[0][0] == pytest.approx(shot.steering, abs=0.02)


def test_noise_is_driven_but_not_the_label():
    shots, _ = frames(2, Noise(np.random.default_rng(1)))
    pushed = [abs(shot.driven_steering - shot.steering) for shot in shots]
    assert max(pushed) > 0.25
    assert max(abs(shot.cte_m) for shot in shots) > 0.1
    assert max(abs(shot.cte_m) for shot in shots) <= 0.35


def test_a_car_that_left_the_track_is_put_back():
    wild = Noise(np.random.default_rng(0), bursts_hz=0.3, strength=(1.9, 2.0), limit=9.0)
    shots, world = frames(3, wild)
    jumps = [np.hypot(b.x_m - a.x_m, b.y_m - a.y_m) for a, b in itertools.pairwise(shots)]
    assert max(jumps) > 0.3  # it did leave
    assert max(abs(shot.cte_m) for shot in shots) <= 0.35
    assert shots[-1].lap == 2
    assert np.diff([shot.time_s for shot in shots]) == pytest.approx(world.dt_s)


def test_the_same_seed_gives_the_same_frames():
    one, same, other = (frames(0.3, Noise(np.random.default_rng(7)), seed)[0] for seed in (1, 1, 2))
    assert [shot.image.tobytes() for shot in one] == [shot.image.tobytes() for shot in same]
    assert [shot.driven_steering for shot in one] == [shot.driven_steering for shot in same]
    assert one[0].s_m != other[0].s_m


def test_a_track_that_is_too_tight_is_said_to_be():
    corners = [(0, 0), (6, 0), (6, 0.8), (0, 0.8)]
    track = Track.from_centre("tight", rounded_polygon(corners, 0.4), 0.1)
    with pytest.raises(TrackError, match="cannot drive"):
        frames(1, name=track, dynamics=Dynamics(max_steering_rad=0.1))


def test_wrong_arguments():
    world = World("oval", n=2, camera=SMALL)
    with pytest.raises(UsageError, match="1 car"):
        next(drive_expert(world, Expert(world.track), 1))
    for laps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="laps"):
            frames(laps)
