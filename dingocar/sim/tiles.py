"""Maps of square road tiles, as Duckietown's: kinds of tiles, the lanes over them, and tracks along a lane.

x is to the right and y up, and headings are counted in right angles from +x, counter-clockwise. In
gym-duckietown's maps the first row of tiles is the uppermost one; its z axis points down.
"""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dingocar.errors import TrackError, did_you_mean
from dingocar.sim.track import FloatArray, Track, resample

#: Where the ways of a tile's kind lead, in right angles to the left of its heading: ahead 0, left 1,
#: behind 2, right 3.
OPENINGS: dict[str, tuple[int, ...]] = {
    "straight": (0, 2),
    "curve_left": (1, 2),
    "curve_right": (2, 3),
    "3way_left": (0, 1, 2),
    "3way_right": (0, 2, 3),
    "4way": (0, 1, 2, 3),
    "asphalt": (),
    "grass": (),
    "floor": (),
    "empty": (),
    "calibration_tile": (),
}
HEADINGS = {"E": 0, "N": 1, "W": 2, "S": 3}
#: Most tiles of a side of a map, and how large a tile may be.
MAX_SIDE, TILE_LIMITS_M = 64, (0.1, 5.0)
#: Half the width of a lane, in tiles: AI-DO's lane is 0.376 tiles wide.
HALF_LANE = 0.188
#: A route goes on straight over, to the left or to the right, in one of these orders.
STRAIGHT, LEFT, RIGHT = 0, 1, 3
_ORDERS = tuple(
    (first, second, third)
    for first in (STRAIGHT, RIGHT, LEFT)
    for second in (STRAIGHT, RIGHT, LEFT)
    for third in (STRAIGHT, RIGHT, LEFT)
    if len({first, second, third}) == 3
)
#: The inner control points of the lanes' centres (cubic Bezier curves), in tiles, for a car that comes
#: in at (-0.5, -0.2) heading along +x: gym-duckietown measures the distance to the lane to these.
_STRAIGHT = ((-0.25, -0.2), (0.25, -0.2))
_LEFT = ((0.0, -0.2), (0.2, 0.0))
_RIGHT = ((-0.2, -0.2), (-0.2, -0.3))
_BENDS = {
    ("curve_left", RIGHT): ((-0.3, -0.2), (-0.2, -0.3)),
    ("curve_right", LEFT): ((-0.3, -0.2), (0.3, 0.0)),
}
_LANE = 0.2
_SPACING_M = 0.03


@dataclass(frozen=True)
class Tile:
    """One tile.

    Attributes:
        kind: one of `OPENINGS`.
        heading: right angles from +x: where a car heads that drives into the tile from behind.
    """

    kind: str
    heading: int = 0

    @property
    def sides(self) -> frozenset[int]:
        """The sides with a way, as headings from the middle of the tile."""
        return frozenset((self.heading + side) % 4 for side in OPENINGS[self.kind])


@dataclass(frozen=True)
class Passage:
    """The way of one lane over one tile: heading in at its near side, then turning.

    Attributes:
        x, y: the tile, counted from the lower left one.
        heading: right angles from +x, coming in.
        turn: `STRAIGHT`, `LEFT` or `RIGHT`.
    """

    x: int
    y: int
    heading: int
    turn: int

    @property
    def opposite(self) -> Passage:
        """The other lane: in where this one leaves, out where it comes in."""
        return Passage(self.x, self.y, (self.heading + self.turn + 2) % 4, -self.turn % 4)


