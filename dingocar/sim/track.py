"""Closed tracks: geometry, position along and beside the centre line, and how to get one by name."""

from __future__ import annotations

import os
import tokenize
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dingocar.errors import TrackError, near_path
from dingocar.registry import Registry
from dingocar.usercode import calling

FloatArray = npt.NDArray[np.float64]

#: All tracks that can be asked for by name; one file each, with `build(argument) -> Track`.
tracks = Registry("track", "dingocar.sim.tracks", entry="build", in_car=True)

#: Largest coordinate that is accepted, in metres: a track is for an RC car.
MAX_COORDINATE_M = 1_000.0
#: Largest `.npy` file and largest number of rows that are read: tracks come from other people.
MAX_FILE_BYTES = 4 << 20
MAX_ROWS = 50_000
#: How far before and behind its last place `locate` looks for a car, in metres.
REACH_M = 1.0
#: Two points nearer than this are one point: DeepRacer's files repeat rows.
SAME_POINT_M = 1e-9
#: Shortest lap: no car fits on a shorter one, and what is measured per lap or per step means nothing.
MIN_LENGTH_M = 1.0

# What numpy raises over a file whose header is no array's.
_NPY_ERRORS = (
    *(OSError, ValueError, EOFError, TypeError, OverflowError),
    *(SyntaxError, tokenize.TokenError, MemoryError, RecursionError),
)


