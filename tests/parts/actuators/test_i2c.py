"""Opening a bus: by number, by the owner's function, and what is said when there is none."""

import threading

import pytest
from Adafruit_PureIO import smbus

from dingocar.errors import HardwareError, MissingExtraError, UsageError
from dingocar.parts.actuators._i2c import Bus, open_bus


class Wire:
    """Stands for /dev/i2c-n."""

    opened = []  # noqa: RUF012 - of all of them
    error = None

    def __init__(self, number):
        if self.error:
            raise self.error
        self.opened.append(number)
        self.written, self.closed = [], False

    def write_bytes(self, address, data):
        self.written.append((address, bytes(data)))

    def read_i2c_block_data(self, address, command, length):
        return bytes(command) * length

    def write_quick(self, address):
        if address != 0x40:
            raise OSError(121, "Remote I/O error")

    read_byte = write_quick

    def close(self):
        self.closed = True


@pytest.fixture
def wire(monkeypatch):
    monkeypatch.setattr(smbus, "SMBus", Wire)
    monkeypatch.setattr(Wire, "error", None)
    return Wire


def test_a_number_is_a_linux_device(wire):
    bus = open_bus(3)
    assert wire.opened[-1] == 3
    assert bus.try_lock()
    bus.writeto(0x40, b"\x00\x20")
    answer = bytearray(2)
    bus.writeto_then_readfrom(0x40, b"\xfe", answer)
    bus.unlock()
    assert answer == b"\xfe\xfe"
    assert bus.scan() == [0x40]
    device = bus._transfers._i2c_bus
    assert device.written == [(0x40, b"\x00\x20")]
    bus.close()
    assert device.closed


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (
            FileNotFoundError(2, "No such file"),
            r"there is no /dev/i2c-7: switch it on with sudo raspi-config",
        ),
        (PermissionError(13, "Permission denied"), r"sudo usermod -aG i2c \$USER and log in again"),
    ],
)
def test_a_device_that_cannot_be_opened_names_the_fix(wire, monkeypatch, error, fix):
    monkeypatch.setattr(Wire, "error", error)
    with pytest.raises(HardwareError, match=fix) as caught:
        open_bus(7)
    assert "\n" not in str(caught.value)


def test_without_blinka_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "adafruit_blinka.microcontroller.generic_linux.i2c", None)
    with pytest.raises(MissingExtraError, match=r"dingocar\[pi\]"):
        open_bus(1)


@pytest.mark.parametrize(
    "place",
    ["", "tests.fakes.chip", "tests.fakes.chip:", ":open_bus", "no.such:thing", "tests.fakes.chip:no"],
)
def test_a_function_that_cannot_be_found_is_the_users_mistake(place):
    with pytest.raises(UsageError, match="I2C_BUS"):
        open_bus(place)


def test_a_function_that_finds_no_device(tmp_path):
    with pytest.raises(HardwareError, match="no fake chip at"):
        open_bus(f"tests.fakes.chip:open_bus?{tmp_path}/none")


class Kept:
    """A bus that another thread never gives back."""

    def __init__(self):
        self.lock = threading.Lock()
        self.lock.acquire()
        self.written = []

    def try_lock(self):
        return self.lock.acquire(blocking=False)

    def unlock(self):
        self.lock.release()

    def writeto(self, address, data):
        self.written.append(data)

    readfrom_into = writeto_then_readfrom = writeto


def test_a_lock_that_is_kept_is_taken_over():
    kept = Kept()
    bus = Bus("test", kept)
    assert bus.try_lock()
    bus.unlock()
    assert not kept.lock.locked()