@dataclass(frozen=True)
class TileMap:
    """A rectangle of tiles.

    Attributes:
        rows: the tiles; row 0 is the lowest one, column 0 the leftmost.
        tile_m: side of a tile; the lower left corner of the map is (0, 0).
    """

    rows: tuple[tuple[Tile, ...], ...]
    tile_m: float

    @classmethod
    def parse(cls, rows: object, tile_m: object, where: str = "map") -> TileMap:
        """Reads a map from rows of texts as `curve_left/W`, the uppermost row first.

        Raises:
            TrackError: what is no such map; names the tile. `where` begins the message.
        """
        low, high = TILE_LIMITS_M
        if isinstance(tile_m, bool) or not isinstance(tile_m, int | float) or not low <= tile_m <= high:
            raise TrackError(f"{where}: tile_size must be {low:g} to {high:g} metres, got {_short(tile_m)}")
        if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_SIDE:
            raise TrackError(f"{where}: tiles must be a list of 1 to {MAX_SIDE} rows, got {_short(rows)}")
        read: list[tuple[Tile, ...]] = []
        for number, row in enumerate(rows):
            if not isinstance(row, list) or not 1 <= len(row) <= MAX_SIDE:
                raise TrackError(
                    f"{where}: row {number} must be a list of 1 to {MAX_SIDE} tiles, got {_short(row)}"
                )
            if read and len(row) != len(read[0]):
                raise TrackError(
                    f"{where}: row {number} has {len(row)} tiles, the rows above have {len(read[0])}; all "
                    "rows must be equally long"
                )
            read.append(
                tuple(_tile(text, f"{where}: row {number}, column {at}") for at, text in enumerate(row))
            )
        return cls(tuple(reversed(read)), float(tile_m))

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.rows), len(self.rows[0])

    def at(self, x: int, y: int) -> Tile | None:
        """The tile in column x of row y, counted from the lower left; None: outside."""
        rows, columns = self.shape
        return self.rows[y][x] if 0 <= x < columns and 0 <= y < rows else None

    def onward(self, x: int, y: int, heading: int, order: Sequence[int]) -> Passage | None:
        """The passage of a car that comes into a tile, with the first turn of `order` that the tile has."""
        tile = self.at(x, y)
        if tile is None or (heading + 2) % 4 not in tile.sides:
            return None
        for turn in order:
            if (heading + turn) % 4 in tile.sides:
                return Passage(x, y, heading, turn)
        return None

    def after(self, passage: Passage, order: Sequence[int]) -> Passage | None:
        """The passage over the next tile."""
        heading = (passage.heading + passage.turn) % 4
        dx, dy = ((1, 0), (0, 1), (-1, 0), (0, -1))[heading]
        return self.onward(passage.x + dx, passage.y + dy, heading, order)

    def route(self) -> tuple[Passage, ...]:
        """The closed route over the most tiles of a car that, at crossings, keeps to one order of turns.

        All six orders of straight over, left and right are tried. Of equally many tiles the route with more
        straight ones is taken, then the longer one: without crossings, the outer lane of the largest loop.
        It is the same at every call.

        Raises:
            TrackError: no lane leads back to where it began.
        """
        found = [route for order in _ORDERS for route in self._loops(order)]
        if not found:
            raise TrackError("the map has no closed loop of lanes; a track must lead back to its start")
        return max(found, key=self._merits)

    def _loops(self, order: Sequence[int]) -> list[tuple[Passage, ...]]:
        """All loops that end the ways of one order of turns."""
        rows, columns = self.shape
        done: set[Passage] = set()
        loops = []
        for x, y, heading in np.ndindex(columns, rows, 4):
            way: dict[Passage, int] = {}
            now = self.onward(x, y, heading, order)
            while now is not None and now not in done and now not in way:
                way[now] = len(way)
                now = self.after(now, order)
            if now in way:
                loop = list(way)[way[now] :]
                first = loop.index(min(loop, key=_key))
                loops.append(tuple(loop[first:] + loop[:first]))
            done.update(way)
        return loops

    def lane(self, passage: Passage) -> FloatArray:
        """The centre of the right lane along a passage, float64 (33, 2) in metres."""
        tile = self.rows[passage.y][passage.x]
        points = _lane(tile.kind, passage.turn)
        cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[passage.heading]
        turned = points @ np.array([[cosine, sine], [-sine, cosine]], float)
        return np.asarray((turned + np.array([passage.x + 0.5, passage.y + 0.5])) * self.tile_m)

    def _merits(self, route: Sequence[Passage]) -> tuple[float, ...]:
        """What is compared between two routes; at last, which begins lower and farther left."""
        ways = (_lane(self.rows[at.y][at.x].kind, at.turn) for at in route)
        length = sum(float(np.hypot(*np.diff(way, axis=0).T).sum()) for way in ways)
        straight = sum(at.turn == STRAIGHT for at in route)
        return (len(route), straight, round(length, 6), *(-number for number in _key(route[0])))


