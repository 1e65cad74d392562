"""`dingocar joystick`: a person at a pad is asked, a mapping file comes out, and it drives."""

import json
import os
import pty

import pytest

from dingocar.cli import joystick
from dingocar.cli.main import main
from dingocar.parts.controllers import _evdev, gamepad
from dingocar.parts.controllers._pads import load_mapping
from dingocar.parts.controllers.gamepad import Gamepad
from dingocar.parts.controllers.hub import ControllerHub
from tests.fakes.clock import FakeClock
from tests.fakes.pad import STICK, FakePad

LEFT, RIGHT = -32768, 32767

#: What is done at each question: a button is tapped, Enter is pressed, an axis is moved there and back.
ANSWERS = {
    "let go of them, and press Enter": "enter",
    "RIGHT": {"ABS_X": RIGHT},
    "FORWARD": {"ABS_RY": LEFT},
    "emergency stop": "BTN_WEST",
    "next mode": "BTN_SOUTH",
    "recording on or off": "BTN_EAST",
    "more top throttle": "ABS_HAT0Y-",
    "Try it": "enter",
}


class Person:
    """Reads what the wizard says on stderr, and answers with the pad and the keyboard."""

    def __init__(self, pad, answers, keyboard):
        self.pad, self.answers, self.keyboard = pad, dict(answers), keyboard
        self.heard = []

    def __call__(self, text):
        self.heard.append(text)
        for question, answer in reversed(self.answers.items()):  # the special ones first
            if question in text:
                return self.do(answer)
        if text.startswith("Press the button"):
            self.do("enter")

    def do(self, answer):
        if callable(answer):
            answer()
        elif isinstance(answer, list):
            for each in answer:
                self.do(each)
        elif isinstance(answer, dict):
            for axis, value in answer.items():
                before = self.pad.values[_evdev.evdev().ecodes.ecodes[axis]]
                self.pad.move(**{axis: value})
                self.pad.move(**{axis: before})
        elif answer == "enter":
            os.write(self.keyboard, b"\n")
        else:
            self.pad.tap(answer)


@pytest.fixture
def pads(monkeypatch):
    """Input devices by their path."""
    there = {}

    def open_device(path):
        if path not in there:
            raise FileNotFoundError(2, "No such file or directory")
        return there[path].opened()

    monkeypatch.setattr(_evdev, "device_paths", lambda: sorted(there))
    monkeypatch.setattr(_evdev.os, "access", lambda path, mode: True)
    monkeypatch.setattr(_evdev, "open_device", open_device)
    monkeypatch.setattr(gamepad, "open_device", open_device)
    yield there
    for pad in there.values():
        pad.close()


@pytest.fixture
def ask(monkeypatch, pads):
    """Runs the command with a pad and a person at it."""
    keyboards = []

    def run(*argv, car=None, pad=None, **changes):
        pad = pad or FakePad()
        pads[pad.path] = pad
        ours, theirs = pty.openpty()  # a terminal, in which a line is read at a time
        keyboards.extend((ours, theirs))
        person = Person(pad, ANSWERS | changes.get("answers", {}), ours)
        monkeypatch.setattr(joystick, "_keyboard", lambda: theirs)
        monkeypatch.setattr(joystick, "note", person)
        monkeypatch.setattr(joystick, "_show_line", person.heard.append)
        return main(["joystick", *argv], car=car), person

    yield run
    for fd in keyboards:
        os.close(fd)


def test_a_mapping_for_the_car(tmp_path, ask, capsys):
    code, person = ask("--json", car=tmp_path)
    assert code == 0
    path = tmp_path / "pads" / "microsoft_x_box_360_pad.json"
    assert json.loads(capsys.readouterr().out) == {"mapping": str(path), "name": "Microsoft X-Box 360 pad"}
    assert json.loads(path.read_text()) == {
        "name": "Microsoft X-Box 360 pad",
        "match": ["045e:028e"],
        "axes": {"steering": {"code": "ABS_X"}, "throttle": {"code": "ABS_RY", "invert": True}},
        "buttons": {
            "BTN_WEST": "emergency_stop",
            "BTN_SOUTH": "mode_next",
            "BTN_EAST": "toggle_recording",
            "ABS_HAT0Y-": "increase_max_throttle",
        },
        "erase_records": 100,
    }
    assert "ABS_X; let it go" in person.heard
    assert person.heard[-2].startswith("steering +0.00  throttle +0.00  buttons: -")


def test_the_car_drives_by_it(tmp_path, ask, pads, capsys):
    out = tmp_path / "mine.json"
    assert ask("--out", str(out))[0] == 0
    hub = ControllerHub(clock=FakeClock())
    connection = Gamepad(hub.source("pad"), mapping=str(out), max_throttle=1.0).connect()
    pads["/dev/input/event7"].move(ABS_X=RIGHT)  # the first touch arms
    connection.step(0)
    pads["/dev/input/event7"].move(ABS_RY=LEFT)
    connection.step(0)
    assert hub.run()[:2] == (1.0, 1.0)


def test_triggers(tmp_path, ask, capsys):
    out = tmp_path / "mine.json"
    answers = {
        "FORWARD": {"ABS_RZ": 255},
        "BRAKE": [{"ABS_RX": RIGHT}],
        "a trigger is needed": {"ABS_Z": 255},
    }
    code, person = ask("--out", str(out), answers=answers)
    assert code == 0
    assert {role: axis.code for role, axis in load_mapping(out).axes.items()} == {
        "steering": "ABS_X",
        "forward": "ABS_RZ",
        "reverse": "ABS_Z",
    }
    assert "That is a stick; a trigger is needed here" in person.heard


