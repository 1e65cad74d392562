"""Two domains in one training: which records are used for what, and that no other label is."""

import itertools
import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dingocar.adapt import Method
from dingocar.evaluate.offline import _held_out
from dingocar.training import TrainingSettings, load_dataset, train
from dingocar.training.adapting import MixedBatches
from dingocar.training.database import read_database
from dingocar.training.dataset import Dataset
from dingocar.training.domains import RECOMMENDED, Adaptation, Domains, Stream, own_adaptation
from dingocar.training.fit import _batches
from dingocar.training.loop import Progress
from dingocar.training.progress import Bar
from dingocar.zoo import read_card

from .conftest import SIZE, Tiny, change_labels, plan, write_real, write_tub
from .test_trainer import same, saved_weights


def test_every_record_has_its_use(tubs):
    data, split, domains = plan(Adaptation("coral"), tubs)
    source, target = domains.streams
    assert source.labelled and target.labelled
    assert set(data.domains[source.rows]) == {"sim"} and set(data.domains[target.rows]) == {"real"}
    assert sorted([*source.rows, *target.rows]) == sorted(split.train) == sorted(domains.rows)
    assert sorted([*domains.held_source, *domains.held_target]) == sorted(domains.validation)
    assert domains.frames() == {
        "sim": len(source.rows),
        "real_labelled": len(target.rows),
        "real_unlabelled": 0,
    }


def test_unlabelled_tubs_train_without_labels_and_are_not_validated_with(tubs):
    sim, real = tubs
    data, _, domains = plan(Adaptation("coral", unlabelled=[real]), [sim])
    target = domains.streams[1]
    assert not target.labelled and set(data.domains[target.rows]) == {"real"}
    assert not data.columns["user/angle"][~data.labelled].any()
    assert set(data.domains[domains.validation]) == {"sim"} and len(domains.held_target)
    assert domains.frames()["real_unlabelled"] == len(target.rows)


def test_few_labels_are_drawn_by_the_seed_and_the_smaller_draw_is_in_the_larger(tubs):
    def labelled(count, seed=0):
        _, _, domains = plan(Adaptation("coral", real_labels=count), tubs, seed=seed)
        target = domains.streams[1:]
        assert {row for stream in target for row in stream.rows} == known
        # Of what has lost its label nothing may be looked at, in the held-out blocks neither.
        assert np.array_equal(domains.validation, domains.held_source)
        return set(target[0].rows) if target[0].labelled else set()

    known = set(plan(Adaptation("coral"), tubs)[2].target)
    drawn = [labelled(count) for count in (0, 5, 20, len(known))]
    assert [len(rows) for rows in drawn] == [0, 5, 20, len(known)]
    assert all(small <= large for small, large in itertools.pairwise(drawn))
    assert labelled(20) == drawn[2] != labelled(20, seed=1)


@pytest.mark.parametrize(
    "method, streams, seen, validated",
    [
        ("none", 1, set(), {"sim"}),
        ("adabn", 1, {"real"}, {"sim"}),
        ("histogram", 1, {"real"}, {"sim"}),
        ("mix", 2, {"real"}, {"sim", "real"}),
    ],
)
def test_methods_see_what_they_say_they_need(tubs, method, streams, seen, validated):
    data, _, domains = plan(Adaptation(method), tubs)
    assert len(domains.streams) == streams
    assert set(data.domains[domains.target]) == seen
    assert set(data.domains[domains.validation]) == validated


@pytest.mark.parametrize("method", ["histogram", "coral"])
def test_the_pilot_learns_from_pictures_in_the_targets_colours(tubs, method):
    settings = TrainingSettings(gap_frames=2, augment=False, batch_size=64)
    found = []
    for matched in (False, True):
        more = {"match_colours": True} if matched and method == "coral" else {}
        data, split, domains = plan(Adaptation(method if matched else "coral", more), tubs, settings)
        batches, _ = _batches(data, split, Tiny(), settings, domains)
        real = data.images[domains.target].mean()
        found.append(abs(batches[0][0][: batches.counts[0]].mean() - real))
    assert found[0] > 40 and found[1] < 4


def test_mix_leaves_out_the_pictures_without_labels(tubs):
    _, _, domains = plan(Adaptation("mix", real_labels=7), tubs)
    assert domains.frames() == {"sim": len(domains.streams[0].rows), "real_labelled": 7, "real_unlabelled": 0}


def test_a_mixed_tub_goes_by_its_records(tmp_path):
    flags = [i % 100 < 50 for i in range(200)]
    mixed = write_tub(tmp_path / "mixed", 200, extra={"is-simulated": flags})
    data, _, domains = plan(Adaptation("coral"), [mixed])
    assert data.tubs[0].domain is None
    for stream, domain in zip(domains.streams, ("sim", "real"), strict=True):
        assert len(stream.rows) > 50 and set(data.domains[stream.rows]) == {domain}


