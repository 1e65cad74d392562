"""Two motors: mixing, directions, dead band, rest."""

import pytest

from dingocar.errors import UsageError
from dingocar.parts.actuators.differential import Differential

LEFT, RIGHT = (8, 9, 10), (13, 11, 12)


@pytest.fixture
def make(bus, clock):
    made = []

    def make(**settings):
        made.append(Differential(bus, 0x40, clock=clock, watchdog_s=None, **settings))
        return made[-1]

    yield make
    for car in made:
        car.shutdown()


def power(chip, motor):
    """What a TB6612 does with these channels, in [-1, 1]; None: brake or nonsense."""
    pwm, in1, in2 = (chip.pulse(channel) for channel in motor)
    direction = {(4096, 0): 1, (0, 4096): -1, (0, 0): 0}.get((in1, in2))
    return None if direction is None else direction * pwm / 4095


@pytest.mark.parametrize(
    ("steering", "throttle", "left", "right"),
    [
        (0, 0, 0, 0),
        (0, 1, 1, 1),
        (0, -0.5, -0.5, -0.5),
        (1, 1, 1, 0),
        (-1, 1, 0, 1),
        (0.5, 0.8, 0.8, 0.4),
        (-0.5, -0.8, -0.4, -0.8),
        (1, 0, 0, 0),  # it does not turn on the spot
        (None, 1, 0, 0),
        (0, float("nan"), 0, 0),
        (3, 9, 1, 0),
    ],
)
def test_mixing(chip, make, steering, throttle, left, right):
    car = make()
    car.run(0, 0.3)
    car.run(steering, throttle)
    assert (power(chip, LEFT), power(chip, RIGHT)) == pytest.approx((left, right), abs=1e-3)


def test_trim_takes_power_from_one_side(chip, make):
    for trim, left, right in ((0.2, 1, 0.8), (-0.1, 0.9, 1)):
        car = make(trim=trim)
        car.run(0, 1)
        assert (power(chip, LEFT), power(chip, RIGHT)) == pytest.approx((left, right), abs=1e-3)
        car.shutdown()


def test_throttle_starts_at_the_dead_band(chip, make):
    car = make(deadband=0.4)
    for throttle, expected in ((0.001, 0.4), (-0.001, -0.4), (0.5, 0.7), (1, 1), (0, 0)):
        car.run(0, throttle)
        assert power(chip, LEFT) == pytest.approx(expected, abs=2e-3)


def test_a_motor_has_no_power_while_it_changes_its_direction(chip, make):
    car = make(left_motor="0,1,2", right_motor="5,3,4")
    car.run(0, 0.5)
    before = len(chip.log)
    car.run(0, -0.5)
    order = [(entry[1] - 6) // 4 for entry in chip.log[before:]][::4]
    assert order == [0, 1, 2, 0, 5, 3, 4, 5]
    history = [ticks for _, ticks in chip.history(0)]
    assert history[-3:] == [2048, 0, 2048]


def test_neutral_switches_all_off_power_first(chip, make):
    car = make()
    car.run(0, 1)
    before = len(chip.log)
    car.neutral()
    assert [chip.pulse(channel) for channel in (*LEFT, *RIGHT)] == [0] * 6
    assert [(entry[1] - 6) // 4 for entry in chip.log[before:]][::4] == [8, 13, 9, 10, 11, 12]
    car.run(0, 1)
    assert power(chip, LEFT) == 1


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"left_motor": "8,9"}, "LEFT_MOTOR must be three channels"),
        ({"right_motor": "8,9,x"}, "RIGHT_MOTOR"),
        ({"right_motor": None}, "RIGHT_MOTOR"),
        ({"left_motor": "8,9,16"}, "LEFT_MOTOR must be a channel"),
        ({"left_motor": "8,9,13"}, "RIGHT_MOTOR and LEFT_MOTOR are both channel 13"),
        ({"trim": 0.7}, "MOTOR_TRIM"),
        ({"deadband": 1.0}, "MOTOR_DEADBAND"),
    ],
)
def test_settings_that_do_not_fit(make, settings, name):
    with pytest.raises(UsageError, match=name):
        make(**settings)
