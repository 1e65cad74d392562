"""A suite's file, and each rule of a fair comparison as an error in one line."""

import re
from pathlib import Path

import pytest

from dingocar.errors import DingocarError, UsageError
from dingocar.evaluate.leaderboard import load_suite
from dingocar.evaluate.leaderboard.keys import code_digest, model_key, recording_key, row_key
from dingocar.evaluate.leaderboard.notes import coverage, notes
from dingocar.evaluate.leaderboard.rules import labels_used, same_course, target_looks, training_settings
from dingocar.evaluate.leaderboard.suite import suite_from
from dingocar.sim import Track, load_look, load_randomisation, load_track
from dingocar.sim.randomisation import Randomisation, Range
from tests.evaluate.leaderboard.making import make_suite, plain

ROOT = Path(__file__).resolve().parents[3]


def test_rows_are_pilots_times_methods_times_seeds_and_the_expert():
    suite = make_suite()
    names = [row.name for row in suite.rows()]
    assert names[0] == "expert" and len(names) == 1 + 3 * 3 == len(set(names))
    assert [row.seed for row in suite.rows()[1:4]] == [0, 0, 0]
    assert [row.name for row in suite.rows("linear/none")] == [f"linear/none/{s}" for s in (0, 1, 2)]
    assert len(suite.rows("*/1")) == 3
    with pytest.raises(UsageError, match="no such row; rows are called like linear/oracle/2"):
        suite.rows("nothing")
    with pytest.raises(UsageError, match="did you mean 'linear/none/0'"):
        suite.row("linear/nome/0")


def test_a_method_may_be_for_some_pilots_alone():
    suite = make_suite(pilots__resnet1={}, methods__mild__pilots=["resnet1"])
    groups = {row.group for row in suite.rows()}
    assert "resnet1/mild" in groups and "linear/mild" not in groups and len(groups) == 1 + 5
    whole = make_suite(pilots__resnet1={})
    # The same row, whoever else is there.
    assert row_key(whole, whole.row("resnet1/mild/0")) == row_key(suite, suite.row("resnet1/mild/0"))


def test_what_is_written_is_read_again():
    suite = make_suite(methods__mild__labelled={"look": "photo", "frames": 20})
    assert suite_from(suite.to_json(), "again") == suite


