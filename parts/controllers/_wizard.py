"""Asks a person to move the sticks and press the buttons of a gamepad, and makes its mapping of that."""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from dingocar.errors import DingocarError, HardwareError
from dingocar.parts.controllers._evdev import describe, evdev
from dingocar.parts.controllers._pads import ACTIONS, Axis, PadMapping
from dingocar.parts.controllers._padstate import PadState

#: An axis counts as moved when it is so far from its rest, and as let go when it is nearer than that, both as
#: shares of its whole range (a stick's end is 0.5 from its rest, a trigger's 1).
MOVED, LET_GO = 0.35, 0.1

ENTER: Final = "enter"


class Wizard:
    """The questions of `dingocar joystick`.

    Args:
        device: the open pad.
        say: shows a person a line.
        keyboard: file descriptor from which lines (Enter) are read.
        patience_s: how long to wait for somebody to do something.

    Raises:
        HardwareError: the device has no axes.
    """

    def __init__(
        self, device: Any, say: Callable[[str], None], keyboard: int, patience_s: float = 120.0
    ) -> None:
        self._device, self._say, self._keyboard, self._patience_s = device, say, keyboard, patience_s
        self._codes = evdev().ecodes
        self._infos = dict(device.capabilities().get(self._codes.EV_ABS, []))
        if not self._infos:
            raise HardwareError(f"{device.path} ({device.name}) has no axes; give a gamepad's --device")
        self._at: dict[int, int] = {}
        self._rest: dict[int, int] = {}
        self._pending: list[Any] = []
        self._closed = False

    def ask(self) -> PadMapping:
        """Asks for everything.

        Raises:
            DingocarError: nobody did anything for too long.
            HardwareError: the pad is gone.
        """
        self._say("Move every stick and trigger once, let go of them, and press Enter")
        self._wait(lambda event: event is ENTER)
        self._rest = {code: self._device.absinfo(code).value for code in self._infos}
        self._at = dict(self._rest)
        axes = self._ask_axes()
        buttons = self._ask_buttons()
        pad = describe(self._device)
        match = pad.ident if self._device.info.vendor else f"^{re.escape(pad.name)}$"
        return PadMapping(pad.name, (match,), axes, buttons)

    def live(self, mapping: PadMapping, show: Callable[[str], None], deadzone: float = 0.05) -> None:
        """Shows what the mapping makes of the pad until Enter is pressed.

        Raises:
            HardwareError: the pad is gone.
        """
        state = PadState(mapping, self._device, deadzone)
        while True:
            down = ", ".join(mapping.buttons[name] for name in sorted(state.pressed)) or "-"
            show(f"steering {state.steering:+.2f}  throttle {state.throttle:+.2f}  buttons: {down}")
            event = self._next(60.0)
            if event is ENTER:
                return
            if event is not None:
                state.apply([event])

    def _ask_axes(self) -> dict[str, Axis]:
        self._say("Steer fully to the RIGHT, and hold it")
        code, up = self._axis({})
        axes, taken = {"steering": self._named(code, up)}, {code: "steering"}
        self._say("Give full throttle FORWARD (push a stick, or pull a trigger), and hold it")
        code, up = self._axis(taken)
        if not self._is_trigger(code):
            return axes | {"throttle": self._named(code, up)}
        axes["forward"], taken[code] = self._named(code, up), "forward"
        while True:
            self._say("Pull the trigger for BRAKE and REVERSE, and hold it (Enter: there is none)")
            found = self._axis(taken, or_enter=True)
            if found is None:
                return axes
            if self._is_trigger(found[0]):
                return axes | {"reverse": self._named(*found)}
            self._say("That is a stick; a trigger is needed here")

    def _ask_buttons(self) -> dict[str, str]:
        buttons: dict[str, str] = {}
        for action, wish in ACTIONS.items():
            self._say(f"Press the button for {wish} (Enter: none)")
            while (name := self._button()) in buttons:
                self._say(f"{name} is {ACTIONS[buttons[name]]} already; press another (Enter: none)")
            if name:
                buttons[name] = action
        return buttons

    def _axis(self, taken: dict[int, str], or_enter: bool = False) -> Any:
        """The axis that somebody moves, and True when its value grew; None for Enter."""

        def furthest(_: Any) -> bool:
            return max((abs(self._moved(code)) for code in self._at if code not in taken), default=0) >= MOVED

        if self._wait(lambda event: furthest(event) or (or_enter and event is ENTER)) is ENTER:
            return None
        code = max((code for code in self._at if code not in taken), key=lambda code: abs(self._moved(code)))
        up = self._moved(code) > 0
        self._say(f"{self._name(self._codes.ABS, code)}; let it go")
        self._wait(lambda _: abs(self._moved(code)) <= LET_GO)
        return code, up

    def _button(self) -> str:
        """The button, or the side of a hat, that somebody presses; "" for Enter."""

        def pressed(event: Any) -> str:
            if event is ENTER:
                return ENTER
            if event.type == self._codes.EV_KEY and event.value == 1:
                return self._name(self._codes.BTN | self._codes.KEY, event.code)
            is_hat = event.type == self._codes.EV_ABS and 0x10 <= event.code <= 0x17
            if is_hat and event.value != self._rest[event.code]:
                return self._name(self._codes.ABS, event.code) + ("+" if event.value > 0 else "-")
            return ""

        event = self._wait(lambda event: bool(pressed(event)))
        return "" if event is ENTER else pressed(event)

    def _moved(self, code: int) -> float:
        return (self._at[code] - self._rest[code]) / self._range(code)

    def _is_trigger(self, code: int) -> bool:
        share = (self._rest[code] - self._infos[code].min) / self._range(code)
        return not 0.25 < share < 0.75

    def _range(self, code: int) -> float:
        return max(1.0, float(self._infos[code].max - self._infos[code].min))

    def _named(self, code: int, up: bool) -> Axis:
        return Axis(self._name(self._codes.ABS, code), invert=not up)

    def _name(self, names: dict[int, Any], code: int) -> str:
        """A code's name; of several the last one, which is the kernel's newest (`BTN_SOUTH`)."""
        name = names[code]
        if isinstance(name, str):
            return name
        compass = [each for each in name if each in ("BTN_SOUTH", "BTN_EAST", "BTN_NORTH", "BTN_WEST")]
        return str((compass or list(name))[-1])

    def _wait(self, done: Callable[[Any], bool]) -> Any:
        """The first event (or ENTER) at which `done` is true."""
        until_s = time.monotonic() + self._patience_s
        while (left_s := until_s - time.monotonic()) > 0:
            event = self._next(left_s)
            if event is None:
                continue
            if event is not ENTER and event.type == self._codes.EV_ABS:
                self._at[event.code] = event.value
            if done(event):
                return event
        raise DingocarError(f"nothing was done for {self._patience_s:.0f} s; nothing was written")

    def _next(self, wait_s: float) -> Any:
        """The next event of the pad, or ENTER; None when nothing came in time."""
        if not self._pending and not self._closed:
            try:
                ready = select.select([self._device.fd, self._keyboard], [], [], wait_s)[0]
                if self._device.fd in ready:
                    self._pending += self._device.read()
                if self._keyboard in ready:
                    typed = os.read(self._keyboard, 4096)
                    self._closed = not typed
                    self._pending += [ENTER] * typed.count(b"\n")
            except OSError:
                raise HardwareError("the gamepad is gone; nothing was written") from None
        if self._pending:
            return self._pending.pop(0)
        return ENTER if self._closed else None


def file_name(pad_name: str) -> Path:
    """The usual name of a pad's mapping file.

    >>> file_name("Sony DualSense (TM)").name
    'sony_dualsense_tm.json'
    """
    return Path((re.sub(r"[^a-z0-9]+", "_", pad_name.lower()).strip("_") or "pad") + ".json")
