"""dingocar-research's network, trained so that a softmax domain head cannot tell simulated from real ones.

Source: tall-josh/dingocar-research, the model `smoosh_classification`. It is `confusion_linear`, but the
domain head is a softmax, and its losses are cross-entropies.
"""

from __future__ import annotations

from dingocar.zoo.confusion_linear import ConfusionSettings
from dingocar.zoo.linear import Linear


class ConfusionCategorical(Linear):
    """The pilot `confusion_categorical`; see the module."""

    settings_type = ConfusionSettings
    adaptation = ("confusion", {"form": "categorical", "weight": 1.0, "warmup": 0.0, "normalise": False})
