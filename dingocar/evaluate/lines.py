"""Finding the road's lines by colour thresholds, as Duckietown's line detector does, and how well that works.

The detector: a box in HSV for each colour, below the upper third of the picture (duckietown/dt-core,
line_detector). Hue is in half degrees, 0 to 180, saturation and value 0 to 255, as OpenCV counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.images import Uint8Array

BoolArray = npt.NDArray[np.bool_]

#: The upper share of a picture that is not looked at: what is there is no road.
CUT = 1 / 3
#: How finely thresholds are searched: bins of hue, saturation, value.
_HUES, _LEVELS = 36, 32


@dataclass(frozen=True)
class Box:
    """The colours that count as a line's: all with each value from `low` to `high`, both included.

    Attributes:
        low, high: (hue, saturation, value).
    """

    low: tuple[int, int, int]
    high: tuple[int, int, int]

    def holds(self, hsv: Uint8Array) -> BoolArray:
        """Which of uint8 (..., 3) HSV pixels are within: bool (...,)."""
        inside = (hsv >= np.array(self.low, np.uint8)) & (hsv <= np.array(self.high, np.uint8))
        return np.asarray(inside.all(axis=-1))


#: What Duckietown's line detector had for its city.
DUCKIETOWN = {"white": Box((0, 0, 150), (180, 100, 255)), "yellow": Box((14, 100, 80), (35, 255, 255))}


def to_hsv(images: Uint8Array) -> Uint8Array:
    """RGB to HSV, uint8 (..., 3) each, in OpenCV's units.

    >>> to_hsv(np.array([[255, 255, 0], [0, 0, 128], [90, 90, 90]], np.uint8)).tolist()
    [[30, 255, 255], [120, 255, 128], [0, 0, 90]]
    """
    rgb = images.astype(np.float32)
    value, low = rgb.max(axis=-1), rgb.min(axis=-1)
    chroma = value - low
    some = np.where(chroma > 0, chroma, 1)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    hue = np.where(
        value == red,
        (green - blue) / some,
        np.where(value == green, 2 + (blue - red) / some, 4 + (red - green) / some),
    )
    hue = np.where(chroma > 0, hue * 30 % 180, 0)
    saturation = np.where(value > 0, 255 * chroma / np.maximum(value, 1), 0)
    return np.stack([np.rint(hue) % 180, np.rint(saturation), value], axis=-1).astype(np.uint8)


def seen(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The part of pictures (N, H, W, ...) that is looked at."""
    return images[:, round(images.shape[1] * CUT) :]


def detect(images: Uint8Array, boxes: Mapping[str, Box]) -> dict[str, BoolArray]:
    """The pixels of each line, bool (N, H, W); none in the part that is not looked at."""
    hsv, found = to_hsv(seen(images)), {}
    for colour, box in boxes.items():
        found[colour] = np.zeros(images.shape[:3], bool)
        seen(found[colour])[:] = box.holds(hsv)
    return found


def f1(found: BoolArray, true: BoolArray) -> float:
    """Twice the pixels that are both, over those that are either's; 1 where there are none at all.

    >>> f1(np.array([True, True, False, False]), np.array([True, False, True, False]))
    0.5
    """
    both, either = int((found & true).sum()), int(found.sum()) + int(true.sum())
    return 2 * both / either if either else 1.0


def scores(images: Uint8Array, lines: Mapping[str, BoolArray], boxes: Mapping[str, Box]) -> dict[str, float]:
    """The F1 of each line's pixels in the part that is looked at, and their mean.

    Args:
        images: uint8 (N, H, W, 3).
        lines: the true pixels, bool (N, H, W).
        boxes: the thresholds.
    """
    found = detect(images, boxes)
    each = {colour: f1(found[colour], seen_mask(lines[colour])) for colour in boxes}
    return each | {"mean": float(np.mean(list(each.values())))}


def seen_mask(mask: BoolArray) -> BoolArray:
    """A mask (N, H, W) without what is not looked at."""
    kept = np.zeros_like(mask)
    seen(kept)[:] = seen(mask)
    return kept


