"""Paints an appearance: the floor seen from above, and what is seen above the horizon.

The order is that of the things themselves: the floor's material, the lines on it, what lies about, and then
the light that falls on all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance
from dingocar.sim.chart import Chart
from dingocar.sim.paint_backdrop import SKY_TOP_RAD, paint_backdrop
from dingocar.sim.paint_floor import paint_floor
from dingocar.sim.paint_light import shine
from dingocar.sim.paint_lines import paint_lines
from dingocar.sim.paint_things import paint_border, paint_things

__all__ = ["SKY_TOP_RAD", "Painting", "paint"]


@dataclass(frozen=True)
class Painting:
    """A world's surfaces in one episode.

    Attributes:
        ground: uint8 (rows, columns, 3) RGB, the floor on the chart's grid.
        sky: uint8 (rows, columns, 3) RGB, what is seen above the horizon. The last row is the
            horizon, the first `SKY_TOP_RAD` above it; the columns go once round, counter-clockwise
            from the direction of +x.
    """

    ground: Uint8Array
    sky: Uint8Array


def paint(chart: Chart, appearance: Appearance, rng: np.random.Generator) -> Painting:
    """Paints all of an appearance but what the camera's sensor makes of it.

    Args:
        chart: the floor to paint on.
        appearance: what it looks like.
        rng: where all chance comes from. Each part has a generator of its own, so that more of one thing
            does not move another.
    """
    floor, lines, things, light, backdrop = (
        np.random.default_rng(int(seed)) for seed in rng.integers(0, 2**62, 5)
    )
    ground = paint_floor(chart, appearance, floor)
    paint_lines(ground, chart, appearance, lines)
    ground = paint_things(ground, chart, appearance, things)
    shine(ground, chart, appearance, light)
    sky = paint_backdrop(appearance, backdrop)
    if appearance.floor != "plain":
        near = appearance.backdrop == "room" and bool(floor.random() < 0.5)
        paint_border(ground, sky, chart.texel_m, wall=near)
    return Painting(ground, sky)
