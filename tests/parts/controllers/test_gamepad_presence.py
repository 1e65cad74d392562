"""Gamepads that come, go, fall silent, or are not the one that was asked for."""

import builtins
import threading

import pytest
from evdev import ecodes

from dingocar.errors import ConfigError, MissingExtraError
from dingocar.parts.controllers import _evdev, gamepad
from dingocar.parts.controllers.gamepad import Gamepad
from dingocar.parts.controllers.hub import ControllerHub
from tests.fakes.desk import FULL, drive
from tests.fakes.pad import XBOX_AXES


def test_events_lost_by_the_kernel(desk):
    """After SYN_DROPPED the device is asked where its sticks are; what came in between means nothing."""
    pad = desk.plug()
    connection = desk.connected()
    drive(desk, connection, ABS_X=0)
    assert drive(desk, connection, ABS_RZ=255)[1] == 1.0
    pad.emit(ecodes.EV_SYN, ecodes.SYN_DROPPED, 0)
    pad.emit(ecodes.EV_ABS, ecodes.ABS_X, FULL)
    pad.emit(ecodes.EV_KEY, ecodes.BTN_SOUTH, 1)
    pad.values[ecodes.ABS_RZ] = 0
    pad.emit(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)
    connection.step(0)
    assert desk.sticks() == (0.0, 0.0)
    assert desk.hub.run()[2] == "user"
    assert drive(desk, connection, ABS_X=FULL)[0] == 1.0


def test_a_quiet_pad_gives_signs_of_life(desk):
    pad = desk.plug()
    connection = desk.connected()
    drive(desk, connection, ABS_X=0)
    drive(desk, connection, ABS_RZ=255)
    asked = pad.asked
    for _ in range(9):
        desk.clock.time_s += 0.1
        assert connection.step(0)
        assert desk.hub.run()[1:4] == (1.0, "user", 0.0)
    assert pad.asked == asked + 9


def test_a_throttle_held_in_dead_silence_becomes_neutral(desk):
    pad = desk.plug()
    connection = desk.connected(max_silence_s=1.0)
    drive(desk, connection, ABS_X=0)
    assert drive(desk, connection, ABS_RZ=255)[1] == 1.0
    for _ in range(11):
        desk.clock.time_s += 0.1
        connection.step(0)
    assert desk.hub.run()[1] == 0.0
    pad.move(ABS_X=3000)
    connection.step(0)
    assert desk.hub.run()[1] == 1.0


def test_dead_silence_does_not_arm(desk):
    desk.plug(axes=XBOX_AXES | {"ABS_RZ": (0, 255, 200)})
    connection = desk.connected(max_silence_s=1.0)
    for _ in range(15):
        desk.clock.time_s += 0.1
        connection.step(0)
    assert drive(desk, connection, ABS_RZ=220)[1] == 0.0


def test_dead_silence_ends_constant_throttle(desk):
    pad = desk.plug()
    connection = desk.connected(max_throttle=0.4, max_silence_s=1.0)
    pad.tap("BTN_START")
    connection.step(0)
    throttles = []
    for _ in range(12):
        desk.clock.time_s += 0.1
        connection.step(0)
        throttles.append(desk.hub.run()[1])
    assert throttles[0] == 0.4 and throttles[-1] == 0.0
    assert drive(desk, connection, ABS_X=3000)[1] == 0.0


def test_sticks_at_rest_may_be_silent(desk):
    """With a pilot driving, nobody touches the pad: it stays armed."""
    pad = desk.plug()
    connection = desk.connected(max_silence_s=1.0)
    pad.tap("BTN_SOUTH")
    for _ in range(50):
        desk.clock.time_s += 0.1
        connection.step(0)
    assert desk.hub.run()[2:5] == ("local_angle", 0.0, True)


def test_unplugged(desk):
    pad = desk.plug()
    connection = desk.connected()
    drive(desk, connection, ABS_X=0)
    assert drive(desk, connection, ABS_RZ=255)[1] == 1.0
    desk.unplug(pad)
    assert not connection.step(0)
    connection.close()
    assert desk.sticks() == (0.0, 0.0)
    assert desk.hub.run()[5] == ""


def test_a_device_that_answers_no_more_is_gone(desk):
    """Its file still opens and does not hang up, but every question is ENODEV."""
    pad = desk.plug()
    connection = desk.connected()
    pad.gone = True
    with pytest.raises(OSError, match="No such device"):
        connection.step(0)