class Track:
    """A closed track: a centre line with a left and a right edge, driven in the order of its rows.

    The centre line is the closed polyline through `centre`; between two vertices the heading turns
    evenly from the bisector at one to the bisector at the other, so that it has no jumps.

    Attributes:
        name: what `load_track` was asked for.
        centre: float64 (N, 2), metres, x right and y up; the first row is not repeated at the end.
        left: float64 (N, 2), the left edge beside each centre row.
        right: float64 (N, 2), the right edge.
        half_width_m: float64 (N,), half the distance between the edges.
        length_m: length of one lap along the centre line, at least `MIN_LENGTH_M`.
    """

    def __init__(self, name: str, centre: npt.ArrayLike, left: npt.ArrayLike, right: npt.ArrayLike) -> None:
        """Takes the three lines as (N, 2) arrays in metres.

        Raises:
            TrackError: too few rows, wrong shapes, numbers that are no coordinates of a track, two
                successive centre rows that are the same point, a lap shorter than `MIN_LENGTH_M`, or
                edges on the wrong side.
        """
        self.name = name
        self.centre, self.left, self.right = (
            _as_line(name, part, line)
            for part, line in (("centre", centre), ("left", left), ("right", right))
        )
        if not len(self.centre) == len(self.left) == len(self.right):
            raise TrackError(f"track {name}: centre, left and right must have equally many rows")
        self._step = np.roll(self.centre, -1, axis=0) - self.centre
        self._step_m = np.hypot(self._step[:, 0], self._step[:, 1])
        if self._step_m.min() < SAME_POINT_M:
            row = int(self._step_m.argmin())
            raise TrackError(f"track {name}: centre rows {row} and {row + 1} are the same point")
        self._start_m = np.concatenate(([0.0], np.cumsum(self._step_m)))
        self.length_m = float(self._start_m[-1])
        if self.length_m < MIN_LENGTH_M:
            raise TrackError(
                f"track {name}: {self.length_m:.3g} m long, expected {MIN_LENGTH_M:g} m or more; its points "
                "must be in metres"
            )
        segment_yaw = np.arctan2(self._step[:, 1], self._step[:, 0])
        turn = wrap_angle(segment_yaw - np.roll(segment_yaw, 1))  # at each vertex
        self._vertex_yaw = segment_yaw - turn / 2
        self._yaw_change = (turn + np.roll(turn, -1)) / 2  # from a vertex to the next
        self._curvature = turn / ((self._step_m + np.roll(self._step_m, 1)) / 2)
        unit = self._step / self._step_m[:, None]
        self._table = np.column_stack([self.centre, unit, self._step_m]).T.copy()
        # So many segments cover 2 * REACH_M wherever they begin.
        ends_m = np.concatenate((self._start_m, self.length_m + self._start_m[1:]))
        ahead = np.searchsorted(ends_m, self._start_m[1:] + 2 * REACH_M) - np.arange(len(unit))
        self._window = min(int(ahead.max()) + 1, len(unit))
        across = self.left - self.right
        self.half_width_m = np.hypot(across[:, 0], across[:, 1]) / 2
        normal = np.stack([-np.sin(self._vertex_yaw), np.cos(self._vertex_yaw)], axis=1)
        if np.mean(np.sum(across * normal, axis=1) > 0) < 0.9 or self.half_width_m.min() <= 0:
            raise TrackError(
                f"track {name}: the left edge must lie to the left of the right edge, seen in the "
                "order of the rows; swap the two"
            )

    @classmethod
    def from_centre(cls, name: str, centre: npt.ArrayLike, half_width_m: float) -> Track:
        """Builds a track of one width around a closed centre line, (N, 2) in metres."""
        line = _as_line(name, "centre", centre)
        along = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0)
        along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), SAME_POINT_M)[:, None]
        offset = half_width_m * np.stack([-along[:, 1], along[:, 0]], axis=1)
        return cls(name, line, line + offset, line - offset)

    def locate(
        self, x_m: npt.ArrayLike, y_m: npt.ArrayLike, near_s_m: npt.ArrayLike | None = None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Finds the nearest point of the centre line (projection to its segments).

        Args:
            x_m: (n,) or scalar.
            y_m: the same shape.
            near_s_m: where each car was last; only the line within about `REACH_M` of it is looked
                at, so that a neighbouring part of the track is not taken for the one the car drives
                on (and it is faster). NaN: the whole line.

        Returns:
            s_m in [0, length_m), cte_m (positive: the point is to the right of the line) and
            heading_rad of the line there, in (-pi, pi]; each float64 (n,).
        """
        x, y = np.atleast_1d(np.asarray(x_m, float)), np.atleast_1d(np.asarray(y_m, float))
        if near_s_m is None:
            return self._project(x, y, np.arange(len(self.centre))[None])
        near = np.broadcast_to(np.asarray(near_s_m, float), x.shape)
        lost = np.isnan(near)
        first = np.searchsorted(self._start_m, (near - REACH_M) % self.length_m, side="right") - 1
        window = (first[:, None] + np.arange(self._window)) % len(self.centre)
        found = self._project(x, y, window)
        if lost.any():
            for known, searched in zip(found, self.locate(x[lost], y[lost]), strict=True):
                known[lost] = searched
        return found

    def _project(
        self, x: FloatArray, y: FloatArray, segments: npt.NDArray[np.intp]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """`locate` among the given segments, (n, W) or (1, W)."""
        start_x, start_y, unit_x, unit_y, step_m = self._table[:, segments]
        dx, dy = x[:, None] - start_x, y[:, None] - start_y
        along = np.clip(dx * unit_x + dy * unit_y, 0.0, step_m)
        dx, dy = dx - along * unit_x, dy - along * unit_y
        rows = np.arange(len(x))
        best = (dx * dx + dy * dy).argmin(axis=1)
        segment = segments[rows if len(segments) > 1 else 0, best]
        along, off_x, off_y = along[rows, best], dx[rows, best], dy[rows, best]
        heading = self._heading(segment, along)
        to_right = np.sin(heading) * off_x - np.cos(heading) * off_y
        cte = np.copysign(np.hypot(off_x, off_y), to_right)
        return (self._start_m[segment] + along) % self.length_m, cte, heading

    def pose_at(self, s_m: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The point of the centre line at `s_m` (any real; it wraps): x_m, y_m, yaw_rad, each (n,)."""
        segment, along = self._segment_at(s_m)
        part = (along / self._step_m[segment])[:, None]
        point = self.centre[segment] + part * self._step[segment]
        return point[:, 0], point[:, 1], self._heading(segment, along)

    def curvature(self, s_m: npt.ArrayLike) -> FloatArray:
        """Curvature at `s_m` in 1/m, (n,): d(yaw)/ds, so positive in a left turn."""
        return self._interpolate(self._curvature, s_m)

    def half_width_at(self, s_m: npt.ArrayLike) -> FloatArray:
        """Half the width of the track at `s_m` in metres, (n,)."""
        return self._interpolate(self.half_width_m, s_m)

    def wrap_s(self, difference_m: npt.ArrayLike) -> FloatArray:
        """The shorter way round for a difference of two `s_m`: in [-length_m / 2, length_m / 2)."""
        half = self.length_m / 2
        return np.asarray((np.asarray(difference_m, float) + half) % self.length_m - half)

    def reversed(self) -> Track:
        """The same track driven the other way round, from the same start."""

        def turned(line: FloatArray) -> FloatArray:
            return np.roll(line[::-1], 1, axis=0)

        name = self.name.removesuffix("~") if self.name.endswith("~") else self.name + "~"
        return Track(name, turned(self.centre), turned(self.right), turned(self.left))

    def save(self, path: Path | str) -> None:
        """Writes a DeepRacer track file: `.npy`, float64 (N + 1, 6) = centre, inner, outer x and y."""
        x, y = self.centre.T
        anticlockwise = float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) > 0
        inner, outer = (self.left, self.right) if anticlockwise else (self.right, self.left)
        rows = np.concatenate([self.centre, inner, outer], axis=1)
        np.save(path, np.concatenate([rows, rows[:1]]), allow_pickle=False)

    def _segment_at(self, s_m: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], FloatArray]:
        s = np.atleast_1d(np.asarray(s_m, float)) % self.length_m
        segment = np.searchsorted(self._start_m, s, side="right") - 1
        segment = np.minimum(segment, len(self.centre) - 1)
        return segment, s - self._start_m[segment]

    def _heading(self, segment: npt.NDArray[np.intp], along_m: FloatArray) -> FloatArray:
        part = along_m / self._step_m[segment]
        return wrap_angle(self._vertex_yaw[segment] + part * self._yaw_change[segment])

    def _interpolate(self, values: FloatArray, s_m: npt.ArrayLike) -> FloatArray:
        segment, along = self._segment_at(s_m)
        part = along / self._step_m[segment]
        following = values[(segment + 1) % len(values)]
        return np.asarray(values[segment] * (1 - part) + following * part)

    def __repr__(self) -> str:
        return f"Track({self.name!r}, {len(self.centre)} rows, {self.length_m:.2f} m)"


