"""Donkeycar's categorical network: steering in 15 bins, throttle in 20, as probabilities.

Layer for layer Donkeycar 5.3.0's `KerasCategorical` (268,311 parameters for pictures of 120x160). Its
heads `angle_out` and `throttle_out` are here called steering and throttle. Other than there:

- The outer bins' centres are the ends of the range, so the largest throttle can be decoded (Donkeycar
  spreads N bins over N steps: of a range of 0.8 it decodes at most 0.76).
- A command between two bins is shared between them in proportion to its nearness, and decoding takes the
  mean over the hill that the likeliest bin stands on. So a command survives the round trip exactly, where
  Donkeycar's single bin and argmax lose up to half a bin (0.071 of steering) and jump between bins; and of
  two separate hills (pass the obstacle left, or right) one is taken, where the mean over all bins would
  steer between them, into it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dingocar.errors import PilotError
from dingocar.zoo import _blocks
from dingocar.zoo._blocks import CoreSettings
from dingocar.zoo.pilot import (
    STEERING,
    THROTTLE,
    USER_ANGLE,
    USER_THROTTLE,
    Array,
    FloatArray,
    Pilot,
    column,
)

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CategoricalSettings(CoreSettings):
    """Settings of the categorical pilot.

    Attributes:
        steering_bins: number of bins over steering's [-1, 1], >= 2.
        throttle_bins: number of bins over [min_throttle, max_throttle], >= 2.
        min_throttle: centre of the first throttle bin. 0 is Donkeycar's; below 0 lets the pilot brake.
        max_throttle: centre of the last throttle bin, at most 1.
        decoding: "peak" (mean over the likeliest bin and those around it, outwards for as long as
            they get no likelier), "argmax" (the likeliest bin's centre, Donkeycar's) or "mean" (over
            all bins).
    """

    steering_bins: int = 15
    throttle_bins: int = 20
    min_throttle: float = 0.0
    max_throttle: float = 1.0
    decoding: Literal["peak", "argmax", "mean"] = "peak"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.steering_bins, self.throttle_bins) < 2:
            raise PilotError(
                f"pilot settings steering_bins={self.steering_bins}, "
                f"throttle_bins={self.throttle_bins}: expected at least 2 bins each"
            )
        if not -1 <= self.min_throttle < self.max_throttle <= 1:
            raise PilotError(
                f"pilot settings min_throttle={self.min_throttle}, "
                f"max_throttle={self.max_throttle}: expected -1 <= min < max <= 1"
            )


class Categorical(Pilot):
    """The pilot `categorical`; see the module."""

    settings_type = CategoricalSettings
    settings: CategoricalSettings
    _has_warned = False

    def build(self) -> keras.Model:
        """Builds the network; see `Pilot.build`."""
        from keras import Model, layers

        image, x = _blocks.image_input(self.settings)
        x = _blocks.core_cnn(x, self.settings, fourth_stride=2)
        features = _blocks.dense_features(x, self.settings.dropout)
        heads = {
            head: layers.Dense(len(bins), activation="softmax", dtype="float32", name=head)(features)
            for head, bins in self._bins().items()
        }
        return Model(image, heads, name=self.name)

    def targets(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Each command shared between its two nearest bins: float32 (N, bins), rows sum to 1."""
        bins = self._bins()
        steering, throttle = column(columns, USER_ANGLE), column(columns, USER_THROTTLE)
        low, high = bins[THROTTLE][0], bins[THROTTLE][-1]
        outside = int(np.count_nonzero((throttle < low - 1e-6) | (throttle > high + 1e-6)))
        if outside and not self._has_warned:
            self._has_warned = True  # once, not for every batch of every epoch
            logger.warning(
                "categorical: %d of %d throttles are outside [%g, %g] and were clipped to it, as later "
                "ones will be; see the pilot settings min_throttle and max_throttle",
                outside,
                throttle.size,
                low,
                high,
            )
        return {
            STEERING: _share(steering.reshape(-1), bins[STEERING]),
            THROTTLE: _share(throttle.reshape(-1), bins[THROTTLE]),
        }

    def losses(self) -> dict[str, Any]:
        """Cross-entropy for both heads."""
        return {STEERING: "categorical_crossentropy", THROTTLE: "categorical_crossentropy"}

    def loss_weights(self) -> dict[str, float]:
        """Donkeycar's: half and half."""
        return {STEERING: 0.5, THROTTLE: 0.5}

    def decode(self, outputs: Mapping[str, Array]) -> tuple[FloatArray, FloatArray]:
        """Turns probabilities (N, bins) into commands; see `CategoricalSettings.decoding`."""
        bins, how = self._bins(), self.settings.decoding
        return (
            _decode(np.asarray(outputs[STEERING]), bins[STEERING], how),
            _decode(np.asarray(outputs[THROTTLE]), bins[THROTTLE], how),
        )

    def _bins(self) -> dict[str, FloatArray]:
        """The bins' centres, float32 (bins,)."""
        s = self.settings
        return {
            STEERING: np.linspace(-1.0, 1.0, s.steering_bins, dtype=np.float32),
            THROTTLE: np.linspace(s.min_throttle, s.max_throttle, s.throttle_bins, dtype=np.float32),
        }


def _share(values: Array, bins: FloatArray) -> Array:
    """Shares each of (N,) values between its two nearest bins, linearly; (N, bins) float32."""
    position = (values - bins[0]) / (bins[-1] - bins[0]) * (len(bins) - 1)
    position = np.clip(position, 0, len(bins) - 1)
    distance = np.abs(position[:, np.newaxis] - np.arange(len(bins)))
    shares: Array = np.maximum(0.0, 1.0 - distance).astype(np.float32)
    return shares


def _decode(probabilities: Array, bins: FloatArray, how: str) -> FloatArray:
    """Decodes (N, bins) probabilities to (N,) commands."""
    if how == "argmax":
        likeliest: FloatArray = bins[probabilities.argmax(axis=1)]
        return likeliest
    if how == "peak":
        probabilities = np.where(_hill(probabilities), probabilities, 0.0)
    total = np.maximum(probabilities.sum(axis=1), 1e-12)
    decoded: FloatArray = np.clip(probabilities @ bins / total, bins[0], bins[-1])
    return decoded


def _hill(probabilities: Array) -> Array:
    """The bins (N, bins) from the likeliest one outwards for as long as they do not rise again."""
    rises = np.diff(probabilities, axis=1, prepend=probabilities[:, :1])
    rising, falling = np.cumsum(rises > 0, axis=1), np.cumsum(rises < 0, axis=1)
    peak = probabilities.argmax(axis=1)[:, np.newaxis]
    left = falling == np.take_along_axis(falling, peak, axis=1)
    right = rising == np.take_along_axis(rising, peak, axis=1)
    hill: Array = np.where(np.arange(probabilities.shape[1]) <= peak, left, right)
    return hill
