"""Probes: sure where domains differ, at chance where they do not, and not fooled by near copies."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from dingocar.adapt import probes
from dingocar.errors import MissingExtraError, PilotError, UsageError

KINDS = ("linear", "mlp")
BLOCKS, EACH, WIDTH = 16, 12, 6
ROWS = BLOCKS * EACH


def blocks(count=BLOCKS, each=EACH):
    return np.repeat(np.arange(count), each)


def drawn(seed, rows=ROWS, width=WIDTH):
    return np.random.default_rng(seed).normal(size=(rows, width))


def near_copies(seed):
    """Each block is one place, seen again and again with hardly a difference."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(BLOCKS, 24))
    return np.repeat(places, EACH, axis=0) + 0.01 * rng.normal(size=(ROWS, 24))


@pytest.mark.parametrize("kind", KINDS)
def test_what_differs_is_told_apart(kind):
    other = drawn(1) + np.array([0, 6, 0, 0, 0, 0])
    assert probes.probe_accuracy(drawn(0), other, blocks(), blocks(), kind) > 0.98


@pytest.mark.parametrize("kind", KINDS)
def test_where_nothing_differs_it_is_chance(kind):
    found = [
        probes.probe_accuracy(drawn(10 + k), drawn(20 + k), blocks(), blocks(), kind, k) for k in range(3)
    ]
    assert 0.42 < np.mean(found) < 0.58


@pytest.mark.parametrize("kind", KINDS)
def test_near_copies_of_a_block_are_never_on_both_sides(kind):
    """With single rows held out, a row's copies have told the classifier the answer."""
    by_row = np.arange(ROWS) % BLOCKS
    leaking, honest = [
        np.mean(
            [
                probes.probe_accuracy(near_copies(2 * k), near_copies(2 * k + 1), where, where, kind)
                for k in range(3)
            ]
        )
        for where in (by_row, blocks())
    ]
    assert leaking > 0.95 and honest < 0.62


def test_a_curved_boundary_is_seen_by_the_mlp_alone():
    rng = np.random.default_rng(0)
    corners = rng.choice([-1.0, 1.0], (1200, 2))
    points = corners + 0.2 * rng.normal(size=(1200, 2))
    same = corners[:, 0] == corners[:, 1]
    one, other = points[same][:480], points[~same][:480]
    where = blocks(16, 30)
    assert 0.4 < probes.probe_accuracy(one, other, where, where, "linear") < 0.6
    assert probes.probe_accuracy(one, other, where, where, "mlp") > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_domain_does_not_weigh_more(kind):
    """Always saying the larger one would be right for most rows."""
    small = drawn(1, 8 * EACH)
    accuracy = probes.probe_accuracy(drawn(0, 40 * EACH), small, blocks(40), blocks(8), kind)
    assert 0.35 < accuracy < 0.65
    apart = probes.probe_accuracy(drawn(0, 40 * EACH), small + 5, blocks(40), blocks(8), kind)
    assert apart > 0.98


@pytest.mark.parametrize("kind", KINDS)
def test_scale_and_dead_features_change_nothing(kind):
    one, other = drawn(0), drawn(1) + np.array([0, 3, 0, 0, 0, 0])
    scaled = [np.c_[values * 1e6, np.full(ROWS, 7.0)] for values in (one, other)]
    plain, large = (probes.probe_accuracy(*pair, blocks(), blocks(), kind) for pair in ((one, other), scaled))
    assert plain > 0.8 and large == pytest.approx(plain, abs=0.03)
    assert probes.probe_accuracy(0 * one, 0 * other, blocks(), blocks(), kind) == 0.5


def test_every_row_is_judged_once_and_the_seed_decides():
    one, other = drawn(0), drawn(1, 6 * EACH)
    right = probes.told_apart(one, other, blocks(), blocks(6), "linear", 3)
    assert [said.shape for said in right] == [(ROWS,), (6 * EACH,)]
    again = probes.told_apart(one, other, blocks(), blocks(6), "linear", 3)
    assert all((a == b).all() for a, b in zip(right, again, strict=True))
    two = probes.told_apart(one, other, np.arange(ROWS) % 2, blocks(6), "linear", 3)
    assert [len(said) for said in two] == [ROWS, 6 * EACH]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "mpl"}, "unknown kind of probe 'mpl'; did you mean 'mlp'"),
        ({"target": drawn(1, width=4)}, r"expected features \(N, F\) and \(M, F\), got \(192, 6\)"),
        ({"source_blocks": blocks(2)}, "a block for each of 192 source rows"),
        ({"target_blocks": np.zeros(ROWS, int)}, "target rows are of fewer than 2 blocks.*longer recording"),
        ({"source": np.full((ROWS, WIDTH), np.nan)}, "a source feature is no finite number"),
    ],
)
def test_what_cannot_be_probed_is_told(change, told):
    fine = {"source": drawn(0), "target": drawn(1), "source_blocks": blocks(), "target_blocks": blocks()}
    with pytest.raises(UsageError, match=told):
        probes.probe_accuracy(**(fine | change))


