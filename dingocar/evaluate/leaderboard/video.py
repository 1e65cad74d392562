"""The film of any episode: it is driven again, exactly as it was."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import MissingExtraError, UsageError, did_you_mean
from dingocar.evaluate.drive import Driver
from dingocar.evaluate.leaderboard.judge import drive
from dingocar.evaluate.leaderboard.keys import row_key
from dingocar.evaluate.leaderboard.results import Results
from dingocar.evaluate.leaderboard.row import load, paths_file
from dingocar.evaluate.leaderboard.suite import Row, Suite, WorldSpec
from dingocar.evaluate.movie import MAX_GIF_FRAMES, make_movie
from dingocar.images import Uint8Array
from dingocar.sim import State
from dingocar.training.recording import CHANNELS, Stamp
from dingocar.tub import TubWriter

#: Ways that lie within this are the same: they are kept in single precision.
_SAME_M = 1e-4


def film(suite: Suite, out: Path, row_name: str, episode: str, file: Path, scale: int = 4) -> dict[str, Any]:
    """Drives an episode again and films what the camera saw, with the driver's commands.

    Args:
        suite, out: the leaderboard and its folder.
        row_name: whose; see `Row.name`.
        episode: world/track/lap.
        file: `.mp4`, or `.gif`; without the movie extra an `.mp4` becomes a `.gif`.
        scale: how many times larger than the camera's picture.

    Returns:
        path, row, episode, frames, and `same`: whether the way driven is the one of the results.

    Raises:
        UsageError: there is no such row or episode, or the row is not in the results.
        MissingExtraError: PyAV is not installed and the film is too long for a GIF.
    """
    row = suite.row(row_name)
    world, track, lap = _episode(suite, episode)
    facts = Results(out).of(suite, [row]).get(row.name)
    if facts is None:
        raise UsageError(f"{out}: row {row_name} is not in the results; run dingocar leaderboard run first")
    pilot = None if row.method is None else load(out, facts).in_world(world)
    if world.place != "sim":
        raise UsageError(f"episode {episode!r}: worlds of {world.place} cannot be filmed")
    camera = _Camera(lap)
    # The other tracks of the world need not be driven: each is begun anew from its own seed.
    seed = world.seed + world.tracks.index(track)
    alone = dataclasses.replace(world, tracks=(track,), seed=seed)
    path = drive(suite, alone, pilot, camera.watch)[track].paths[lap]
    images, commands = camera.images[: len(path)], camera.commands[: len(path)]
    with tempfile.TemporaryDirectory() as folder:
        tub = Path(folder) / "tub"
        _write(tub, images, commands)
        made = _film(tub, file, scale, len(images))
    return {
        "path": str(made),
        "row": row.name,
        "episode": episode,
        "frames": len(images),
        "same": _same(suite, row, out, episode, path),
    }


class _Camera:
    """Keeps what one car's camera sees and what its driver commands."""

    def __init__(self, car: int) -> None:
        self.car = car
        self.images: list[Uint8Array] = []
        self.commands: list[tuple[float, float]] = []

    def watch(self, driver: Driver) -> Driver:
        """A driver that drives the same and is watched."""

        def drive_on(state: State) -> tuple[npt.ArrayLike, npt.ArrayLike]:
            steering, throttle = driver(state)
            self.images.append(state.image[self.car].copy())
            self.commands.append((float(np.ravel(steering)[self.car]), float(np.ravel(throttle)[self.car])))
            return steering, throttle

        return drive_on


def _episode(suite: Suite, text: str) -> tuple[WorldSpec, str, int]:
    """Takes world/track/lap apart; a track's name may have slashes."""
    name, _, rest = text.partition("/")
    track, _, lap = rest.rpartition("/")
    if not lap.isdecimal():
        raise UsageError(f"episode {text!r}: expected world/track/lap, as in {_example(suite)}")
    world = suite.world(name)
    if track not in world.tracks:
        raise UsageError(f"episode {text!r}: unknown track {track!r}{did_you_mean(track, world.tracks)}")
    if int(lap) >= world.laps:
        raise UsageError(f"episode {text!r}: laps of {name} go from 0 to {world.laps - 1}")
    return world, track, int(lap)


def _example(suite: Suite) -> str:
    world = suite.worlds[0]
    return f"{world.name}/{world.tracks[0]}/0"


def _write(tub: Path, images: list[Uint8Array], commands: list[tuple[float, float]]) -> None:
    stamp = Stamp(1.6e9)
    channels = (list(CHANNELS), list(CHANNELS.values()))
    with TubWriter(tub, *channels, {"domain": "sim"}, on_full="wait", jpeg_quality=95, clock=stamp) as writer:
        for number, (image, (steering, throttle)) in enumerate(zip(images, commands, strict=True)):
            stamp.time_s = number * 0.05
            clipped = (float(np.clip(value, -1, 1)) for value in (steering, throttle))
            writer.write(dict(zip(CHANNELS, (image, *clipped, "local"), strict=True)))


def _film(tub: Path, file: Path, scale: int, frames: int) -> Path:
    try:
        return make_movie(tub, file, scale=scale).path
    except MissingExtraError:
        if frames > MAX_GIF_FRAMES:
            raise
        return make_movie(tub, file.with_suffix(".gif"), scale=scale).path


def _same(suite: Suite, row: Row, out: Path, episode: str, path: npt.NDArray[Any]) -> bool:
    """Whether the way is the one that the results were made of."""
    file = paths_file(out, row_key(suite, row))
    if not file.is_file():
        return False
    with np.load(file, allow_pickle=False) as arrays:
        before = arrays[episode]
    return before.shape == path.shape and bool(np.abs(before - path).max() < _SAME_M)
