"""Gymnasium: `dingocar/Drive-v0`, one car that sees pictures and steers (extra `gym`).

    import gymnasium
    import dingocar.sim.gym_env  # registers it

    env = gymnasium.make("dingocar/Drive-v0", track="circuit", look="flat", randomisation="none")

`dingocar.sim.gym_env_vector` has the same for n cars in one batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import MissingExtraError, UnknownNameError, UsageError
from dingocar.images import Uint8Array
from dingocar.sim.birdseye import birdseye
from dingocar.sim.camera import Camera
from dingocar.sim.dynamics import CarDynamics, Dynamics
from dingocar.sim.look import load_look
from dingocar.sim.randomisation import Randomisation, load_randomisation
from dingocar.sim.reward import Reward, load_reward
from dingocar.sim.track import FloatArray, Track
from dingocar.sim.world import BoolArray, State, World

try:
    import gymnasium
    from gymnasium import spaces
except ImportError:
    raise MissingExtraError("gymnasium", "gym", "the Gymnasium environment") from None

ENV_ID = "dingocar/Drive-v0"
#: Steps until an episode is cut off, unless `make` is given another number: 50 s at 20 Hz.
MAX_EPISODE_STEPS = 1000
VIEWS = ("camera", "top")
#: What `reset(options=...)` may hold.
OPTIONS = ("start_s_m", "cte_m", "heading_error_rad")
#: What every `info` holds, beside the episode after a reset.
INFO = ("cte_m", "heading_error_rad", "speed_mps", "progress_m", "laps", "off_track", "time_s")

_WHOLE = (int, np.integer)
_NUMBER = (float, np.floating, *_WHOLE)
#: What these settings must be, for whoever mistypes one: the world would only say that it cannot use it.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "track": ((Track, str, Path), "a track or its name"),
    "look": ((str,), "a look's name"),
    "randomisation": ((str, Path, Randomisation), "a preset's name, a file or a Randomisation"),
    "camera": ((Camera, type(None)), "a Camera"),
    "view": ((str,), "one of camera and top"),
}


def shown(value: object) -> str:
    """A value in an error message: one line, and not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def floats(value: object) -> FloatArray | None:
    """An array of numbers; None if it is something else (text, lists of several lengths, ...)."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array.astype(float) if array.dtype.kind in "iuf" else None


@dataclass(frozen=True)
class Settings:
    """What can be asked for in `gymnasium.make` and `make_vec`.

    Attributes:
        track: a track or its name.
        look: name of the look.
        randomisation: a preset's name, a file, or a `Randomisation`; episodes are drawn from it. With `none`
            the world looks the same in every episode.
        image_shape: (height, width) of the observation, the width a multiple of 4. The default
            is (120, 160).
        camera: another camera than the default one; then its shape is the observation's.
        dynamics: how the car moves.
        dt_s: length of a step: 0.05 is 20 actions a second. A command that should hold for k pictures of a
            20 Hz camera is a step of k * 0.05 s.
        throttle_range: the throttles that the second action's -1 and 1 stand for.
        actions: a list of (steering, throttle); then the action is an index of it (`Discrete`), as in
            DeepRacer, and `throttle_range` is not used.
        reward: a name or a function, see `dingocar.sim.reward`.
        off_track_m: the episode ends when the car is so far beyond the edge of the track.
        wrong_way_m: or when it is so far behind the farthest place that it has been to.
        redraw_every: draw a new look and physics in every so many-th episode. 1 is the purest; painting a
            world takes as long as some hundred steps, which tells where episodes are short.
        world_seed: of what chance decides about the world with `randomisation="none"`.
        view: what `render` shows, the `camera`'s picture or the `top` view.

    Raises:
        UsageError, UnknownNameError: a value that does not fit.
    """

    track: Track | str = "circuit"
    look: str = "flat"
    randomisation: str | Path | Randomisation = "none"
    image_shape: Sequence[int] | None = None
    camera: Camera | None = None
    dynamics: CarDynamics | None = None
    dt_s: float = 0.05
    throttle_range: Sequence[float] = (-1.0, 1.0)
    actions: Sequence[Sequence[float]] | None = None
    reward: str | Reward = "progress"
    off_track_m: float = 0.1
    wrong_way_m: float = 1.0
    redraw_every: int = 1
    world_seed: int = 0
    view: str = "camera"

    def __post_init__(self) -> None:
        for name, (kinds, expected) in _KINDS.items():
            if not isinstance(getattr(self, name), kinds):
                raise UsageError(f"{name} must be {expected}, got {shown(getattr(self, name))}")
        if self.dynamics is not None and not callable(getattr(self.dynamics, "motion", None)):
            raise UsageError(f"dynamics must be a Dynamics, got {shown(self.dynamics)}")
        if self.camera is not None and self.image_shape is not None:
            raise UsageError("image_shape and camera: a camera has a shape of its own, leave out one of them")
        shape = floats((120, 160) if self.image_shape is None else self.image_shape)
        if shape is None or shape.shape != (2,) or not ((shape >= 8) & (shape <= 4096)).all():
            raise UsageError(
                "image_shape must be (height, width) of 8 to 4096 pixels, the width a multiple of 4; "
                f"got {shown(self.image_shape)}"
            )
        pair = floats(self.throttle_range)
        if pair is None or pair.shape != (2,) or not -1 <= pair[0] < pair[1] <= 1:
            raise UsageError(
                f"throttle_range must be (low, high) within -1 to 1, got {shown(self.throttle_range)}"
            )
        table = floats([(0, 0)] if self.actions is None else self.actions)
        if table is None or table.ndim != 2 or table.shape[1] != 2 or not (np.abs(table) <= 1).all():
            raise UsageError(
                "actions must be a list of (steering, throttle), each from -1 to 1, "
                f"got {shown(self.actions)}"
            )
        for name, least in (("dt_s", 0.001), ("off_track_m", 0), ("wrong_way_m", 0), ("redraw_every", 1)):
            value = getattr(self, name)
            kinds = _WHOLE if name == "redraw_every" else _NUMBER
            if isinstance(value, bool) or not isinstance(value, kinds) or not value >= least:
                whole = "whole " if name == "redraw_every" else ""
                raise UsageError(f"{name} must be a {whole}number of at least {least}, got {shown(value)}")
        if self.view not in VIEWS:
            raise UnknownNameError("view", self.view, VIEWS)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """Settings of keyword arguments.

        Raises:
            UnknownNameError: there is no such setting.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise UnknownNameError("setting", name, known)
        return cls(**values)

    def action_space(self) -> spaces.Box | spaces.Discrete:
        """[steering, throttle] in [-1, 1], or the index of one of `actions`."""
        if self.actions is not None:
            return spaces.Discrete(len(self.actions))
        return spaces.Box(-1.0, 1.0, (2,), np.float32)


