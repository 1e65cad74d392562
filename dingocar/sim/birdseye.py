"""The world from above: a picture of a track with the cars on it.

>>> from dingocar.sim.track import load_track
>>> birdseye(load_track("oval"), [0.0], [0.0], [0.0], shape=(120, 160)).shape
(120, 160, 3)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from dingocar.errors import UsageError
from dingocar.images import Uint8Array
from dingocar.sim.camera import Camera
from dingocar.sim.chart import MARGIN_M
from dingocar.sim.painter import Painting
from dingocar.sim.track import FloatArray, Track

#: Smallest and largest side of a picture, in pixels.
MIN_PX, MAX_PX = 16, 4096
#: Free floor that is shown around the track's edges, in metres.
BORDER_M = 0.3
#: Lines are drawn so many times as large and averaged: smooth edges.
SMOOTH = 3
#: How far the camera is said to see, in metres: where the horizon is nearer, less.
SEEN_M = 2.5

FLOOR, ASPHALT, EDGE, CENTRE = (46, 58, 54), (74, 77, 84), (235, 235, 230), (235, 190, 40)
PATH, SEEN = (90, 200, 250), (250, 220, 120)
#: Colours of the cars, in turn.
CARS = ((229, 62, 62), (66, 153, 225), (72, 187, 120), (237, 137, 54), (159, 122, 234), (237, 100, 166))
#: A car's outline seen from above, ahead and left of the middle of its rear axle, in metres: a wedge, so
#: that it shows where it goes.
BODY_M = np.array([[0.34, 0.05], [0.34, -0.05], [0.22, -0.1], [-0.08, -0.1], [-0.08, 0.1], [0.22, 0.1]])


class Plan:
    """A track from above, drawn once, to put cars on.

    Attributes:
        track: the track.
        shape: (height, width) of the pictures.
        scale_px: pixels per metre.
        background: uint8 (H, W, 3), the picture without cars, read-only.
    """

    def __init__(
        self, track: Track, shape: tuple[int, int] = (480, 640), painting: Painting | None = None
    ) -> None:
        """Draws the background.

        Args:
            track: the track.
            shape: (height, width) in pixels, `MIN_PX` to `MAX_PX` each.
            painting: what was painted on the track's chart; None: a plain drawing.

        Raises:
            UsageError: the shape is out of bounds.
        """
        height, width = shape
        if not (MIN_PX <= height <= MAX_PX and MIN_PX <= width <= MAX_PX):
            raise UsageError(
                f"a picture from above must be {MIN_PX} to {MAX_PX} pixels high and wide, got {shape}"
            )
        self.track, self.shape = track, (int(height), int(width))
        lines = np.concatenate([track.left, track.right, track.centre])
        low, high = lines.min(axis=0) - BORDER_M, lines.max(axis=0) + BORDER_M
        self._middle = (low + high) / 2
        self.scale_px = float(min(width / (high - low)[0], height / (high - low)[1]))
        self.background = self._drawn() if painting is None else self._photographed(painting)
        self.background.flags.writeable = False

    def pixels(self, points_m: npt.ArrayLike) -> FloatArray:
        """Where points of the world are in the picture: (n, 2) x and y in metres to (n, 2) column and row."""
        height, width = self.shape
        at = (np.asarray(points_m, float).reshape(-1, 2) - self._middle) * self.scale_px
        return np.stack([width / 2 + at[:, 0], height / 2 - at[:, 1]], axis=1)

    def draw(
        self,
        x_m: npt.ArrayLike,
        y_m: npt.ArrayLike,
        yaw_rad: npt.ArrayLike,
        path: npt.ArrayLike | None = None,
        seen: npt.ArrayLike | None = None,
    ) -> Uint8Array:
        """The picture with cars.

        Args:
            x_m, y_m, yaw_rad: each car's pose (middle of the rear axle), scalar or (n,).
            path: (m, 2) where a car has been, in metres.
            seen: (k, 2) corners of the floor that a camera sees, in metres; see `footprint`.

        Returns:
            uint8 (H, W, 3) RGB, a new array.
        """
        picture = Image.fromarray(self.background)
        draw = ImageDraw.Draw(picture, "RGBA")
        if seen is not None and len(corners := self._points(seen)) > 2:
            draw.polygon(corners, fill=(*SEEN, 60), outline=(*SEEN, 160))
        if path is not None and len(line := self._points(path)) > 1:
            draw.line(line, fill=(*PATH, 220), width=2)
        x, y, yaw = (np.atleast_1d(np.asarray(value, float)) for value in (x_m, y_m, yaw_rad))
        for number in range(len(x)):
            self._draw_car(picture, x[number], y[number], yaw[number], CARS[number % len(CARS)])
        return np.array(picture)

    def _draw_car(
        self, picture: Image.Image, x_m: float, y_m: float, yaw_rad: float, colour: tuple[int, int, int]
    ) -> None:
        """Draws a car with smooth edges, larger than life where it would be too small to be seen."""
        body = BODY_M * max(1.0, 14 / (0.42 * self.scale_px))
        turn = np.array([[np.cos(yaw_rad), np.sin(yaw_rad)], [-np.sin(yaw_rad), np.cos(yaw_rad)]])
        corners = self.pixels(body @ turn + [x_m, y_m])
        low = np.floor(corners.min(axis=0)).astype(int) - 2
        size = (np.ceil(corners.max(axis=0)).astype(int) + 2 - low).tolist()
        height, width = self.shape
        if low[0] >= width or low[1] >= height or low[0] + size[0] < 0 or low[1] + size[1] < 0:
            return  # far off the picture
        mask = Image.new("L", (size[0] * SMOOTH, size[1] * SMOOTH))
        outline = [(float(cx), float(cy)) for cx, cy in (corners - low) * SMOOTH]
        ImageDraw.Draw(mask).polygon(outline, fill=255)
        picture.paste(colour, (int(low[0]), int(low[1])), mask.reduce(SMOOTH))

    def _points(self, points_m: npt.ArrayLike) -> list[tuple[float, float]]:
        return [(float(column), float(row)) for column, row in self.pixels(points_m)]

    def _drawn(self) -> Uint8Array:
        """A plain drawing: asphalt, edges, a dashed centre line and the start."""
        height, width = self.shape
        factor = SMOOTH if max(self.shape) * SMOOTH <= MAX_PX else 1
        picture = Image.new("RGB", (width * factor, height * factor), FLOOR)
        draw = ImageDraw.Draw(picture)
        track = self.track

        def scaled(points: FloatArray) -> list[tuple[float, float]]:
            return [(float(x), float(y)) for x, y in self.pixels(points) * factor]

        left, right = scaled(track.left), scaled(track.right)
        # A strip of quadrilaterals: the track is a ring, which no single polygon is.
        for k in range(len(left)):
            draw.polygon([left[k - 1], left[k], right[k], right[k - 1]], fill=ASPHALT)
        thick = max(1, round(0.03 * self.scale_px * factor))
        for line in (left, right):
            draw.line([*line, line[0]], fill=EDGE, width=thick, joint="curve")
        dashes = max(1, round(track.length_m / 0.4))
        for k in range(dashes):
            x, y, _ = track.pose_at((k + np.linspace(0.0, 0.5, 6)) * track.length_m / dashes)
            draw.line(scaled(np.stack([x, y], axis=1)), fill=CENTRE, width=thick)
        draw.line([left[0], right[0]], fill=EDGE, width=2 * thick)
        return np.array(picture.reduce(factor) if factor > 1 else picture)

    def _photographed(self, painting: Painting) -> Uint8Array:
        """The painted floor as seen from above."""
        track, ground = self.track, painting.ground
        lines = np.concatenate([track.left, track.right, track.centre])
        origin = lines.min(axis=0) - MARGIN_M
        size_m = np.ptp(lines, axis=0) + 2 * MARGIN_M
        texel_m = float(np.mean(size_m / [ground.shape[1], ground.shape[0]]))
        height, width = self.shape
        half_m = np.array([width, height]) / 2 / self.scale_px
        first = (self._middle - half_m - origin) / texel_m
        last = (self._middle + half_m - origin) / texel_m
        # What the picture shows beyond the chart is the floor at its border.
        pad = max(0, *(int(np.ceil(v)) for v in (-first, last - ground.shape[1::-1]) for v in v)) + 1
        padded = np.pad(ground, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
        box = tuple(float(value) for value in (*(first + pad), *(last + pad)))
        shown = Image.fromarray(padded).resize((width, height), Image.Resampling.BOX, box)  # type: ignore[arg-type]
        return np.ascontiguousarray(np.asarray(shown)[::-1])  # rows of a chart go upwards


def birdseye(
    track: Track,
    x_m: npt.ArrayLike,
    y_m: npt.ArrayLike,
    yaw_rad: npt.ArrayLike,
    shape: tuple[int, int] = (480, 640),
    painting: Painting | None = None,
    path: npt.ArrayLike | None = None,
    seen: npt.ArrayLike | None = None,
) -> Uint8Array:
    """A track from above with cars on it, uint8 (H, W, 3) RGB; the track without cars is drawn once.

    With a painting it is drawn anew each time: keep a `Plan` instead.

    Args:
        track: the track.
        x_m, y_m, yaw_rad: each car's pose, scalar or (n,).
        shape: (height, width) in pixels.
        painting: see `Plan`.
        path, seen: see `Plan.draw`.

    Raises:
        UsageError: the shape is out of bounds.
    """
    plan = _plan(track, tuple(shape)) if painting is None else Plan(track, shape, painting)
    return plan.draw(x_m, y_m, yaw_rad, path, seen)


@functools.lru_cache(maxsize=8)
def _plan(track: Track, shape: tuple[int, int]) -> Plan:
    return Plan(track, shape)


def footprint(camera: Camera, far_m: float = SEEN_M, around: int = 12) -> FloatArray:
    """The floor that a camera sees: corners of a polygon, (k, 2) = ahead and left of the rear axle in metres.

    Args:
        camera: the camera.
        far_m: what is farther from the camera than this is left out.
        around: points on each side of the picture.
    """
    rays = camera.rays()
    rows, columns = (np.linspace(0, side - 1, around).astype(int) for side in camera.shape)
    border: Sequence[npt.NDArray[np.float64]] = (
        rays[rows[::-1], 0],
        rays[0, columns],
        rays[rows, -1],
        rays[-1, columns[::-1]],
    )
    ray = np.concatenate(border)
    down = np.maximum(-ray[:, 2], 1e-9)
    along = ray[:, :2] * (camera.height_m / down)[:, None]
    distance = np.hypot(along[:, 0], along[:, 1])
    # A ray to the sky reaches the end of what is shown.
    along *= np.minimum(1.0, far_m / np.maximum(distance, 1e-9))[:, None]
    return np.asarray(along + np.array([camera.forward_m, camera.left_m]), np.float64)


def placed(points_m: npt.ArrayLike, x_m: float, y_m: float, yaw_rad: float) -> FloatArray:
    """Points ahead and left of a car, (k, 2), as points of the world, (k, 2)."""
    return np.asarray(np.asarray(points_m, float) @ _rotation(yaw_rad) + np.array([x_m, y_m]), np.float64)


def _rotation(yaw_rad: float) -> FloatArray:
    """What turns row vectors counter-clockwise."""
    sine, cosine = np.sin(yaw_rad), np.cos(yaw_rad)
    return np.array([[cosine, sine], [-sine, cosine]])
