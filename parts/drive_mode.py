"""Who drives: the user, the pilot, or the pilot's steering with the user's throttle."""

from __future__ import annotations

import math

from dingocar.errors import UsageError, did_you_mean

#: Donkeycar's modes.
MODES = ("user", "local_angle", "local")


def _finite(value: float | None) -> float:
    """The value within [-1, 1]; 0 for nothing, NaN or infinity: a car without an answer coasts."""
    if value is None or not math.isfinite(value):
        return 0.0
    return min(1.0, max(-1.0, float(value)))


class PilotCondition:
    """Tells whether the pilot is needed in a mode: inputs `user/mode`, outputs `run_pilot`."""

    def run(self, mode: str | None) -> bool:
        return mode not in (None, "user")


class DriveMode:
    """Chooses what reaches the actuators.

    Inputs `user/mode`, `user/angle`, `user/throttle`, `pilot/angle`, `pilot/throttle`; outputs `steering`,
    `throttle`, both in [-1, 1]. Missing or non-finite values become 0; when the pilot's steering is one of
    them, its throttle becomes 0 too.

    Args:
        pilot_throttle_factor: the pilot's throttle is multiplied by this.
    """

    def __init__(self, pilot_throttle_factor: float = 1.0) -> None:
        self.pilot_throttle_factor = pilot_throttle_factor

    def run(
        self,
        mode: str | None,
        user_angle: float | None,
        user_throttle: float | None,
        pilot_angle: float | None,
        pilot_throttle: float | None,
    ) -> tuple[float, float]:
        if mode is None or mode == "user":
            return _finite(user_angle), _finite(user_throttle)
        if mode not in MODES:
            raise UsageError(f"unknown drive mode {mode!r}{did_you_mean(mode, MODES)}")
        if pilot_angle is None or not math.isfinite(pilot_angle):
            return 0.0, 0.0
        if mode == "local_angle":
            return _finite(pilot_angle), _finite(user_throttle)
        return _finite(pilot_angle), _finite(_finite(pilot_throttle) * self.pilot_throttle_factor)
