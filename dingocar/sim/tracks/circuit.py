"""Left and right turns of five radii, a long straight and a hairpin, anticlockwise; 17.8 m."""

from __future__ import annotations

from dingocar.sim.track import Track, no_argument, rounded_polygon

HALF_WIDTH_M = 0.35

#: x and y of each corner, and the radius of its turn, in metres.
CORNERS = (
    (6.0, 0.0, 1.3),
    (6.0, 2.4, 1.1),
    (3.8, 2.4, 0.9),
    (3.8, 4.8, 1.0),
    (1.6, 4.8, 1.0),
    (1.6, 2.9, 1.2),
    (0.0, 1.9, 0.9),
    (0.2, 0.0, 1.0),
)


def build(argument: str | None) -> Track:
    """Builds the circuit; it is the same at every call."""
    no_argument("circuit", argument)
    corners = [corner[:2] for corner in CORNERS]
    radii = [corner[2] for corner in CORNERS]
    return Track.from_centre("circuit", rounded_polygon(corners, radii), HALF_WIDTH_M)
