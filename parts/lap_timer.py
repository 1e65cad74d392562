"""Counts laps and ends the drive after the last one."""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)


class LapTimer:
    """Inputs `laps` (driven so far); outputs `lap_s`, the duration of the last lap.

    Args:
        loop_s: duration of a loop: laps are timed in the car's time, also when the drive is run faster.
        limit: call `on_limit` after so many laps; None: never.
        on_limit: usually `vehicle.stop`.
        on_lap: told each lap's number and duration.
    """

    def __init__(
        self,
        loop_s: float,
        limit: int | None = None,
        on_limit: Callable[[], None] = lambda: None,
        on_lap: Callable[[int, float], None] | None = None,
    ) -> None:
        self.loop_s, self.limit, self._on_limit = loop_s, limit, on_limit
        self._on_lap = on_lap or (lambda lap, seconds: logger.info("lap %d: %.2f s", lap, seconds))
        self._laps, self._loops, self.lap_s = 0, 0, 0.0

    def run(self, laps: int | None) -> float:
        """Notes one loop; returns the duration of the last whole lap in seconds (0 before the first)."""
        self._loops += 1
        if laps is not None and laps > self._laps:
            self._laps, self.lap_s, self._loops = laps, self._loops * self.loop_s, 0
            self._on_lap(laps, self.lap_s)
            if self.limit is not None and laps >= self.limit:
                self._on_limit()
        return self.lap_s
