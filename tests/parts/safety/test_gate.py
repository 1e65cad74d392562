"""The gate: what holds the car, what it says, how the throttle grows."""

import math

import pytest

from dingocar.parts.controllers.hub import ControllerHub
from dingocar.parts.safety.gate import SafetyGate
from tests.fakes.clock import FakeClock

NAN, INF = math.nan, math.inf
#: steering, throttle, mode, user age, armed, camera age, pilot latency: all is well.
WELL = {
    "steering": 0.3,
    "throttle": 0.1,
    "mode": "user",
    "age": 0.05,
    "armed": True,
    "cam": 0.03,
    "pilot": 0.02,
}


def gate(**options):
    return SafetyGate(20, **options)


def run(of, **changes):
    return of.run(*(WELL | changes).values())


def test_all_is_well():
    assert run(gate()) == (0.3, 0.1, "")


@pytest.mark.parametrize(
    "changes, state",
    [
        ({"age": INF}, "no controller"),
        ({"age": None}, "no controller"),
        ({"age": NAN}, "no controller"),
        ({"age": 0.31}, "controller silent for 0.3 s"),
        ({"age": 0.121}, "controller silent for 0.1 s"),
        ({"armed": False}, "release the throttle once to arm"),
        ({"armed": None}, "release the throttle once to arm"),
        ({"mode": None}, "no drive mode yet"),
        ({"cam": 0.43}, "camera picture is 0.4 s old"),
        ({"cam": INF}, "no camera picture yet"),
        ({"cam": None}, "no camera picture yet"),
        ({"cam": NAN}, "no camera picture yet"),
        ({"mode": "local", "pilot": 0.25}, "the pilot needed 0.25 s"),
        ({"mode": "local_angle", "pilot": 0.25}, "the pilot needed 0.25 s"),
        ({"mode": "local", "pilot": None}, "no answer from a pilot"),
        ({"mode": "local", "pilot": NAN}, "no answer from a pilot"),
        ({"mode": "local", "age": INF}, "no controller"),
        ({"mode": "local", "armed": False}, "release the throttle once to arm"),
        ({"mode": "local_angle", "age": 0.2}, "controller silent for 0.2 s"),
        ({"mode": "local", "age": 0.09, "pilot": 0.04}, "controller silent for 0.1 s"),
        ({"mode": "local_angle", "cam": 0.09, "pilot": 0.04}, "camera picture is 0.1 s old"),
        ({"throttle": None}, "no throttle command"),
        ({"throttle": NAN}, "no throttle command"),
        ({"throttle": INF}, "no throttle command"),
        ({"steering": None}, "no steering command"),
        ({"steering": NAN}, "no steering command"),
    ],
)
@pytest.mark.parametrize("throttle", [0.1, -0.1])
def test_held(changes, state, throttle):
    of = gate()
    run(of)
    steering, held, said = run(of, **{"throttle": throttle} | changes)
    assert (held, said) == (0.0, state)
    assert steering == (0.0 if "steering" in changes else 0.3)
    # And goes on when it is over.
    assert run(of) == (0.3, 0.1, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"age": 0.12},
        {"cam": 0.12},
        {"mode": "local", "pilot": 0.1, "age": 0.01, "cam": 0.01},
        {"mode": "local", "age": 0.099, "cam": 0.099},
        {"pilot": 9.0},  # in user mode no pilot has a say
        {"pilot": None},
    ],
)
def test_not_held(changes):
    assert run(gate(), **changes) == (0.3, 0.1, "")


def test_all_at_once_names_the_controller_first():
    assert gate().run(None, None, None, None, None, None, None) == (0.0, 0.0, "no drive mode yet")
    assert run(gate(), age=INF, cam=INF, pilot=NAN, throttle=NAN)[2] == "no controller"


def test_limits_are_its_arguments():
    of = gate(command_max_age_s=1.0, camera_max_age_s=2.0, pilot_max_latency_s=3.0)
    assert run(of, age=1.0, cam=2.0)[2] == run(of, mode="local", age=0.5, cam=1.5, pilot=0.5)[2] == ""
    assert (
        run(of, age=1.1)[2]
        and run(of, cam=2.1)[2]
        and run(of, mode="local", pilot=3.1)[2] == "the pilot needed 3.10 s"
    )


def test_no_camera_to_watch():
    assert run(gate(camera_max_age_s=INF), cam=None)[2] == ""


