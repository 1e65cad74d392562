"""Worlds that are not ours: what was recorded is split into blocks; gym-duckietown is a stand-in here."""

import itertools
import json

import numpy as np
import pytest

from dingocar.cli.main import main
from dingocar.errors import MissingExtraError, UsageError
from dingocar.evaluate.leaderboard.data import find_data, names_of, with_data
from dingocar.evaluate.leaderboard.elsewhere import VELOCITY, split_recorded
from dingocar.evaluate.leaderboard.judge import judge
from dingocar.evaluate.leaderboard.keys import recording_key, row_key
from dingocar.evaluate.leaderboard.recording import make_recording, recorded_episodes
from dingocar.evaluate.leaderboard.rules import labels_used
from dingocar.evaluate.leaderboard.suite import Recording, load_suite
from dingocar.sim import duckietown_gym
from dingocar.sim.duckiebot import WHEEL_PER_VELOCITY
from dingocar.sim.duckietown_gym_state import DuckietownState
from dingocar.tub import TubWriter, open_tub
from tests.evaluate.leaderboard.making import make_suite

CHANNELS = (["cam/image_array", "user/angle", "user/throttle", "user/mode"],)
CHANNELS += (["image_array", "float", "float", "str"],)


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """Somebody's recording: 240 records whose steering is their number, one of them by the pilot."""
    tub = tmp_path_factory.mktemp("drive") / "tub"
    with TubWriter(tub, *CHANNELS, {}, on_full="wait") as writer:
        for number in range(240):
            image = np.full((60, 80, 3), number, np.uint8)
            mode = "local" if number == 110 else "user"
            writer.write(dict(zip(CHANNELS[0], (image, number / 240, 0.3, mode), strict=True)))
    return tub


def numbers(tub):
    return [round(record.steering * 240) for record in open_tub(tub)]


def taken(folder, drive, **more):
    recording = Recording(("lap",), frames=1000, place="recorded", domain="real", **more)
    return make_recording(folder, recording, 0, (30, 40), data=find_data({"lap": str(drive)}))


def test_what_is_held_out_is_in_contiguous_blocks_apart_from_what_is_trained_on(drive, tmp_path):
    trained, held = (numbers(taken(tmp_path / str(part), drive, held_out=part)) for part in (False, True))
    assert trained and held and not set(trained) & set(held) and 110 not in {*trained, *held}
    apart = [abs(a - b) for a in trained for b in held]
    assert min(apart) > 8
    steps = np.diff(held)
    assert (steps >= 1).all() and (steps > 8).sum() == 3 and 109 in held and 111 in held
    tub = open_tub(tmp_path / "False" / "tub")
    assert tub[0].image().shape == (30, 40, 3) and tub.domain == "real"
    # A record that is missing ends a run, and so does a block.
    assert len(open_tub(tmp_path / "True" / "tub").sessions) == 5
    assert recorded_episodes(tmp_path / "True") == []


def test_fewer_frames_make_every_block_shorter(drive, tmp_path):
    recording = Recording(("lap",), frames=40, place="recorded", held_out=True)
    tub = make_recording(tmp_path / "a", recording, 0, (30, 40), data=find_data({"lap": str(drive)}))
    assert abs(len(open_tub(tub)) - 40) <= 2 and max(numbers(tub)) < 235


def test_a_whole_recording_may_be_added_to_what_a_method_learns_from(drive, tmp_path):
    suite = recorded_suite(recording={"tracks": ["oval"], "frames": 48, "also": ["sim"]})
    assert names_of(suite) == ["lap", "sim"]
    assert [m.recording.also for m in suite.methods] == [("sim",), ("sim",), ()]
    assert suite.methods[1].unlabelled.also == ()
    kept, left_out = with_data(suite, find_data({"lap": str(drive)}))
    assert [method.name for method in kept.methods] == ["oracle"] and len(left_out) == 2
    data = find_data({"sim": str(drive)})
    recording = suite.methods[0].recording
    tub = open_tub(make_recording(tmp_path / "a", recording, 0, (60, 80), data=data))
    assert len(tub) == 48 + 239 and tub.domain == "sim"
    ours, theirs = (recording_key(recording, 0, (60, 80), "", {"sim": {"digest": d}}) for d in "ab")
    assert ours != theirs
    with pytest.raises(UsageError, match="the recording 'sim' is not there; give --data sim=DIR"):
        make_recording(tmp_path / "b", recording, 0, (60, 80))
    with pytest.raises(UsageError, match=r"methods.none.recording.also: 'lap' is used elsewhere, in parts"):
        recorded_suite(recording={"tracks": ["oval"], "also": ["lap"]})


