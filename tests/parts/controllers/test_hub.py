"""Who drives, when, and in which mode: every case of two controllers and one car."""

import math
import threading

import pytest

from dingocar.errors import UsageError
from dingocar.parts.controllers.hub import ControllerHub
from tests.fakes.clock import FakeClock

NAN, INF = math.nan, math.inf
OUTPUTS = ("angle", "throttle", "mode", "age_s", "armed", "source", "launch", "recording")


class Table:
    """A hub with two controllers, `web` and `pad`, and a clock; each line of a case does one thing.

    Lines are `(controller, what, *arguments)`, `("wait", seconds)`, or `("is", {output: value})`.
    """

    def __init__(self, **options):
        self.clock = FakeClock()
        self.erased = []
        options = {"on_erase": self.erased.append} | options
        self.hub = ControllerHub(clock=self.clock, **options)

    def run(self):
        return dict(zip(OUTPUTS, self.hub.run(), strict=True))

    def play(self, *lines):
        for number, (who, what, *arguments) in enumerate(lines):
            if who == "wait":
                self.clock.time_s += what
            elif who == "is":
                got = self.run()
                shown = {name: got[name] for name in what}
                assert shown == pytest.approx(what), f"line {number + 1}: {shown} instead of {what}"
            else:
                getattr(self.hub.source(who), what)(*arguments)


REST, PUSH, HELD = (0.0, 0.0), (0.0, 0.5), (0.2, 0.4)


def drives(who, throttle=0.5):
    return "is", {"source": who, "throttle": throttle, "armed": True}


HELD_BACK = ("is", {"throttle": 0.0, "armed": False})
NOBODY = ("is", {"source": "", "throttle": 0.0, "angle": 0.0, "armed": False, "age_s": INF})

