"""Steering servo and electronic speed controller (ESC) on one PCA9685, as in most cars."""

from __future__ import annotations

from enum import Enum

from dingocar.clock import Clock
from dingocar.errors import UsageError, did_you_mean
from dingocar.parts.actuators._pwm import PwmActuator, check_channels, check_trim

#: What an ESC does with a reverse pulse.
REVERSE = ("double_tap", "direct", "none")


class ServoEsc(PwmActuator):
    """A car with a steering servo and an ESC: inputs `steering`, `throttle`, both in [-1, 1].

    Pulses are in ticks, 1/4096 of a period (at 60 Hz 4.07 us: 370 is 1.5 ms). Steering runs straight from
    left to mid and from mid to right; left may be the longer or the shorter pulse. At the start the ESC gets
    its stopped pulse and nothing else, which arms it.

    Args:
        bus, address, frequency_hz: the chip; see `dingocar.parts.actuators._chip.Chip.at`.
        steering_channel, throttle_channel: 0 to 15.
        steering_left, steering_mid, steering_right: pulses at steering -1, 0 and 1.
        steering_trim: added to all steering, in [-0.5, 0.5].
        throttle_forward, throttle_stopped, throttle_reverse: pulses at throttle 1, 0 and -1.
        reverse: "double_tap": the ESC brakes on the first reverse pulse after driving forward and reverses on
            the second, as most car ESCs do; "direct": it reverses at once; "none": it cannot, negative
            throttle is stopped.
        watchdog_s: rest when `run` was not called for so long, by a process of its own; None: there is none.
        clock: what tells time; tests pass a fake.

    Raises:
        UsageError: settings that do not fit together.
        HardwareError: the chip or the watchdog does not answer.
    """

    def __init__(
        self,
        bus: int | str = 1,
        address: int = 0x40,
        frequency_hz: float = 60.0,
        *,
        steering_channel: int = 1,
        throttle_channel: int = 0,
        steering_left: int = 460,
        steering_mid: int = 375,
        steering_right: int = 290,
        steering_trim: float = 0.0,
        throttle_forward: int = 500,
        throttle_stopped: int = 370,
        throttle_reverse: int = 220,
        reverse: str = "double_tap",
        watchdog_s: float | None = 0.15,
        clock: Clock | None = None,
    ) -> None:
        check_channels([("STEERING_CHANNEL", steering_channel), ("THROTTLE_CHANNEL", throttle_channel)])
        _check_between("STEERING", left=steering_left, mid=steering_mid, right=steering_right)
        _check_between(
            "THROTTLE", forward=throttle_forward, stopped=throttle_stopped, reverse=throttle_reverse
        )
        check_trim("STEERING_TRIM", steering_trim)
        if reverse not in REVERSE:
            raise UsageError(
                f"ESC_REVERSE must be one of {', '.join(REVERSE)}, got {reverse!r}"
                f"{did_you_mean(reverse, REVERSE)}"
            )
        self._steering = (steering_channel, steering_left, steering_mid, steering_right)
        self._throttle = (throttle_channel, throttle_reverse, throttle_stopped, throttle_forward)
        self._trim = steering_trim
        self._reverse: _DoubleTap | None = _DoubleTap() if reverse == "double_tap" else None
        self._lowest = 0.0 if reverse == "none" else -1.0
        at_rest = [
            (throttle_channel, throttle_stopped),
            (steering_channel, _between(steering_trim, *self._steering[1:])),
        ]
        super().__init__(bus, address, frequency_hz, at_rest, watchdog_s, clock)

    def _drive(self, steering: float, throttle: float) -> None:
        throttle = max(throttle, self._lowest)
        if self._reverse is not None:
            throttle = self._reverse.throttle(throttle, self._clock.now_s())
        channel, *pulses = self._throttle
        self._chip.set_pulse(channel, _between(throttle, *pulses))
        channel, *pulses = self._steering
        self._chip.set_pulse(channel, _between(steering + self._trim, *pulses))

    def _stalled(self) -> None:
        if self._reverse is not None:
            self._reverse.interrupted()


class _Phase(Enum):
    FORWARD = "reverse pulses brake"
    TAP = "the first reverse pulse"
    RELEASE = "stopped, so that the next one is the second"
    REVERSE = "reverse pulses reverse"


class _DoubleTap:
    """Makes an ESC reverse that brakes on the first reverse pulse: reverse, stopped, reverse.

    Timed by the clock from loop to loop; nothing waits. The sequence is that of the makers' manuals ("push
    to brake, release, push again to reverse"), which name no times: each phase lasts six pulses at 60 Hz,
    so that an ESC which wants to see a few equal pulses has seen them. While the wheels still turn forward
    the ESC itself goes on braking on the second pulse.
    """

    TAP_S = RELEASE_S = 0.1
    #: ESCs take pulses this near to stopped for stopped, and a tap must be seen.
    DEADBAND, TAP = 0.05, -0.3

    def __init__(self) -> None:
        self._phase = _Phase.FORWARD
        self._until_s = 0.0

    def throttle(self, wanted: float, now_s: float) -> float:
        """What the ESC is to get now, when `wanted` is the throttle asked for."""
        if wanted > 0:
            self._phase = _Phase.FORWARD
            return wanted
        asked = wanted <= -self.DEADBAND
        if self._phase is _Phase.FORWARD and asked:
            self._phase, self._until_s = _Phase.TAP, now_s + self.TAP_S
        elif self._phase is _Phase.TAP and now_s >= self._until_s:
            self._phase, self._until_s = _Phase.RELEASE, now_s + self.RELEASE_S
        elif self._phase is _Phase.TAP and not asked:
            self._phase = _Phase.FORWARD  # too short to count on
        elif self._phase is _Phase.RELEASE and now_s >= self._until_s:
            self._phase = _Phase.REVERSE
        if not asked or self._phase is _Phase.RELEASE:
            return 0.0
        return min(wanted, self.TAP) if self._phase is _Phase.TAP else wanted

    def interrupted(self) -> None:
        """A tap that was cut short does not count."""
        if self._phase is not _Phase.REVERSE:
            self._phase = _Phase.FORWARD


def _between(value: float, low: int, mid: int, high: int) -> int:
    """The pulse for a value in [-1, 1] (clipped), straight from `low` to `mid` and from there to `high`."""
    value = min(max(value, -1.0), 1.0)
    return round(mid + value * ((high - mid) if value > 0 else (mid - low)))


def _check_between(kind: str, **pulses: int) -> None:
    """UsageError unless all three are 12 bit numbers and the middle one lies between the outer two."""
    names = [f"{kind}_{name.upper()}" for name in pulses]
    for name, ticks in zip(names, pulses.values(), strict=True):
        if not (isinstance(ticks, int) and 0 <= ticks <= 4095):
            raise UsageError(f"{name} must be a pulse of 0 to 4095 ticks, got {ticks!r}")
    first, mid, last = pulses.values()
    if not (first < mid < last or first > mid > last):
        raise UsageError(
            f"{names[1]} must lie between {names[0]} and {names[2]}, got {names[0]} = {first}, "
            f"{names[1]} = {mid}, {names[2]} = {last}: run dingocar calibrate"
        )
