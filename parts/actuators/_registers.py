"""The few registers of a PCA9685 that bring it to rest, without a driver.

The watchdog's process, the very first write of a start, and `neutral()` use them: they must work in whatever
state the chip was left. All transfers use buffers of their own: those of `adafruit_register` are one for all
drivers in a process, so that a sensor read in another thread would change the bytes of a pulse on their way.

Numbers from NXP's PCA9685 data sheet, rev. 4, tables 4, 5 and 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dingocar.parts.actuators._i2c import Bus

MODE1, LED0_ON_L, ALL_LED_OFF_H, PRE_SCALE = 0x00, 0x06, 0xFD, 0xFE
RESTART, AUTO_INCREMENT, SLEEP = 0x80, 0x20, 0x10
#: Bit 4 of LEDn_ON_H: always on; of LEDn_OFF_H: always off, which wins.
FULL = 0x1000
#: A channel's output in ticks: 0 is no pulse at all, ALWAYS_ON no gap.
TICKS, ALWAYS_ON = 4095, 4096

#: (channel, ticks), in the order in which they are to be written.
Pulses = Sequence[tuple[int, int]]


def pulse_bytes(channel: int, ticks: int) -> bytes:
    """One transfer that sets a channel: its four registers take effect together, at the STOP.

    Needs auto-increment.
    """
    on, off = (0, FULL) if ticks <= 0 else (FULL, 0) if ticks >= ALWAYS_ON else (0, ticks)
    return bytes([LED0_ON_L + 4 * channel, on & 0xFF, on >> 8, off & 0xFF, off >> 8])


def write(bus: Bus, address: int, data: bytes) -> None:
    """One transfer. OSError when it is not acknowledged."""
    with _held(bus):
        bus.writeto(address, data)


def read(bus: Bus, address: int, register: int, count: int = 1) -> bytes:
    """Reads registers from `register` on. OSError when it is not acknowledged."""
    values = bytearray(count)
    with _held(bus):
        bus.writeto_then_readfrom(address, bytes([register]), values)
    return bytes(values)


def all_off(bus: Bus, address: int) -> None:
    """No pulse on any channel, by a single register, whatever state the chip is in."""
    write(bus, address, bytes([ALL_LED_OFF_H, FULL >> 8]))


def rest(bus: Bus, address: int, pulses: Pulses) -> None:
    """Writes `pulses`; a chip that has lost its settings (it was without power) stays without pulses.

    Raises:
        OSError: the chip did not acknowledge; try again.
    """
    mode = read(bus, address, MODE1)[0]
    if mode & SLEEP:
        all_off(bus, address)
        return
    if not mode & AUTO_INCREMENT:
        write(bus, address, bytes([MODE1, (mode & ~RESTART) | AUTO_INCREMENT]))
    for channel, ticks in pulses:
        write(bus, address, pulse_bytes(channel, ticks))


def is_at_rest(bus: Bus, address: int, pulses: Pulses) -> bool:
    """True when the chip's registers say what `rest` wrote.

    Raises:
        OSError: the chip did not acknowledge; try again.
    """
    if read(bus, address, MODE1)[0] & SLEEP:
        return all(read(bus, address, LED0_ON_L + 4 * n + 3)[0] & FULL >> 8 for n, _ in pulses)
    return all(
        read(bus, address, data[0], 4) == data[1:]
        for data in (pulse_bytes(channel, ticks) for channel, ticks in pulses)
    )


@contextmanager
def _held(bus: Bus) -> Iterator[None]:
    bus.try_lock()
    try:
        yield
    finally:
        bus.unlock()
