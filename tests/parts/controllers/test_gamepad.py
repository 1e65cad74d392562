"""The gamepad: sticks, triggers and buttons through evdev; plugged in, pulled out, gone silent."""

import builtins
import json
import threading

import pytest
from evdev import ecodes

from dingocar.errors import ConfigError, MissingExtraError
from dingocar.parts.controllers import _evdev, gamepad
from dingocar.parts.controllers.gamepad import Gamepad
from dingocar.parts.controllers.hub import ControllerHub
from tests.fakes.clock import FakeClock
from tests.fakes.pad import XBOX_AXES, FakePad

FULL = 32767


class Desk:
    """A car with a hub, and pads to plug in."""

    def __init__(self, monkeypatch):
        self.clock = FakeClock()
        self.hub = ControllerHub(clock=self.clock)
        self.there: list[FakePad] = []
        self.made: list[FakePad] = []
        monkeypatch.setattr(_evdev, "device_paths", lambda: [pad.path for pad in self.there])
        monkeypatch.setattr(_evdev, "open_device", self.open)
        monkeypatch.setattr(_evdev.os, "access", lambda path, mode: True)
        monkeypatch.setattr(gamepad, "open_device", self.open)

    def open(self, path):
        for pad in self.there:
            if pad.path == path:
                return pad.opened()
        raise FileNotFoundError(2, "No such file or directory")

    def plug(self, *arguments, **options):
        self.made.append(FakePad(*arguments, **options))
        self.there.append(self.made[-1])
        return self.made[-1]

    def unplug(self, pad):
        self.there.remove(pad)
        pad.unplug()

    def gamepad(self, **options):
        return Gamepad(self.hub.source("pad"), clock=self.clock, **options)

    def connected(self, **options):
        """A connection, with the sticks at full range and hardly a dead zone unless told."""
        return self.gamepad(**{"max_throttle": 1.0, "deadzone": 0.01} | options).connect()

    def sticks(self):
        return self.hub.run()[:2]


@pytest.fixture
def desk(monkeypatch):
    desk = Desk(monkeypatch)
    yield desk
    for pad in desk.made:
        pad.close()


@pytest.fixture
def mapping(tmp_path):
    """Writes a mapping file."""

    def write(axes, buttons=(), **more):
        axes = {role: {"code": code.strip("-"), "invert": code[0] == "-"} for role, code in axes.items()}
        path = tmp_path / "pad.json"
        path.write_text(json.dumps({"name": "x", "axes": axes, "buttons": dict(buttons)} | more))
        return str(path)

    return write


def drive(desk, connection, **axes):
    """Moves axes and returns steering and throttle."""
    desk.there[0].move(**axes)
    assert connection.step(0)
    return desk.sticks()


