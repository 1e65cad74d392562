"""`dingocar calibrate`: its keys with a fake clock, and the whole program in a pseudo-terminal."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from dingocar.cli._calibration import HOLD_S, TAP_S, ServoEscCalibration, TrimCalibration
from dingocar.cli._terminal import half_blocks, split_keys
from dingocar.cli.main import main
from tests.fakes.chip import FakeChip
from tests.fakes.clock import FakeClock

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULTS = {
    "STEERING_LEFT": 460,
    "STEERING_MID": 375,
    "STEERING_RIGHT": 290,
    "THROTTLE_FORWARD": 500,
    "THROTTLE_STOPPED": 370,
    "THROTTLE_REVERSE": 220,
}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def servo(clock):
    return ServoEscCalibration(DEFAULTS, 60.0, True, clock)


def press(calibration, keys):
    for key in keys if isinstance(keys, list) else list(keys):
        calibration.key(key)


# the keys


def test_steering_is_sent_as_it_is_stepped(servo):
    assert servo.steering == 375
    press(servo, "++]-")
    assert (servo.steering, servo.changed) == (386, {"STEERING_MID": 386})
    press(servo, "l")
    assert servo.steering == 460
    press(servo, ["left", "right", "up", "down", "pgup", "pgdn", "["])
    assert servo.changed == {"STEERING_MID": 386, "STEERING_LEFT": 450}
    press(servo, "s")
    assert servo.steering == 386  # straight ahead while the motor is set


def test_the_throttle_waits_for_a_y(servo):
    press(servo, "f")
    assert "wheels off the ground" in servo.message
    press(servo, "n ")
    assert servo.chosen.key == "m" and servo.throttle == 370
    press(servo, "f")
    press(servo, " ")  # is no y either
    press(servo, "+ ")
    assert servo.throttle == 370
    press(servo, "fy")
    assert servo.throttle == 370  # y itself drives nothing
    press(servo, " ")
    assert servo.throttle == 500


def test_the_throttle_must_be_held(servo, clock):
    press(servo, "fy ")
    clock.wait_s(HOLD_S * 0.9)
    press(servo, "+")
    clock.wait_s(HOLD_S * 0.9)
    assert servo.throttle == 501
    clock.wait_s(HOLD_S * 0.2)
    assert servo.throttle == 370 and servo.driving_s is None
    press(servo, " ")
    assert servo.throttle == 501
    press(servo, "m")
    assert servo.throttle == 370
    press(servo, "f")
    assert servo.throttle == 370  # chosen again, not held again


def test_a_key_without_meaning_holds_nothing(servo, clock):
    press(servo, "fy ")
    clock.wait_s(HOLD_S * 0.9)
    press(servo, "z")
    clock.wait_s(HOLD_S * 0.2)
    assert servo.throttle == 370
    assert "nothing is on the key 'z'" in servo.message


def test_reverse_is_tapped_twice(servo, clock):
    press(servo, "by ")
    assert servo.throttle == 220
    clock.wait_s(TAP_S * 1.5)
    assert servo.throttle == 370
    clock.wait_s(TAP_S)
    assert servo.throttle == 220


def test_reverse_of_an_esc_that_reverses_at_once(clock):
    direct = ServoEscCalibration(DEFAULTS, 60.0, False, clock)
    press(direct, "by ")
    clock.wait_s(TAP_S * 1.5)
    assert direct.throttle == 220


def test_a_new_stopped_pulse_is_fallen_back_to_once_something_else_is_chosen(servo, clock):
    press(servo, "sy]")
    assert servo.throttle == 380
    clock.wait_s(HOLD_S * 1.1)
    assert servo.throttle == 370  # it may have been one that drives
    press(servo, "f")
    assert servo.throttle == 380
    press(servo, " ")
    clock.wait_s(HOLD_S * 1.1)
    assert servo.throttle == 380


def test_pulses_stay_within_what_servos_take(servo):
    press(servo, "l" + "]" * 40)
    assert servo.values["STEERING_LEFT"] == 614  # 2.5 ms
    assert "stays within 123 to 614" in servo.message
    press(servo, "r" + "[" * 40)
    assert servo.values["STEERING_RIGHT"] == 123


def test_a_value_beyond_that_may_only_come_back(clock):
    servo = ServoEscCalibration({**DEFAULTS, "STEERING_LEFT": 700}, 60.0, True, clock)
    press(servo, "l+")
    assert servo.values["STEERING_LEFT"] == 700
    press(servo, "-")
    assert servo.values["STEERING_LEFT"] == 699


def test_a_middle_that_is_none_is_not_written(servo):
    press(servo, "m" + "]" * 9 + "w")
    assert servo.done is None
    assert "STEERING_MID must lie between" in servo.message
    press(servo, "[w")
    assert servo.done == "write"


@pytest.mark.parametrize(
    "keys, done", [("q", "leave"), (["esc"], "leave"), (["enter"], "write"), ("fq", "leave")]
)
def test_ways_to_end(servo, keys, done):
    press(servo, keys)
    assert servo.done == done


def test_trim(clock):
    trim = TrimCalibration(0.1, clock)
    assert "wheels off the ground" in trim.message
    press(trim, " + ")
    assert (trim.throttle, trim.steering) == (0.0, 0.1)
    press(trim, "y+")
    assert (trim.throttle, trim.steering) == (0.4, pytest.approx(0.11))
    clock.wait_s(HOLD_S * 1.1)
    assert trim.throttle == 0.0
    press(trim, "]" * 9)
    assert trim.changed == {"MOTOR_TRIM": 0.5}


# the terminal


def test_keys_of_a_terminal():
    assert split_keys("q\x1b[A\x1bOB\x1b[6~\r\x1b[1;5C+") == ["q", "up", "down", "pgdn", "enter", "+"]


def test_a_picture_as_text():
    import numpy as np

    image = np.zeros((4, 2, 3), np.uint8)
    image[0], image[1] = (255, 0, 0), (0, 0, 255)
    text = half_blocks(image, 2, 2)
    assert text.split("\r\n") == [
        "\x1b[38;2;255;0;0;48;2;0;0;255m▀▀\x1b[0m",
        "\x1b[38;2;0;0;0;48;2;0;0;0m▀▀\x1b[0m",
        "",
    ]
    assert half_blocks(np.zeros((120, 160, 3), np.uint8), 200, 100).count("▀") == 64 * 24
    assert half_blocks(image, 0, 5) == half_blocks(image, 5, 0) == ""


# the program


@pytest.fixture
def chip(tmp_path):
    return FakeChip.create(tmp_path / "chip")


MYCONFIG = """# my car
ACTUATOR = 'servo_esc'
CAMERA = 'mock'
I2C_BUS = {bus!r}
# STEERING_MID = 375  # straight
THROTTLE_FORWARD = 480  # fast enough
"""


@pytest.fixture
def car(tmp_path, capsys, chip):
    folder = tmp_path / "mycar"
    assert main(["createcar", "--path", str(folder)]) == 0
    capsys.readouterr()
    bus = f"tests.fakes.chip:open_bus?{tmp_path / 'chip'}"
    (folder / "myconfig.py").write_text(MYCONFIG.format(bus=bus))
    return folder


class Session:
    """The command in a pseudo-terminal of 100 x 50."""

    def __init__(self, car, *argv):
        self.master, slave = pty.openpty()
        size = struct.pack("HHHH", 50, 100, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dingocar.cli.main", "calibrate", *argv],
            cwd=car,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.shown = ""

    def until(self, condition, what, timeout_s=20):
        """Reads what is shown until `condition()`."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"{what}; shown: {self.shown[-2000:]!r}"
            if select.select([self.master], [], [], 0.005)[0]:
                try:
                    self.shown += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    return

    def press(self, keys):
        os.write(self.master, keys.encode())

    def end(self):
        self.until(lambda: self.process.poll() is not None, "did not end")
        return self.process.wait(20)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)
        for descriptor in (self.master, self.slave):
            if descriptor is not None:
                os.close(descriptor)


