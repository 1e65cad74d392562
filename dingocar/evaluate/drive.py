"""Closed-loop evaluation: laps in the simulator, each from its own start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.evaluate.statistics import wilson_interval
from dingocar.sim import Camera, Randomisation, State, Track, World, car_for, load_track
from dingocar.sim.dynamics import CarDynamics
from dingocar.zoo import RunnablePilot

FloatArray = npt.NDArray[np.float64]

#: State of n cars to steering (n,) and throttle (n,), each in [-1, 1].
Driver = Callable[[State], tuple[npt.ArrayLike, npt.ArrayLike]]

#: A car that is slower than this on average has not completed its lap.
SLOWEST_MPS = 0.2
#: Or, for slow cars, than this part of its top speed.
SLOWEST_PART = 0.15


@dataclass(frozen=True)
class DriveResult:
    """How the laps went.

    Attributes:
        laps_asked: laps that were begun, each by its own car.
        laps_completed: laps that came round, with or without leaving the track.
        clean_laps: laps that came round without leaving the track.
        clean_rate_low, clean_rate_high: 95 % Wilson interval of the share of clean laps.
        mean_abs_cte_m, p95_abs_cte_m: distance from the centre line over all steps.
        half_width_m: mean half width of the track: beyond it a car is off the track.
        off_tracks: how often cars left the track; each is put back on the centre line, at rest.
        mean_speed_mps: over all steps.
        mean_abs_dsteering: mean change of the steering command from step to step.
        completion: mean share of the lap that was driven, 1 for completed laps.
        lap_off_tracks: of each lap, how often its car left the track.
        lap_first_failure: of each lap, the share of it driven before that happened; 1 for clean laps.
        paths: one float64 (T, 3) array for each lap: x_m, y_m, cte_m. Not part of `to_json`.
    """

    track: str
    look: str
    seed: int
    randomisation: str
    laps_asked: int
    laps_completed: int
    clean_laps: int
    clean_rate_low: float
    clean_rate_high: float
    completion: float
    mean_abs_cte_m: float
    p95_abs_cte_m: float
    half_width_m: float
    off_tracks: int
    mean_speed_mps: float
    mean_abs_dsteering: float
    lap_off_tracks: list[int]
    lap_first_failure: list[float]
    paths: list[FloatArray] = field(default_factory=list, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The figures, without the paths."""
        return {name: value for name, value in asdict(self).items() if name != "paths"}


def pilot_driver(pilot: RunnablePilot) -> Driver:
    """Makes a driver of a pilot: it sees the pictures and nothing else."""
    return lambda state: pilot.run_batch(state.image)


