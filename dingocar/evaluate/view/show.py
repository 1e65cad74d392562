"""What is shown: a world with one car, who drives it, and what the page may ask for."""

from __future__ import annotations

import dataclasses
import functools
import math
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import DingocarError, UnknownNameError, UsageError
from dingocar.evaluate.drive import Driver
from dingocar.images import Uint8Array, encode_jpeg
from dingocar.sim import Track, World, car_for, load_track
from dingocar.sim.birdseye import Plan, footprint
from dingocar.sim.chart import TEXEL_M, survey
from dingocar.sim.look import load_look, looks
from dingocar.sim.randomisation import BOUNDS, PRESETS, Episode
from dingocar.sim.scene import TEXEL_WIDTH_PX
from dingocar.sim.track import tracks

#: Size of the picture from above, (height, width).
PLAN_SHAPE = (720, 960)
#: The page's own command is dropped when it is older than so many seconds of the simulation.
COMMAND_S = 0.5
#: A car that has been off the track for so long is put back on its middle.
LOST_S = 2.0
JPEG_QUALITY = 90


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a world is made of; each is one of the names that are listed.

    Attributes:
        track, look, randomisation: names.
        seed: of the world.
    """

    track: str = "circuit"
    look: str = "flat"
    randomisation: str = "none"
    seed: int = 0


class Show:
    """One car in a world, driven by the expert, a pilot or the page. Any thread may call its methods.

    Attributes:
        drivers: who can drive: `expert`, `you`, and `pilot` where there is one.
        version: counts the worlds and episodes; what `world` and `plan` say changes only with it.
    """

    def __init__(
        self,
        asked: Asked = Asked(),
        pilot: Driver | None = None,
        image_shape: tuple[int, int] = (240, 320),
        rate_hz: float = 20.0,
    ) -> None:
        """Builds the world.

        Args:
            asked: what it is made of. A track that is not listed is added to the list.
            pilot: drives too; None: there is none.
            image_shape: (height, width) of the camera's picture.
            rate_hz: steps per second of the simulation.

        Raises:
            UnknownNameError: no such track, look or randomisation.
            UsageError: the rate does not fit.
        """
        if not 2 <= rate_hz <= 100:
            raise UsageError(f"view: rate must be 2 to 100 Hz, got {rate_hz:g}")
        self._lock = threading.RLock()
        self._pilot, self._dt_s = pilot, 1 / rate_hz
        self._shape = image_shape
        self.drivers = ("expert", "you") if pilot is None else ("pilot", "expert", "you")
        self._driver = self.drivers[0]
        self._own = asked
        self.version = 0
        self._command, self._command_age_s = (0.0, 0.0), math.inf
        self._lost_s = self._steering = self._throttle = 0.0
        self._open(asked)

    @property
    def dt_s(self) -> float:
        """Length of a step."""
        return self._dt_s

    @functools.cached_property
    def lists(self) -> dict[str, list[str]]:
        """What may be chosen: names of tracks, looks, randomisations and drivers."""
        found = [name for name in tracks.names() if name == "random" or _loads(name)]
        own = self._own

        def with_own(names: list[str], name: str) -> list[str]:
            return names if name in names else [*names, name]

        return {
            "track": with_own(found, own.track),
            "look": with_own(looks.names(), own.look),
            "randomisation": with_own(list(PRESETS), own.randomisation),
            "driver": list(self.drivers),
        }

    def step(self) -> None:
        """Drives one step."""
        with self._lock:
            state = self._world.state
            steering, throttle = self._act()
            self._steering = float(np.ravel(steering)[0])
            self._throttle = float(np.ravel(throttle)[0])
            state = self._world.step(self._steering, self._throttle)
            self._command_age_s += self._dt_s
            self._lost_s = self._lost_s + self._dt_s if state.off_track[0] else 0.0
            if self._lost_s > LOST_S:
                self._place(float(state.s_m[0]))

    def do(self, message: Mapping[str, Any]) -> None:
        """Does what the page asks for.

        Args:
            message: `type` is one of `drive` (`steering`, `throttle`), `driver` (`name`), `choose`
                (`track`, `look`, `randomisation`; any of them), `episode`, `back`.

        Raises:
            UsageError: the message is no such thing.
            DingocarError: what was asked for cannot be had; the world stays as it was.
        """
        kind = message.get("type")
        with self._lock:
            if kind == "drive":
                self._command = _number(message, "steering"), _number(message, "throttle")
                self._command_age_s = 0.0
            elif kind == "driver":
                self._driver = self._listed("driver", message.get("name"))
            elif kind == "choose":
                self._choose(message)
            elif kind == "episode":
                self._new_episode()
            elif kind == "back":
                self._place(float(self._world.state.s_m[0]))
            else:
                raise UsageError(f"view: unknown message {str(kind)[:40]!r}")

    def picture(self) -> bytes:
        """The camera's picture as a JPEG."""
        with self._lock:
            image: Uint8Array = self._world.state.image[0]
        return encode_jpeg(image, JPEG_QUALITY)

    def figures(self) -> dict[str, Any]:
        """What changes with each step, as JSON values."""
        with self._lock:
            state = self._world.state
            names = (
                "x_m",
                "y_m",
                "yaw_rad",
                "speed_mps",
                "cte_m",
                "heading_error_rad",
                "time_s",
                "progress_m",
            )
            return {
                **{name: round(float(getattr(state, name)[0]), 4) for name in names},
                "steering": round(self._steering, 3),
                "throttle": round(self._throttle, 3),
                "laps": int(state.laps[0]),
                "half_width_m": round(float(state.half_width_m[0]), 3),
                "off_track": bool(state.off_track[0]),
                "driver": self._driver,
                "version": self.version,
            }

    def world(self) -> dict[str, Any]:
        """What changes with each world and episode, as JSON values."""
        with self._lock:
            episode, plan = self._world.episodes[0], self._plan
            camera = self._world.camera.mounted(episode.physics)
            origin = plan.pixels([[0.0, 0.0]])[0]
            return {
                **dataclasses.asdict(self._asked),
                "version": self.version,
                "episode_seed": episode.seed,
                "lists": self.lists,
                "dt_s": self._dt_s,
                "length_m": self._world.track.length_m,
                "camera": {"width": camera.shape[1], "height": camera.shape[0]},
                "plan": {
                    "width": PLAN_SHAPE[1],
                    "height": PLAN_SHAPE[0],
                    "scale_px": plan.scale_px,
                    "x0_px": float(origin[0]),
                    "y0_px": float(origin[1]),
                },
                "seen_m": np.round(footprint(camera), 3).tolist(),
                "lines_m": {
                    name: np.round(_thinned(getattr(self._world.track, name)), 3).tolist()
                    for name in ("left", "right", "centre")
                },
                "parameters": _parameters(episode, set(self._world.randomisation.ranges)),
                "choices": {"floor": episode.appearance.floor, "backdrop": episode.appearance.backdrop},
            }

    def plan_jpeg(self) -> bytes:
        """The picture from above without the car, as a JPEG."""
        with self._lock:
            background = self._plan.background
        return encode_jpeg(background, JPEG_QUALITY)

    # What the methods above share; the lock is held.

    def _act(self) -> tuple[npt.ArrayLike, npt.ArrayLike]:
        if self._driver == "you":
            return self._command if self._command_age_s <= COMMAND_S else (self._command[0], 0.0)
        if self._driver == "pilot" and self._pilot is not None:
            return self._pilot(self._world.state)
        return self._expert.act(self._world.state)

    def _choose(self, message: Mapping[str, Any]) -> None:
        wanted: dict[str, Any] = {
            name: self._listed(name, message[name])
            for name in ("track", "look", "randomisation")
            if name in message
        }
        if wanted.get("track") == "random":
            wanted["track"] = f"random:{int(self._rng.integers(1_000_000))}"
        self._open(dataclasses.replace(self._asked, **wanted))

    def _listed(self, kind: str, name: object) -> str:
        if not isinstance(name, str) or name not in self.lists[kind]:
            raise UnknownNameError(kind, str(name)[:60], self.lists[kind])
        return name

    def _open(self, asked: Asked) -> None:
        """Builds a world; where it cannot be built, the old one stays."""
        track = load_track(asked.track)
        car = car_for(track)
        world = World(
            track,
            asked.look,
            camera=car.camera(self._shape),
            dynamics=car.dynamics,
            dt_s=self._dt_s,
            seed=asked.seed,
            randomisation=asked.randomisation,
        )
        expert = car.expert(track)
        world.reset(start_s_m=0.0)
        plan = _plan(world, asked.look)
        self._asked, self._world, self._expert, self._plan = asked, world, expert, plan
        self._rng = np.random.default_rng(asked.seed)
        self._begin()

    def _new_episode(self) -> None:
        """Draws all by chance anew: place and episode; without a randomisation the look draws itself anew."""
        world = self._world
        if world.randomisation.varies:
            world.reset()
        else:
            drawn = world.randomisation.draw(load_look(self._asked.look), self._rng)
            world.reset(episodes=[drawn])
        self._plan = _plan(world, self._asked.look)
        self._begin()

    def _begin(self) -> None:
        self.version += 1
        self._lost_s = self._steering = self._throttle = 0.0

    def _place(self, s_m: float) -> None:
        """Puts the car on the middle of the track, in the same episode."""
        self._world.reset(start_s_m=s_m, episodes=self._world.episodes)
        self._lost_s = 0.0