@pytest.fixture
def session(car):
    opened = []

    def start(*argv, until="STEERING_MID"):
        opened.append(Session(car, *argv))
        opened[-1].until(lambda: until in opened[-1].shown, "did not start")
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_a_whole_calibration(car, chip, session):
    it = session()
    it.until(lambda: chip.pulse(1) == 375 and chip.pulse(0) == 370, "not at rest")
    it.until(lambda: "▀" in it.shown, "no picture")
    it.press("++\x1b[C")
    it.until(lambda: chip.pulse(1) == 387, "the servo did not move")
    it.press("f")
    it.until(lambda: "wheels off the ground" in it.shown, "no warning")
    assert chip.pulse(0) == 370
    it.press("y+")
    it.until(lambda: chip.pulse(0) == 481, "the motor did not turn")
    it.until(lambda: chip.pulse(0) == 370, "the motor did not stop by itself")
    it.press("w")
    assert it.end() == 0
    assert "STEERING_MID = 387" in it.shown and "THROTTLE_FORWARD = 481" in it.shown
    before = MYCONFIG.splitlines()
    after = (car / "myconfig.py").read_text().splitlines()
    assert after[4:] == ["STEERING_MID = 387  # straight", "THROTTLE_FORWARD = 481  # fast enough"]
    assert after[:3] == before[:3]
    assert (chip.pulse(0), chip.pulse(1)) == (370, 387)  # the new rest
    assert termios.tcgetattr(it.slave) == it.before
    assert it.shown.count("\x1b[?1049h") == it.shown.count("\x1b[?1049l") == 1


