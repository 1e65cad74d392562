"""Domain confusion: a classifier learns to tell the domains apart, the features to leave it in doubt.

Source: dingocar-research's heads `is_sim` and `smoosh`, which are Tzeng et al. 2015, "Simultaneous Deep
Transfer Across Domains and Tasks", arXiv:1510.02192, equations 3 and 4. The classifier sees stopped features,
so it trains only itself; the confusion head is the same classifier with stopped weights on live features, so
it trains only the features: their target is "half and half".

Forms: `linear` (sigmoid, squared error) and `categorical` (two softmax outputs, cross-entropy) are
dingocar-research's, one dense layer that is trained once per batch with weight 1 from the start. They hardly
do anything: a linear classifier is soon fooled by features that any other tells apart. `mlp` is the form that
bites: a classifier with a hidden layer, trained several steps per batch, on standardised features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dingocar.adapt._method import Method, ScaledSettings
from dingocar.adapt._ops import both, cross_entropy, is_sim

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ConfusionSettings(ScaledSettings):
    """Settings of confusion.

    Attributes:
        form: "linear", "categorical" (both as dingocar-research has them) or "mlp".
        hidden: mlp: units of the classifier's hidden layer.
        critic_steps: mlp: steps of the classifier for each of the pilot's.
        critic_learning_rate: mlp: of the classifier's Adam.
    """

    weight: float = 0.3
    form: Literal["linear", "categorical", "mlp"] = "mlp"
    hidden: int = 64
    critic_steps: int = 5
    critic_learning_rate: float = 3e-3

    ranges = ScaledSettings.ranges | {
        "hidden": (1, 65_536),
        "critic_steps": (1, 1000),
        "critic_learning_rate": (0, 1),
    }


class Confusion(Method):
    """The method `confusion`; see the module."""

    settings_type = ConfusionSettings
    settings: ConfusionSettings

    def layers(self, width: int) -> dict[str, keras.Layer]:
        """See `Method.layers`."""
        from keras import layers

        form = self.settings.form
        if form == "linear":
            return {"is_sim": layers.Dense(1, activation="sigmoid", name="is_sim")}
        if form == "categorical":
            return {"is_sim": layers.Dense(2, activation="softmax", name="is_sim")}
        from dingocar.adapt._critic import Critic

        s = self.settings
        return {"is_sim": Critic(s.hidden, s.critic_steps, s.critic_learning_rate, name="is_sim")}

    def losses(self, source: Any, target: Any, layers: Mapping[str, Any], progress: Any) -> dict[str, Any]:
        """See `Method.losses`."""
        from keras import ops

        source, target = self.settings.scaled(source, target)
        x, domain, head = both(source, target), is_sim(source, target), layers["is_sim"]
        strength = self.settings.strength(progress)
        if self.settings.form == "mlp":
            told = head.learn(x, domain)
            doubt = cross_entropy(head(x), 0.5)  # least, log 2, where the logits are 0
            return {"is_sim": ops.stop_gradient(told), "confusion": strength * doubt}
        from dingocar.training.frozen import live_and_frozen

        # It equals a second head into which the first one's weights are copied before every batch.
        head, smoosh = live_and_frozen(head)
        said, smooshed = head(ops.stop_gradient(x)), smoosh(x)
        if self.settings.form == "linear":
            losses = (
                ops.mean(ops.square(said[:, 0] - domain)),
                ops.mean(ops.square(smooshed[:, 0] - 0.5)),
            )
        else:
            truth = ops.stack([domain, 1.0 - domain], axis=1)
            losses = (
                ops.mean(ops.categorical_crossentropy(truth, said)),
                ops.mean(ops.categorical_crossentropy(0.5 * ops.ones_like(truth), smooshed)),
            )
        return {"is_sim": losses[0], "confusion": strength * losses[1]}

    def said_sim(self, source: Any, target: Any, layers: Mapping[str, Any]) -> Any:
        """See `Method.said_sim`."""
        from keras import ops

        source, target = self.settings.scaled(source, target)
        said = layers["is_sim"](both(source, target))
        return ops.sigmoid(said) if self.settings.form == "mlp" else said[:, 0]
