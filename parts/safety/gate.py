"""The last word before the motors: holds the throttle at 0 whenever something is amiss, and says why."""

from __future__ import annotations

import logging
import math

logger = logging.getLogger(__name__)


class SafetyGate:
    """Holds the car unless everything it depends on is there and fresh.

    Inputs `steering`, `throttle`, `user/mode`, `user/age_s`, `user/armed`, `cam/age_s`, `pilot/latency_s`;
    outputs `steering`, `throttle`, `safety/state`.

    The state is "" when the car may drive, else a sentence that says why it is held. While held, steering
    still passes and the throttle is 0. A value that is None was not written yet, and one that is no finite
    number is broken: both hold the car. Where a pilot has a say, the time it took counts to both ages: they
    were taken before it ran.

    Args:
        rate_hz: rate of the loop.
        command_max_age_s: hold when the driving controller has been silent for longer.
        camera_max_age_s: hold when the last new picture is older, in every mode; inf: never.
        pilot_max_latency_s: hold, in the modes in which a pilot has a say, when it needed longer.
        throttle_limit: largest |throttle|, forwards and backwards.
        ramp_per_s: how fast |throttle| may grow. It falls at once; a reversal grows from 0.
        without_user: `drive` lets a pilot in mode `local` drive with no controller there, `stop` does not.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        rate_hz: float,
        command_max_age_s: float = 0.12,
        camera_max_age_s: float = 0.12,
        pilot_max_latency_s: float = 0.1,
        throttle_limit: float = 1.0,
        ramp_per_s: float = 4.0,
        without_user: str = "stop",
    ) -> None:
        # `not a > 0` also refuses NaN.
        if not (rate_hz > 0 and 0 <= throttle_limit <= 1 and ramp_per_s > 0):
            raise ValueError(
                "rate_hz and ramp_per_s must be above 0, throttle_limit within 0 to 1; "
                f"got {rate_hz}, {ramp_per_s}, {throttle_limit}"
            )
        if without_user not in ("stop", "drive"):
            raise ValueError(f"without_user must be stop or drive, got {without_user!r}")
        self.command_max_age_s, self.camera_max_age_s = command_max_age_s, camera_max_age_s
        self.pilot_max_latency_s, self.throttle_limit = pilot_max_latency_s, throttle_limit
        self.without_user, self._step = without_user, ramp_per_s / rate_hz
        self._throttle, self._held = 0.0, False

    def run(
        self,
        steering: float | None,
        throttle: float | None,
        mode: str | None,
        user_age_s: float | None,
        user_armed: bool | None,
        camera_age_s: float | None,
        pilot_latency_s: float | None,
    ) -> tuple[float, float, str]:
        """What may reach the motors.

        Returns:
            steering in [-1, 1], throttle in [-limit, limit], and the state.
        """
        pilot = self._pilot(mode, pilot_latency_s)
        # Both ages are of the moment before the pilot ran.
        since_s = 0.0 if mode == "user" or pilot else float(pilot_latency_s or 0.0)
        state = (
            self._controller(mode, user_age_s, user_armed, since_s)
            or self._camera(camera_age_s, since_s)
            or pilot
            or ("" if _is_number(steering) else "no steering command")
            or ("" if _is_number(throttle) else "no throttle command")
        )
        if bool(state) != self._held:
            self._held = bool(state)
            logger.info("the car is held: %s", state) if state else logger.info("the car may drive")
        self._throttle = 0.0 if state else self._ramped(throttle or 0.0)
        return _clip(steering, 1.0), self._throttle, state

    def _controller(self, mode: str | None, age_s: float | None, armed: bool | None, since_s: float) -> str:
        if mode is None:
            return "no drive mode yet"
        if mode == "local" and self.without_user == "drive":
            return ""
        if age_s is None or not math.isfinite(age_s):
            return "no controller"
        if age_s + since_s > self.command_max_age_s:
            return f"controller silent for {age_s + since_s:.1f} s"
        return "" if armed else "release the throttle once to arm"

    def _camera(self, age_s: float | None, since_s: float) -> str:
        if math.isinf(self.camera_max_age_s):
            return ""
        if age_s is None or not math.isfinite(age_s):
            return "no camera picture yet"
        age_s += since_s
        return "" if age_s <= self.camera_max_age_s else f"camera picture is {age_s:.1f} s old"

    def _pilot(self, mode: str | None, latency_s: float | None) -> str:
        if mode == "user":
            return ""
        if latency_s is None or not math.isfinite(latency_s):
            return "no answer from a pilot"
        return "" if latency_s <= self.pilot_max_latency_s else f"the pilot needed {latency_s:.2f} s"

    def _ramped(self, wanted: float) -> float:
        wanted = _clip(wanted, self.throttle_limit)
        before = abs(self._throttle) if wanted * self._throttle > 0 else 0.0
        return math.copysign(min(abs(wanted), before + self._step), wanted)


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _clip(value: float | None, limit: float) -> float:
    return min(limit, max(-limit, float(value))) if value is not None and math.isfinite(value) else 0.0
