"""Which epoch is kept, and what is measured for it."""

import math
import struct
import zlib
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dingocar.adapt import Method
from dingocar.errors import TrainingError
from dingocar.training import train
from dingocar.training.curve import draw_curve
from dingocar.training.domains import Adaptation, Domains, Stream
from dingocar.training.heldout import FIGURES, LEAST, MOST, SHARE, HeldOut
from dingocar.training.selection import TOLERANCE, Chooser

from .conftest import Tiny, change_labels, plan, write_real
from .test_trainer import same, saved_weights


class Figures:
    """Held-out pictures whose figures are given."""

    enough = True

    def __init__(self, scores, penalty=0.0):
        self.scores, self.penalised = iter(scores), penalty

    def figures(self):
        return {"domain_accuracy": 0.5}

    def probe_accuracy(self):
        return next(self.scores)

    consistency = probe_accuracy

    def penalty(self):
        return self.penalised


def choose(select, losses, scores, penalty=0.0):
    """Which epoch is kept after each epoch; asserts that its weights could be remembered."""
    chooser = Chooser(select, Figures(scores, penalty))
    remembered, kept = set(), []
    for epoch, loss in enumerate(losses, start=1):
        chooser.look()
        chooser.judge(epoch, loss)
        remembered = (remembered | {epoch}) & chooser.worth
        assert chooser.kept in remembered == set(chooser.worth)
        kept.append(chooser.kept)
    return kept


@pytest.mark.parametrize("select", ["probe", "consistency"])
def test_the_best_score_wins_among_the_epochs_with_a_good_loss(select):
    assert choose(select, [1.0, 1.1, 1.19, 1.3], [0.9, 0.7, 0.6, 0.5]) == [1, 2, 3, 3]


def test_an_epoch_that_a_better_loss_rules_out_gives_way_to_the_next_best():
    """The third rules the second out, yet the first has a better score than the third and is good enough."""
    assert choose("probe", [1.1, 1.2, 1.0, 0.5], [0.6, 0.5, 0.9, 0.99]) == [1, 2, 2, 4]
    assert choose("probe", [1.1, 1.31, 1.0], [0.6, 0.5, 0.9]) == [1, 2, 1]


def test_equal_scores_keep_the_earlier_epoch():
    assert choose("probe", [1.0, 1.0, 0.99], [0.5, 0.5, 0.5]) == [1, 1, 1]


def test_penalties_do_not_widen_the_tolerance():
    losses, scores = [1.0, 1.15], [0.9, 0.5]
    assert choose("probe", losses, scores) == [1, 2]
    assert choose("probe", losses, scores, penalty=0.9) == [1, 1]


def test_the_choice_is_the_one_made_with_all_epochs_at_hand():
    rng = np.random.default_rng(3)
    for _ in range(200):
        losses = rng.uniform(0.5, 1.5, 12) * np.linspace(2, 1, 12)
        scores = rng.integers(5, 10, 12) / 10
        for count, kept in enumerate(choose("probe", losses, scores), start=1):
            good = losses[:count] <= losses[:count].min() * (1 + TOLERANCE)
            best = min(range(count), key=lambda i: (not good[i], scores[i], i))
            assert kept == best + 1


def test_last_and_source():
    assert choose("last", [1.0, 0.5, 0.7], []) == [1, 2, 3]
    assert choose("source", [1.0, 0.5, 0.7, 0.4], []) == [1, 2, 2, 4]
    chooser = Chooser()
    for epoch, loss in enumerate([1.0, 0.95, 0.85], start=1):
        chooser.judge(epoch, loss, min_delta=0.1)
    assert chooser.kept == 3 and chooser.look() == {}


def test_only_a_choice_by_the_loss_may_end_a_training():
    ends = {
        select: Chooser(select, Figures([])).may_end for select in ("last", "source", "probe", "consistency")
    }
    assert ends == {"last": False, "source": True, "probe": False, "consistency": False}


@pytest.mark.parametrize("select", ["probe", "consistency"])
def test_too_few_held_out_pictures_are_told(select):
    for held_out in (None, SimpleNamespace(enough=False)):
        with pytest.raises(TrainingError, match=f"--select {select}: needs held-out pictures of both"):
            Chooser(select, held_out)


class Adapted:
    """A network whose features and steering are made of the mean of a picture."""

    def __init__(self, spread=1.0):
        self.method_layers = {}
        self.spread = spread
        self.network = self.steer
        self.steer_by = 0.0
        self.asked = []

    def features(self, images):
        self.asked.append(len(images))
        means = images.reshape(len(images), -1).mean(axis=1)
        noise = np.random.default_rng(int(means.sum())).normal(0, 1, (len(images), 3))
        noise[:, 0] += self.spread * means / 10
        return noise.astype(np.float32)

    def steer(self, images, training):
        assert training is False
        means = images.reshape(len(images), -1).mean(axis=1, keepdims=True) / 255
        return {"steering": self.steer_by * means, "throttle": means}