BROKEN = {
    "methods.none.seed: all rows share the suite's seeds": {"methods__none__seed": 4},
    "methods.none.training.seed: all rows share": {"methods__none__training": {"seed": 4}},
    "methods.none.training.split_seed: all rows share": {"methods__none__training": {"split_seed": 4}},
    "worlds.away.seeds: all rows share": {"worlds__away__seeds": [1]},
    "seeds: expected whole numbers >= 0, all different": {"seeds": [1, 1, 2]},
    "methods.none.recording: track 'circuit' is the test track 'circuit' of worlds.away": {
        "methods__none__recording": {"tracks": ["circuit"]}
    },
    "methods.mild.labelled: track 'circuit'": {
        "methods__mild__labelled": {"look": "photo", "tracks": ["circuit"]}
    },
    "worlds.dev (dev): track 'circuit'": {"worlds__dev": {"role": "dev", "tracks": ["circuit"]}},
    "methods.mild.selection: 'away' is a test world; only a dev world may select": {
        "methods__mild__selection": "away",
        "methods__mild__candidates": [{"epochs": 1}, {"epochs": 2}],
    },
    "methods.mild.pilots: there is no pilot 'linea'; did you mean 'linear'": {
        "methods__mild__pilots": ["linea"]
    },
    "methods.none.pilots: all pilots are compared with 'none'": {"methods__none__pilots": ["linear"]},
    "methods.mild.selection: 'home' is a source world": {"methods__mild__selection": "home"},
    "methods.mild.selection: expected 'source' or a dev world": {"methods__mild__selection": "nowhere"},
    "methods.mild.selection: nothing to select from": {
        "worlds__dev": {"role": "dev", "tracks": ["oval"]},
        "methods__mild__selection": "dev",
    },
    "methods.mild.labelled.look: expected the target 'photo', got 'flat'": {
        "methods__mild__labelled": {"look": "flat"}
    },
    "methods.oracle: an oracle learns from the target 'photo', not from 'flat'": {
        "methods__oracle__recording": {"look": "flat"}
    },
    "methods.none: the source row learns from the source alone": {
        "methods__none__recording": {"randomisation": "mild"}
    },
    "at most one may have the role 'source'": {"methods__mild__role": "source"},
    'at least one with role = "test"': {"worlds__away__role": "source"},
    "baseline: there is no method 'nome'; did you mean 'none'": {"baseline": "nome"},
    "pilots.linear.settings.image_shape": {"pilots__linear__settings": {"image_shape": [1, 1, 3]}},
    "unknown pilot setting 'dropuot'; did you mean 'dropout'": {"pilots__linear__settings": {"dropuot": 0.1}},
    "unknown training setting 'epoch'": {"methods__none__training": {"epoch": 3}},
    "unknown method kind 'suprevised'; did you mean 'supervised'": {"methods__mild__kind": "suprevised"},
    "methods.mild.options: unknown option 'x'": {"methods__mild__options": {"x": 1}},
    "methods.mild.unlabelled: the kind 'supervised' does not use it": {
        "methods__mild__unlabelled": {"look": "photo"}
    },
    "methods.mild.options.first_share: expected a share between 0 and 1": {
        "methods__mild__kind": "active",
        "methods__mild__options": {"first_share": 1.5},
    },
    "worlds.away: unknown setting 'trakcs'; did you mean 'tracks'": {"worlds__away__trakcs": ["oval"]},
    "worlds.away: 'tracks' must be given": {"worlds__away__tracks": None},
    "unknown look 'foto'; did you mean 'photo'": {"worlds__away__look": "foto"},
    "unknown randomisation 'mildd'": {"methods__mild__recording": {"randomisation": "mildd"}},
    "worlds.away.laps: expected a whole number, got '4'": {"worlds__away__laps": "4"},
    "methods.mild.recording.noise: expected a number from 0 to 1": {"methods__mild__recording": {"noise": 2}},
    "methods.mild.recording.frames: expected from 1 to 1000000, got 1000000000000": {
        "methods__mild__recording": {"frames": 10**12}
    },
    "methods.mild.recording.frames: expected from 2 to 1000000, got 1": {
        "methods__mild__recording": {"tracks": ["random:1", "oval"], "frames": 1}
    },
    "methods.mild.recording.frames: expected at least 20 to learn from, got 1": {
        "methods__mild__recording": {"frames": 1}
    },
    "methods.mild.labelled.frames: expected from 1 to 1000000, got 0": {
        "methods__mild__labelled": {"look": "photo", "frames": 0}
    },
    "methods.mild.recording.episode_frames: expected from 1 to 1000000, got 0": {
        "methods__mild__recording": {"episode_frames": 0}
    },
    "worlds.away.frames: expected from 1 to 1000000, got a number of thousands of digits": {
        "worlds__away__frames": 1 << 100_000
    },
    "picture: expected [height, width]": {"picture": [64]},
    "8 to 4096 pixels, the width a multiple of 4, got [64, 1000000000]": {"picture": [64, 10**9]},
    "s.toml: has no methods; a suite needs [pilots.NAME], [methods.NAME] and [worlds.NAME]": {"methods": {}},
    "s.toml: pilots: expected tables [pilots.NAME], got 7": {"pilots": 7},
    "names without '/'": {"pilots__a/b": {}},
    "unknown setting 'metods'; did you mean 'methods'": {"metods": {}},
}


@pytest.mark.parametrize("message", BROKEN)
def test_each_broken_rule_is_an_error_in_one_line(message):
    changes = BROKEN[message]
    with pytest.raises(DingocarError, match=re.escape(message)) as caught:
        make_suite(**changes)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("s.toml")


