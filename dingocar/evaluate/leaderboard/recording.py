"""Recordings of the expert, made once and shared by all rows that need the same one."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import TrackError
from dingocar.evaluate.leaderboard.elsewhere import BEGAN_S, JPEG_QUALITY, copy_whole, record_elsewhere
from dingocar.evaluate.leaderboard.suite import Recording
from dingocar.files import parse_json, replace_file
from dingocar.sim import Frame, Noise, World, car_for, drive_expert, load_track
from dingocar.sim.randomisation import Randomisation, load_randomisation
from dingocar.training.recording import write_session

logger = logging.getLogger(__name__)

#: Written last: a folder without it was not finished.
MARKER = "recording.json"
#: A track is given up when more of its episodes than this ended early.
MAX_FAILED = 0.5


def make_recording(
    folder: Path,
    recording: Recording,
    seed: int,
    picture: tuple[int, ...],
    randomisation: Randomisation | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
    data: Mapping[str, Mapping[str, str]] | None = None,
) -> Path:
    """Lets the expert record; a recording that is there already is kept as it is.

    Args:
        folder: its place; an unfinished one there is replaced.
        recording: what to record.
        seed: of places, episodes and noise.
        picture: (height, width).
        randomisation: instead of the recording's own, for samplers without a name.
        on_progress: told the share that is done.
        data: of the suite, where something of the recording was recorded before.

    Returns: the tub's folder.

    Raises:
        TrackError: the expert cannot drive one of the tracks.
    """
    tub = folder / "tub"
    if (folder / MARKER).is_file():
        return tub
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if recording.place == "sim":
        episodes = _record(tub, recording, seed, picture, randomisation, on_progress)
    else:
        episodes = record_elsewhere(tub, recording, seed, picture, data or {}, on_progress)
    for name in recording.also:
        copy_whole(tub, name, data or {}, recording.domain, picture)
    replace_file(folder / MARKER, json.dumps({"episodes": episodes}))
    return tub


def _record(
    tub: Path,
    recording: Recording,
    seed: int,
    picture: tuple[int, ...],
    randomisation: Randomisation | None,
    on_progress: Callable[[float], None],
) -> list[dict[str, Any]]:
    """Records in our simulator; returns the episodes."""
    episodes: list[dict[str, Any]] = []
    per_track = np.diff(np.linspace(0, recording.frames, len(recording.tracks) + 1).round().astype(int))
    done = 0
    for number, (track, frames) in enumerate(zip(recording.tracks, per_track, strict=True)):
        where = load_track(track)
        car = car_for(where)
        world = World(
            *(where, recording.look, 1, car.camera((picture[0], picture[1])), car.dynamics),
            seed=int(np.random.SeedSequence([seed, number, 0x1EAD]).generate_state(1)[0]),
            randomisation=randomisation or redrawn(recording.randomisation),
        )
        metadata = {"domain": recording.domain, "track": track, "look": recording.look, "seed": seed}
        # One session for each track: validation blocks never span two tracks.
        driven = _drive(world, recording, int(frames), (seed, number), episodes)
        timed = ((index * world.dt_s, frame) for index, frame in enumerate(driven))
        for _ in write_session(tub, timed, metadata, JPEG_QUALITY, BEGAN_S):
            done += 1
            on_progress(done / recording.frames)
    return episodes


def redrawn(randomisation: str) -> Randomisation:
    """The randomisation by its name, such that each episode draws the look's own chance anew."""
    return replace(load_randomisation(randomisation), redraw=True)


def recorded_episodes(folder: Path) -> list[dict[str, Any]]:
    """The episodes of a finished recording: track, frames, and the parameters that were drawn.

    None of what was recorded before.
    """
    episodes: list[dict[str, Any]] = parse_json((folder / MARKER).read_bytes())["episodes"]
    return episodes


def _drive(
    world: World, recording: Recording, frames: int, seed: tuple[int, int], episodes: list[dict[str, Any]]
) -> Iterator[Frame]:
    """Yields exactly `frames` frames of one track, episode by episode; notes the episodes."""
    expert, rng = car_for(world.track).expert(world.track), np.random.default_rng(seed)
    noise = Noise.of_level(recording.noise, rng, dt_s=world.dt_s) if recording.noise else None
    # Far enough for the frames wanted at the car's top speed; the stream is left when they are there.
    reach_m = recording.episode_frames * world.dt_s * world.dynamics.top_speed_mps
    laps = 1 + reach_m / world.track.length_m
    left, failed, begun = frames, 0, 0
    while left:
        wanted, got = min(left, recording.episode_frames), 0
        begun += 1
        stream = drive_expert(world, expert, laps, noise)
        try:
            for frame in stream:
                yield frame
                got += 1
                if got == wanted:
                    break
        except TrackError as error:
            # A car drawn beyond what the expert can drive: its frames so far are good ones.
            failed += 1
            logger.info("%s", error)
            if failed > max(3, MAX_FAILED * frames / recording.episode_frames):
                raise
        left -= got
        episodes.append({"track": world.track.name, "frames": got} | world.episodes[0].to_json())
