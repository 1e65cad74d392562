"""Colour transfer: pictures of one domain get the other's mean and spread of colours. Nothing is learned.

Source: Reinhard, Ashikhmin, Gooch and Shirley 2001, "Color transfer between images", in opponent colours
(light, red-green, blue-yellow; linear, where they take logarithms, so that black and white stay what they
are). Each picture gets the mean and deviation of each opponent colour that the other domain's pictures have
on average.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.images import Uint8Array
from dingocar.translate._method import REAL, SIM, Translator

#: Red, green, blue to light, red-green, blue-yellow: columns of length 1, at right angles.
OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]).T / np.sqrt([3, 2, 6])


class Colour(Translator):
    """The translator `colour`; see the module."""

    learns = False

    def fitted(self, sim: Uint8Array, real: Uint8Array) -> dict[str, Any]:
        """See `Translator.fitted`."""
        import keras

        picture = keras.Input(self.settings.image_shape, name="picture")
        made = {}
        for domain, images in ((SIM, sim), (REAL, real)):
            middle, spread = statistics(images)
            opponent = keras.layers.Conv2D(3, 1, use_bias=False, name="opponent")
            settled = keras.layers.GroupNormalization(-1, epsilon=1e-6, name="settled")
            mixed = keras.layers.Conv2D(3, 1, use_bias=False, name="mixed")
            x = keras.ops.clip(mixed(settled(opponent(picture))), -1.0, 1.0)
            opponent.set_weights([OPPONENT[None, None].astype(np.float32)])
            mixed.set_weights([OPPONENT.T[None, None].astype(np.float32)])
            settled.set_weights([spread, middle])
            made[f"to_{domain}"] = keras.Model(picture, x, name=f"to_{domain}_colours")
        return made

    def outputs(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.outputs`."""
        return {"to_real": networks["to_real"](sim), "to_sim": networks["to_sim"](real)}


def statistics(images: Uint8Array) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The mean over pictures uint8 (N, H, W, 3) of each opponent colour's mean and deviation, (3,)."""
    means, spreads = [], []
    for image in images:
        values = (image.astype(np.float32) / 127.5 - 1.0) @ OPPONENT
        means.append(values.mean(axis=(0, 1)))
        spreads.append(values.std(axis=(0, 1)))
    return np.mean(means, axis=0).astype(np.float32), np.mean(spreads, axis=0).astype(np.float32)