def test_batches_are_balanced_however_unequal_the_streams_are():
    rows = [np.arange(1000), np.arange(1000, 1007), np.arange(1007, 1107)]
    streams = [Stream(each, labelled) for each, labelled in zip(rows, (True, True, False), strict=True)]
    counts = Domains(Method(), tuple(streams), *(rows[1],) * 4).counts(64)
    assert counts == (32, 16, 16)
    data = SimpleNamespace(
        images=np.arange(1107, dtype=np.int64).reshape(-1, 1, 1, 1),
        columns={"user/angle": np.zeros(1107, np.float32), "user/throttle": np.zeros(1107, np.float32)},
    )
    batches = MixedBatches(data, streams, counts, Tiny(), seed=3)
    assert len(batches) == 31 and batches.frames == 31 * 64
    seen = np.zeros(1107, int)
    for epoch in range(2):
        batches.epoch = epoch
        for number in range(len(batches)):
            pictures, _, mask = batches[number]
            assert mask["steering"].tolist() == [1.0] * 48 + [0.0] * 16
            shown = pictures.reshape(-1)
            assert [
                np.isin(part, own).all() for part, own in zip(np.split(shown, [32, 48]), rows, strict=True)
            ]
            np.add.at(seen, shown, 1)
    for own in rows:  # every record as often as any other of its stream
        assert np.ptp(seen[own]) <= 1
    assert seen[rows[1]].sum() == 2 * 31 * 16


def test_the_held_out_blocks_of_an_adapted_pilot_are_found_again(tubs, tmp_path, quick):
    sim, real = tubs
    adaptation = Adaptation("coral", unlabelled=[real])
    result = train([sim], Tiny(), tmp_path / "a.keras", replace(quick, epochs=1), adaptation=adaptation)
    card = read_card(result.model)
    assert [tub["path"] for tub in card["tubs"]] == [str(sim)]
    assert [tub["path"] for tub in card["domain_method"]["unlabelled"]] == [str(real)]
    _, _, domains = plan(adaptation, [sim])
    assert np.array_equal(_held_out(load_dataset([sim], SIZE), card), domains.validation)
    assert _held_out(load_dataset([real], SIZE), card) is None


def test_the_result_card_and_database_say_how_it_was_adapted(tubs, tmp_path, quick):
    sim, real = tubs
    adaptation = Adaptation("coral", {"weight": 3}, real_labels=20, select="source")
    settings = replace(quick, epochs=2, curve=True)
    result = train([sim, real], Tiny(), tmp_path / "a.keras", settings, adaptation=adaptation)
    told = json.loads(json.dumps(result.to_json()))["adaptation"]
    assert (told["method"], told["settings"]["weight"], told["select"]) == ("coral", 3.0, "source")
    assert told["frames"]["real_labelled"] == 20 and told["frames"]["sim"] > 100
    assert sum(told["frames"].values()) == result.frames["train"]
    for name in ("domain_accuracy", "entanglement", "entanglement_most"):
        assert told[name] == result.history[name][result.best_epoch - 1]
        assert len(result.history[name]) == 2
    card = read_card(result.model)
    assert card["domain_method"] == {"name": "coral", **{k: v for k, v in told.items() if k != "method"}}
    assert "adaptation" not in card["training"]
    (entry,) = read_database(tmp_path)
    assert entry["Training"]["adaptation"] == told and entry["History"] == result.history
    assert result.curve.is_file()


def test_nothing_changes_without_an_adaptation(shared_tub, tmp_path, quick):
    result = train([shared_tub], Tiny(), tmp_path / "a.keras", quick)
    assert result.to_json()["adaptation"] is None and set(result.history) <= {
        *("loss", "val_loss", "steering_loss", "val_steering_loss", "throttle_loss", "val_throttle_loss")
    }
    assert read_card(result.model)["domain_method"] is None


def test_labels_that_may_not_be_used_change_nothing(tubs, tmp_path, quick):
    """The same pilot, whatever stands in the labels of unlabelled tubs and behind --real-labels."""
    sim, real = tubs
    other, more = write_real(tmp_path / "other", seed=5), write_real(tmp_path / "more", 60, seed=9)
    adaptation = Adaptation("confusion", {"warmup": 0}, [more], real_labels=20)
    data, _, domains = plan(replace(adaptation, unlabelled=()), [sim, real])
    first = np.flatnonzero(data.tub_numbers == 1)[0]
    kept = set(domains.streams[1].rows - first)
    assert len(kept) == 20

    def trained(name):
        return train([sim, other], Tiny(), tmp_path / name, replace(quick, epochs=2), adaptation=adaptation)

    before = trained("a.keras")
    change_labels(other, lambda i, *own: own if i in kept else (0.9, -0.9))
    change_labels(more, lambda i, *own: (float(i % 2), -1.0))
    after = trained("b.keras")
    assert same(saved_weights(before.model), saved_weights(after.model), atol=1e-5)
    assert before.validation["steering"] == pytest.approx(after.validation["steering"], abs=1e-4)
    change_labels(other, lambda i, *own: (0.9, -0.9))
    assert not same(saved_weights(before.model), saved_weights(trained("c.keras").model), atol=1e-3)