def test_a_test_track_is_found_under_another_name(tmp_path):
    track = load_track("circuit")
    turned = Track.from_centre("mine", track.centre[::-1] + 5.0, 0.35)
    turned.save(tmp_path / "mine.npy")
    with pytest.raises(UsageError, match=r"mine.npy' is the test track 'circuit'"):
        make_suite(methods__none__recording={"tracks": [str(tmp_path / "mine.npy")]})
    with pytest.raises(UsageError, match="track 'random' is the test track 'random:0'"):
        make_suite(worlds__away__tracks=["random:0"], recording__tracks=["random"])
    others = [load_track(name) for name in ("oval", "circuit", *(f"random:{i}" for i in range(20)))]
    assert not any(same_course(one, other) for i, one in enumerate(others) for other in others[:i])


def test_all_lanes_of_a_map_of_tiles_are_one_course():
    lane, other = (load_track(name) for name in ("duckietown:loop", "duckietown:loop,cw"))
    assert same_course(lane, other) and same_course(other, lane)
    assert not same_course(lane, load_track("circuit"))
    with pytest.raises(UsageError, match="track 'duckietown:loop,cw' is the test track 'duckietown:loop'"):
        make_suite(worlds__away__tracks=["duckietown:loop"], recording__tracks=["duckietown:loop,cw"])


def test_notes_say_what_is_missing():
    assert [note.text for note in notes(make_suite()) if note.grave] == []
    few = notes(make_suite(seeds=[0, 1]))
    assert any(note.grave and note.text.startswith("Not a comparison: 2 seeds") for note in few)
    alone = notes(make_suite(methods={"mild": {}}, baseline=""))
    assert [note.text[:20] for note in alone[:2]] == ["There is no source r", "There is no oracle r"]
    frames = notes(make_suite(methods__mild__labelled={"look": "photo", "frames": 20}))
    assert any("different numbers of labelled frames" in note.text for note in frames)
    tuned = notes(make_suite(methods__mild__candidates=[{"epochs": 1}, {"epochs": 2}]))
    assert any(note.grave and "chose among candidates: mild" in note.text for note in tuned)


def test_a_randomisation_that_includes_the_target_is_flagged(tmp_path):
    flat, photo = load_look("flat"), load_look("photo")
    covered, differ = coverage(load_randomisation("strong"), flat, photo)
    assert covered < differ
    wide = Randomisation("wide", {n: Range(-1e9, 1e9) for n in ()}, {})
    assert coverage(wide, flat, flat) == (set(), set())
    assert coverage(wide, flat, photo)[0] == set()
    file = tmp_path / "all.json"
    file.write_text(_everything())
    flagged = notes(make_suite(methods__mild__recording={"randomisation": str(file)}))
    assert any(note.grave and "includes the target's exact look" in note.text for note in flagged)


def _everything():
    import json

    from dingocar.sim.appearance import APPEARANCE_BOUNDS
    from dingocar.sim.randomisation import CHOICES

    ranges = {name: {"low": low, "high": high} for name, (low, high) in APPEARANCE_BOUNDS.items()}
    return json.dumps({"ranges": ranges, "choices": {name: list(c) for name, c in CHOICES.items()}})


def test_labels_of_the_target_are_counted():
    suite = make_suite(methods__mild__labelled={"look": "photo", "frames": 20})
    assert [labels_used(suite, method) for method in suite.methods] == [0, 20, None]


def test_the_look_of_a_test_world_is_a_target_look():
    suite = make_suite(
        target="duckietown",
        methods__mild__recording={"look": "photo"},
        methods__oracle__recording={"look": "duckietown"},
    )
    assert target_looks(suite) == ["duckietown", "photo"]
    assert [labels_used(suite, method) for method in suite.methods] == [0, None, None]
    assert any(
        note.grave and "No test world has the look of the target" in note.text for note in notes(suite)
    )
    alone = make_suite(target="flat", methods={"mild": {"recording": {"look": "photo"}}}, baseline="")
    assert labels_used(alone, alone.methods[0]) is None
    few = make_suite(target="duckietown", methods__mild__labelled={"look": "photo", "frames": 20})
    assert labels_used(few, few.methods[1]) == 20
    with pytest.raises(UsageError, match="expected the target 'duckietown' or 'photo', got 'flat'"):
        make_suite(target="duckietown", methods__mild__labelled={"look": "flat"})


