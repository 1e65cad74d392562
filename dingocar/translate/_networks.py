"""Networks that translators share: generators, discriminators and their layers.

This module imports keras at its top; import it only inside functions. Shapes are (B, H, W, C), pictures
float32 in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from dingocar.translate._method import GanSettings

#: Weights' deviation at the start, as published (arXiv:1703.10593, appendix 7.2).
_DEVIATION = 0.02


def conv(filters: int, kernel: int, stride: int = 1, padding: str = "valid", **options: Any) -> layers.Conv2D:
    """A convolution whose weights start as published."""
    start = keras.initializers.RandomNormal(0.0, _DEVIATION)
    return layers.Conv2D(filters, kernel, stride, padding, kernel_initializer=start, **options)


def instance_norm(name: str) -> layers.Layer:
    """Each channel of each picture gets mean 0 and deviation 1 (arXiv:1607.08022)."""
    return layers.GroupNormalization(-1, epsilon=1e-5, center=False, scale=False, name=name)


def mirrored(x: Any, size: int) -> Any:
    """Pads by reflection: zeros at the rim would be seen in every picture."""
    return ops.pad(x, ((0, 0), (size, size), (size, size), (0, 0)), mode="reflect")


def residual(x: Any, name: str) -> Any:
    """Two convolutions of 3x3 beside the identity."""
    filters = int(x.shape[-1])
    y = conv(filters, 3, name=f"{name}_conv_1")(mirrored(x, 1))
    y = layers.Activation("relu", name=f"{name}_relu")(instance_norm(f"{name}_norm_1")(y))
    y = conv(filters, 3, name=f"{name}_conv_2")(mirrored(y, 1))
    return layers.Add(name=f"{name}_sum")([x, instance_norm(f"{name}_norm_2")(y)])


def encoded(x: Any, settings: GanSettings, name: str = "") -> list[Any]:
    """The first half of a generator: a convolution of 7x7, then the downsamplings.

    Returns:
        What each of them gives.
    """
    found = []
    for number in range(settings.downsamplings + 1):
        kernel, stride = (3, 2) if number else (7, 1)
        padded = mirrored(x, kernel // 2)
        x = conv(settings.filters * 2**number, kernel, stride, name=f"{name}down_{number}")(padded)
        x = instance_norm(f"{name}down_norm_{number}")(x)
        x = layers.Activation("relu", name=f"{name}down_relu_{number}")(x)
        found.append(x)
    return found


def decoded(x: Any, settings: GanSettings, name: str = "") -> Any:
    """The second half: upsamplings, then a convolution of 7x7 and tanh.

    Pixels are doubled and smoothed by a convolution: a transposed one, as published, leaves a checkerboard.
    """
    for number in reversed(range(settings.downsamplings)):
        x = layers.UpSampling2D(2, name=f"{name}double_{number}")(x)
        x = conv(settings.filters * 2**number, 3, name=f"{name}up_{number}")(mirrored(x, 1))
        x = instance_norm(f"{name}up_norm_{number}")(x)
        x = layers.Activation("relu", name=f"{name}up_relu_{number}")(x)
    x = conv(3, 7, name=f"{name}rgb")(mirrored(x, 3))
    return layers.Activation("tanh", name=f"{name}tanh")(x)


def generator(settings: GanSettings, name: str) -> keras.Model:
    """Convolutions, residual blocks, upsamplings, as published (arXiv:1703.10593, appendix 7.2)."""
    picture = keras.Input(settings.image_shape, name="picture")
    x = encoded(picture, settings)[-1]
    for number in range(settings.blocks):
        x = residual(x, f"block_{number}")
    return keras.Model(picture, decoded(x, settings), name=name)


def discriminator(settings: GanSettings, name: str) -> keras.Model:
    """A discriminator of patches (PatchGAN, arXiv:1611.07004): near 1 where a patch looks genuine."""
    picture = keras.Input(settings.image_shape, name="picture")
    x, filters = picture, settings.discriminator_filters
    for number in range(settings.discriminator_layers + 1):
        stride = 2 if number < settings.discriminator_layers else 1
        x = conv(filters * 2 ** min(number, 3), 4, stride, "same", name=f"conv_{number}")(x)
        if number:
            x = instance_norm(f"norm_{number}")(x)
        x = layers.LeakyReLU(0.2, name=f"leaky_{number}")(x)
    return keras.Model(picture, conv(1, 4, 1, "same", name="patches")(x), name=name)


class Pool(layers.Layer):  # type: ignore[misc]
    """Earlier pictures for a discriminator, so that it does not forget (arXiv:1612.07828, section 2.3).

    It is filled first. From then on each picture, by an even chance, is given as it is, or takes the place of
    a kept one, drawn by chance, which is given instead.

    Args:
        shape: (height, width, channels) of a picture.
        size: how many it keeps; 0: none.
    """

    def __init__(self, shape: Sequence[int], size: int, **options: Any) -> None:
        super().__init__(**options)
        self.size = size
        if size:
            self.kept = self.add_weight(
                shape=(size, *shape), initializer="zeros", trainable=False, name="kept"
            )
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
            self.seeds = keras.random.SeedGenerator()
        self.built = True

    def call(self, pictures: Any) -> Any:
        """Pictures (B, H, W, C) to as many."""
        if not self.size:
            return pictures
        kept, count = ops.convert_to_tensor(self.kept), ops.convert_to_tensor(self.count)
        places = ops.arange(self.size, dtype="float32")
        drawn = keras.random.uniform((pictures.shape[0], 2), seed=self.seeds)
        given = []
        for number in range(pictures.shape[0]):
            picture, (swap, place) = pictures[number], (drawn[number, 0], drawn[number, 1])
            full = count >= self.size
            place = ops.where(full, ops.minimum(ops.floor(place * self.size), self.size - 1), count)
            here = ops.reshape(ops.cast(ops.equal(places, place), "float32"), (-1, 1, 1, 1))
            old = ops.sum(kept * here, axis=0)
            taken = ops.cast(ops.logical_or(ops.logical_not(full), swap < 0.5), "float32")
            given.append(ops.where(ops.logical_and(full, swap < 0.5), old, picture))
            kept = kept + taken * here * (picture - kept)
            count = ops.minimum(count + 1.0, float(self.size))
        self.kept.assign(kept)
        self.count.assign(count)
        return ops.stack(given)


class Places(layers.Layer):  # type: ignore[misc]
    """Places of a feature map, drawn anew each time it is called.

    Args:
        count: places that there are.
        most: how many it gives, at most.
    """

    def __init__(self, count: int, most: int, **options: Any) -> None:
        super().__init__(**options)
        self.count, self.most = count, min(count, most)
        self.seeds = keras.random.SeedGenerator()
        self.built = True

    def draw(self) -> Any:
        """int32 (min(count, most),), each place once at most."""
        drawn = keras.random.uniform((self.count,), seed=self.seeds)
        return ops.top_k(drawn, self.most)[1]
