"""The push at the start of autonomous driving."""

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


def test_before_the_pilot_has_answered():
    launch = AiLaunch(0.05, PUSH, 20)
    assert launch.run(None, None, None) is None
    assert launch.run("local", None, None) == PUSH
    assert launch.run("local", None, None) is None
