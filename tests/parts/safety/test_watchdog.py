"""The watchdog, tested by killing, stopping and stalling a car that drives through it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dingocar.errors import HardwareError
from dingocar.parts.actuators import _registers as registers
from dingocar.parts.actuators.servo_esc import ServoEsc
from dingocar.parts.safety.watchdog import Watchdog
from tests.fakes import chip as fake

ROOT = Path(__file__).resolve().parent.parent.parent.parent
AT_REST = {0: 370, 1: 375}
#: From the fault to the neutral pulse, seen at the chip.
LIMIT_NS = 200e6

#: Drives, until the word that it is given on its standard input names its end.
CAR = """
import ctypes, os, signal, sys, threading, time
from dingocar.parts.actuators.servo_esc import ServoEsc

car = ServoEsc("tests.fakes.chip:open_bus?" + sys.argv[1])
print(car._watchdog.pid, flush=True)
word = []
threading.Thread(target=lambda: word.append(sys.stdin.readline().strip()), daemon=True).start()
k = 0
while not word:
    k += 1
    car.run(0.5, 0.8 if k % 2 else 0.7)
    time.sleep(0.02)
if word[0] == "exit":
    os._exit(7)
if word[0] == "segfault":
    ctypes.string_at(0)
if word[0] == "hold":
    sum(range(10**11))
if word[0] == "fork":
    if os.fork():
        os._exit(7)
    time.sleep(30)
