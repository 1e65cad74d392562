"""Duckietown: dark mats with white edges, a dashed yellow line and red stops, on grass under a blue sky."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance
from dingocar.sim.chart import Chart
from dingocar.sim.look import Look
from dingocar.sim.paint_backdrop import paint_backdrop
from dingocar.sim.paint_floor import paint_floor
from dingocar.sim.paint_light import shine
from dingocar.sim.paint_things import paint_border, paint_things
from dingocar.sim.painter import Painting
from dingocar.sim.painter import paint as paint_track
from dingocar.sim.textures import cut, wear_tile
from dingocar.sim.textures import tile as texture
from dingocar.sim.tiles import OPENINGS, TileMap

Float32Array = npt.NDArray[np.float32]
#: A line's colour and how much of each texel it covers.
Cover = tuple[tuple[float, float, float], Float32Array]

RED = (205.0, 48.0, 58.0)
#: Lightness beside the road's: bare asphalt, and the dark beyond the map.
ASPHALT, BEYOND = 0.88, 0.35
#: How much rougher grass is than asphalt of texture 1.
ROUGHNESS = 2.0
#: Lines in a curve are laid as quarters of |p|^3.4 + |q|^3.4 = R^3.4 around its inner corner, R in tiles:
#: straight at both ends and rounded between them, as tape on a square mat is.
POWER, WHITE_RADIUS, YELLOW_RADIUS = 3.4, 0.946, 0.505
#: How far to the left of the middle the yellow line of a straight tile is, in tiles: taped by hand.
YELLOW_ASIDE = -0.0105
#: A curve has this many times a straight tile's dashes.
CURVE_DASHES = 0.65
#: Leg of the white triangle in a curve's inner corner, beside the edge line's width.
CORNER = 1.4
#: The red line: how deep it is, and from where to where it reaches to the right of the middle, in tiles.
STOP_DEPTH, STOP_FROM, STOP_TO = 0.046, 0.04, 0.412


def draw(_: np.random.Generator) -> Appearance:
    """Always the same: gym-duckietown's own without its randomisation, as it comes out of its light."""
    return Appearance(
        **dict(zip(("floor_r", "floor_g", "floor_b"), (62.0, 60.0, 56.0), strict=True)),
        **dict(zip(("beside_r", "beside_g", "beside_b"), (83.0, 115.0, 41.0), strict=True)),
        **dict(zip(("edge_r", "edge_g", "edge_b"), (207.0, 205.0, 201.0), strict=True)),
        **dict(zip(("centre_r", "centre_g", "centre_b"), (213.0, 202.0, 75.0), strict=True)),
        **dict(zip(("wall_r", "wall_g", "wall_b"), (115.0, 209.0, 255.0), strict=True)),
        floor="mat",
        backdrop="blank",
        edge_width_m=0.047,
        centre_width_m=0.0275,
        dash_m=0.043,
        gap_m=0.021,
    )


def paint(chart: Chart, appearance: Appearance, rng: np.random.Generator) -> Painting:
    """Paints the tiles of a track that has a map of them; any other as a road with two lanes."""
    tiles = getattr(chart.track, "tiles", None)
    if not isinstance(tiles, TileMap):
        return paint_track(chart, appearance, rng)
    floor, lines, things, light, backdrop = (
        np.random.default_rng(int(seed)) for seed in rng.integers(0, 2**62, 5)
    )
    ground = _paint_tiles(chart, tiles, appearance, floor, lines)
    ground = paint_things(ground, chart, appearance, things)
    shine(ground, chart, appearance, light)
    sky = paint_backdrop(appearance, backdrop)
    if appearance.backdrop == "room":
        paint_border(ground, sky, chart.texel_m, wall=True)
    return Painting(ground, sky)


look = Look(draw, paint)


def _paint_tiles(
    chart: Chart,
    tiles: TileMap,
    appearance: Appearance,
    floor_rng: np.random.Generator,
    line_rng: np.random.Generator,
) -> Uint8Array:
    """The floor with all tiles of a map."""
    red, green, blue = appearance.colour("floor")
    even = dataclasses.replace(appearance, beside_r=red, beside_g=green, beside_b=blue)
    floor = paint_floor(chart, even, floor_rng)
    worn = None
    if appearance.wear > 0:
        worn = np.clip((wear_tile(chart.texel_m) - appearance.wear) * 5 + 1, 0, 1)
    grain = cut(texture("asphalt", chart.texel_m), chart.shape, floor_rng)
    ground = (floor * np.float32(BEYOND)).astype(np.uint8)
    side, texel = tiles.tile_m, chart.texel_m
    for y, x in np.ndindex(tiles.shape):
        tile = tiles.rows[y][x]
        askew = line_rng.normal(0, 0.006, 2) * appearance.tape
        rows = _texels(y * side, (y + 1) * side, chart.y0_m, texel, chart.shape[0])
        columns = _texels(x * side, (x + 1) * side, chart.x0_m, texel, chart.shape[1])
        if tile.kind == "empty" or not rows.size or not columns.size:
            continue
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        patch = floor[box].astype(np.float32)
        if not OPENINGS[tile.kind]:
            ground[box] = _beside(patch, grain[box], tile.kind, appearance)
            continue
        right = ((chart.x0_m + (columns + 0.5) * texel) / side - x - 0.5 + askew[0])[None, :]
        up = ((chart.y0_m + (rows + 0.5) * texel) / side - y - 0.5 + askew[1])[:, None]
        cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[tile.heading]
        ahead = np.asarray(right * cosine + up * sine, np.float32)
        left = np.asarray(up * cosine - right * sine, np.float32)
        for colour, cover in _lines(tile.kind, ahead, left, appearance, side, texel / side):
            if worn is not None:
                cover = cover * worn[np.ix_(rows % len(worn), columns % len(worn))]
            patch += (np.asarray(colour, np.float32) - patch) * cover[..., None]
        ground[box] = np.clip(patch + 0.5, 0, 255)
    return ground