def test_a_trigger_that_rests_at_its_end_and_none_for_reverse(tmp_path, ask, capsys):
    out = tmp_path / "mine.json"
    pad = FakePad(axes={"ABS_X": STICK, "ABS_GAS": (0, 255, 255)})
    answers = {"FORWARD": {"ABS_GAS": 0}, "BRAKE": "enter", "more top throttle": "enter"}
    assert ask("--out", str(out), pad=pad, answers=answers)[0] == 0
    assert json.loads(out.read_text())["axes"] == {
        "steering": {"code": "ABS_X"},
        "forward": {"code": "ABS_GAS", "invert": True},
    }


def test_steering_the_other_way_round(tmp_path, ask, capsys):
    out = tmp_path / "mine.json"
    ask("--out", str(out), answers={"RIGHT": {"ABS_X": LEFT}})
    assert load_mapping(out).axes["steering"].invert


def test_one_button_for_one_thing(tmp_path, ask, capsys):
    out = tmp_path / "mine.json"
    answers = {"next mode": "BTN_WEST", "press another": "BTN_TL"}
    _, person = ask("--out", str(out), answers=answers)
    assert "BTN_WEST is emergency stop already; press another (Enter: none)" in person.heard
    assert load_mapping(out).buttons["BTN_TL"] == "mode_next"


def test_trying_it_shows_what_is_done(tmp_path, ask, capsys):
    out = tmp_path / "mine.json"
    pad = FakePad()
    hold = [lambda: pad.press("BTN_WEST"), lambda: pad.move(ABS_X=RIGHT), "enter"]
    _, person = ask("--out", str(out), pad=pad, answers={"Try it": hold})
    assert "steering +1.00  throttle +0.00  buttons: emergency_stop" in person.heard


def test_a_pad_without_a_product_number_is_known_by_its_name(tmp_path, ask, capsys):
    out = tmp_path / "mine.json"
    ask("--out", str(out), pad=FakePad(name="Pad (2)", ident="0000:0000"))
    assert load_mapping(out).match == (r"^Pad\ \(2\)$",)


def line(capsys, code):
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_pulled_out_in_between(tmp_path, ask, capsys):
    out = tmp_path / "mine.json"
    pad = FakePad()
    code, _ = ask("--out", str(out), pad=pad, answers={"FORWARD": pad.unplug})
    assert "the gamepad is gone; nothing was written" in line(capsys, code)
    assert not out.exists()


def test_nobody_there(tmp_path, ask, capsys, monkeypatch):
    from dingocar.parts.controllers import _wizard

    ticks = iter(range(0, 10_000, 50))
    monkeypatch.setattr(_wizard.time, "monotonic", lambda: next(ticks))
    monkeypatch.setattr(_wizard.select, "select", lambda *_: ([], [], []))
    code, _ = ask("--out", str(tmp_path / "mine.json"))
    assert "nothing was done for 120 s; nothing was written" in line(capsys, code)


def test_which_pads_there_are(pads, capsys):
    pads["/dev/input/event3"] = FakePad(path="/dev/input/event3")
    pads["/dev/input/event4"] = FakePad(
        path="/dev/input/event4", name="A keyboard", buttons=["KEY_A"], axes={}
    )
    pads["/dev/input/event5"] = FakePad(path="/dev/input/event5", name="Wheel", axes={"ABS_X": STICK})
    assert main(["joystick", "--list", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["pads"]
    assert first["path"] == "/dev/input/event3" and first["id"] == "045e:028e"
    assert first["mapping"].endswith("xbox_usb.json")
    assert second["mapping"] == "none fits: dingocar joystick makes one"
    assert main(["joystick", "--list"]) == 0
    assert "/dev/input/event3  045e:028e  Microsoft X-Box 360 pad  " in capsys.readouterr().out


@pytest.mark.parametrize("argv", [[], ["--list"]])
def test_no_pad(pads, capsys, argv):
    assert "no gamepad found: plug one in, or pair it (bluetoothctl" in line(
        capsys, main(["joystick", *argv])
    )


def test_no_permission(pads, capsys, monkeypatch):
    pads["/dev/input/event3"] = FakePad()

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_evdev, "open_device", refuse)
    monkeypatch.setattr(_evdev.os, "access", lambda path, mode: False)
    fix = "run sudo usermod -aG input $USER and log in again"
    assert fix in line(capsys, main(["joystick"]))
    assert fix in line(capsys, main(["joystick", "--device", "/dev/input/event3"]))


def test_wrong_device(ask, capsys, tmp_path):
    message = line(capsys, main(["joystick", "--device", "/dev/input/event99"]))
    assert "/dev/input/event99: is no gamepad that answers (No such file or directory)" in message
    pad = FakePad(path="/dev/input/event1", name="A keyboard", axes={})
    code, _ = ask("--device", "/dev/input/event1", "--out", str(tmp_path / "x.json"), pad=pad)
    assert "has no axes; give a gamepad's --device" in line(capsys, code)


def test_no_keyboard(pads, capsys, monkeypatch, tmp_path):
    pads["/dev/input/event7"] = FakePad()
    monkeypatch.setattr("sys.stdin", None)
    code = main(["joystick", "--out", str(tmp_path / "x.json")])
    assert "it needs a keyboard" in line(capsys, code)


def test_nowhere_to_write(pads, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pads["/dev/input/event7"] = FakePad()
    assert "joystick: there is no car here; cd to one, or say where to: --out FILE" in line(
        capsys, main(["joystick"])
    )
    assert "name a file in a folder that exists" in line(capsys, main(["joystick", "--out", "a/b/c.json"]))
    assert "name a file in a folder that exists" in line(capsys, main(["joystick", "--out", str(tmp_path)]))
