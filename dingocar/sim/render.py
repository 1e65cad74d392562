"""Draws what the cameras see: one gather per picture from a pyramid of the floor seen from above.

Every pixel's samples look at fixed points of the floor beside its car, so their places in the car's frame
and the level of the pyramid (Williams 1983, "Pyramidal Parametrics") that fits their footprint are
worked out once. A picture is then a rotation and a shift of those points, and one look-up each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.images import Uint8Array
from dingocar.sim.camera import Camera
from dingocar.sim.chart import Chart
from dingocar.sim.look import SKY_TOP_RAD, Painting
from dingocar.sim.track import FloatArray

#: Floor farther away than this is drawn as if it were this far.
FAR_M = 15.0
#: Each pixel is the mean of two samples, so far right of and below its middle: smoother lines.
SAMPLES_PX = (-0.25, 0.25)
#: Coarsest level of the pyramid: its texels are 2 ** MAX_LEVEL times as large.
MAX_LEVEL = 6

Uint32Array = npt.NDArray[np.uint32]
#: A number for each plane of samples and each row: float32 (8, H, 1).
Moments = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Atlas:
    """One painting as a flat array: all levels of the floor, then the sky twice side by side.

    Attributes:
        data: uint32, pixels as 0x00BBGGRR.
        layout: where in it what lies.
    """

    data: Uint32Array
    layout: Layout


@dataclass(frozen=True)
class Layout:
    """Where the levels of the floor and the sky lie in an atlas, and how much floor they show.

    Attributes:
        low_m, size_m: lower left corner and size of the chart, x and y.
        texel_m: side of a texel of level 0.
        reach_m: for each level how far from the car its border lets a sample look; 0: not there.
        base, stride, pad: for each level its first index, its row's length, its border's width.
        sky_base: first index of the sky.
        sky_shape: (rows, columns) of the sky.
    """

    low_m: tuple[float, float]
    size_m: tuple[float, float]
    texel_m: float
    reach_m: tuple[float, ...]
    base: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    sky_base: int
    sky_shape: tuple[int, int]


def build_atlas(painting: Painting, chart: Chart, camera: Camera, margin: float = 1.0) -> Atlas:
    """Builds the atlas of a painting for a camera.

    Args:
        painting: what was painted on the chart.
        chart: the chart.
        camera: decides how far each level is looked at.
        margin: so many times as far, for cameras that are not quite this one.
    """
    ahead, left, level, is_sky = _places(camera, chart.texel_m)
    reach = [margin * _largest(np.hypot(ahead, left)[(level == k) & ~is_sky]) for k in range(MAX_LEVEL + 1)]
    if margin > 1:
        reach[MAX_LEVEL] = max(reach)
    flat, base, stride, pads = _pyramid(painting.ground, reach, chart.texel_m)
    sky_base = sum(map(len, flat))
    flat.append(_packed(np.concatenate([painting.sky] * 2, axis=1)))
    rows, columns = chart.shape
    layout = Layout(
        (chart.x0_m, chart.y0_m),
        (columns * chart.texel_m, rows * chart.texel_m),
        chart.texel_m,
        *(tuple(reach), tuple(base), tuple(stride), tuple(pads)),
        sky_base,
        (painting.sky.shape[0], painting.sky.shape[1]),
    )
    return Atlas(np.concatenate(flat), layout)


@dataclass(frozen=True)
class Pose:
    """Where a car is when its picture is taken, and how it moves then.

    Attributes:
        x_m, y_m, yaw_rad: middle of the rear axle, at the end of the exposure.
        vx_mps, vy_mps, yaw_rate_radps: its motion.
    """

    x_m: float
    y_m: float
    yaw_rad: float
    vx_mps: float = 0.0
    vy_mps: float = 0.0
    yaw_rate_radps: float = 0.0


class Lens:
    """One camera's pixels, and where in the atlases of one layout they look."""

    def __init__(self, camera: Camera, layout: Layout) -> None:
        """Works the places out, once for all pictures."""
        self.camera, self.layout = camera, layout
        rays = np.stack([camera.rays(shift) for shift in SAMPLES_PX])
        ahead, left, level, is_sky = _places(camera, layout.texel_m)
        ahead, left, level = _within_reach(ahead, left, level, layout.reach_m)
        self._sky_columns = layout.sky_shape[1]

        # From row `_top` on pixels look at the floor, but some of them still at the sky.
        rows = np.arange(camera.shape[0])
        self._top = int(rows[~is_sky.all(axis=(0, 2))].min(initial=len(rows)))
        sky_rows = int(rows[is_sky.any(axis=(0, 2))].max(initial=-1)) + 1
        self._sky = _planes(_sky_index(rays, layout.sky_shape) + layout.sky_base)[:, :sky_rows]
        self._sky_mask = _planes(is_sky)[:, :sky_rows]

        texel = layout.texel_m * 2.0**level
        pad = np.array(layout.pad, float)
        self._ahead, self._left, self._per_m, self._pad = (
            _planes(np.asarray(value, np.float32))[:, self._top :].copy()
            for value in (ahead / texel, left / texel, 1 / texel, pad[level])
        )
        self._base, self._stride = (
            _planes(np.array(value, np.int32)[level])[:, self._top :].copy()
            for value in (layout.base, layout.stride)
        )
        self._floats = [np.empty_like(self._ahead) for _ in range(3)]
        self._ints = [np.empty_like(self._base) for _ in range(2)]
        self._index = np.empty((8, camera.shape[0], camera.shape[1] // 4), np.intp)
        self._samples = np.empty(self._index.shape, np.uint32)

    def draw(
        self,
        atlas: Atlas,
        pose: Pose,
        image: Uint8Array,
        shutter_s: float = 0.0,
        readout_s: float = 0.0,
    ) -> None:
        """Draws the picture of a car.

        Args:
            atlas: of this lens's layout.
            pose: the car's.
            image: uint8 (H, W, 3), contiguous; drawn into.
            shutter_s: how long each row is exposed: what moves is blurred over four moments.
            readout_s: how much later the last row is exposed than the first one (rolling shutter).
        """
        height, width = self.camera.shape
        words = image.reshape(-1).view("<u4").reshape(height, width // 4, 3)
        moves = shutter_s > 0 or readout_s > 0
        if not moves or pose.vx_mps == pose.vy_mps == pose.yaw_rate_radps == 0:
            self._look_up(atlas, pose.x_m, pose.y_m, pose.yaw_rad)
            _pack(_mean(self._samples[:4], self._samples[4:]), words)
            return
        rows_s = np.linspace(-readout_s, 0.0, height, dtype=np.float32)[:, None]
        pixels = []
        for first, second in ((0.0, 2 / 3), (1 / 3, 1.0)) if shutter_s > 0 else ((0.0, 0.0),):
            # The two samples of a pixel are taken at two moments.
            ago = np.repeat(np.array([first, second], np.float32) * np.float32(shutter_s), 4)[:, None, None]
            at_s = rows_s - ago
            self._look_up(
                atlas,
                pose.x_m + pose.vx_mps * at_s,
                pose.y_m + pose.vy_mps * at_s,
                pose.yaw_rad + pose.yaw_rate_radps * at_s,
            )
            pixels.append(_mean(self._samples[:4], self._samples[4:]))
        _pack(pixels[0] if len(pixels) == 1 else _mean(*pixels), words)

    def _look_up(
        self, atlas: Atlas, x_m: float | Moments, y_m: float | Moments, yaw_rad: float | Moments
    ) -> None:
        """Fills `_samples` with one picture; poses are numbers, or (8, H, 1) for each plane and row."""
        (low_x, low_y), (size_x, size_y) = self.layout.low_m, self.layout.size_m
        # Beyond the chart a car sees what it would see at its border.
        x = self._floor_rows(_clip(x_m - low_x, size_x))
        y = self._floor_rows(_clip(y_m - low_y, size_y))
        yaw = self._floor_rows(yaw_rad)
        cosine, sine = np.cos(yaw, dtype=np.float32), np.sin(yaw, dtype=np.float32)
        along, aside, scratch = self._floats
        column, row = self._ints
        np.multiply(self._ahead, cosine, out=along)
        along -= np.multiply(self._left, sine, out=scratch)
        along += np.multiply(self._per_m, x, out=scratch)
        along += self._pad
        np.copyto(column, along, casting="unsafe")
        np.multiply(self._ahead, sine, out=aside)
        aside += np.multiply(self._left, cosine, out=scratch)
        aside += np.multiply(self._per_m, y, out=scratch)
        aside += self._pad
        np.copyto(row, aside, casting="unsafe")
        row *= self._stride
        row += column
        row += self._base
        np.copyto(self._index[:, self._top :], row)
        turn = yaw_rad if isinstance(yaw_rad, float) else yaw_rad[:, : self._sky.shape[1]]
        turned = turn % (2 * math.pi) * (self._sky_columns / (2 * math.pi))
        sky = self._index[:, : self._sky.shape[1]]
        np.add(
            self._sky, np.asarray(turned).astype(np.intp) % self._sky_columns, out=sky, where=self._sky_mask
        )
        # The places are right by construction; "clip" spares a copy that "raise" would make.
        np.take(atlas.data, self._index, out=self._samples, mode="clip")

    def _floor_rows(self, value: float | Moments) -> np.float32 | Moments:
        """The part of a value for the rows that see the floor."""
        return np.float32(value) if isinstance(value, float) else value[:, self._top :]


def _clip(value: float | Moments, high: float) -> float | Moments:
    """The value within [0, high]; a float stays one."""
    if isinstance(value, float):
        return min(max(value, 0.0), high)
    return np.clip(value, np.float32(0), np.float32(high))


def _places(
    camera: Camera, texel_m: float
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Where each sample looks: metres ahead and to the left on the floor, its level, is it sky; (2, H, W)."""
    rays = np.stack([camera.rays(shift) for shift in SAMPLES_PX])
    is_sky = rays[..., 2] > -camera.height_m / FAR_M
    level = np.where(is_sky, 0, _levels(rays, camera.height_m, texel_m))
    down = np.where(is_sky, 1.0, -rays[..., 2])
    ahead = camera.forward_m + rays[..., 0] * camera.height_m / down
    left = camera.left_m + rays[..., 1] * camera.height_m / down
    return np.where(is_sky, 0.0, ahead), np.where(is_sky, 0.0, left), level, is_sky


def _within_reach(
    ahead: FloatArray, left: FloatArray, level: npt.NDArray[np.intp], reach_m: tuple[float, ...]
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.intp]]:
    """Moves samples that look beyond their level's border to a coarser level, or nearer at the last one."""
    distance = np.hypot(ahead, left)
    for k, reach in enumerate(reach_m[:-1]):
        level = np.where((level == k) & (distance > reach + 1e-9), k + 1, level)
    nearer = np.minimum(1.0, np.array(reach_m)[level] / np.maximum(distance, 1e-9))
    return ahead * nearer, left * nearer, level


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
) -> tuple[list[Uint32Array], list[int], list[int], list[int]]:
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
    return flat, base, stride, pads


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
