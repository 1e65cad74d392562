"""Histogram matching: pictures get the other domain's distribution of red, green and blue.

Nothing is learned. Source: histogram specification, Gonzalez and Woods, "Digital Image Processing", 3.3.2: a
value becomes the one with the same share of values below it. It changes colours alone, so a gap that it
closes was one of colours. As a translator it has one curve for all pictures of a domain; as a method of
adaptation (`dingocar.adapt.histogram`) it may also draw a picture to match for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.images import Uint8Array
from dingocar.translate._method import REAL, SIM, Translator

IntArray = npt.NDArray[np.int64]

_LEVELS = 256
#: Values of the three channels become numbers of their own: 0 to 767.
_CHANNELS = _LEVELS * np.arange(3)


@dataclass(frozen=True)
class HistogramMatcher:
    """Gives pictures the colours of pictures of another domain.

    Attributes:
        target: int64 (M, 3, 256), for each picture of the other domain and each channel how many values lie
            at or below a level.
    """

    target: IntArray

    @classmethod
    def of(cls, images: Uint8Array) -> HistogramMatcher:
        """Makes one of pictures of the target, uint8 (M, H, W, 3).

        Raises:
            UsageError: no pictures, or arrays of another kind.
        """
        _check(images)
        return cls(np.stack([cumulated(image) for image in images]))

    def each(self, images: Uint8Array, rng: np.random.Generator) -> Uint8Array:
        """Returns the pictures, each in the colours of one of the target's that is drawn by chance.

        Args:
            images: uint8 (N, H, W, 3).
            rng: draws.

        Raises:
            UsageError: no pictures, or arrays of another kind.
        """
        _check(images)
        chosen = rng.integers(len(self.target), size=len(images))
        matched = np.empty_like(images)
        for image, which, out in zip(images, chosen, matched, strict=True):
            numbered = image + _CHANNELS
            out[:] = curves(_cumulated(numbered), self.target[which]).ravel()[numbered]
        return matched

    def together(self, images: Uint8Array, have: IntArray | None = None) -> Uint8Array:
        """Returns the pictures under one curve for all: from all of these to all of the target's.

        Args:
            images: uint8 (N, H, W, 3).
            have: what to take for "all of these", as `cumulated` counts; None: `images`.

        Raises:
            UsageError: no pictures, or arrays of another kind.
        """
        _check(images)
        counted = cumulated(images) if have is None else have
        tables = curves(counted, self.target.sum(axis=0)).ravel()
        return np.stack([tables[image + _CHANNELS] for image in images])


class Histogram(Translator):
    """The translator `histogram`; see the module."""

    learns = False

    def fitted(self, sim: Uint8Array, real: Uint8Array) -> dict[str, Any]:
        """See `Translator.fitted`."""
        import keras

        have = {SIM: cumulated(sim), REAL: cumulated(real)}
        picture, made = keras.Input(self.settings.image_shape, name="picture"), {}
        for domain, other in ((REAL, SIM), (SIM, REAL)):
            # Each value of each channel is a number of its own, from which a table gives the new value.
            numbered = keras.layers.Rescaling(127.5, list(_CHANNELS + 127.5 + 0.5), name="numbered")(picture)
            table = keras.layers.Embedding(3 * _LEVELS, 1, name="curves")
            x = keras.ops.squeeze(table(keras.ops.cast(numbered, "int32")), axis=-1)
            new = curves(have[other], have[domain]).reshape(-1, 1) / 127.5 - 1.0
            table.set_weights([new.astype(np.float32)])
            made[f"to_{domain}"] = keras.Model(picture, x, name=f"to_{domain}_curves")
        return made

    def outputs(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.outputs`."""
        return {"to_real": networks["to_real"](sim), "to_sim": networks["to_sim"](real)}


def cumulated(images: Uint8Array) -> IntArray:
    """How many values of each channel lie at or below each level: uint8 (..., 3) to int64 (3, 256)."""
    return _cumulated(images + _CHANNELS)


def _cumulated(numbered: IntArray) -> IntArray:
    counted = np.bincount(numbered.ravel(), minlength=3 * _LEVELS)
    return counted.reshape(3, _LEVELS).cumsum(axis=1)


def curves(have: IntArray, want: IntArray) -> Uint8Array:
    """The tables that make values distributed like `have` distributed like `want`.

    Args:
        have, want: as `cumulated` counts, of any numbers of values.

    Returns:
        uint8 (3, 256), each rising.

    >>> levels = np.zeros((2, 2, 3), np.uint8)
    >>> int(curves(cumulated(levels), cumulated(levels + 7))[0, 0])
    7
    """
    # The channels' shares lie behind each other, from 0 to 1, 2 to 3 and 4 to 5: one search for all.
    apart = 2.0 * np.arange(3)[:, None]
    had, wanted = (apart + counted / counted[:, -1:] for counted in (have, want))
    found = np.searchsorted(wanted.ravel(), had.ravel() - 1e-9).reshape(3, _LEVELS) - _CHANNELS[:, None]
    # What is darker than all that was seen gets the darkest of what is wanted.
    return np.asarray(np.clip(found, (want > 0).argmax(axis=1)[:, None], _LEVELS - 1), np.uint8)


def _check(images: Uint8Array) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or not images.size:
        raise UsageError(
            f"histogram: expected uint8 pictures (N, H, W, 3), got {images.dtype} {images.shape}"
        )
