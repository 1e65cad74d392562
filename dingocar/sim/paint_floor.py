"""Paints the floor: its colour, its material's texture, its joints and folds."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance
from dingocar.sim.chart import Chart
from dingocar.sim.textures import JOINT_M, TILE_M, cut, noise, tile

Float32Array = npt.NDArray[np.float32]

#: Side of the plain floor's patches in texels, and how much lighter or darker each size may be.
PATCHES = ((1, 7), (8, 5), (64, 4), (256, 3))
#: Smooth things are worked out on a grid this many times as coarse.
COARSE = 8


def paint_floor(chart: Chart, appearance: Appearance, rng: np.random.Generator) -> Uint8Array:
    """Returns the bare floor, uint8 (rows, columns, 3)."""
    if appearance.floor == "plain":
        relief = _patches(chart.shape, appearance.texture, rng)
        colours = [value + relief for value in appearance.colour("floor")]
    else:
        relief = _relief(chart, appearance, rng)
        colours = [_tone(chart, appearance, k) * relief for k in range(3)]
    joints = _joints(chart, appearance, rng)
    ground = np.empty((*chart.shape, 3), np.uint8)
    for channel, plane in enumerate(colours):
        if joints is not None:
            plane *= joints
        np.clip(plane, 0, 255, out=plane)
        ground[..., channel] = plane
    return ground


def enlarged(coarse: npt.NDArray[np.floating], shape: tuple[int, int]) -> Float32Array:
    """A smooth field on the coarse grid brought to the chart's, float32."""
    picture = Image.fromarray(np.asarray(coarse, np.float32))
    whole = picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(whole, np.float32)


def coarse_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """The coarse grid of a chart."""
    return max(2, -(-shape[0] // COARSE)), max(2, -(-shape[1] // COARSE))


def _patches(shape: tuple[int, int], texture: float, rng: np.random.Generator) -> Float32Array:
    """Patches of several sizes, so that the floor is seen to move near and far."""
    light = np.zeros(shape, np.int16)
    for side, strength in PATCHES:
        few = rng.integers(-strength, strength + 1, [-(-length // side) for length in shape], np.int16)
        light += few.repeat(side, axis=0)[: shape[0]].repeat(side, axis=1)[:, : shape[1]]
    return light.astype(np.float32) * np.float32(texture)


def _relief(chart: Chart, appearance: Appearance, rng: np.random.Generator) -> Float32Array:
    """The material's lightness around 1: its tile, and large blotches that hide that it repeats."""
    made = cut(tile(appearance.floor, chart.texel_m), chart.shape, rng)
    relief = made * np.float32(appearance.texture / 256)
    coarse = coarse_shape(chart.shape)
    blotches = noise(rng, coarse, 4, max(coarse), 1.2)
    relief += enlarged(1 + 0.045 * appearance.texture * blotches, chart.shape)
    return np.asarray(relief, np.float32)


def _tone(chart: Chart, appearance: Appearance, channel: int) -> Float32Array | np.float32:
    """The material's own colour in one channel; a printed mat has another one beside the road."""
    colour = np.float32(appearance.colour("floor")[channel])
    if appearance.floor != "mat":
        return colour
    beside = np.float32(appearance.colour("beside")[channel])
    return np.where(np.abs(chart.cte_m) <= chart.half_width_m, colour, beside)


def _joints(chart: Chart, appearance: Appearance, rng: np.random.Generator) -> Float32Array | None:
    """How dark the joints between slabs, squares and tiles are; waves of a mat that lies unevenly."""
    pitch = JOINT_M[appearance.floor]
    if appearance.seams == 0 or math.isinf(pitch):
        return None
    strength = np.float32(appearance.seams)
    width_m = 0.008 if appearance.floor in ("tiles", "carpet") else 0.012
    if appearance.floor in ("tiles", "carpet"):
        depth, offset = np.float32(0.35), np.zeros(2)
    else:
        depth, offset = np.float32(0.5), rng.uniform(0, pitch, 2)
    lines = []
    for axis in (0, 1):
        at = (np.arange(chart.shape[axis]) + 0.5) * chart.texel_m + offset[axis]
        from_joint = np.abs((at + pitch / 2) % pitch - pitch / 2)
        cover = np.clip(0.5 + (width_m / 2 - from_joint) / chart.texel_m, 0, 1).astype(np.float32)
        lines.append(1 - strength * depth * cover)
    joints = np.minimum(lines[0][:, None], lines[1])
    if appearance.floor == "mat":
        coarse = coarse_shape(chart.shape)
        wave = noise(
            rng, coarse, 0.25 / chart.texel_m / COARSE + 2, TILE_M / chart.texel_m / COARSE, 1.0, 3.0
        )
        joints = joints * enlarged(1 + 0.09 * strength * np.tanh(wave), chart.shape)
    return np.asarray(joints, np.float32)
