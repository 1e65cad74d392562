"""Stein variational policy gradient: several policies that look for reward and keep apart from each other.

Liu et al. 2017 (arXiv:1704.02399), as used in active domain randomisation (Mehta et al. 2019,
arXiv:1904.04762, section 4): a policy moves through the unit cube of the randomisation's parameters in
small steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dingocar.errors import UsageError
from dingocar.training.active.mlp import Adam, FloatArray, Mlp


@dataclass(frozen=True)
class SvpgSettings:
    """How the particles learn.

    The paper walks in steps of 0.05, begins again after 25 of them, discounts by 0.99 and learns at 3e-4, for
    a million steps. A search with a given driver has some hundred episodes: it must take longer steps, stay
    where it has got to and learn faster. The defaults were chosen on landscapes made for that alone.

    At a wall of the cube a step is reflected, where the paper's is cut off: a walk that is cut off gathers in
    the corners, so that it would find extreme values before it has learned anything, and little else after.

    Attributes:
        particles: how many policies.
        rollout_length: steps of each policy between two updates.
        horizon: after so many steps a policy begins again at a point drawn evenly.
        max_step: longest step along each axis of the unit cube, at most 1.
        temperature: alpha: the higher, the more the policies keep apart, the less they heed the reward.
        hidden: widths of the hidden layers of policy and critic.
        learning_rate, critic_learning_rate: Adam's.
        gamma, gae_lambda: discount, and the decay of the generalised advantage (Schulman et al. 2016,
            arXiv:1506.02438).

    Raises:
        UsageError: a value out of its range.
    """

    particles: int = 10
    rollout_length: int = 5
    horizon: int = 100
    max_step: float = 0.2
    temperature: float = 10.0
    hidden: tuple[int, ...] = (100, 100)
    learning_rate: float = 1e-2
    critic_learning_rate: float = 1e-2
    gamma: float = 0.9
    gae_lambda: float = 0.95

    def __post_init__(self) -> None:
        for name in ("particles", "rollout_length", "horizon"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"active randomisation: {name} must be at least 1, got {getattr(self, name)}"
                )
        for name in ("max_step", "temperature", "learning_rate", "critic_learning_rate"):
            if not getattr(self, name) > 0:
                raise UsageError(f"active randomisation: {name} must be positive, got {getattr(self, name)}")
        if self.max_step > 1:
            raise UsageError(f"active randomisation: max_step must be at most 1, got {self.max_step}")


def kernel(thetas: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The RBF kernel of particles and what drives them apart.

    k(a, b) = exp(-|a - b|^2 / h), with h = median of the squared distances / log(n + 1): the median
    heuristic of Liu and Wang 2016 (arXiv:1608.04471, section 5).

    Args:
        thetas: (n, p) weights.

    Returns:
        k(theta_j, theta_i) as (n, n), and sum_j grad_j k(theta_j, theta_i) as (n, p): it points away from
        the others.
    """
    squares = ((thetas[:, None] - thetas[None]) ** 2).sum(axis=-1)
    apart = squares[~np.eye(len(thetas), dtype=bool)]
    width = float(np.median(apart)) / np.log(len(thetas) + 1) if apart.size else 1.0
    width = max(width, 1e-12)
    k = np.exp(-squares / width)
    # grad_j k(theta_j, theta_i) = 2 / h * k_ij (theta_i - theta_j)
    repulsion = 2 / width * (k.sum(axis=1, keepdims=True) * thetas - k @ thetas)
    return k, repulsion


