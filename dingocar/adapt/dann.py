"""DANN: a domain classifier whose reversed gradient trains the features to fool it.

Source: Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", arXiv:1505.07818. Its reversal
strength rises as 2 / (1 + exp(-10 p)) - 1 over the training's progress p. A strength of 1, as published for
classifiers, destroys a regression of steering; the default is lower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dingocar.adapt._method import Method, ScaledSettings
from dingocar.adapt._ops import both, cross_entropy, is_sim, reverse_gradient

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class DannSettings(ScaledSettings):
    """Settings of dann.

    Attributes:
        weight: the reversal's strength at the training's end.
        hidden: units of each of the classifier's two hidden layers.
    """

    weight: float = 0.1
    warmup: float = 1.0
    hidden: int = 64

    ranges = ScaledSettings.ranges | {"hidden": (1, 65_536)}

    def strength(self, progress: Any) -> Any:
        """The reversal's strength: the published schedule over the warm-up, times the weight."""
        from keras import ops

        if not self.warmup:
            return self.weight
        share = ops.minimum(1.0, progress / self.warmup)
        return self.weight * (2.0 / (1.0 + ops.exp(-10.0 * share)) - 1.0)


class Dann(Method):
    """The method `dann`; see the module."""

    settings_type = DannSettings
    settings: DannSettings

    def layers(self, width: int) -> dict[str, keras.Layer]:
        """See `Method.layers`."""
        from keras import Sequential, layers

        hidden = self.settings.hidden
        critic = [
            layers.Dense(hidden, activation="relu", name="critic_1"),
            layers.Dense(hidden, activation="relu", name="critic_2"),
            layers.Dense(1, name="logit"),
        ]
        return {"is_sim": Sequential(critic, name="is_sim")}

    def losses(self, source: Any, target: Any, layers: Mapping[str, Any], progress: Any) -> dict[str, Any]:
        """See `Method.losses`."""
        source, target = self.settings.scaled(source, target)
        x = reverse_gradient(both(source, target), self.settings.strength(progress))
        return {"is_sim": cross_entropy(layers["is_sim"](x)[:, 0], is_sim(source, target))}

    def said_sim(self, source: Any, target: Any, layers: Mapping[str, Any]) -> Any:
        """See `Method.said_sim`."""
        from keras import ops

        source, target = self.settings.scaled(source, target)
        return ops.sigmoid(layers["is_sim"](both(source, target))[:, 0])