def test_the_loss_of_soft_neighbours_by_hand():
    """Four points on a line, summed up term by term."""
    points, labels, temperature = [0.0, 1.0, 3.0, 3.5], ["a", "b", "a", "b"], 2.0
    expected = 0.0
    for i in range(4):
        near = {j: math.exp(-((points[i] - points[j]) ** 2) / temperature) for j in range(4) if j != i}
        expected -= math.log(sum(near[j] for j in near if labels[j] == labels[i]) / sum(near.values())) / 4
    values = np.array(points)[:, None]
    assert probes.soft_neighbours(values, np.array(labels), temperature) == pytest.approx(expected, rel=1e-9)
    assert probes.soft_neighbours(values + 1e8, np.array(labels), temperature) == pytest.approx(expected)
    assert probes.soft_neighbours(values, np.array(labels), math.inf) == pytest.approx(math.log(3))
    # A point that has no fellow in another block says nothing.
    apart = np.array([0, 1, 0, 1])
    values = np.array([0.0, 1.0, 3.0, 3.5, 9.0])[:, None]
    alone = np.array([*labels, "c"])
    found = probes.soft_neighbours(values, alone, math.inf, np.array([0, 1, 2, 3, 4]))
    assert found == pytest.approx(math.log(4))
    with pytest.raises(UsageError, match="each of two rows in different blocks"):
        probes.soft_neighbours(values[:4], alone[:4], 1.0, apart)


def test_entanglement_is_the_least_loss_of_all_temperatures():
    values = np.r_[drawn(0, 60), drawn(1, 60) + np.array([1.5, 0, 0, 0, 0, 0])]
    labels = np.repeat([0, 1], 60)
    found = probes.entanglement(values, labels)
    scan = [probes.soft_neighbours(values, labels, float(t)) for t in np.geomspace(1e-3, 1e4, 300)]
    assert found == pytest.approx(min(scan), abs=2e-3) and found <= min(scan) + 1e-6
    assert probes.entanglement(1000 * values, labels) == pytest.approx(found, abs=2e-3)


def test_entanglement_of_mixed_and_of_separate_classes():
    labels = np.repeat([0, 1], 200)
    mixed = probes.entanglement(drawn(0, 400), labels)
    assert 0.6 < mixed <= probes.soft_neighbours(drawn(0, 400), labels, math.inf) < 0.7
    assert probes.entanglement(np.r_[drawn(0, 200), drawn(1, 200) + 50], labels) < 1e-6
    assert probes.entanglement(np.zeros((400, 3)), labels) == pytest.approx(math.log(399 / 199))
    many = np.repeat([0, 1], 1500)
    assert probes.entanglement(drawn(0, 3000), many, 1) == probes.entanglement(drawn(0, 3000), many, 1)


def test_near_copies_do_not_look_like_separate_classes():
    values = np.r_[near_copies(0), near_copies(1)]
    labels = np.repeat([0, 1], ROWS)
    where = np.r_[blocks(), BLOCKS + blocks()]
    assert probes.entanglement(values, labels) < 0.05
    assert probes.entanglement(values, labels, blocks=where) > 0.5


@pytest.mark.parametrize(
    ("labels", "where"), [(np.zeros(8), None), (np.arange(3), None), (np.arange(8) % 2, np.zeros(3))]
)
def test_what_cannot_be_entangled_is_told(labels, where):
    with pytest.raises(UsageError, match="entanglement: expected"):
        probes.entanglement(drawn(0, 8), labels, blocks=where)


@pytest.fixture(scope="module")
def network():
    from tests.zoo.making import SHAPE, small

    assert SHAPE == (80, 96, 3)
    return small("resnet1")[1]


def test_features_are_what_the_heads_read(network):
    import keras

    from tests.zoo.making import pictures

    images = pictures(131)
    found = probes.pilot_features(network, images)
    assert found.dtype == np.float32 and found.shape == (131, 32)
    expected = keras.Model(network.inputs[0], network.get_layer("features").output)(
        images[[3, 130]], training=False
    )
    assert found[[3, 130]] == pytest.approx(np.asarray(expected), abs=1e-5)
    assert found.std(axis=0).max() > 0.1


