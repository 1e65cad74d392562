"""A PCA9685 at the level of its registers, behind the interface of `busio.I2C`.

Its state lies in a file that is mapped into memory, so that the car, its watchdog and the test see one chip,
and the chip outlives all of them. What it does follows NXP's data sheet: MODE1 (RESTART, SLEEP,
auto-increment), LEDn with full on and full off, ALL_LED, PRE_SCALE, the power-up values, reserved addresses
that are not acknowledged, and the software reset by general call.
"""

import errno
import fcntl
import mmap
import os
import struct
import threading
import time
from pathlib import Path

MODE1, MODE2, LED0, ALL_LED, PRE_SCALE, TEST_MODE = 0x00, 0x01, 0x06, 0xFA, 0xFE, 0xFF
RESTART, EXTCLK, AI, SLEEP = 0x80, 0x40, 0x20, 0x10
FULL = 0x10  # bit 4 of LEDn_ON_H and LEDn_OFF_H
POWER_UP = -1  # stands in the place of a register in the file's log

_MAGIC = b"PCA9685\0"
#: magic, address, hang, NACKs still to give, register the next read starts at, entries logged
_HEADER = struct.Struct("<8sIIIIQ")
_HANG_AT, _NACK_AT, _POINTER_AT, _COUNT_AT = 12, 16, 20, 24
_REGISTERS_AT = 64
_LOG_AT = 512
_ENTRY = struct.Struct("<qii")  # monotonic_ns, register, value
_CAPACITY = 1 << 18


def power_up_registers():
    """All 256 registers as they are after power-up."""
    registers = bytearray(256)
    registers[MODE1], registers[MODE2] = SLEEP | 0x01, 0x04
    registers[2:6] = bytes([0xE2, 0xE4, 0xE8, 0xE0])
    for channel in range(16):
        registers[LED0 + 4 * channel + 3] = FULL
    registers[PRE_SCALE] = 0x1E
    return registers


def write_register(registers, register, value):
    """What one byte written to `register` does to all of them. OSError: it is not acknowledged."""
    if register == MODE1:
        old = registers[MODE1]
        new = value & ~(RESTART | EXTCLK) | (old & (RESTART | EXTCLK))
        if value & EXTCLK and old & SLEEP:
            new |= EXTCLK  # sticky
        if value & SLEEP and not old & SLEEP and any(_active(registers, n) for n in range(16)):
            new |= RESTART  # put to sleep with channels running
        if value & RESTART and not new & SLEEP:
            new &= ~RESTART  # they go on
        registers[MODE1] = new & 0xFF
    elif register == MODE2:
        registers[MODE2] = value & 0x1F
    elif register < LED0:
        registers[register] = value & 0xFE
    elif register < LED0 + 64:
        registers[register] = value if register % 2 == 0 else value & 0x1F
        _write_ends_restart(registers)
    elif ALL_LED <= register < PRE_SCALE:
        for channel in range(16):
            byte = LED0 + 4 * channel + register - ALL_LED
            registers[byte] = value if register % 2 == 0 else value & 0x1F
        _write_ends_restart(registers)
    elif register == PRE_SCALE:
        if registers[MODE1] & SLEEP:
            registers[PRE_SCALE] = max(value, 3)
    elif register != TEST_MODE:
        raise OSError(errno.EREMOTEIO, "reserved register: not acknowledged")


def ticks_of(registers, channel):
    """What a channel puts out: 0 (off) to 4096 (always on) ticks of 4096; nothing while the chip sleeps."""
    on_l, on_h, off_l, off_h = registers[LED0 + 4 * channel : LED0 + 4 * channel + 4]
    if registers[MODE1] & (SLEEP | RESTART) or off_h & FULL:
        return 0
    if on_h & FULL:
        return 4096
    return ((off_h << 8 | off_l) - (on_h << 8 | on_l)) % 4096


def _active(registers, channel):
    return not registers[LED0 + 4 * channel + 3] & FULL


def _write_ends_restart(registers):
    if not registers[MODE1] & SLEEP:
        registers[MODE1] &= ~RESTART & 0xFF


def _next(register):
    """Where auto-increment goes: 69 and 254 are followed by 0."""
    return 0 if register in (LED0 + 63, PRE_SCALE) else (register + 1) & 0xFF


class _File:
    """The mapped file, shared by the chip's test side and all buses that lead to it."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.map = mmap.mmap(self.file, 0)
        if self.map[:8] != _MAGIC:
            raise ValueError(f"{path} is no fake chip")
        # A signal may interrupt a thread that holds it: the same thread must get on.
        self._thread = threading.RLock()

    def get(self, at):
        return struct.unpack_from("<I", self.map, at)[0]

    def put(self, at, value):
        struct.pack_into("<I", self.map, at, value)

    @property
    def registers(self):
        return bytes(self.map[_REGISTERS_AT : _REGISTERS_AT + 256])

    @registers.setter
    def registers(self, values):
        self.map[_REGISTERS_AT : _REGISTERS_AT + 256] = bytes(values)

    def note(self, register, value):
        count = struct.unpack_from("<Q", self.map, _COUNT_AT)[0]
        entry = (time.monotonic_ns(), register, value)
        _ENTRY.pack_into(self.map, _LOG_AT + count % _CAPACITY * _ENTRY.size, *entry)
        struct.pack_into("<Q", self.map, _COUNT_AT, count + 1)

    def entries(self):
        count = struct.unpack_from("<Q", self.map, _COUNT_AT)[0]
        whole = [max(count - _CAPACITY, 0), count]
        return [_ENTRY.unpack_from(self.map, _LOG_AT + n % _CAPACITY * _ENTRY.size) for n in range(*whole)]

    def __enter__(self):
        """One transfer at a time, as on the adapter; the kernel ends a dead process' hold."""
        self._thread.acquire()
        fcntl.flock(self.file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_error):
        fcntl.flock(self.file, fcntl.LOCK_UN)
        self._thread.release()

    def close(self):
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
            self.map.close()

    def __del__(self):
        self.close()