def wait_until(true):
    """Waits for a thread; the limit is for a failure only."""
    nap = threading.Event()
    for _ in range(2000):
        if true():
            return
        nap.wait(0.005)
    pytest.fail("did not happen within 10 s")


def test_in_its_thread_it_comes_and_goes(desk, monkeypatch):
    """Absent at first, plugged in, driven, pulled out, plugged in again (under another name), ended."""
    desk.hub = ControllerHub()
    monkeypatch.setattr(Gamepad, "RETRY_S", 0.01)
    monkeypatch.setattr(Gamepad, "POLL_S", 0.01)
    part = Gamepad(desk.hub.source("pad"), max_throttle=1.0)
    thread = threading.Thread(target=part.update)
    thread.start()
    try:
        assert desk.hub.run()[5] == ""
        assert part.run_threaded() is None
        for path in ("/dev/input/event7", "/dev/input/event9"):
            pad = desk.plug(path=path)
            wait_until(lambda: desk.hub.run()[5] == "pad")
            pad.move(ABS_X=100)
            wait_until(lambda: desk.hub.run()[4])
            pad.move(ABS_RZ=255)
            wait_until(lambda: desk.hub.run()[1] == 1.0)
            desk.unplug(pad)
            wait_until(lambda: desk.hub.run()[5] == "")
            assert desk.hub.run()[1] == 0.0
    finally:
        part.shutdown()
        thread.join(10)
    assert not thread.is_alive()


def test_shutdown_releases(desk, monkeypatch):
    desk.hub = ControllerHub()
    monkeypatch.setattr(Gamepad, "POLL_S", 0.01)
    desk.plug()
    part = Gamepad(desk.hub.source("pad"))
    thread = threading.Thread(target=part.update)
    thread.start()
    wait_until(lambda: desk.hub.run()[5] == "pad")
    part.shutdown()
    thread.join(10)
    assert desk.hub.run()[5] == ""


def test_the_pad_is_found_among_others(desk):
    desk.plug(name="A keyboard", buttons=["KEY_A"], axes={}, path="/dev/input/event1")
    desk.plug(name="Gyroscope", buttons=[], path="/dev/input/event2")
    desk.plug(path="/dev/input/event3")
    assert [found.path for found in _evdev.list_pads()] == ["/dev/input/event3"]


def test_the_device_asked_for(desk):
    desk.plug(path="/dev/input/event3")
    other = desk.plug(path="/dev/input/event4")
    assert desk.connected(device="/dev/input/event4")._device is other
    assert desk.connected(device="/dev/input/event5") is None


def test_a_pad_without_the_mapping_s_axes_is_told_once(desk, mapping, caplog):
    desk.plug(axes={"ABS_X": (0, 255, 127)})
    path = mapping({"steering": "ABS_X", "forward": "ABS_GAS"})
    part = desk.gamepad(mapping=path)
    assert part.connect() is None
    assert part.connect() is None
    assert [record.message for record in caplog.records] == [
        f"gamepad 'Microsoft X-Box 360 pad' has no ABS_GAS, which {path} names; "
        "make a mapping for it: dingocar joystick"
    ]


def test_no_mapping_fits(desk, caplog):
    desk.plug(axes={"ABS_X": (0, 255, 127)})
    assert desk.connected() is None
    assert "no mapping fits the gamepad 'Microsoft X-Box 360 pad'" in caplog.text


def test_no_permission_is_told(desk, monkeypatch, caplog):
    desk.plug()
    monkeypatch.setattr(_evdev.os, "access", lambda path, mode: False)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_evdev, "open_device", refuse)
    monkeypatch.setattr(gamepad, "open_device", refuse)
    assert desk.connected() is None
    assert desk.connected(device="/dev/input/event7") is None
    assert caplog.text.count("run sudo usermod -aG input $USER and log in again") == 2


def test_no_pad_is_no_news(desk, caplog):
    assert desk.connected() is None
    assert caplog.text == ""


def test_without_evdev(desk, monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "evdev":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"pip install 'dingocar\[gamepad\]'"):
        desk.gamepad()


@pytest.mark.parametrize(
    "options", [{"max_throttle": 0}, {"max_throttle": 1.1}, {"deadzone": 0.6}, {"max_silence_s": 0}]
)
def test_arguments_are_checked(desk, options):
    with pytest.raises(ValueError, match="max_throttle must be within"):
        desk.gamepad(**options)


def test_a_bad_mapping_is_told_at_the_start(desk, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        desk.gamepad(mapping=str(tmp_path / "nothing.json"))
