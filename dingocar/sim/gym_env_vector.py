"""Gymnasium's vector environment: n cars of `dingocar/Drive-v0`, driven and drawn in one batch.

gymnasium.make_vec("dingocar/Drive-v0", num_envs=32, vectorization_mode="vector_entry_point")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import MissingExtraError, UnknownNameError, UsageError
from dingocar.images import Uint8Array
from dingocar.sim.track import FloatArray
from dingocar.sim.world import BoolArray, World

try:
    from gymnasium import spaces
    from gymnasium.utils import seeding
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError:
    raise MissingExtraError("gymnasium", "gym", "the Gymnasium environment") from None

from dingocar.sim.gym_env import MAX_EPISODE_STEPS, DriveEnv, Drives, Settings, shown

Infos = dict[str, Any]


class DriveVectorEnv(VectorEnv[Uint8Array, Any, npt.NDArray[Any]]):
    """n cars in one world that do not see each other.

    To the bit the same as Gymnasium's `SyncVectorEnv` over n single environments: car i with the seed s + i
    sees, earns and is told what a `DriveEnv` with that seed does (with sensor noise and randomisation too).

    A car whose episode is over begins the next one by itself: in the step after the last one, with reward 0
    and its action not used (`next_step`, Gymnasium's default), or at once, the last observation being in
    `infos["final_obs"]` and the last info in `infos["final_info"]` (`same_step`); or, `disabled`, only when
    `reset` is called with a `reset_mask`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int = MAX_EPISODE_STEPS,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        """Builds the world.

        Args:
            num_envs: n, the number of cars.
            max_episode_steps: after so many steps an episode is truncated; -1: never.
            autoreset_mode: `next_step`, `same_step` or `disabled`.
            render_mode: `rgb_array` or None.
            settings: see `dingocar.sim.gym_env.Settings`.

        Raises:
            DingocarError: a setting that does not exist or does not fit.
        """
        self._mode = _mode(autoreset_mode)
        whole = isinstance(max_episode_steps, int | np.integer) and not isinstance(max_episode_steps, bool)
        if not whole or (max_episode_steps < 1 and max_episode_steps != -1):
            raise UsageError(
                "max_episode_steps must be a whole number of at least 1, or -1 for no limit, "
                f"got {shown(max_episode_steps)}"
            )
        self._drives = Drives(Settings.of(settings), num_envs)
        self.num_envs, self.render_mode = num_envs, render_mode
        self._max_steps = np.inf if max_episode_steps == -1 else max_episode_steps
        fps = round(1 / self.world.dt_s)
        self.metadata = {**DriveEnv.metadata, "render_fps": fps, "autoreset_mode": self._mode}
        height, width = self.world.camera.shape
        self.single_observation_space = spaces.Box(0, 255, (height, width, 3), np.uint8)
        self.single_action_space = self._drives.settings.action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rngs, self._seeds = zip(*(seeding.np_random() for _ in range(num_envs)), strict=True)
        self._steps, self._over = np.zeros(num_envs, int), np.zeros(num_envs, bool)

    @property
    def world(self) -> World:
        """The world with all cars."""
        return self._drives.world

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Each car's generator."""
        return self._rngs

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each car's generator."""
        return self._seeds

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Uint8Array, Infos]:
        """Begins new episodes.

        Args:
            seed: car i gets seed + i; or one for each car.
            options: of `DriveEnv.reset`, each scalar or (n,); `reset_mask`, bool (n,): only of these cars.

        Raises:
            UsageError: as many seeds or masks as there are cars are needed.
        """
        if not isinstance(options, dict | None):
            raise UsageError(f"reset: options must be a dictionary, got {shown(options)}")
        options = dict(options or {})
        cars = np.array(options.pop("reset_mask", np.ones(self.num_envs, bool)))
        if cars.shape != (self.num_envs,) or cars.dtype != np.bool_ or not cars.any():
            raise UsageError(f"reset_mask must be {self.num_envs} bools, at least one of them True")
        self._seed(seed, cars)
        self._begin(cars, options)
        return self._drives.state.image, self._begun_infos(cars)

    def step(self, actions: npt.ArrayLike) -> tuple[Uint8Array, FloatArray, BoolArray, BoolArray, Infos]:
        """Drives all cars for `dt_s`, and begins the next episodes of those that are done."""
        fresh = self._over & (self._mode is AutoresetMode.NEXT_STEP)
        rewards, left = self._drives.step(actions)
        self._steps += 1
        late = self._steps >= self._max_steps
        if fresh.any():
            self._begin(fresh, None)
            rewards, left, late = np.where(fresh, 0.0, rewards), left & ~fresh, late & ~fresh
        self._over = left | late
        if self._mode is AutoresetMode.SAME_STEP and self._over.any():
            return self._step_into_next(rewards, left, late)
        return self._drives.state.image, rewards, left, late, self._infos(fresh)

    def render(self) -> tuple[Uint8Array, ...] | None:
        """Each car's view, uint8 (H, W, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(self._drives.view(car) for car in range(self.num_envs))

    def _seed(self, seed: int | Sequence[int | None] | None, cars: BoolArray) -> None:
        if seed is None:
            return
        if not isinstance(seed, int | np.integer | Sequence | np.ndarray):
            raise UsageError(f"reset: seed must be a whole number or one for each car, got {shown(seed)}")
        seeds = [seed + k for k in range(self.num_envs)] if isinstance(seed, int | np.integer) else list(seed)
        if len(seeds) != self.num_envs:
            raise UsageError(f"reset: {self.num_envs} seeds are needed, one for each car, got {len(seeds)}")
        rngs, known = list(self._rngs), list(self._seeds)
        given = cars & np.array([one is not None for one in seeds])
        for car in np.flatnonzero(given).tolist():
            rngs[car], known[car] = seeding.np_random(seeds[car])
        self._rngs, self._seeds = tuple(rngs), tuple(known)
        self._drives.forget(given)

    def _begin(self, cars: BoolArray, options: Mapping[str, Any] | None) -> None:
        self._drives.reset(cars, self._rngs, options)
        self._steps, self._over = np.where(cars, 0, self._steps), self._over & ~cars

    def _infos(self, begun: BoolArray) -> Infos:
        """What is known of all cars, and the episodes of those that have just begun one; each entry with a
        mask under `_` and its name, as Gymnasium has it."""
        infos = _masked(self._drives.info(), np.ones(self.num_envs, bool))
        return infos | self._episodes(begun)

    def _begun_infos(self, cars: BoolArray) -> Infos:
        """The same of these cars alone."""
        return _masked(self._drives.info(), cars) | self._episodes(cars)

    def _episodes(self, cars: BoolArray) -> Infos:
        if not cars.any():
            return {}
        texts = np.full(self.num_envs, None, object)
        for car in np.flatnonzero(cars).tolist():
            texts[car] = self._drives.episode_json(car)
        return {"episode_json": texts, "_episode_json": cars.copy()}

    def _step_into_next(
        self, rewards: FloatArray, left: BoolArray, late: BoolArray
    ) -> tuple[Uint8Array, FloatArray, BoolArray, BoolArray, Infos]:
        """The end of a step after which some cars' next episodes begin at once."""
        done = left | late
        images, final = self._drives.state.image, np.full(self.num_envs, None, object)
        for car in np.flatnonzero(done).tolist():
            final[car] = images[car]
        last: Infos = {"final_obs": final, "_final_obs": done.copy()}
        last |= {"final_info": _masked(self._drives.info(), done), "_final_info": done.copy()}
        self._begin(done, None)
        return self._drives.state.image, rewards, left, late, self._infos(done) | last


def _masked(values: Mapping[str, npt.NDArray[Any]], cars: BoolArray) -> Infos:
    """Gymnasium's infos: zeros where the mask under `_name` is False."""
    infos: Infos = {name: np.where(cars, array, array.dtype.type(0)) for name, array in values.items()}
    return infos | {f"_{name}": cars.copy() for name in values}


def _mode(mode: str | AutoresetMode) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    modes = {known.name.lower(): known for known in AutoresetMode}
    modes |= {known.value: known for known in AutoresetMode}
    if not isinstance(mode, str) or mode not in modes:
        raise UnknownNameError("autoreset mode", str(mode), [known.name.lower() for known in AutoresetMode])
    return modes[mode]
