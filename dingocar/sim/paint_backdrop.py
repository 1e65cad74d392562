"""Paints what is seen above the horizon: a sky, a room with its lamps and furniture, or nothing much."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance
from dingocar.sim.paint_room import paint_room

Float32Array = npt.NDArray[np.float32]

#: Elevation of the uppermost row of a sky, in radians; what is above it has that row's colours.
SKY_TOP_RAD = 1.0
#: Rows and columns of a backdrop.
SHAPE = (128, 1280)
#: The zenith's colour beside the horizon's.
ZENITH = (0.49, 0.64, 0.9)


def paint_backdrop(appearance: Appearance, rng: np.random.Generator) -> Uint8Array:
    """Returns the backdrop, uint8 `SHAPE` + (3,); see `Painting.sky`."""
    up = np.linspace(SKY_TOP_RAD, 0.0, SHAPE[0], dtype=np.float32)[:, None]
    around = np.linspace(0.0, 2 * np.pi, SHAPE[1], endpoint=False, dtype=np.float32)
    if appearance.backdrop == "room":
        picture = paint_room(up, around, appearance, rng)
    elif appearance.backdrop == "sky":
        picture = _sky(up, around, appearance, rng)
    else:
        wall = np.asarray(appearance.colour("wall"), np.float32)
        picture = np.repeat((1 - 0.25 * up)[..., None] * wall, SHAPE[1], axis=1)
    if appearance.light_gradient:
        towards = np.cos(around - np.float32(appearance.light_yaw_rad))
        picture = picture * (1 + 0.4 * appearance.light_gradient * towards)[None, :, None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def _sky(
    up: Float32Array, around: Float32Array, appearance: Appearance, rng: np.random.Generator
) -> Float32Array:
    """From the horizon's colour to the zenith's; the horizon is brighter to one side."""
    share = (up / SKY_TOP_RAD)[..., None]
    horizon = np.asarray(appearance.colour("wall"), np.float32)
    blend = horizon * (1 - share) + horizon * np.asarray(ZENITH, np.float32) * share
    waves = _waves(around, (1, 3, 7), rng)
    picture = blend + 12 * waves[None, :, None] * (1 - share)
    if appearance.clutter:
        # Trees and houses along the horizon.
        for colour, height in (((92, 104, 110), 0.16), ((48, 62, 40), 0.1), ((70, 66, 60), 0.06)):
            top = height * appearance.clutter * (1 + 0.4 * _waves(around, (2, 5, 11, 23, 47, 91), rng))
            steps = rng.uniform(0.3, 1.7, 60).astype(np.float32).repeat(-(-len(around) // 60))[: len(around)]
            hidden = up < np.maximum(top * steps, 0)
            leaves = rng.uniform(0.75, 1.2, hidden.shape).astype(np.float32)
            tone = np.asarray(colour, np.float32) * (1 + 0.3 * waves[:, None])
            picture = np.where(hidden[..., None], tone * leaves[..., None], picture)
    return np.asarray(picture, np.float32)


def _waves(around: Float32Array, counts: tuple[int, ...], rng: np.random.Generator) -> Float32Array:
    """A sum of waves round the horizon, the shorter the flatter."""
    waves = np.zeros_like(around)
    for count in counts:
        waves += np.cos(count * around + np.float32(rng.uniform(0, 2 * math.pi))) / np.float32(count**0.7)
    return waves
