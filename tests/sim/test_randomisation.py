"""Randomisation: bounded, seeded, written down, and every parameter does something."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest

from dingocar.errors import UnknownNameError, UsageError
from dingocar.sim import Camera, Episode, Physics, Randomisation, World, load_look, load_randomisation
from dingocar.sim.physics import PHYSICS_BOUNDS
from dingocar.sim.randomisation import BOUNDS, PRESETS, Range
from dingocar.sim.scene import MAX_PAINTINGS

SMALL = Camera.of_shape((60, 80))
FLAT = load_look("flat")


def draws(randomisation, n=50, seed=0):
    rng = np.random.default_rng(seed)
    return [randomisation.draw(FLAT, rng) for _ in range(n)]


def value(episode, name):
    owner = episode.physics if name in PHYSICS_BOUNDS else episode.appearance
    return getattr(owner, name)


@pytest.mark.parametrize("name", ["mild", "strong"])
def test_a_preset_fills_its_ranges_and_nothing_else(name):
    randomisation = load_randomisation(name)
    own = FLAT.draw(np.random.default_rng(0))
    many = draws(randomisation, 300)
    for parameter, span in randomisation.ranges.items():
        base = getattr(own, parameter) if span.relative else 0.0
        low, high = (np.clip(base + end, *BOUNDS[parameter]) for end in (span.low, span.high))
        seen = np.array([value(episode, parameter) for episode in many])
        assert low - 1e-9 <= seen.min() < low + 0.05 * (high - low), parameter
        assert high - 0.05 * (high - low) < seen.max() <= high + 1e-9, parameter
    for parameter in set(BOUNDS) - set(randomisation.ranges):
        assert {value(episode, parameter) for episode in many} == {value(many[0], parameter)}, parameter
    for parameter, values in randomisation.choices.items():
        assert {getattr(episode.appearance, parameter) for episode in many} == set(values)


def test_strong_covers_mild():
    mild, strong = PRESETS["mild"], PRESETS["strong"]
    for name in set(mild.ranges) & set(PHYSICS_BOUNDS):
        assert strong.ranges[name].low <= mild.ranges[name].low, name
        assert strong.ranges[name].high >= mild.ranges[name].high, name


def test_none_draws_the_look_itself():
    episode = draws(PRESETS["none"], 1)[0]
    assert episode.physics == Physics()
    assert episode.appearance == FLAT.draw(np.random.default_rng(0))


def test_the_same_seed_draws_the_same_episodes():
    strong = load_randomisation("strong")
    assert draws(strong, 5, seed=4) == draws(strong, 5, seed=4)
    assert draws(strong, 5, seed=4) != draws(strong, 5, seed=5)


def test_an_episode_survives_json():
    episode = draws(load_randomisation("strong"), 1)[0]
    assert Episode.from_json(json.loads(json.dumps(episode.to_json()))) == episode


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"appearance": {"floor": 3}, "physics": {}, "seed": 1},
        {"appearance": {}, "physics": {}, "seed": -1},
        {"appearance": {}, "physics": {}, "seed": 1, "painting_seed": "x"},
    ],
)
def test_a_broken_episode_is_refused(values):
    with pytest.raises((UsageError, UnknownNameError)):
        Episode.from_json(values)


def test_a_corner_of_the_unit_cube_is_a_corner_of_the_ranges():
    strong = load_randomisation("strong")
    rng = np.random.default_rng(0)
    for end, unit in (("low", np.zeros(len(strong.names))), ("high", np.ones(len(strong.names)))):
        episode = strong.at(unit, FLAT, rng)
        for name in strong.names:
            assert value(episode, name) == pytest.approx(getattr(strong.ranges[name], end)), name


def test_a_learned_sampler_draws_around_its_points(tmp_path):
    strong = load_randomisation("strong")
    point = np.linspace(0.3, 0.7, len(strong.names))
    file = tmp_path / "hard.json"
    file.write_text(json.dumps({"base": "strong", "points": [point.tolist()], "width": 0.02}))
    learned = load_randomisation(file)
    assert learned.names == strong.names
    for name, middle in zip(strong.names, point, strict=True):
        span = strong.ranges[name]
        units = [(value(e, name) - span.low) / (span.high - span.low) for e in draws(learned, 200)]
        assert np.mean(units) == pytest.approx(middle, abs=0.01)
        assert np.std(units) == pytest.approx(0.02, rel=0.3)


def test_a_file_goes_on_from_a_preset(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('base = "mild"\n[ranges]\nnoise = {low = 0.1, high = 0.2}\n[choices]\nfloor = ["wood"]\n')
    mine = load_randomisation(str(file))
    assert mine.ranges["noise"] == Range(0.1, 0.2)
    assert mine.ranges["gamma"] == PRESETS["mild"].ranges["gamma"]
    assert {e.appearance.floor for e in draws(mine)} == {"wood"}
    again = tmp_path / "again.json"
    again.write_text(json.dumps({k: v for k, v in mine.to_json().items() if k != "name"}))
    assert load_randomisation(again).ranges == mine.ranges


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('base = "milf"', "did you mean 'mild'"),
        ("[ranges]\nlihgt = {low = 0.5, high = 1.0}", "did you mean 'light'"),
        ("[ranges]\nlight = {low = 2.0, high = 1.0}", "light must be a range"),
        ("[ranges]\nlight = {low = 0.5, high = nan}", "light must be a range"),
        ("[ranges]\nlight = {lo = 0.5, high = 1.0}", "ranges.light: expected {low"),
        ("[ranges]\nlight = 3", "ranges.light: expected {low"),
        ('[ranges]\nlight = {low = "a", high = 1.0}', "must be numbers"),
        ("[ranges]\nlight = {low = true, high = true}", "must be numbers"),
        ('[ranges]\nlight = {low = 0.5, high = 1.0, relative = "yes"}', "true or false"),
        ("ranges = 3", "ranges must be a table"),
        ('[choices]\nfloor = "wood"', "a list of names"),
        ('[choices]\nfloor = ["woud"]', "did you mean 'wood'"),
        ("points = [[0.5]]", "points must be"),
        ('base = "mild"\nwidth = "x"', "expected points"),
        ("[ranges]\nlight = {low = 0.5, high = 1.0}\n[[points]]", "points must be"),
        ("rnges = 3", "did you mean 'ranges'"),
        ("base = []", "base"),
        ("[choices]\nfloor = []", "floor must have a value"),
        (f"[ranges]\nlight = {{low = 1{'0' * 400}, high = 1.0}}", "of this world"),
        ("= 3", "not a randomisation file"),
    ],
)
def test_mistakes_in_a_file_are_told_in_one_line(tmp_path, text, told):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises((UsageError, UnknownNameError), match=told) as caught:
        load_randomisation(file)
    assert "\n" not in str(caught.value)


def test_unknown_names_and_missing_files(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'strong'"):
        World("oval", randomisation="stronk")
    with pytest.raises(UsageError, match="no such randomisation file"):
        load_randomisation(tmp_path / "gone.json")


def test_every_reset_begins_a_new_episode_and_none_begins_none():
    world = World("oval", camera=SMALL, randomisation="strong")
    first = world.episodes
    world.reset()
    assert world.episodes != first
    plain = World("oval", camera=SMALL)
    first = plain.episodes
    plain.reset()
    assert plain.episodes == first


def test_episodes_follow_the_seed_alone():
    def pictures(seed):
        world = World("oval", camera=SMALL, randomisation="strong", seed=1)
        state = world.reset(seed, start_s_m=0.0)
        for _ in range(3):
            state = world.step(0.2, 0.5)
        return world.episodes, state.image.tobytes()

    assert pictures(3) == pictures(3)
    assert pictures(3) != pictures(4)


def test_an_episode_can_be_driven_again():
    world = World("oval", camera=SMALL, randomisation="strong", seed=1)
    world.reset(9, start_s_m=0.0)
    episodes = world.episodes
    seen = [world.step(0.1, 0.6).image.tobytes() for _ in range(4)]
    other = World("oval", camera=SMALL, randomisation="none", seed=5)
    other.reset(2, start_s_m=0.0, episodes=episodes)
    again = [other.step(0.1, 0.6).image.tobytes() for _ in range(4)]
    assert again == seen


def test_with_many_cars_some_share_a_floor_and_say_so():
    n = MAX_PAINTINGS + 3
    world = World("oval", n=n, camera=SMALL, randomisation="strong", seed=1)
    floors = {(e.appearance.floor_r, e.floor_seed) for e in world.episodes}
    assert len(floors) == MAX_PAINTINGS
    assert len({e.physics for e in world.episodes}) == n
    # What an episode says is what is seen: alone in a world it looks the same.
    state = world.reset(5, start_s_m=np.arange(n) * 0.5)
    shared = n - 1
    alone = World("oval", n=1, camera=SMALL, randomisation="strong", seed=8)
    image = alone.reset(start_s_m=shared * 0.5, episodes=[world.episodes[shared]]).image
    assert (image[0] == state.image[shared]).all()


def test_a_reset_of_one_car_leaves_the_pictures_of_the_others():
    """Their shutter stays as long open, and they turn as fast, as if nothing had happened."""
    episode = draws(load_randomisation("strong"), 1)[0]
    sensor = dataclasses.replace(episode.appearance, shutter_s=0.03, readout_s=0.03)
    episode = dataclasses.replace(episode, appearance=sensor, physics=Physics())
    world = World("oval", n=2, camera=SMALL)
    world.reset(start_s_m=[0.0, 2.0], episodes=[episode, episode])
    for _ in range(15):
        before = world.step(0.6, 0.8)
    after = world.reset(cars=np.array([True, False]), episodes=world.episodes)
    assert (after.image[1] == before.image[1]).all()
    assert (after.image[0] != before.image[0]).any()


def test_few_floors_are_kept_and_new_ones_come():
    n = 3 * MAX_PAINTINGS
    world = World("oval", n=n, camera=SMALL, randomisation="strong", seed=1)
    seen = set()
    for round_ in range(3 * n):
        world.reset(cars=np.arange(n) == (round_ * 7) % n)
        floors = {(e.appearance.floor_r, e.floor_seed) for e in world.episodes}
        assert len(floors) <= 2 * MAX_PAINTINGS
        seen |= floors
    assert len(seen) > 2 * MAX_PAINTINGS


def test_what_redraws_survives_its_file(tmp_path):
    file = tmp_path / "look.json"
    file.write_text(json.dumps({k: v for k, v in PRESETS["look"].to_json().items() if k != "name"}))
    assert load_randomisation(file).varies
    assert not PRESETS["none"].varies


def test_cars_that_are_not_reset_keep_their_episode():
    world = World("oval", n=3, camera=SMALL, randomisation="strong", seed=1)
    before = world.episodes
    world.reset(cars=np.array([False, True, False]))
    assert (world.episodes[0], world.episodes[2]) == (before[0], before[2])
    assert world.episodes[1] != before[1]


def test_the_wrong_number_of_episodes_is_refused():
    world = World("oval", n=2, camera=SMALL)
    with pytest.raises(UsageError, match="expected 2 episodes, got 1"):
        world.reset(episodes=world.episodes[:1])


def test_dropped_frames_show_an_older_picture():
    world = World("oval", camera=SMALL)
    episode = dataclasses.replace(world.episodes[0], physics=Physics(dropped_frames=0.5), seed=3)
    world.reset(start_s_m=0.0, episodes=[episode])
    images = [world.step(0.0, 0.8).image.tobytes() for _ in range(60)]
    same = np.mean([a == b for a, b in itertools.pairwise(images[10:])])
    assert 0.3 < same < 0.7
    assert images[-1] != images[10]


def test_a_randomisation_checks_what_it_is_made_of():
    with pytest.raises(UnknownNameError, match="did you mean 'noise'"):
        Randomisation("mine", {"nose": Range(0, 0.1)})
    with pytest.raises(UsageError, match="width"):
        Randomisation("mine", {"noise": Range(0, 0.1)}, points=((0.5,),), width=2)
