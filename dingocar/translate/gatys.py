"""Style transfer of a single picture, by optimising its pixels.

Source: Gatys, Ecker and Bethge 2016, "Image Style Transfer Using Convolutional Neural Networks", CVPR;
before it "A Neural Algorithm of Artistic Style", arXiv:1508.06576. Content is the features of conv4_2, style
the Gram matrices of conv1_1 to conv5_1, with w = 1/5; and the total variation. With Adam instead of L-BFGS,
from the content picture; VGG19 as it was trained, with its maximum pooling, where the paper takes averages
and weights that are scaled to a mean activation of one. Minutes for a picture: for a tub see `style`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.errors import TranslatorError
from dingocar.images import Uint8Array, check_image

if TYPE_CHECKING:
    import keras

VGG19 = "vgg19"


@dataclass(frozen=True)
class StyleWeights:
    """How much counts. The paper's alpha and beta hang on how large a network's features are; here each loss
    is a share of a distance between the two pictures, so that the same weights do for any network.

    Attributes:
        content: of half the squared difference of features; 1 is that of the style's picture.
        style: of the squared difference of Gram matrices, each over 4 N^2 M^2 of its map; 1 is that of the
            content's picture.
        variation: of the mean absolute difference of neighbouring pixels; 1 is that of the content's picture.
    """

    content: float = 1.0
    style: float = 30.0
    variation: float = 0.3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1e9:
                raise TranslatorError(f"{name}: expected a number from 0 to 1e9, got {value:g}")


def stylise(
    content: Uint8Array,
    style: Uint8Array,
    extractor: Path | str = VGG19,
    weights: StyleWeights | None = None,
    steps: int = 300,
    learning_rate: float = 0.02,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Uint8Array:
    """A picture of what `content` shows in the style of `style`.

    Args:
        content: uint8 (H, W, 3).
        style: uint8 (H, W, 3), of the same size.
        extractor: "vgg19", whose weights are downloaded once; or the file of a translator `style`, whose own
            encoder is taken and must be of this size.
        weights: None takes the defaults.
        steps: of Adam.
        learning_rate: Adam's, of pixels in [-1, 1].
        on_progress: told the share that is done.

    Returns:
        uint8 (H, W, 3).

    Raises:
        TranslatorError: the pictures are of two sizes, or the extractor cannot be had.
    """
    if check_image(content).shape != check_image(style).shape:
        raise TranslatorError(
            f"the style's picture is of {style.shape[0]}x{style.shape[1]} pixels, the content's of "
            f"{content.shape[0]}x{content.shape[1]}; scale one of them"
        )
    features, last_is_content = _extractor(extractor, content.shape)
    pair = (_scaled(content), _scaled(style))
    painting = _painting(features, last_is_content, weights or StyleWeights(), *pair)
    _compile(painting, learning_rate)
    for step in range(steps):
        painting.train_on_batch(np.zeros((1, 1), np.float32))
        on_progress((step + 1) / steps)
    return np.asarray(painting.shown())


def _scaled(image: Uint8Array) -> Any:
    return image[np.newaxis].astype(np.float32) / 127.5 - 1.0


def _extractor(extractor: Path | str, shape: Sequence[int]) -> tuple[keras.Model, bool]:
    """A network of maps for style, and whether another last one is the content's."""
    from dingocar.translate._extractor import VGG_CONTENT, VGG_STYLE, vgg19

    if str(extractor) == VGG19:
        return vgg19(shape, (*VGG_STYLE, VGG_CONTENT)), True
    from dingocar.translate.artefact import load_network

    translator, network, card = load_network(extractor)
    if translator.name != "style":
        raise TranslatorError(f"{extractor}: is a {translator.name}; only style has an extractor")
    if tuple(card["image_shape"]) != tuple(shape):
        height, width, _ = card["image_shape"]
        raise TranslatorError(
            f"{extractor}: its encoder takes pictures of {height}x{width}, these are of {shape[0]}x{shape[1]}"
        )
    return network.get_layer("encoder"), False


def gram(features: Any) -> Any:
    """The products of a map's channels, summed over places: (1, H, W, C) to (C, C)."""
    from keras import ops

    flat = ops.reshape(features, (-1, features.shape[-1]))
    return ops.matmul(ops.transpose(flat), flat)


def losses(found: Sequence[Any], content: Any, grams: Sequence[Any]) -> dict[str, Any]:
    """The paper's equations 1 and 4 to 5.

    Args:
        found: the picture's maps, (1, H, W, C) each; the last one is compared with `content`.
        content: of the content's picture.
        grams: of the style's picture, one for each of the first maps.

    Returns:
        "content" and "style".
    """
    from keras import ops

    total = ops.zeros(())
    for ours, theirs in zip(found, grams, strict=False):
        _, height, width, channels = ours.shape
        total = total + ops.sum(ops.square(gram(ours) - theirs)) / (4 * channels**2 * (height * width) ** 2)
    return {
        "content": 0.5 * ops.sum(ops.square(found[-1] - content)),
        "style": total / len(grams),
    }


def _variation(picture: Any) -> Any:
    """How much neighbouring pixels of (1, H, W, 3) differ: the total variation, over their number."""
    from keras import ops

    across = ops.mean(ops.abs(picture[:, :, 1:] - picture[:, :, :-1]))
    return across + ops.mean(ops.abs(picture[:, 1:] - picture[:, :-1]))


def _painting(features: Any, last_is_content: bool, weights: StyleWeights, content: Any, style: Any) -> Any:
    """A Keras model whose only trained weights are the picture's pixels."""
    import keras
    from keras import ops

    maps = features(content)
    wanted = ops.stop_gradient(maps[-1])
    other = features(style)
    grams = [ops.stop_gradient(gram(each)) for each in other[: -1 if last_is_content else None]]
    ones = {
        "content": losses(other, wanted, grams)["content"],
        "style": losses(maps, wanted, grams)["style"],
        "variation": _variation(ops.convert_to_tensor(content)),
    }
    # Of two pictures that are alike in it a loss is 0 already.
    scale = {name: weight / max(float(ones[name]), 1e-12) for name, weight in vars(weights).items()}

    class Painting(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="painting")
            # Put back after each step: a clipped pixel has no gradient that would bring it back.
            self.pixels = self.add_weight(
                shape=content.shape, initializer="zeros", name="pixels", constraint=_in_range
            )
            self.pixels.assign(content)
            self.built = True

        def call(self, x: Any, training: bool = False) -> Any:
            picture = ops.convert_to_tensor(self.pixels)
            found = losses(features(picture), wanted, grams) | {"variation": _variation(picture)}
            return {name: scale[name] * loss for name, loss in found.items()}

        def compute_loss(
            self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
        ) -> Any:
            return sum(y_pred.values(), ops.zeros(()))

        def shown(self) -> Uint8Array:
            values = ops.convert_to_numpy(self.pixels)[0]
            return np.asarray(np.rint((values + 1) * 127.5), np.uint8)

    return Painting()


def _in_range(pixels: Any) -> Any:
    from keras import ops

    return ops.clip(pixels, -1.0, 1.0)


def _compile(painting: Any, learning_rate: float) -> None:
    import keras

    from dingocar.training.precision import jit_compile

    painting.compile(optimizer=keras.optimizers.Adam(learning_rate), jit_compile=jit_compile())
