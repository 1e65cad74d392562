"""Duckietown's one-residual-block network on a standardised 60x80 picture; steering and throttle.

Source: `one_residual` of Duckietown's baseline (challenge-aido_LF-baseline-IL-sim-tensorflow, 167,682
trainable parameters). Other than there: the heads are steering and throttle, not wheel velocities; batch
normalisation is trained and used; the L2 penalty is part of the loss; the shrinking does not
alias; the dense biases start at zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dingocar.errors import PilotError
from dingocar.zoo import _blocks
from dingocar.zoo.pilot import Pilot, PilotSettings

if TYPE_CHECKING:
    import keras

_HEIGHT, _WIDTH = 60, 80
_FILTERS = 32


@dataclass(frozen=True)
class Resnet1Settings(PilotSettings):
    """Settings of the resnet1 pilot.

    Attributes:
        l2: weight of the squared convolution weights in the loss, >= 0.
    """

    l2: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.l2 < 0:
            raise PilotError(f"pilot setting l2: expected a number >= 0, got {self.l2}")


class Resnet1(Pilot):
    """The pilot `resnet1`; see the module."""

    settings_type = Resnet1Settings
    settings: Resnet1Settings

    def build(self) -> keras.Model:
        """Builds the network; see `Pilot.build`."""
        from keras import Model, layers

        image, x = _blocks.image_input(self.settings)
        x = _blocks.shrink(x, _HEIGHT, _WIDTH)
        x = _blocks.standardised(x)  # brightness and contrast go
        x = self._conv("conv_1", 5, 2)(x)
        x = layers.MaxPooling2D(3, 2, name="max_pool")(x)
        branch = layers.BatchNormalization(name="branch_norm_1")(x)
        branch = layers.ReLU(name="branch_relu_1")(branch)
        branch = self._conv("branch_conv_1", 3, 2)(branch)
        branch = layers.BatchNormalization(name="branch_norm_2")(branch)
        branch = layers.ReLU(name="branch_relu_2")(branch)
        branch = self._conv("branch_conv_2", 3, 1)(branch)
        x = layers.Add(name="add")([self._conv("shortcut", 1, 2)(x), branch])
        x = layers.Flatten(name="flattened")(x)
        for units, name in ((64, "dense_1"), (32, "features")):
            x = layers.Dense(units, activation="relu", kernel_initializer="glorot_normal", name=name)(x)
        heads = _blocks.command_heads(x, kernel_initializer="glorot_normal")
        return Model(image, heads, name=self.name)

    def _conv(self, name: str, kernel: int, stride: int) -> Any:
        from keras import layers, regularizers

        return layers.Conv2D(
            _FILTERS,
            kernel,
            stride,
            padding="same",
            kernel_initializer="he_normal",
            kernel_regularizer=regularizers.L2(self.settings.l2),
            name=name,
        )
