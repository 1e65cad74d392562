"""Steering servo and ESC: pulses, the reverse sequence, rest."""

import math

import pytest

from dingocar.errors import HardwareError, UsageError
from dingocar.parts.actuators._chip import Chip
from dingocar.parts.actuators.servo_esc import ServoEsc

STEERING, THROTTLE = 1, 0


@pytest.fixture
def make(bus, clock):
    made = []

    def make(**settings):
        made.append(ServoEsc(bus, clock=clock, **({"watchdog_s": None} | settings)))
        return made[-1]

    yield make
    for car in made:
        car.shutdown()


@pytest.mark.parametrize(
    ("steering", "throttle", "pulses"),
    [
        (0, 0, (375, 370)),
        (-1, 1, (460, 500)),
        (1, -1, (290, 220)),
        (0.5, 0.5, (332, 435)),
        (-7, 7, (460, 500)),
        (7, -7, (290, 220)),
        (None, 0.5, (375, 370)),
        (0.5, None, (375, 370)),
        (math.nan, 0.5, (375, 370)),
        (0.5, math.inf, (375, 370)),
    ],
)
def test_pulses(chip, make, steering, throttle, pulses):
    car = make(reverse="direct")
    car.run(0.3, 0.3)
    car.run(steering, throttle)
    assert (chip.pulse(STEERING), chip.pulse(THROTTLE)) == pulses


def test_a_mid_off_the_middle_and_a_servo_the_other_way_round(chip, make):
    car = make(steering_left=250, steering_mid=400, steering_right=450)
    pulses = []
    for steering in (-1, -0.5, 0, 0.5, 1):
        car.run(steering, 0)
        pulses.append(chip.pulse(STEERING))
    assert pulses == [250, 325, 400, 425, 450]


def test_trim_moves_all_steering_and_stays_within_the_ends(chip, make):
    car = make(steering_trim=0.2)
    assert chip.pulse(STEERING) == 358
    for steering, pulse in ((0, 358), (-0.2, 375), (0.5, 316), (1, 290), (-1, 443)):
        car.run(steering, 0)
        assert chip.pulse(STEERING) == pulse


def test_the_channels_are_the_ones_asked_for(chip, make):
    make(steering_channel=14, throttle_channel=15).run(1, 1)
    assert (chip.pulse(14), chip.pulse(15)) == (290, 500)


def test_at_the_start_the_motor_gets_its_stopped_pulse_and_nothing_else(chip, make):
    make()
    assert [ticks for _, ticks in chip.history(THROTTLE)] == [0, 370]
    assert [ticks for _, ticks in chip.history(STEERING)] == [0, 375]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"steering_mid": 480}, "STEERING_MID must lie between STEERING_LEFT and STEERING_RIGHT.*calibrate"),
        ({"steering_mid": 460}, "STEERING_MID"),
        (
            {"throttle_stopped": 200},
            "THROTTLE_STOPPED must lie between THROTTLE_FORWARD and THROTTLE_REVERSE",
        ),
        ({"steering_left": 4096}, "STEERING_LEFT must be a pulse of 0 to 4095 ticks, got 4096"),
        ({"throttle_reverse": -1}, "THROTTLE_REVERSE"),
        ({"throttle_forward": 400.5}, "THROTTLE_FORWARD"),
        ({"steering_channel": 16}, "STEERING_CHANNEL"),
        ({"steering_channel": 0}, "THROTTLE_CHANNEL and STEERING_CHANNEL are both channel 0"),
        ({"steering_trim": 0.6}, "STEERING_TRIM"),
        ({"steering_trim": math.nan}, "STEERING_TRIM"),
        ({"reverse": "doubletap"}, "ESC_REVERSE.*did you mean 'double_tap'"),
        ({"watchdog_s": 0.0}, "ACTUATOR_MAX_AGE_S"),
    ],
)
def test_settings_that_do_not_fit_are_named_in_one_line(chip, make, settings, name):
    with pytest.raises(UsageError, match=name) as caught:
        make(**settings)
    assert "\n" not in str(caught.value)
    assert not chip.log  # and nothing has touched the chip


def drive(chip, clock, car, throttle, seconds, step_s=0.05):
    """Runs the car for a while; returns the different throttle pulses, in order."""
    seen = []
    for _ in range(round(seconds / step_s)):
        car.run(0, throttle)
        if not seen or seen[-1] != chip.pulse(THROTTLE):
            seen.append(chip.pulse(THROTTLE))
        clock.time_s += step_s
    return seen


