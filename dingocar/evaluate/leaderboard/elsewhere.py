"""Worlds that are not ours: the real gym-duckietown, and drives that somebody has recorded."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import ImageError, UsageError
from dingocar.evaluate.leaderboard.suite import Recording, WorldSpec
from dingocar.sim.duckiebot import WHEEL_PER_VELOCITY
from dingocar.training.recording import CHANNELS, Stamp
from dingocar.tub import Record, TubWriter, open_tub
from dingocar.zoo import RunnablePilot

if TYPE_CHECKING:
    from dingocar.images import Uint8Array

logger = logging.getLogger(__name__)

#: Of the pictures on disk; what a look does to its pictures, JPEG included, it has done already.
JPEG_QUALITY = 95
#: Records are stamped with the world's time, which begins here: seconds since 1970.
BEGAN_S = 1.6e9
#: What the expert asks for in gym-duckietown, and pilots get there: they steer, no more.
VELOCITY = 0.3
#: A recording is cut into so many stretches, and the last part of each is held out of every training.
STRETCHES, HELD_OUT = 4, 1 / 3
#: Between what is trained on and what is held out: so many frames (5 s), or this part of a stretch.
GAP_FRAMES, GAP_PART = 100, 1 / 6
#: How often recorded drives are taken to have been sampled: what Donkeycar records with.
RATE_HZ = 20

#: A moment: seconds since the session began, uint8 (H, W, 3), steering, throttle.
Moment = tuple[float, "Uint8Array", float, float]


def record_elsewhere(
    tub: Path,
    recording: Recording,
    seed: int,
    picture: tuple[int, ...],
    data: Mapping[str, Mapping[str, str]],
    on_progress: Callable[[float], None] = lambda share: None,
) -> list[dict[str, Any]]:
    """Makes a tub of a recording whose place is not our simulator; see `make_recording`.

    Args:
        data: the user's recordings; see `Suite`.

    Returns:
        The episodes, with their number of frames; none of what was recorded before.

    Raises:
        MissingExtraError: gym-duckietown is not installed.
        UsageError: a recording has not enough pictures, or is not there.
    """
    episodes: list[dict[str, Any]] = []
    per_track = np.diff(np.linspace(0, recording.frames, len(recording.tracks) + 1).round().astype(int))
    sessions: Iterator[Iterable[Moment]]
    for number, (name, frames) in enumerate(zip(recording.tracks, per_track, strict=True)):
        words = {"domain": recording.domain, "track": name, "place": recording.place, "seed": seed}
        if recording.place == "recorded":
            sessions = _copied(name, data, recording.held_out, int(frames), picture)
        else:
            sessions = _driven(name, recording, int(frames), (seed, number), picture, episodes)
        done = 0
        for moments in sessions:
            done += write_moments(tub, moments, words)
            on_progress((number + min(1.0, done / frames)) / len(recording.tracks))
    return episodes


def copy_whole(
    tub: Path, name: str, data: Mapping[str, Mapping[str, str]], domain: str, picture: tuple[int, ...]
) -> None:
    """Adds all pictures of a recording that have a label and a driver to a tub.

    Raises:
        UsageError: the recording is not there, or has no such picture.
    """
    words, count = {"domain": domain, "track": name, "place": "recorded"}, 0
    for moments in _sessions(_usable_records(name, data), picture):
        count += write_moments(tub, moments, words)
    if not count:
        raise UsageError(f"{data[name]['folder']}: has no picture with a label and a driver")


def write_moments(tub: Path, moments: Iterable[Moment], words: dict[str, Any]) -> int:
    """Writes a session of a tub, which is made if need be; returns the number of records."""
    stamp, count = Stamp(BEGAN_S), 0
    columns = list(CHANNELS), list(CHANNELS.values())
    with TubWriter(tub, *columns, words, on_full="wait", jpeg_quality=JPEG_QUALITY, clock=stamp) as writer:
        for stamp.time_s, image, steering, throttle in moments:
            writer.write(dict(zip(CHANNELS, (image, steering, throttle, "user"), strict=True)))
            count += 1
    return count


def _driven(
    name: str,
    recording: Recording,
    frames: int,
    seed: tuple[int, int],
    picture: tuple[int, ...],
    episodes: list[dict[str, Any]],
) -> Iterator[Iterable[Moment]]:
    """Lets the expert drive on a map of gym-duckietown: one session of exactly so many frames."""
    from dingocar.evaluate.duckietown import demonstrate
    from dingocar.sim.duckietown_gym import DuckietownGym

    rng = np.random.default_rng(seed)
    first = int(rng.integers(2**31))

    def moments() -> Iterator[Moment]:
        with DuckietownGym(name, first, image_shape=(picture[0], picture[1])) as gym:
            # An episode has one picture at least, so that as many episodes as pictures are enough.
            stream = demonstrate(
                *(gym, VELOCITY, recording.noise, frames, recording.episode_frames, first, rng)
            )
            for episode, group in itertools.groupby(itertools.islice(stream, frames), lambda d: d.episode):
                count = 0
                for seen in group:
                    yield seen.time_s, seen.image, seen.steering, seen.throttle
                    count += 1
                episodes.append({"track": name, "episode": episode, "frames": count})

    yield moments()


def _copied(
    name: str, data: Mapping[str, Mapping[str, str]], held: bool, frames: int, picture: tuple[int, ...]
) -> Iterator[Iterable[Moment]]:
    """Takes the blocks that are held out, or the others, of a recording; a session for each drive in them."""
    records = _usable_records(name, data)
    blocks = [pair[held] for pair in split_recorded(len(records))]
    if not blocks:
        raise UsageError(
            f"{data[name]['folder']}: has {len(records)} pictures with a label and a driver; too few"
        )
    total = sum(block.stop - block.start for block in blocks)
    for block in blocks:
        # If fewer are asked for, every block is shorter.
        wanted = min(block.stop - block.start, round((block.stop - block.start) * frames / total))
        yield from _sessions(records[block.start : block.start + wanted], picture)


def split_recorded(count: int) -> list[tuple[slice, slice]]:
    """For each stretch of so many records: what may be trained on, and what is held out.

    >>> split_recorded(4800)[0]
    (slice(0, 700, None), slice(800, 1200, None))
    """
    found = []
    edges = np.linspace(0, count, STRETCHES + 1).round().astype(int).tolist()
    for number, (first, stop) in enumerate(itertools.pairwise(edges)):
        gap = min(GAP_FRAMES, int((stop - first) * GAP_PART))
        held = stop - round((stop - first) * HELD_OUT)
        begin = first + (gap if number else 0)  # what comes before is held out
        if held - gap - begin > 0 and stop - held > 0:
            found.append((slice(begin, held - gap), slice(held, stop)))
    return found


def _usable_records(name: str, data: Mapping[str, Mapping[str, str]]) -> list[Record]:
    if name not in data:
        raise UsageError(f"the recording {name!r} is not there; give --data {name}=DIR")
    return [record for record in open_tub(data[name]["folder"]).records if _usable(record)]


def _usable(record: Record) -> bool:
    values = [record.fields.get(channel) for channel in ("user/angle", "user/throttle")]
    return record.mode == "user" and all(isinstance(v, int | float) and np.isfinite(v) for v in values)


def _sessions(records: Sequence[Record], picture: tuple[int, ...]) -> Iterator[list[Moment]]:
    """The moments of each drive in the records, without those that have no picture left."""
    for drive in _drives(records):
        moments = list(_moments(drive, (picture[0], picture[1])))
        if moments:
            yield moments


def _drives(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Records that follow each other: of one session, and without a missing one in between."""
    drive: list[Record] = []
    for record in records:
        if drive and (record.index != drive[-1].index + 1 or record.session_id != drive[-1].session_id):
            yield drive
            drive = []
        drive.append(record)
    if drive:
        yield drive


