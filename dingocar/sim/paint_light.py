"""Lets light fall on the painted floor: brighter towards the lamp, soft shadows, mirrored lamps."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance
from dingocar.sim.chart import Chart
from dingocar.sim.paint_floor import COARSE, coarse_shape, enlarged

Float32Array = npt.NDArray[np.float32]

#: How many rows are lit at a time: few enough to stay in the processor's cache.
_ROWS = 64


def shine(ground: Uint8Array, chart: Chart, appearance: Appearance, rng: np.random.Generator) -> None:
    """Lights the floor in place."""
    shadow_rng, gloss_rng = (np.random.default_rng(int(seed)) for seed in rng.integers(0, 2**62, 2))
    if appearance.light_gradient == appearance.shadows == appearance.gloss == 0:
        return
    shape = coarse_shape(ground.shape)
    cell_m = chart.texel_m * COARSE
    gain = _gradient(shape, appearance)
    if appearance.shadows:
        gain *= _shadows(shape, cell_m, appearance, shadow_rng)
    mirrored = _gloss(shape, chart, appearance.gloss, gloss_rng) if appearance.gloss else None
    fine_gain = enlarged(gain, ground.shape[:2])
    fine_mirrored = None if mirrored is None else enlarged(mirrored, ground.shape[:2])
    for first in range(0, len(ground), _ROWS):
        rows = slice(first, first + _ROWS)
        lit = ground[rows] * fine_gain[rows, :, None]
        if fine_mirrored is not None:
            # What a lamp adds hides the floor below it, so that white stays white.
            lit += (255 - lit) * fine_mirrored[rows, :, None]
        np.minimum(lit, 255, out=lit)
        ground[rows] = lit


def _gradient(shape: tuple[int, int], appearance: Appearance) -> Float32Array:
    """From dark to bright in the direction of the light, 1 in the middle."""
    y, x = (np.linspace(-1, 1, length, dtype=np.float32) for length in shape)
    towards = x * math.cos(appearance.light_yaw_rad) + y[:, None] * math.sin(appearance.light_yaw_rad)
    return np.asarray(1 + 0.5 * appearance.light_gradient * towards, np.float32)


def _shadows(
    shape: tuple[int, int], cell_m: float, appearance: Appearance, rng: np.random.Generator
) -> Float32Array:
    """Long soft bars away from the light (posts, window frames), and wide dim ones (furniture)."""
    y, x = ((np.arange(length, dtype=np.float32) + 0.5) * np.float32(cell_m) for length in shape)
    size_m = float(max(x[-1], y[-1]))
    left = np.ones(shape, np.float32)
    for _ in range(max(4, round(1.6 * size_m))):
        yaw = appearance.light_yaw_rad + rng.normal(0, 0.12)
        at_x, at_y = rng.uniform(0, x[-1]), rng.uniform(0, y[-1])
        length = rng.uniform(0.5, 0.35 * size_m + 0.6)
        width = math.exp(rng.uniform(math.log(0.04), math.log(0.9)))
        soft = 0.03 + 0.3 * width
        cosine, sine = np.float32(math.cos(yaw)), np.float32(math.sin(yaw))
        reach = length / 2 + width + 3 * soft
        rows = slice(*np.searchsorted(y, [at_y - reach, at_y + reach]))
        columns = slice(*np.searchsorted(x, [at_x - reach, at_x + reach]))
        dx, dy = x[columns] - np.float32(at_x), (y[rows] - np.float32(at_y))[:, None]
        along, aside = np.abs(dx * cosine + dy * sine), np.abs(dy * cosine - dx * sine)
        outside = np.maximum(along - length / 2, 0) + np.maximum(aside - width / 2, 0)
        depth = np.float32(appearance.shadows * rng.uniform(0.25, 0.65))
        shade = 1 - depth * np.exp(-((outside / np.float32(soft)) ** 2))
        left[rows, columns] *= shade
    return left


def _gloss(shape: tuple[int, int], chart: Chart, gloss: float, rng: np.random.Generator) -> Float32Array:
    """Lamps mirrored in a polished floor: soft spots with a bright core.

    A mirrored lamp is drawn out towards whoever looks at it. The floor is painted once for all cars, so the
    spots are drawn out along the track, which is where cars look from.
    """
    cell_m = chart.texel_m * COARSE
    y, x = ((np.arange(length, dtype=np.float32) + 0.5) * np.float32(cell_m) for length in shape)
    centre = chart.track.centre
    ahead = np.roll(centre, -1, axis=0) - centre
    bright = np.zeros(shape, np.float32)
    pitch_m = rng.uniform(0.8, 1.6)
    for row_m in np.arange(rng.uniform(0, pitch_m), y[-1], pitch_m):
        for column_m in np.arange(rng.uniform(0, pitch_m), x[-1], pitch_m):
            at = np.array([column_m, row_m]) + rng.uniform(-0.25, 0.25, 2) * pitch_m
            wide_m, drawn_out = rng.uniform(0.06, 0.2), rng.uniform(2.0, 5.0)
            strength = np.float32(gloss * rng.uniform(0.25, 0.9))
            nearest = np.hypot(*(centre - at - (chart.x0_m, chart.y0_m)).T).argmin()
            cosine, sine = (ahead[nearest] / np.hypot(*ahead[nearest])).astype(np.float32)
            reach = 2.5 * wide_m * drawn_out
            rows = slice(*np.searchsorted(y, [at[1] - reach, at[1] + reach]))
            columns = slice(*np.searchsorted(x, [at[0] - reach, at[0] + reach]))
            dx, dy = x[columns] - np.float32(at[0]), (y[rows] - np.float32(at[1]))[:, None]
            along = (dx * cosine + dy * sine) / np.float32(wide_m * drawn_out)
            aside = (dy * cosine - dx * sine) / np.float32(wide_m)
            away2 = along**2 + aside**2
            bright[rows, columns] += strength * (0.6 * np.exp(-away2) + 0.4 * np.exp(-6 * away2))
    return np.minimum(bright, 0.95)
