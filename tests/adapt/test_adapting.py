"""Both domains in one batch: which pictures, which labels count, what is left of it in the pilot's file."""

import keras
import numpy as np
import pytest
from keras import ops

from dingocar.adapt import Method, methods
from dingocar.training.adapting import Adapted, MixedBatches
from dingocar.training.domains import Stream
from dingocar.zoo import load_pilot, pilots, save_pilot
from dingocar.zoo.artefact import dtype_policy, plain_network
from tests.adapt.small import Records, Small, batch, pictures
from tests.adapt.test_methods import VARIANTS

COUNTS = (6, 5)


def adapted(
    method="coral", settings=None, counts=COUNTS, policy="float32", pilot=None, optimizer=None, eager=True
):
    """A pilot's network, seeded, and what trains it for four steps."""
    keras.utils.set_random_seed(1)
    pilot = pilot or Small()
    with dtype_policy(policy):
        network = pilot.build()
    made = method if isinstance(method, Method) else methods.load(method).from_settings(settings or {})
    model = Adapted(network, pilot, made, counts, 4)
    optimizer = optimizer or keras.optimizers.Adam(1e-2)
    model.compile(optimizer=optimizer, jit_compile=False, run_eagerly=eager)
    return model


class Watch(Method):
    """Keeps what it was given."""

    def losses(self, source, target, layers, progress):
        self.seen = (source, target)
        return {"watched": ops.cast(progress, "float32")}


# --- which labels count ---