class Said(Method):
    """A method whose classifier says what it is told to."""

    def __init__(self, said):
        super().__init__()
        self.said = said

    def said_sim(self, source, target, layers):
        assert len(source) == len(target)
        return np.concatenate([self.said(source), self.said(target)])


def held_out(adapted, method=None, source=200, target=120, frames=10**6, mixed=True, **more):
    """Dark simulated and bright real pictures, held out in stretches of 20 with as much between them."""
    both = 2 * (source + target)
    rows = np.arange(both)
    rows = rows[rows // 20 % 2 == 0]
    images = np.random.default_rng(0).integers(0, 60, (both, 4, 6, 3), dtype=np.uint8)
    images[2 * source :] += 100
    data = SimpleNamespace(images=images, runs=(np.arange(both) >= 2 * source).astype(int))
    sides = rows[rows < 2 * source], rows[rows >= 2 * source]
    streams = [Stream(side, labelled=True) for side in sides][: 1 + mixed]
    domains = Domains(method or Method(), tuple(streams), rows[:0], *sides, sides[0])
    return HeldOut(adapted, Tiny(), data, domains, frames, **more)


def test_domains_that_differ_are_told_apart_and_hardly_entangled():
    apart = held_out(Adapted())
    figures = apart.figures()
    assert figures["domain_accuracy"] > 0.98 and figures["entanglement"] < 0.2
    assert apart.probe_accuracy() > 0.98
    alike = held_out(Adapted(spread=0.0))
    figures = alike.figures()
    assert figures["domain_accuracy"] == pytest.approx(0.5, abs=0.2)
    assert 0.6 < figures["entanglement"] <= figures["entanglement_most"] < 0.9
    assert alike.probe_accuracy() == pytest.approx(0.5, abs=0.15)


def test_the_methods_own_classifier_is_asked_where_it_has_one():
    def share(of_source, of_target):
        """Says 'simulated' to these shares of each domain; the dark pictures are the simulated ones."""
        return lambda values: (
            np.arange(len(values)) < len(values) * (of_source if values[:, 0].mean() < 8 else of_target)
        )

    assert held_out(Adapted(), Said(share(1.0, 0.0))).figures()["domain_accuracy"] == 1.0
    assert held_out(Adapted(), Said(share(0.0, 1.0))).figures()["domain_accuracy"] == 0.0
    assert held_out(Adapted(), Said(share(1.0, 1.0))).figures()["domain_accuracy"] == 0.5
    # Without target pictures in the batches nothing was trained that could be asked.
    untrained = held_out(Adapted(), Said(share(0.0, 1.0)), mixed=False)
    assert untrained.figures()["domain_accuracy"] > 0.98


@pytest.mark.parametrize(
    "frames, thorough, looked",
    [(100, False, LEAST), (SHARE * 80, False, 80), (10**9, False, MOST), (1, True, MOST)],
)
def test_a_look_costs_little_beside_an_epoch(frames, thorough, looked):
    adapted = Adapted()
    held_out(adapted, source=900, target=600, frames=frames, thorough=thorough).figures()
    assert adapted.asked == [looked, looked]


def test_one_held_out_stretch_is_cut_up_and_too_short_a_one_is_not_looked_at():
    def watch(count):
        rows = np.arange(2 * count)
        data = SimpleNamespace(images=np.zeros((2 * count, 4, 6, 3), np.uint8), runs=np.repeat([0, 1], count))
        domains = Domains(Method(), (), rows[:0], rows[:count], rows[count:], rows)
        return HeldOut(Adapted(), Tiny(), data, domains, 1000)

    assert watch(12).enough and set(watch(12).figures()) == set(FIGURES[:3])
    for count in (0, 1, 2, 3):
        assert not watch(count).enough and watch(count).figures() == {}


def test_consistency_is_how_far_steering_moves_under_light_and_noise():
    adapted = Adapted()
    steady = held_out(adapted)
    assert steady.consistency() == 0.0
    adapted.steer_by = 0.5
    moved = steady.consistency()
    assert 0.005 < moved < 0.3
    assert steady.consistency() == moved  # the same changes every time
    adapted.steer_by = 1.0
    assert steady.consistency() == pytest.approx(2 * moved)


@pytest.mark.parametrize("select", ["probe", "consistency"])
def test_no_label_of_the_target_takes_part_in_the_choice(tubs, tmp_path, quick, select):
    sim, _ = tubs
    real, more = write_real(tmp_path / "real", seed=5), write_real(tmp_path / "more", 80, seed=9)
    adaptation = Adaptation("coral", {"weight": 0.3}, [more], real_labels=20, select=select)
    data, _, domains = plan(replace(adaptation, unlabelled=()), [sim, real])
    kept = set(domains.streams[1].rows - np.flatnonzero(data.tub_numbers == 1)[0])
    runs = []
    for name in ("a.keras", "b.keras"):
        settings = replace(quick, epochs=5)
        runs.append(train([sim, real], Tiny(), tmp_path / name, settings, adaptation=adaptation))
        change_labels(real, lambda i, *own: own if i in kept else (-0.9, 0.9))
        change_labels(more, lambda i, *own: (0.9, -0.9))
    first, second = runs
    figure = {"probe": "probe_accuracy", "consistency": "consistency"}[select]
    assert first.history[figure] == pytest.approx(second.history[figure], abs=1e-4)
    assert first.best_epoch == second.best_epoch
    assert same(saved_weights(first.model), saved_weights(second.model), atol=1e-4)
    # And it is the best by that figure among those with a good loss, with the weights of that epoch.
    losses, scores = (np.array(first.history[name]) for name in ("val_loss", figure))
    good = losses <= losses.min() * (1 + TOLERANCE)
    assert first.best_epoch == int(np.argmin(np.where(good, scores, math.inf))) + 1
    assert first.adaptation[figure] == scores[first.best_epoch - 1]


def test_an_earlier_epoch_is_saved_with_its_own_weights(tubs, tmp_path, quick, monkeypatch):
    scores = iter([0.9, 0.5, 0.8, 0.9, 0.9])
    monkeypatch.setattr(HeldOut, "probe_accuracy", lambda self: next(scores))
    monkeypatch.setattr("dingocar.training.fit.Chooser", partial(Chooser, tolerance=99.0))
    kept = []

    def look(progress):
        kept.append(progress.best_epoch)

    settings = replace(quick, epochs=5, schedule="constant")
    adaptation = Adaptation("coral", {"warmup": 0}, select="probe")
    chosen = train(tubs, Tiny(), tmp_path / "a.keras", settings, on_progress=look, adaptation=adaptation)
    assert kept == [1, 2, 2, 2, 2] and chosen.best_epoch == 2
    two = replace(settings, epochs=2)
    last = train(tubs, Tiny(), tmp_path / "b.keras", two, adaptation=replace(adaptation, select="last"))
    assert same(saved_weights(chosen.model), saved_weights(last.model), atol=1e-4)


def test_what_finishes_a_network_is_measured_afterwards(tubs, tmp_path, quick, monkeypatch):
    from dingocar.adapt.adabn import AdaBn

    def finish(self, network, source, target):
        assert len(source) and len(target)
        network.set_weights([0 * weights for weights in network.get_weights()])

    monkeypatch.setattr(AdaBn, "finish", finish)
    settings = replace(quick, epochs=2)
    result = train(tubs, Tiny(), tmp_path / "a.keras", settings, adaptation=Adaptation("adabn"))
    assert result.adaptation["domain_accuracy"] == pytest.approx(0.5, abs=1e-6)
    assert result.history["domain_accuracy"][-1] > 0.55


def test_a_curve_replaces_another_curve_and_no_other_picture(tmp_path, caplog):
    commands = {"steering": (np.zeros(3), np.zeros(3))}
    file = tmp_path / "a.png"
    assert draw_curve(file, {"loss": [2.0]}, 1, commands) == file
    first = file.read_bytes()
    assert draw_curve(file, {"loss": [2.0, 1.0]}, 2, commands) == file
    assert file.read_bytes() != first
    Image.new("RGB", (8, 8), "red").save(file)
    red = file.read_bytes()
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + red[24:29]
    too_large = red[:12] + header + struct.pack(">I", zlib.crc32(header)) + red[33:]
    for other in (red, too_large):
        file.write_bytes(other)
        assert draw_curve(file, {"loss": [2.0]}, 1, commands) is None
        assert file.read_bytes() == other
    assert "a.png is there, and is none; it is left as it is" in caplog.text


def test_the_curve_has_a_second_panel_with_the_domains(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **how: drawn.append(self))
    commands = {"steering": (np.zeros(3), np.zeros(3))}
    history = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.0]}
    draw_curve(tmp_path / "a.png", history, 2, commands)
    domains = {"domain_accuracy": [0.9, 0.6], "entanglement": [0.1, 0.8], "entanglement_most": [0.9, 0.9]}
    draw_curve(tmp_path / "a.png", history | domains, 2, commands)
    titles = [[axis.get_title() for axis in figure.axes] for figure in drawn]
    assert titles[0] == ["a", "steering, validation frames"]
    assert titles[1] == ["a", "domains, held-out pictures", "steering, validation frames"]
    lines = {line.get_label(): list(line.get_ydata()) for line in drawn[1].axes[1].get_lines()}
    assert lines["told apart (chance: 0.5)"] == [0.9, 0.6]
    assert lines["entanglement"] == [0.1, 0.8] and lines["... if all were mixed"] == [0.9, 0.9]
