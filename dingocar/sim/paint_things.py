"""Paints what lies about: stains, skid marks, litter, things beside the track; and the border."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance
from dingocar.sim.chart import Chart

#: Colours of things that lie about in a hall: cardboard, cable, plastic, cones, cloth.
THINGS = (
    (25, 25, 28),
    (45, 48, 52),
    (110, 88, 62),
    (200, 90, 30),
    (150, 40, 35),
    (40, 70, 130),
    (190, 190, 185),
    (90, 96, 100),
)
#: Width of the floor's border that stands for all beyond it.
FOOT_M = 0.35

_ROWS = 64


def paint_things(
    ground: Uint8Array, chart: Chart, appearance: Appearance, rng: np.random.Generator
) -> Uint8Array:
    """Returns the floor with its clutter; the floor itself is changed too."""
    if appearance.clutter == 0:
        return ground
    area_m2 = ground.shape[0] * ground.shape[1] * chart.texel_m**2
    _darken(ground, _stained(chart, appearance.clutter, area_m2, rng))
    if rng.random() < 0.7 * appearance.clutter:
        _start_line(ground, chart, appearance, rng)
    picture = Image.fromarray(ground)
    draw = ImageDraw.Draw(picture)
    for _ in range(round(1.5 * area_m2 * appearance.clutter)):
        _litter(draw, chart, rng)
    for _ in range(round(1.2 * chart.track.length_m * appearance.clutter)):
        _thing(draw, chart, appearance, rng)
    return np.array(picture)


def paint_border(ground: Uint8Array, sky: Uint8Array, texel_m: float, wall: bool) -> None:
    """Makes the floor's border one colour on each side: beyond it the floor goes on as its border is.

    Args:
        ground: the floor; changed.
        sky: what is above the horizon.
        texel_m: the side of a texel.
        wall: the border is the foot of the walls: from there up to the horizon they are seen. False: the
            floor goes on to the horizon.
    """
    foot = min(round(FOOT_M / texel_m), min(ground.shape[:2]) // 4)
    skirting, shadow = max(1, round(0.04 / texel_m)), max(1, round(0.25 / texel_m))
    horizon = np.roll(sky[-1].astype(np.float32), sky.shape[1] // 8, axis=0)
    # After the roll the quarters are the directions +x, +y, -x, -y.
    east, north, west, south = horizon[: len(horizon) // 4 * 4].reshape(4, -1, 3).mean(axis=1)
    fade = np.linspace(0.55 if wall else 1.0, 1.0, shadow, dtype=np.float32)[:, None, None]
    turned = ground.transpose(1, 0, 2)
    for side, colour in ((ground, south), (ground[::-1], north), (turned, west), (turned[::-1], east)):
        if not wall:
            side[:foot:] = side[: foot + shadow : 4, ::4].mean(axis=(0, 1))
            continue
        side[foot : foot + shadow] = side[foot : foot + shadow] * fade
        side[:foot] = colour
        side[foot - skirting : foot] = colour * 0.4


def _stained(chart: Chart, clutter: float, area_m2: float, rng: np.random.Generator) -> Uint8Array:
    """How much is hidden by dirt, uint8 (rows, columns): stains, and the marks of tyres along the track."""
    half = (max(1, chart.shape[1] // 2), max(1, chart.shape[0] // 2))
    per_m = 0.5 / chart.texel_m
    mask = Image.new("L", half)
    draw = ImageDraw.Draw(mask)
    for _ in range(round(0.7 * area_m2 * clutter)):
        x, y = rng.uniform(0, half[0]), rng.uniform(0, half[1])
        size = per_m * math.exp(rng.uniform(math.log(0.02), math.log(0.3)))
        box = (x - size, y - size * 0.7, x + size, y + size * 0.7)
        draw.ellipse(box, fill=int(rng.uniform(10, 60)))
    for _ in range(round(1.2 * chart.track.length_m * clutter)):
        strength = int(rng.uniform(12, 70))
        for points in _skid(chart, rng):
            draw.line(
                [(x * per_m, y * per_m) for x, y in points],
                fill=strength,
                width=max(1, round(rng.uniform(0.015, 0.04) * per_m)),
            )
    mask = mask.filter(ImageFilter.BoxBlur(2))
    return np.asarray(mask.resize((chart.shape[1], chart.shape[0]), Image.Resampling.BILINEAR))


def _skid(chart: Chart, rng: np.random.Generator) -> list[list[tuple[float, float]]]:
    """The tracks of a car's two sides, as points in metres from the chart's corner."""
    track = chart.track
    start, length = rng.uniform(0, track.length_m), rng.uniform(0.3, 2.5)
    s = start + np.linspace(0, length, 12)
    x, y, heading = track.pose_at(s)
    room = float(track.half_width_at(np.array([start]))[0])
    path = rng.uniform(-0.7, 0.7) * room + np.linspace(0, rng.normal(0, 0.15), 12)
    return [
        list(
            zip(
                x + (path + side) * np.sin(heading) - chart.x0_m,
                y - (path + side) * np.cos(heading) - chart.y0_m,
                strict=True,
            )
        )
        for side in (-0.08, 0.08)
    ]


def _darken(ground: Uint8Array, mask: Uint8Array) -> None:
    for first in range(0, len(ground), _ROWS):
        rows = slice(first, first + _ROWS)
        left = (256 - mask[rows].astype(np.uint16))[..., None]
        ground[rows] = (ground[rows] * left) >> 8


def _litter(draw: ImageDraw.ImageDraw, chart: Chart, rng: np.random.Generator) -> None:
    """A scrap of a few centimetres at most."""
    x, y = rng.uniform(0, chart.shape[1]), rng.uniform(0, chart.shape[0])
    size = rng.uniform(0.003, 0.014) / chart.texel_m
    grey = rng.uniform(20, 210)
    colour = tuple(int(v) for v in np.clip(grey + rng.normal(0, 12, 3), 0, 255))
    draw.ellipse((x - size, y - size * 0.6, x + size, y + size * 0.6), fill=colour)


def _thing(draw: ImageDraw.ImageDraw, chart: Chart, appearance: Appearance, rng: np.random.Generator) -> None:
    """A box, a cloth or a cable beside the track; on a printed mat also a white mark, which has no shadow."""
    track = chart.track
    s = np.array([rng.uniform(0, track.length_m)])
    side, printed = rng.choice([-1.0, 1.0]), appearance.floor == "mat" and rng.random() < 0.5
    away = side * (float(track.half_width_at(s)[0]) + rng.uniform(0.2, 0.9))
    x, y, heading = (float(value[0]) for value in track.pose_at(s))
    x, y = x + away * math.sin(heading) - chart.x0_m, y - away * math.cos(heading) - chart.y0_m
    row, column = int(y / chart.texel_m), int(x / chart.texel_m)
    inside = 0 <= row < chart.shape[0] and 0 <= column < chart.shape[1]
    # Another stretch of the track may pass there.
    if not inside or abs(chart.cte_m[row, column]) < chart.half_width_m[row, column] + 0.08:
        return
    tone = np.array(appearance.colour("edge") if printed else THINGS[rng.integers(len(THINGS))])
    red, green, blue = (int(value) for value in np.clip(tone + rng.normal(0, 8), 0, 255))
    yaw, reach = rng.uniform(0, math.pi), rng.uniform(0.03, 0.14)
    if not printed and rng.random() < 0.3:  # a cable
        bends = np.cumsum(rng.normal(0, 0.12, (7, 2)), axis=0) + np.array([x, y])
        draw.line(_points(bends / chart.texel_m), fill=(red, green, blue), width=2)
        return
    corners = np.array([[-1, -0.6], [1, -0.6], [1, 0.6], [-1, 0.6]]) * reach
    turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
    box = (corners @ turn + [x, y]) / chart.texel_m
    if not printed:
        draw.polygon(_points(box + 0.02 / chart.texel_m), fill=(18, 18, 20))
    draw.polygon(_points(box), fill=(red, green, blue))


def _points(line: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in line]


def _start_line(ground: Uint8Array, chart: Chart, appearance: Appearance, rng: np.random.Generator) -> None:
    """Stripes or a chequered band across the road at one place."""
    at_m, long_m, cell_m = (
        rng.uniform(0, chart.track.length_m),
        rng.uniform(0.08, 0.25),
        rng.uniform(0.04, 0.08),
    )
    chequered = bool(rng.random() < 0.5)
    x, y, _ = chart.track.pose_at(np.array([at_m]))
    reach = 0.6 + float(chart.track.half_width_m.max())
    rows, columns = (
        slice(
            max(0, int((float(c[0]) - origin - reach) / chart.texel_m)),
            int((float(c[0]) - origin + reach) / chart.texel_m),
        )
        for c, origin in ((y, chart.y0_m), (x, chart.x0_m))
    )
    along, cte = chart.s_m[rows, columns] - np.float32(at_m), chart.cte_m[rows, columns]
    inside = (along >= 0) & (along < long_m) & (np.abs(cte) < chart.half_width_m[rows, columns] - 0.06)
    cell = np.floor(np.where(inside, cte, 0) / cell_m)
    if chequered:
        cell += np.floor(along / cell_m)
    ground[rows, columns][inside & (cell % 2 == 0)] = np.asarray(appearance.colour("edge"), np.uint8)