@pytest.mark.parametrize(
    "mode, state", [("user", "no controller"), ("local_angle", "no controller"), ("local", "")]
)
def test_a_pilot_alone(mode, state):
    of = gate(without_user="drive")
    assert run(of, mode=mode, age=INF, armed=False)[2] == state
    assert run(of, mode="local", age=INF, cam=0.5)[2] == "camera picture is 0.5 s old"


def test_throttle_limit():
    of = gate(throttle_limit=0.3, ramp_per_s=1000)
    assert run(of, throttle=0.9)[1] == 0.3
    assert run(of, throttle=-0.9)[1] == -0.3
    assert run(of, throttle=0.2)[1] == 0.2


def test_steering_is_clipped():
    assert run(gate(), steering=7.0)[0] == 1.0
    assert run(gate(), steering=-7.0)[0] == -1.0


def test_ramp():
    """4 per second at 20 loops per second: 0.2 per loop; down at once; a reversal starts from 0."""
    of = gate(ramp_per_s=4.0)
    asked = [1.0, 1.0, 1.0, 0.3, 0.9, -0.9, -0.9, 0.0, 0.1, -0.1, 1.0]
    expected = [0.2, 0.4, 0.6, 0.3, 0.5, -0.2, -0.4, 0.0, 0.1, -0.1, 0.2]
    assert [run(of, throttle=each)[1] for each in asked] == pytest.approx(expected)


def test_after_a_hold_the_ramp_begins_anew():
    of = gate(ramp_per_s=4.0)
    for _ in range(5):
        run(of, throttle=1.0)
    assert run(of, throttle=1.0, cam=1.0)[1] == 0.0
    assert run(of, throttle=1.0)[1] == pytest.approx(0.2)


@pytest.mark.parametrize(
    "options",
    [{"throttle_limit": 1.1}, {"throttle_limit": NAN}, {"ramp_per_s": 0}, {"without_user": "go"}],
)
def test_arguments_are_checked(options):
    with pytest.raises(ValueError, match="must be"):
        gate(**options)


def test_changes_are_logged_once(caplog):
    caplog.set_level("INFO")
    of = gate()
    for age in (0.05, 0.2, 0.3, 0.05):
        run(of, age=age)
    assert [record.message for record in caplog.records] == [
        "the car is held: controller silent for 0.2 s",
        "the car may drive",
    ]


@pytest.mark.parametrize("phase_s", [0.0, 0.001, 0.01, 0.02, 0.03, 0.04, 0.049])
def test_from_the_last_command_to_neutral(phase_s):
    """With the defaults and 20 Hz it takes less than 200 ms, wherever in a loop the silence begins."""
    clock = FakeClock()
    hub, of = ControllerHub(clock=clock), gate()
    source = hub.source("web")
    source.command(0.0, 0.0)
    last_s = clock.time_s + 1.0
    throttle = 0.0
    for loop in range(40):
        loop_s = 100.0 + loop * 0.05 + phase_s
        while clock.time_s < min(loop_s, last_s):
            clock.time_s = min(clock.time_s + 0.05, loop_s, last_s)
            source.command(0.0, 0.8)
        clock.time_s = loop_s
        angle, wanted, mode, age_s, armed, *_ = hub.run()
        before, (_, throttle, _) = throttle, of.run(angle, wanted, mode, age_s, armed, 0.03, None)
        if before > 0 and throttle == 0:
            break
    assert before == 0.8
    assert loop_s - last_s < 0.2


@pytest.mark.parametrize("phase_s", [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
def test_from_the_last_command_to_neutral_with_a_slow_pilot(phase_s):
    """A pilot that takes longer than a loop should runs between the hub and the gate."""
    clock = FakeClock()
    hub, of = ControllerHub(start_mode="local", clock=clock), gate()
    source = hub.source("web")
    pilot_s, last_s = 0.065, 100.5 + phase_s
    sent_s = [*(100.0 + 0.025 * number for number in range(20)), last_s]
    throttle = 0.0
    for _ in range(40):
        loop_s = clock.time_s
        while sent_s and sent_s[0] <= loop_s:
            clock.time_s = sent_s.pop(0)
            source.command(0.0, 0.0)
        clock.time_s = loop_s
        _, _, mode, age_s, armed, *_ = hub.run()
        clock.time_s += pilot_s
        before, (_, throttle, _) = throttle, of.run(0.1, 0.8, mode, age_s, armed, 0.03, pilot_s)
        if before > 0 and throttle == 0:
            break
    assert before == 0.8
    assert clock.time_s - last_s < 0.2
