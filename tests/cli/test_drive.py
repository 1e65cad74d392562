"""`dingocar drive`: what it announces and reports, and what it refuses."""

import pytest

from dingocar.cli.drive import _text
from dingocar.cli.main import main

NO_WEB = ["--set", "CONTROLLER=none"]
MOCK = ["--set", "CAMERA=mock", "--set", "ACTUATOR=none"]
#: Draws nothing and hears nobody, with a recorder's channels.
RECORDED = """
from dingocar.vehicle import Vehicle

class Recorder:
    def run(self):
        return 3

def build(cfg, **options):
    vehicle = Vehicle()
    vehicle.add(Recorder(), outputs=["tub/num_records"])
    return vehicle
"""


@pytest.fixture
def car(tmp_path, capsys):
    folder = tmp_path / "mycar"
    assert main(["createcar", "--path", str(folder)]) == 0
    capsys.readouterr()
    return folder


def drive(car, capsys, *argv):
    """Drives three loops; returns what was announced and what was reported."""
    assert main(["drive", "--max-loops", "3", *argv], car=car) == 0
    told = capsys.readouterr()
    return told.err, told.out


def refused(car, capsys, *argv):
    assert main(["drive", *argv], car=car) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1, told
    return told


def test_the_expert_is_announced_only_where_it_drives(car, capsys):
    assert drive(car, capsys, "--expert")[0].startswith("the expert drives on circuit (flat)")
    assert drive(car, capsys, *NO_WEB)[0].startswith("nobody drives (CONTROLLER is none)")
    told = drive(car, capsys, "--set", "CONTROLLER=gamepad")[0]
    assert told.startswith("drive with the gamepad (dingocar joystick --list shows it) on circuit")


def test_a_drive_with_the_page_names_it(car, capsys):
    told = drive(car, capsys, "--set", "WEB_CONTROL_PORT=0")[0]
    assert told.startswith("open http://127.0.0.1:") and " and drive on circuit" in told


def test_a_car_outside_the_simulator_counts_no_laps(car, capsys):
    assert drive(car, capsys, "--expert")[1].startswith("0 laps, off the track 0 times; 3 loops in ")
    assert drive(car, capsys, *MOCK, *NO_WEB)[1].startswith("3 loops in ")


@pytest.mark.parametrize(
    "option, value", [("--laps", "3"), ("--track", "oval"), ("--look", "flat")], ids=lambda text: text
)
def test_what_only_the_simulator_can_is_refused_with_a_camera(car, capsys, option, value):
    told = refused(car, capsys, option, value, *MOCK)
    assert f"{option} is for the simulator, and CAMERA is 'mock'" in told


def test_one_lap_is_one_lap():
    figures = {"loops": 1, "laps": 1, "off_tracks": 1, "overruns": 1, "records": 1, "dropped": 0}
    more = {"seconds": 1.0, "rate_hz": 20.0, "reason": "laps", "tub": "data"}
    assert _text(figures | more, simulated=True) == (
        "1 lap, off the track 1 time; 1 loop in 1.0 s (20.0 Hz, 1 overrun), ended by laps; "
        "1 record in data, 0 dropped"
    )


def test_the_settings_are_read_once(car, capsys):
    (car / "myconfig.py").write_text('with open(__file__ + ".read", "a") as file:\n    file.write("x")\n')
    told, _ = drive(car, capsys, "--expert", "--track", "oval", "--look", "photo")
    assert told.startswith("the expert drives on oval (photo)")
    assert (car / "myconfig.py.read").read_text() == "x"


def test_what_the_user_recorded_is_reported(car, capsys):
    (car / "manage.py").write_text(RECORDED)
    assert f"3 records in {car / 'data'}" in drive(car, capsys)[1]


def test_a_manage_py_of_an_older_version_names_the_way_out(car, capsys):
    (car / "manage.py").write_text(
        "def build(cfg, model=None, tub=None, laps=None, fast=False):\n    1 / 0\n"
    )
    told = refused(car, capsys)
    assert "manage.py" in told and "of another version of dingocar" in told and "'expert'" in told
    assert f"dingocar createcar --path {car} --overwrite" in told
