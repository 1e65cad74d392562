"""The simulator: n cars on one track, stepped together, seen through their cameras."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.images import Uint8Array
from dingocar.sim.camera import Camera
from dingocar.sim.dynamics import CarDynamics, Dynamics
from dingocar.sim.look import load_look
from dingocar.sim.randomisation import Episode, Randomisation, load_randomisation
from dingocar.sim.scene import Moment, Stage
from dingocar.sim.track import FloatArray, Track, load_track, wrap_angle

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

#: Off the track a car gains no more progress than this, times the way that it drove there.
SHORTCUT = 1.5
#: Most cars in one world.
MAX_CARS = 4096


@dataclass(eq=False)
class State:
    """What is known of n cars after a step. Every array is (n,) and stays as it is afterwards.

    Attributes:
        x_m, y_m: middle of the rear axle.
        yaw_rad: counter-clockwise from +x.
        speed_mps: negative backwards.
        steering_rad: angle of the front wheels, positive to the right.
        s_m: how far along the centre line the nearest point of it is.
        cte_m: distance from the centre line, positive to its right.
        heading_error_rad: yaw less the centre line's heading there; positive: it points to the left.
        half_width_m: half the width of the track there.
        progress_m: way along the track since the reset; shortcuts do not count.
        laps: whole lengths of `progress_m` reached so far.
        off_track: |cte_m| is larger than half_width_m.
        time_s: since the car's reset.
    """

    x_m: FloatArray
    y_m: FloatArray
    yaw_rad: FloatArray
    speed_mps: FloatArray
    steering_rad: FloatArray
    s_m: FloatArray
    cte_m: FloatArray
    heading_error_rad: FloatArray
    half_width_m: FloatArray
    progress_m: FloatArray
    laps: IntArray
    off_track: BoolArray
    time_s: FloatArray
    _render: Callable[[], Uint8Array]

    @functools.cached_property
    def image(self) -> Uint8Array:
        """The cameras' pictures, uint8 (n, H, W, 3); drawn when first asked for."""
        return self._render()