def _moments(drive: Sequence[Record], size: tuple[int, int]) -> Iterator[Moment]:
    for number, record in enumerate(drive):
        try:
            image = record.image(size=size)
        except ImageError as error:
            logger.info("%s", error)
            continue
        steering, throttle = (float(np.clip(value, -1, 1)) for value in (record.steering, record.throttle))
        yield number / RATE_HZ, image, steering, throttle


def drive_duckietown(
    world: WorldSpec, picture: tuple[int, ...], pilot: RunnablePilot | None
) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]]:
    """Lets a pilot steer in gym-duckietown, from AI-DO's starts; an episode ends where the road is left.

    A lap of the other worlds is here an episode, and a clean one is one that was survived.

    Args:
        world: its maps, and how long.
        picture: (height, width).
        pilot: who; its throttle is the expert's. None: the expert.

    Returns:
        the figures, among them the `medians` of AI-DO's metrics; and each way: x_m, y_m, yaw_rad.
    """
    from dingocar.evaluate import duckietown
    from dingocar.evaluate.duckietown_metrics import medians
    from dingocar.sim.duckietown_gym import DuckietownExpert, DuckietownGym

    results, size = {}, (picture[0], picture[1])
    for number, name in enumerate(world.tracks):
        seed = world.seed + number
        with DuckietownGym(
            name, seed, image_shape=size, draw=pilot is not None, **duckietown.AIDO_STARTS
        ) as gym:
            driver: duckietown.Driver = DuckietownExpert(gym, VELOCITY).act
            if pilot is not None:
                driver = duckietown.pilot_driver(pilot, VELOCITY * WHEEL_PER_VELOCITY)
            results[name] = duckietown.evaluate(driver, gym, world.laps, world.steps, seed, restart=False)
    whole_s = world.steps * next(iter(results.values())).dt_s
    metrics = [one for result in results.values() for one in result.metrics]
    shares = [min(1.0, one.survival_s / whole_s) for one in metrics]
    paths = {
        f"{world.name}/{name}/{lap}": path.astype(np.float32)
        for name, result in results.items()
        for lap, path in enumerate(result.paths)
    }
    facts = {
        "clean_laps": sum(result.survived for result in results.values()),
        "laps": len(metrics),
        "completion": float(np.mean(shares)),
        "first_failure": float(np.mean(shares)),
        "mean_abs_cte_m": float(np.mean([one.mean_abs_lateral_m for one in metrics])),
        "off_tracks_per_lap": sum(result.crashes for result in results.values()) / len(metrics),
        "mean_reward": float(np.mean([result.mean_reward for result in results.values()])),
        "medians": medians(metrics),
    }
    return facts, paths
