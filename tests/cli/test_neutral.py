"""`dingocar neutral` on the registers of a fake chip."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dingocar.cli import neutral
from dingocar.cli.main import main
from dingocar.parts.actuators._chip import Chip
from tests.fakes.chip import FakeChip

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def chip(tmp_path):
    return FakeChip.create(tmp_path / "chip")


@pytest.fixture
def car(tmp_path, capsys):
    folder = tmp_path / "mycar"
    assert main(["createcar", "--path", str(folder)]) == 0
    bus = f"tests.fakes.chip:open_bus?{tmp_path / 'chip'}"
    (folder / "myconfig.py").write_text(f"ACTUATOR = 'servo_esc'\nI2C_BUS = {bus!r}\n")
    capsys.readouterr()
    return folder


def leave_running(car, pulses):
    """A drive that was killed: its pulses stay on the chip."""
    bus = (car / "myconfig.py").read_text().split("'")[3]
    chip = Chip.at(bus)
    for channel, ticks in pulses.items():
        chip.set_pulse(channel, ticks)
    chip.close()


def test_a_killed_drives_pulses_end(car, chip, capsys):
    leave_running(car, {0: 480, 1: 300, 7: 1000})
    assert main(["neutral"], car=car) == 0
    assert (chip.pulse(0), chip.pulse(1)) == (370, 375)
    assert chip.pulse(7) == 1000  # not ours
    assert capsys.readouterr().out == "neutral: channel 0 at 370, channel 1 at 375\n"


def test_as_a_program_of_its_own(car, chip):
    leave_running(car, {0: 480})
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dingocar.cli.main", "neutral"]
    done = subprocess.run(command, cwd=car, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert chip.pulse(0) == 370


def test_motors_of_a_differential_drive_roll_out(car, chip):
    leave_running(car, {8: 2000, 9: 4096, 13: 1000, 12: 4096})
    assert main(["neutral", "--set", "ACTUATOR=differential"], car=car) == 0
    assert [chip.pulse(channel) for channel in range(8, 14)] == [0] * 6
    # Power first.
    assert chip.history(8)[-1][0] <= chip.history(13)[-1][0] <= chip.history(9)[-1][0]


def test_a_chip_that_has_just_got_power_puts_out_nothing(car, chip):
    assert main(["neutral"], car=car) == 0
    assert [chip.pulse(channel) for channel in range(16)] == [0] * 16


def test_it_tries_again_when_the_chip_does_not_answer(car, chip):
    leave_running(car, {0: 480})
    chip.nack_next(7)
    assert main(["neutral"], car=car) == 0
    assert chip.pulse(0) == 370 and chip.nacks_left == 0


def test_it_says_when_it_could_not(car, chip, capsys, monkeypatch):
    monkeypatch.setattr(neutral, "TRY_FOR_S", 0.05)
    leave_running(car, {0: 480})
    chip.nack_next(100000)
    assert main(["neutral"], car=car) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    assert "NOT neutral, take the battery out: the PCA9685 at 0x40" in told.err


@pytest.mark.parametrize(
    "settings, code, told",
    [
        (["I2C_BUS=77"], 1, "there is no /dev/i2c-77"),
        (["ACTUATOR=sim"], 0, "no motors to put to neutral"),
        (["ACTUATOR=differential", "LEFT_MOTOR=1,2"], 2, "LEFT_MOTOR must be three channels"),
    ],
)
def test_other_cars(car, capsys, settings, code, told):
    argv = [word for setting in settings for word in ("--set", setting)]
    assert main(["neutral", *argv], car=car) == code
    captured = capsys.readouterr()
    assert told in captured.out + captured.err


def test_without_a_car(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["neutral"]) == 2
    assert "there is no car here" in capsys.readouterr().err
