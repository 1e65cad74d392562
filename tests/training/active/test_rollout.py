"""Episodes in the simulator: how they are judged, shared out over tracks, and repeated."""

import numpy as np
import pytest

from dingocar.errors import UnknownNameError, UsageError
from dingocar.sim import Expert, Randomisation, load_randomisation, load_track
from dingocar.training.active import Simulator
from dingocar.training.active.rollout import WINDOW

STRONG = load_randomisation("strong")


def expert_driver(track="oval"):
    """Looks at no picture, so that nothing is painted."""
    return Expert(load_track(track)).act


def simulator(driver, tracks=("oval",), **settings):
    return Simulator(driver, STRONG, tracks, **settings)


def drive(environment, n=4, seed=0):
    rng = np.random.default_rng(seed)
    return environment.drive(rng.random((n, environment.d)), rng)


def test_a_good_driver_does_not_fail_at_home():
    result = simulator(expert_driver()).reference(5, np.random.default_rng(0))
    assert not result.failed.any() and result.failure.max() < 0.2
    assert result.frames == 5 * 80
    assert [windows.shape for windows in result.windows] == [(80, WINDOW)] * 5


def test_a_driver_that_leaves_the_track_fails_and_the_rest_of_its_episode_counts():
    result = drive(simulator(lambda state: (np.ones_like(state.s_m), np.ones_like(state.s_m))))
    assert result.failed.all() and result.failure.min() > 0.4 and result.failure.max() < 0.99
    assert result.frames == sum(map(len, result.windows)) < 4 * 80
    for windows in result.windows:  # before each window's action the car was on the track
        assert np.abs(windows[:, 0]).max() <= 1


def test_a_driver_that_stands_still_fails():
    result = drive(simulator(lambda state: (0.0, 0.0)))
    assert result.failed.all()
    np.testing.assert_array_equal(result.failure, 1.0)


def test_windows_hold_the_action_between_two_states():
    commands = iter(np.tile([[0.0, 0.3], [0.2, 0.3]], (40, 1)))
    result = drive(simulator(lambda state: tuple(next(commands)), episode_s=1.0), n=1)
    windows = result.windows[0]
    np.testing.assert_array_equal(windows[1:, :3], windows[:-1, 6:])
    np.testing.assert_allclose(windows[:4, 3], [0.0, 0.2, 0.0, 0.2])
    np.testing.assert_allclose(windows[:4, 4], [0.0, 0.2, -0.2, 0.2])
    np.testing.assert_allclose(windows[:4, 5], 0.3)


def test_episodes_are_those_of_the_points_whatever_the_track():
    """The car whose battery is flat is the slow one, on either track."""
    slow = STRONG.names.index("speed_gain")
    seen = simulator(lambda state: (0.0, 0.3), ("oval", "circuit"), episode_s=0.5)
    points = np.full((6, seen.d), 0.5)
    points[:, slow] = [0, 1, 1, 0, 0, 1]
    speed = [windows[-1, 8] for windows in seen.drive(points, np.random.default_rng(0)).windows]
    assert (np.array(speed) > np.mean(speed)).tolist() == [False, True, True, False, False, True]


def test_the_same_seed_gives_the_same_episodes():
    first, again, other = (drive(simulator(expert_driver()), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.failure, again.failure)
    assert (first.failure != other.failure).all()


def test_the_driver_sees_pictures_of_its_size():
    shapes = []

    def driver(state):
        shapes.append(state.image.shape)
        return 0.0, 0.3

    drive(simulator(driver, picture=(60, 80), episode_s=0.1), n=2)
    assert shapes == [(2, 60, 80, 3)] * 2


def test_mistakes_are_told():
    with pytest.raises(UsageError, match="no ranges to search"):
        Simulator(expert_driver(), Randomisation())
    with pytest.raises(UsageError, match="at least two steps"):
        simulator(expert_driver(), episode_s=0.05)
    with pytest.raises(UnknownNameError):
        simulator(expert_driver(), look="flaat")
