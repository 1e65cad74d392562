"""What the keys of `dingocar calibrate` do: settings step by step, and a throttle that must be held.

Nothing here knows a terminal or a chip: keys and the time go in, pulses come out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dingocar.clock import Clock

#: The throttle falls back this long after the last key.
HOLD_S = 1.0
#: How long a reverse pulse and the pause behind it last for an ESC that reverses on the second one.
TAP_S = 0.1

STEPS = {"+": 1, "=": 1, "up": 1, "-": -1, "down": -1, "]": 10, "pgup": 10, "right": 10}
STEPS |= {"[": -10, "pgdn": -10, "left": -10}

LEAVE = ("q", "esc")

WARNING = "Take the wheels off the ground! Then press y; any other key leaves the motor alone."


@dataclass(frozen=True)
class Choice:
    """A setting that can be chosen.

    Attributes:
        key: that chooses it.
        setting: its name.
        what: for people.
        drives: its pulse may turn the wheels, so it is sent only while a key is held.
    """

    key: str
    setting: str
    what: str
    drives: bool = False


class Calibration:
    """The state between the keys.

    Args:
        choices: what can be set; the first is chosen at the start.
        values: of each setting, as the car has it now.
        step: what a small step is worth.
        low, high: the values that steps may reach (a value that is beyond already may only come back).
        clock: what tells time.

    Attributes:
        values: as they are now.
        chosen: the setting that is being changed.
        done: None while it goes on, then `write` or `leave`.
        message: for people, of the last key.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        values: Mapping[str, float],
        step: float,
        low: float,
        high: float,
        clock: Clock,
    ) -> None:
        self.choices, self.values, self.loaded = choices, dict(values), dict(values)
        self.chosen = choices[0]
        self.done: str | None = None
        self.message = ""
        self._step, self._low, self._high, self._clock = step, low, high, clock
        self._armed = self._asking = False
        self._held_s: float | None = None
        self._began_s = 0.0

    @property
    def changed(self) -> dict[str, float]:
        """The settings that differ from the car's."""
        return {name: value for name, value in self.values.items() if value != self.loaded[name]}

    @property
    def driving_s(self) -> float | None:
        """How long the chosen setting has been driving the wheels; None: it does not."""
        if self._held_s is None or self._clock.now_s() - self._held_s > HOLD_S:
            return None
        return self._clock.now_s() - self._began_s

    def key(self, key: str) -> None:
        """A key was pressed."""
        self.message = ""
        choice = next((choice for choice in self.choices if choice.key == key), None)
        if self._asking and key not in LEAVE:
            self._asking, self._armed = False, key == "y"
            if not self._armed:
                self._choose(self.choices[0])
        elif choice is not None:
            self._choose(choice)
        elif key in STEPS:
            self._move(STEPS[key])
            self._hold()
        elif key == " ":
            self._hold()
        elif key in ("w", "enter"):
            self._end("write")
        elif key in LEAVE:
            self._end("leave")
        else:
            self.message = f"nothing is on the key {key!r}"

    def mistakes(self) -> str:
        """What is wrong with the values as a whole, or ""."""
        return ""

    def _choose(self, choice: Choice) -> None:
        self._held_s = None
        self.chosen = choice
        if choice.drives and not self._armed:
            self._asking, self.message = True, WARNING

    def _move(self, steps: int) -> None:
        if self.chosen.drives and not self._armed:
            return
        value = self.values[self.chosen.setting]
        wanted = value + steps * self._step
        moved = min(max(wanted, min(self._low, value)), max(self._high, value))
        self.values[self.chosen.setting] = round(moved, 6)
        if moved != wanted:
            self.message = f"{self.chosen.setting} stays within {self._low} to {self._high}"

    def _hold(self) -> None:
        if self.chosen.drives and self._armed:
            if self.driving_s is None:
                self._began_s = self._clock.now_s()
            self._held_s = self._clock.now_s()

    def _end(self, how: str) -> None:
        self._held_s = None
        wrong = self.mistakes() if how == "write" else ""
        if wrong:
            self.message = wrong
        else:
            self.done = how


