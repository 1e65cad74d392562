"""What each method is for, on a problem so small that it can be seen: see `toy`."""

import numpy as np
import pytest

from dingocar.adapt import methods
from tests.adapt.toy import brightness, shortcut, train

#: Mean errors: that of the true number alone is 0.12, of the shortcut 0.04, of saying 0 always 0.5.
SETTINGS = {
    "coral": {"weight": 10.0, "warmup": 0.2},
    "mmd": {"weight": 0.5, "warmup": 0.2},
    "dare_gram": {"weight": 10.0, "warmup": 0.2, "angle": 0.05, "scale": 0.036, "share": 0.9},
    "dann": {"weight": 0.3, "warmup": 1.0, "hidden": 64, "normalise": False},
    "confusion": {"weight": 1.0, "warmup": 0.2, "form": "mlp", "hidden": 64, "critic_steps": 5},
}
ADVERSARIAL = ("dann", "confusion")


def made(name):
    return methods.load(name).from_settings(SETTINGS.get(name, {}))


@pytest.fixture(scope="module")
def none():
    return train(made("none"))


def test_without_a_method_the_shortcut_is_learned(none):
    sim, real, _ = none
    assert sim < 0.06 and real > 1.0


@pytest.mark.parametrize("name", SETTINGS)
def test_a_method_leaves_the_shortcut_alone(name, none):
    sim, real, _ = train(made(name))
    # Two that play against each other do not come as near, nor to the same place every time.
    assert real < (0.5 if name in ADVERSARIAL else 0.2) * none[1]
    assert sim < 0.2


def test_real_labels_do_so_too():
    sim, real, _ = train(made("mix"), target_labels=True)
    assert sim < 0.1 and real < 0.15


def test_minus_makes_a_classifier_wrong_that_still_tells_the_domains_apart(none):
    _, real, adapted = train(made("minus"))
    rng = np.random.default_rng(9)
    source, target = (adapted.features(shortcut(rng, 200, side)[0]) for side in (False, True))
    said = np.asarray(made("minus").said_sim(source, target, adapted.method_layers))
    assert said[:200].mean() < 0.1 and said[200:].mean() > 0.9  # wrong, and so sure of it
    spread = np.concatenate([source, target]).std(axis=0).max()
    plain = none[2].features(shortcut(rng, 400, True)[0]).std(axis=0).max()
    assert spread > 2 * plain  # what tells the domains apart grows
    assert real > 0.45


def test_adabn_sees_through_another_light():
    without, adapted = (train(made(name), brightness) for name in ("none", "adabn"))
    assert without[1] > 0.2 and adapted[1] < 0.06
    # The pilot is for the target from now on.
    assert adapted[0] > 0.2
