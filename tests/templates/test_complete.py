"""The template builds every kind of car, and what it is built of works together."""

import csv
import dataclasses

import pytest

from dingocar.config import CarConfig
from dingocar.errors import DingocarError
from dingocar.parts.controllers.hub import ControllerHub
from dingocar.parts.recorder import SwitchedRecorder
from dingocar.parts.simulator import Simulator
from dingocar.templates import complete
from dingocar.tub import Tub, TubWriter
from dingocar.zoo import pilots, save_pilot
from tests.fakes.chip import FakeChip


@pytest.fixture
def cfg(tmp_path):
    """Settings of a car in an empty folder, with a chip on its bus, and without a page."""
    FakeChip.create(tmp_path / "chip").close()
    return CarConfig(
        CONTROLLER="gamepad",
        DRIVE_LOOP_HZ=100.0,
        CAMERA_FRAMERATE=100.0,
        I2C_BUS=f"tests.fakes.chip:open_bus?{tmp_path / 'chip'}",
        folder=tmp_path,
    )


def part(vehicle, kind):
    return next(entry.part for entry in vehicle.parts if isinstance(entry.part, kind))


class Person:
    """A part in front of all others: a controller's source that is told what to do in each loop."""

    def __init__(self, vehicle, *commands):
        self.source = part(vehicle, ControllerHub).source("test")
        self.commands, self.loop = commands, 0
        vehicle.add(self)
        vehicle.parts.insert(0, vehicle.parts.pop())

    def run(self):
        command = self.commands[min(self.loop, len(self.commands) - 1)]
        self.loop += 1
        self.source.command(*command)


def test_a_person_drives_the_simulators_car(cfg):
    vehicle = complete.build(cfg)
    Person(vehicle, (0.0, 0.0), (0.3, 0.6))
    vehicle.start(rate_hz=100, max_loop_count=40)
    assert vehicle.mem["safety/state"] == ""
    assert (vehicle.mem["steering"], vehicle.mem["throttle"]) == (0.3, 0.6)
    assert part(vehicle, Simulator).state.speed_mps[0] > 0.1
    assert part(vehicle, Simulator).command == (0.0, 0.0)  # the drive is over


def test_nobody_drives_until_somebody_does(cfg):
    vehicle = complete.build(cfg)
    vehicle.start(rate_hz=100, max_loop_count=5)
    assert vehicle.mem["safety/state"] == "no controller"
    assert part(vehicle, Simulator).command == (0.0, 0.0)


@pytest.mark.parametrize("actuator, channel", [("servo_esc", 0), ("differential", 8)])
@pytest.mark.parametrize("camera", ["mock", "sim"])
def test_the_chip_gets_pulses_and_ends_at_rest(cfg, tmp_path, actuator, channel, camera):
    vehicle = complete.build(dataclasses.replace(cfg, CAMERA=camera, ACTUATOR=actuator))
    Person(vehicle, (0.0, 0.0), (0.3, 0.6))
    vehicle.start(rate_hz=100, max_loop_count=40)
    chip = FakeChip.open(tmp_path / "chip")
    pulses = [ticks for _, ticks in chip.history(channel)]
    rest = 370 if actuator == "servo_esc" else 0
    assert vehicle.mem["safety/state"] == ""
    assert max(pulses) > 400 and pulses[-1] == rest
    chip.close()


def test_records_while_the_throttle_is_on(cfg, tmp_path):
    vehicle = complete.build(cfg)
    recorder = part(vehicle, SwitchedRecorder)
    # Opened before the drive, which is shorter than the opening may take.
    recorder._writer = recorder._open()
    Person(vehicle, *[(0.0, 0.0)] * 5, *[(0.1, 0.5)] * 10, (0.0, 0.0))
    vehicle.start(rate_hz=100, max_loop_count=30)
    tub = Tub(tmp_path / "data")
    assert tub.domain == "sim" and len(tub) == 10
    assert {record.throttle for record in tub} == {0.5}


def test_a_tub_that_was_recorded_without_a_pilot_is_gone_on_with(cfg, tmp_path, caplog):
    """Recorded, trained, driven by the pilot, and taken over by hand: into the same tub."""
    channels = complete.RECORDED
    TubWriter(tmp_path / "data", list(channels), list(channels.values()), {"domain": "sim"}).close()
    linear = pilots.load("linear").from_settings({"image_shape": (120, 160, 3)})
    caplog.set_level("INFO")
    vehicle = complete.build(cfg, model=save_pilot(tmp_path / "m.keras", linear.build(), linear), mode="user")
    assert "does not record pilot/angle, pilot/throttle: left out" in caplog.text
    recorder = part(vehicle, SwitchedRecorder)
    recorder._writer = recorder._open()
    Person(vehicle, *[(0.0, 0.0)] * 5, *[(0.1, 0.5)] * 10, (0.0, 0.0))
    vehicle.start(rate_hz=100, max_loop_count=30)
    assert len(Tub(tmp_path / "data")) == 10


def test_a_place_where_nothing_can_be_recorded_does_not_stop_the_car(cfg, tmp_path, caplog):
    (tmp_path / "data" / "car.local").mkdir(parents=True)
    vehicle = complete.build(cfg)
    assert (
        "nothing will be recorded (DATA_PATH): " in caplog.text and "is no tub, and not empty" in caplog.text
    )
    Person(vehicle, (0.0, 0.0), (0.3, 0.6))
    vehicle.start(rate_hz=100, max_loop_count=20)
    assert vehicle.mem["throttle"] == 0.6 and vehicle.mem["recording"] is False  # nor does the page say so


