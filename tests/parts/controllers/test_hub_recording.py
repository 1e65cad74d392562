"""When a controller's hub records and erases."""

import pytest

from dingocar.errors import TubError

from .test_hub import PUSH, REST, Table

ON, NOT = ("is", {"recording": True}), ("is", {"recording": False})
GO, HALT = ("web", "command", *PUSH), ("web", "command", *REST)

RECORDING = {
    "with the throttle": ({}, [HALT, NOT, GO, ON, HALT, NOT, ("web", "command", 0.9, 0.0), NOT]),
    "backwards too": ({}, [HALT, ("web", "command", 0.0, -0.5), ON]),
    "not by itself": ({"auto_record": False}, [HALT, GO, NOT, ("web", "recording", True), ON, HALT, ON]),
    "switched off stays off": ({}, [HALT, GO, ON, ("web", "recording", False), NOT, HALT, GO, NOT]),
    "switched on at a standstill": ({}, [HALT, ("web", "recording", True), ON, GO, ON, HALT, NOT, GO, ON]),
    "toggled": ({}, [HALT, GO, ON, ("web", "recording", None), NOT, ("web", "recording", None), ON]),
    "off in standing": ({}, [HALT, ("web", "recording", False), GO, NOT, ("web", "recording", True), ON]),
    "no throttle while unarmed": ({}, [GO, NOT]),
    "ends with silence": ({}, [HALT, GO, ON, ("wait", 0.2), NOT]),
    "constant throttle counts": ({}, [HALT, ("web", "constant_throttle", 0.3), ON]),
    "not while a pilot drives": ({}, [HALT, GO, ON, ("web", "mode", "local"), NOT]),
    "by hand while a pilot drives": (
        {},
        [HALT, ("web", "mode", "local"), NOT, ("web", "recording", True), ON],
    ),
    "the pilot too": ({"record_during_ai": True}, [HALT, ("web", "mode", "local"), ON, ("wait", 0.2), NOT]),
    "the pilot alone": (
        {"record_during_ai": True, "without_user": "drive", "start_mode": "local"},
        [ON, ("web", "recording", False), NOT],
    ),
    "every loop": ({"records": True}, [ON, HALT, ON, ("web", "recording", False), ON]),
    "nowhere to record to": ({"records": False}, [HALT, GO, NOT, ("web", "recording", True), NOT]),
}


@pytest.mark.parametrize("case", RECORDING)
def test_recording(case):
    options, lines = RECORDING[case]
    Table(**options).play(*lines)


def test_erasing_is_done_in_the_loop():
    table = Table()
    table.play(("web", "erase", 100), ("pad", "erase", 5), ("pad", "erase", 0), ("pad", "erase", -3))
    assert table.erased == []
    table.run()
    table.run()
    assert table.erased == [100, 5]


def test_erasing_without_a_tub_is_a_log_line(caplog):
    table = Table(on_erase=None)
    table.play(("web", "erase", 100), ("is", {}))
    assert "no recording to erase" in caplog.text


def test_a_failed_erasure_does_not_end_the_drive(caplog):
    def fail(n):
        raise TubError("the disk is full")

    table = Table(on_erase=fail)
    table.play(("web", "erase", 7), ("is", {}))
    assert "the last 7 records could not be erased: the disk is full" in caplog.text
