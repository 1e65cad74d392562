"""The chip object: first write, sharing, retries, brown-outs and a bus that hangs."""

import sys
import threading

import adafruit_register
import pytest

from dingocar.errors import HardwareError, UsageError
from dingocar.parts.actuators import _registers as registers
from dingocar.parts.actuators._chip import Chip
from dingocar.parts.actuators._i2c import claim
from tests.fakes import chip as fake

AT_REST = ((0, 370), (1, 375))


@pytest.fixture
def pwm(bus, clock):
    pwm = Chip.at(bus, clock=clock)
    yield pwm
    pwm.close()


def drive(pwm):
    pwm.set_pulse(0, 480)
    pwm.set_pulse(1, 300)


def test_the_first_transfer_switches_all_off_and_the_driver_comes_after(chip, bus, clock):
    wire = fake.open_bus(str(chip.path))
    wire.writeto(0x40, bytes([fake.MODE1, fake.AI]))
    wire.writeto(0x40, registers.pulse_bytes(0, 500))  # what a killed process has left
    before = len(chip.log)
    pwm = Chip.at(bus, clock=clock)
    assert chip.log[before][1:] == (registers.ALL_LED_OFF_H, 0x10)
    assert [ticks for _, ticks in chip.history(0)] == [0, 500, 0]
    assert chip.registers[fake.MODE1] == fake.AI
    assert chip.frequency_hz == pytest.approx(60, rel=0.01)
    pwm.close()


@pytest.mark.parametrize("ticks", [0, 1, 15, 16, 255, 256, 370, 4095, 4096])
def test_pulses_are_exact(chip, pwm, ticks):
    for channel in (0, 7, 15):
        pwm.set_pulse(channel, ticks)
        assert chip.pulse(channel) == ticks


def test_only_changes_are_written_until_the_refresh(chip, pwm, clock):
    drive(pwm)
    before = len(chip.log)
    drive(pwm)
    assert len(chip.log) == before
    clock.time_s += Chip.REFRESH_S + 0.01
    drive(pwm)
    assert [entry[1] for entry in chip.log[before:]] == [6, 7, 8, 9, 10, 11, 12, 13]


def test_one_object_for_all_until_the_last_gives_it_back(chip, bus, clock, pwm):
    again = Chip.at(bus, clock=clock)
    assert again is pwm
    with pytest.raises(UsageError, match="one frequency"):
        Chip.at(bus, frequency_hz=1000, clock=clock)
    again.close()
    pwm.set_pulse(0, 400)
    assert chip.pulse(0) == 400


def test_a_closed_chip_is_opened_anew(chip, bus, clock):
    first = Chip.at(bus, clock=clock)
    first.close()
    second = Chip.at(bus, frequency_hz=1000, clock=clock)
    assert second is not first
    second.close()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"frequency_hz": 5}, "FREQUENCY"),
        ({"frequency_hz": float("nan")}, "FREQUENCY"),
        ({"address": 3}, "ADDR"),
    ],
)
def test_arguments_out_of_range(bus, settings, name):
    with pytest.raises(UsageError, match=name):
        Chip.at(bus, **settings)


def test_a_few_nacks_are_got_over_at_once(chip, pwm, clock):
    chip.nack_next(4)
    began_s = clock.time_s
    pwm.set_pulse(0, 480)
    assert chip.pulse(0) == 480
    assert clock.time_s - began_s < 0.02


def test_nacks_while_setting_up_are_got_over(chip, bus, clock):
    for count in (1, 2, 3):
        chip.nack_next(count)
        pwm = Chip.at(bus, clock=clock)
        pwm.set_pulse(2, 100 + count)
        assert chip.pulse(2) == 100 + count
        pwm.close()


def test_a_chip_that_does_not_answer_is_an_error_soon(chip, pwm, clock):
    chip.nack_next(1000)
    began_s = clock.time_s
    with pytest.raises(
        HardwareError, match=r"PCA9685 at 0x40 on .* does not answer .*5 tries.*VCC"
    ) as caught:
        pwm.set_pulse(0, 480)
    assert "\n" not in str(caught.value)
    assert chip.nacks_left == 995
    assert clock.time_s - began_s < 0.02


def test_a_slow_failure_is_not_repeated(chip, pwm, clock, monkeypatch):
    """The kernel's own time limit of a stuck bus is a second: five of them would be five."""
    tries = []

    def writeto(*_arguments, **_more):
        tries.append(1)
        clock.time_s += 1.0
        raise OSError(110, "Connection timed out")

    pwm.set_pulse(0, 400)
    monkeypatch.setattr(pwm._bus, "writeto", writeto)
    with pytest.raises(HardwareError, match="timed out"):
        pwm.set_pulse(0, 480)
    assert len(tries) == 1


def test_nobody_at_the_address(chip, bus, clock):
    with pytest.raises(HardwareError, match="0x55"):
        Chip.at(bus, address=0x55, clock=clock)
    Chip.at(bus, clock=clock).close()


def test_a_brown_out_is_seen_and_the_chip_set_up_again(chip, pwm, clock, caplog):
    drive(pwm)
    chip.brown_out()
    clock.time_s += Chip.REFRESH_S
    before = len(chip.log)
    drive(pwm)
    assert (chip.pulse(0), chip.pulse(1)) == (480, 300)
    assert chip.frequency_hz == pytest.approx(60, rel=0.01)
    assert chip.log[before][1:] == (registers.ALL_LED_OFF_H, 0x10)
    assert "lost its settings" in caplog.text