def _plan(world: World, look: str) -> Plan:
    """The world from above, painted just as the camera sees it."""
    episode = world.episodes[0]
    width = world.camera.shape[1]
    chart = survey(world.track, texel_m=TEXEL_M * max(1.0, TEXEL_WIDTH_PX / width))
    painting = load_look(look).paint(chart, episode.appearance, np.random.default_rng(episode.floor_seed))
    return Plan(world.track, PLAN_SHAPE, painting)


def _parameters(episode: Episode, drawn: set[str]) -> list[dict[str, Any]]:
    """Each number of an episode with its bounds, and whether it was drawn by the randomisation."""
    return [
        {
            "group": group,
            "name": field.name,
            "value": round(float(getattr(values, field.name)), 4),
            "low": BOUNDS[field.name][0],
            "high": BOUNDS[field.name][1],
            "drawn": field.name in drawn,
            "usual": field.default,
        }
        for group, values in (("appearance", episode.appearance), ("physics", episode.physics))
        for field in dataclasses.fields(values)
        if field.name in BOUNDS
    ]


def _thinned(line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """At most 400 points of a line."""
    return line[:: max(1, len(line) // 400)]


def _number(message: Mapping[str, Any], name: str) -> float:
    value = message.get(name)
    try:
        found = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # an integer that is too large for a float
        found = math.nan
    if not math.isfinite(found):
        raise UsageError(f"view: {name} must be a number from -1 to 1, got {str(value)[:40]!r}")
    return min(1.0, max(-1.0, found))


def _loads(name: str) -> bool:
    """Whether a track can be had without an argument or another package."""
    try:
        track: Track | None = load_track(name)
    except DingocarError:
        track = None
    return track is not None
