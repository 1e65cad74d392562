"""Plain dark floor, white edge lines, a yellow dashed centre line, an evening sky."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance, Chart
from dingocar.sim.track import FloatArray

FLOOR = (62, 64, 70)
EDGE = (235, 235, 230)
CENTRE = (235, 190, 40)
HORIZON, ZENITH = (196, 188, 176), (96, 120, 158)
EDGE_LINE_M, CENTRE_LINE_M = 0.05, 0.04
DASH_M, GAP_M = 0.25, 0.25
#: Side of the floor's patches in texels, and how much lighter or darker each size may be.
PATCHES = ((1, 7), (8, 5), (64, 4), (256, 3))
SKY_SHAPE = (64, 1024)

Float32Array = npt.NDArray[np.float32]


def paint(chart: Chart, rng: np.random.Generator) -> Appearance:
    """Paints the floor with the lines, and a sky that has a few clouds to turn by."""
    ground = _floor(chart.shape, rng)
    rows, columns = np.nonzero(np.isfinite(chart.cte_m))
    cte, s = chart.cte_m[rows, columns], chart.s_m[rows, columns]
    inside = chart.half_width_m[rows, columns] - np.abs(cte)
    edge = _stripe(inside - EDGE_LINE_M / 2, EDGE_LINE_M, chart.texel_m)
    period = chart.track.length_m / max(1, round(chart.track.length_m / (DASH_M + GAP_M)))
    to_dash = np.abs(s % period - DASH_M / 2)
    dash = _stripe(cte, CENTRE_LINE_M, chart.texel_m) * _stripe(to_dash, DASH_M, chart.texel_m)
    for colour, cover in ((CENTRE, dash), (EDGE, edge)):
        marked = np.flatnonzero(cover)
        at = (rows[marked], columns[marked])
        old = ground[at]
        ground[at] = old + (np.asarray(colour, np.float32) - old) * cover[marked, None] + 0.5
    return Appearance(ground, _sky(rng))


def _stripe(distance_m: Float32Array, width_m: float, texel_m: float) -> Float32Array:
    """How much of a texel a stripe covers, 0 to 1, by the distance from the stripe's middle."""
    cover = np.clip(0.5 + (width_m / 2 - np.abs(distance_m)) / texel_m, 0, 1)
    return np.asarray(cover, np.float32)


def _floor(shape: tuple[int, int], rng: np.random.Generator) -> Uint8Array:
    """Patches of several sizes, so that the floor is seen to move near and far."""
    light = np.zeros(shape, np.int16)
    for side, strength in PATCHES:
        few = rng.integers(-strength, strength + 1, [-(-length // side) for length in shape])
        light += np.kron(few, np.ones((side, side), np.int8))[: shape[0], : shape[1]].astype(np.int16)
    ground = np.empty((*shape, 3), np.uint8)
    for channel, value in enumerate(FLOOR):
        ground[..., channel] = light + value
    return ground


def _sky(rng: np.random.Generator) -> Uint8Array:
    """From the horizon's colour to the zenith's; the horizon is brighter to one side."""
    height, width = SKY_SHAPE
    up = np.linspace(1.0, 0.0, height)[:, None, None]
    blend = np.asarray(HORIZON) * (1 - up) + np.asarray(ZENITH) * up
    around = np.linspace(0.0, 2 * np.pi, width, endpoint=False)
    waves: FloatArray = np.sum(
        [np.cos(k * around + rng.uniform(0, 2 * np.pi)) / k for k in (1, 3, 7)], axis=0
    )
    sky = blend + 12 * waves[None, :, None] * (1 - up)
    return np.clip(sky, 0, 255).astype(np.uint8)
