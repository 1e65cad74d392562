"""Paints the track's lines: clean, taped in pieces, or worn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance
from dingocar.sim.chart import Chart
from dingocar.sim.textures import wear_tile

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]

#: The way along the track is divided into so long bits, each with its own state of the tape.
BIT_M = 0.01


@dataclass(frozen=True)
class _Marks:
    """The texels near the track, (N,) each."""

    rows: IntArray
    columns: IntArray
    s_m: Float32Array
    cte_m: Float32Array
    inside_m: Float32Array


@dataclass(frozen=True)
class _Tape:
    """One line's tape by the way along the track: shift in metres, width and lightness as factors."""

    shift_m: Float32Array
    width: Float32Array
    tone: Float32Array


def paint_lines(ground: Uint8Array, chart: Chart, appearance: Appearance, rng: np.random.Generator) -> None:
    """Draws the edge lines and the middle line into the floor."""
    rows, columns = np.nonzero(np.isfinite(chart.cte_m))
    cte = chart.cte_m[rows, columns]
    inside = chart.half_width_m[rows, columns] - np.abs(cte)
    marks = _Marks(rows, columns, chart.s_m[rows, columns], cte, inside)
    left, right, middle = (_laid(chart.track.length_m, appearance.tape, rng) for _ in range(3))
    worn = _cut_wear(chart, appearance, rng)
    _mark(ground, marks, _middle(marks, chart, appearance, middle), appearance.colour("centre"), middle, worn)
    for side, tape in ((-1, left), (1, right)):
        cover = _edge(marks, side, chart.texel_m, appearance.edge_width_m, tape)
        _mark(ground, marks, cover, appearance.colour("edge"), tape, worn)


def _edge(
    marks: _Marks, side: int, texel_m: float, width_m: float, tape: _Tape | None
) -> tuple[IntArray, Float32Array]:
    """The texels of one edge's line, and how much of each it covers."""
    near = np.flatnonzero(
        (marks.cte_m * side > 0) & (np.abs(marks.inside_m - width_m / 2) < 1.5 * width_m + texel_m)
    )
    from_middle = marks.inside_m[near] - np.float32(width_m / 2)
    return near, _stripe(from_middle, marks.s_m[near], width_m, texel_m, tape)


def _middle(
    marks: _Marks, chart: Chart, appearance: Appearance, tape: _Tape | None
) -> tuple[IntArray, Float32Array]:
    """The texels of the middle line's dashes, and how much of each they cover."""
    width_m, dash_m = appearance.centre_width_m, appearance.dash_m
    near = np.flatnonzero(np.abs(marks.cte_m) < 1.5 * width_m + chart.texel_m)
    s = marks.s_m[near]
    cover = _stripe(marks.cte_m[near], s, width_m, chart.texel_m, tape)
    if appearance.gap_m > 0:
        length = chart.track.length_m
        # Dashes and gaps are stretched so that a whole number of them goes once round.
        period = length / max(1, round(length / (dash_m + appearance.gap_m)))
        drawn_m = min(dash_m, period)
        to_dash = np.abs(s % np.float32(period) - np.float32(drawn_m / 2))
        cover *= np.clip(0.5 + (drawn_m / 2 - to_dash) / chart.texel_m, 0, 1)
    return near, cover


def _stripe(
    distance_m: Float32Array, s_m: Float32Array, width_m: float, texel_m: float, tape: _Tape | None
) -> Float32Array:
    """How much of a texel a stripe covers, 0 to 1, by the distance from the stripe's middle."""
    if tape is None:
        half: Float32Array | float = width_m / 2
    else:
        bit = _bits(s_m, tape)
        distance_m = distance_m - tape.shift_m[bit] * np.float32(width_m)
        half = tape.width[bit] * np.float32(width_m / 2)
    cover = np.clip(0.5 + (half - np.abs(distance_m)) / texel_m, 0, 1)
    return np.asarray(cover, np.float32)


def _mark(
    ground: Uint8Array,
    marks: _Marks,
    covered: tuple[IntArray, Float32Array],
    colour: tuple[float, float, float],
    tape: _Tape | None,
    worn: Float32Array | None,
) -> None:
    """Lays paint of one colour over the floor."""
    near, cover = covered
    some = np.flatnonzero(cover)
    near, cover = near[some], cover[some]
    rows, columns = marks.rows[near], marks.columns[near]
    paint = np.broadcast_to(np.asarray(colour, np.float32), (len(near), 3))
    if worn is not None:
        cover = cover * worn[rows % len(worn), columns % len(worn)]
    if tape is not None:
        paint = paint * tape.tone[_bits(marks.s_m[near], tape), None]
    old = ground[rows, columns].astype(np.float32)
    new = old + (paint - old) * cover[:, None] + np.float32(0.5)
    ground[rows, columns] = np.clip(new, 0, 255)


def _bits(s_m: Float32Array, tape: _Tape) -> IntArray:
    return np.minimum((s_m / BIT_M).astype(np.intp), len(tape.tone) - 1)


def _cut_wear(chart: Chart, appearance: Appearance, rng: np.random.Generator) -> Float32Array | None:
    """How much of the paint is left, float32 (n, n) to be repeated; None: all of it."""
    offset = rng.integers(0, 1 << 16, 2)
    if appearance.wear == 0:
        return None
    tile = wear_tile(chart.texel_m)
    first = np.roll(tile, tuple(offset % len(tile)), axis=(0, 1)) - appearance.wear
    # What has not come off is rubbed thin.
    left = np.clip(first * 3 + 1, 0, 1) * (1 - 0.3 * appearance.wear)
    return np.asarray(left, np.float32)


def _laid(length_m: float, tape: float, rng: np.random.Generator) -> _Tape | None:
    """How one line was taped: pieces of about a metre, each a little off, with a dark joint between."""
    seed = int(rng.integers(0, 2**62))
    if tape == 0:
        return None
    rng = np.random.default_rng(seed)
    count = int(length_m / BIT_M) + 1
    starts = np.cumsum(rng.uniform(0.5, 1.8, int(length_m / 0.5) + 2)) / BIT_M
    piece = np.searchsorted(starts, np.arange(count))
    pieces = len(starts) + 1
    # Within a piece the tape runs a little askew.
    along = np.arange(count) - np.concatenate([[0.0], starts])[piece]
    askew = rng.normal(0, 0.25, pieces)[piece] * along * BIT_M
    shift = rng.normal(0, 0.22, pieces)[piece] + askew
    ragged = rng.normal(0, 0.07, count)
    width = 1 + tape * (rng.normal(0, 0.08, pieces)[piece] + ragged)
    tone = 1 + tape * rng.uniform(-0.18, 0.03, pieces)[piece]
    joint = np.diff(piece, prepend=piece[0]) > 0
    tone[joint] *= 1 - 0.6 * tape
    return _Tape(*(np.asarray(value, np.float32) for value in (tape * shift, width, tone)))