class TileTrack(Track):
    """A closed lane over a map of tiles: its centre line is the centre of the right-hand lane.

    Half its width is `HALF_LANE` tiles: the lane as AI-DO scores it, from the yellow line to a little before
    the white one. A car whose axle is outside is off the track, though it may still be on the road.

    Attributes:
        tiles: the map.
        route: the passages of one lap.
        anticlockwise: whether the lap goes round to the left.
    """

    def __init__(
        self, name: str, tiles: TileMap, route: Sequence[Passage], anticlockwise: bool | None = None
    ) -> None:
        """Lays a track along a route over a map; `anticlockwise` None: seen from the route."""
        self.tiles, self.route = tiles, tuple(route)
        pieces = [tiles.lane(passage)[:-1] for passage in self.route]
        centre = resample(np.concatenate(pieces), _SPACING_M)
        x, y = np.array([(at.x, at.y) for at in self.route], float).T
        around = float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
        self.anticlockwise = around >= 0 if anticlockwise is None else anticlockwise
        along = np.roll(centre, -1, axis=0) - np.roll(centre, 1, axis=0)
        along /= np.hypot(along[:, 0], along[:, 1])[:, None]
        aside = HALF_LANE * tiles.tile_m * np.stack([-along[:, 1], along[:, 0]], axis=1)
        super().__init__(name, centre, centre + aside, centre - aside)

    def reversed(self) -> TileTrack:
        """The other way round: in the opposite lane, as on a road."""
        base = self.name.removesuffix(",cw").removesuffix(",ccw")
        name = base + (",cw" if self.anticlockwise else ",ccw")
        back = [passage.opposite for passage in reversed(self.route)]
        return TileTrack(name, self.tiles, back, not self.anticlockwise)


@functools.cache
def _lane(kind: str, turn: int) -> FloatArray:
    """A lane's centre in tiles, (33, 2), coming in at (-0.5, -0.2) along +x."""
    default = {STRAIGHT: _STRAIGHT, LEFT: _LEFT, RIGHT: _RIGHT}[turn]
    end = {STRAIGHT: (0.5, -_LANE), LEFT: (_LANE, 0.5), RIGHT: (-_LANE, -0.5)}[turn]
    first, second = _BENDS.get((kind, turn), default)
    t = np.linspace(0.0, 1.0, 33)[:, None]
    points = [np.array(point) for point in ((-0.5, -_LANE), first, second, end)]
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    line = np.sum([weight * point for weight, point in zip(weights, points, strict=True)], axis=0)
    return np.asarray(line, np.float64)


def _tile(text: object, where: str) -> Tile:
    if not isinstance(text, str):
        raise TrackError(f"{where}: expected a tile as straight/E or grass, got {_short(text)}")
    kind, slash, letter = (part.strip() for part in text.partition("/"))
    if kind not in OPENINGS:
        raise TrackError(f"{where}: unknown kind of tile {kind[:40]!r}{did_you_mean(kind[:40], OPENINGS)}")
    if not slash:
        return Tile(kind)
    if letter not in HEADINGS:
        raise TrackError(f"{where}: {kind} must head to E, N, W or S, as {kind}/E; got {_short(text)}")
    return Tile(kind, HEADINGS[letter])


def _key(passage: Passage) -> tuple[int, int, int, int]:
    return passage.y, passage.x, passage.heading, passage.turn


def _short(value: object) -> str:
    """A value for a message; it is never printed whole, for a map's lists may hold each other many times."""
    try:
        text = reprlib.repr(value)
    except ValueError:  # Python does not print integers of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."