def test_a_network_without_features_or_with_broken_ones(network):
    import keras

    from tests.zoo.making import pictures

    with pytest.raises(PilotError, match=r"uint8 pictures \(N, 80, 96, 3\), got uint8 \(2, 40, 96, 3\)"):
        probes.pilot_features(network, pictures(2)[:, ::2])
    with pytest.raises(PilotError, match="got float32"):
        probes.pilot_features(network, pictures(2).astype(np.float32))
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    x = keras.layers.Flatten(name="flat")(keras.layers.Rescaling(1 / 255)(image))
    bare = keras.Model(image, {"steering": keras.layers.Dense(1, name="steering")(x)}, name="bare")
    black = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(PilotError, match="network bare: has no layer 'features'"):
        probes.pilot_features(bare, black)
    infinite = keras.layers.Dense(2, bias_initializer=keras.initializers.Constant(np.inf), name="features")(x)
    with pytest.raises(PilotError, match=r"no finite number.*smaller learning rate"):
        probes.pilot_features(keras.Model(image, infinite), black)


def test_stretches_have_gaps_within_a_run_and_none_between_runs():
    runs = np.repeat([5, 6, 9], [300, 100, 15])
    found = probes.stretches(runs, most=10, least_frames=10, gap_frames=6)
    assert (np.diff(found[found >= 0]) >= 0).all() and set(found) == {*range(-1, found.max() + 1)}
    assert 8 <= found.max() + 1 <= 11
    for block in range(found.max() + 1):
        rows = np.flatnonzero(found == block)
        assert (np.diff(rows) == 1).all() and len(set(runs[rows])) == 1
        if block and runs[rows[0]] == runs[rows[0] - 1]:
            assert (found[rows[0] - 6 : rows[0]] == -1).all() and found[rows[0] - 7] == block - 1
        elif block:
            assert found[rows[0] - 1] == block - 1
    assert len(probes.stretches([])) == 0
    short = probes.stretches(np.zeros(40), most=20, least_frames=10, gap_frames=10)
    assert [int((short == block).sum()) for block in range(4)] == [8, 7, 7, 9]


def test_a_half_is_of_whole_blocks():
    half = probes.half_of_blocks(blocks(), seed=1)
    assert [len(set(half[blocks() == block])) for block in range(BLOCKS)] == [1] * BLOCKS
    assert half.sum() == ROWS / 2
    assert (half == probes.half_of_blocks(blocks(), seed=1)).all()
    assert (half != probes.half_of_blocks(blocks(), seed=2)).any()


def test_principal_components_of_a_known_cloud():
    rng = np.random.default_rng(0)
    along = np.c_[rng.normal(0, 9, 4000), rng.normal(0, 3, 4000), rng.normal(0, 0.1, 4000)]
    turned = along @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 100
    placed, shares = probes.plane(turned)
    assert placed.dtype == np.float32 and placed.shape == (4000, 2)
    assert shares == pytest.approx((0.9, 0.1), abs=0.01)
    for k in range(2):
        assert abs(np.corrcoef(placed[:, k], along[:, k])[0, 1]) > 0.99
    assert probes.plane(np.zeros((5, 1)))[0].tolist() == [[0, 0]] * 5


@pytest.mark.parametrize("rows", [4, 40])
def test_neighbours_stay_neighbours(rows):
    placed = probes.neighbourhoods(np.r_[drawn(0, rows), drawn(1, rows) + 100], seed=0)
    assert placed.shape == (2 * rows, 2) and np.isfinite(placed).all()
    apart = np.linalg.norm(placed[:, None] - placed, axis=2)
    apart[np.eye(2 * rows, dtype=bool)] = np.inf
    assert ((apart.argmin(axis=1) < rows) == (np.arange(2 * rows) < rows)).all()


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("sklearn.linear_model", lambda: probes.probe_accuracy(drawn(0), drawn(1), blocks(), blocks())),
        ("sklearn.manifold", lambda: probes.neighbourhoods(drawn(0))),
    ],
)
def test_without_scikit_learn_it_says_what_to_install(module, call, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"'scikit-learn'.*pip install 'dingocar\[train\]'"):
        call()


def test_importing_it_is_light():
    code = "import dingocar.adapt.probes, sys; assert not {'sklearn', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