CASES = {
    "nobody is there": [NOBODY],
    "the sticks arrive": [
        ("web", "command", *REST),
        ("is", {"source": "web", "throttle": 0.0, "armed": True, "age_s": 0.0}),
        ("web", "command", -0.3, 0.7),
        ("is", {"angle": -0.3, "throttle": 0.7}),
    ],
    "values out of range are clipped": [
        ("web", "command", *REST),
        ("web", "command", 7.0, -7.0),
        ("is", {"angle": 1.0, "throttle": -1.0}),
    ],
    "held from the start: neutral until it was released once": [
        ("pad", "command", *PUSH),
        ("is", {"source": "pad", "throttle": 0.0, "armed": False}),
        ("pad", "command", 0.0, 0.1),
        HELD_BACK,
        ("pad", "command", 0.0, 0.04),
        ("pad", "command", *PUSH),
        drives("pad"),
    ],
    "steering does not hinder arming": [
        ("pad", "command", 1.0, 0.0),
        ("pad", "command", 1.0, 0.5),
        drives("pad"),
    ],
    "a broken command is neutral and does not arm": [
        ("web", "command", 0.5, NAN),
        ("is", {"source": "web", "angle": 0.0, "throttle": 0.0, "armed": False}),
        ("web", "alive"),
        HELD_BACK,
        ("web", "command", *REST),
        ("web", "command", INF, 0.5),
        ("is", {"angle": 0.0, "throttle": 0.0}),
    ],
    "an absent pad silences nobody": [
        ("pad", "released"),
        ("web", "command", *REST),
        ("web", "command", *PUSH),
        drives("web"),
        ("pad", "released"),
        drives("web"),
    ],
    "a pad plugged in later does not disturb": [
        ("web", "command", *REST),
        ("web", "command", *PUSH),
        ("pad", "command", *REST),
        ("pad", "alive"),
        drives("web"),
    ],
    "a pad plugged in with its stick held does not take over": [
        ("web", "command", *REST),
        ("web", "command", *PUSH),
        ("pad", "command", 0.0, -0.8),
        ("pad", "command", 0.0, 0.8),
        drives("web"),
    ],
    "the one touched last drives": [
        ("web", "command", *REST),
        ("pad", "command", *REST),
        ("web", "command", *PUSH),
        ("pad", "command", 0.3, 0.0),
        ("is", {"source": "pad", "angle": 0.3, "throttle": 0.0}),
        ("web", "command", *PUSH),  # held as it was: no touch
        ("is", {"source": "pad", "throttle": 0.0}),
        ("web", "command", 0.0, 0.6),
        drives("web", 0.6),
    ],
    "letting go is no touch": [
        ("web", "command", *REST),
        ("web", "command", *PUSH),
        ("pad", "command", *REST),
        ("pad", "command", *HELD),
        ("web", "command", *REST),
        drives("pad", 0.4),
    ],
    "a stick that trembles is no touch": [
        ("web", "command", *REST),
        ("pad", "command", *REST),
        ("web", "command", *PUSH),
        *[("pad", "command", 0.02 * (-1) ** n, 0.01) for n in range(6)],
        drives("web"),
    ],
    "a stick moved slowly is a touch": [
        ("web", "command", *REST),
        ("pad", "command", *REST),
        *[("pad", "command", 0.01 * n, 0.0) for n in range(7)],
        ("is", {"source": "pad"}),
    ],
    "a button is a touch": [
        ("web", "command", *REST),
        ("pad", "command", *REST),
        ("pad", "recording", True),
        ("is", {"source": "pad", "recording": True}),
    ],
    "an unarmed one's button counts, but it does not take over": [
        ("web", "command", *REST),
        ("web", "command", *PUSH),
        ("pad", "command", *PUSH),
        ("pad", "recording", False),
        ("is", {"source": "web", "throttle": 0.5, "recording": False}),
    ],
    "the driver goes: neutral at once, the other's held stick is not jumped to": [
        ("pad", "command", *REST),
        ("pad", "command", *HELD),
        ("web", "command", *REST),
        ("web", "command", *PUSH),  # the web page drives; the pad is held, and armed
        ("pad", "command", *HELD),
        drives("web"),
        ("web", "released"),
        NOBODY,
        ("pad", "command", *HELD),
        ("is", {"source": "pad", "throttle": 0.0, "armed": False}),
        ("pad", "command", 0.2, 0.8),
        HELD_BACK,
        ("pad", "command", *REST),
        ("pad", "command", *PUSH),
        drives("pad"),
    ],
    "the driver goes: the other, at rest, can drive at once": [
        ("web", "command", *REST),
        ("pad", "command", *REST),
        ("pad", "command", *PUSH),
        ("pad", "released"),
        NOBODY,
        ("web", "command", *REST),
        ("is", {"source": "web", "armed": True}),
        ("web", "command", *PUSH),
        drives("web"),
    ],
    "someone else goes: nothing happens": [
        ("web", "command", *REST),
        ("pad", "command", *REST),
        ("pad", "command", *PUSH),
        ("web", "mode", "local_angle"),
        ("pad", "command", 0.0, 0.6),
        ("web", "released"),
        ("is", {"source": "pad", "throttle": 0.6, "mode": "local_angle"}),
    ],
    "silence: no throttle after 0.12 s, no driver after 0.5 s, and then it must arm again": [
        ("web", "command", *REST),
        ("web", "command", *HELD),
        ("wait", 0.11),
        drives("web", 0.4),
        ("wait", 0.02),
        ("is", {"source": "web", "throttle": 0.0, "angle": 0.2, "armed": True, "age_s": 0.13}),
        ("wait", 0.36),
        ("is", {"source": "web", "age_s": 0.49}),
        ("wait", 0.02),
        NOBODY,
        ("web", "command", *HELD),
        ("is", {"source": "web", "throttle": 0.0, "armed": False}),
    ],
    "a short silence needs no new arming": [
        ("web", "command", *REST),
        ("web", "command", *PUSH),
        ("wait", 0.4),
        ("is", {"throttle": 0.0}),
        ("web", "alive"),
        drives("web"),
    ],
    "silence that the loop did not see counts too": [
        ("web", "command", *REST),
        ("web", "command", *PUSH),
        ("wait", 0.6),
        ("web", "command", *PUSH),
        HELD_BACK,
    ],
    "signs of life keep a held stick": [
        ("pad", "command", *REST),
        ("pad", "command", *PUSH),
        *[("wait", 0.1), ("pad", "alive"), drives("pad")] * 10,
    ],
    "a sign of life without any sticks does not arm": [("pad", "alive"), HELD_BACK],
    "coming back at rest arms by itself": [
        ("pad", "command", *REST),
        ("wait", 0.6),
        NOBODY,
        ("pad", "alive"),
        ("is", {"source": "pad", "armed": True}),
    ],
    "after released() the old position counts for nothing": [
        ("pad", "command", *REST),
        ("pad", "released"),
        ("pad", "alive"),
        HELD_BACK,
    ],
    "autonomy ends with its driver's loss, and does not resume": [
        ("pad", "command", *REST),
        ("pad", "mode", "local"),
        ("is", {"mode": "local", "armed": True}),
        ("web", "command", *REST),
        ("pad", "released"),
        ("is", {"mode": "user", "armed": False}),
        ("pad", "command", *REST),
        ("is", {"mode": "user", "armed": True, "source": "pad"}),
    ],
    "autonomy ends with its driver's silence": [
        ("pad", "command", *REST),
        ("pad", "mode", "local"),
        ("wait", 0.13),
        ("is", {"mode": "local", "age_s": 0.13}),
        ("wait", 0.4),
        ("is", {"mode": "user"}),
    ],
    "an emergency stop, from whoever, stops all until they release": [
        ("pad", "command", *REST),
        ("pad", "mode", "local"),
        ("pad", "command", *PUSH),
        ("pad", "launch"),
        ("web", "stop"),
        ("is", {"mode": "user", "throttle": 0.0, "armed": False, "source": "pad", "launch": False}),
        ("pad", "command", *PUSH),
        HELD_BACK,
        ("pad", "command", *REST),
        ("pad", "command", *PUSH),
        drives("pad"),
    ],
    "modes one after the other": [
        ("pad", "next_mode"),
        ("is", {"mode": "local_angle"}),
        ("pad", "next_mode"),
        ("is", {"mode": "local"}),
        ("pad", "next_mode"),
        ("is", {"mode": "user"}),
    ],
    "a launch is told once": [
        ("pad", "launch"),
        ("is", {"launch": True}),
        ("is", {"launch": False}),
    ],
    "a neutral that is none: no arming, no constant throttle": [
        ("pad", "command", *PUSH),
        ("pad", "rest", 0.3),
        ("is", {"angle": 0.3, "throttle": 0.0, "armed": False, "age_s": 0.0}),
        ("pad", "command", *REST),
        ("pad", "constant_throttle", 0.3),
        drives("pad", 0.3),
        ("pad", "rest", NAN),
        ("is", {"angle": 0.0, "throttle": 0.0, "armed": True}),
        ("pad", "command", *PUSH),
        drives("pad"),
        ("pad", "rest", 0.0, True),
        HELD_BACK,
        ("pad", "command", *PUSH),
        HELD_BACK,
    ],
    "such a neutral does not come to drive armed": [
        ("web", "command", *REST),
        ("pad", "command", *REST),
        ("pad", "command", *PUSH),
        ("web", "command", 0.3, 0.0),
        ("pad", "rest", 0.0),
        ("web", "released"),
        ("pad", "rest", 0.0),
        ("pad", "command", *PUSH),
        HELD_BACK,
    ],
}