def tune(images: Uint8Array, lines: Mapping[str, BoolArray]) -> dict[str, Box]:
    """The thresholds with the best F1 on these pictures.

    For white any hue, up to a saturation and from a value on; for yellow from one hue to another, from a
    saturation and a value on: all of them are tried, in steps of 5 of hue and 8 of the others.

    Args:
        images: uint8 (N, H, W, 3).
        lines: the true pixels of "white" and "yellow", bool (N, H, W).

    Raises:
        UsageError: a line is in none of the pictures.
    """
    hsv = to_hsv(seen(images))
    places = (hsv[..., 0] // 5, hsv[..., 1] // 8, hsv[..., 2] // 8)
    flat = np.ravel_multi_index([each.astype(np.intp) for each in places], (_HUES, _LEVELS, _LEVELS))
    every = _sums(flat.ravel())
    found = {}
    for colour in lines:
        mask = seen(lines[colour])
        if not mask.any():
            raise UsageError(
                f"tune: no {colour} line is in any of the {len(images)} pictures; take more of them"
            )
        true = _sums(flat[mask])
        found[colour] = (_tune_white if colour == "white" else _tune_yellow)(true, every, int(mask.sum()))
    return found


def _sums(flat: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """How many pixels lie below each corner of the bins: int64 (hues + 1, levels + 1, levels + 1)."""
    counts = np.bincount(flat, minlength=_HUES * _LEVELS * _LEVELS).reshape(_HUES, _LEVELS, _LEVELS)
    return np.pad(counts.cumsum(0).cumsum(1).cumsum(2), ((1, 0),) * 3)


def _tune_white(true: npt.NDArray[np.int64], every: npt.NDArray[np.int64], total: int) -> Box:
    hit, inside = (each[-1, :, -1:] - each[-1] for each in (true, every))
    saturation, value = np.unravel_index(int(np.argmax(2 * hit / (inside + total))), hit.shape)
    return Box((0, 0, int(value) * 8), (180, int(saturation) * 8 - 1, 255))


def _tune_yellow(true: npt.NDArray[np.int64], every: npt.NDArray[np.int64], total: int) -> Box:
    best, chosen = -1.0, (0, 1, 0, 0)
    # From a saturation and a value on, below a hue.
    above = [each[:, -1:, -1:] - each[:, :, -1:] - each[:, -1:, :] + each for each in (true, every)]
    for low in range(_HUES):
        hit, inside = (each[low + 1 :] - each[low] for each in above)
        score = 2 * hit / (inside + total)
        at = int(np.argmax(score))
        if score.flat[at] > best:
            high, saturation, value = map(int, np.unravel_index(at, score.shape))
            best, chosen = float(score.flat[at]), (low, low + 1 + high, saturation, value)
    return Box((chosen[0] * 5, chosen[2] * 8, chosen[3] * 8), (chosen[1] * 5 - 1, 255, 255))


def boxes_to_json(boxes: Mapping[str, Box]) -> dict[str, Any]:
    """Thresholds as plain values."""
    return {colour: asdict(box) for colour, box in boxes.items()}


def boxes_from_json(values: Any, where: str) -> dict[str, Box]:
    """The inverse of `boxes_to_json`.

    Raises:
        UsageError: it is something else.
    """
    found = {}
    try:
        for colour in ("white", "yellow"):
            low, high = (tuple(values[colour][end]) for end in ("low", "high"))
            fine = all(
                isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= 255 for n in (*low, *high)
            )
            if not fine or (len(low), len(high)) != (3, 3):
                raise ValueError
            found[colour] = Box(low, high)
    except (TypeError, KeyError, ValueError):
        raise UsageError(
            f"{where}: expected thresholds of white and yellow, each with low and high: [hue, saturation, "
            "value]; make them with dingocar lines tune"
        ) from None
    return found


def colour_balance(images: Uint8Array, share: float = 0.4) -> Uint8Array:
    """Clips and stretches each channel of each picture, as Duckietown's anti-instagram node does.

    Source: duckietown/dt-core, anti_instagram: what is darker than the percentile of `share`, measured on the
    lower seven tenths of the picture, becomes 0, and the rest is stretched up to 255.

    Args:
        images: uint8 (N, H, W, 3).
        share: of the pixels that are clipped, 0 to 1.
    """
    lower = images[:, round(images.shape[1] * 0.3) :].reshape(len(images), -1, 3)
    low = np.percentile(lower, 100 * share, axis=1)[:, None, None]
    high = lower.max(axis=1)[:, None, None].astype(np.float64)
    stretched = (images - low) / np.maximum(high - low, 1) * 255
    return np.asarray(np.clip(np.rint(stretched), 0, 255), np.uint8)
