"""The search on landscapes where the truth is known, and the sampler that it leaves."""

import json

import numpy as np
import pytest

from dingocar.errors import UnknownNameError, UsageError
from dingocar.sim import Expert, load_look, load_randomisation, load_track
from dingocar.training.active import (
    SvpgSettings,
    Trace,
    active_randomisation,
    explore,
    sampler_of,
)
from tests.training.active.landscape import Landscape

#: 750 and 300 episodes: the discriminator's training is slow.
FRAMES = {"failure": 60_000, "discriminator": 24_000}


def found(search, reward, seed):
    """How hard the kept quarter of the points really is, and how hard all are that were tried."""
    world = Landscape()
    trace = explore(world, FRAMES[reward], np.random.default_rng(seed), search, reward)
    best = np.argsort(trace.rewards)[-len(trace.points) // 4 :]
    return world.hardness(trace.points[best]).mean(), world.hardness(trace.points).mean()


@pytest.mark.parametrize("reward", ["failure", "discriminator"])
@pytest.mark.parametrize("search", ["svpg", "cem"])
def test_a_search_finds_the_hard_region(search, reward):
    even = np.array([found("uniform", reward, seed) for seed in range(3)])
    learned = np.array([found(search, reward, seed) for seed in range(3)])
    assert learned[:, 1].mean() > even[:, 1].mean() + 0.1  # where it has been
    assert learned[:, 0].mean() > even[:, 0].mean() + 0.1  # what it keeps


def test_where_nothing_is_hard_particles_go_everywhere():
    trace = explore(Landscape(flat=True, noise=0.0), 24_000, np.random.default_rng(0))
    assert np.abs(trace.points.mean(axis=0) - 0.5).max() < 0.25
    assert trace.points.std(axis=0).min() > 0.15


def test_frames_are_counted_and_not_exceeded():
    for frames in (5_600, 9_000, 20_000):
        told = []
        world = Landscape()
        trace = explore(world, frames, np.random.default_rng(0), on_progress=told.append)
        rounds = len(world.driven)
        assert trace.frames == 20 * 80 + rounds * 50 * 80
        assert trace.frames <= frames
        assert [progress.frames for progress in told][-1] == trace.frames
        assert trace.round.tolist() == np.repeat(np.arange(rounds), 50).tolist()


def trace_of(rewards):
    """A search of two rounds along a diagonal."""
    n = len(rewards)
    points = np.repeat(np.linspace(0, 1, n)[:, None], len(load_randomisation("mild").names), axis=1)
    reference = Landscape().reference(1, np.random.default_rng(0))
    values = np.asarray(rewards, float)
    numbers = np.repeat([0, 1], n // 2)
    return Trace(points, values, values, values, values > 0.5, numbers, 100, reference)


def test_the_sampler_keeps_the_points_of_the_highest_reward():
    sampler = sampler_of(trace_of([0, 1, 0, 0, 0, 0, 0.9, 0]), load_randomisation("mild"), keep=0.25)
    assert [point[0] for point in sampler.points] == [0.1429, 0.8571]
    everything = sampler_of(trace_of([1, 1, 1, 1, 0, 0, 0, 0]), load_randomisation("mild"), keep=1)
    assert [round(point[0], 2) for point in everything.points] == [0.57, 0.71, 0.86, 1.0]
    with pytest.raises(UsageError, match="keep"):
        sampler_of(trace_of([0, 1]), load_randomisation("mild"), keep=0)


def test_the_sampler_is_a_file_that_episodes_are_drawn_from(tmp_path):
    mild = load_randomisation("mild")
    rewards = np.zeros(100)
    rewards[90:] = 1  # high values of every parameter
    sampler = sampler_of(trace_of(rewards), mild, keep=0.1)
    file = tmp_path / "hard.json"
    file.write_text(json.dumps(sampler.to_json()))
    rng, look = np.random.default_rng(0), load_look("flat")
    lights = [load_randomisation(file).draw(look, rng).appearance.light for _ in range(20)]
    assert np.mean(lights) > 1.15 and max(lights) <= 1.2


def test_the_whole_thing_with_a_car():
    driver = Expert(load_track("oval")).act  # looks at no picture: fast
    strong = load_randomisation("strong")
    settings = SvpgSettings(particles=3, rollout_length=2, hidden=(8,))
    results = [
        active_randomisation(
            driver,
            strong,
            "oval",
            "flat",
            4000,
            np.random.default_rng(seed),
            reward="discriminator",
            settings=settings,
        )
        for seed in (3, 3, 4)
    ]
    first, again, other = (result.sampler.points for result in results)
    assert first == again != other
    figures = json.loads(json.dumps(results[0].to_json(), allow_nan=False))
    assert figures["failed_reference"] == 0 and figures["frames"] <= 4000
    assert set(figures["learned_mean"]) == set(strong.names)
    assert len(first) == round(figures["episodes"] / 4)


def test_mistakes_are_told():
    rng = np.random.default_rng(0)
    with pytest.raises(UnknownNameError, match="did you mean 'svpg'"):
        explore(Landscape(), 9000, rng, search="svgp")
    with pytest.raises(UnknownNameError, match="did you mean 'failure'"):
        explore(Landscape(), 9000, rng, reward="failures")
    world = Landscape()
    with pytest.raises(UsageError, match=r"frames must be at least 5600 \(20 reference .* got 5599"):
        explore(world, 5_599, rng)
    assert not world.driven
