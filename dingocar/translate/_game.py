"""What Keras trains: a translator's networks, and the sum of their losses.

This module imports keras at its top; import it only inside functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from dingocar.translate._method import DIRECTIONS, REAL, SIM, LearnedSettings, Translator


class Game(keras.Model):  # type: ignore[misc]
    """A translator's networks in training. Its batches: uint8 {"sim": (B, H, W, 3), "real": (B, H, W, 3)}.

    Args:
        translator: one that learns; its seeds come from Keras, see `keras.utils.set_random_seed`.
    """

    def __init__(self, translator: Translator) -> None:
        super().__init__(name="game")
        assert isinstance(translator.settings, LearnedSettings)
        self._translator = translator
        self._shape = (translator.settings.batch_size, *translator.settings.image_shape)
        self.networks: dict[str, Any] = translator.networks()
        self.built = True

    def call(self, batch: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """The losses of a batch."""
        # Backends that trace a batch of any size need to be told the one there is.
        sim, real = (
            ops.reshape(ops.cast(batch[domain], "float32") / 127.5 - 1.0, self._shape)
            for domain in (SIM, REAL)
        )
        return self._translator.losses(self.networks, sim, real)

    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The sum of the losses."""
        return sum(y_pred.values(), ops.zeros(()))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """The losses of this batch."""
        return dict(y_pred)


def translation(translator: Translator, networks: Mapping[str, Any]) -> keras.Model:
    """The finished network.

    Returns:
        Takes uint8 (B, H, W, 3) {"sim", "real"}, as far as they are needed; gives a dict of float32, pictures
        ("to_real", "to_sim") in [0, 255].
    """
    inputs, scaled = {}, {}
    for domain in (SIM, REAL):
        inputs[domain] = keras.Input(translator.settings.image_shape, dtype="uint8", name=domain)
        scaled[domain] = layers.Rescaling(1 / 127.5, -1.0, name=f"{domain}_scaled")(inputs[domain])
    outputs = {
        name: layers.Rescaling(127.5, 127.5, name=name)(x) if name in DIRECTIONS else x
        for name, x in translator.outputs(networks, scaled[SIM], scaled[REAL]).items()
    }
    used = {DIRECTIONS[name] for name in outputs if name in DIRECTIONS}
    return keras.Model(
        {domain: inputs[domain] for domain in inputs if domain in used}, outputs, name="translation"
    )


def least_squares(said: Any, wanted: float) -> Any:
    """The mean squared distance of what a discriminator says from `wanted` (LSGAN, arXiv:1611.04076)."""
    return ops.mean(ops.square(said - wanted))


def mean_absolute(one: Any, other: Any) -> Any:
    """The mean absolute difference."""
    return ops.mean(ops.abs(one - other))
