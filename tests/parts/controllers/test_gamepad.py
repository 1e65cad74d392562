"""The gamepad: sticks, triggers and buttons through evdev."""

import pytest
from evdev import ecodes

from tests.fakes.desk import FULL, drive
from tests.fakes.pad import XBOX_AXES


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