def svgd_direction(thetas: FloatArray, gradients: FloatArray) -> FloatArray:
    """Where Stein variational gradient descent moves the particles: uphill and apart, (n, p).

    phi(theta_i) = 1/n sum_j [k(theta_j, theta_i) grad_j log p(theta_j) + grad_j k(theta_j, theta_i)]; the
    particles are to be moved along it, not against it.

    Args:
        thetas: (n, p) weights.
        gradients: (n, p) of log p: J / alpha plus the log prior, which is flat here.
    """
    k, repulsion = kernel(thetas)
    return (k @ gradients + repulsion) / len(thetas)


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of n particles, T each.

    Attributes:
        states: (n, T, d), where each step began.
        actions: (n, T, d), as drawn, in units of the longest step.
        arrived: (n, T, d), where it ended.
    """

    states: FloatArray
    actions: FloatArray
    arrived: FloatArray


class Svpg:
    """The particles. `propose` walks, `learn` takes the rewards of the points walked to."""

    def __init__(self, d: int, rng: np.random.Generator, settings: SvpgSettings | None = None) -> None:
        """Draws policies, critics and the first points.

        Args:
            d: number of axes of the unit cube.
            rng: of weights and walks.
            settings: None takes the defaults.
        """
        self.settings = s = settings or SvpgSettings()
        self._rng, n = rng, s.particles
        self.policy, self.critic = Mlp((d, *s.hidden, d)), Mlp((d, *s.hidden, 1))
        # Behind each policy's weights: the logarithm of its standard deviations. They begin at 0.6 steps.
        spread = np.full(d, -0.5)
        self.thetas = np.stack([np.concatenate([self.policy.init(rng, 0.1), spread]) for _ in range(n)])
        self.critics = np.stack([self.critic.init(rng, 0.1) for _ in range(n)])
        self._ascent = Adam(self.thetas.shape, s.learning_rate)
        self._critic_ascent = Adam(self.critics.shape, s.critic_learning_rate)
        self.points, self._age = rng.random((n, d)), 0
        self._steps: Steps | None = None
        self._scale = _RunningScale()

    def propose(self) -> FloatArray:
        """Walks `rollout_length` steps with every particle; returns the points, (n * T, d) in [0, 1]."""
        s, walked = self.settings, []
        if self._age + s.rollout_length > s.horizon:
            self.points, self._age = self._rng.random(self.points.shape), 0
        for _ in range(s.rollout_length):
            actions = np.stack([self._act(i, self.points[i]) for i in range(s.particles)])
            arrived = _reflected(self.points + s.max_step * np.clip(actions, -1, 1))
            walked.append((self.points, actions, arrived))
            self.points = arrived
        self._age += s.rollout_length
        self._steps = Steps(*(np.stack(part, axis=1) for part in zip(*walked, strict=True)))
        return self._steps.arrived.reshape(-1, self.points.shape[1])

    def learn(self, rewards: FloatArray) -> None:
        """Moves policies and critics by the rewards, (n * T,), of the points last proposed."""
        s, steps = self.settings, self._steps
        if steps is None:
            raise UsageError("Svpg.learn: propose points first")
        scaled = self._scale(rewards).reshape(s.particles, s.rollout_length)
        gradients, critic_gradients = [], []
        for i in range(s.particles):
            advantages, returns = self.advantages(i, steps, scaled[i])
            gradients.append(self.policy_gradient(i, steps, advantages))
            critic_gradients.append(self._critic_gradient(i, steps, returns))
        phi = svgd_direction(self.thetas, np.stack(gradients) / s.temperature)
        self.thetas = self.thetas + self._ascent.step(phi)
        self.critics = self.critics + self._critic_ascent.step(np.stack(critic_gradients))

    def advantages(self, i: int, steps: Steps, rewards: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Generalised advantages and returns of a particle's steps, (T,) each.

        The walk does not end at the last step, it is only cut there: its value goes on.
        """
        s = self.settings
        seen = np.concatenate([steps.states[i], steps.arrived[i][-1:]])
        values = self.critic.forward(self.critics[i], seen)[0][:, 0]
        errors = rewards + s.gamma * values[1:] - values[:-1]
        advantages, carried = np.zeros(len(rewards)), 0.0
        for t in reversed(range(len(rewards))):
            carried = errors[t] + s.gamma * s.gae_lambda * carried
            advantages[t] = carried
        return advantages, advantages + values[:-1]

    def surrogate(self, i: int, theta: FloatArray, steps: Steps, advantages: FloatArray) -> float:
        """What `policy_gradient` is the gradient of: mean of advantage times log probability."""
        mean, log_std, _ = self._distribution(theta, steps.states[i])
        z = (steps.actions[i] - mean) / np.exp(log_std)
        log_p = (-0.5 * z**2 - log_std).sum(axis=1)
        return float((advantages * log_p).mean())

    def policy_gradient(self, i: int, steps: Steps, advantages: FloatArray) -> FloatArray:
        """The gradient of the expected reward of particle i by its weights, (p,)."""
        theta, count = self.thetas[i], len(advantages)
        mean, log_std, inputs = self._distribution(theta, steps.states[i])
        variance = np.exp(2 * log_std)
        away = steps.actions[i] - mean
        weight = advantages[:, None] / count
        d_mean = weight * away / variance
        d_log_std = (weight * (away**2 / variance - 1)).sum(axis=0)
        return np.concatenate([self.policy.backward(theta[: -len(log_std)], inputs, d_mean), d_log_std])

    def _critic_gradient(self, i: int, steps: Steps, returns: FloatArray) -> FloatArray:
        values, inputs = self.critic.forward(self.critics[i], steps.states[i])
        return self.critic.backward(self.critics[i], inputs, (returns[:, None] - values) / len(returns))

    def _act(self, i: int, point: FloatArray) -> FloatArray:
        mean, log_std, _ = self._distribution(self.thetas[i], point[None])
        return np.asarray(mean[0] + np.exp(log_std) * self._rng.normal(size=len(point)))

    def _distribution(
        self, theta: FloatArray, states: FloatArray
    ) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        d = states.shape[1]
        # Centred: the middle of the cube says nothing about where to go.
        mean, inputs = self.policy.forward(theta[:-d], 2 * states - 1)
        return mean, theta[-d:], inputs


def _reflected(points: FloatArray) -> FloatArray:
    """Points less than 1 outside the unit cube, as a mirror on its walls shows them."""
    points = np.abs(points)
    return np.where(points > 1, 2 - points, points)


class _RunningScale:
    """Divides rewards by their standard deviation so far, so that no temperature depends on their unit."""

    def __init__(self) -> None:
        self._count, self._sum, self._squares = 0, 0.0, 0.0

    def __call__(self, rewards: FloatArray) -> FloatArray:
        self._count += rewards.size
        self._sum += float(rewards.sum())
        self._squares += float((rewards**2).sum())
        mean = self._sum / self._count
        deviation = np.sqrt(max(self._squares / self._count - mean**2, 0.0))
        return (rewards - mean) / deviation if deviation > 1e-9 else np.zeros_like(rewards)
