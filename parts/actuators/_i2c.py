"""The I2C bus that the motors' chip is on."""

from __future__ import annotations

import hashlib
import importlib
import logging
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from dingocar.errors import HardwareError, MissingExtraError, UsageError

logger = logging.getLogger(__name__)


class Bus:
    """A bus with the interface of `busio.I2C` whose lock cannot stop the car.

    Adafruit's `I2CDevice` waits for ever for a bus that is held (`while not try_lock()`). The lock is a
    courtesy between threads (the kernel keeps transfers apart), so here one that is held for longer than any
    transfer takes is taken over: its holder hangs, or was interrupted by a signal before it gave it back.

    Args:
        name: of the bus, for messages.
        transfers: what has `writeto`, `readfrom_into` and `writeto_then_readfrom` as `busio.I2C` has.
    """

    #: A transfer of five bytes at 100 kHz takes half a millisecond.
    LOCK_TIMEOUT_S = 0.02

    def __init__(self, name: str, transfers: Any) -> None:
        self.name, self._transfers = name, transfers
        self.writeto: Callable[..., None] = transfers.writeto
        self.readfrom_into: Callable[..., None] = transfers.readfrom_into
        self.writeto_then_readfrom: Callable[..., None] = transfers.writeto_then_readfrom
        self._try_lock: Callable[[], bool] = getattr(transfers, "try_lock", lambda: True)
        self._unlock: Callable[[], None] = getattr(transfers, "unlock", lambda: None)

    def try_lock(self) -> bool:
        """Returns True: the bus may be used."""
        deadline_s = time.monotonic() + self.LOCK_TIMEOUT_S
        while not self._try_lock():
            if time.monotonic() > deadline_s:
                logger.warning("%s: its lock was held for more than %s s", self.name, self.LOCK_TIMEOUT_S)
                break
            time.sleep(0.0002)
        return True

    def unlock(self) -> None:
        """Gives the bus back."""
        self._unlock()

    def scan(self) -> list[int]:
        """The addresses that answer."""
        return list(self._transfers.scan())

    def close(self) -> None:
        """Frees the device."""
        close = getattr(self._transfers, "deinit", None)
        if close is None:  # Blinka's Linux bus is closed by what it wraps
            close = getattr(getattr(self._transfers, "_i2c_bus", None), "close", None)
        if close is not None:
            close()


def open_bus(bus: int | str) -> Bus:
    """Opens an I2C bus.

    Args:
        bus: n for `/dev/i2c-n` (1 is the one on a Raspberry Pi's pins 3 and 5); or `package.module:function`
            or `package.module:function?argument`: a function of yours that returns a `busio.I2C` or the like.

    Raises:
        HardwareError: there is no such bus, or this user may not use it; the message names the fix.
        MissingExtraError: Blinka is not installed.
        UsageError: `bus` is neither of the two, or its function cannot be found.
    """
    if isinstance(bus, int):
        return Bus(f"I2C bus {bus}", _linux_bus(bus))
    return Bus(f"I2C bus {bus}", _own_bus(bus))


def claim(bus: int | str, address: int) -> socket.socket | None:
    """Makes this process the only one that drives a chip, until it ends or closes what it gets.

    Two drives would each undo the other's stop. The watchdog and `dingocar neutral`, which only ever bring
    the chip to rest, claim nothing.

    Returns:
        A socket with a name of Linux's abstract namespace: the system frees it with the process, however that
        ends, and no file is left. None on other systems.

    Raises:
        HardwareError: another process drives the chip.
    """
    if sys.platform != "linux":
        return None
    # A bus of the owner's may have a name longer than the 108 bytes of a socket's.
    digest = hashlib.sha256(f"{bus} {address}".encode()).hexdigest()[:32]
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0dingocar-chip-{digest}")
    except OSError as error:
        held.close()
        raise HardwareError(
            f"another program drives the chip at {address:#x} on I2C bus {bus}: end it first (a drive in "
            "another terminal, dingocar calibrate, systemctl --user stop 'dingocar@*')"
        ) from error
    return held


def _linux_bus(number: int) -> Any:
    try:
        from adafruit_blinka.microcontroller.generic_linux.i2c import I2C
    except ImportError as error:
        raise MissingExtraError("adafruit-blinka", "pi", "the I2C bus") from error
    try:
        return I2C(number)
    except PermissionError as error:
        raise HardwareError(
            f"I2C bus {number}: no permission for /dev/i2c-{number}: "
            "run sudo usermod -aG i2c $USER and log in again"
        ) from error
    except (OSError, RuntimeError) as error:  # Blinka turns FileNotFoundError into RuntimeError
        raise HardwareError(
            f"I2C bus {number}: there is no /dev/i2c-{number}: switch it on with "
            "sudo raspi-config nonint do_i2c 0 and restart, or set I2C_BUS to one that ls /dev/i2c-* shows"
        ) from error


def _own_bus(place: str) -> Any:
    path, _, argument = place.partition("?")
    module, colon, function = path.partition(":")
    if not (module and colon and function):
        raise UsageError(f"I2C_BUS must be a number or 'package.module:function', got {place!r}")
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"I2C_BUS = {place!r}: {error}") from error
    try:
        return make(argument) if argument else make()
    except (OSError, RuntimeError, ValueError) as error:  # what Blinka's boards raise
        raise HardwareError(f"I2C_BUS = {place!r}: {error}") from error
