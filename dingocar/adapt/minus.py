"""The naive domain loss: the classifier's error is subtracted from the pilot's loss.

Source: dingocar-research's first attempt, mse(steering) + mse(throttle) - mse(is_sim). One sign for the
features and the classifier alike: both learn to be wrong, which fools nobody, since a classifier that is
always wrong has told the domains apart. Kept to be shown: it ruins the pilot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dingocar.adapt._method import LossSettings, Method
from dingocar.adapt._ops import both, is_sim

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class MinusSettings(LossSettings):
    """Settings of minus: the published ones have no warm-up."""

    warmup: float = 0.0


class Minus(Method):
    """The method `minus`; see the module."""

    settings_type = MinusSettings
    settings: MinusSettings

    def layers(self, width: int) -> dict[str, keras.Layer]:
        """See `Method.layers`."""
        from keras import layers

        return {"is_sim": layers.Dense(1, activation="sigmoid", name="is_sim")}

    def losses(self, source: Any, target: Any, layers: Mapping[str, Any], progress: Any) -> dict[str, Any]:
        """See `Method.losses`."""
        from keras import ops

        said = layers["is_sim"](both(source, target))[:, 0]
        error = ops.mean(ops.square(said - is_sim(source, target)))
        return {"is_sim": -self.settings.strength(progress) * error}

    def said_sim(self, source: Any, target: Any, layers: Mapping[str, Any]) -> Any:
        """See `Method.said_sim`."""
        return layers["is_sim"](both(source, target))[:, 0]
