"""The one place that knows Linux's input devices: finds gamepads and opens them."""

from __future__ import annotations

import contextlib
import glob
import os
from dataclasses import dataclass
from typing import Any

from dingocar.errors import HardwareError, MissingExtraError

NODES = "/dev/input/event*"
PERMISSION_FIX = "run sudo usermod -aG input $USER and log in again"


@dataclass(frozen=True)
class PadInfo:
    """A gamepad that is there.

    Attributes:
        path: its device file.
        name: as its driver calls it.
        ident: `vendor:product`, each of four hexadecimal digits.
    """

    path: str
    name: str
    ident: str


def evdev() -> Any:
    """The package evdev.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import evdev as package
    except ImportError:
        purpose = "a gamepad (on a Raspberry Pi also: sudo apt install python3-evdev)"
        raise MissingExtraError("evdev", "gamepad", purpose) from None
    return package


def open_device(path: str) -> Any:
    """Opens an input device for reading, as an `evdev.InputDevice`.

    Raises:
        OSError: it is not there, not readable, or no input device.
    """
    return evdev().InputDevice(path)


def device_paths() -> list[str]:
    """All input devices' files, readable or not, in the order in which they were plugged in."""
    return sorted(glob.glob(NODES), key=lambda path: (len(path), path))


def list_pads() -> list[PadInfo]:
    """All gamepads that can be opened; keyboards, mice and a pad's own gyroscope are left out."""
    found = []
    for path in device_paths():
        with contextlib.suppress(OSError), contextlib.closing(open_device(path)) as device:
            if is_pad(device):
                found.append(describe(device))
    return found


def is_pad(device: Any) -> bool:
    """True for a device with axes and with buttons of a gamepad or joystick."""
    codes = evdev().ecodes
    capabilities = device.capabilities(absinfo=False)
    keys = capabilities.get(codes.EV_KEY, [])
    has_button = any(codes.BTN_JOYSTICK <= key < codes.BTN_DIGI for key in keys)
    return has_button and bool(capabilities.get(codes.EV_ABS))


def describe(device: Any) -> PadInfo:
    """What an open device says of itself."""
    return PadInfo(str(device.path), device.name, f"{device.info.vendor:04x}:{device.info.product:04x}")


def all_unreadable() -> bool:
    """True when there are input devices, and this user may read none of them."""
    paths = device_paths()
    return bool(paths) and not any(os.access(path, os.R_OK) for path in paths)


def no_pad_error() -> HardwareError:
    """Why no gamepad was found, and what to do."""
    if all_unreadable():
        return HardwareError(f"no gamepad: {NODES} cannot be read; {PERMISSION_FIX}")
    return HardwareError(
        "no gamepad found: plug one in, or pair it (bluetoothctl: scan on, pair MAC, trust MAC, connect MAC)"
        f"; there are {len(device_paths())} other input devices"
    )
