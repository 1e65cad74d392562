"""Two straights and two half circles, driven anticlockwise; 12.2 m."""

from __future__ import annotations

from dingocar.sim.track import Track, no_argument, rounded_polygon

HALF_WIDTH_M = 0.35


def build(argument: str | None) -> Track:
    """Builds the oval, 4.6 m x 2.6 m; radius of the turns 1.3 m."""
    no_argument("oval", argument)
    corners = [(4.6, 0.0), (4.6, 2.6), (0.0, 2.6), (0.0, 0.0)]
    return Track.from_centre("oval", rounded_polygon(corners, 1.3), HALF_WIDTH_M)