def test_a_test_world_may_have_the_look_of_the_source():
    shifted = {"role": "test", "tracks": ["circuit"], "randomisation": "mild"}
    suite = make_suite(worlds__shifted=shifted)
    assert target_looks(suite) == ["photo"]
    assert [labels_used(suite, method) for method in suite.methods] == [0, 0, None]
    alone = make_suite(worlds__shifted=shifted, methods={"mild": {}}, baseline="")
    assert target_looks(alone) == ["photo"]  # the source is then what the source worlds look like


def test_training_settings_of_suite_method_and_candidate():
    suite = make_suite(
        training={"epochs": 1, "batch_size": 8},
        methods__mild__training={"epochs": 3},
        methods__mild__candidates=[{"batch_size": 4}, {"augmentation.shift_p": 0.25}],
    )
    made = training_settings(suite, suite.methods[1], 7, 1)
    assert (made.epochs, made.batch_size, made.augmentation.shift_p) == (3, 8, 0.25)
    assert (made.seed, made.split_seed, made.progress, made.decode_workers) == (7, 7, False, 1)
    assert training_settings(suite, suite.methods[1], 7, 0).batch_size == 4


def test_a_row_is_named_by_all_that_decides_it(tmp_path):
    def key(**changes):
        suite = make_suite(**changes)
        return row_key(suite, suite.row("linear/mild/0"))

    same = key()
    assert key(title="Other") == key(seeds=[0, 5]) == key(methods__none__training={"epochs": 9}) == same
    drawn = tmp_path / "drawn.toml"
    drawn.write_text("[ranges]\nlight = {low = 0.9, high = 1.1}\n")
    changed = [
        {"training": {"epochs": 2}},
        {"picture": [68, 84]},
        {"pilots__linear__settings": {"dropout": 0.3}},
        {"methods__mild__recording": {"randomisation": "strong"}},
        {"worlds__away__laps": 5},
        {"worlds__away__seed": 5},
        {"methods__mild__recording": {"randomisation": str(drawn)}},
    ]
    keys = [key(**change) for change in changed]
    assert len({same, *keys}) == len(changed) + 1
    drawn.write_text("[ranges]\nlight = {low = 0.8, high = 1.1}\n")
    assert key(**changed[-1]) != keys[-1]  # a file counts by its contents
    suite = make_suite()
    assert row_key(suite, suite.row("linear/mild/0")) != row_key(suite, suite.row("linear/mild/1"))


def test_pilots_are_shared_by_worlds_and_recordings_by_rows():
    one, other = make_suite(), make_suite(worlds__away__laps=5)
    keys = [model_key(suite, suite.row("linear/mild/0"), "x") for suite in (one, other)]
    assert keys[0] == keys[1] != model_key(one, one.row("linear/mild/0"), "y")
    recording = one.methods[0].recording
    assert recording_key(recording, 0, (64, 84), "x") == recording_key(recording, 0, (64, 84), "x")
    assert recording_key(recording, 0, (64, 84), "x") != recording_key(recording, 1, (64, 84), "x")
    assert code_digest() == code_digest() and len(code_digest()) == 16


@pytest.mark.parametrize("file", sorted(ROOT.glob("benchmarks/suites/*.toml")), ids=lambda p: p.stem)
def test_our_own_suites_keep_the_rules(file):
    suite = load_suite(file)
    assert len(suite.seeds) >= 3
    assert not any(note.grave for note in notes(suite))


NO_SUITES = {
    "a = ": "is no TOML file",
    "\xff": "is no TOML file",
    f"seeds = [{'1' * 5000}]": "is no TOML file",
    "": "s.toml: has no pilots; a suite needs",
    "title = 1": "s.toml: has no pilots; a suite needs",
}


@pytest.mark.parametrize("text", NO_SUITES, ids=lambda text: text[:20])
def test_a_file_that_is_no_suite(tmp_path, text):
    file = tmp_path / "s.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=NO_SUITES[text]):
        load_suite(file)
    with pytest.raises(UsageError, match="cannot be read"):
        load_suite(tmp_path / "none.toml")
    (tmp_path / "nine.toml").write_text("")
    with pytest.raises(UsageError, match=r"did you mean 'nine.toml'\?"):
        load_suite(tmp_path / "nne.toml")
    assert plain()["title"] == "Test"