def test_two_motors(car, chip, session):
    with (car / "myconfig.py").open("a") as file:
        file.write(
            "ACTUATOR = 'differential'\nMOTOR_FREQUENCY_HZ = 500.0\nMOTOR_DEADBAND = 0.5\nCAMERA = 'pi'\n"
        )
    it = session(until="MOTOR_TRIM")
    it.until(lambda: "no picture" in it.shown, "a missing camera is not told")
    it.press("y ")
    # As in a drive: of the car's frequency, and with what its motors need to turn at all.
    it.until(lambda: chip.pulse(8) == chip.pulse(13) == 2866, "the motors do not turn")
    assert chip.frequency_hz == pytest.approx(500, rel=0.05)
    it.press("]]")
    it.until(lambda: chip.pulse(13) == 2703, "the right one is not slower")
    assert chip.pulse(8) == 2866
    it.press("w")
    assert it.end() == 0
    assert (car / "myconfig.py").read_text().endswith("CAMERA = 'pi'\nMOTOR_TRIM = 0.2\n")
    assert [chip.pulse(channel) for channel in range(8, 14)] == [0] * 6


def test_leaving_writes_nothing(car, chip, session):
    before = (car / "myconfig.py").read_bytes()
    it = session("--no-picture")
    it.press("]sy]")
    it.until(lambda: chip.pulse(0) == 380, "the pulse was not sent")
    it.press("q")
    assert it.end() == 0
    assert "nothing was written" in it.shown and "▀" not in it.shown
    assert (car / "myconfig.py").read_bytes() == before
    assert (chip.pulse(0), chip.pulse(1)) == (370, 375)


def running(chip, session):
    it = session("--no-picture")
    it.press("fy ")
    it.until(lambda: chip.pulse(0) == 480, "the motor did not turn")
    return it


def stops(chip, it, code):
    """Although the key is still held."""

    def stopped():
        with contextlib.suppress(OSError):
            it.press(" ")
        return chip.pulse(0) == 370

    it.until(stopped, "the motor goes on")
    assert it.end() == code


def test_ctrl_c(chip, session):
    it = running(chip, session)
    it.press("\x03")
    stops(chip, it, 130)


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_signals(car, chip, session, number, code):
    before = (car / "myconfig.py").read_bytes()
    it = running(chip, session)
    it.process.send_signal(number)
    stops(chip, it, code)
    assert (car / "myconfig.py").read_bytes() == before


def test_a_terminal_that_goes_away(chip, session):
    it = running(chip, session)
    os.close(it.slave)
    os.close(it.master)
    it.slave = None
    it.master = os.open(os.devnull, os.O_RDWR)
    assert it.process.wait(20) in (1, 129)
    assert chip.pulse(0) == 370


def test_a_program_that_is_stopped(chip, session):
    """Ctrl-Z, or a debugger: the watchdog stops the motor."""
    it = running(chip, session)
    it.process.send_signal(signal.SIGSTOP)
    it.until(lambda: chip.pulse(0) == 370, "the motor goes on")
    it.process.send_signal(signal.SIGCONT)
    it.press("q")
    assert it.end() == 0


def test_a_terminal_that_takes_nothing_does_not_hold_the_motor(chip, session):
    """Nobody reads what is shown: the throttle falls back all the same, and keys work."""
    it = session()
    it.press("fy ")
    it.until(lambda: chip.pulse(0) == 480, "the motor did not turn")
    deadline_s = time.monotonic() + 20
    while chip.pulse(0) != 370:
        assert time.monotonic() < deadline_s
        select.select([], [], [], 0.01)
    it.press("q")
    assert it.end() == 0
    it.until(lambda: "\x1b[?1049l" in it.shown, "the other screen was not left")


def test_a_chip_that_fails_is_one_line(chip, session):
    it = session("--no-picture")
    chip.nack_next(1000)
    it.until(lambda: it.process.poll() is not None, "goes on")
    assert it.process.wait(20) == 2
    assert "dingocar: PCA9685 at 0x40" in it.shown and "Traceback" not in it.shown


@pytest.mark.parametrize(
    "text, told",
    [
        ("A = (\n", "myconfig.py:1: not Python"),
        ("ACTUATOR = 'sim'\n", "nothing to calibrate; set ACTUATOR = 'servo_esc'"),
        ("ACTUATOR = 'servo_esc'\n", "needs a terminal"),
    ],
)
def test_what_is_refused_before_anything_moves(car, chip, text, told):
    (car / "myconfig.py").write_text(text)
    command = [sys.executable, "-m", "dingocar.cli.main", "calibrate"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=car, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1
    assert chip.log == [] and (car / "myconfig.py").read_text() == text
