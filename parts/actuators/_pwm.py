"""What all actuators on a PCA9685 have in common: rest, a watchdog, and what happens after a stall."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import HardwareError, UsageError
from dingocar.parts.actuators import _registers as registers
from dingocar.parts.actuators._chip import Chip
from dingocar.parts.safety.watchdog import Watchdog

logger = logging.getLogger(__name__)


class PwmActuator:
    """A part with inputs `steering`, `throttle` that moves something by the pulses of one chip.

    A subclass says what its pulses at rest are and implements `_drive`.

    Args:
        bus, address, frequency_hz: see `Chip.at`.
        at_rest: (channel, ticks), in the order in which they are to be written: what drives comes first.
        watchdog_s: a process of its own brings the chip to rest when `run` has not been called for so long,
            or this process is gone; None: there is none.
        clock: what tells time; tests pass a fake.
    """

    #: In so many loops after a stall all is written anew.
    ANEW_AFTER_STALL = 3

    def __init__(
        self,
        bus: int | str,
        address: int,
        frequency_hz: float,
        at_rest: registers.Pulses,
        watchdog_s: float | None,
        clock: Clock | None,
    ) -> None:
        if watchdog_s is not None and not 0.02 <= watchdog_s <= 10:
            raise UsageError(f"ACTUATOR_MAX_AGE_S must be 0.02 to 10 seconds, got {watchdog_s!r}")
        self._clock: Clock = clock or MonotonicClock()
        self._at_rest = tuple(at_rest)
        self._limit_s = math.inf if watchdog_s is None else watchdog_s
        self._last_run_s = self._clock.now_s()
        self._anew = self.ANEW_AFTER_STALL
        self._watchdog: Watchdog | None = None
        self._closed = False
        self._chip = Chip.at(bus, address, frequency_hz, self._clock)
        try:
            self._chip.rest(self._at_rest)
            if watchdog_s is not None:
                self._watchdog = Watchdog(bus, address, dict(self._at_rest), watchdog_s)
        except BaseException:
            self._chip.close()
            raise

    def run(self, steering: float | None, throttle: float | None) -> None:
        """Sets what moves.

        After a silence longer than the watchdog's limit the first call is rest, whatever it asks for: that
        may be as old as the silence.

        Args:
            steering: [-1, 1], +1 = right.
            throttle: [-1, 1], +1 = full ahead. Values beyond are clipped; None, NaN or infinity in either one
                is rest for both.

        Raises:
            HardwareError: the chip or the watchdog does not answer, and the chip was brought to rest if it
                let itself be; or the part was shut down.
        """
        if self._closed:
            raise HardwareError(f"{type(self).__name__} was shut down: it moves nothing any more")
        now_s = self._clock.now_s()
        silent_s = now_s - self._last_run_s
        if silent_s > self._limit_s / 2:
            # The watchdog may have written meanwhile, and may be in the middle of it still.
            self._anew = self.ANEW_AFTER_STALL
            self._stalled()
        if self._anew:
            self._anew -= 1
            self._chip.forget()
        self._last_run_s = now_s
        try:
            # First: the watchdog, should it be busy, writes nothing after the pulses of this loop.
            if self._watchdog is not None:
                self._watchdog.beat()
            if silent_s <= self._limit_s and usable(steering) and usable(throttle):
                self._drive(_clip(steering), _clip(throttle))
            else:
                self._drive(0.0, 0.0)
        except HardwareError:
            self._rest_in_spite_of_all()
            raise

    def neutral(self) -> None:
        """Brings the chip to rest, whatever was written before. May be called from any thread.

        Raises:
            HardwareError: it could not; the watchdog has been told to, and goes on trying.
        """
        self._stalled()
        try:
            self._chip.rest(self._at_rest)
        except HardwareError:
            if self._watchdog is not None:
                self._watchdog.alarm()
            raise

    def shutdown(self) -> None:
        """Brings the chip to rest and gives it back; the watchdog ends after it has seen it at rest."""
        if self._closed:
            return
        self._closed = True
        try:
            self.neutral()
        finally:
            if self._watchdog is not None:
                self._watchdog.close()
            self._chip.close()

    def _drive(self, steering: float, throttle: float) -> None:
        """Sets the pulses for finite values in [-1, 1]."""
        raise NotImplementedError

    def _stalled(self) -> None:
        """What the motors have seen since the last `_drive` is not known."""

    def _rest_in_spite_of_all(self) -> None:
        try:
            self.neutral()
        except HardwareError as error:
            logger.error("could not be brought to neutral: %s", error)


def usable(value: float | None) -> bool:
    """True for a finite number."""
    return value is not None and math.isfinite(value)


def _clip(value: float | None) -> float:
    return min(max(float(value or 0.0), -1.0), 1.0)


def check_channels(channels: Iterable[tuple[str, int]]) -> None:
    """UsageError unless all are 0 to 15 and none is used twice."""
    used: dict[int, str] = {}
    for name, channel in channels:
        if not (isinstance(channel, int) and 0 <= channel <= 15):
            raise UsageError(f"{name} must be a channel of the chip, 0 to 15, got {channel!r}")
        if channel in used:
            raise UsageError(f"{name} and {used[channel]} are both channel {channel}")
        used[channel] = name


def check_trim(name: str, trim: float) -> None:
    """UsageError unless it is in [-0.5, 0.5]."""
    if not -0.5 <= trim <= 0.5:
        raise UsageError(f"{name} must be -0.5 to 0.5, got {trim!r}")
