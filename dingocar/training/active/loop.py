"""The loop: propose points, let the driver drive there, reward, learn; and the sampler that comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.errors import UnknownNameError, UsageError
from dingocar.sim import Randomisation, Track
from dingocar.training.active.discriminator import Discriminator
from dingocar.training.active.mlp import FloatArray
from dingocar.training.active.rollout import BoolArray, Environment, Rollouts, Simulator
from dingocar.training.active.search import make_search
from dingocar.training.active.svpg import SvpgSettings

if TYPE_CHECKING:
    from dingocar.evaluate import Driver

#: What a point is rewarded with.
REWARDS = ("failure", "discriminator")
#: Reference episodes; the driver is frozen, so once is enough.
REFERENCE_EPISODES = 20
#: Most points of a sampler: its file stays small.
MAX_POINTS = 1000


@dataclass(frozen=True)
class Progress:
    """How far a search is.

    Attributes:
        frames: frames used so far.
        frames_total: how many it may use.
        failed: share of the last round's episodes that failed.
        reward: mean reward of the last round.
    """

    frames: int
    frames_total: int
    failed: float
    reward: float


@dataclass(frozen=True, eq=False)
class Trace:
    """All points that were tried, in their order.

    Attributes:
        points: (m, d) in [0, 1].
        rewards, failure, mean_abs_cte_m: (m,), see `Rollouts`.
        failed: (m,) bool.
        round: (m,) int, in which round each was tried, from 0.
        frames: used for them and for the reference episodes.
        reference: how the reference episodes went.
    """

    points: FloatArray
    rewards: FloatArray
    failure: FloatArray
    mean_abs_cte_m: FloatArray
    failed: BoolArray
    round: np.ndarray[Any, np.dtype[np.int64]]
    frames: int
    reference: Rollouts


@dataclass(frozen=True, eq=False)
class ActiveResult:
    """What a search has found.

    Attributes:
        sampler: the randomisation that draws around the points found.
        names: the axes of the cube.
        trace: all that was tried.
        search, reward, keep: how.
    """

    sampler: Randomisation
    names: tuple[str, ...]
    trace: Trace
    search: str
    reward: str
    keep: float

    def to_json(self) -> dict[str, Any]:
        """The figures; the sampler's points are in its own file."""
        trace, points = self.trace, np.asarray(self.sampler.points)
        rounds = range(int(trace.round.max()) + 1)
        of_round = [trace.round == number for number in rounds]
        return {
            "search": self.search,
            "reward": self.reward,
            "keep": self.keep,
            "frames": trace.frames,
            "episodes": len(trace.points),
            "points": len(points),
            "failed": float(trace.failed.mean()),
            "failed_first_round": float(trace.failed[of_round[0]].mean()),
            "failed_last_round": float(trace.failed[of_round[-1]].mean()),
            "failed_reference": float(trace.reference.failed.mean()),
            "mean_abs_cte_m": float(trace.mean_abs_cte_m.mean()),
            "reward_by_round": [float(trace.rewards[rows].mean()) for rows in of_round],
            "failed_by_round": [float(trace.failed[rows].mean()) for rows in of_round],
            "learned_mean": dict(zip(self.names, points.mean(axis=0).round(4).tolist(), strict=True)),
        }


