"""A push at the start of autonomous driving: a set throttle for a set time."""

from __future__ import annotations

import math


class AiLaunch:
    """Replaces the pilot's throttle for a while: inputs `user/mode`, `user/launch`, `pilot/throttle`; outputs
    `pilot/throttle`.

    It begins when the mode becomes `local`, or when a launch is asked for in `local`, and ends after its
    time, or at once when the mode is another. A pilot that does not answer is not replaced.

    Args:
        duration_s: how long; 0: never.
        throttle: what the pilot's throttle is replaced by, in [-1, 1].
        rate_hz: rate of the loop.
    """

    def __init__(self, duration_s: float, throttle: float, rate_hz: float) -> None:
        self.throttle = throttle
        self._loops = round(duration_s * rate_hz)
        self._left = 0
        self._mode: str | None = None

    def run(self, mode: str | None, launch: bool | None, pilot_throttle: float | None) -> float | None:
        """The throttle in the pilot's name; what the pilot said when that is no finite number."""
        if mode != "local":
            self._left = 0
        elif launch or self._mode != "local":
            self._left = self._loops
        self._mode = mode
        if self._left == 0:
            return pilot_throttle
        self._left -= 1
        answered = pilot_throttle is not None and math.isfinite(pilot_throttle)
        return self.throttle if answered else pilot_throttle
