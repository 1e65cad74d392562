"""Methods that adapt: their settings and pictures are checked when the suite is read; labels are counted."""

import dataclasses
import json
from pathlib import Path

import pytest

from dingocar.cli.main import main
from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard import load_suite
from dingocar.evaluate.leaderboard.methods import Task, Trained, adapt, load_kind, options_of, supervised
from dingocar.evaluate.leaderboard.notes import notes
from dingocar.evaluate.leaderboard.recording import make_recording
from dingocar.evaluate.leaderboard.rules import labels_used, training_settings
from dingocar.evaluate.leaderboard.suite import Recording
from dingocar.tub import open_tub
from dingocar.zoo import pilots
from tests.evaluate.leaderboard.making import make_suite

ROOT = Path(__file__).resolve().parents[3]
PHOTO = {"look": "photo"}


def adapting(options=None, **more):
    return {"kind": "adapt", "options": options or {}, **more}


BROKEN = {
    "methods.mild: unknown method 'confusoin'; did you mean 'confusion'": adapting(
        {"method": "confusoin"}, unlabelled=PHOTO
    ),
    "methods.mild: unknown method setting 'hiden'; did you mean 'hidden'": adapting(
        {"settings": {"hiden": 3}}, unlabelled=PHOTO
    ),
    "methods.mild: method setting weight: expected a number": adapting(
        {"settings": {"weight": -1}}, unlabelled=PHOTO
    ),
    "methods.mild.options.settings: expected a table, got 'mlp'": adapting(
        {"settings": "mlp"}, unlabelled=PHOTO
    ),
    "methods.mild.options.real_labels: expected a whole number, got True": adapting(
        {"real_labels": True}, unlabelled=PHOTO
    ),
    "methods.mild: unknown selection 'bets'": adapting({"select": "bets"}, unlabelled=PHOTO),
    "methods.mild: confusion learns from pictures of the target: add unlabelled = {...}": adapting(),
    "methods.mild: mix learns from labels of the target: add labelled = {...}": adapting(
        {"method": "mix"}, unlabelled=PHOTO
    ),
    "methods.mild: options.real_labels = 20: of which pictures? add labelled": adapting(
        {"real_labels": 20}, unlabelled=PHOTO
    ),
    "methods.mild.options: 65 labels are asked for, and 64 are recorded": adapting(
        {"real_labels": 65}, labelled=PHOTO
    ),
    "methods.mild: recording.domain: expected 'sim', got 'real'": adapting(
        unlabelled=PHOTO, recording={"domain": "real"}
    ),
    "methods.mild: unlabelled.domain: expected 'real', got 'sim'": adapting(
        unlabelled={**PHOTO, "domain": "sim"}
    ),
    "methods.mild.options: unknown option 'real_label'; did you mean 'real_labels'": adapting(
        {"real_label": 3}, unlabelled=PHOTO
    ),
    "methods.mild: histogram learns from pictures of the target": adapting({"method": "histogram"}),
    "methods.mild: options.labels: expected at least 10, or -1 for all, got 5": {"options": {"labels": 5}},
    "methods.mild.options: 100 labels are asked for, and 64 are recorded": {"options": {"labels": 100}},
    "methods.mild: options.alone: learns from labelled pictures alone: add labelled": {
        "options": {"alone": True}
    },
    "methods.mild.options.alone: expected true or false, got 1": {"options": {"alone": 1}},
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_method_that_cannot_be_is_an_error_in_one_line(message):
    with pytest.raises(UsageError) as caught:
        make_suite(methods__mild=BROKEN[message])
    assert str(caught.value).startswith(f"s.toml: {message}") and "\n" not in str(caught.value)


def test_labels_are_counted_by_what_is_asked_for():
    suite = make_suite(
        methods={
            "none": {"role": "source"},
            "confusion": adapting(unlabelled=PHOTO, recording={"randomisation": "mild"}),
            "mix": adapting({"method": "mix", "real_labels": 20}, labelled=PHOTO),
            "all": adapting({"method": "mix"}, labelled=PHOTO),
            "few": {"labelled": PHOTO, "options": {"labels": 20, "alone": True}},
            "oracle": {"role": "oracle", "recording": {**PHOTO, "domain": "real"}},
        }
    )
    assert [labels_used(suite, method) for method in suite.methods] == [0, 0, 20, 64, 20, None]
    assert suite.methods[1].unlabelled.domain == "real" and suite.methods[1].recording.domain == "sim"
    assert any("different numbers of labelled frames" in note.text for note in notes(suite))
    same = make_suite(methods__mild=adapting(unlabelled=PHOTO))
    assert not any("different numbers" in note.text for note in notes(same))


def test_a_pilot_s_own_training_wins_over_the_suite_s_and_loses_against_the_method_s():
    suite = make_suite(
        training={"epochs": 1, "batch_size": 8, "learning_rate": 0.1},
        pilots__linear__training={"epochs": 3, "batch_size": 16},
        methods__mild__training={"batch_size": 4},
    )
    made = training_settings(suite, suite.methods[1], 0, None, suite.pilots[0])
    assert (made.epochs, made.batch_size, made.learning_rate) == (3, 4, 0.1)
    with pytest.raises(UsageError, match=r"training.seed: all rows share"):
        make_suite(pilots__linear__training={"seed": 3})


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A recording of the target."""
    return make_recording(
        tmp_path_factory.mktemp("photo"), Recording(("oval",), "photo", frames=60), 0, (64, 84)
    )


def few_task(suite, folder, photo, seed=0):
    method = suite.methods[1]
    return Task(
        pilot=pilots.load("linear").from_settings({"image_shape": (64, 84, 3)}),
        method=method,
        settings=training_settings(suite, method, seed, None),
        seed=seed,
        picture=(64, 84),
        tubs={"recording": photo},
        folder=folder,
        options=options_of(method),
    )


def test_few_labels_are_nested_and_fill_as_many_batches(tmp_path, monkeypatch, photo):
    seen = []

    def watched(task, tubs, **_):
        records = list(open_tub(tubs[-1]))
        assert records[0].image().shape == (64, 84, 3)
        labels = [round(record.steering, 6) for record in records]
        seen.append((labels, task.settings, [tub.name for tub in tubs]))
        return Trained(tubs[0], len(records), 0.5, 1, 1)

    monkeypatch.setattr(supervised, "fit", watched)
    for count, seed in ((10, 0), (30, 0), (30, 1)):
        suite = make_suite(
            recording__frames=200,
            methods__mild={
                "labelled": {**PHOTO, "frames": 60},
                "options": {"labels": count, "alone": True},
            },
        )
        task = few_task(suite, tmp_path, photo, seed)
        made = load_kind("supervised").train(
            dataclasses.replace(task, tubs={"recording": 0, "labelled": photo})
        )
        assert (made.frames, made.validation_mae) == (count, None) and not list(tmp_path.iterdir())
    ten, thirty, other = (set(labels) for labels, *_ in seen)
    assert ten < thirty != other and len(ten) <= 10 < len(thirty) <= 30
    labels, settings, names = seen[0]
    assert len(labels) == 200 and len(set(labels[:10])) == len(ten) and names == ["labels"]
    assert settings.keep == "last" and settings.gap_frames == 0
    assert labels[:10] != labels[10:20], "another order each time"
    assert len(open_tub(photo)) == 60, "the recording is shared by other rows"


def test_few_labels_beside_the_recording_and_too_few(tmp_path, monkeypatch, photo):
    seen = []

    def watched(task, tubs, **_):
        seen.append((len(list(open_tub(tubs[1]))), task.settings.keep))
        return Trained(tubs[0], 93, 0.5, 1, 1)

    monkeypatch.setattr(supervised, "fit", watched)
    suite = make_suite(methods__mild={"labelled": {**PHOTO, "frames": 90}, "options": {"labels": 30}})
    task = few_task(suite, tmp_path, photo)
    task = dataclasses.replace(task, tubs={"recording": photo, "labelled": photo})
    made = load_kind("supervised").train(task)
    assert seen == [(30, "best")] and (made.frames, made.validation_mae) == (93, 0.5)
    task = dataclasses.replace(task, options={"labels": 70, "alone": False})
    with pytest.raises(UsageError, match="70 labels are asked for, and 60 are there"):
        load_kind("supervised").train(task)


def test_what_a_method_adapts_with(tmp_path, monkeypatch, photo):
    asked = []

    def watched(task, tubs, adaptation, **extra):
        # As many of the source as in the other rows.
        assert task.settings.batch_size == (64 if adaptation.method == "histogram" else 128)
        asked.append((tubs, adaptation, extra))
        return Trained(photo, extra["frames"], None, 1, 1)

    monkeypatch.setattr(adapt, "fit", watched)
    both = {"labelled": PHOTO, "unlabelled": PHOTO}
    for options in (
        {"real_labels": 20, "settings": {"weight": 0.5}, "select": "probe"},
        {},
        {"method": "histogram"},
    ):
        suite = make_suite(methods__mild=adapting(options, **both))
        task = few_task(suite, tmp_path, photo)
        tubs = {use: tmp_path / use for use in ("recording", "unlabelled", "labelled")}
        load_kind("adapt").train(dataclasses.replace(task, tubs=tubs))
    (given, twenty, counted), (_, every, all_counted), _ = asked
    assert [tub.name for tub in given] == ["recording", "labelled"]
    assert [tub.name for tub in twenty.unlabelled] == ["unlabelled"]
    assert (twenty.method, twenty.real_labels, twenty.select) == ("confusion", 20, "probe")
    assert twenty.load_method().settings.weight == 0.5 and every.real_labels is None
    assert (counted["frames"], all_counted["frames"]) == (84, 128)


def test_the_small_trial_runs_and_is_exported(tmp_path, capsys):
    """Two rows of the small suite for real; what all kinds share."""
    file, out = ROOT / "benchmarks/suites/transfer_small.toml", tmp_path / "out"
    run = ["leaderboard", "run", str(file), "--out", str(out), "--only", "linear/[cf]*/0", "--json"]
    assert main(run) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["failed"] == {} and report["done"] == ["linear/confusion/0", "linear/few-20/0"]
    exported = tmp_path / "all.jsonl"
    exported.write_text(json.dumps(dict.fromkeys(FIELDS) | {"trial": "other"}) + "\n")
    for _ in range(2):  # a suite's lines are replaced
        assert main(["leaderboard", "show", str(file), "--out", str(out), "--export", str(exported)]) == 0
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert [(line["trial"], line["method"], line["world"]) for line in lines] == [
        ("other", None, None),
        *(("transfer_small", m, w) for m in ("confusion", "few-20") for w in ("home", "photo")),
    ]
    assert all(list(line) == list(FIELDS) for line in lines)
    home, away = lines[1], lines[2]
    assert (home["pilot"], home["seed"], home["labels"], lines[3]["labels"]) == ("linear", 0, 0, 20)
    assert home["mae"] == home["mae_source"] == away["mae_source"] != away["mae"]
    assert home["probe_linear"] is None and 0.5 < away["probe_linear"] <= 1 and 0 <= away["probe_mlp"] <= 1
    assert away["images_per_s"] > 0 and away["laps"] == 1 and -1 <= away["corr"] <= 1
    capsys.readouterr()
    exported.write_text('{"trial": "x"}\n')
    assert main(["leaderboard", "show", str(file), "--out", str(out), "--export", str(exported)]) == 2
    assert "all.jsonl:1: expected a line of an export; write to another file" in capsys.readouterr().err


#: As the trial's readers know them.
FIELDS = (
    *("trial", "pilot", "method", "seed", "labels", "world", "clean_laps", "laps", "completion"),
    *("first_failure", "mean_abs_cte_m", "corr", "mae", "mae_source", "probe_linear", "probe_mlp"),
    "images_per_s",
)


def test_the_trials_compare_what_they_say(tmp_path):
    for file in sorted(ROOT.glob("benchmarks/suites/transfer*.toml")):
        suite = load_suite(file)
        assert suite.title == file.stem, "its lines in the export are found by it"
        used = {labels_used(suite, method) for method in suite.methods}
        assert {0, None} <= used
        assert {"source", "oracle"} <= {method.role for method in suite.methods}
