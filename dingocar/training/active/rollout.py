"""Short episodes at given points of a randomisation, driven by one frozen driver, all cars at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.sim import Camera, Episode, Randomisation, State, Track, World, load_look, load_track
from dingocar.training.active.mlp import FloatArray

if TYPE_CHECKING:
    from dingocar.evaluate import Driver

BoolArray = npt.NDArray[np.bool_]

#: Most cars that drive together; each has a floor of its own in memory, of about 20 MB.
MAX_CARS = 25
#: Different seeds of the painting: what is painted by chance, apart from the parameters.
PAINTINGS = 8
#: A driver that is slower than this on average stands in the way: it has failed as if it had left the track.
SLOWEST_MPS = 0.2
#: Numbers in a window: offset, heading error and speed before and after; steering, its change, throttle.
WINDOW = 9


@dataclass(frozen=True, eq=False)
class Rollouts:
    """How n episodes went.

    Attributes:
        failure: (n,) in [0, 1]: mean over the episode of |cte| / half width, counted as 1 from where the car
            left the track; 1 for a car that hardly moved.
        failed: (n,) bool, left the track or hardly moved.
        mean_abs_cte_m: (n,), until it left the track.
        windows: for each episode (T, w): what the discriminator sees.
        frames: how many pictures the driver has seen in all of them.
    """

    failure: FloatArray
    failed: BoolArray
    mean_abs_cte_m: FloatArray
    windows: tuple[FloatArray, ...]
    frames: int

    def __len__(self) -> int:
        return len(self.failure)

    @classmethod
    def joined(cls, parts: Sequence[Rollouts]) -> Rollouts:
        """Several as one, in their order."""
        return cls(
            np.concatenate([part.failure for part in parts]),
            np.concatenate([part.failed for part in parts]),
            np.concatenate([part.mean_abs_cte_m for part in parts]),
            tuple(windows for part in parts for windows in part.windows),
            sum(part.frames for part in parts),
        )


class Environment(Protocol):
    """Where points of a unit cube are tried: the simulator, or in a test something cheaper."""

    @property
    def d(self) -> int:
        """Number of axes of the cube."""

    @property
    def most_frames(self) -> int:
        """Most frames of an episode."""

    def drive(self, points: FloatArray, rng: np.random.Generator) -> Rollouts:
        """Drives an episode at each of (n, d) points."""

    def reference(self, n: int, rng: np.random.Generator) -> Rollouts:
        """Drives n episodes in the reference environment: without randomisation."""


class Simulator:
    """The environment proper: a driver in worlds of one randomisation."""

    def __init__(
        self,
        driver: Driver,
        randomisation: Randomisation,
        tracks: Sequence[Track | str] = ("circuit",),
        look: str = "flat",
        picture: tuple[int, ...] = (60, 80),
        episode_s: float = 4.0,
        dt_s: float = 0.05,
    ) -> None:
        """Loads the tracks.

        Args:
            driver: what drives; it is not changed.
            randomisation: whose unit cube is searched.
            tracks: one or more; episodes take turns.
            look: how the worlds are painted, before the randomisation.
            picture: (height, width) of the driver's pictures.
            episode_s: length of an episode.
            dt_s: length of a step.

        Raises:
            UsageError: the randomisation has no ranges, or the episodes no length.
            UnknownNameError: there is no such track or look.
        """
        if not randomisation.names:
            raise UsageError(
                f"active randomisation: {randomisation.name!r} has no ranges to search; try strong"
            )
        if not tracks or not episode_s >= 2 * dt_s:
            raise UsageError("active randomisation: expected a track, and episodes of at least two steps")
        self._driver, self._randomisation, self._look_name, self._dt_s = driver, randomisation, look, dt_s
        self._tracks = [track if isinstance(track, Track) else load_track(track) for track in tracks]
        self._look, self._camera = load_look(look), Camera.of_shape((picture[0], picture[1]))
        self._steps = round(episode_s / dt_s)
        self._worlds: dict[tuple[int, int, bool], World] = {}

    @property
    def d(self) -> int:
        """Number of axes of the cube."""
        return len(self._randomisation.names)

    @property
    def most_frames(self) -> int:
        """Most frames of an episode."""
        return self._steps

    def drive(self, points: FloatArray, rng: np.random.Generator) -> Rollouts:
        """Drives an episode at each of (n, d) points in [0, 1], from places drawn by `rng`."""
        episodes = [
            # Where the randomisation changes no paint, cars with the same seed share one painting.
            replace(
                self._randomisation.at(point, self._look, rng), painting_seed=int(rng.integers(PAINTINGS))
            )
            for point in points
        ]
        return self.drive_episodes(episodes, rng)

    def drive_episodes(self, episodes: Sequence[Episode], rng: np.random.Generator) -> Rollouts:
        """Drives given episodes, from places drawn by `rng`; the tracks take turns."""
        return self._share_out(len(episodes), rng, lambda rows: [episodes[row] for row in rows])

    def reference(self, n: int, rng: np.random.Generator) -> Rollouts:
        """Drives n episodes of the look as it is, with the car as it is."""
        return self._share_out(n, rng, lambda rows: None)

    def _share_out(
        self,
        n: int,
        rng: np.random.Generator,
        episodes_of: Callable[[npt.NDArray[np.intp]], list[Episode] | None],
    ) -> Rollouts:
        order, parts = [], []
        for number in range(len(self._tracks)):
            mine = np.arange(number, n, len(self._tracks))
            for rows in np.array_split(mine, -(-len(mine) // MAX_CARS)) if len(mine) else []:
                parts.append(self._drive(number, episodes_of(rows), len(rows), rng))
                order.append(rows)
        return _reordered(Rollouts.joined(parts), np.argsort(np.concatenate(order)))

    def _drive(
        self, track: int, episodes: list[Episode] | None, n: int, rng: np.random.Generator
    ) -> Rollouts:
        world = self._world(track, n, episodes is not None)
        start_m = rng.uniform(0.0, world.track.length_m, n)
        state = world.reset(int(rng.integers(2**31)), start_s_m=start_m, episodes=episodes)
        states, commands = [state], []
        alive = np.ones((self._steps + 1, n), bool)
        for step in range(self._steps):
            steering, throttle = self._driver(state)
            commands.append(np.stack(np.broadcast_arrays(steering, throttle, np.empty(n))[:2], axis=-1))
            state = world.step(steering, throttle)
            states.append(state)
            alive[step + 1] = alive[step] & ~state.off_track
            if not alive[step + 1].any():
                alive[step + 2 :] = False
                break
        return _judged(states, np.stack(commands), alive, self._dt_s, world.dynamics.top_speed_mps)

    def _world(self, track: int, n: int, randomised: bool) -> World:
        key = (track, n, randomised)
        if key not in self._worlds:
            randomisation = self._randomisation if randomised else Randomisation()
            self._worlds[key] = World(
                *(self._tracks[track], self._look_name, n, self._camera),
                dt_s=self._dt_s,
                randomisation=randomisation,
            )
        return self._worlds[key]


def _judged(
    states: list[State], commands: FloatArray, alive: BoolArray, dt_s: float, top_mps: float
) -> Rollouts:
    """Turns what happened, (T + 1) states and (T, n, 2) commands, into figures. `alive` is (T0 + 1, n)."""
    rows = np.stack(
        [
            np.stack([s.cte_m / s.half_width_m, s.heading_error_rad, s.speed_mps / top_mps], axis=-1)
            for s in states
        ]
    )  # (T + 1, n, 3)
    steps = len(alive) - 1
    offset = np.ones((steps, alive.shape[1]))  # 1 from where the car left the track
    offset[: len(states) - 1] = np.where(alive[1 : len(states)], np.minimum(np.abs(rows[1:, :, 0]), 1.0), 1.0)
    stuck = alive[-1] & (states[-1].progress_m < SLOWEST_MPS * steps * dt_s)
    abs_cte = np.stack([np.abs(s.cte_m) for s in states])
    lived = alive[: len(states)]
    turned = np.diff(commands[..., 0], axis=0, prepend=commands[:1, :, 0])
    actions = np.stack([commands[..., 0], turned, commands[..., 1]], axis=-1)
    windows = np.concatenate([rows[:-1], actions, rows[1:]], axis=-1)  # (T, n, 9)
    return Rollouts(
        failure=np.where(stuck, 1.0, offset.mean(axis=0)),
        failed=~alive[-1] | stuck,
        mean_abs_cte_m=np.where(lived, abs_cte, 0).sum(axis=0) / lived.sum(axis=0),
        windows=tuple(windows[lived[:-1, car], car] for car in range(alive.shape[1])),
        frames=int(lived[:-1].sum()),
    )


def _reordered(rollouts: Rollouts, order: npt.NDArray[np.intp]) -> Rollouts:
    return Rollouts(
        rollouts.failure[order],
        rollouts.failed[order],
        rollouts.mean_abs_cte_m[order],
        tuple(rollouts.windows[row] for row in order),
        rollouts.frames,
    )