@pytest.mark.parametrize("name", ["coral", "confusion", "none"])
def test_the_labels_of_unlabelled_pictures_count_for_nothing(name):
    images, labels, mask = batch()
    others = {head: np.where(mask[head][:, None] > 0, y, 9.0) for head, y in labels.items()}
    counts = (sum(COUNTS), 0) if name == "none" else COUNTS
    ends = []
    for targets in (labels, others):
        model = adapted(name, counts=counts)
        logs = [model.train_on_batch(images, targets, mask, return_dict=True)["loss"] for _ in range(3)]
        ends.append((logs, model.network.get_weights()))
    assert ends[0][0] == ends[1][0]
    for one, other in zip(ends[0][1], ends[1][1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_labels_of_labelled_pictures_count():
    images, labels, mask = batch()
    loss = {}
    for shift in (0, 1):
        model = adapted()
        moved = {head: y + shift for head, y in labels.items()}
        loss[shift] = model.train_on_batch(images, moved, mask, return_dict=True)["loss"]
    assert abs(loss[1] - loss[0]) > 0.1


def test_the_pilots_loss_is_the_mean_over_the_labelled_pictures():
    images, labels, mask = batch()
    model = adapted(Watch())
    said = {
        head: ops.convert_to_numpy(y) for head, y in model(images, training=True)["heads"].items()
    }  # training moves the normalisation's averages, not its output
    squares = sum(np.square(said[head] - labels[head])[: COUNTS[0]].mean() for head in labels)
    penalty = 0.01 * np.square(model.network.get_layer("conv").get_weights()[0]).sum()
    logs = model.train_on_batch(images, labels, mask, return_dict=True)
    assert logs["loss"] - logs["watched"] == pytest.approx(squares + penalty, rel=1e-4)


def test_a_batch_without_a_label_has_no_loss_of_the_pilots():
    images, labels, mask = batch()
    none = {head: np.zeros_like(each) for head, each in mask.items()}
    model = adapted("coral", {"warmup": 0})
    logs = model.train_on_batch(images, labels, none, return_dict=True)
    penalty = logs["loss"] - logs["coral"]
    assert np.isfinite(logs["loss"]) and penalty < 0.5
    assert all(np.isfinite(weights).all() for weights in model.network.get_weights())


@pytest.mark.parametrize("name", ["resnet1", "categorical"])
def test_without_a_method_it_is_keras_own_training(name):
    shape = (80, 96, 3)
    settings = {"image_shape": shape} | ({"dropout": 0.0} if name == "categorical" else {})
    pilot = pilots.load(name).from_settings(settings)
    images = pictures(8, shape=shape)
    rng = np.random.default_rng(0)
    labels = pilot.targets({"user/angle": rng.uniform(-1, 1, 8), "user/throttle": rng.uniform(0, 1, 8)})
    model = adapted("none", counts=(8, 0), pilot=pilot, optimizer=keras.optimizers.SGD(1e-2), eager=False)
    plain = plain_network(pilot, model.network.get_weights())
    plain.compile(
        keras.optimizers.SGD(1e-2), pilot.losses(), loss_weights=pilot.loss_weights(), jit_compile=False
    )
    for _ in range(2):
        mask = dict.fromkeys(labels, np.ones(8, np.float32))
        mine = model.train_on_batch(images, labels, mask, return_dict=True)["loss"]
        assert mine == pytest.approx(plain.train_on_batch(images, labels, return_dict=True)["loss"], rel=1e-4)
    for one, other in zip(model.network.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


# --- numbers ---


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_losses_are_float32_under_mixed_precision(policy):
    model = adapted(Watch(), policy=policy)
    images, labels, mask = batch()
    found = model(images, training=True)
    assert found["features"].dtype == policy.removeprefix("mixed_")
    assert [x.dtype for x in model._method.seen] == ["float32", "float32"]
    model.train_on_batch(images, labels, mask)
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")  # else small gradients would be 0


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_every_method_trains_under_mixed_precision(name, settings):
    method = methods.load(name).from_settings(settings)
    both = method.trains_on_target
    model = adapted(method, counts=COUNTS if both else (sum(COUNTS), 0), policy="mixed_bfloat16")
    assert all(v.dtype == "float32" for layer in model.method_layers.values() for v in layer.weights)
    images, labels, mask = batch()
    for _ in range(3):
        logs = model.train_on_batch(images, labels, mask, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())


def test_progress_is_the_share_of_the_training_steps():
    model = adapted(Watch())
    images, labels, mask = batch()
    told = []
    for _ in range(5):
        model.reset_metrics()
        told.append(model.train_on_batch(images, labels, mask, return_dict=True)["watched"])
        model.test_on_batch(images, labels)  # validation takes no step
    assert told == [0, 0.25, 0.5, 0.75, 1]


def test_what_the_features_are():
    model = adapted()
    images, _, _ = batch()
    view = keras.Model(model.network.input, model.network.get_layer("features").output)
    np.testing.assert_allclose(
        model.features(images, batch=4), ops.convert_to_numpy(view(images, training=False)), atol=1e-6
    )


# --- which pictures ---


def mixed(counts=(4, 3, 2), sizes=(13, 5, 9), **more):
    records = Records(sum(sizes))
    rows = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    streams = [Stream(each, number != 2) for number, each in enumerate(rows)]
    return MixedBatches(records, streams, counts, Small(), 7, **more), rows


def rows_of(made, number):
    return made[number][1]["steering"][:, 0].astype(int)


def test_a_batch_has_its_share_of_each_stream_and_says_what_is_labelled():
    made, rows = mixed()
    assert (made.batch_size, len(made), made.frames) == (9, 3, 27)
    for number in range(len(made)):
        images, targets, mask = made[number]
        found = rows_of(made, number)
        for part, its in zip(np.split(found, [4, 7]), rows, strict=True):
            assert set(part) <= set(its)
        np.testing.assert_array_equal(images, made.dataset.images[found])
        for head in targets:
            np.testing.assert_array_equal(mask[head], np.float32([1] * 7 + [0] * 2))


def test_pictures_of_the_first_stream_are_translated_anew_every_time():
    made, _ = mixed(translation=lambda pictures, rng: pictures + rng.integers(1, 200, dtype=np.uint8))
    plain = mixed()[0]
    added = set()
    for epoch in range(3):
        made.epoch = plain.epoch = epoch
        for number in range(3):
            more = made[number][0] - plain[number][0]
            assert (more[4:] == 0).all() and (more[:4] == more.flat[0]).all()
            added.add(int(more.flat[0]))
    assert len(added) > 6 and 0 not in added
    made.epoch = 0
    np.testing.assert_array_equal(made[1][0], made[1][0])


def test_every_stream_goes_round_and_round():
    made, rows = mixed()
    seen = []
    for epoch in range(20):
        made.epoch = epoch
        seen += [rows_of(made, number) for number in range(len(made))]
    ends = np.cumsum([0, *made.counts])
    for which, its in enumerate(rows):
        order = np.concatenate([each[ends[which] : ends[which + 1]] for each in seen])
        rounds = [order[i : i + len(its)] for i in range(0, len(order) - len(its) + 1, len(its))]
        assert all(np.array_equal(np.sort(each), its) for each in rounds)
        assert not all(np.array_equal(each, rounds[0]) for each in rounds)


def test_a_batch_depends_on_its_number_alone():
    made, again = mixed()[0], mixed()[0]
    forwards = {}
    for epoch in range(30):
        made.epoch = epoch
        forwards[epoch] = [rows_of(made, number) for number in range(3)]
    for epoch in reversed(range(30)):
        again.epoch = epoch
        for number in (2, 0, 1):
            np.testing.assert_array_equal(rows_of(again, number), forwards[epoch][number])


def test_fewer_pictures_than_a_batch_are_shown_again():
    made, rows = mixed(counts=(20, 12), sizes=(13, 5))
    assert len(made) == 1
    found = rows_of(made, 0)
    assert set(found[:20]) == set(rows[0]) and set(found[20:]) == set(rows[1])


# --- what is left of it ---


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_the_pilots_file_holds_nothing_of_the_method(name, settings, tmp_path):
    pilot = pilots.load("resnet1").from_settings({"image_shape": (24, 32, 3)})
    method = methods.load(name).from_settings(settings)
    both = method.trains_on_target
    model = adapted(method, counts=COUNTS if both else (sum(COUNTS), 0), pilot=pilot)
    images, labels, mask = batch(shape=(24, 32, 3))
    model.train_on_batch(images, labels, mask)
    plain = plain_network(pilot, model.network.get_weights())
    before = plain.get_weights()
    method.finish(plain, images[: COUNTS[0]], images[COUNTS[0] :])
    folded = any(not np.array_equal(a, b) for a, b in zip(before, plain.get_weights(), strict=True))
    assert folded == (name == "adabn")
    path = save_pilot(tmp_path / "adapted.keras", plain, pilot)
    usual = save_pilot(tmp_path / "plain.keras", plain_network(pilot, before), pilot)
    read, wanted = (keras.saving.load_model(each, compile=False) for each in (path, usual))
    assert [layer.name for layer in read.layers] == [layer.name for layer in wanted.layers]
    assert [type(layer) for layer in read.layers] == [type(layer) for layer in wanted.layers]
    assert [w.shape for w in read.weights] == [w.shape for w in wanted.weights]
    steering, _ = load_pilot(path).run(images[0])
    assert steering == pytest.approx(
        float(np.clip(ops.convert_to_numpy(plain(images[:1])["steering"])[0, 0], -1, 1)), abs=1e-5
    )
