"""The one clock of a vehicle: monotonic seconds, and waiting. Tests put a fake in its place."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the vehicle needs of time."""

    def now_s(self) -> float:
        """Monotonic seconds; only differences mean anything."""
        ...

    def wait_s(self, seconds: float) -> None:
        """Returns after `seconds`, or at once when they are not positive."""
        ...


class MonotonicClock:
    """Real time. Setting the computer's clock does not disturb it."""

    def now_s(self) -> float:
        return time.monotonic()

    def wait_s(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
