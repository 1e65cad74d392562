"""Draws what the cameras see: one gather per picture from a pyramid of the floor seen from above.

Every pixel's samples look at fixed points of the floor beside its car, so their places in the car's frame
and the level of the pyramid (Williams 1983, "Pyramidal Parametrics") that fits their footprint are
worked out once. A picture is then a rotation and a shift of those points, and one look-up each.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.images import Uint8Array
from dingocar.sim.appearance import SKY_TOP_RAD, Appearance, Chart
from dingocar.sim.camera import Camera
from dingocar.sim.track import FloatArray

#: Floor farther away than this is drawn as if it were this far.
FAR_M = 15.0
#: Each pixel is the mean of two samples, so far right of and below its middle: smoother lines.
SAMPLES_PX = (-0.25, 0.25)
#: Coarsest level of the pyramid: its texels are 2 ** MAX_LEVEL times as large.
MAX_LEVEL = 6

Uint32Array = npt.NDArray[np.uint32]


class Renderer:
    """Pictures of one appearance with one camera."""

    def __init__(self, camera: Camera, chart: Chart, appearance: Appearance) -> None:
        """Builds the atlas, all levels of the floor and the sky in one array, and the pixels' places."""
        self.camera = camera
        rays = np.stack([camera.rays(shift) for shift in SAMPLES_PX])
        is_sky = rays[..., 2] > -camera.height_m / FAR_M
        level = np.where(is_sky, 0, _levels(rays, camera.height_m, chart.texel_m))
        down = np.where(is_sky, 1.0, -rays[..., 2])
        ahead = camera.forward_m + rays[..., 0] * camera.height_m / down
        left = rays[..., 1] * camera.height_m / down
        reach_m = [_largest(np.hypot(ahead, left)[(level == k) & ~is_sky]) for k in range(MAX_LEVEL + 1)]
        atlas, base, stride, pad = _pyramid(appearance.ground, reach_m, chart.texel_m)
        sky_base = sum(map(len, atlas))
        atlas.append(_packed(np.concatenate([appearance.sky] * 2, axis=1)))
        self._atlas = np.concatenate(atlas)
        self._sky_columns = appearance.sky.shape[1]

        # From row `_top` on pixels look at the floor, but some of them still at the sky.
        rows = np.arange(camera.shape[0])
        self._top = int(rows[~is_sky.all(axis=(0, 2))].min(initial=len(rows)))
        sky_rows = int(rows[is_sky.any(axis=(0, 2))].max(initial=-1)) + 1
        self._sky = _planes(_sky_index(rays, appearance.sky.shape[:2]) + sky_base)[:, :sky_rows]
        self._sky_mask = _planes(is_sky)[:, :sky_rows]

        texel = chart.texel_m * 2.0**level
        self._ahead, self._left, self._per_m, self._pad = (
            _planes(np.asarray(value, np.float32))[:, self._top :].copy()
            for value in (ahead / texel, left / texel, 1 / texel, pad[level])
        )
        self._base, self._stride = (
            _planes(value[level].astype(np.int32))[:, self._top :].copy() for value in (base, stride)
        )
        # Beyond the chart a car sees what it would see at its border.
        self._low = np.array([chart.x0_m, chart.y0_m])
        self._size = np.array([chart.shape[1], chart.shape[0]]) * chart.texel_m
        self._floats = [np.empty_like(self._ahead) for _ in range(3)]
        self._ints = [np.empty_like(self._base) for _ in range(2)]
        self._index = np.empty((8, camera.shape[0], camera.shape[1] // 4), np.intp)
        self._samples = np.empty(self._index.shape, np.uint32)

    def render(self, x_m: FloatArray, y_m: FloatArray, yaw_rad: FloatArray) -> Uint8Array:
        """Returns the pictures of n cars at these poses, (n,) each: uint8 (n, H, W, 3)."""
        height, width = self.camera.shape
        images = np.empty((len(x_m), height, width, 3), np.uint8)
        words = images.reshape(len(x_m), -1).view("<u4").reshape(len(x_m), height, width // 4, 3)
        where = np.clip(np.stack([x_m, y_m], axis=1) - self._low, 0.0, self._size)
        for k in range(len(x_m)):
            self._look_up(float(where[k, 0]), float(where[k, 1]), float(yaw_rad[k]))
            _pack(_mean(self._samples[:4], self._samples[4:]), words[k])
        return images

    def _look_up(self, x_m: float, y_m: float, yaw_rad: float) -> None:
        """Fills `_samples` with one picture."""
        cosine, sine = np.float32(math.cos(yaw_rad)), np.float32(math.sin(yaw_rad))
        along, aside, scratch = self._floats
        column, row = self._ints
        np.multiply(self._ahead, cosine, out=along)
        along -= np.multiply(self._left, sine, out=scratch)
        along += np.multiply(self._per_m, np.float32(x_m), out=scratch)
        along += self._pad
        np.copyto(column, along, casting="unsafe")
        np.multiply(self._ahead, sine, out=aside)
        aside += np.multiply(self._left, cosine, out=scratch)
        aside += np.multiply(self._per_m, np.float32(y_m), out=scratch)
        aside += self._pad
        np.copyto(row, aside, casting="unsafe")
        row *= self._stride
        row += column
        row += self._base
        np.copyto(self._index[:, self._top :], row)
        turned = int(yaw_rad % (2 * math.pi) / (2 * math.pi) * self._sky_columns)
        sky = self._index[:, : self._sky.shape[1]]
        np.add(self._sky, turned % self._sky_columns, out=sky, where=self._sky_mask)
        # The places are right by construction; "clip" spares a copy that "raise" would make.
        np.take(self._atlas, self._index, out=self._samples, mode="clip")


def _levels(rays: FloatArray, height_m: float, texel_m: float) -> npt.NDArray[np.intp]:
    """The level of each sample: the one whose texels are as large as its share of a pixel's footprint."""
    down = np.maximum(-rays[..., 2], height_m / FAR_M)
    ahead, left = rays[..., 0] * height_m / down, rays[..., 1] * height_m / down
    # Where the ground point goes when the pixel moves by one row or column.
    moves = []
    for axis in (1, 2):
        step = np.gradient(rays, axis=axis)
        moves.append(
            [
                (step[..., 0] * height_m + ahead * step[..., 2]) / down,
                (step[..., 1] * height_m + left * step[..., 2]) / down,
            ]
        )
    (row_ahead, row_left), (column_ahead, column_left) = moves
    area = np.abs(row_ahead * column_left - row_left * column_ahead)
    level = np.round(np.log2(np.sqrt(area / len(SAMPLES_PX)) / texel_m + 1e-9))
    return np.asarray(np.clip(level, 0, MAX_LEVEL), np.intp)


def _pyramid(
    ground: Uint8Array, reach_m: list[float], texel_m: float
) -> tuple[list[Uint32Array], npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """The levels of the floor as flat arrays, and each level's first index, row length and border.

    Each level has a border as wide as the pixels that use it look, so that no place need be clipped.
    """
    flat: list[Uint32Array] = []
    base, stride, pads = [], [], []
    level, used = ground, 0
    for k, reach in enumerate(reach_m):
        if k:
            level = _halved(level)
        pad = math.ceil(reach / (texel_m * 2**k)) + 2
        pads.append(pad)
        base.append(used)
        if reach == 0.0:
            stride.append(0)
            continue
        padded = np.pad(_packed(level).reshape(level.shape[:2]), pad, mode="edge")
        flat.append(padded.ravel())
        stride.append(padded.shape[1])
        used += padded.size
    return flat, np.array(base), np.array(stride), np.array(pads, float)


def _halved(level: Uint8Array) -> Uint8Array:
    """The next level: means of 2 x 2 texels."""
    even = np.pad(level, ((0, level.shape[0] % 2), (0, level.shape[1] % 2), (0, 0)), mode="edge")
    total = even[0::2, 0::2].astype(np.uint16)
    for part in (even[1::2, 0::2], even[0::2, 1::2], even[1::2, 1::2]):
        total += part
    return ((total + 2) // 4).astype(np.uint8)


def _packed(rgb: Uint8Array) -> Uint32Array:
    """A (rows, columns, 3) picture as flat 0x00BBGGRR numbers."""
    packed = rgb[..., 0].astype(np.uint32)
    packed |= rgb[..., 1].astype(np.uint32) << 8
    packed |= rgb[..., 2].astype(np.uint32) << 16
    return packed.ravel()


def _pack(planes: Uint32Array, words: Uint32Array) -> None:
    """Writes pixels 0x00BBGGRR, (4, H, W / 4), as bytes R G B: four pixels are three words."""
    first, second, third, fourth = planes
    np.bitwise_or(first, second << 24, out=words[..., 0])
    np.bitwise_or(second >> 8, third << 16, out=words[..., 1])
    np.bitwise_or(third >> 16, fourth << 8, out=words[..., 2])


def _mean(one: Uint32Array, other: Uint32Array) -> Uint32Array:
    """The mean of two pixels, byte by byte: what both have, and half of what one of them has."""
    half = one ^ other
    half &= np.uint32(0xFEFEFEFE)
    half >>= np.uint32(1)
    half += one & other
    return half


def _planes(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Sorts (2, H, W) samples into (8, H, W / 4): every fourth pixel of a row is in the same plane."""
    samples, height, width = values.shape
    by_four = values.reshape(samples, height, width // 4, 4).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(by_four).reshape(samples * 4, height, width // 4)


def _sky_index(rays: FloatArray, sky_shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Where each pixel is in the sky (drawn twice side by side) when the car looks along +x."""
    rows, columns = sky_shape
    elevation = np.arctan2(rays[..., 2], np.hypot(rays[..., 0], rays[..., 1]))
    row = np.clip((1 - elevation / SKY_TOP_RAD) * rows, 0, rows - 1).astype(np.intp)
    turn = np.arctan2(rays[..., 1], rays[..., 0]) % (2 * np.pi) / (2 * np.pi)
    return row * 2 * columns + (turn * columns).astype(np.intp) % columns


def _largest(values: FloatArray) -> float:
    return float(values.max()) if values.size else 0.0