def load_track(name: str | Path) -> Track:
    """Returns a track by its name, or reads a DeepRacer track file.

    Args:
        name: `oval`, `circuit`, `random:7` (the part after the colon goes to the track's `build`),
            or the path of a `.npy` file.

    Raises:
        UnknownNameError: there is no such track; the nearest name is suggested.
        TrackError: the argument or the file is not usable.

    >>> load_track("oval").name
    'oval'
    """
    if Path(name).suffix == ".npy":
        return read_deepracer(os.path.expanduser(name))
    kind, colon, argument = str(name).partition(":")
    if kind not in tracks.files() and ("/" in kind or Path(kind).suffix):
        raise TrackError(
            f"track {name}: no such track; expected a name ({', '.join(tracks.names())}), a DeepRacer .npy "
            "file, or duckietown: and a map's .yaml file"
        )
    build = tracks.load(kind)
    with calling(tracks.files()[kind]):
        track = build(argument if colon else None)
    if not isinstance(track, Track):
        raise TrackError(f"track {name}: build() must return a Track, got {type(track).__name__}")
    track.name = str(name)
    return track


def read_deepracer(path: Path | str) -> Track:
    """Reads a DeepRacer track file: `.npy`, (N, 6) = centre, inner and outer x and y in metres.

    Repeated rows are dropped (59 of the 127 published files have one inside). The inner edge is the
    left one on tracks that are driven anticlockwise.

    Raises:
        TrackError: no such file, no array of that kind, or a track that is not closed.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TrackError(f"{path}: larger than {MAX_FILE_BYTES} bytes, no track file; not read")
        # Mapped, so that a header which promises more than the file holds allocates nothing; never
        # unpickled.
        mapped = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise TrackError(f"{path}: no such track file{near_path(path)}") from None
    except _NPY_ERRORS as error:
        raise TrackError(f"{path}: not a DeepRacer track file ({error})") from None
    if mapped.dtype.kind not in "fiu" or mapped.ndim != 2 or mapped.shape[1] != 6:
        raise TrackError(
            f"{path}: expected numbers of shape (N, 6) = centre, inner and outer x and y, got "
            f"{mapped.dtype} {mapped.shape}"
        )
    if len(mapped) > MAX_ROWS:
        raise TrackError(f"{path}: {len(mapped)} rows, more than the {MAX_ROWS} that are read")
    rows = np.array(mapped, dtype=np.float64)
    if not np.isfinite(rows).all():
        raise TrackError(f"{path}: row {int(np.argwhere(~np.isfinite(rows))[0, 0])} holds no number")
    return _closed_from_rows(path, rows)


def _closed_from_rows(path: Path, rows: FloatArray) -> Track:
    step_m = np.hypot(*(np.roll(rows[:, :2], -1, axis=0) - rows[:, :2]).T)
    rows, step_m = rows[step_m > SAME_POINT_M], step_m[step_m > SAME_POINT_M]
    if len(rows) < 3:
        raise TrackError(f"{path}: {len(rows)} different centre points, a track needs 3 or more")
    gap_m = float(step_m[-1])
    if gap_m > 3 * step_m[:-1].max():
        raise TrackError(
            f"{path}: an open track ({gap_m:.2f} m from its last point to its first); only closed "
            "tracks can be driven in laps, choose another one"
        )
    centre, inner, outer = rows[:, 0:2], rows[:, 2:4], rows[:, 4:6]
    along = np.roll(centre, -1, axis=0) - np.roll(centre, 1, axis=0)
    across = inner - outer
    inner_is_left = np.mean(along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0] > 0) > 0.5
    left, right = (inner, outer) if inner_is_left else (outer, inner)
    return Track(str(path), centre, left, right)


def rounded_polygon(corners: npt.ArrayLike, radii_m: npt.ArrayLike, step_m: float = 0.05) -> FloatArray:
    """A closed line of straights and circular arcs: a polygon with rounded corners.

    Args:
        corners: (K, 2) in metres, in driving order. The line starts in the middle of the straight
            between the last corner and the first.
        radii_m: (K,) or one number: radius of the arc in each corner.
        step_m: distance between neighbouring points, about.

    Returns:
        float64 (N, 2).

    Raises:
        TrackError: two arcs need more of the side between them than there is.

    >>> square = rounded_polygon([(0, 0), (4, 0), (4, 4), (0, 4)], 2.0)  # a circle
    >>> bool(np.allclose(np.hypot(*(square - 2).T), 2.0, atol=1e-3))
    True
    """
    points = np.asarray(corners, float)
    radii = np.broadcast_to(np.asarray(radii_m, float), len(points))
    side = np.roll(points, -1, axis=0) - points
    side_m = np.hypot(side[:, 0], side[:, 1])
    yaw = np.arctan2(side[:, 1], side[:, 0])
    turn = wrap_angle(yaw - np.roll(yaw, 1))
    cut_m = radii * np.tan(np.abs(turn) / 2)  # how much of both sides the arc takes
    if (cut_m + np.roll(cut_m, -1) > side_m + 1e-6).any():
        raise TrackError("the corners' radii are too large for the sides of the polygon")
    line = []
    for k in range(len(points)):
        before = yaw[k - 1]
        enter = points[k] - cut_m[k] * np.array([np.cos(before), np.sin(before)])
        angles = np.linspace(0.0, turn[k], max(3, int(radii[k] * abs(turn[k]) / step_m) + 1))
        sign = np.sign(turn[k])
        middle = enter + sign * radii[k] * np.array([-np.sin(before), np.cos(before)])
        swung = before + angles
        line.append(middle + sign * radii[k] * np.stack([np.sin(swung), -np.cos(swung)], axis=1))
    arcs = np.concatenate([(line[0][:1] + line[-1][-1:]) / 2, *line])
    return resample(arcs, step_m)


def resample(line: npt.ArrayLike, step_m: float) -> FloatArray:
    """Spaces the points of a closed (N, 2) line evenly, about `step_m` apart; the first one stays."""
    points = np.asarray(line, float)
    closed = np.concatenate([points, points[:1]])
    at_m = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))))
    wanted = np.linspace(0.0, at_m[-1], max(3, round(at_m[-1] / step_m)), endpoint=False)
    return np.stack([np.interp(wanted, at_m, closed[:, axis]) for axis in (0, 1)], axis=1)


def wrap_angle(angle_rad: npt.ArrayLike) -> FloatArray:
    """The same angle in (-pi, pi].

    >>> wrap_angle([0.0, 3 * np.pi]).round(3).tolist()
    [0.0, 3.142]
    """
    return np.asarray(np.pi - (np.pi - np.asarray(angle_rad, float)) % (2 * np.pi))


def no_argument(name: str, argument: str | None) -> None:
    """For tracks that take none.

    Raises:
        TrackError: there is one.
    """
    if argument is not None:
        raise TrackError(f"track {name!r} takes no argument, got {argument!r}; ask for {name!r}")


def _as_line(name: str, part: str, line: npt.ArrayLike) -> FloatArray:
    points = np.array(line, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise TrackError(f"track {name}: {part} must be (N, 2) with N >= 3, got {points.shape}")
    if not np.isfinite(points).all() or np.abs(points).max() > MAX_COORDINATE_M:
        raise TrackError(
            f"track {name}: {part} must hold metres between -{MAX_COORDINATE_M:g} and {MAX_COORDINATE_M:g}"
        )
    points.flags.writeable = False
    return points