def test_a_drive_that_records_every_loop_says_so(cfg, tmp_path):
    vehicle = complete.build(cfg, tub=tmp_path / "all")
    Person(vehicle, (0.0, 0.0))
    vehicle.start(rate_hz=100, max_loop_count=20)
    assert vehicle.mem["recording"] is True and len(Tub(tmp_path / "all")) > 10


@pytest.mark.parametrize("recording", [False, True])
def test_a_real_camera_makes_a_real_domain(cfg, tmp_path, recording):
    with TubWriter(tmp_path / "old", ["cam/image_array"], ["image_array"]) as writer:
        writer.write({"cam/image_array": Simulator().run()[0]})
    cfg = dataclasses.replace(cfg, CAMERA="replay", ACTUATOR="none", REPLAY_PATH="old")
    vehicle = complete.build(cfg, tub=tmp_path / "new" if recording else None)
    Person(vehicle, (0.0, 0.0))
    vehicle.start(rate_hz=100, max_loop_count=30)
    assert (tmp_path / "new").exists() == recording
    assert complete._tub_metadata(dataclasses.replace(cfg, CAMERA="pi")) == {"domain": "real"}
    assert complete._tub_metadata(cfg) == {}


def test_telemetry_has_a_line_per_loop(cfg, tmp_path):
    vehicle = complete.build(dataclasses.replace(cfg, TELEMETRY_CSV="logs/drive.csv"))
    Person(vehicle, (0.0, 0.0), (0.3, 0.6))
    vehicle.start(rate_hz=100, max_loop_count=20)
    rows = list(csv.DictReader((tmp_path / "logs/drive.csv").read_text().splitlines()))
    assert len(rows) == 20
    assert float(rows[-1]["steering"]) == 0.3 and rows[0]["user/mode"] == "user"


def test_without_a_pilot_the_modes_of_one_move_nothing(cfg, tmp_path):
    """Not even with a launch, which would drive blindly."""
    cfg = dataclasses.replace(
        cfg, CAMERA="mock", ACTUATOR="servo_esc", AI_LAUNCH_DURATION=1.0, AI_LAUNCH_THROTTLE=0.8
    )
    for mode in ("local", "local_angle"):
        vehicle = complete.build(dataclasses.replace(cfg, WEB_INIT_MODE=mode))
        Person(vehicle, (0.0, 0.0), (0.0, 0.5))
        vehicle.start(rate_hz=100, max_loop_count=30)
        chip = FakeChip.open(tmp_path / "chip")
        assert {ticks for _, ticks in chip.history(0)} == {0, 370}
        assert vehicle.mem["safety/state"] == "no answer from a pilot"
        chip.close()


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"DRIVE_LOOP_HZ": 20.0}, ""),
        ({"DRIVE_LOOP_HZ": 10.0}, "0.22 s"),
        ({"DRIVE_LOOP_HZ": 5.0}, "0.40 s"),
        ({"CAMERA_MAX_AGE_S": 0.5}, "0.51 s"),
        ({"ACTUATOR_MAX_AGE_S": 1.0}, "1.00 s"),
        ({"DRIVE_LOOP_HZ": 5.0, "ACTUATOR": "none"}, ""),
    ],
)
def test_settings_by_which_the_motors_stop_late_are_told(cfg, caplog, settings, told):
    cfg = dataclasses.replace(cfg, **{"CAMERA": "mock", "ACTUATOR": "servo_esc"} | settings)
    complete.build(cfg).start(rate_hz=100, max_loop_count=1)
    warnings = [record.message for record in caplog.records if "DRIVE_LOOP_HZ" in record.message]
    assert len(warnings) == bool(told) and told in "".join(warnings)


def test_the_expert_needs_no_controller(cfg):
    vehicle = complete.build(cfg, expert=True, fast=True)
    vehicle.start(rate_hz=None, max_loop_count=50)
    assert part(vehicle, Simulator).state.speed_mps[0] > 0.5
    assert not any(isinstance(entry.part, ControllerHub) for entry in vehicle.parts)


@pytest.mark.parametrize(
    "settings, options, told",
    [
        ({"CAMERA": "mock"}, {}, 'ACTUATOR = "sim" moves the simulator\'s car, but CAMERA = "mock"'),
        ({"CAMERA": "mock", "ACTUATOR": "none"}, {"expert": True}, "the expert drives in the simulator only"),
        ({}, {"fast": True}, "fast is for the expert or a pilot"),
        ({"ACTUATOR": "servo_esc"}, {"fast": True, "expert": True}, "fast is for the expert or a pilot"),
        ({"ACTUATOR": "servo_esc", "STEERING_MID": 100}, {}, "STEERING_MID must lie between"),
        ({"ACTUATOR": "servo_esc", "I2C_BUS": "nowhere:open"}, {}, "nowhere"),
        ({"CAMERA": "replay", "ACTUATOR": "none", "REPLAY_PATH": "nothing"}, {}, "nothing"),
    ],
)
def test_what_does_not_go_together_is_one_line(cfg, settings, options, told):
    with pytest.raises(DingocarError) as error:
        complete.build(dataclasses.replace(cfg, **settings), **options)
    assert told in str(error.value) and "\n" not in str(error.value)