class Drives:
    """n cars in one world that are driven in episodes: what the single and the vector environment share.

    Each car draws by a generator of its own, in the same order as if it were alone.
    """

    def __init__(self, settings: Settings, n: int) -> None:
        """Builds the world; `reset` begins the first episodes.

        Raises:
            DingocarError: a setting does not fit, see `World`.
        """
        shape = (120, 160) if settings.image_shape is None else settings.image_shape
        camera = settings.camera or Camera.of_shape(tuple(shape))  # type: ignore[arg-type]
        random = settings.randomisation
        self.settings = settings
        self.randomisation = random if isinstance(random, Randomisation) else load_randomisation(random)
        self.world = World(
            track=settings.track,
            look=settings.look,
            n=n,
            camera=camera,
            dynamics=settings.dynamics or Dynamics(),
            dt_s=settings.dt_s,
            seed=settings.world_seed,
            randomisation=self.randomisation,
        )
        self.state = self.world.state
        self._look, self._reward = load_look(settings.look), load_reward(settings.reward)
        self._farthest_m, self._begun = np.zeros(n), np.zeros(n, int)
        self._table = None if settings.actions is None else np.asarray(settings.actions, float)

    def reset(
        self, cars: BoolArray, rngs: Sequence[np.random.Generator], options: Mapping[str, Any] | None
    ) -> State:
        """Begins new episodes.

        Args:
            cars: (n,), of which cars.
            rngs: each car's generator; only those of `cars` are used.
            options: see `OPTIONS`; scalars or (n,).

        Raises:
            UnknownNameError: there is no such option.
            UsageError: a value of an option does not fit, or puts a car where its episode would be over.
        """
        options = self._checked_options(options)
        start_m = np.zeros(self.world.n)
        episodes = list(self.world.episodes)
        for car in np.flatnonzero(cars).tolist():
            start_m[car] = rngs[car].uniform(0.0, self.world.track.length_m)
            if self.randomisation.varies and self._begun[car] % self.settings.redraw_every == 0:
                episodes[car] = self.randomisation.draw(self._look, rngs[car])
        options.setdefault("start_s_m", start_m)
        half_m = self.world.track.half_width_at(np.broadcast_to(options["start_s_m"], (self.world.n,)))
        most_m, cte_m = half_m + self.settings.off_track_m, options.get("cte_m", 0.0)
        if (np.abs(cte_m) > most_m).any():
            raise UsageError(
                f"reset: cte_m must be on the track or at most off_track_m beside it (here "
                f"{most_m.min():.2f} m to either side), got {shown(np.asarray(cte_m).tolist())}"
            )
        drawn = episodes if self.randomisation.varies else None
        self.state = self.world.reset(cars=cars, episodes=drawn, **options)
        self._begun = self._begun + cars
        self._farthest_m = np.where(cars, 0.0, self._farthest_m)
        return self.state

    def forget(self, cars: BoolArray) -> None:
        """Lets the next reset of these cars draw anew: they have got a new seed."""
        self._begun = np.where(cars, 0, self._begun)

    def step(self, actions: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
        """Drives one step with (n, 2) actions, or (n,) indices. Returns each car's reward and whether its
        episode is over because it left the track or went the wrong way.

        Raises:
            UsageError: the actions do not fit, or a car has never been reset.
        """
        if not self._begun.all():
            raise UsageError("step: no episode has begun yet; call reset first")
        steering, throttle = self._commands(actions)
        before_m = self.state.progress_m
        self.state = state = self.world.step(steering, throttle)
        self._farthest_m = np.maximum(self._farthest_m, state.progress_m)
        beyond_m = np.abs(state.cte_m) - state.half_width_m
        back_m = self._farthest_m - state.progress_m
        left = (beyond_m > self.settings.off_track_m) | (back_m > self.settings.wrong_way_m)
        params = {name: getattr(state, name) for name in (*INFO, "s_m", "half_width_m")}
        params |= {"steering": steering, "throttle": throttle, "left": left}
        params["step_m"] = state.progress_m - before_m
        for name, value in (("dt_s", self.world.dt_s), ("length_m", self.world.track.length_m)):
            params[name] = np.full(self.world.n, value)
        return self._reward(params), left

    def info(self) -> dict[str, npt.NDArray[Any]]:
        """`INFO` of the n cars, (n,) each; copies."""
        return {name: np.array(getattr(self.state, name)) for name in INFO}

    def episode_json(self, car: int) -> str:
        """The look and physics of a car's episode."""
        return json.dumps(self.world.episodes[car].to_json())

    def view(self, car: int) -> Uint8Array:
        """What `render` shows of a car."""
        if self.settings.view == "camera":
            return np.array(self.state.image[car])
        state = self.state
        return birdseye(self.world.track, state.x_m[car], state.y_m[car], state.yaw_rad[car])

    def _checked_options(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        if not isinstance(options, Mapping | None):
            raise UsageError(f"reset: options must be a dictionary, got {shown(options)}")
        checked = {}
        for name, value in (options or {}).items():
            if name not in OPTIONS:
                raise UnknownNameError("option of reset", str(name), OPTIONS)
            checked[name] = array = floats(value)
            shapes = ((), (1,), (self.world.n,))
            if array is None or array.shape not in shapes or not np.isfinite(array).all():
                many = "" if self.world.n == 1 else f" or {self.world.n} of them"
                raise UsageError(f"reset: {name} must be a finite number{many}, got {shown(value)}")
        return checked

    def _commands(self, actions: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        n, given = self.world.n, floats(actions)
        each = "" if n == 1 else f" for each of {n} cars"
        if self._table is not None:
            last = len(self._table) - 1
            index = np.asarray(actions) if given is not None and given.shape == (n,) else np.zeros(0)
            if index.dtype.kind not in "iu" or not ((index >= 0) & (index <= last)).all():
                one = f"a whole number from 0 to {last}"
                raise UsageError(f"action must be {one}{each}, got {shown(actions)}")
            steering, throttle = self._table[index].T
            return steering, throttle
        if given is None or given.shape != (n, 2) or np.isnan(given).any():
            raise UsageError(f"action must be [steering, throttle]{each}, got {shown(actions)}")
        steering, share = np.clip(given, -1.0, 1.0).T
        low, high = self.settings.throttle_range
        return steering, low + (share + 1.0) / 2.0 * (high - low)


class DriveEnv(gymnasium.Env[Uint8Array, Any]):
    """One car on one track: the picture of its camera in, steering and throttle out.

    The observation is uint8 (H, W, 3) RGB, the action float32 [steering, throttle] in [-1, 1], +1 is right
    and full ahead. `info` holds what `INFO` names, and after a reset `episode_json`, the parameters that
    were drawn. `terminated`: too far off the track, or the wrong way; `truncated` comes from the time limit
    that `gymnasium.make` puts around it.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 (as gymnasium has it)

    def __init__(self, render_mode: str | None = None, **settings: Any) -> None:
        """Builds the world.

        Args:
            render_mode: `rgb_array`, or None; `gymnasium.make` makes `human` of it (needs pygame).
            settings: see `Settings`.

        Raises:
            DingocarError: a setting that does not exist or does not fit.
        """
        self._drives = Drives(Settings.of(settings), 1)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1 / self._drives.world.dt_s)}
        height, width = self._drives.world.camera.shape
        self.observation_space = spaces.Box(0, 255, (height, width, 3), np.uint8)
        self.action_space = self._drives.settings.action_space()

    @property
    def world(self) -> World:
        """The world with this one car."""
        return self._drives.world

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Uint8Array, dict[str, Any]]:
        """Puts the car on the track, at rest, anywhere along its middle unless the options say where.

        Args:
            seed: of all that is drawn from now on.
            options: `start_s_m`, `cte_m` and `heading_error_rad`, see `World.reset`.

        Raises:
            UsageError, UnknownNameError: an option that does not exist or does not fit.
        """
        super().reset(seed=seed)
        cars = np.ones(1, bool)
        if seed is not None:
            self._drives.forget(cars)
        state = self._drives.reset(cars, [self.np_random], options)
        return state.image[0], {**self._info(), "episode_json": self._drives.episode_json(0)}

    def step(self, action: Any) -> tuple[Uint8Array, float, bool, bool, dict[str, Any]]:
        """Drives for `dt_s`.

        Raises:
            UsageError: the action does not fit, or there was no reset before.
        """
        reward, left = self._drives.step([action])
        return self._drives.state.image[0], float(reward[0]), bool(left[0]), False, self._info()

    def render(self) -> Uint8Array | None:
        """The picture of the `view`, uint8 (H, W, 3); None without a render mode."""
        return None if self.render_mode is None else self._drives.view(0)

    def _info(self) -> dict[str, Any]:
        return {name: values[0].item() for name, values in self._drives.info().items()}


def register_envs() -> None:
    """Makes `dingocar/Drive-v0` known to Gymnasium; importing this module does. Once is enough."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(
            ENV_ID,
            entry_point="dingocar.sim.gym_env:DriveEnv",
            vector_entry_point="dingocar.sim.gym_env_vector:DriveVectorEnv",
            max_episode_steps=MAX_EPISODE_STEPS,
        )


register_envs()
