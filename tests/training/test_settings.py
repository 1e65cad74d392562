"""Settings from strings: typed, checked, with a suggestion for a mistyped name."""

import json

import pytest

from dingocar.errors import TrainingError
from dingocar.training import TrainingSettings


def test_strings_become_typed_values():
    made = TrainingSettings.from_strings(
        {
            "epochs": "10",
            "learning_rate": "1e-4",
            "mirror": "yes",
            "augment": "False",
            "precision": "float32",
            "augmentation.shift_px": "4",
        }
    )
    assert (made.epochs, made.learning_rate, made.mirror, made.augment) == (10, 1e-4, True, False)
    assert made.precision == "float32"
    assert made.augmentation.shift_px == 4
    assert type(made.augmentation.shift_px) is int


def test_strings_are_laid_over_a_base():
    base = TrainingSettings(epochs=7, batch_size=16)
    made = TrainingSettings.from_strings({"batch_size": "32"}, base)
    assert (made.epochs, made.batch_size) == (7, 32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": "10"}, "did you mean 'epochs'"),
        ({"augmentation.shift_gian": "1"}, "did you mean 'augmentation.shift_gain'"),
        ({"augmentation": "off"}, "unknown"),
        ({"epochs": "ten"}, "epochs: expected a whole number, got 'ten'"),
        ({"epochs": "1.5"}, "a whole number"),
        ({"epochs": "-1"}, "epochs: expected at least 0"),
        ({"validation_fraction": "2"}, "validation_fraction: expected at least 0.01"),
        ({"learning_rate": "nan"}, "learning_rate"),
        ({"mirror": "perhaps"}, "mirror: expected true or false"),
        ({"precision": "float8"}, "expected one of auto, float32"),
        ({"augmentation.noise_p": "7"}, "noise_p"),
    ],
)
def test_mistakes_are_one_clear_error(values, message):
    with pytest.raises(TrainingError, match=message):
        TrainingSettings.from_strings(values)


def test_wrong_types_are_an_error_in_python_too():
    with pytest.raises(TrainingError, match="batch_size: expected a whole number"):
        TrainingSettings(batch_size=1.5)


def test_settings_are_plain_json():
    assert json.loads(json.dumps(TrainingSettings().to_json()))["augmentation"]["shift_px"] >= 1
