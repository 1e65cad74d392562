"""Histogram matching: pictures of one domain get the other's distribution of red, green and blue values.

Source: histogram specification, Gonzalez and Woods, "Digital Image Processing", 3.3.2: a value becomes the
one with the same share of values below it. It changes colours alone, so a gap that it closes was one of
colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.images import Uint8Array

IntArray = npt.NDArray[np.int64]

_LEVELS = 256


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
        return np.stack(
            [
                _looked_up(image, curves(cumulated(image), self.target[which]))
                for image, which in zip(images, chosen, strict=True)
            ]
        )

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
        return _looked_up(images, curves(counted, self.target.sum(axis=0)))


def cumulated(images: Uint8Array) -> IntArray:
    """How many values of each channel lie at or below each level: uint8 (..., 3) to int64 (3, 256)."""
    flat = images.reshape(-1, 3)
    return np.stack([np.bincount(flat[:, c], minlength=_LEVELS).cumsum() for c in range(3)])


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
    tables = [
        np.searchsorted(wanted / wanted[-1], had / had[-1] - 1e-12)
        for had, wanted in zip(have, want, strict=True)
    ]
    return np.asarray(np.minimum(np.stack(tables), _LEVELS - 1), np.uint8)


def _looked_up(images: Uint8Array, tables: Uint8Array) -> Uint8Array:
    return np.stack([tables[channel][images[..., channel]] for channel in range(3)], axis=-1)


def _check(images: Uint8Array) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or not images.size:
        raise UsageError(
            f"histogram: expected uint8 pictures (N, H, W, 3), got {images.dtype} {images.shape}"
        )