def test_the_split_is_the_same_always_and_tiny_drives_have_none():
    for count in (60, 240, 1000, 9815):
        pairs = split_recorded(count)
        assert pairs == split_recorded(count) and len(pairs) == 4
        places = [place for pair in pairs for place in pair]
        gaps = [b.start - a.stop for a, b in itertools.pairwise(places)]
        assert min(gaps) >= min(100, count // 4 // 6) - 1
        held = sum(part.stop - part.start for _, part in pairs)
        assert held == pytest.approx(count / 3, rel=0.05)
    assert split_recorded(3) == []


def recorded_suite(**changes):
    recorded = {"place": "recorded", "tracks": ["lap"]}
    return make_suite(
        target="recorded",
        methods={
            "none": {"role": "source"},
            "confusion": {"kind": "adapt", "unlabelled": recorded},
            "oracle": {"role": "oracle", "recording": {**recorded, "domain": "real", "also": []}},
        },
        worlds={
            "home": {"role": "source", "tracks": ["circuit"]},
            "lap": {"role": "test", **recorded},
        },
        **changes,
    )


def test_what_needs_a_recording_that_is_not_there_is_left_out(drive):
    suite = recorded_suite()
    assert names_of(suite) == ["lap"]
    kept, left_out = with_data(suite, {})
    assert [method.name for method in kept.methods] == ["none"]
    assert [world.name for world in kept.worlds] == ["home"]
    assert left_out == [
        f"{what} is left out: its recording is not there, give --data lap=DIR"
        for what in ("world lap", "method confusion", "method oracle")
    ]
    whole, nothing = with_data(suite, find_data({"lap": str(drive)}))
    assert nothing == [] and whole.methods == suite.methods
    with pytest.raises(UsageError, match="--data lapp: unknown recording; did you mean 'lap'"):
        with_data(suite, {"lapp": {}})
    with pytest.raises(UsageError, match="--data x: unknown recording; there are none"):
        with_data(make_suite(), {"x": {}})


def test_rows_are_named_by_what_the_recording_holds(drive, tmp_path):
    suite = recorded_suite()
    data = find_data({"lap": str(drive)})
    one, other = (with_data(suite, d)[0] for d in (data, {"lap": {**data["lap"], "digest": "other"}}))
    moved = with_data(suite, {"lap": {**data["lap"], "folder": "elsewhere"}})[0]
    keys = [row_key(s, s.row("linear/none/0")) for s in (one, other, moved)]
    assert keys[0] != keys[1] and keys[0] == keys[2]
    recording = one.world("lap").recording
    assert recording_key(recording, 0, (64, 84), "x", data) != recording_key(recording, 0, (64, 84), "x")


def test_the_target_may_be_what_was_recorded():
    suite = recorded_suite()
    assert [labels_used(suite, method) for method in suite.methods] == [0, 0, None]
    with pytest.raises(UsageError, match="held_out: what is held out is for worlds; remove it"):
        make_suite(methods__mild__recording={"held_out": True})
    with pytest.raises(UsageError, match=r"worlds.dev \(dev\): track 'lap' is the test track 'lap'"):
        make_suite(
            worlds__dev={"role": "dev", "place": "recorded", "tracks": ["lap"]},
            worlds__lap={"role": "test", "place": "recorded", "tracks": ["lap"]},
        )


def test_a_suite_does_not_say_where_recordings_are(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('data = {lap = "somewhere"}\n')
    with pytest.raises(UsageError, match="data: where recordings are is said with --data NAME=DIR; remove"):
        load_suite(file)


SUITE = """
title = "Recorded"
seeds = [0, 1, 2]
target = "recorded"
picture = [64, 84]
training = {epochs = 1, validation_blocks = 1}
recording = {tracks = ["random:1"], frames = 60}
[pilots.linear]
[methods.none]
role = "source"
[methods.oracle]
role = "oracle"
recording = {place = "recorded", tracks = ["lap"], domain = "real"}
[worlds.lap]
role = "test"
place = "recorded"
tracks = ["lap"]
"""


def test_a_run_beside_a_recording_and_one_without_it(drive, tmp_path, capsys):
    file, out = tmp_path / "s.toml", tmp_path / "out"
    file.write_text(SUITE)
    assert main(["leaderboard", "run", str(file), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "world lap is left out: its recording is not there, give --data lap=DIR" in said.err
    assert "nothing is left to run" in said.out and not out.exists()
    run = ["leaderboard", "run", str(file), "--out", str(out), "--only", "*/0", "--data", f"lap={drive}"]
    assert main([*run, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["done"] == ["linear/none/0", "linear/oracle/0"] and report["notes"] == []
    exported = tmp_path / "all.jsonl"
    show = ["leaderboard", "show", str(file), "--out", str(out), "--html", str(tmp_path / "page.html")]
    assert main([*show, "--export", str(exported)]) == 0
    assert "not driven" in capsys.readouterr().out and "not driven" in (tmp_path / "page.html").read_text()
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert [line["method"] for line in lines] == ["none", "oracle"]
    assert lines[0]["laps"] is None and lines[0]["mae"] > 0 and lines[0]["labels"] == 0
    assert lines[1]["labels"] is None and lines[1]["mae_source"] is None
    assert main([*run[:-1], "lap"]) == 2
    assert "--data must be NAME=DIR" in capsys.readouterr().err


class Gym:
    """A straight road of gym-duckietown: steering moves the car aside; 0.15 m off it is off the road."""

    dt_s, domain_rand, start_within_m = 1 / 30, False, None
    tiles, tile_size_m = [["straight/E"] * 30], 0.6

    def __init__(self, map_name, seed, image_shape=(120, 160), draw=True, **more):
        self.map_name, self.shape, self.closed = map_name, image_shape, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def reset(self, seed):
        self.x_m, self.aside_m, self.count = 0.3, 0.0, 0
        return self._state(False)

    def step(self, steering, throttle):
        self.x_m += 0.02 * throttle
        self.aside_m += 0.05 * steering
        self.count += 1
        return self._state(abs(self.aside_m) > 0.15)

    def sine_to_lane(self, ahead_m):
        return float(-np.tanh(self.aside_m)) * 0.1

    def _state(self, done):
        image, y_m = np.full((*self.shape, 3), 99, np.uint8), 0.28 * 0.6 - self.aside_m
        return DuckietownState(
            *(image, self.x_m, y_m, 0.0, -self.aside_m, 0.0, 1.0, 1.0, done, self.count),
            *(self.count / 30, (0, 0), {}),
        )


class Pilot:
    """Always steers as it was told."""

    def __init__(self, steering):
        self.steering = steering

    def run_batch(self, images):
        return np.full(len(images), self.steering), np.full(len(images), 0.9)


DUCKIE = {
    "role": "test",
    "place": "gym-duckietown",
    "tracks": ["zigzag_dists", "udem1"],
    "laps": 2,
    "steps": 60,
}


@pytest.fixture
def suite(monkeypatch):
    monkeypatch.setattr(duckietown_gym, "DuckietownGym", Gym)
    return make_suite(
        target="gym-duckietown",
        methods={
            "none": {"role": "source"},
            "coral": {
                "kind": "adapt",
                "unlabelled": {"place": "gym-duckietown", "tracks": ["loop_empty"], "frames": 50},
                "options": {"method": "coral"},
            },
        },
        worlds={"duckie": DUCKIE},
    )


def test_episodes_in_gym_duckietown_are_laps(suite):
    world = suite.world("duckie")
    facts, paths = judge(suite, world, None)
    assert (facts["clean_laps"], facts["laps"], facts["completion"]) == (4, 4, 1.0)
    assert len(paths) == 4 and paths["duckie/udem1/1"].shape == (61, 3)
    facts, _ = judge(suite, world, Pilot(0.5))  # off the road in the 7th of 60 steps
    assert (facts["clean_laps"], facts["off_tracks_per_lap"]) == (0, 1.0)
    assert facts["completion"] == facts["first_failure"] == pytest.approx(7 / 60)
    facts, paths = judge(suite, world, Pilot(0.0))
    throttle = VELOCITY * WHEEL_PER_VELOCITY  # the expert's, not the pilot's own
    assert paths["duckie/udem1/1"][-1, 0] == pytest.approx(0.3 + 60 * 0.02 * throttle, rel=1e-3)
    assert facts["clean_laps"] == 4 and "mean_reward" in facts and "survival_s" in facts["medians"]


def test_pictures_of_gym_duckietown_are_recorded(suite, tmp_path):
    tub = make_recording(tmp_path / "a", suite.methods[1].unlabelled, 3, (30, 40))
    records = list(open_tub(tub))
    assert len(records) == 50 and records[0].image().shape == (30, 40, 3)
    assert open_tub(tub).domain == "real"
    assert sum(episode["frames"] for episode in recorded_episodes(tmp_path / "a")) == 50


def test_test_maps_are_not_recorded_on(suite):
    with pytest.raises(
        UsageError, match=r"methods\.coral\.unlabelled: track 'udem1' is the test track 'udem1'"
    ):
        make_suite(
            target="gym-duckietown",
            methods={
                "coral": {
                    "kind": "adapt",
                    "unlabelled": {"place": "gym-duckietown", "tracks": ["udem1"], "frames": 50},
                }
            },
            worlds={"duckie": DUCKIE},
            baseline="",
        )


def test_without_gym_duckietown_there_is_one_line(suite, monkeypatch, tmp_path):
    def missing(*_, **__):
        raise MissingExtraError("duckietown_world", "duckietown", "driving in gym-duckietown")

    monkeypatch.setattr(duckietown_gym, "DuckietownGym", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'dingocar\[duckietown\]'"):
        make_recording(tmp_path / "a", suite.world("duckie").recording, 0, (30, 40))