def evaluate(
    driver: Driver,
    track: Track | str = "circuit",
    look: str = "flat",
    laps: int = 5,
    seed: int = 0,
    camera: Camera | None = None,
    dynamics: CarDynamics | None = None,
    dt_s: float = 0.05,
    randomisation: Randomisation | str = "none",
    on_progress: Callable[[float], None] = lambda laps_driven: None,
) -> DriveResult:
    """Lets `driver` drive `laps` laps, each a car of its own from a start of its own, all at rest.

    Separate cars make the laps independent trials, which the interval of the clean share needs.

    Args:
        driver: what drives; see `Driver`.
        track, look, dt_s: of the world; it steps all cars together.
        camera, dynamics: of the cars; None: of the car that the track is made for.
        laps: how many.
        seed: draws the starts, the look's appearance and the episodes.
        randomisation: what each lap's episode is drawn from.
        on_progress: told the number of laps driven so far, in parts of a lap too.

    Raises:
        UsageError: `laps` is not positive.
    """
    if laps < 1:
        raise UsageError(f"--laps must be at least 1, got {laps}")
    where = track if isinstance(track, Track) else load_track(track)
    car, length_m = car_for(where), where.length_m
    camera, dynamics = camera or car.camera((120, 160)), dynamics or car.dynamics
    world = World(where, look, laps, camera, dynamics, dt_s, seed, randomisation)
    # Evenly spread starts with a common random offset see the whole track, also with few laps.
    offset = np.random.default_rng(seed).uniform()
    state = world.reset(seed, start_s_m=(np.arange(laps) + offset) / laps * length_m)
    log = _Log(laps)
    active = np.ones(laps, bool)
    fell_off, failed_at_m = np.zeros(laps, int), np.full(laps, np.inf)
    driven_m, before_m = np.zeros(laps), np.zeros(laps)  # before_m: until the car was last put back
    slowest_mps = min(SLOWEST_MPS, SLOWEST_PART * dynamics.top_speed_mps)
    for step in range(int(length_m / slowest_mps / dt_s)):
        steering, throttle = (np.asarray(value, float) for value in driver(state))
        state = world.step(steering, throttle)
        log.add(state, steering, active)
        # A car that has come round drives on, but what it does then counts no more.
        driven_m = np.where(active, before_m + state.progress_m, driven_m)
        off = state.off_track & active
        fell_off += off
        failed_at_m = np.where(off, np.minimum(failed_at_m, driven_m), failed_at_m)
        active &= driven_m < length_m
        if not active.any():
            break
        if off.any():
            before_m = np.where(off, driven_m, before_m)
            state = world.reset(start_s_m=state.s_m, cars=off, episodes=world.episodes)
        if step % 20 == 0:
            on_progress(float(np.sum(np.clip(driven_m / length_m, 0, 1))))
    return log.result(world, seed, driven_m / length_m, fell_off, failed_at_m / length_m)


class _Log:
    """Collects what the figures are made of, from the cars still under way."""

    def __init__(self, n: int) -> None:
        self.rows: list[FloatArray] = []
        self.active: list[npt.NDArray[np.bool_]] = []
        self._n = n

    def add(self, state: State, steering: FloatArray, active: npt.NDArray[np.bool_]) -> None:
        """Notes one step of all cars."""
        steering = np.broadcast_to(steering, self._n)
        self.rows.append(np.stack([state.x_m, state.y_m, state.cte_m, state.speed_mps, steering], -1))
        self.active.append(active.copy())

    def result(
        self,
        world: World,
        seed: int,
        laps_driven: FloatArray,
        fell_off: npt.NDArray[np.int_],
        failed_at: FloatArray,
    ) -> DriveResult:
        """Turns the notes into figures."""
        rows, active = np.stack(self.rows), np.stack(self.active)  # (T, n, 5), (T, n)
        abs_cte_m = np.abs(rows[..., 2][active])
        completed = laps_driven >= 1
        d_steering = np.abs(np.diff(rows[..., 4], axis=0))[active[1:]]
        clean = int(np.sum(completed & (fell_off == 0)))
        low, high = wilson_interval(clean, self._n)
        return DriveResult(
            track=world.track.name,
            look=world.look,
            seed=seed,
            randomisation=world.randomisation.name,
            laps_asked=self._n,
            laps_completed=int(completed.sum()),
            clean_laps=clean,
            clean_rate_low=low,
            clean_rate_high=high,
            completion=float(np.mean(np.clip(laps_driven, 0, 1))),
            mean_abs_cte_m=float(abs_cte_m.mean()),
            p95_abs_cte_m=float(np.percentile(abs_cte_m, 95)),
            half_width_m=float(world.track.half_width_m.mean()),
            off_tracks=int(fell_off.sum()),
            mean_speed_mps=float(rows[..., 3][active].mean()),
            mean_abs_dsteering=float(d_steering.mean()) if d_steering.size else 0.0,
            lap_off_tracks=fell_off.tolist(),
            lap_first_failure=np.clip(np.minimum(failed_at, laps_driven), 0, 1).tolist(),
            paths=[rows[active[:, car], car, :3] for car in range(self._n)],
        )