def _texels(low_m: float, high_m: float, origin_m: float, texel_m: float, size: int) -> npt.NDArray[np.intp]:
    """The texels whose middles lie in [low, high)."""
    first, last = (math.ceil((edge - origin_m) / texel_m - 0.5) for edge in (low_m, high_m))
    return np.arange(max(0, first), max(0, min(size, last)))


def _beside(
    patch: Float32Array, grain: npt.NDArray[np.int8], kind: str, appearance: Appearance
) -> Float32Array:
    """A tile without a road: bare asphalt, or grass."""
    if kind not in ("grass", "floor"):
        return np.asarray(patch * np.float32(ASPHALT), np.float32)
    rough = 1 + grain * np.float32(appearance.texture * ROUGHNESS / 256)
    green = rough[..., None] * np.asarray(appearance.colour("beside"), np.float32)
    return np.asarray(np.clip(green, 0, 255), np.float32)


def _lines(
    kind: str, ahead: Float32Array, left: Float32Array, appearance: Appearance, side_m: float, texel: float
) -> list[Cover]:
    """The lines of a tile.

    Args:
        kind: a kind of tile that has a road.
        ahead, left: where the texels are, from the tile's middle, in tiles.
        appearance: colours and widths.
        side_m: of the tile.
        texel: side of a texel in tiles.
    """
    white, yellow = appearance.colour("edge"), appearance.colour("centre")
    edge, middle = appearance.edge_width_m / side_m, appearance.centre_width_m / side_m
    period_m = appearance.dash_m + appearance.gap_m
    part = appearance.dash_m / period_m
    if kind == "straight":
        dashes = _dashes(ahead + 0.5, max(1, round(side_m / period_m)), part, texel)
        return [
            (yellow, _inside(middle / 2 - np.abs(left - YELLOW_ASIDE), texel) * dashes),
            (white, _inside(np.abs(left) - 0.5 + edge, texel)),
        ]
    if kind.startswith("curve"):
        p, q = ahead + 0.5, 0.5 - left if kind == "curve_left" else 0.5 + left
        around = np.arctan2(q, p) / np.float32(np.pi / 2)
        dashes = _dashes(around, max(1, round(CURVE_DASHES * side_m / period_m)), part, texel)
        return [
            (yellow, _inside(middle / 2 - np.abs(_from_curve(p, q, YELLOW_RADIUS)), texel) * dashes),
            (white, _inside(edge / 2 - np.abs(_from_curve(p, q, WHITE_RADIUS)), texel)),
            (white, _inside((CORNER * edge - p - q) / np.float32(math.sqrt(2)), texel)),
        ]
    return _crossing(OPENINGS[kind], ahead, left, white, edge, texel)


def _crossing(
    openings: tuple[int, ...],
    ahead: Float32Array,
    left: Float32Array,
    white: tuple[float, float, float],
    edge: float,
    texel: float,
) -> list[Cover]:
    """A crossing: red lines where one comes in, white corners, a white line where there is no way."""
    covers: list[Cover] = []
    for side, (cosine, sine) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
        out, to_left = ahead * cosine + left * sine, left * cosine - ahead * sine
        if side not in openings:
            covers.append((white, _inside(out - 0.5 + edge, texel)))
            continue
        # Seen by who comes in, the left of the way out is on the right.
        depth, width = out - 0.5 + STOP_DEPTH, np.minimum(to_left - STOP_FROM, STOP_TO - to_left)
        covers.append((RED, _inside(np.minimum(depth, width), texel)))
        if (side + 1) % 4 in openings:
            corner = (edge - (0.5 - out) - (0.5 - to_left)) / np.float32(math.sqrt(2))
            covers.append((white, _inside(corner, texel)))
    return covers


def _inside(depth: npt.NDArray[np.floating], texel: float) -> Float32Array:
    """How much of a texel lies inside a border, by how deep inside its middle is."""
    return np.asarray(np.clip(0.5 + depth / texel, 0, 1), np.float32)


def _dashes(along: Float32Array, count: int, part: float, texel: float) -> Float32Array:
    """How much of a texel `count` even dashes cover that fill this part of [0, 1]."""
    from_middle = np.abs(along * count % 1 - np.float32(0.5))
    return _inside((part / 2 - from_middle) / np.float32(count), texel) if part < 1 else np.ones_like(along)


def _from_curve(p: Float32Array, q: Float32Array, radius: float) -> Float32Array:
    """Distance to a curve's line, negative inside: first-order, the level over its slope."""
    p, q = np.maximum(p, np.float32(1e-3)), np.maximum(q, np.float32(1e-3))
    level = (p**POWER + q**POWER) ** (1 / POWER)
    slope = np.sqrt(p ** (2 * POWER - 2) + q ** (2 * POWER - 2)) * level ** (1 - POWER)
    return np.asarray((level - radius) / slope, np.float32)
