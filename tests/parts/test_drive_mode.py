"""Who drives, and what a broken answer does."""

import pytest

from dingocar.errors import UsageError
from dingocar.parts.drive_mode import DriveMode, PilotCondition

NAN = float("nan")


@pytest.mark.parametrize(
    "mode, expected",
    [("user", (0.1, 0.2)), (None, (0.1, 0.2)), ("local_angle", (0.3, 0.2)), ("local", (0.3, 0.4))],
)
def test_modes(mode, expected):
    assert DriveMode().run(mode, 0.1, 0.2, 0.3, 0.4) == expected


@pytest.mark.parametrize(
    "inputs, expected",
    [
        (("local", 0.1, 0.2, NAN, 0.4), (0.0, 0.0)),
        (("local", 0.1, 0.2, None, None), (0.0, 0.0)),
        (("local_angle", 0.1, 0.2, NAN, 0.4), (0.0, 0.0)),
        (("local", 0.1, 0.2, 0.3, NAN), (0.3, 0.0)),
        (("local", 0.1, 0.2, 0.3, float("inf")), (0.3, 0.0)),
        (("user", None, None, 0.3, 0.4), (0.0, 0.0)),
        (("user", -7.0, 7.0, 0.3, 0.4), (-1.0, 1.0)),
    ],
)
def test_no_answer_is_no_throttle(inputs, expected):
    assert DriveMode().run(*inputs) == expected


def test_the_pilots_throttle_is_scaled_and_stays_in_range():
    assert DriveMode(0.5).run("local", 0.1, 0.2, 0.3, 0.4) == (0.3, 0.2)
    assert DriveMode(2.0).run("local", 0.1, 0.2, 0.3, 0.9) == (0.3, 1.0)
    assert DriveMode(0.5).run("user", 0.1, 0.2, 0.3, 0.4) == (0.1, 0.2)


def test_unknown_mode():
    with pytest.raises(UsageError, match=r"unknown drive mode 'local_angel'; did you mean 'local_angle'\?"):
        DriveMode().run("local_angel", 0, 0, 0, 0)


def test_pilot_is_run_when_it_drives():
    assert [PilotCondition().run(mode) for mode in (None, "user", "local_angle", "local")] == [
        False,
        False,
        True,
        True,
    ]
