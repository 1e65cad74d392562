"""The floor around a track as a grid: what the looks paint on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.sim.track import Track

#: Free floor around the track's edges that is painted, in metres.
MARGIN_M = 1.0
#: Size of a texel, where the track is not so large that `MAX_TEXELS` forbids it.
TEXEL_M = 0.005
#: Most texels of a ground: with its pyramid a renderer holds about 55 MB of it at most.
MAX_TEXELS = 9_000_000


@dataclass(frozen=True)
class Chart:
    """The floor around a track seen from above, as a grid of texels.

    Row 0 is the lowest y, column 0 the lowest x; the middle of texel (i, j) lies at
    x = x0_m + (j + 0.5) * texel_m, y = y0_m + (i + 0.5) * texel_m.

    Attributes:
        track: the track.
        x0_m, y0_m: the lower left corner.
        texel_m: the side of a texel.
        s_m: float32 (rows, columns), how far along the centre line; 0 far from the track.
        cte_m: float32, distance from the centre line, positive to its right; inf far from it.
        half_width_m: float32, half the width of the track there; 0 far from it.
    """

    track: Track
    x0_m: float
    y0_m: float
    texel_m: float
    s_m: npt.NDArray[np.float32]
    cte_m: npt.NDArray[np.float32]
    half_width_m: npt.NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.cte_m.shape[0], self.cte_m.shape[1]


def survey(track: Track, beside_m: float = 0.1, texel_m: float | None = None) -> Chart:
    """Measures the floor around a track.

    Args:
        track: the track.
        beside_m: how far beyond the edges s, cte and half width are known.
        texel_m: the side of a texel; None: `TEXEL_M`. It is larger where `MAX_TEXELS` asks for it.

    Raises:
        UsageError: a texel is not larger than 0 and up to 0.1 m.
    """
    if texel_m is not None and not 0 < texel_m <= 0.1:
        raise UsageError(f"survey: texel_m must be larger than 0 and at most 0.1 m, got {texel_m!r}")
    lines = np.concatenate([track.left, track.right, track.centre])
    x0, y0 = (float(low) - MARGIN_M for low in lines.min(axis=0))
    width, height = (float(side) + 2 * MARGIN_M for side in np.ptp(lines, axis=0))
    texel = max(texel_m or TEXEL_M, math.sqrt(width * height / MAX_TEXELS))
    shape = (math.ceil(height / texel), math.ceil(width / texel))
    fields = [np.zeros(shape, np.float32) for _ in range(3)]
    nearest2 = np.full(shape, np.inf, np.float32)
    closed = np.concatenate([track.centre, track.centre[:1]])
    widths = np.concatenate([track.half_width_m, track.half_width_m[:1]])
    at_m = 0.0
    for k in range(len(track.centre)):
        (ax, ay), (bx, by) = closed[k], closed[k + 1]
        step = math.hypot(bx - ax, by - ay)
        reach = max(widths[k], widths[k + 1]) + beside_m
        rows = _span(min(ay, by) - reach, max(ay, by) + reach, y0, texel, shape[0])
        columns = _span(min(ax, bx) - reach, max(ax, bx) + reach, x0, texel, shape[1])
        dx = (x0 - ax + texel * (np.arange(columns.start, columns.stop) + 0.5)).astype(np.float32)
        dy = (y0 - ay + texel * (np.arange(rows.start, rows.stop) + 0.5)).astype(np.float32)
        ux, uy = np.float32((bx - ax) / step), np.float32((by - ay) / step)
        along = np.clip(dx * ux + (dy * uy)[:, None], 0, np.float32(step))
        to_right = dx * uy - (dy * ux)[:, None]
        distance2 = (dx - along * ux) ** 2 + (dy[:, None] - along * uy) ** 2
        box = (rows, columns)
        nearer = distance2 < np.minimum(nearest2[box], np.float32(reach * reach))
        part = along / np.float32(step)
        values = (
            np.float32(at_m) + along,
            np.copysign(np.sqrt(distance2), to_right),
            np.float32(widths[k]) + part * np.float32(widths[k + 1] - widths[k]),
        )
        for field, value in zip(fields, values, strict=True):
            np.copyto(field[box], value, where=nearer)
        np.copyto(nearest2[box], distance2, where=nearer)
        at_m += step
    s, cte, half_width = fields
    cte[np.isinf(nearest2)] = np.inf
    return Chart(track, x0, y0, texel, s, cte, half_width)


def _span(low_m: float, high_m: float, origin_m: float, texel_m: float, size: int) -> slice:
    first = max(0, math.floor((low_m - origin_m) / texel_m))
    return slice(first, max(first, min(size, math.ceil((high_m - origin_m) / texel_m))))