class World:
    """n cars on one track. They do not see or touch each other.

    Nothing in it reads the clock, and all that is drawn by chance comes from `seed`. With a
    randomisation each reset begins a new episode, with an appearance and a physics of its own.

    >>> world = World("oval", n=2)
    >>> state = world.reset(start_s_m=0.0)
    >>> state = world.step(steering=0.0, throttle=[0.5, 0.0])
    >>> state.image.shape
    (2, 120, 160, 3)

    Attributes:
        episodes: of each car, what was drawn for it at its last reset.
    """

    def __init__(
        self,
        track: Track | str,
        look: str = "flat",
        n: int = 1,
        camera: Camera = Camera(),  # noqa: B008 (frozen)
        dynamics: CarDynamics = Dynamics(),  # noqa: B008 (frozen)
        dt_s: float = 0.05,
        seed: int = 0,
        randomisation: Randomisation | str = "none",
    ) -> None:
        """Builds the world and places the cars by chance.

        Args:
            track: a track or its name.
            look: name of the look; painted when the first picture is asked for.
            n: number of cars.
            camera: every car's camera.
            dynamics: how every car moves.
            dt_s: length of a step.
            seed: of the appearance, and of `reset` until that is given another one.
            randomisation: what episodes are drawn from, or its name; `none`: all cars have the look's one
                appearance for this seed and the same physics, at every reset.

        Raises:
            UnknownNameError: no such track, look or randomisation.
            TrackError: the track cannot be built.
            UsageError: n, dt_s or seed is out of bounds.
        """
        if not isinstance(n, int) or not 1 <= n <= MAX_CARS:
            raise UsageError(f"World: n must be a whole number from 1 to {MAX_CARS}, got {n!r}")
        if not 0.001 <= dt_s <= 0.5:
            raise UsageError(f"World: dt_s must be between 0.001 and 0.5 s, got {dt_s}")
        if not isinstance(randomisation, Randomisation):
            randomisation = load_randomisation(randomisation)
        self.randomisation = randomisation
        self.track = track if isinstance(track, Track) else load_track(track)
        self.look, self.n, self.camera, self.dynamics = look, n, camera, dynamics
        self.dt_s, self.seed = dt_s, seed
        self._look = load_look(look)
        self._stage = Stage(self.track, self._look, camera, randomisation.varies)
        own = randomisation.draw(self._look, np.random.default_rng(_checked_seed(seed)))
        self._motion = dynamics.motion(n, dt_s)
        self.episodes = self._stage.begin([own] * n, share=False)
        self._s_m, self._cte_m, self._heading_rad = np.zeros(n), np.zeros(n), np.zeros(n)
        self._off, self._off_m = np.zeros(n, bool), np.zeros(n)
        self._booked_s_m, self._progress_m = np.zeros(n), np.zeros(n)
        self._laps, self._steps = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._moment = Moment.at_rest(n)
        self.reset(seed)

    def reset(
        self,
        seed: int | None = None,
        start_s_m: npt.ArrayLike | None = None,
        cte_m: npt.ArrayLike = 0.0,
        heading_error_rad: npt.ArrayLike = 0.0,
        cars: npt.ArrayLike | None = None,
        episodes: Sequence[Episode] | None = None,
    ) -> State:
        """Puts cars on the track, standing still, with all their counts at zero.

        Args:
            seed: of the places drawn from now on; None: go on with the last one.
            start_s_m: where along the centre line, scalar or (n,); None: anywhere, by chance.
            cte_m: how far to the right of it, scalar or (n,).
            heading_error_rad: how far turned to the left, scalar or (n,).
            cars: bool (n,), which cars; None: all. The others drive on.
            episodes: what the n cars' appearances and physics are from now on (only those of `cars` are
                looked at); None: drawn from the randomisation.

        Raises:
            UsageError: a value is not finite, or does not fit n cars.
        """
        if seed is not None:
            self._rng = np.random.default_rng(_checked_seed(seed))
        drawn = self._rng.uniform(0.0, self.track.length_m, self.n)
        start = drawn if start_s_m is None else self._per_car("start_s_m", start_s_m)
        offset = self._per_car("cte_m", cte_m)
        error = self._per_car("heading_error_rad", heading_error_rad)
        mask = np.ones(self.n, bool) if cars is None else np.asarray(cars)
        if mask.shape != (self.n,) or mask.dtype != np.bool_:
            raise UsageError(f"World.reset: cars must be bool of shape ({self.n},)")
        x, y, heading = self.track.pose_at(start)
        x, y = x + offset * np.sin(heading), y - offset * np.cos(heading)
        self.episodes = self._begin(episodes, mask)
        self._motion.place(mask, x, y, heading + error)
        located = self.track.locate(self._motion.x_m, self._motion.y_m, np.where(mask, start, self._s_m))
        self._s_m, self._cte_m, self._heading_rad = located
        self._booked_s_m = np.where(mask, self._s_m, self._booked_s_m)
        self._progress_m = np.where(mask, 0.0, self._progress_m)
        self._off_m = np.where(mask, 0.0, self._off_m)
        self._laps, self._steps = np.where(mask, 0, self._laps), np.where(mask, 0, self._steps)
        self._off = np.abs(self._cte_m) > self.track.half_width_at(self._s_m)
        self._moment = self._moment.after(self._motion, self._steps, self.dt_s, self.episodes, fresh=mask)
        self.state = self._snapshot()
        return self.state

    def step(self, steering: npt.ArrayLike, throttle: npt.ArrayLike) -> State:
        """Drives all cars for `dt_s`.

        Args:
            steering: scalar or (n,); +1 is full right. Clipped to [-1, 1].
            throttle: scalar or (n,); +1 is full ahead. Clipped to [-1, 1].

        Raises:
            UsageError: a command is not finite, or does not fit n cars.
        """
        commands = (
            np.clip(self._per_car(name, value), -1.0, 1.0)
            for name, value in (("steering", steering), ("throttle", throttle))
        )
        self._motion.advance(*commands)
        self._steps = self._steps + 1
        was_off = self._off
        # A car that is off the track may come back to any part of it.
        near = np.where(was_off, np.nan, self._s_m)
        located = self.track.locate(self._motion.x_m, self._motion.y_m, near)
        self._s_m, self._cte_m, self._heading_rad = located
        self._off = np.abs(self._cte_m) > self.track.half_width_at(self._s_m)
        self._book(was_off)
        self._moment = self._moment.after(self._motion, self._steps, self.dt_s, self.episodes)
        self.state = self._snapshot()
        return self.state

    def render(self) -> Uint8Array:
        """What the cameras see now: uint8 (n, H, W, 3). The same as `state.image`."""
        return self.state.image

    def _begin(self, episodes: Sequence[Episode] | None, mask: BoolArray) -> tuple[Episode, ...]:
        """Begins a new episode for the cars of a mask; returns the episodes of all cars."""
        if episodes is None:
            if not self.randomisation.varies:
                return self.episodes
            draws = self._rng.integers(2**63, size=self.n)  # so that one car's draw never shifts another's
            wanted = [
                self.randomisation.draw(self._look, np.random.default_rng(draws[car])) if mask[car] else None
                for car in range(self.n)
            ]
        else:
            if len(episodes) != self.n:
                raise UsageError(f"World.reset: expected {self.n} episodes, got {len(episodes)}")
            wanted = [episode if mask[car] else None for car, episode in enumerate(episodes)]
        begun = self._stage.begin(wanted, share=episodes is None)
        for car in np.flatnonzero(mask):
            self._motion.set_physics(int(car), begun[car].physics)
        return begun

    def _book(self, was_off: BoolArray) -> None:
        """Adds the way of one step to the progress, and counts laps.

        Off the track nothing is booked. Back on it, the way from the last booked place counts, but
        a gain that is too large for the way driven off the track was a shortcut: it is
        booked as going back the other way round, so that it costs a lap and never earns one.
        """
        self._off_m = np.where(
            self._off, self._off_m + np.abs(self._motion.speed_mps) * self.dt_s, self._off_m
        )
        gain = self.track.wrap_s(self._s_m - self._booked_s_m)
        shortcut = was_off & (gain > SHORTCUT * self._off_m + 0.1)
        gain = np.where(shortcut, gain - self.track.length_m, gain)
        on = ~self._off
        self._progress_m = np.where(on, self._progress_m + gain, self._progress_m)
        self._booked_s_m = np.where(on, self._s_m, self._booked_s_m)
        self._off_m = np.where(on, 0.0, self._off_m)
        reached = np.floor(self._progress_m / self.track.length_m + 1e-9).astype(np.int64)
        self._laps = np.maximum(self._laps, reached)

    def _snapshot(self) -> State:
        motion = self._motion
        return State(
            x_m=motion.x_m,
            y_m=motion.y_m,
            yaw_rad=motion.yaw_rad,
            speed_mps=motion.speed_mps,
            steering_rad=motion.steering_rad,
            s_m=self._s_m,
            cte_m=self._cte_m,
            heading_error_rad=wrap_angle(motion.yaw_rad - self._heading_rad),
            half_width_m=self.track.half_width_at(self._s_m),
            progress_m=self._progress_m,
            laps=self._laps,
            off_track=self._off,
            time_s=np.asarray(self._steps * self.dt_s, np.float64),
            _render=self._stage.camera_roll(self._moment, self.dt_s),
        )

    def _per_car(self, name: str, value: npt.ArrayLike) -> FloatArray:
        array = np.asarray(value, dtype=np.float64)
        if array.shape not in ((), (1,), (self.n,)) or not np.isfinite(array).all():
            raise UsageError(f"World: {name} must be one finite number or {self.n} of them, got {value!r}")
        return np.broadcast_to(array, self.n)


def _checked_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"World: seed must be a whole number >= 0, got {seed!r}")
    return int(seed)
