"""Stacks of layers that several pilots share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dingocar.errors import PilotError
from dingocar.zoo.pilot import STEERING, THROTTLE, PilotSettings

# Filters, kernel and stride of Donkeycar's `core_cnn_layers`; the fourth stride is the pilot's.
_CORE_CNN = ((24, 5, 2), (32, 5, 2), (64, 5, 2), (64, 3, 1), (64, 3, 1))


@dataclass(frozen=True)
class CoreSettings(PilotSettings):
    """Settings of the pilots that have Donkeycar's convolutions.

    Attributes:
        dropout: share of the units dropped after each layer while training, in [0, 1).
        standardise: give each picture mean 0 and deviation 1 over its pixels and channels first, so that a
            brighter place is no other place. Donkeycar does not; domain adaptation needs it, see
            docs/adaptation.md.
    """

    dropout: float = 0.2
    standardise: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            raise PilotError(f"pilot setting dropout: expected a share in [0, 1), got {self.dropout}")


def image_input(settings: PilotSettings) -> tuple[Any, Any]:
    """The uint8 input "image", and the picture cropped and scaled to [0, 1].

    Returns:
        The input tensor, uint8 (B, H, W, 3), and a float tensor (B, H - crops, W, 3).
    """
    from keras import Input, layers

    image = Input(settings.image_shape, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="normalise")(image)
    if settings.crop_top or settings.crop_bottom:
        crop = ((settings.crop_top, settings.crop_bottom), (0, 0))
        x = layers.Cropping2D(crop, name="crop")(x)
    return image, x


def standardised(x: Any) -> Any:
    """Each picture of values in [0, 1] with mean 0 and deviation 1 over its pixels and channels.

    Epsilon is the smallest variance of the original (Duckietown's baseline, and TensorFlow's
    `per_image_standardization`): 1 / values, in units of 255 grey levels.
    """
    from keras import layers

    height, width, channels = x.shape[1:]
    return layers.LayerNormalization(
        axis=(1, 2, 3),
        epsilon=1 / (height * width * channels * 255**2),
        center=False,
        scale=False,
        name="standardise",
    )(x)


def core_cnn(x: Any, settings: CoreSettings, fourth_stride: int = 1) -> Any:
    """Donkeycar's five convolutions, each with ReLU and dropout, flattened; standardised if that is set.

    Source: Donkeycar 5.3.0 `core_cnn_layers`; the layers' names are Donkeycar's.

    Raises:
        PilotError: the picture is too small for them.
    """
    from keras import layers

    height, width = x.shape[1:3]
    if settings.standardise:
        x = standardised(x)
    for number, (filters, kernel, stride) in enumerate(_CORE_CNN, start=1):
        stride = fourth_stride if number == 4 else stride
        if min(x.shape[1:3]) < kernel:
            raise PilotError(
                f"a picture of {height}x{width} pixels (after the crop) is too small for this "
                f"pilot: convolution {number} of {len(_CORE_CNN)} gets {x.shape[1]}x{x.shape[2]} "
                f"and needs {kernel}x{kernel}; use larger pictures or crop less"
            )
        x = layers.Conv2D(filters, kernel, stride, activation="relu", name=f"conv2d_{number}")(x)
        x = layers.Dropout(settings.dropout, name=f"dropout_{number}")(x)
    return layers.Flatten(name="flattened")(x)


def dense_features(x: Any, dropout: float) -> Any:
    """Donkeycar's two dense layers; the dropout after the second one is the layer "features"."""
    from keras import layers

    x = layers.Dense(100, activation="relu", name="dense_1")(x)
    x = layers.Dropout(dropout, name="dropout_6")(x)
    x = layers.Dense(50, activation="relu", name="dense_2")(x)
    return layers.Dropout(dropout, name="features")(x)


def shrink(x: Any, height: int, width: int) -> Any:
    """Resizes (B, h, w, C) to (B, height, width, C), bilinear and antialiased.

    Averaging over whole blocks first takes the fine detail out, as an antialiasing filter does; a
    bilinear resize does what is left (a factor below 2). For a factor of 2 this *is* the bilinear
    resize. Antialiased resizing in one step has no counterpart in TensorFlow Lite.
    """
    from keras import layers

    block = (max(1, x.shape[1] // height), max(1, x.shape[2] // width))
    if block != (1, 1):
        x = layers.AveragePooling2D(block, name="average")(x)
    if tuple(x.shape[1:3]) != (height, width):
        # Resizing's own default is training=True, which Keras hands on to the layers behind it: without
        # the argument, calling the model plainly would run its batch normalisation in training mode.
        x = layers.Resizing(height, width, interpolation="bilinear", name="resize")(x, training=False)
    return x


def command_heads(features: Any, **options: Any) -> dict[str, Any]:
    """Two linear heads of one number each: steering and throttle."""
    from keras import layers

    # float32 also under mixed precision: commands are small numbers whose errors add up.
    return {
        head: layers.Dense(1, dtype="float32", name=head, **options)(features)
        for head in (STEERING, THROTTLE)
    }
