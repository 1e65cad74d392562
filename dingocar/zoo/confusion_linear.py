"""dingocar-research's network, trained so that a linear domain head cannot tell simulated from real pictures.

Source: tall-josh/dingocar-research, the model `smoosh_linear`: the network of `linear` with less dropout,
trained with the method `confusion` in the form `linear`. The domain head is there in training alone. Other
than there: pixels are in [0, 1], not [-0.5, 0.5]; real pictures need no label.
"""

from __future__ import annotations

from dataclasses import dataclass

from dingocar.zoo.linear import Linear, LinearSettings


@dataclass(frozen=True)
class ConfusionSettings(LinearSettings):
    """Settings of the confusion pilots: those of `linear`."""

    dropout: float = 0.1


class ConfusionLinear(Linear):
    """The pilot `confusion_linear`; see the module."""

    settings_type = ConfusionSettings
    adaptation = ("confusion", {"form": "linear", "weight": 1.0, "warmup": 0.0, "normalise": False})