"""


@pytest.fixture
def chip(tmp_path):
    chip = fake.FakeChip.create(tmp_path / "chip")
    yield chip
    chip.hang(False)
    chip.nack_next(0)
    chip.close()


@pytest.fixture
def bus(chip):
    return f"tests.fakes.chip:open_bus?{chip.path}"


@pytest.fixture
def wire(chip):
    """To write behind the back of all."""
    wire = fake.open_bus(str(chip.path))
    wire.writeto(0x40, bytes([fake.MODE1, fake.AI]))
    yield wire
    wire.deinit()


def until(predicate, seconds=20.0):
    """Waits until it is true."""
    deadline_s, never = time.monotonic() + seconds, threading.Event()
    while not predicate():
        assert time.monotonic() < deadline_s, "waited in vain"
        never.wait(0.002)


def ended(pid):
    """True when the process is gone, or dead and only not yet buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Car:
    """A car's process that drives."""

    def __init__(self, chip):
        self.chip = chip
        self.process = subprocess.Popen(
            [sys.executable, "-c", CAR, str(chip.path)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.watchdog = int(self.process.stdout.readline())
        until(self.drives)

    def drives(self):
        return self.chip.pulse(0) in (461, 474)

    def stands(self):
        return self.chip.pulse(0) == 370

    def say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def end(self):
        for pid in (self.process.pid, self.watchdog):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self.process.wait(20)
        self.process.stdin.close()
        self.process.stdout.close()
        until(lambda: ended(self.watchdog))


@pytest.fixture
def car(chip):
    car = Car(chip)
    yield car
    car.end()


def nanoseconds_to_rest(chip, since_ns):
    """From then on until the throttle's pulse was neutral, and stayed so."""
    at_ns, ticks = chip.history(0)[-1]
    assert ticks == 370
    return at_ns - since_ns


@pytest.mark.parametrize("fault", ["exit", "segfault", "hold", "fork", signal.SIGKILL, signal.SIGSTOP])
def test_rest_within_200_ms(chip, car, fault):
    since_ns = time.monotonic_ns()
    if isinstance(fault, str):
        car.say(fault)
    else:
        os.kill(car.process.pid, fault)
    until(car.stands)
    assert nanoseconds_to_rest(chip, since_ns) < LIMIT_NS
    assert chip.pulse(1) == 375


@pytest.mark.parametrize("fault", ["exit", "fork"])
def test_it_ends_when_the_chip_is_at_rest(car, fault):
    """Also when a child of the car keeps the pipe open."""
    car.say(fault)
    until(lambda: ended(car.watchdog))
    assert car.stands()


def test_a_car_that_was_stopped_drives_on(car):
    os.kill(car.process.pid, signal.SIGSTOP)
    until(car.stands)
    os.kill(car.process.pid, signal.SIGCONT)
    until(car.drives)
    assert not ended(car.watchdog)


def test_it_outlives_the_signals_that_end_a_car(car):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(car.watchdog, number)
    os.killpg(car.process.pid, signal.SIGINT)
    car.process.wait(20)
    until(car.stands)
    until(lambda: ended(car.watchdog))


def test_through_nacks(chip, car):
    os.kill(car.process.pid, signal.SIGSTOP)
    chip.nack_next(40)
    os.kill(car.process.pid, signal.SIGKILL)
    until(car.stands)
    assert chip.nacks_left == 0


def test_after_a_hang_it_writes_first(chip, car):
    chip.hang(True)
    os.kill(car.process.pid, signal.SIGKILL)
    car.process.wait(20)
    assert car.drives()
    free_ns = time.monotonic_ns()
    chip.hang(False)
    until(car.stands)
    assert nanoseconds_to_rest(chip, free_ns) < LIMIT_NS


def test_when_both_were_killed_the_next_start_is_safe_first_thing(chip, bus, car):
    for pid in (car.watchdog, car.process.pid):
        os.kill(pid, signal.SIGKILL)
    car.process.wait(20)
    if not car.drives():  # it had seen the watchdog die
        fake.open_bus(str(chip.path)).writeto(0x40, registers.pulse_bytes(0, 474))
    before = len(chip.log)
    ServoEsc(bus, watchdog_s=None).shutdown()
    assert chip.log[before][1:] == (registers.ALL_LED_OFF_H, 0x10)
    after = [ticks for at_ns, ticks in chip.history(0) if at_ns >= chip.log[before][0]]
    assert after == [0, 370]


def test_a_car_whose_watchdog_is_killed_stops_with_an_error(chip, bus):
    car = ServoEsc(bus, watchdog_s=10)
    try:
        car.run(0.5, 0.8)
        os.kill(car._watchdog.pid, signal.SIGKILL)
        until(lambda: ended(car._watchdog.pid))
        with pytest.raises(HardwareError, match="watchdog process has died"):
            car.run(0.5, 0.8)
        assert (chip.pulse(0), chip.pulse(1)) == (370, 375)
    finally:
        car.shutdown()


def test_neutral_that_fails_is_handed_to_the_watchdog(chip, bus):
    car = ServoEsc(bus, watchdog_s=10)
    try:
        car.run(0.5, 0.8)
        chip.nack_next(60)
        with pytest.raises(HardwareError, match="does not answer"):
            car.run(0.6, 0.9)
        until(lambda: chip.pulse(0) == 370, seconds=5)  # not only when the ten are over
    finally:
        car.shutdown()


@pytest.fixture
def watchdog(bus, wire):
    wire.writeto(0x40, registers.pulse_bytes(0, 500))
    watchdog = Watchdog(bus, 0x40, AT_REST, limit_s=0.15)
    yield watchdog
    watchdog.close()
    until(lambda: ended(watchdog.pid))


def test_before_the_first_beat_there_is_rest(chip, watchdog):
    until(lambda: (chip.pulse(0), chip.pulse(1)) == (370, 375))


def test_while_beats_come_it_writes_nothing(chip, bus, wire):
    watchdog = Watchdog(bus, 0x40, AT_REST, limit_s=5)
    try:
        before, waited = len(chip.log), threading.Event()
        for _ in range(20):
            watchdog.beat()
            waited.wait(0.005)
        assert len(chip.log) == before
        watchdog.alarm()
        until(lambda: chip.pulse(0) == 370)
        watchdog.beat()
    finally:
        watchdog.close()


def test_as_long_as_the_silence_lasts_it_writes_again(chip, wire, watchdog):
    until(lambda: chip.pulse(0) == 370)
    wire.writeto(0x40, registers.pulse_bytes(0, 500))  # what a loop does that was stopped in the middle
    until(lambda: chip.pulse(0) == 370)


def test_a_chip_without_auto_increment(chip, wire, watchdog):
    wire.writeto(0x40, registers.pulse_bytes(0, 500))
    wire.writeto(0x40, bytes([fake.MODE1, 0x00]))
    until(lambda: (chip.pulse(0), chip.pulse(1)) == (370, 375))


def test_a_chip_that_was_without_power_stays_off(chip, watchdog):
    chip.brown_out()
    before = len(chip.log)
    until(lambda: len(chip.log) > before + 2)
    assert {entry[1:] for entry in chip.log[before + 1 :]} == {(registers.ALL_LED_OFF_H, 0x10)}
    watchdog.close()
    until(lambda: ended(watchdog.pid))


def test_one_that_hangs_is_noticed(monkeypatch, watchdog):
    monkeypatch.setattr(Watchdog, "UNANSWERED_S", 0.01)
    watchdog.beat()
    os.kill(watchdog.pid, signal.SIGSTOP)
    with pytest.raises(HardwareError, match="does not answer"):
        for _ in range(10_000):
            watchdog.beat()
    os.kill(watchdog.pid, signal.SIGCONT)


def test_a_full_pipe_does_not_stop_the_loop(monkeypatch, watchdog):
    monkeypatch.setattr(Watchdog, "UNANSWERED_S", 60)
    os.kill(watchdog.pid, signal.SIGSTOP)
    for _ in range(20_000):
        watchdog.beat()
    os.kill(watchdog.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("bus", "address", "said"),
    [
        ("tests.fakes.chip:open_bus?/no/such/chip", 0x40, "no fake chip at /no/such/chip"),
        ("tests.fakes.chip:no_such_function", 0x40, "no_such_function"),
        (None, 0x55, "Remote I/O error"),
    ],
)
def test_one_that_does_not_start_says_why(chip, bus, address, said):
    with pytest.raises(HardwareError, match=said) as caught:
        Watchdog(bus or f"tests.fakes.chip:open_bus?{chip.path}", address, AT_REST)
    assert "\n" not in str(caught.value)


def test_a_few_nacks_do_not_keep_it_from_starting(chip, bus, wire):
    chip.nack_next(4)
    Watchdog(bus, 0x40, AT_REST).close()
    assert chip.nacks_left == 0


def test_one_that_is_never_ready_is_given_up(chip, bus, monkeypatch):
    monkeypatch.setattr(Watchdog, "READY_TIMEOUT_S", 0.3)
    chip.hang(True)
    with pytest.raises(HardwareError, match="not ready"):
        Watchdog(bus, 0x40, AT_REST)


def test_no_other_child_holds_its_pipe(watchdog):
    assert not os.get_inheritable(watchdog._beats)
    assert not os.get_inheritable(watchdog._answers)


def test_it_is_found_from_another_folder_and_takes_nothing_from_there(tmp_path, monkeypatch, bus, wire):
    (tmp_path / "struct.py").write_text("raise ImportError('the wrong struct')")
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path)
    watchdog = Watchdog(bus, 0x40, AT_REST)
    watchdog.close()
    assert ended(watchdog.pid)


def test_it_is_small():
    """It must start in a moment, and fit into a small computer beside the car."""
    code = (
        "import sys, dingocar.parts.safety.watchdog as w, tests.fakes.chip\n"
        "heavy = {'numpy', 'PIL', 'asyncio', 'adafruit_pca9685', 'busio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
