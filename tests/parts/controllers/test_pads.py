"""The mapping files: the shipped ones, which one a pad gets, and every mistake in one."""

import json

import pytest

from dingocar.errors import ConfigError
from dingocar.parts.controllers import _pads
from dingocar.parts.controllers._evdev import describe, is_pad
from dingocar.parts.controllers._pads import (
    ACTIONS,
    SHIPPED,
    choose_mapping,
    find_mapping,
    known_mappings,
    load_mapping,
)
from dingocar.registry import use_car_folder
from tests.fakes.pad import HAT, STICK, TRIGGER, XBOX_AXES, FakePad

GOOD = {
    "name": "mine",
    "match": ["^Mine$", "1234:abcd"],
    "axes": {"steering": {"code": "ABS_X"}, "throttle": {"code": "ABS_Y", "invert": True}},
    "buttons": {"BTN_SOUTH": "emergency_stop", "ABS_HAT0Y-": "erase"},
}


@pytest.fixture
def car(tmp_path):
    (tmp_path / "pads").mkdir()
    use_car_folder(tmp_path)
    yield tmp_path
    use_car_folder(None)


@pytest.fixture
def make_pad():
    pads = []

    def make(*arguments, **options):
        pads.append(FakePad(*arguments, **options))
        return pads[-1]

    yield make
    for pad in pads:
        pad.close()


def chosen(pad):
    mapping = choose_mapping(known_mappings(), describe(pad), pad)
    return mapping and mapping.path.stem


def bluetooth(**more):
    stick = (0, 65535, 32768)
    names = ("ABS_X", "ABS_Y", "ABS_Z", "ABS_RZ")
    return dict.fromkeys(names, stick) | {"ABS_GAS": (0, 1023, 0), "ABS_BRAKE": (0, 1023, 0)} | more


DUALSHOCK = dict.fromkeys(("ABS_X", "ABS_Y", "ABS_RX", "ABS_RY"), (0, 255, 127)) | {
    "ABS_Z": TRIGGER,
    "ABS_RZ": TRIGGER,
}


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_mappings_are_whole(path):
    mapping = load_mapping(path)
    actions = set(mapping.buttons.values())
    assert "throttle" in mapping.axes
    assert actions >= {"emergency_stop", "mode_next", "toggle_recording", "erase", "launch"}
    assert actions >= {"increase_max_throttle", "decrease_max_throttle", "constant_throttle_toggle"}


@pytest.mark.parametrize(
    "name, ident, axes, expected",
    [
        ("Microsoft X-Box 360 pad", "045e:028e", XBOX_AXES, "xbox_usb"),
        ("Xbox Wireless Controller", "045e:028e", XBOX_AXES, "xbox_usb"),  # the driver xpadneo
        ("Xbox Wireless Controller", "045e:0b13", bluetooth(), "xbox_bluetooth"),
        ("Sony Interactive Entertainment Wireless Controller", "054c:09cc", DUALSHOCK, "playstation"),
        ("Wireless Controller", "054c:05c4", DUALSHOCK, "playstation"),
        ("DualSense Wireless Controller", "054c:0ce6", DUALSHOCK, "playstation"),
        ("Logitech Gamepad F710", "046d:c21f", XBOX_AXES, "f710_x"),
        ("Logitech Cordless RumblePad 2", "046d:c219", bluetooth(), "f710_d"),
        ("Nintendo Switch Pro Controller", "057e:2009", XBOX_AXES, "nintendo_pro"),
        ("Pro Controller", "057e:2009", XBOX_AXES, "nintendo_pro"),
        ("NoName USB Joystick", "0079:0006", {"ABS_X": STICK, "ABS_Y": STICK}, "generic"),
        ("A wheel with one axis", "0079:0007", {"ABS_X": STICK}, None),
    ],
)
def test_a_pad_gets_its_mapping(make_pad, name, ident, axes, expected):
    assert chosen(make_pad(name, ident, axes)) == expected


def test_the_car_s_own_mapping_wins(car, make_pad):
    (car / "pads" / "zz.json").write_text(json.dumps(GOOD | {"match": ["045E:028E"]}))
    assert chosen(make_pad()) == "zz"