class FakeChip:
    """The test's side of the chip."""

    def __init__(self, path):
        self.path = Path(path)
        self._file = _File(path)

    @classmethod
    def create(cls, path, address=0x40):
        """A chip that has just got its power."""
        with open(path, "wb") as file:
            file.write(_HEADER.pack(_MAGIC, address, 0, 0, 0, 0))
            file.truncate(_LOG_AT + _CAPACITY * _ENTRY.size)  # sparse
        chip = cls(path)
        chip._file.registers = power_up_registers()
        return chip

    @classmethod
    def open(cls, path):
        """A chip that is there already."""
        return cls(path)

    @property
    def registers(self):
        """All 256, as they are now; reading them disturbs nobody."""
        return self._file.registers

    @property
    def log(self):
        """(monotonic_ns, register, value) of every register write, in order."""
        return [entry for entry in self._file.entries() if entry[1] != POWER_UP]

    def pulse(self, channel):
        """What comes out of the channel now: 0 (off) to 4096 (always on) ticks of 4096."""
        return ticks_of(self.registers, channel)

    def history(self, channel):
        """[(monotonic_ns, ticks), ...]: what came out of the channel since when, each a change."""
        registers = power_up_registers()
        changes = [(0, 0)]
        for nanoseconds, register, value in self._file.entries():
            if register == POWER_UP:
                registers = power_up_registers()
            else:
                write_register(registers, register, value)
            ticks = ticks_of(registers, channel)
            if ticks == changes[-1][1]:
                continue
            if changes[-1][0] == nanoseconds:
                changes.pop()  # within one transfer
            changes.append((nanoseconds, ticks))
        return changes

    @property
    def frequency_hz(self):
        return 25e6 / 4096 / (self.registers[PRE_SCALE] + 1)

    def nack_next(self, n):
        """The next n transfers, whoever's, are not acknowledged."""
        self._file.put(_NACK_AT, n)

    @property
    def nacks_left(self):
        return self._file.get(_NACK_AT)

    def hang(self, on):
        """While on, a transfer blocks in the middle, and all others wait behind it."""
        self._file.put(_HANG_AT, int(on))

    def brown_out(self):
        """The chip's supply drops and comes back: power-up values, outputs off."""
        self._file.registers = power_up_registers()
        self._file.note(POWER_UP, 0)

    def close(self):
        self._file.close()


class FakeBus:
    """What a process sees of the bus that the chip is on, as `busio.I2C`."""

    def __init__(self, path):
        self._file = _File(path)
        self._locked = threading.Lock()
        self._address = self._file.get(8)

    def try_lock(self):
        return self._locked.acquire(blocking=False)

    def unlock(self):
        if self._locked.locked():
            self._locked.release()

    def deinit(self):
        self._file.close()

    def scan(self):
        return [self._address] if not self._file.get(_NACK_AT) else []

    def writeto(self, address, buffer, *, start=0, end=None, stop=True):
        with self._file:
            self._begin(address)
            self._write(address, bytes(buffer[start:end]))

    def readfrom_into(self, address, buffer, *, start=0, end=None, stop=True):
        with self._file:
            self._begin(address)
            self._read(buffer, start, len(buffer) if end is None else end)

    def writeto_then_readfrom(
        self,
        address,
        buffer_out,
        buffer_in,
        *,
        out_start=0,
        out_end=None,
        in_start=0,
        in_end=None,
        stop=False,
    ):
        with self._file:
            self._begin(address)
            self._write(address, bytes(buffer_out[out_start:out_end]))
            self._read(buffer_in, in_start, len(buffer_in) if in_end is None else in_end)

    def _begin(self, address):
        while self._file.get(_HANG_AT):
            time.sleep(0.0005)
        left = self._file.get(_NACK_AT)
        if left:
            self._file.put(_NACK_AT, left - 1)
        all_call = address == self._file.registers[5] >> 1 and self._file.registers[MODE1] & 1
        if left or not (address in (self._address, 0) or all_call):
            raise OSError(errno.EREMOTEIO, "Remote I/O error")

    def _write(self, address, data):
        if address == 0:
            if data == b"\x06":  # software reset
                self._file.registers = power_up_registers()
                self._file.note(POWER_UP, 0)
            return
        if not data:
            return
        registers, pointer = bytearray(self._file.registers), data[0]
        try:
            for value in data[1:]:
                write_register(registers, pointer, value)
                self._file.note(pointer, value)
                pointer = _next(pointer) if registers[MODE1] & AI else pointer
        finally:
            self._file.registers = registers  # the outputs change together, at the STOP
            self._file.put(_POINTER_AT, pointer)

    def _read(self, buffer, start, end):
        registers, pointer = self._file.registers, self._file.get(_POINTER_AT)
        for place in range(start, end):
            buffer[place] = 0 if ALL_LED <= pointer < PRE_SCALE else registers[pointer]
            pointer = _next(pointer) if registers[MODE1] & AI else pointer
        self._file.put(_POINTER_AT, pointer)


def open_bus(argument):
    """The bus of the chip in the file `argument`: give `bus="tests.fakes.chip:open_bus?/path"`."""
    if not os.path.exists(argument):
        raise FileNotFoundError(f"there is no fake chip at {argument}")
    return FakeBus(argument)