class ServoEscCalibration(Calibration):
    """Pulses of a steering servo and an ESC.

    Args:
        values: the six settings, in ticks of 1/4096 of a period.
        frequency_hz: pulses per second.
        double_tap: the ESC reverses only on the second reverse pulse.
        clock: what tells time.
    """

    def __init__(
        self, values: Mapping[str, float], frequency_hz: float, double_tap: bool, clock: Clock
    ) -> None:
        choices = [
            Choice("m", "STEERING_MID", "straight ahead"),
            Choice("l", "STEERING_LEFT", "full left"),
            Choice("r", "STEERING_RIGHT", "full right"),
            Choice("s", "THROTTLE_STOPPED", "the motor stands", drives=True),
            Choice("f", "THROTTLE_FORWARD", "full ahead", drives=True),
            Choice("b", "THROTTLE_REVERSE", "full reverse", drives=True),
        ]
        # Servos and ESCs take pulses of 1 to 2 ms, some a little more; at 0.5 and 2.5 ms all have ended.
        low, high = math.ceil(0.0005 * frequency_hz * 4096), math.floor(0.0025 * frequency_hz * 4096)
        super().__init__(choices, values, 1, min(low, 4095), min(high, 4095), clock)
        self._double_tap = double_tap
        self._stopped = values["THROTTLE_STOPPED"]

    @property
    def steering(self) -> int:
        """The servo's pulse now: the chosen one, else straight ahead."""
        name = self.chosen.setting
        return int(self.values[name if name.startswith("STEERING") else "STEERING_MID"])

    @property
    def throttle(self) -> int:
        """The ESC's pulse now.

        A new THROTTLE_STOPPED is sent while a key is held like the others, for it may turn the wheels; it
        becomes the one to fall back to when something else is chosen.
        """
        driving_s = self.driving_s
        if driving_s is None:
            return int(self._stopped)
        if self._double_tap and self.chosen.key == "b" and TAP_S <= driving_s < 2 * TAP_S:
            return int(self._stopped)
        return int(self.values[self.chosen.setting])

    def mistakes(self) -> str:
        """Each middle must lie between its ends, in whichever direction."""
        for kind, (first, middle, last) in (
            ("STEERING", ("LEFT", "MID", "RIGHT")),
            ("THROTTLE", ("FORWARD", "STOPPED", "REVERSE")),
        ):
            a, b, c = (self.values[f"{kind}_{name}"] for name in (first, middle, last))
            if not (a < b < c or a > b > c):
                return f"not written: {kind}_{middle} must lie between {kind}_{first} and {kind}_{last}"
        return ""

    def _choose(self, choice: Choice) -> None:
        if self.chosen.key == "s":
            self._stopped = self.values["THROTTLE_STOPPED"]
        super()._choose(choice)


class TrimCalibration(Calibration):
    """MOTOR_TRIM of a car with two motors: hold a key, and it drives straight ahead, or should.

    Args:
        trim: as the car has it now, in [-0.5, 0.5].
        clock: what tells time.
    """

    #: Of the test drive: enough for any motor to turn.
    THROTTLE = 0.4

    def __init__(self, trim: float, clock: Clock) -> None:
        choice = Choice("t", "MOTOR_TRIM", "+ to the right, - to the left", drives=True)
        super().__init__([choice], {"MOTOR_TRIM": trim}, 0.01, -0.5, 0.5, clock)
        self._asking, self.message = True, WARNING

    @property
    def steering(self) -> float:
        """What a trim does is what as much steering does."""
        return self.values["MOTOR_TRIM"]

    @property
    def throttle(self) -> float:
        """In [0, 1]."""
        return 0.0 if self.driving_s is None else self.THROTTLE