def test_by_name_or_file(car):
    assert find_mapping("generic").path == SHIPPED / "generic.json"
    (car / "pads" / "generic.json").write_text(json.dumps(GOOD))
    assert find_mapping("generic").name == "mine"
    assert find_mapping("pads/generic.json").name == "mine"
    with pytest.raises(ConfigError, match=r"unknown gamepad mapping 'genric'; did you mean 'generic'\?"):
        find_mapping("genric")


def test_what_is_a_pad(make_pad):
    assert is_pad(make_pad())
    assert is_pad(make_pad(buttons=["BTN_TRIGGER"]))
    assert not is_pad(make_pad(buttons=["BTN_TOUCH", "BTN_LEFT", "KEY_A"]))  # a touchpad, a keyboard
    assert not is_pad(make_pad(buttons=[]))  # the pad's own gyroscope
    assert not is_pad(make_pad(axes={}))


def test_round_trip(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(GOOD | {"erase_records": 20}))
    mapping = load_mapping(path)
    path.write_text(mapping.to_json())
    assert load_mapping(path) == mapping
    assert (mapping.erase_records, mapping.axes["throttle"].invert) == (20, True)


@pytest.mark.parametrize(
    "changes, message",
    [
        ([], "the file: must be an object {...}, got list"),
        ({"axis": {}}, "axis: unknown key; did you mean 'axes'?"),
        ({"name": ""}, "name: must be text, got ''"),
        ({"name": None}, "name: must be text, got None"),
        ({"match": "x"}, "match: must be a list of texts, got 'x'"),
        ({"match": ["("]}, "match: '(' is no regular expression"),
        ({"axes": {}}, "axes.steering: is missing"),
        ({"axes": {"steering": {"code": "ABS_X"}}}, "axes: needs throttle (a stick) or forward (a trigger)"),
        ({"axes": {"sterring": {}}}, "axes.sterring: unknown key; did you mean 'steering'?"),
        ({"axes": {"steering": 3}}, "axes: needs throttle"),
        ({"axes": {"steering": 3, "throttle": 4}}, "axes.steering: must be an object {...}, got int"),
        ({"axes": {"steering": {}, "throttle": {}}}, "axes.steering.code: is missing"),
        (
            {"axes": {"steering": {"code": "ABS_XX"}, "forward": {}}},
            "axes.steering.code: unknown code 'ABS_XX'; did you mean 'ABS_X'?",
        ),
        (
            {"axes": {"steering": {"code": "KEY_A"}, "forward": {}}},
            "axes.steering.code: unknown code 'KEY_A'",
        ),
        ({"axes": {"steering": {"code": 3}, "forward": {}}}, "axes.steering.code: unknown code 3"),
        (
            {"axes": {"steering": {"code": "ABS_X", "invert": 1}, "forward": {}}},
            "axes.steering.invert: must be true or false, got 1",
        ),
        ({"buttons": {"BTN_SOTH": "erase"}}, "buttons.BTN_SOTH: unknown code 'BTN_SOTH'; did you mean"),
        (
            {"buttons": {"BTN_SOUTH": "ease"}},
            "buttons.BTN_SOUTH: unknown action 'ease'; did you mean 'erase'?",
        ),
        ({"buttons": {"BTN_SOUTH": 3}}, "buttons.BTN_SOUTH: unknown action 3"),
        ({"buttons": {"ABS_HAT0X": "erase"}}, "buttons.ABS_HAT0X: an axis needs its side, ABS_HAT0X+ or"),
        ({"erase_records": 0}, "erase_records: must be a whole number, 1 to 10000; got 0"),
        ({"erase_records": True}, "erase_records: must be a whole number, 1 to 10000; got True"),
    ],
)
def test_mistakes(tmp_path, changes, message):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(changes if isinstance(changes, list) else GOOD | changes))
    with pytest.raises(ConfigError) as caught:
        load_mapping(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_no_json_and_no_file(tmp_path):
    path = tmp_path / "mine.json"
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file or directory\).*dingocar joystick"):
        load_mapping(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="is no JSON"):
        load_mapping(path)


def test_every_action_can_be_done():
    from dingocar.parts.controllers.gamepad import Gamepad
    from dingocar.parts.controllers.hub import ControllerHub

    hub = ControllerHub()
    pad = Gamepad(hub.source("pad"))
    for action in _pads.ACTIONS:
        pad.act(action, 10)
    assert set(ACTIONS.values()).isdisjoint(ACTIONS)
    assert HAT == (-1, 1, 0)