def test_the_recommended_method_has_a_name():
    name, settings = RECOMMENDED[0], dict(RECOMMENDED[1])
    assert Adaptation().load_method().name == Adaptation("auto").load_method().name == name
    assert Adaptation("auto", {"per": "domain"}).load_method().settings.per == "domain"
    assert settings == RECOMMENDED[1]  # it is left as it is


def test_a_pilot_may_bring_its_own_adaptation(tubs, tmp_path, quick):
    class Own(Tiny):
        adaptation = ("coral", {"weight": 2.0})

    assert own_adaptation(Tiny()) is None
    assert own_adaptation(Own(), select="source", settings={"warmup": 0.5}) == Adaptation(
        "coral", {"weight": 2.0, "warmup": 0.5}, select="source"
    )
    settings = replace(quick, epochs=1)
    told = train(tubs, Own(), tmp_path / "a.keras", settings).adaptation
    assert (told["method"], told["settings"]["weight"]) == ("coral", 2.0)
    told = train(tubs, Own(), tmp_path / "a.keras", settings, adaptation=Adaptation("none")).adaptation
    assert told["method"] == "none"


@pytest.mark.parametrize("select, epochs, kept", [("last", 4, 4), ("source", 2, 1)])
def test_waiting_for_a_better_loss_does_not_end_an_adaptation(tubs, tmp_path, quick, select, epochs, kept):
    settings = replace(quick, epochs=4, patience=1, min_delta=1e9)  # no loss is ever that much better
    adaptation = Adaptation("coral", select=select)
    result = train(tubs, Tiny(), tmp_path / "a.keras", settings, adaptation=adaptation)
    assert (result.epochs, result.best_epoch) == (epochs, kept)


def test_an_interrupted_adaptation_keeps_the_last_whole_epoch(tubs, tmp_path, quick, caplog):
    def stop(progress):
        assert 0 <= progress.domain_accuracy <= 1 and progress.entanglement >= 0
        if progress.epoch == 2:
            raise KeyboardInterrupt

    settings = replace(quick, epochs=40)
    with caplog.at_level(logging.WARNING):
        result = train(
            tubs, Tiny(), tmp_path / "a.keras", settings, on_progress=stop, adaptation=Adaptation("coral")
        )
    assert result.interrupted and result.best_epoch == 2
    assert "the weights of epoch 2, the last whole one, are saved" in caplog.text
    assert read_card(result.model)["domain_method"]["name"] == "coral"


def test_the_bar_shows_the_domains():
    shown = []
    bar = Bar(
        SimpleNamespace(
            set_postfix_str=lambda text, refresh: shown.append(text),
            set_description_str=lambda text, refresh: shown.append(text),
            update=lambda count: None,
        )
    )
    bar.epoch(Progress(2, 5, 0.3, 0.25, 2, 0.25, 100.0, 3.0, 0.625, 0.5))
    bar.frames(32, 0.2)
    assert shown == [
        "epoch 3/5",
        "loss 0.2000, val loss 0.2500, domains told apart 62%, entanglement 0.50 (kept: epoch 2)",
    ]
    bar.epoch(Progress(5, 5, 0.3, 0.25, 2, 0.25, 100.0, 3.0))
    bar.frames(32, 0.2)
    assert shown[2:] == ["epoch 5/5", "loss 0.2000, val loss 0.2500 (best: epoch 2)"]


def test_epochs_by_themselves_and_another_pilots_weights_work_too(tubs, tmp_path, quick, monkeypatch):
    frames, taken = [], []
    monkeypatch.setattr("dingocar.training.fit.auto_epochs", lambda count: frames.append(count) or 1)
    monkeypatch.setattr("dingocar.training.fit.take_weights", lambda model, path: taken.append(path) or 3)
    settings = replace(quick, epochs=0)
    result = train(tubs, Tiny(), tmp_path / "b.keras", settings, "a.keras", adaptation=Adaptation("coral"))
    assert frames == [result.adaptation["frames"]["sim"] // 16 * 32]  # those of both domains
    assert taken == ["a.keras"] and result.transferred == 3


def test_a_dataset_says_what_is_labelled(tubs):
    data: Dataset = load_dataset([tubs[0]], SIZE, unlabelled=[tubs[1]])
    assert np.array_equal(data.labelled, data.tub_numbers == 0)
