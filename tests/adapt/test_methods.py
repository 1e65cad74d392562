"""What every method of the registry must do, and so a new file's, also one in a car folder."""

import dataclasses
import os
import subprocess
import sys
from typing import get_type_hints

import numpy as np
import pytest

from dingocar.adapt import LossSettings, Method, methods
from dingocar.errors import TrainingError, UnknownNameError
from dingocar.registry import use_car_folder
from tests.adapt.slopes import slopes

NAMES = methods.names()
FORMS = ("linear", "categorical", "mlp")
#: Every method, and every form of those that have forms.
VARIANTS = [
    pytest.param(name, settings, id=f"{name}-{settings['form']}" if settings else name)
    for name in NAMES
    for settings in ([{"form": form} for form in FORMS] if name == "confusion" else [{}])
]
WIDTH = 6

OWN = '''"""A method of one's own: the means are made alike."""

from dataclasses import dataclass

from dingocar.adapt import LossSettings, Method


@dataclass(frozen=True)
class MeansSettings(LossSettings):
    power: float = 2.0

    ranges = LossSettings.ranges | {"power": (1, 8)}


class Means(Method):
    settings_type = MeansSettings

    def losses(self, source, target, layers, progress):
        from keras import ops

        gap = ops.abs(ops.mean(source, axis=0) - ops.mean(target, axis=0)) + 1e-6
        return {"means": self.settings.strength(progress) * ops.mean(gap**self.settings.power)}
'''


@pytest.fixture
def own(tmp_path):
    """A car folder with a method of its own."""
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "means.py").write_text(OWN)
    use_car_folder(tmp_path)
    return "means"


def features(kind, counts=(8, 6)):
    rng = np.random.default_rng(0)
    source, target = (np.float32(rng.normal(i, 1 + i, (n, WIDTH))) for i, n in enumerate(counts))
    if kind == "never on":
        return np.maximum(source - 9, 0), np.maximum(target - 9, 0)
    if kind == "the same":
        return source, np.tile(source[:1], (counts[1], 1))
    if kind == "one constant":
        source[:, 2] = target[:, 2] = 1
    return (source * 1e3, target * 1e3) if kind == "large" else (source, target)


KINDS = ("plain", "never on", "the same", "one constant", "large")


def check(method):
    """The contract: every loss is one finite float32 with finite slopes, whatever the features are."""
    import keras
    from keras import ops

    assert isinstance(method, Method)
    assert dataclasses.is_dataclass(method.settings) and type(method).from_settings({}).settings is not None
    assert method.needs_target or not (method.needs_target_labels or method.losses(0, 0, {}, 0))
    keras.utils.set_random_seed(0)
    layers = method.layers(WIDTH)
    for layer in layers.values():
        layer.build((None, WIDTH))
    before = {name: layer.get_weights() for name, layer in layers.items()}
    for kind in KINDS:
        source, target = features(kind)
        for progress in (0.0, 0.5, 1.0):
            for name, layer in layers.items():
                layer.set_weights(before[name])
            found = method.losses(*map(ops.convert_to_tensor, (source, target)), layers, progress)
            for loss in found.values():
                assert loss.dtype == "float32" and loss.shape == () and np.isfinite(float(loss)), kind

        def total(source, target):
            return sum(method.losses(source, target, layers, 1.0).values(), ops.sum(source) * 0)

        assert all(np.isfinite(slope).all() for slope in slopes(total, source, target)), kind
        said = method.said_sim(*map(ops.convert_to_tensor, (source, target)), layers)
        if said is not None:
            said = np.asarray(said)
            assert said.shape == (len(source) + len(target),) and said.min() >= 0 and said.max() <= 1
    return found


def check_settings(method):
    """Every number has a range, and what is outside of it is one clear line."""
    kind = method.settings_type
    numbers = {name for name, hint in get_type_hints(kind).items() if hint in (int, float)}
    assert numbers == set(kind.ranges)
    for name, (low, high) in kind.ranges.items():
        for wrong in (low - 1, high + 1, "x", True):
            with pytest.raises(TrainingError, match=rf"method setting {name}: expected .*, got ") as told:
                method.from_settings({name: wrong})
            assert "\n" not in str(told.value)
        for fine in (low, high):
            assert getattr(method.from_settings({name: fine}).settings, name) == fine
    with pytest.raises(TrainingError if numbers else UnknownNameError, match="weight"):
        method.from_settings({"weight": float("nan")})


def test_the_methods_are_there():
    wanted = {"none", "mix", "minus", "confusion", "dann", "coral", "mmd", "dare_gram", "adabn", "histogram"}
    assert wanted <= set(NAMES)
    assert all(summary.endswith(".") for summary in methods.summaries().values())


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_every_method_keeps_the_contract(name, settings):
    kind = methods.load(name)
    method = kind.from_settings(settings)
    assert method.name == name
    found = check(method)
    # A method without losses has no weight to set either.
    assert bool(found) == issubclass(kind.settings_type, LossSettings)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_its_range(name):
    check_settings(methods.load(name))


def test_a_cars_own_method_joins_in(own):
    assert own in methods.names()
    assert methods.summaries()[own] == "A method of one's own: the means are made alike."
    kind = methods.load(own)
    assert list(check(kind.from_settings({"power": 1}))) == ["means"]
    check_settings(kind)


@pytest.mark.parametrize(
    ("name", "settings", "error", "words"),
    [
        (
            "confusion",
            {"froms": "mlp"},
            UnknownNameError,
            "unknown method setting 'froms'; did you mean 'form'",
        ),
        ("confusion", {"form": "mpl"}, TrainingError, "method setting form: expected .*'mlp'.*, got 'mpl'"),
        (
            "confusion",
            {"critic_steps": 0},
            TrainingError,
            "critic_steps: expected a number from 1 to 1000, got 0",
        ),
        ("confusion", {"critic_steps": 1.5}, TrainingError, "critic_steps: expected int, got 1.5"),
        ("coral", {"weight": -1}, TrainingError, r"weight: expected a number from 0 to 1e\+06, got -1"),
        ("coral", {"weight": float("inf")}, TrainingError, "weight: expected .*, got inf"),
        ("dann", {"warmup": 1.5}, TrainingError, "warmup: expected a number from 0 to 1, got 1.5"),
        ("adabn", {"weight": 1.0}, UnknownNameError, "unknown method setting 'weight'; there are none"),
    ],
)
def test_bad_settings_say_what_is_wrong(name, settings, error, words):
    with pytest.raises(error, match=words):
        methods.load(name).from_settings(settings)


def test_an_unknown_method_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"unknown method 'confusoin'; did you mean 'confusion'\?"):
        methods.load("confusoin")


def test_listing_methods_and_reading_their_settings_loads_no_keras():
    code = (
        "import sys; from dingocar.adapt import methods; from dingocar.cli.main import main; "
        "[methods.load(name).from_settings({}) for name in methods.names()]; main(['list', 'methods']); "
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'sklearn'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(listed) == set(NAMES) and listed["coral"].startswith("Deep CORAL")