def test_stick_and_triggers(desk):
    desk.plug()
    connection = desk.connected()

    def near(*values):
        return pytest.approx(values, abs=0.01)

    assert drive(desk, connection, ABS_X=0) == near(0.0, 0.0)
    assert drive(desk, connection, ABS_X=FULL) == near(1.0, 0.0)
    assert drive(desk, connection, ABS_X=-32768) == near(-1.0, 0.0)
    assert drive(desk, connection, ABS_X=FULL // 2, ABS_RY=-32768) == near(0.5, 1.0)  # up is forward
    assert drive(desk, connection, ABS_X=0, ABS_RY=FULL) == near(0.0, -1.0)
    assert drive(desk, connection, ABS_RY=0, ABS_RZ=255) == near(0.0, 1.0)
    assert drive(desk, connection, ABS_RZ=51) == near(0.0, 0.2)
    assert drive(desk, connection, ABS_Z=102) == near(0.0, -0.4)  # with both, the brake wins
    assert drive(desk, connection, ABS_RY=-32768) == near(0.0, -0.4)
    assert drive(desk, connection, ABS_Z=0, ABS_RY=-16384) == near(0.0, 0.5)
    assert drive(desk, connection, ABS_RZ=0, ABS_RY=0) == near(0.0, 0.0)


@pytest.mark.parametrize(
    "raw, expected", [(0, -1.0), (127, 0.0), (128, 0.0), (140, 0.0), (141, 0.0065), (255, 1.0), (999, 1.0)]
)
def test_dead_zone_is_cut_out_and_the_rest_stretched(desk, mapping, raw, expected):
    desk.plug(axes={"ABS_X": (0, 255, 127), "ABS_Y": (0, 255, 127)})
    connection = desk.connected(deadzone=0.1, mapping=mapping({"steering": "ABS_X", "throttle": "ABS_Y"}))
    drive(desk, connection, ABS_X=127)
    assert drive(desk, connection, ABS_X=raw)[0] == pytest.approx(expected, abs=1e-4)


def test_trigger_s_dead_zone_and_inversion(desk, mapping):
    desk.plug(axes={"ABS_X": (-1, 1, 0), "ABS_GAS": (0, 100, 100), "ABS_BRAKE": (0, 100, 0)})
    axes = {"steering": "-ABS_X", "forward": "-ABS_GAS", "reverse": "ABS_BRAKE"}
    connection = desk.connected(deadzone=0.1, mapping=mapping(axes))
    assert drive(desk, connection, ABS_GAS=91) == (0.0, 0.0)
    assert drive(desk, connection, ABS_GAS=0, ABS_X=1) == (-1.0, 1.0)
    assert drive(desk, connection, ABS_GAS=45)[1] == pytest.approx(0.5)


def test_the_driver_s_own_play_counts(desk):
    desk.plug(flat=3277)  # a tenth of the way
    connection = desk.connected()
    assert drive(desk, connection, ABS_X=3200) == (0.0, 0.0)
    assert drive(desk, connection, ABS_X=FULL)[0] == pytest.approx(1.0)


def test_a_stick_held_while_it_is_plugged_in_does_not_drive(desk):
    desk.plug(axes=XBOX_AXES | {"ABS_RZ": (0, 255, 200)})
    connection = desk.connected()
    assert drive(desk, connection, ABS_RZ=201)[1] == 0.0
    assert drive(desk, connection, ABS_RZ=0)[1] == 0.0
    assert drive(desk, connection, ABS_RZ=255)[1] == 1.0


def test_before_the_first_report_the_wheel_is_straight(desk, mapping):
    """Some pads show 0, one end of their range, until they have reported."""
    desk.plug(axes={"ABS_X": (0, 255, 0), "ABS_Y": (0, 255, 0)})
    connection = desk.connected(mapping=mapping({"steering": "ABS_X", "throttle": "-ABS_Y"}))
    connection.step(0)
    assert desk.sticks() == (0.0, 0.0)
    assert drive(desk, connection, ABS_X=127, ABS_Y=127) == pytest.approx((0.0, 0.0), abs=0.01)
    assert drive(desk, connection, ABS_Y=0)[1] == 1.0


def test_a_trigger_that_is_held_when_nothing_was_reported_yet_does_not_drive(desk):
    """Until a pad's first report the kernel shows 0 for all that is in the middle or at rest at 0."""
    pad = desk.plug()
    connection = desk.connected()
    for _ in range(5):
        desk.clock.time_s += 0.05
        connection.step(0)
    assert desk.hub.run()[4:6] == (False, "pad")
    pad.move(ABS_RZ=200)  # it was held all the time
    connection.step(0)
    assert desk.hub.run()[1] == 0.0
    pad.move(ABS_RZ=0)
    connection.step(0)
    assert drive(desk, connection, ABS_RZ=200)[1] == pytest.approx(0.78, abs=0.01)


def test_top_throttle_and_its_buttons(desk):
    pad = desk.plug()
    connection = desk.connected(max_throttle=0.5)
    drive(desk, connection, ABS_X=0)
    assert drive(desk, connection, ABS_RZ=255)[1] == 0.5
    pad.tap("BTN_TR")
    connection.step(0)
    assert drive(desk, connection, ABS_RZ=255)[1] == 0.55
    for _ in range(30):
        pad.tap("BTN_TR")
    connection.step(0)
    assert drive(desk, connection, ABS_RZ=255)[1] == 1.0
    for _ in range(40):
        pad.tap("ABS_HAT0Y+")
        connection.step(0)
    assert drive(desk, connection, ABS_RZ=255)[1] == 0.05


def test_buttons(desk):
    pad = desk.plug()
    erased = []
    desk.hub.on_erase = erased.append
    connection = desk.connected(max_throttle=0.4)

    def tap(name):
        pad.tap(name)
        assert connection.step(0)
        _, throttle, mode, _, armed, source, launch, recording = desk.hub.run()
        assert (armed, source) == (name != "BTN_WEST", "pad")
        return throttle, mode, launch, recording

    assert tap("BTN_SOUTH") == (0.0, "local_angle", False, False)
    assert tap("BTN_SOUTH") == (0.0, "local", False, False)
    assert tap("BTN_SELECT") == (0.0, "local", True, False)
    assert tap("BTN_WEST") == (0.0, "user", False, False)
    assert connection.step(0)  # the emergency stop has disarmed it, sticks at rest arm it again
    assert tap("BTN_EAST") == (0.0, "user", False, True)
    assert tap("BTN_EAST") == (0.0, "user", False, False)
    assert tap("BTN_START") == (0.4, "user", False, False)
    assert tap("BTN_START") == (0.0, "user", False, False)
    assert erased == []
    tap("BTN_NORTH")
    assert erased == [100]


def test_a_button_acts_once_and_not_when_held_at_the_start(desk):
    pad = desk.plug()
    pad.down = {ecodes.BTN_SOUTH}
    connection = desk.connected()
    pad.press("BTN_SOUTH", 2)
    pad.press("BTN_SOUTH", 2)
    connection.step(0)
    assert desk.hub.run()[2] == "user"
    pad.press("BTN_SOUTH", 0)
    pad.press("BTN_SOUTH")
    pad.press("BTN_SOUTH", 2)
    connection.step(0)
    assert desk.hub.run()[2] == "local_angle"


def test_other_keys_and_axes_are_nothing(desk):
    pad = desk.plug()
    connection = desk.connected()
    pad.press("BTN_THUMBL")
    pad.emit(ecodes.EV_MSC, ecodes.MSC_SCAN, 7)
    assert drive(desk, connection, ABS_Y=FULL) == (0.0, 0.0)


def test_modes_and_erase_count_by_mapping(desk, mapping):
    pad = desk.plug()
    erased = []
    desk.hub.on_erase = erased.append
    buttons = {
        "BTN_TL": "mode_local",
        "BTN_TR": "mode_local_angle",
        "BTN_EAST": "mode_user",
        "ABS_HAT0X-": "erase",
    }
    path = mapping({"steering": "ABS_X", "throttle": "-ABS_RY"}, buttons, erase_records=7)
    connection = desk.connected(mapping=path)
    seen = []
    for name in ("BTN_TL", "BTN_TR", "BTN_EAST", "ABS_HAT0X-", "ABS_HAT0X+"):
        pad.tap(name)
        connection.step(0)
        seen.append(desk.hub.run()[2])
    assert seen == ["local", "local_angle", "user", "user", "user"]
    assert erased == [7]


def test_dead_man_button(desk, mapping):
    pad = desk.plug()
    path = mapping(
        {"steering": "ABS_X", "throttle": "-ABS_RY"},
        {"BTN_TL": "hold_to_drive", "BTN_TR": "constant_throttle_toggle", "BTN_EAST": "mode_local"},
    )
    connection = desk.connected(mapping=path)

    def after(*, armed, throttle):
        connection.step(0)
        assert (desk.hub.run()[4], desk.hub.run()[1]) == (armed, pytest.approx(throttle, abs=1e-4))

    pad.move(ABS_RY=-32768)
    after(armed=False, throttle=0.0)
    pad.press("BTN_TL")  # the stick is held already
    after(armed=False, throttle=0.0)
    pad.move(ABS_RY=0)
    after(armed=True, throttle=0.0)
    pad.move(ABS_RY=-32768)
    after(armed=True, throttle=1.0)
    pad.press("BTN_TL", 0)
    after(armed=False, throttle=0.0)
    pad.move(ABS_RY=0)
    pad.press("BTN_TL")
    pad.tap("BTN_TR")
    after(armed=True, throttle=1.0)
    pad.press("BTN_TL", 0)
    after(armed=False, throttle=0.0)
    pad.press("BTN_TL")
    after(armed=True, throttle=0.0)  # constant throttle has ended


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
