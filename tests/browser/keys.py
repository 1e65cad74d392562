"""Drives the car by keys alone: a driver who sees how far off the middle of the track the car is."""

from __future__ import annotations

import math

KEYS = ("ArrowLeft", "ArrowRight", "ArrowUp")


def channels(page) -> dict:
    """What the car says of itself now; asked through the page."""
    return page.evaluate(
        "fetch('/api/state').then((answer) => answer.json()).then((state) => state.channels)"
    )


class KeyDriver:
    """Presses and lets go of the arrow keys of a page."""

    def __init__(self, page) -> None:
        self._page = page
        self._down: set[str] = set()

    def hold(self, *keys: str) -> None:
        """Holds exactly these keys."""
        for key in sorted(self._down - set(keys)):
            self._page.keyboard.up(key)
        for key in sorted(set(keys) - self._down):
            self._page.keyboard.down(key)
        self._down = set(keys)

    def steer(self, seen: dict) -> None:
        """One look at the road: full ahead, and left, right or neither."""
        # Where it will be when the keys take effect counts, not where it is.
        late_m = 0.2 * seen["sim/speed_mps"]
        heading = seen["sim/heading_error_rad"]
        cte_m = seen["sim/cte_m"] - late_m * math.sin(heading)
        # To the left is positive for heading and curvature, negative for steering.
        wanted = -0.75 * seen["sim/curvature"] * 0.5 + 1.2 * heading - 1.5 * cte_m
        off = wanted - seen["steering"]
        side = ["ArrowRight"] if off > 0.15 else ["ArrowLeft"] if off < -0.15 else []
        self.hold("ArrowUp", *side)

    def drive(self, done) -> dict:
        """Drives until `done(channels)`; returns what was seen last. The keys stay down."""
        while True:
            seen = channels(self._page)
            if done(seen):
                return seen
            self.steer(seen)
