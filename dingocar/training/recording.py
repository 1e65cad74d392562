"""Recordings of the expert in the simulator: what pilots are taught with."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import TrackError
from dingocar.sim import Frame, Noise, Randomisation, World, car_for, drive_expert, load_track
from dingocar.sim.expert import ScriptedDriver
from dingocar.tub import TubWriter

logger = logging.getLogger(__name__)

CHANNELS = {
    "cam/image_array": "image_array",
    "user/angle": "float",
    "user/throttle": "float",
    "user/mode": "str",
}


class Stamp:
    """A clock that is set: seconds since 1970, of a world that began at `began_s`."""

    def __init__(self, began_s: float) -> None:
        self.began_s, self.time_s = began_s, 0.0

    def __call__(self) -> float:
        return self.began_s + self.time_s


def record_expert(
    tub: Path,
    tracks: Sequence[str],
    look: str = "flat",
    laps: int = 5,
    noise: float = 0.0,
    seed: int = 0,
    randomisation: Randomisation | str = "none",
    image_shape: tuple[int, int] = (120, 160),
    dt_s: float = 0.05,
    jpeg_quality: int = 100,
    on_progress: Callable[[float], None] = lambda laps_driven: None,
) -> int:
    """Lets the expert drive and records it.

    Each track is a session of the tub, so that held-out stretches never span two of them; with a
    randomisation each lap is one, and its metadata holds the episode that was drawn.

    Args:
        tub: its folder; made if missing, continued if not.
        tracks: names of tracks, driven one after the other.
        look: how the worlds are painted.
        laps: on each track.
        noise: 0: none; up to 1: the driving is disturbed, the recorded label is the correction.
        seed: of the starts, the noise and the episodes.
        randomisation: what episodes are drawn from.
        image_shape: (height, width) of the pictures.
        dt_s: length of a step; records are stamped with the world's time.
        jpeg_quality: of the pictures.
        on_progress: told the number of laps driven so far.

    Returns:
        the number of records.

    Raises:
        TrackError: the expert cannot drive a track; with a randomisation, in more than half of the episodes.
        TubError: the tub cannot be written.
    """
    words = {"domain": "sim", "tracks": list(tracks), "look": look, "noise": noise, "seed": seed}
    records = 0
    for i, name in enumerate(tracks):
        track = load_track(name)
        car = car_for(track)
        world = World(track, look, 1, car.camera(image_shape), car.dynamics, dt_s, seed + i, randomisation)
        words["randomisation"] = world.randomisation.name
        rng = np.random.default_rng((seed, i))
        disturbance = Noise.of_level(noise, rng, dt_s=dt_s) if noise else None
        for lap, episode, frames in _sessions(world, car.expert(track), laps, disturbance):
            timed = ((frame.time_s, frame) for frame in frames)
            for frame in write_session(tub, timed, words | episode, jpeg_quality, time.time()):
                records += 1
                on_progress(i * laps + lap + frame.lap)
    return records


def _sessions(
    world: World, expert: ScriptedDriver, laps: int, noise: Noise | None
) -> Iterator[tuple[int, dict[str, Any], Iterator[Frame]]]:
    """Yields the sessions of a track: the lap it begins with, words on its episode, its frames."""
    if not world.randomisation.varies:
        yield 0, {}, drive_expert(world, expert, laps, noise)
        return
    failed = 0

    def drive() -> Iterator[Frame]:
        nonlocal failed
        try:
            yield from drive_expert(world, expert, 1, noise)
        except TrackError as error:
            # A car drawn beyond what the expert can drive; what it drove so far is as good as any.
            failed += 1
            if failed > laps / 2:
                raise
            logger.info("%s", error)

    for lap in range(laps):
        frames = drive()
        first = next(frames)  # begins the episode
        yield lap, {"episode": world.episodes[0].to_json()}, chain([first], frames)


def write_session(
    tub: Path, frames: Iterable[tuple[float, Frame]], words: dict[str, Any], jpeg_quality: int, began_s: float
) -> Iterator[Frame]:
    """Writes a session of a tub, and yields each frame that was written.

    Args:
        tub: its folder; made if missing, continued if not.
        frames: each with its time in seconds since the session began.
        words: the session's metadata.
        jpeg_quality: of the pictures.
        began_s: when the session began, in seconds since 1970.

    Raises:
        TubError: the tub cannot be written.
    """
    stamp = Stamp(began_s)
    columns = list(CHANNELS), list(CHANNELS.values())
    with TubWriter(tub, *columns, words, on_full="wait", jpeg_quality=jpeg_quality, clock=stamp) as writer:
        for stamp.time_s, frame in frames:
            values = (frame.image, frame.steering, frame.throttle, "user")
            writer.write(dict(zip(CHANNELS, values, strict=True)))
            yield frame
