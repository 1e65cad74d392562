"""Two DC motors, left and right, on a motor board with a PCA9685, steered by their difference."""

from __future__ import annotations

from dingocar.clock import Clock
from dingocar.errors import UsageError
from dingocar.parts.actuators._pwm import PwmActuator, check_channels, check_trim
from dingocar.parts.actuators._registers import ALWAYS_ON, TICKS


class Differential(PwmActuator):
    """A car with one motor on each side: inputs `steering`, `throttle`, both in [-1, 1].

    The motor on the inner side of a bend runs slower: at steering 1 the right one stands still. At throttle 0
    both do, whatever the steering: the car does not turn on the spot.

    Each motor is driven by half a TB6612 or the like, with three channels: `pwm` for the power, `in1` for
    forward, `in2` for backward. At rest all of them are off and the motors roll out. Common boards:

    - Adafruit Motor HAT or Bonnet, address 0x60: M1 `8,9,10`, M2 `13,11,12`, M3 `2,3,4`, M4 `7,5,6`;
    - Waveshare Motor Driver HAT, address 0x40: A `0,1,2`, B `5,3,4`.

    A motor that turns the wrong way round has its `in1` and `in2` exchanged.

    Args:
        bus, address: the chip; see `dingocar.parts.actuators._chip.Chip.at`.
        frequency_hz: of the power's pulses. The 60 of servos work, with a hum; 1000 or more are quieter.
        left_motor, right_motor: channels of each, `"pwm,in1,in2"`.
        trim: in [-0.5, 0.5]; for a car that does not go straight: positive gives the right motor less power,
            negative the left one.
        deadband: in [0, 0.9]: the least power at which the motors turn at all; throttle starts there.
        watchdog_s: rest when `run` was not called for so long, by a process of its own; None: there is none.
        clock: what tells time; tests pass a fake.

    Raises:
        UsageError: settings that do not fit together.
        HardwareError: the chip or the watchdog does not answer.
    """

    def __init__(
        self,
        bus: int | str = 1,
        address: int = 0x60,
        frequency_hz: float = 1000.0,
        *,
        left_motor: str = "8,9,10",
        right_motor: str = "13,11,12",
        trim: float = 0.0,
        deadband: float = 0.0,
        watchdog_s: float | None = 0.15,
        clock: Clock | None = None,
    ) -> None:
        self._left, self._right = _channels("LEFT_MOTOR", left_motor), _channels("RIGHT_MOTOR", right_motor)
        both = [("LEFT_MOTOR", self._left), ("RIGHT_MOTOR", self._right)]
        check_channels([(name, channel) for name, channels in both for channel in channels])
        check_trim("MOTOR_TRIM", trim)
        if not 0 <= deadband <= 0.9:
            raise UsageError(f"MOTOR_DEADBAND must be 0 to 0.9, got {deadband!r}")
        self._scale = (1 + min(trim, 0.0), 1 - max(trim, 0.0))
        self._deadband = deadband
        self._direction: dict[int, float] = {}
        power = [(channels[0], 0) for _, channels in both]
        switches = [(channel, 0) for _, channels in both for channel in channels[1:]]
        super().__init__(bus, address, frequency_hz, power + switches, watchdog_s, clock)

    def _drive(self, steering: float, throttle: float) -> None:
        self._turn(self._left, throttle * (1 + min(steering, 0.0)) * self._scale[0])
        self._turn(self._right, throttle * (1 - max(steering, 0.0)) * self._scale[1])

    def _turn(self, motor: tuple[int, int, int], power: float) -> None:
        """`power` in [-1, 1]. While a motor changes its direction it has none."""
        pwm, in1, in2 = motor
        ticks = round((self._deadband + abs(power) * (1 - self._deadband)) * TICKS) if power else 0
        direction = (power > 0) - (power < 0)
        if direction != self._direction.get(pwm):
            self._chip.set_pulse(pwm, 0)
            self._direction[pwm] = direction
        self._chip.set_pulse(in1, ALWAYS_ON if direction > 0 else 0)
        self._chip.set_pulse(in2, ALWAYS_ON if direction < 0 else 0)
        self._chip.set_pulse(pwm, ticks)

    def _stalled(self) -> None:
        self._direction.clear()


def _channels(name: str, text: str) -> tuple[int, int, int]:
    try:
        pwm, in1, in2 = (int(word) for word in text.split(","))
    except (ValueError, AttributeError):
        raise UsageError(f"{name} must be three channels 'pwm,in1,in2' like '8,9,10', got {text!r}") from None
    return pwm, in1, in2
