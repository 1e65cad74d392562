"""Donkeycar's linear network: five convolutions, two dense layers, steering and throttle as numbers.

Layer for layer Donkeycar 5.3.0's `KerasLinear` (817,028 parameters for pictures of 120x160), so that
weights can go both ways. Its heads `n_outputs0` and `n_outputs1` are here called steering and throttle,
and the division by 255 is a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dingocar.zoo import _blocks
from dingocar.zoo._blocks import CoreSettings
from dingocar.zoo.pilot import Pilot

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class LinearSettings(CoreSettings):
    """Settings of the linear pilot."""


class Linear(Pilot):
    """The pilot `linear`; see the module."""

    settings_type = LinearSettings
    settings: LinearSettings

    def build(self) -> keras.Model:
        """Builds the network; see `Pilot.build`."""
        from keras import Model

        image, x = _blocks.image_input(self.settings)
        x = _blocks.core_cnn(x, self.settings)
        features = _blocks.dense_features(x, self.settings.dropout)
        return Model(image, _blocks.command_heads(features), name=self.name)
