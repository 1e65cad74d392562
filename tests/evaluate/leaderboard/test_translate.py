"""Rows with a translator: it is made once, pilots are lent, and what shares one is one trial."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard import row as rows
from dingocar.evaluate.leaderboard.contrasts import by_trial, joined
from dingocar.evaluate.leaderboard.keys import model_key, row_key
from dingocar.evaluate.leaderboard.methods import Task, load_kind, options_of
from dingocar.evaluate.leaderboard.plan import make_plan
from dingocar.evaluate.leaderboard.results import Results
from dingocar.evaluate.leaderboard.rules import labels_used
from dingocar.evaluate.leaderboard.run import run_suite
from dingocar.evaluate.leaderboard.table import make_table
from dingocar.evaluate.statistics import mean_interval
from dingocar.training import TrainingSettings
from dingocar.translate import load_translator
from dingocar.translate.artefact import read_card
from dingocar.zoo import load_pilot, pilots
from tests.evaluate.leaderboard.making import fill, make_suite
from tests.translate.small import NETWORKS, SHAPE, pictures, tub

PHOTO = {"look": "photo"}


def translating(**options):
    return {"kind": "translate", "unlabelled": PHOTO, "options": {"translator": "colour", **options}}


def suite_with(seeds=(0, 1, 2, 3), **methods):
    """The plain suite with a data row and a proxy; two translators for all seeds."""
    made = {
        "none": {"role": "source"},
        "data": translating(translators=2),
        "proxy": translating(translators=2, use="proxy"),
        **methods,
    }
    return make_suite(seeds=list(seeds), methods=made)


BROKEN = {
    "methods.mild: unknown translator 'colur'; did you mean 'colour'": translating(translator="colur"),
    "methods.mild: unknown translator setting 'filter'": translating(settings={"filter": 3}),
    "methods.mild: options.use: expected one of data, proxy, latent, got 'loop'": translating(use="loop"),
    "methods.mild: a translator learns from pictures of the target: add unlabelled": {"kind": "translate"},
    "methods.mild: options.translators and options.steps: expected at least 1": translating(translators=0),
    "methods.mild: options.settings.image_shape: all rows see the suite's picture": translating(
        settings={"image_shape": [8, 8, 3]}
    ),
    "methods.mild: options.settings.direction: use = 'proxy' needs 'to_sim'": translating(
        translator="cut", use="proxy", settings={"direction": "to_real"}
    ),
    "methods.mild: options.settings.direction: use = 'data' needs 'to_real'": translating(
        translator="cut", use="data"
    ),
    'methods.mild: options.adapt: is for use = "data"': translating(use="proxy", adapt={"method": "coral"}),
    'methods.mild: options.pilot: is for use = "proxy"': translating(pilot="none"),
    "methods.mild: options.settings.pilot: a pilot of elsewhere would be in no row's key": translating(
        translator="cyclegan", settings={"pilot": "pilot.keras"}
    ),
    "methods.mild: options.steering: 'colour' keeps no pilot's steering": translating(steering=1),
    "methods.mild: options.steering: expected a weight of at least 0, got -1": translating(
        translator="cyclegan", steering=-1
    ),
    "methods.mild: options.use: 'colour' has no codes that both domains share": translating(use="latent"),
    "methods.mild: options.adapt: unknown method 'corl'": translating(adapt={"method": "corl"}),
    "methods.mild.options.pilot: expected the method whose pilot drives; did you mean 'none'": translating(
        use="proxy", pilot="nnone"
    ),
    "methods.mild.options.pilot: 'mild' has no pilot of its own either": translating(
        use="proxy", pilot="mild"
    ),
    "methods.mild.options.pilot: 'oracle' has learned from pictures that look real": translating(
        use="proxy", pilot="oracle"
    ),
    "methods.mild: trains no pilot, so training, candidates and selection are those of 'none'": {
        **translating(use="proxy"),
        "training": {"epochs": 3},
    },
    "methods.mild: options.adapt: unknown option 'metod'": translating(adapt={"metod": "coral"}),
    "methods.mild: translator setting image_shape: pictures of 64x84 cannot be halved 3 times": translating(
        translator="cyclegan", settings={"downsamplings": 3}
    ),
    "methods.mild: a translator's recording must be of the domain sim": {
        **translating(),
        "recording": {"domain": "real"},
    },
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_method_that_cannot_be_is_an_error_in_one_line(message):
    with pytest.raises(UsageError) as caught:
        make_suite(methods__mild=BROKEN[message])
    assert str(caught.value).startswith(f"s.toml: {message}") and "\n" not in str(caught.value)


def planned(suite, out, only=None):
    """[(what, name of the row, names of what it comes after)] without recordings."""
    jobs, after = make_plan(suite, suite.rows(only), out, "code")

    def name(job):
        return (
            type(job).__name__.removesuffix("Job").lower(),
            "" if not hasattr(job, "row") else job.row.name,
        )

    names = [name(job) for job in jobs]
    kept = [number for number, (what, _) in enumerate(names) if what != "recording"]
    return [(*names[n], {names[b] for b in after[n] if names[b][0] != "recording"}) for n in kept]


def test_a_translator_is_made_once_for_the_rows_that_share_it(tmp_path):
    plan = planned(suite_with(), tmp_path)
    assert [entry[:2] for entry in plan if entry[0] == "prepared"] == [
        ("prepared", "linear/data/0"),
        ("prepared", "linear/data/1"),
    ]
    found = {name: before for what, name, before in plan if what == "row"}
    for seed in range(4):
        prepared = ("prepared", f"linear/data/{seed % 2}")
        assert found[f"linear/data/{seed}"] == {prepared}
        # The source row's job, which is planned anyway, trains the pilot that the proxy drives with.
        assert found[f"linear/proxy/{seed}"] == {prepared, ("row", f"linear/none/{seed}")}
    assert not any(what == "training" for what, _, _ in plan)


def test_a_lenders_pilot_is_trained_where_its_row_is_not_asked_for(tmp_path):
    adapted = translating(translators=2, adapt={"method": "coral"})
    lent = translating(translators=2, use="proxy", pilot="adapted")
    suite = suite_with(adapted=adapted, more=lent)
    plan = planned(suite, tmp_path, "linear/proxy/3")
    assert [entry[:2] for entry in plan] == [
        ("prepared", "linear/proxy/1"),
        ("training", "linear/none/3"),
        ("row", "linear/proxy/3"),
    ]
    assert plan[-1][2] == {("prepared", "linear/proxy/1"), ("training", "linear/none/3")}
    plan = planned(suite, tmp_path, "linear/more/1")
    assert [entry[0] for entry in plan] == ["prepared", "training", "row"]
    assert plan[1][2] == {("prepared", "linear/more/1")}


def test_what_is_there_is_not_made_again(tmp_path):
    suite = suite_with()
    row = suite.row("linear/proxy/3")
    shared = rows.shared_row(row)
    assert shared.seed == 1
    prepared = rows.prepared_folder(tmp_path, rows.prepared_key(suite, shared, "code"))
    lender = dataclasses.replace(row, method=suite.methods[0])
    for folder in (prepared, tmp_path / "models" / model_key(suite, lender, "code")):
        folder.mkdir(parents=True)
        (folder / rows.MARKER).write_text("{}")
    assert [entry[0] for entry in planned(suite, tmp_path, "linear/proxy/3")] == ["row"]


def test_a_translator_hangs_on_its_own_settings_and_recordings_alone():
    suite = suite_with(
        other={**translating(translators=2), "training": {"epochs": 7}},
        cyclegan=translating(translators=2, translator="cyclegan"),
        randomised={**translating(translators=2), "recording": {"randomisation": "mild"}},
    )
    keys = {
        name: rows.prepared_key(suite, rows.shared_row(suite.row(f"linear/{name}/2")), "code")
        for name in ("data", "proxy", "other", "cyclegan", "randomised")
    }
    assert keys["data"] == keys["proxy"] == keys["other"]
    assert len(set(keys.values())) == 3


def test_a_translator_that_keeps_a_pilots_steering_hangs_on_that_pilot_and_its_training():
    keeping = {"translators": 2, "translator": "cyclegan", "steering": 10}
    suite = suite_with(
        kept=translating(**keeping),
        kept_proxy=translating(**keeping, use="proxy"),
        less=translating(**{**keeping, "steering": 5}),
        longer={**translating(**keeping), "training": {"epochs": 7}},
        free=translating(translators=2, translator="cyclegan"),
    )

    def key(row, pilot=None):
        shared = rows.shared_row(suite.row(row))
        pilot = pilot or shared.pilot
        return rows.prepared_key(suite, dataclasses.replace(shared, pilot=pilot), "code")

    other = dataclasses.replace(suite.pilots[0], settings={"dropout": 0.5})
    assert key("linear/kept/2") == key("linear/kept/0") == key("linear/kept_proxy/2")
    assert len({key(f"linear/{name}/0") for name in ("kept", "less", "longer", "free")}) == 4
    assert key("linear/kept/0", other) != key("linear/kept/0")
    assert key("linear/free/0", other) == key("linear/free/0")


def test_a_proxys_row_hangs_on_the_pilot_that_drives():
    one = suite_with()
    changed = suite_with(none={"role": "source", "training": {"epochs": 5}})
    for name, same in (("data", True), ("proxy", False)):
        keys = {row_key(suite, suite.row(f"linear/{name}/0")) for suite in (one, changed)}
        assert (len(keys) == 1) is same


def test_a_proxy_has_the_labels_of_its_pilot():
    suite = suite_with(
        few={"labelled": PHOTO, "options": {"labels": 20}},
        lent=translating(use="proxy", pilot="few"),
    )
    used = {method.name: labels_used(suite, method) for method in suite.methods}
    assert used == {"none": 0, "data": 0, "proxy": 0, "few": 20, "lent": 20}


def test_pilots_of_one_translator_are_one_trial(tmp_path):
    suite = suite_with(seeds=range(6))
    figures = {f"linear/none/{seed}": (0, 0.3 + 0.01 * seed) for seed in range(6)}
    figures |= {f"linear/data/{seed}": (seed % 2 * 4, 0.1 + seed % 2 * 0.1) for seed in range(6)}
    table = make_table(suite, fill(tmp_path, suite, figures))
    none, data = table.rows
    assert none.trials == {seed: seed for seed in range(6)}
    assert data.trials == {seed: seed % 2 for seed in range(6)}
    # Two trials: the interval is that of two values, 0.1 and 0.2, not of six.
    cell = data.worlds["away"].cells["mae"]
    low, high = mean_interval([0.1, 0.2])
    assert (cell.mean, cell.low, cell.high) == pytest.approx((0.15, 0, high)) and low < 0
    contrast = data.versus["mae"]
    assert contrast.p == pytest.approx(0.5) and contrast.better == 6
    np.testing.assert_allclose(by_trial({0: 1.0, 1: 5.0, 2: 3.0}, data.trials), [2.0, 5.0])


def test_what_shares_a_lenders_or_the_baselines_translator_is_one_trial(tmp_path):
    adapted = translating(translators=1, adapt={"method": "coral"})
    lent = translating(translators=3, use="proxy", pilot="adapted")
    suite = suite_with(seeds=range(3), adapted=adapted, lent=lent)
    suite = dataclasses.replace(suite, baseline="data")
    figures = {f"linear/{m}/{s}": (0, 0.1) for m in ("none", "data", "lent") for s in range(3)}
    rows_of = {row.group: row for row in make_table(suite, fill(tmp_path, suite, figures)).rows}
    assert set(rows_of["linear/lent"].trials.values()) == {0}
    assert rows_of["linear/none"].trials == {0: 0, 1: 1, 2: 2}
    # The baseline's pilots 0 and 2 share a translator, so there are two independent differences.
    assert rows_of["linear/none"].versus["mae"].p == 1.0
    assert joined({0: 0, 1: 1, 2: 2}, {0: 0, 1: 1, 2: 0}) == {0: 0, 1: 1, 2: 0}


# Of the pilot's data, which are compiled all the same.
@pytest.mark.filterwarnings("ignore:Even though the .tf.config.experimental_run_functions_eagerly")
@pytest.mark.parametrize("steering", [0, 5])
def test_a_translators_training_that_was_stopped_goes_on(tmp_path, eagerly, steering):
    options = {"translator": "cyclegan", "steps": 3, "settings": NETWORKS, "steering": steering}
    suite = suite_with(data=translating(**options))
    method, shares, pilot = suite.methods[1], [], tmp_path / "pilot.keras"

    def stopped(share):
        shares.append(share)
        if len(shares) == 2 + bool(steering):  # the pilot's training tells once
            raise KeyboardInterrupt

    task = Task(
        pilot=pilots.load("resnet1").from_settings({"image_shape": SHAPE}),
        method=method,
        settings=TrainingSettings(epochs=1, curve=False, progress=False),
        seed=0,
        picture=SHAPE[:2],
        tubs={"recording": tub(tmp_path / "sim", "sim"), "unlabelled": tub(tmp_path / "real", "real")},
        folder=tmp_path,
        options=options_of(method),
        on_progress=stopped,
    )
    prepare = load_kind("translate").prepare
    with pytest.raises(KeyboardInterrupt):  # so that nobody takes it for a finished one
        prepare(task)
    before = pilot.read_bytes() if steering else None
    prepare(task)
    assert shares[bool(steering) :] == pytest.approx([1 / 3, 2 / 3, 1])
    assert not list(tmp_path.glob("*.training"))
    translator = tmp_path / "translator.keras"
    assert load_translator(translator, "to_real").run(pictures("sim", 1)[0]).shape == SHAPE
    assert pilot.is_file() == bool(steering)
    if steering:  # that pilot, and not trained again
        told = read_card(translator)["settings"]
        assert (told["pilot"], told["steering_weight"]) == (str(pilot), 5)
        assert pilot.read_bytes() == before


def test_what_was_prepared_in_part_is_kept_to_go_on_from(tmp_path, monkeypatch):
    suite = suite_with()
    job = next(j for j in make_plan(suite, suite.rows(), tmp_path, "code")[0] if type(j) is rows.PreparedJob)
    folder = rows.prepared_folder(tmp_path, job.key)
    folder.mkdir(parents=True)
    (folder / "half").touch()
    monkeypatch.setattr(rows, "_task", lambda *_: None)
    monkeypatch.setattr(rows, "load_kind", lambda _: SimpleNamespace(prepare=lambda _: None))
    rows._prepare(job, print)
    assert {path.name for path in folder.iterdir()} == {"half", rows.MARKER}


def test_a_run_with_a_translator_in_the_data_and_in_the_loop(tmp_path):
    """Really run: the proxy drives with the source row's pilot, at home without a translator."""
    methods = {
        "none": {"role": "source"},
        "proxy": translating(use="proxy"),
        "data": translating(adapt={"method": "coral"}),
        "latent": translating(translator="unit", use="latent", steps=1, settings=NETWORKS),
    }
    world = {"tracks": ["oval"], "laps": 1, "frames": 32, "episode_frames": 8}
    worlds = {"home": {"role": "source", **world}, "away": {"role": "test", **PHOTO, **world}}
    suite = make_suite(seeds=[2], methods=methods, worlds=worlds)
    report = run_suite(suite, tmp_path, only="linear/*")
    assert not report.failed and len(report.done) == 4
    found = Results(tmp_path).of(suite)
    none, proxy, data, latent = (found[f"linear/{name}/2"] for name in methods)
    assert proxy["model"] == none["model"] != data["model"] and proxy["proxy"][1] == "to_sim"
    assert len(list((tmp_path / "prepared").iterdir())) == 2
    assert proxy["worlds"]["home"]["offline"] == none["worlds"]["home"]["offline"]
    assert proxy["worlds"]["away"]["offline"] != none["worlds"]["away"]["offline"]
    assert proxy["worlds"]["away"]["probe_linear"] is not None and "proxy" not in data
    home, away = (load_pilot(tmp_path / latent[which]) for which in ("model", "elsewhere"))
    assert (home.looks, away.looks) == ({"sim"}, {"real"}) and latent["worlds"]["away"][
        "probe_mlp"
    ] is not None
    assert data["frames"] == 64 and not list(tmp_path.glob("models/*/*/translated"))
    again = run_suite(suite, tmp_path, only="linear/*")
    assert len(again.kept) == 4 and not again.done