@pytest.mark.parametrize("case", CASES)
def test_arbitration(case):
    Table().play(*CASES[case])


BEGIN = [("web", "command", *REST), ("web", "constant_throttle", 0.3), drives("web", 0.3)]
OFF = ("is", {"throttle": 0.0})

CONSTANT = {
    "a small push or none leaves it": [("web", "command", 0.4, 0.0), drives("web", 0.3)],
    "the brake": [("web", "command", 0.0, -0.2), ("web", "command", *REST), OFF],
    "stop": [("web", "stop"), ("web", "command", *REST), OFF],
    "a change of mode": [("web", "mode", "local_angle"), OFF],
    "the same mode again leaves it": [("web", "mode", "user"), drives("web", 0.3)],
    "its source is released": [("web", "released"), ("web", "command", *REST), OFF],
    "its source is silent": [("wait", 0.13), OFF, ("wait", 0.5), OFF, ("web", "command", *REST), OFF],
    "another takes over": [("pad", "command", *REST), ("pad", "command", 0.2, 0.0), OFF],
    "switched off": [("web", "constant_throttle", None), OFF],
    "zero": [("web", "constant_throttle", 0.0), OFF],
    "no number": [("web", "constant_throttle", NAN), OFF],
    "toggled": [("web", "toggle_constant_throttle", 0.5), OFF],
    "changed": [("web", "constant_throttle", 0.4), drives("web", 0.4)],
    "too much": [("web", "constant_throttle", 4.0), drives("web", 1.0)],
    "an unarmed other cannot start its own": [
        ("pad", "command", *PUSH),
        ("pad", "constant_throttle", 0.9),
        OFF,
    ],
}


@pytest.mark.parametrize("case", CONSTANT)
def test_constant_throttle_ends(case):
    Table().play(*BEGIN, *CONSTANT[case])


def test_an_unarmed_controller_cannot_start_constant_throttle():
    Table().play(("pad", "command", *PUSH), ("pad", "constant_throttle", 0.3), HELD_BACK)


def test_without_user_drive_keeps_the_mode():
    table = Table(start_mode="local", without_user="drive")
    table.play(
        ("is", {"mode": "local"}),
        ("web", "command", *REST),
        ("web", "released"),
        ("is", {"mode": "local"}),
        ("web", "command", *REST),
        ("wait", 0.6),
        ("is", {"mode": "local"}),
        ("web", "stop"),
        ("is", {"mode": "user"}),
    )


@pytest.mark.parametrize("ask", [ControllerHub, ControllerHub().source("web").mode])
def test_unknown_mode(ask):
    with pytest.raises(UsageError, match=r"unknown drive mode 'locl'; did you mean 'local'\?"):
        ask("locl")


def test_one_handle_per_name():
    hub = ControllerHub()
    assert hub.source("web") is hub.source("web")
    assert hub.source("web") is not hub.source("pad")


def test_threads_do_not_mix_up_commands():
    """Whatever two threads do, the loop sees whole commands of one controller only."""
    hub = ControllerHub(clock=FakeClock())  # a pause of this process is no silence of theirs
    done = threading.Event()

    def steer(name, sign):
        source = hub.source(name)
        while not done.is_set():
            source.command(0.0, 0.0)
            source.command(sign * 0.5, sign * 0.5)

    threads = [threading.Thread(target=steer, args=args) for args in (("web", 1), ("pad", -1))]
    for thread in threads:
        thread.start()
    try:
        seen = [hub.run() for _ in range(3000)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    for angle, throttle, _, _, armed, name, _, _ in seen:
        if name:
            assert armed
            assert angle == throttle
            assert angle in (0.0, 0.5 if name == "web" else -0.5)