def test_double_tap_is_reverse_stopped_reverse(chip, clock, make):
    car = make()
    assert drive(chip, clock, car, 0.5, 0.2) == [435]
    began_s = clock.time_s
    assert drive(chip, clock, car, -0.6, 0.1) == [280]
    assert drive(chip, clock, car, -0.6, 0.1) == [370]
    assert drive(chip, clock, car, -0.6, 1.0) == [280]
    assert clock.time_s - began_s == pytest.approx(1.2)
    # Rolling out and reversing again needs no second tap; driving forward does.
    assert drive(chip, clock, car, 0, 0.3) == [370]
    assert drive(chip, clock, car, -0.6, 0.3) == [280]
    drive(chip, clock, car, 0.1, 0.05)
    assert drive(chip, clock, car, -0.6, 0.5) == [280, 370, 280]


def test_a_tap_is_strong_enough_to_be_seen_and_noise_is_none(chip, clock, make):
    car = make()
    assert drive(chip, clock, car, -0.01, 0.5) == [370]
    assert drive(chip, clock, car, -0.1, 0.5) == [325, 370, 355]


def test_a_tap_that_was_cut_short_is_done_again(chip, clock, make):
    car = make()
    drive(chip, clock, car, -0.6, 0.05)
    drive(chip, clock, car, 0, 0.05)
    assert drive(chip, clock, car, -0.6, 0.5) == [280, 370, 280]
    drive(chip, clock, car, 0.1, 0.05)
    drive(chip, clock, car, -0.6, 0.15)
    car.neutral()
    assert drive(chip, clock, car, -0.6, 0.5) == [280, 370, 280]


def test_a_slow_loop_still_gives_the_whole_sequence(chip, clock, make):
    assert drive(chip, clock, make(), -0.6, 2, step_s=0.5) == [280, 370, 280]


def test_direct_and_no_reverse(chip, clock, make):
    assert drive(chip, clock, make(reverse="direct"), -0.6, 0.3) == [280]
    assert drive(chip, clock, make(reverse="none"), -0.6, 0.3) == [370]


def test_neutral_writes_throttle_first_whatever_was_written_before(chip, make):
    car = make()
    car.run(0, 0)
    before = len(chip.log)
    car.neutral()
    assert [entry[1] // 4 for entry in chip.log[before:]] == [1, 1, 2, 2, 2, 2, 3, 3]
    car.run(0.5, 0.5)
    car.neutral()
    assert (chip.pulse(STEERING), chip.pulse(THROTTLE)) == (375, 370)


def test_neutral_leaves_the_wheels_at_their_trim(chip, make):
    car = make(steering_trim=-0.1)
    car.run(1, 1)
    car.neutral()
    assert chip.pulse(STEERING) == 384


def test_a_chip_that_is_gone_is_an_error_and_neutral_is_tried(chip, make):
    car = make()
    car.run(0.5, 0.5)
    chip.nack_next(7)
    with pytest.raises(HardwareError, match="does not answer"):
        car.run(0.6, 0.6)
    assert (chip.pulse(STEERING), chip.pulse(THROTTLE)) == (375, 370)


def test_shutdown_rests_once_and_gives_the_chip_back(chip, make):
    car = make()
    car.run(1, 1)
    car.shutdown()
    assert (chip.pulse(STEERING), chip.pulse(THROTTLE)) == (375, 370)
    before = len(chip.log)
    car.shutdown()
    assert len(chip.log) == before
    make(frequency_hz=50).run(0, 0)


def test_after_a_stall_all_is_written_anew(chip, clock, make, monkeypatch):
    """The watchdog may have written neutral meanwhile."""
    monkeypatch.setattr(Chip, "REFRESH_S", 99)
    car = make(watchdog_s=10)
    for _ in range(5):
        car.run(0, 0.5)
    before = len(chip.log)
    clock.time_s += 4.9
    car.run(0, 0.5)
    assert len(chip.log) == before
    clock.time_s += 5.1
    for _ in range(5):  # and for a few loops more: it may be in the middle of writing
        car.run(0, 0.5)
    assert len(chip.log) == before + 3 * 8


def test_what_was_asked_for_before_a_stall_does_not_move_the_car_after_it(chip, clock, make, monkeypatch):
    """A process that was stopped comes back in the middle of a loop, with the command of then."""
    monkeypatch.setattr(Chip, "REFRESH_S", 99)
    car = make(watchdog_s=10)
    car.run(0.5, 0.5)
    clock.time_s += 10.1
    assert drive(chip, clock, car, 0.5, 0.05) == [370]
    assert drive(chip, clock, car, 0.5, 0.05) == [435]


def test_after_shutdown_it_moves_nothing(chip, make):
    first, second = make(), make()  # one chip, so it stays open
    first.run(0, 0.5)
    first.shutdown()
    with pytest.raises(HardwareError, match="was shut down"):
        first.run(0, 0.5)
    assert chip.pulse(THROTTLE) == 370
    second.run(0, 0.5)
    assert chip.pulse(THROTTLE) == 435