def test_rest_writes_even_what_seems_to_be_there(chip, pwm):
    pwm.rest(AT_REST)
    wire = fake.open_bus(str(chip.path))
    wire.writeto(0x40, registers.pulse_bytes(0, 500))  # behind its back
    before = len(chip.log)
    pwm.rest(AT_REST)
    assert (chip.pulse(0), chip.pulse(1)) == (370, 375)
    assert [entry[1] // 4 for entry in chip.log[before:]] == [1, 1, 2, 2, 2, 2, 3, 3]  # throttle first


def test_rest_does_without_auto_increment(chip, pwm):
    drive(pwm)
    fake.open_bus(str(chip.path)).writeto(0x40, bytes([fake.MODE1, 0x00]))
    pwm.rest(AT_REST)
    assert (chip.pulse(0), chip.pulse(1)) == (370, 375)


def test_rest_after_a_brown_out_leaves_all_off(chip, pwm, clock):
    drive(pwm)
    chip.brown_out()
    pwm.rest(AT_REST)
    assert (chip.pulse(0), chip.pulse(1)) == (0, 0)
    drive(pwm)  # and the next pulse sets it up again, refresh or not
    assert (chip.pulse(0), chip.pulse(1)) == (480, 300)


def test_rest_through_nacks(chip, pwm):
    drive(pwm)
    chip.nack_next(4)
    pwm.rest(AT_REST)
    assert chip.pulse(0) == 370
    drive(pwm)
    chip.nack_next(7)  # too many for the pulses: all off, as a last resort
    pwm.rest(AT_REST)
    assert chip.pulse(0) == 0


def hung(chip, pwm):
    """A thread whose transfer hangs, and what it ends with."""
    ended, error, began = threading.Event(), [], threading.Event()

    def work():
        began.set()
        try:
            pwm.set_pulse(0, 480)
        except HardwareError as hardware:
            error.append(hardware)
        ended.set()

    pwm.set_pulse(0, 400)
    chip.hang(True)
    threading.Thread(target=work).start()
    assert began.wait(10)
    held = threading.Event()
    while pwm._lock.acquire(blocking=False):
        pwm._lock.release()
        held.wait(0.001)
    return ended, error


def test_rest_gives_up_while_a_transfer_hangs_and_is_made_up_for(chip, pwm):
    ended, error = hung(chip, pwm)
    with pytest.raises(HardwareError, match="the bus hangs"):
        pwm.rest(AT_REST)
    assert not ended.is_set()
    chip.hang(False)
    assert ended.wait(10)
    assert "hung" in str(error[0])
    assert (chip.pulse(0), chip.pulse(1)) == (370, 375)


def test_a_transfer_that_hung_is_an_error(chip, pwm, clock):
    ended, error = hung(chip, pwm)
    clock.time_s += 0.3
    chip.hang(False)
    assert ended.wait(10)
    assert "a transfer hung for 0.30 s" in str(error[0])


def test_a_pulse_waits_for_another_thread(chip, pwm):
    ended, error = hung(chip, pwm)
    with pytest.raises(HardwareError, match="the bus hangs"):
        pwm.set_pulse(1, 300)
    chip.hang(False)
    assert ended.wait(10)
    assert not error
    pwm.set_pulse(1, 300)
    assert (chip.pulse(0), chip.pulse(1)) == (480, 300)


def test_other_drivers_in_other_threads_cannot_change_a_pulse(chip, pwm, monkeypatch):
    """Adafruit's drivers share one buffer; a sensor that is read while a pulse is on its way fills it."""
    drive(pwm)
    send = pwm._bus.writeto

    def writeto(address, data, **more):
        adafruit_register._BUFFER[:] = b"\xff" * len(adafruit_register._BUFFER)
        send(address, data, **more)

    monkeypatch.setattr(pwm._bus, "writeto", writeto)
    pwm.set_pulse(0, 333)
    assert chip.pulse(0) == 333


def test_a_signal_in_the_middle_does_not_lock_the_car_out(chip, pwm, monkeypatch):
    drive(pwm)

    def interrupted(*_arguments, **_more):
        pwm._lock.acquire()  # as if the signal had come before it was given back
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pwm._bus, "writeto", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pwm.set_pulse(0, 500)
    pwm.rest(AT_REST)
    assert chip.pulse(0) == 370


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's abstract sockets")
def test_two_programs_do_not_drive_one_chip(chip, bus, clock):
    other = claim(bus, 0x40)  # as another process would
    with pytest.raises(HardwareError, match="another program drives the chip at 0x40"):
        Chip.at(bus, clock=clock)
    assert chip.log == []  # nothing was done to it
    other.close()
    Chip.at(bus, clock=clock).close()
    Chip.at(bus, clock=clock).close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's abstract sockets")
def test_a_chip_that_could_not_be_opened_is_free_again(chip, bus, clock):
    chip.nack_next(100)
    with pytest.raises(HardwareError, match="does not answer"):
        Chip.at(bus, clock=clock)
    chip.nack_next(0)
    Chip.at(bus, clock=clock).close()
