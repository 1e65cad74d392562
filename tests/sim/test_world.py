"""The world: batches, seeds, laps, being off the track, and errors."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from dingocar.errors import TrackError, UnknownNameError, UsageError
from dingocar.sim import Dynamics, Expert, Track, World
from dingocar.sim.track import rounded_polygon


def arrays(state):
    names = [field.name for field in fields(state) if not field.name.startswith("_")]
    return {name: getattr(state, name) for name in [*names, "image"]}


def carry(world, path):
    """Carries the car along points, as if it had driven there, and returns the last state."""
    state = world.state
    for x, y in path:
        motion = world._motion
        motion.speed_mps = np.hypot(x - motion.x_m, y - motion.y_m) / world.dt_s
        motion.x_m, motion.y_m = np.array([x], float), np.array([y], float)
        state = still(world)
    return state


def still(world):
    """One step that moves nothing but books where the car is."""
    motion = world._motion
    motion.advance = lambda steering, throttle: None
    return world.step(0.0, 0.0)


def along(track, first_s, last_s, cte=0.0, step_m=0.05):
    s = np.linspace(first_s, last_s, max(2, int(abs(last_s - first_s) / step_m)))
    x, y, yaw = track.pose_at(s)
    return np.stack([x + cte * np.sin(yaw), y - cte * np.cos(yaw)], axis=1)


def test_steering_right_moves_the_car_to_the_right():
    world = World("oval")
    world.reset(start_s_m=0.0)
    for _ in range(16):
        state = world.step(1.0, 0.4)
    assert state.cte_m[0] > 0.02
    assert state.heading_error_rad[0] < -0.1


def test_the_same_seed_gives_the_same_bytes():
    def run(seed):
        world = World("circuit", n=3, seed=seed)
        rng = np.random.default_rng(9)
        states = [world.reset(seed)]
        states += [world.step(rng.uniform(-1, 1, 3), 0.4) for _ in range(20)]
        return [arrays(state) for state in states[::5]]

    for one, same, other in zip(run(4), run(4), run(5), strict=True):
        assert all(one[name].tobytes() == same[name].tobytes() for name in one)
        assert one["x_m"].tobytes() != other["x_m"].tobytes()
        assert one["image"].tobytes() != other["image"].tobytes()


def test_a_batch_equals_single_cars():
    starts, offsets = np.array([0.0, 3.0, 7.7, 16.0]), np.array([0.0, 0.1, -0.2, 0.3])
    rng = np.random.default_rng(2)
    commands = rng.uniform(-1, 1, (30, 2, 4))
    batch = World("circuit", n=4)
    states = [batch.reset(start_s_m=starts, cte_m=offsets)]
    states += [batch.step(*command) for command in commands]
    for car in range(4):
        world = World("circuit")
        state = world.reset(start_s_m=starts[car], cte_m=offsets[car])
        for k in range(31):
            if k:
                state = world.step(*commands[k - 1, :, car])
            if k % 10 == 0:
                both = arrays(states[k]), arrays(state)
                for name in both[0]:
                    np.testing.assert_array_equal(both[0][name][car], both[1][name][0], name)


def test_pictures_are_drawn_only_when_asked_for_and_belong_to_their_state():
    world = World("oval")
    first = world.reset(start_s_m=0.0)
    for _ in range(20):
        last = world.step(0.0, 0.5)
    assert "_renderer" not in vars(world)
    late = first.image
    assert first.image is late
    world.reset(start_s_m=0.0)
    np.testing.assert_array_equal(world.render(), late)
    assert (last.image != late).any()


def test_reset_places_the_cars():
    world = World("circuit", n=2)
    state = world.reset(start_s_m=[2.0, 5.0], cte_m=0.1, heading_error_rad=[0.2, -0.2])
    assert state.s_m == pytest.approx([2.0, 5.0], abs=1e-3)
    assert state.cte_m == pytest.approx([0.1, 0.1], abs=1e-3)
    assert state.heading_error_rad == pytest.approx([0.2, -0.2], abs=1e-3)
    assert not state.speed_mps.any()


def test_reset_without_a_place_draws_one():
    world = World("circuit", n=8, seed=1)
    one, two, again = world.reset(1), world.reset(), world.reset(1)
    assert np.ptp(one.s_m) > 3
    assert (one.s_m != two.s_m).all()
    np.testing.assert_array_equal(one.s_m, again.s_m)


def test_reset_of_some_cars_leaves_the_others_driving():
    worlds = [World("circuit", n=2) for _ in range(2)]
    for world in worlds:
        world.reset(start_s_m=[0.0, 5.0])
        for _ in range(20):
            world.step(0.1, 0.5)
    state = worlds[0].reset(start_s_m=1.0, cars=[True, False])
    assert state.time_s == pytest.approx([0.0, 1.0])
    assert state.progress_m[0] == 0
    # The late commands of a reset car are forgotten, those of the other one are not.
    after, untouched = (world.step(0.0, 0.0) for world in worlds)
    assert after.speed_mps[0] == 0
    assert arrays(after)["x_m"][1] == arrays(untouched)["x_m"][1]
    assert after.progress_m[1] == untouched.progress_m[1]


def test_off_track_by_the_width_at_that_place():
    world = World("circuit", n=4)
    state = world.reset(start_s_m=1.0, cte_m=[0.34, 0.36, -0.34, -0.36])
    assert state.off_track.tolist() == [False, True, False, True]
    rows = np.load("data/tracks/sample.npy")
    middle = rows[:, None, :2]
    wide = middle + (rows.reshape(-1, 3, 2) - middle) * np.array([1, 1.5, 1.5])[:, None]
    track = Track("wide", *(wide[:-1, part] for part in range(3)))
    state = World(track).reset(start_s_m=1.0, cte_m=0.5)
    assert not state.off_track[0]
    assert state.half_width_m[0] == pytest.approx(0.525, abs=1e-3)


@pytest.mark.parametrize("name", ["oval", "circuit", "random:3"])
def test_a_lap_is_one_length_from_wherever_it_began(name):
    world = World(name)
    length = world.track.length_m
    world.reset(start_s_m=0.7 * length)
    state = carry(world, along(world.track, 0.7 * length, 1.7 * length - 0.02))
    assert state.laps[0] == 0
    state = carry(world, along(world.track, 1.7 * length - 0.02, 1.7 * length + 0.02))
    assert state.laps[0] == 1
    state = carry(world, along(world.track, 1.7 * length, 3.7 * length + 0.02))
    assert state.laps[0] == 3
    assert state.progress_m[0] == pytest.approx(3 * length + 0.02, abs=0.01)


def test_wiggling_over_the_line_earns_nothing():
    world = World("oval")
    world.reset(start_s_m=0.0)
    for _ in range(4):
        state = carry(world, [*along(world.track, 0.2, -0.2), *along(world.track, -0.2, 0.2)])
        assert state.laps[0] == 0
    state = carry(world, along(world.track, 0.2, -3 * world.track.length_m))
    assert state.laps[0] == 0
    assert state.progress_m[0] == pytest.approx(-3 * world.track.length_m, abs=0.1)


def test_a_lap_is_counted_once_when_the_line_is_crossed_again():
    world = World("oval")
    world.reset(start_s_m=0.0)
    length = world.track.length_m
    carry(world, along(world.track, 0, length + 0.1))
    for _ in range(3):
        carry(world, along(world.track, 0.1, -0.1))
        state = carry(world, along(world.track, -0.1, 0.1))
    assert state.laps[0] == 1


def test_cutting_across_the_infield_earns_no_lap():
    world = World("oval")
    track = world.track
    # From a straight across to the other one, which is 4.1 m on, and on to the first again.
    other = float(track.locate(3.3, 2.6)[0][0])
    lap = track.length_m + 1.0
    world.reset(start_s_m=1.0)
    for _ in range(3):
        state = carry(world, [*np.linspace((3.3, 0.0), (3.3, 2.6), 60), *along(track, other, lap)])
    assert state.laps[0] == 0
    assert state.progress_m[0] == pytest.approx(0, abs=0.5)
    state = carry(world, along(track, 1.0, 1.0 + 1.1 * track.length_m))
    assert state.laps[0] == 1


def test_circling_in_the_infield_earns_nothing():
    world = World("oval")
    world.reset(start_s_m=0.0)
    angle = np.linspace(-np.pi / 2, 8 * np.pi, 600)
    circle = np.stack([2.3 + 0.3 * np.cos(angle), 1.3 + 0.3 * np.sin(angle)], axis=1)
    back = np.linspace(circle[-1], (2.3, 0.0), 40)
    state = carry(world, [*np.linspace((2.3, 0.0), circle[0], 30), *circle, *back])
    assert state.laps[0] == 0
    assert state.progress_m[0] == pytest.approx(0, abs=0.2)


def test_a_wide_exit_still_counts_its_way():
    world = World("circuit")
    track = world.track
    world.reset(start_s_m=0.0)
    carry(world, along(track, 0, 0.5))
    state = carry(world, along(track, 0.5, 1.0, cte=0.5))
    assert state.off_track[0]
    assert state.progress_m[0] == pytest.approx(0.5, abs=0.06)
    state = carry(world, along(track, 1.0, track.length_m + 0.1))
    assert state.laps[0] == 1


def test_neighbouring_parts_of_a_track_are_kept_apart():
    """A car on its own lane is not taken for one on the next, whose centre line is nearer."""
    corners = [(0, 0), (6, 0), (6, 0.8), (0, 0.8)]
    track = Track.from_centre("touching", rounded_polygon(corners, 0.4, 0.02), 0.5)
    world = World(track)
    start = float(track.locate(1.0, 0.0)[0][0])
    world.reset(start_s_m=start)
    state = carry(world, along(track, start, start + 4.0, cte=-0.45))
    assert not state.off_track[0]
    assert state.progress_m[0] == pytest.approx(4.0, abs=0.05)
    assert state.cte_m[0] == pytest.approx(-0.45)


def test_a_whole_lap_of_driving():
    world = World("circuit", n=2)
    expert = Expert(world.track)
    state = world.reset(start_s_m=[0.0, 6.0])
    while state.laps.min() < 1:
        state = world.step(*expert.act(state))
    assert state.progress_m.min() >= world.track.length_m
    assert state.time_s[0] == pytest.approx(state.progress_m[0] / 1.2, rel=0.25)


def test_commands_are_clipped():
    worlds = [World("oval", n=1) for _ in range(2)]
    for world, size in zip(worlds, (1.0, 7.0), strict=True):
        world.reset(start_s_m=0.0)
        for _ in range(10):
            world.step(size, size)
    assert worlds[0].state.x_m == worlds[1].state.x_m


def test_mistakes_are_explained():
    world = World("oval", n=2)
    for bad in ([0.0, float("nan")], [0.0, 0.0, 0.0], float("inf")):
        with pytest.raises(UsageError, match="steering"):
            world.step(bad, 0.0)
    with pytest.raises(UsageError, match="start_s_m"):
        world.reset(start_s_m=float("nan"))
    with pytest.raises(UsageError, match="cars"):
        world.reset(cars=[0, 1])
    for settings in ({"n": 0}, {"n": 1.5}, {"dt_s": 0.0}, {"seed": -1}, {"seed": 1.5}):
        with pytest.raises(UsageError, match="World"):
            World("oval", **settings)
    with pytest.raises(UnknownNameError, match="oval"):
        World("ovall")
    with pytest.raises(TrackError, match="no such track file"):
        World("nowhere.npy")


def test_settings_reach_the_cars():
    world = World("oval", dynamics=Dynamics(latency_s=0.0, top_speed_mps=1.0), dt_s=0.1)
    world.reset(start_s_m=0.0)
    assert world.step(0.0, 1.0).speed_mps[0] > 0
    for _ in range(100):
        state = world.step(0.0, 1.0)
    assert state.speed_mps[0] == pytest.approx(1.0, abs=0.01)
    assert state.time_s[0] == pytest.approx(10.1)
