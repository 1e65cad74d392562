"""The push at the start of autonomous driving."""

import math

import pytest

from dingocar.parts.launch import AiLaunch

PUSH, OWN = 0.9, 0.2


def throttles(launch, modes, asked=()):
    return [launch.run(mode, number in asked, OWN) for number, mode in enumerate(modes)]


@pytest.mark.parametrize(
    "modes, asked, expected",
    [
        ("user local local local local", (), [OWN, PUSH, PUSH, PUSH, OWN]),
        ("local local local local", (), [PUSH, PUSH, PUSH, OWN]),
        ("local local user local local", (), [PUSH, PUSH, OWN, PUSH, PUSH]),
        ("local local user user", (), [PUSH, PUSH, OWN, OWN]),
        ("local_angle local_angle", (0,), [OWN, OWN]),
        ("user user local", (0,), [OWN, OWN, PUSH]),
        ("local local local local local local local", (5,), [PUSH, PUSH, PUSH, OWN, OWN, PUSH, PUSH]),
        ("local local local local local", (1,), [PUSH, PUSH, PUSH, PUSH, OWN]),
    ],
)
def test_launch(modes, asked, expected):
    assert throttles(AiLaunch(0.15, PUSH, 20), modes.split(), asked) == expected


def test_no_duration_no_launch():
    assert throttles(AiLaunch(0.0, PUSH, 20), ["local"] * 3, (1,)) == [OWN] * 3


@pytest.mark.parametrize("answer", [None, math.nan, math.inf])
def test_a_pilot_that_does_not_answer_is_not_replaced(answer):
    launch = AiLaunch(0.15, PUSH, 20)
    assert launch.run(None, None, answer) is answer
    assert launch.run("local", None, answer) is answer
    assert launch.run("local", None, OWN) == PUSH