def explore(
    environment: Environment,
    frames: int,
    rng: np.random.Generator,
    search: str = "svpg",
    reward: str = "failure",
    settings: SvpgSettings | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Trace:
    """Searches the cube until another round might need more frames than are left.

    Args:
        environment: where points are tried.
        frames: how many frames may be driven, reference episodes included.
        rng: of everything drawn.
        search: "svpg", "cem", or as controls "uniform" and "walk" (particles that do not learn).
        reward: "failure": how badly the driver fares; "discriminator": how surely its behaviour tells that
            it is not in the reference environment (the paper's).
        settings: of the particles; the other searches take the number of points in a round from them.
        on_progress: told after each round.

    Raises:
        UnknownNameError: there is no such search or reward.
        UsageError: `frames` does not suffice for the reference episodes and one round.
    """
    if reward not in REWARDS:
        raise UnknownNameError("reward", reward, REWARDS)
    settings = settings or SvpgSettings()
    _check_frames(frames, settings, environment.most_frames)
    chooser = make_search(search, environment.d, rng, settings)
    judge = _Judge(reward, environment, rng)
    used, rounds, rewards = judge.reference.frames, [], []
    points: list[FloatArray] = []
    while True:
        batch = chooser.propose()
        driven = environment.drive(batch, rng)
        points.append(batch)
        rounds.append(driven)
        rewards.append(judge(driven))
        chooser.learn(rewards[-1])
        used += driven.frames
        on_progress(Progress(used, frames, float(driven.failed.mean()), float(rewards[-1].mean())))
        # The next round may last longer than this one did, if fewer cars leave the track.
        if used + len(batch) * environment.most_frames > frames:
            break
    every = Rollouts.joined(rounds)
    return Trace(
        points=np.concatenate(points),
        rewards=np.concatenate(rewards),
        failure=every.failure,
        mean_abs_cte_m=every.mean_abs_cte_m,
        failed=every.failed,
        round=np.repeat(np.arange(len(rounds)), [len(part) for part in rounds]),
        frames=used,
        reference=judge.reference,
    )


def sampler_of(
    trace: Trace, randomisation: Randomisation, keep: float = 0.25, width: float = 0.05
) -> Randomisation:
    """Makes a sampler of what a search has tried.

    Args:
        trace: what was tried.
        randomisation: whose cube that was.
        keep: share of the points that is kept, those of the highest reward; 1: all points of the later half
            of the search, whatever their reward: where the particles have gone, as in the paper.
        width: standard deviation of the draw around a point.

    Raises:
        UsageError: `keep` is not in (0, 1].
    """
    if not 0 < keep <= 1:
        raise UsageError(f"active randomisation: keep must be above 0 and at most 1, got {keep}")
    if keep == 1:
        rows = np.flatnonzero(trace.round >= (trace.round.max() + 1) // 2)
    else:
        rows = np.argsort(trace.rewards)[-max(1, round(keep * len(trace.points))) :]
    points = tuple(tuple(map(float, point)) for point in trace.points[np.sort(rows[-MAX_POINTS:])].round(4))
    return replace(randomisation, name=f"active-{randomisation.name}", points=points, width=width)


def active_randomisation(
    driver: Driver,
    randomisation: Randomisation,
    track: Track | str | Sequence[Track | str] = "circuit",
    look: str = "flat",
    frames: int = 40_000,
    rng: np.random.Generator | None = None,
    *,
    picture: tuple[int, ...] = (60, 80),
    search: str = "svpg",
    reward: str = "failure",
    keep: float = 0.25,
    width: float = 0.05,
    episode_s: float = 4.0,
    settings: SvpgSettings | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ActiveResult:
    """Learns where in a randomisation a driver fares badly.

    Mehta et al. 2019, "Active Domain Randomization" (arXiv:1904.04762), for a driver that is frozen. No
    frame of the search is recorded or labelled.

    Args:
        driver: state to steering and throttle; for a pilot see `dingocar.evaluate.pilot_driver`.
        randomisation: whose ranges are searched.
        track: one or several, by name or not.
        look: what the randomisation varies.
        frames: how many the search may drive, reference episodes included.
        rng: None: seeded with 0.
        picture: (height, width) of the driver's pictures.
        search, reward, settings, on_progress: see `explore`.
        keep, width: see `sampler_of`.
        episode_s: length of an episode.

    Raises:
        UnknownNameError: an unknown track, look, search or reward.
        UsageError: a value out of its range, too few frames, or a randomisation without ranges.
    """
    rng = rng or np.random.default_rng(0)
    tracks = [track] if isinstance(track, Track | str) else list(track)
    environment = Simulator(driver, randomisation, tracks, look, picture, episode_s)
    trace = explore(environment, frames, rng, search, reward, settings, on_progress)
    sampler = sampler_of(trace, randomisation, keep, width)
    return ActiveResult(sampler, randomisation.names, trace, search, reward, keep)


def _check_frames(frames: int, settings: SvpgSettings, most: int) -> None:
    """Refuses what does not suffice for the reference episodes and one round."""
    episodes = settings.particles * settings.rollout_length
    least = (REFERENCE_EPISODES + episodes) * most
    if frames < least:
        raise UsageError(
            f"active randomisation: frames must be at least {least} ({REFERENCE_EPISODES} reference episodes "
            f"and a round of {episodes}, each of at most {most} frames), got {frames}"
        )


class _Judge:
    """Rewards episodes; drives the reference ones at the beginning."""

    def __init__(self, reward: str, environment: Environment, rng: np.random.Generator) -> None:
        self.reference = environment.reference(REFERENCE_EPISODES, rng)
        self._windows = np.concatenate(self.reference.windows)
        self._discriminator = None
        if reward == "discriminator":
            self._discriminator = Discriminator(self._windows.shape[1], rng)

    def __call__(self, driven: Rollouts) -> FloatArray:
        """The reward of each episode, (n,). The discriminator learns from them afterwards."""
        if self._discriminator is None:
            return driven.failure
        windows = np.concatenate(driven.windows)
        rewards = self._discriminator.reward(windows)
        self._discriminator.fit(self._windows, windows)
        ends = np.cumsum([len(part) for part in driven.windows])
        return np.array([float(part.mean()) for part in np.split(rewards, ends[:-1])])
