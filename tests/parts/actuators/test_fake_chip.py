"""The fake chip does what the data sheet says, through the real Adafruit driver and beside it."""

import pytest
from adafruit_pca9685 import PCA9685

from tests.fakes import chip as fake


@pytest.fixture
def wire(chip):
    bus = fake.open_bus(str(chip.path))
    yield bus
    bus.deinit()


def read(wire, register, count=1):
    values = bytearray(count)
    wire.writeto_then_readfrom(0x40, bytes([register]), values)
    return list(values)


def test_power_up(chip, wire):
    assert read(wire, fake.MODE1) == [0x11]
    assert read(wire, fake.PRE_SCALE) == [0x1E]
    assert [chip.pulse(channel) for channel in range(16)] == [0] * 16
    assert wire.scan() == [0x40]


def test_the_prescaler_is_written_asleep_only(wire):
    wire.writeto(0x40, bytes([fake.PRE_SCALE, 101]))
    assert read(wire, fake.PRE_SCALE) == [101]
    wire.writeto(0x40, bytes([fake.MODE1, 0x00]))
    wire.writeto(0x40, bytes([fake.PRE_SCALE, 50]))
    assert read(wire, fake.PRE_SCALE) == [101]


def test_without_auto_increment_all_bytes_go_to_one_register(chip, wire):
    wire.writeto(0x40, bytes([fake.MODE1, 0x00]))
    wire.writeto(0x40, bytes([fake.LED0, 1, 2, 3, 4]))
    assert list(chip.registers[fake.LED0 : fake.LED0 + 4]) == [4, 0, 0, 0x10]
    wire.writeto(0x40, bytes([fake.MODE1, fake.AI]))
    wire.writeto(0x40, bytes([fake.LED0, 0, 0, 0x72, 1]))
    assert chip.pulse(0) == 370
    assert read(wire, fake.LED0, 4) == [0, 0, 0x72, 1]


def test_full_off_wins_over_full_on(chip, wire):
    wire.writeto(0x40, bytes([fake.MODE1, fake.AI]))
    wire.writeto(0x40, bytes([fake.LED0, 0, 0x10, 0, 0]))
    assert chip.pulse(0) == 4096
    wire.writeto(0x40, bytes([fake.LED0, 0, 0x10, 0, 0x10]))
    assert chip.pulse(0) == 0


def test_all_led_writes_all_and_reads_as_zero(chip, wire):
    wire.writeto(0x40, bytes([fake.MODE1, fake.AI]))
    wire.writeto(0x40, bytes([fake.ALL_LED, 0, 0, 44, 1]))
    assert {chip.pulse(channel) for channel in range(16)} == {300}
    assert read(wire, fake.ALL_LED + 2) == [0]


def test_sleep_stops_the_outputs_and_restart_brings_them_back(chip, wire):
    wire.writeto(0x40, bytes([fake.MODE1, fake.AI]))
    wire.writeto(0x40, bytes([fake.LED0, 0, 0, 44, 1]))
    wire.writeto(0x40, bytes([fake.MODE1, fake.AI | fake.SLEEP]))
    assert chip.pulse(0) == 0
    wire.writeto(0x40, bytes([fake.MODE1, fake.AI]))
    assert read(wire, fake.MODE1) == [fake.RESTART | fake.AI]
    assert chip.pulse(0) == 0
    wire.writeto(0x40, bytes([fake.MODE1, fake.RESTART | fake.AI]))
    assert read(wire, fake.MODE1) == [fake.AI]
    assert chip.pulse(0) == 300


@pytest.mark.parametrize("data", [b"\x46\x00", b"\xf9\x01"])
def test_reserved_registers_are_not_acknowledged(wire, data):
    with pytest.raises(OSError, match="reserved"):
        wire.writeto(0x40, data)


def test_another_address_is_not_acknowledged_but_all_call_is(chip, wire):
    with pytest.raises(OSError):
        wire.writeto(0x41, b"")
    wire.writeto(0x70, bytes([fake.MODE1, 0x00]))
    with pytest.raises(OSError):  # which has switched all-call off
        wire.writeto(0x70, bytes([fake.MODE1, 0x01]))


def test_a_general_call_resets(chip, wire):
    wire.writeto(0x40, bytes([fake.MODE1, 0x00]))
    wire.writeto(0x00, b"\x06")
    assert read(wire, fake.MODE1) == [0x11]


def test_the_real_driver_runs_on_it(chip, wire):
    driver = PCA9685(wire)
    driver.frequency = 60
    driver.channels[3].duty_cycle = 370 << 4
    assert chip.pulse(3) == 370
    assert chip.frequency_hz == pytest.approx(60, rel=0.01)
    assert driver.channels[3].duty_cycle == 370 << 4


def test_the_log_and_the_history_know_what_came_when(chip, wire):
    wire.writeto(0x40, bytes([fake.MODE1, fake.AI]))
    for ticks in (300, 300, 500):
        wire.writeto(0x40, bytes([fake.LED0 + 4, 0, 0, ticks & 0xFF, ticks >> 8]))
    chip.brown_out()
    assert [entry[1:] for entry in chip.log[:5]] == [(0, 32), (10, 0), (11, 0), (12, 44), (13, 1)]
    times = [entry[0] for entry in chip.log]
    assert times == sorted(times)
    assert [ticks for _, ticks in chip.history(1)] == [0, 300, 500, 0]


def test_nacks_are_counted_down(chip, wire):
    chip.nack_next(2)
    for _ in range(2):
        with pytest.raises(OSError):
            wire.writeto(0x40, bytes([fake.MODE1, 0x00]))
    wire.writeto(0x40, bytes([fake.MODE1, 0x00]))
    assert chip.nacks_left == 0
