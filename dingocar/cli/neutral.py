"""Put the motors to neutral now, whatever left them running (in a car folder)

Usage:
    dingocar neutral [--set NAME=VALUE]...

Writes the chip by itself, whether a drive runs or was killed. Exit code 0: the chip has confirmed it.

Options:
    --set NAME=VALUE   another setting of config.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingocar.cli._common import assignments, note, parse, this_car
from dingocar.errors import HardwareError, UsageError

if TYPE_CHECKING:
    from dingocar.config import CarConfig

#: A chip that does not answer is tried again for so long.
TRY_FOR_S, PAUSE_S = 2.0, 0.01


def run(argv: list[str]) -> int:
    from dingocar.config import CarConfig

    args = parse(__doc__, argv, "dingocar neutral")
    folder = this_car("neutral")
    cfg = CarConfig.load(folder, assignments(args["--set"]))
    if cfg.ACTUATOR not in ("servo_esc", "differential"):
        print(f"no motors to put to neutral: ACTUATOR = {cfg.ACTUATOR!r}")
        return 0
    try:
        pulses = write_neutral(cfg)
    except HardwareError as error:
        note(f"dingocar: NOT neutral, take the battery out: {error}")
        return 1
    print("neutral: " + ", ".join(f"channel {channel} at {ticks}" for channel, ticks in pulses))
    return 0


def rest_pulses(cfg: CarConfig) -> list[tuple[int, int]]:
    """(channel, ticks) at rest, what drives first.

    Raises:
        UsageError: LEFT_MOTOR or RIGHT_MOTOR is not of three channels.
    """
    if cfg.ACTUATOR == "servo_esc":
        return [
            (cfg.THROTTLE_CHANNEL, cfg.THROTTLE_STOPPED),
            (cfg.STEERING_CHANNEL, cfg.STEERING_MID),
        ]
    motors = []
    for name, text in (("LEFT_MOTOR", cfg.LEFT_MOTOR), ("RIGHT_MOTOR", cfg.RIGHT_MOTOR)):
        words = text.split(",")
        if len(words) != 3 or not all(word.strip().isdecimal() and int(word) < 16 for word in words):
            raise UsageError(f"{name} must be three channels 'pwm,in1,in2' like '8,9,10', got {text!r}")
        motors.append([int(word) for word in words])
    return [(channel, 0) for channels in zip(*motors, strict=True) for channel in channels]


def write_neutral(cfg: CarConfig) -> list[tuple[int, int]]:
    """Brings the car's chip to rest and sees that it is; returns what was written.

    Raises:
        HardwareError: the bus is missing, the chip does not answer, or somebody else keeps writing to it.
    """
    import time

    from dingocar.parts.actuators import _registers as registers
    from dingocar.parts.actuators._i2c import open_bus

    pulses, address = rest_pulses(cfg), cfg.PCA9685_I2C_ADDR
    bus = open_bus(cfg.I2C_BUS)
    reason = "another program keeps writing to it: end that first"
    deadline_s = time.monotonic() + TRY_FOR_S
    while True:
        try:
            registers.rest(bus, address, pulses)
            if registers.is_at_rest(bus, address, pulses):
                return pulses
        except OSError as error:
            reason = f"{error}: check its supply, SDA, SCL and GND"
        if time.monotonic() > deadline_s:
            raise HardwareError(f"the PCA9685 at {address:#x} on {bus.name}: {reason}")
        time.sleep(PAUSE_S)
