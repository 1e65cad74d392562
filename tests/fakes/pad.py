"""A gamepad on a pipe: evdev's own reading of events, with the device's answers made up.

The kernel's side (`move`, `press`, `unplug`) writes real `input_event` structures into the pipe.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from types import SimpleNamespace

from evdev import AbsInfo, ecodes
from evdev.eventio import EventIO

STICK = (-32768, 32767, 0)
TRIGGER = (0, 255, 0)
HAT = (-1, 1, 0)

#: As the driver xpad shows an Xbox 360 pad.
XBOX_AXES = {
    "ABS_X": STICK,
    "ABS_Y": STICK,
    "ABS_RX": STICK,
    "ABS_RY": STICK,
    "ABS_Z": TRIGGER,
    "ABS_RZ": TRIGGER,
    "ABS_HAT0X": HAT,
    "ABS_HAT0Y": HAT,
}
XBOX_BUTTONS = (
    "BTN_SOUTH",
    "BTN_EAST",
    "BTN_NORTH",
    "BTN_WEST",
    "BTN_TL",
    "BTN_TR",
    "BTN_START",
    "BTN_SELECT",
)


class FakePad(EventIO):
    """In the place of an `evdev.InputDevice`.

    Args:
        name, ident: as the driver tells them; `ident` is `vendor:product` in hexadecimal.
        axes: (min, max, first value) by name.
        buttons: names of the keys it has.
        flat: play of the sticks around their middle, in raw units.
    """

    def __init__(
        self,
        name="Microsoft X-Box 360 pad",
        ident="045e:028e",
        axes=XBOX_AXES,
        buttons=XBOX_BUTTONS,
        path="/dev/input/event7",
        flat=0,
    ):
        vendor, product = (int(each, 16) for each in ident.split(":"))
        self._closing = threading.Lock()
        self.path, self.name = path, name
        self.info = SimpleNamespace(bustype=3, vendor=vendor, product=product, version=1)
        self.ranges = {ecodes.ecodes[axis]: (low, high) for axis, (low, high, _) in axes.items()}
        self.values = {ecodes.ecodes[axis]: first for axis, (_, _, first) in axes.items()}
        self.keys = [ecodes.ecodes[button] for button in buttons]
        self.down: set[int] = set()
        self.flat = flat
        self.gone = False
        self.asked = 0
        self.fd = self._kernel = -1

    # What the car calls.

    def capabilities(self, absinfo=True):
        axes = [(code, self.absinfo(code)) if absinfo else code for code in self.ranges]
        return {ecodes.EV_SYN: [0, 1], ecodes.EV_KEY: self.keys, ecodes.EV_ABS: axes}

    def absinfo(self, code):
        if self.gone:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        self.asked += 1
        low, high = self.ranges[code]
        return AbsInfo(self.values[code], low, high, 0, self.flat if high > 300 else 0, 0)

    def read(self):
        if self.gone:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return super().read()

    def active_keys(self):
        return sorted(self.down)

    def close(self):
        with self._closing:  # the reading thread may close it while the test does
            open_fds, self.fd, self._kernel = (self.fd, self._kernel), -1, -1
        for fd in open_fds:
            if fd >= 0:
                os.close(fd)

    # What a hand does.

    def move(self, **axes):
        """Moves axes to raw values, e.g. `move(ABS_X=32767)`."""
        for name, value in axes.items():
            self.values[ecodes.ecodes[name]] = value
            self.emit(ecodes.EV_ABS, ecodes.ecodes[name], value)
        self.emit(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)

    def press(self, name, value=1):
        """Presses (1), repeats (2) or lets go (0) a key."""
        code = ecodes.ecodes[name]
        self.down = self.down | {code} if value else self.down - {code}
        self.emit(ecodes.EV_KEY, code, value)
        self.emit(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)

    def tap(self, name):
        """Presses a key, or a side of a hat (`ABS_HAT0X-`), and lets it go."""
        if name[-1] in "+-":
            self.move(**{name[:-1]: 1 if name[-1] == "+" else -1})
            self.move(**{name[:-1]: 0})
        else:
            self.press(name)
            self.press(name, 0)

    def opened(self):
        """As opening its file would: a new handle, on which only what happens from now on arrives."""
        self.close()
        self.fd, self._kernel = os.pipe2(os.O_NONBLOCK)
        return self

    def emit(self, kind, code, value):
        if self._kernel < 0:
            return
        os.write(self._kernel, struct.pack("llHHi", 0, 0, kind, code, value))

    def unplug(self):
        """The kernel takes the device away: its file hangs up and answers no more."""
        self.gone = True
        if self._kernel >= 0:
            os.close(self._kernel)
            self._kernel = -1
