"""Where a gamepad's sticks and buttons are, kept from its events."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dingocar.parts.controllers._evdev import evdev
from dingocar.parts.controllers._pads import Axis, PadMapping
from dingocar.parts.controllers.hub import NEUTRAL


@dataclass
class _Reading:
    """One axis: its range, what is neutral in it, and where it is."""

    code: int
    sign: float
    low: float
    high: float
    deadzone: float
    value: float = 0.0

    def set_stick(self, raw: float) -> None:
        """The way from the middle, in [-1, 1]."""
        self.value = self.sign * self._rescaled(2.0 * self._share(raw) - 1.0) + 0.0  # never -0.0

    def set_trigger(self, raw: float) -> None:
        """The way from the rest, in [0, 1]."""
        share = self._share(raw)
        self.value = self._rescaled(share if self.sign > 0 else 1.0 - share)

    def _share(self, raw: float) -> float:
        return min(1.0, max(0.0, (raw - self.low) / (self.high - self.low))) if self.high > self.low else 0.5

    def _rescaled(self, value: float) -> float:
        beyond = max(0.0, abs(value) - self.deadzone) / (1.0 - self.deadzone)
        return math.copysign(beyond, value) if beyond else 0.0


class PadState:
    """Steering and throttle of a pad, and the actions its buttons ask for.

    Args:
        mapping: see `_pads`; the device has its axes.
        device: the open device; its `absinfo` gives the axes' ranges.
        deadzone: share of a stick's way that counts as 0; the rest of the way is stretched to the full range.

    Attributes:
        steering: in [-1, 1].
        pressed: the buttons (as in the mapping) that are down.
    """

    def __init__(self, mapping: PadMapping, device: Any, deadzone: float) -> None:
        self.mapping, self._device = mapping, device
        self._codes = evdev().ecodes
        number = self._codes.ecodes
        self._axes = {role: self._reading(axis, role, deadzone) for role, axis in mapping.axes.items()}
        self._keys = {number[name]: name for name in mapping.buttons if not name.startswith("ABS_")}
        self._sides = [
            (number[name[:-1]], 1 if name[-1] == "+" else -1, name)
            for name in mapping.buttons
            if name.startswith("ABS_")
        ]
        self._must_hold = {name for name, action in mapping.buttons.items() if action == "hold_to_drive"}
        self.pressed: set[str] = set()
        self._dropped = False
        self._read_all()
        steering = self._axes["steering"]
        if abs(steering.value) >= 1.0:
            # Until their first report some pads show 0, one end of the range. Nobody connects a pad with the
            # wheel hard over. (Throttle at its end is harmless: the source is not armed then.)
            steering.value = 0.0

    @property
    def steering(self) -> float:
        """In [-1, 1]."""
        return self._axes["steering"].value

    @property
    def throttle(self) -> float:
        """In [-1, 1], before any limit; of a stick and two triggers a brake wins, then the largest."""
        values = [
            0.0 - reading.value if role == "reverse" else reading.value
            for role, reading in self._axes.items()
            if role != "steering"
        ]
        # A stick that does not quite come back to its middle is no brake.
        return min(values) if min(values) <= -NEUTRAL else max(values, key=abs)

    @property
    def held(self) -> bool:
        """False while the mapping's dead-man button is let go."""
        return not self._must_hold or bool(self._must_hold & self.pressed)

    def apply(self, events: Iterable[Any]) -> list[str]:
        """Follows some events; returns the actions of the buttons that they press, in order."""
        codes, actions = self._codes, list[str]()
        for event in events:
            if event.type == codes.EV_SYN and event.code == codes.SYN_DROPPED:
                self._dropped = True
            elif self._dropped:
                # The kernel lost events: what follows up to the next report means nothing.
                if event.type == codes.EV_SYN and event.code == codes.SYN_REPORT:
                    self._dropped = False
                    self._read_all()
            elif event.type == codes.EV_KEY and event.code in self._keys:
                self._button(self._keys[event.code], event.value != 0, actions)
            elif event.type == codes.EV_ABS:
                self._axis(event.code, event.value, actions)
        return actions

    def ask(self) -> None:
        """Asks the device something, just to see that it answers.

        Raises:
            OSError: it does not.
        """
        self._device.absinfo(self._axes["steering"].code)

    def _reading(self, axis: Axis, role: str, deadzone: float) -> _Reading:
        code = self._codes.ecodes[axis.code]
        info = self._device.absinfo(code)
        # `flat` is what the driver knows of the stick's play around its middle, in raw units.
        play = 2.0 * info.flat / (info.max - info.min) if info.max > info.min else 0.0
        if role in ("forward", "reverse"):
            play /= 2.0
        return _Reading(code, -1.0 if axis.invert else 1.0, info.min, info.max, min(0.5, max(deadzone, play)))

    def _read_all(self) -> None:
        """Takes over the state of the device without acting on it."""
        for reading in self._axes.values():
            self._set(reading, self._device.absinfo(reading.code).value)
        down = set(self._device.active_keys())
        self.pressed = {name for code, name in self._keys.items() if code in down}
        for code, side, name in self._sides:
            if self._device.absinfo(code).value * side > 0:
                self.pressed.add(name)

    def _axis(self, code: int, raw: int, actions: list[str]) -> None:
        for reading in self._axes.values():
            if reading.code == code:
                self._set(reading, raw)
        for of_code, side, name in self._sides:
            if of_code == code:
                self._button(name, raw * side > 0, actions)

    def _set(self, reading: _Reading, raw: float) -> None:
        trigger = reading is self._axes.get("forward") or reading is self._axes.get("reverse")
        reading.set_trigger(raw) if trigger else reading.set_stick(raw)

    def _button(self, name: str, down: bool, actions: list[str]) -> None:
        if down and name not in self.pressed:
            self.pressed.add(name)
            actions.append(self.mapping.buttons[name])
        elif not down:
            self.pressed.discard(name)
