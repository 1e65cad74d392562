"""Networks whose features say what a picture shows and in what style: VGG19, or one of our own.

This module imports keras at its top; import it only inside functions. Pictures are float32 in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from dingocar.errors import TranslatorError
from dingocar.translate._networks import mirrored

#: VGG19's layers for style (Gatys et al. 2016, arXiv:1508.06576, section 2), the first four also for AdaIN.
VGG_STYLE = tuple(f"block{number}_conv1" for number in range(1, 6))
VGG_CONTENT = "block4_conv2"
#: It halves pictures five times.
LEAST_PX = 32
#: Mean of ImageNet's blue, green and red, which VGG19 was trained without.
_BGR_MEAN = np.array([103.939, 116.779, 123.68], np.float32)


def own_encoder(shape: Sequence[int], filters: int, downsamplings: int) -> keras.Model:
    """Convolutions of 3x3, each but the first at half the size, with twice the filters; gives all their maps.

    Nothing is normalised: a map's means and deviations are the style.
    """
    x = picture = keras.Input(shape, name="picture")
    maps = []
    for number in range(downsamplings + 1):
        step = layers.Conv2D(filters * 2**number, 3, 2 if number else 1, name=f"conv_{number}")
        x = layers.Activation("relu", name=f"relu_{number}")(step(mirrored(x, 1)))
        maps.append(x)
    return keras.Model(picture, maps, name="encoder")


def vgg19(shape: Sequence[int], names: Sequence[str], weights: str | None = "imagenet") -> keras.Model:
    """VGG19 (arXiv:1409.1556) as far as the last of the named layers, not trained on; gives their maps.

    Args:
        shape: (height, width, 3) of a picture.
        names: of its layers.
        weights: "imagenet": downloaded once, 80 MB, to `~/.keras`; None: drawn by chance.

    Raises:
        TranslatorError: the pictures are too small, or the weights cannot be had.
    """
    if min(shape[:2]) < LEAST_PX:
        raise TranslatorError(
            f"VGG19 takes pictures of at least {LEAST_PX}x{LEAST_PX} pixels, these are of "
            f"{shape[0]}x{shape[1]}; take larger ones, or our own extractor"
        )
    picture = keras.Input(shape, name="picture")
    blue_first = ops.flip(layers.Rescaling(127.5, 127.5, name="bytes")(picture), axis=-1)
    try:
        whole = keras.applications.VGG19(include_top=False, weights=weights, input_shape=tuple(shape))
    except Exception as error:  # noqa: BLE001 - urllib and Keras raise anything over a download
        first = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise TranslatorError(
            f"the weights of VGG19 cannot be downloaded ({first}); where there is no network put "
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 into ~/.keras/models, or train an extractor "
            "on your own tubs: dingocar translate train --method style"
        ) from None
    part = keras.Model(whole.input, [whole.get_layer(name).output for name in names], name="vgg19")
    part.trainable = False
    centred = layers.Rescaling(1.0, list(-_BGR_MEAN), name="centred")(blue_first)
    return keras.Model(picture, part(centred), name="encoder")


def decoder(maps: Sequence[Any], size: Sequence[int]) -> keras.Model:
    """From an encoder's last map back to a picture, through the sizes and filters of the others."""
    x = features = keras.Input(maps[-1].shape[1:], name="features")
    for number, smaller in reversed(list(enumerate(maps[:-1]))):
        height, width, filters = smaller.shape[1:]
        x = layers.Resizing(height, width, interpolation="nearest", name=f"grow_{number}")(x)
        x = layers.Conv2D(filters, 3, activation="relu", name=f"up_{number}")(mirrored(x, 1))
    if tuple(x.shape[1:3]) != tuple(size[:2]):
        x = layers.Resizing(size[0], size[1], interpolation="nearest", name="grow")(x)
    x = layers.Conv2D(3, 3, activation="tanh", name="rgb")(mirrored(x, 1))
    return keras.Model(features, x, name="decoder")


def moments(features: Any) -> tuple[Any, Any]:
    """Each map's mean and deviation over a picture: (B, H, W, C) to two of (B, 1, 1, C)."""
    mean, variance = ops.moments(features, axes=(1, 2), keepdims=True)
    return mean, ops.sqrt(variance + 1e-5)
