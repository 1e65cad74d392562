"""The same states seen in two looks: how much a pilot's features and steering change where only paint does.

Two sets of recordings differ in much more than how they look: other places, another driver. The simulator can
paint one drive twice, so that each picture has a partner in which nothing but the look is another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.evaluate.pictures import PictureSet
from dingocar.images import decode_image, encode_jpeg
from dingocar.sim import Noise, World, car_for, load_look, load_track
from dingocar.sim.physics import Physics
from dingocar.sim.randomisation import Episode

#: Drives, each in another appearance of both looks, and the states taken of each.
DRIVES, STATES = 10, 20
#: Steps before the first state, and from one to the next.
RUN_UP, EVERY = 12, 10
#: Of the driving: the expert alone sees hardly more than the middle of the lane.
NOISE = 0.5
RESAMPLES = 1000

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """N states in two looks.

    Attributes:
        one, other: the pictures; picture i of both is of the same state, and their blocks are the drives.
        expert: float64 (N,), what the expert steers there, in [-1, 1].
    """

    one: PictureSet
    other: PictureSet
    expert: FloatArray


@dataclass(frozen=True)
class Pairs:
    """What a look changes.

    Attributes:
        one, other: the looks.
        states: number of pairs.
        moved: mean distance of the features of a state in the one look and in the other, divided by the
            mean distance of different states of a drive in one look. 0: the features do not see the
            look; 1: it moves them as far as going elsewhere on the track does.
        moved_low, moved_high: 95 % interval, drives resampled.
        steering: mean absolute difference of the pilot's steering in the pairs.
        one_mae, other_mae: of its steering beside the expert's, in each look.
    """

    one: str
    other: str
    states: int
    moved: float
    moved_low: float
    moved_high: float
    steering: float
    one_mae: float
    other_mae: float

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


def see_in_two_looks(
    looks: tuple[str, str],
    shape: tuple[int, int] = (120, 160),
    track: str = "circuit",
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Seen:
    """Lets the expert drive, disturbed, and takes each state's picture in both looks.

    Both worlds get the same commands, and the cars in them are alike, so they are in the same states.

    Args:
        looks: names of two looks.
        shape: (height, width) of the pictures.
        track: the track's name.
        seed: draws appearances, starts and the disturbance.
        on_progress: told the share that is done, from 0 to 1.

    Raises:
        UnknownNameError: no such look or track.
        UsageError: the looks are the same one.
    """
    if looks[0] == looks[1]:
        raise UsageError(f"looks: expected two different ones, got {looks[0]!r} twice")
    place = load_track(track)
    car, rng = car_for(place), np.random.default_rng([seed, 0x10])
    drawn_from = [load_look(look) for look in looks]
    expert, noise = car.expert(place), Noise.of_level(NOISE, rng, DRIVES)
    start_m = rng.uniform(0, place.length_m, DRIVES)
    aside_m = rng.uniform(-0.4, 0.4, DRIVES) * place.half_width_at(start_m)
    seeds = rng.integers(2**31, size=DRIVES)
    worlds, states = [], []
    for name, look in zip(looks, drawn_from, strict=True):
        world = World(place, name, DRIVES, car.camera(shape), car.dynamics, seed=seed)
        episodes = [Episode(look.draw(np.random.default_rng(k)), Physics(), int(k)) for k in seeds]
        states.append(world.reset(start_s_m=start_m, cte_m=aside_m, episodes=episodes))
        worlds.append(world)
    images: tuple[list[Any], list[Any]] = ([], [])
    drives, commands = [], []
    for step in range(RUN_UP + (STATES - 1) * EVERY + 1):
        steering, throttle = expert.act(states[0])
        if step >= RUN_UP and (step - RUN_UP) % EVERY == 0:
            for drive in np.flatnonzero(~states[0].off_track):
                drives.append(drive)
                commands.append(float(steering[drive]))
                for taken, state in zip(images, states, strict=True):
                    taken.append(decode_image(encode_jpeg(state.image[drive])))  # as a tub has it
            on_progress(((step - RUN_UP) // EVERY + 1) / STATES)
        driven = noise(states[0], steering, throttle)
        states = [world.step(*driven) for world in worlds]
    blocks = np.array(drives, np.int64)
    sets = [PictureSet(look, np.stack(taken), blocks) for look, taken in zip(looks, images, strict=True)]
    return Seen(sets[0], sets[1], np.array(commands))


def compare_pairs(
    seen: Seen,
    features: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    steering: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    seed: int = 0,
) -> Pairs:
    """Measures what the look changes.

    Args:
        seen: the states.
        features: (N, F) of the pictures in each look.
        steering: (N,), the pilot's in each look.
        seed: draws what is resampled.
    """
    one, other = (np.asarray(values, np.float64) for values in features)
    apart = np.linalg.norm(one - other, axis=1)
    drives = np.unique(seen.one.blocks)
    same_state, elsewhere = np.zeros(len(drives)), np.zeros(len(drives))
    states, others = np.zeros(len(drives)), np.zeros(len(drives))
    for k, drive in enumerate(drives):
        rows = seen.one.blocks == drive
        same_state[k], states[k] = apart[rows].sum(), rows.sum()
        upper = np.triu_indices(int(rows.sum()), 1)
        for values in (one[rows], other[rows]):
            elsewhere[k] += np.linalg.norm(values[upper[0]] - values[upper[1]], axis=1).sum()
            others[k] += len(upper[0])

    def ratio(drawn: npt.NDArray[np.int64]) -> float:
        near = same_state[drawn].sum() / states[drawn].sum()
        far = elsewhere[drawn].sum() / max(1.0, others[drawn].sum())
        return float(near / far) if far > 0 else 0.0

    rng = np.random.default_rng([seed, 0x11])
    again = [ratio(rng.integers(0, len(drives), len(drives))) for _ in range(RESAMPLES)]
    low, high = (float(value) for value in np.quantile(again, (0.025, 0.975)))
    return Pairs(
        *(seen.one.name, seen.other.name, len(apart), ratio(np.arange(len(drives))), low, high),
        steering=float(np.abs(steering[0] - steering[1]).mean()),
        one_mae=float(np.abs(steering[0] - seen.expert).mean()),
        other_mae=float(np.abs(steering[1] - seen.expert).mean()),
    )
