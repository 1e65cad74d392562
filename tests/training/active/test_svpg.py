"""The particles: uphill, apart, and with every step of a walk counted."""

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.training.active import SvpgSettings
from dingocar.training.active.svpg import Svpg, kernel, svgd_direction

SMALL = SvpgSettings(particles=4, rollout_length=5, hidden=(8, 8))


def spread(thetas):
    """Mean distance between two particles."""
    apart = np.linalg.norm(thetas[:, None] - thetas[None], axis=-1)
    return apart[~np.eye(len(thetas), dtype=bool)].mean()


def test_kernel_and_repulsion_agree_with_their_definition():
    rng = np.random.default_rng(0)
    thetas = rng.normal(size=(5, 3))
    k, repulsion = kernel(thetas)
    squares = ((thetas[:, None] - thetas[None]) ** 2).sum(-1)
    h = np.median(squares[~np.eye(5, dtype=bool)]) / np.log(6)
    np.testing.assert_allclose(k, np.exp(-squares / h))
    eps = 1e-6
    for i in range(5):
        total = np.zeros(3)
        for j in range(5):
            for axis, unit in enumerate(np.eye(3)):
                ahead, behind = (
                    np.exp(-(((thetas[j] + s * eps * unit - thetas[i]) ** 2).sum()) / h) for s in (1, -1)
                )
                total[axis] += (ahead - behind) / (2 * eps)
        np.testing.assert_allclose(repulsion[i], total, atol=1e-7)


def test_without_reward_particles_spread():
    thetas = np.random.default_rng(1).normal(size=(10, 4))
    distances = [spread(thetas)]
    for _ in range(50):
        thetas = thetas + 0.1 * svgd_direction(thetas, np.zeros_like(thetas))
        distances.append(spread(thetas))
    assert (np.diff(distances) > 0).all()


def test_without_reward_policies_spread():
    search = Svpg(3, np.random.default_rng(2), SMALL)
    before = spread(search.thetas)
    for _ in range(30):
        search.propose()
        search.learn(np.zeros(20))
    assert spread(search.thetas) > 1.02 * before


def test_with_reward_particles_sample_the_target():
    """Stein's descent on a normal distribution of mean 2, deviation 0.5: both moments come out."""
    thetas = np.random.default_rng(3).normal(size=(60, 1))
    for _ in range(1500):
        thetas = thetas + 0.05 * svgd_direction(thetas, -(thetas - 2) / 0.25)
    assert abs(thetas.mean() - 2) < 0.05
    assert abs(thetas.std() - 0.5) < 0.1


def test_policy_gradient_agrees_with_finite_differences():
    search = Svpg(2, np.random.default_rng(4), SMALL)
    search.propose()
    steps, advantages = search._steps, np.random.default_rng(5).normal(size=5)
    theta, eps = search.thetas[1], 1e-5
    gradient = search.policy_gradient(1, steps, advantages)
    differences = [
        (
            search.surrogate(1, theta + eps * unit, steps, advantages)
            - search.surrogate(1, theta - eps * unit, steps, advantages)
        )
        / (2 * eps)
        for unit in np.eye(len(theta))
    ]
    np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-6)


def test_advantages_are_discounted_sums_of_every_step():
    search = Svpg(2, np.random.default_rng(6), SvpgSettings(particles=1, gamma=0.5, gae_lambda=1.0))
    search.propose()
    steps = search._steps
    advantages, returns = search.advantages(0, steps, np.array([0.0, 0.0, 0.0, 0.0, 8.0]))
    seen = np.concatenate([steps.states[0], steps.arrived[0][-1:]])
    values = search.critic.forward(search.critics[0], seen)[0][:, 0]
    np.testing.assert_allclose(returns[0], 8 * 0.5**4 + values[-1] * 0.5**5)
    np.testing.assert_allclose(advantages, returns - values[:-1])


def test_walks_stay_in_the_cube_and_step_no_farther_than_allowed():
    search = Svpg(
        3, np.random.default_rng(7), SvpgSettings(particles=4, hidden=(8,), horizon=10, max_step=0.1)
    )
    ends = None
    for walk in range(4):
        points = search.propose().reshape(4, 5, 3)
        steps = search._steps
        assert ((points >= 0) & (points <= 1)).all()
        assert np.abs(steps.arrived - steps.states).max() <= 0.1 + 1e-12
        np.testing.assert_array_equal(steps.states[:, 1:], steps.arrived[:, :-1])
        if walk in (1, 3):  # goes on where it was; at the horizon, before 2, it begins anew
            np.testing.assert_array_equal(steps.states[:, 0], ends)
        if walk == 2:
            assert np.abs(steps.states[:, 0] - ends).max() > 0.1
        ends = points[:, -1]


def test_a_walk_without_reward_is_even():
    """Nothing but the reward may draw particles to the walls."""
    settings = SvpgSettings(particles=20, hidden=(8,), horizon=10**6)
    search = Svpg(2, np.random.default_rng(10), settings)
    points = np.concatenate([search.propose() for _ in range(200)])
    counts, _ = np.histogram(points, 10, (0, 1))
    assert (np.abs(counts / counts.mean() - 1) < 0.15).all(), counts


def test_the_same_seed_gives_the_same_walk():
    def run(seed):
        search = Svpg(3, np.random.default_rng(seed), SMALL)
        for _ in range(3):
            points = search.propose()
            search.learn(points[:, 0])
        return points

    np.testing.assert_array_equal(run(8), run(8))
    assert np.abs(run(8) - run(9)).max() > 0


def test_mistakes_are_told():
    with pytest.raises(UsageError, match="particles must be at least 1, got 0"):
        SvpgSettings(particles=0)
    with pytest.raises(UsageError, match="max_step must be positive"):
        SvpgSettings(max_step=0.0)
    with pytest.raises(UsageError, match="max_step must be at most 1"):
        SvpgSettings(max_step=1.5)
    with pytest.raises(UsageError, match="propose"):
        Svpg(2, np.random.default_rng(0), SMALL).learn(np.zeros(20))
