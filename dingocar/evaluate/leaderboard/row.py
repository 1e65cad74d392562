"""One row: a pilot is made, then judged in every world. Runs in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.evaluate.drive import Driver, DriveResult, evaluate, pilot_driver
from dingocar.evaluate.leaderboard.keys import model_key, recording_key, row_key
from dingocar.evaluate.leaderboard.methods import Task, Trained, load_kind, options_of
from dingocar.evaluate.leaderboard.recording import make_recording, redrawn
from dingocar.evaluate.leaderboard.rules import labels_used, make_pilot, training_settings
from dingocar.evaluate.leaderboard.suite import MethodSpec, Recording, Row, Suite, WorldSpec
from dingocar.files import parse_json, replace_file
from dingocar.sim import car_for, load_track
from dingocar.zoo import RunnablePilot

Report = Callable[[float], None]

#: Written last: a pilot's folder without it was not finished.
MARKER = "trained.json"
#: The training's share of a row's progress.
_TRAINING = 0.7
#: Shares at which the distribution of |cte| is kept.
QUANTILES = np.linspace(0, 1, 41)
#: The steering error is also averaged over so many bins of the true steering, each counted the same.
_BINS = 5


@dataclass(frozen=True)
class RecordingJob:
    """A recording to be made."""

    key: str
    out: Path
    recording: Recording
    seed: int
    picture: tuple[int, ...]


@dataclass(frozen=True)
class RowJob:
    """A row to be run, by the version `code` of the library: see `code_digest`."""

    out: Path
    suite: Suite
    row: Row
    code: str


Job = RecordingJob | RowJob


def execute(job: Job, report: Report) -> dict[str, Any]:
    """Does a job; returns what is kept of it (nothing of a recording but its files)."""
    if isinstance(job, RecordingJob):
        folder = recording_folder(job.out, job.key)
        make_recording(folder, job.recording, job.seed, job.picture, on_progress=report)
        return {}
    return run_row(job, report)


def recording_folder(out: Path, key: str) -> Path:
    """Where a recording is kept."""
    return out / "recordings" / key


def method_recordings(suite: Suite, row: Row, code: str) -> dict[str, tuple[str, Recording, int]]:
    """What is recorded before a row's training: by its use, (key, recording, seed)."""
    if row.method is None or row.seed is None:
        return {}
    found = {}
    for number, (use, recording) in enumerate(row.method.recordings.items()):
        share = load_kind(row.method.kind).first_share
        if use == "recording" and share:
            first = max(len(recording.tracks), round(recording.frames * options_of(row.method)[share]))
            recording = dataclasses.replace(recording, frames=first)
        # Source and target of one seed must not be the same drive in two looks.
        seed = row.seed * 8 + number
        found[use] = (recording_key(recording, seed, suite.picture, code), recording, seed)
    return found


def world_recordings(suite: Suite, code: str) -> dict[str, tuple[str, Recording, int]]:
    """What the steering error is measured on: by the world, (key, recording, seed)."""
    return {
        world.name: (
            recording_key(world.recording, world.seed, suite.picture, code),
            world.recording,
            world.seed,
        )
        for world in suite.worlds
    }


def run_row(job: RowJob, report: Report) -> dict[str, Any]:
    """Makes the row's pilot, unless it is there already, and judges it in every world."""
    suite, row, out = job.suite, job.row, job.out
    started = time.perf_counter()
    facts: dict[str, Any] = {
        "key": row_key(suite, row),
        "row": row.name,
        "group": row.group,
        "seed": row.seed,
        "status": "done",
        "code": job.code,
    }
    pilot = None
    if row.method is not None:
        facts |= trained(job, lambda share: report(_TRAINING * share))
        pilot = load(out, facts)
    worlds, paths = {}, {}
    for number, world in enumerate(suite.worlds):
        results = drive(suite, world, pilot)
        worlds[world.name] = summary(world, results)
        if pilot is not None:
            tub = recording_folder(out, world_recordings(suite, job.code)[world.name][0]) / "tub"
            worlds[world.name]["offline"] = offline(pilot, tub)
        for track, result in results.items():
            for lap, path in enumerate(result.paths):
                paths[f"{world.name}/{track}/{lap}"] = path.astype(np.float32)
        report(_TRAINING + (1 - _TRAINING) * (number + 1) / len(suite.worlds))
    _save_paths(out, facts["key"], paths)
    return facts | {"worlds": worlds, "seconds": time.perf_counter() - started}


def load(out: Path, facts: Mapping[str, Any]) -> RunnablePilot:
    """The pilot of a finished row."""
    from dingocar.zoo import load_pilot

    return load_pilot(out / facts["model"])


def trained(job: RowJob, report: Report) -> dict[str, Any]:
    """Trains a row's pilot, or finds it; returns what its row says about that."""
    suite, row, out, method = job.suite, job.row, job.out, job.row.method
    assert method is not None and row.pilot is not None and row.seed is not None
    folder = out / "models" / model_key(suite, row, job.code)
    if (folder / MARKER).is_file():
        return dict(parse_json((folder / MARKER).read_bytes()))
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    count = max(1, len(method.candidates))
    found: list[tuple[float, Trained]] = []
    for number in range(count):
        task = Task(
            pilot=make_pilot(row.pilot, suite.picture),
            method=method,
            settings=training_settings(suite, method, row.seed, number if method.candidates else None),
            seed=row.seed,
            picture=(suite.picture[0], suite.picture[1]),
            tubs={
                use: recording_folder(out, key) / "tub"
                for use, (key, _, _) in method_recordings(suite, row, job.code).items()
            },
            folder=folder / f"candidate-{number}",
            options=options_of(method),
            on_progress=_part(report, number, count),
        )
        task.folder.mkdir(parents=True)
        result = load_kind(method.kind).train(task)
        found.append((_validation(job, method, result), result))
    # Equal errors: the first one, so that the choice does not hang on chance.
    number = min(range(count), key=lambda i: found[i][0])
    facts = _facts(suite, method, found, number, out, time.perf_counter() - started)
    replace_file(folder / MARKER, json.dumps(facts))
    return facts


def _part(report: Report, number: int, count: int) -> Report:
    """Tells the progress of one of several equal parts."""
    return lambda share: report((number + share) / count)


def _validation(job: RowJob, method: MethodSpec, result: Trained) -> float:
    """The steering error that the method's candidates are chosen by; never one of a test world."""
    if method.selection == "source":
        return float("inf") if result.validation_mae is None else result.validation_mae
    from dingocar.zoo import load_pilot

    world = job.suite.world(method.selection)
    assert world.role == "dev"
    key = world_recordings(job.suite, job.code)[world.name][0]
    return float(offline(load_pilot(result.model), recording_folder(job.out, key) / "tub")["mae"])


def _facts(
    suite: Suite,
    method: MethodSpec,
    found: list[tuple[float, Trained]],
    number: int,
    out: Path,
    seconds: float,
) -> dict[str, Any]:
    chosen = found[number][1]
    return {
        "model": chosen.model.relative_to(out).as_posix(),
        "labels": labels_used(suite, method),
        "frames": chosen.frames,
        "selection": method.selection,
        "candidate": number if method.candidates else None,
        "candidates": [error if np.isfinite(error) else None for error, _ in found]
        if method.candidates
        else [],
        "validation_mae": chosen.validation_mae,
        "training_s": seconds,
        "epochs": chosen.epochs,
        "best_epoch": chosen.best_epoch,
        "note": chosen.note,
        "extra": dict(chosen.extra),
    }


def drive(
    suite: Suite,
    world: WorldSpec,
    pilot: RunnablePilot | None,
    watch: Callable[[Driver], Driver] = lambda d: d,
) -> dict[str, DriveResult]:
    """Drives all laps of a world, the same ones for every pilot; returns the results by the track's name.

    Args:
        suite, world: where.
        pilot: who; None: the expert.
        watch: may wrap the driver.
    """
    randomisation = redrawn(world.randomisation)
    results = {}
    for number, name in enumerate(world.tracks):
        track = load_track(name)
        car = car_for(track)
        driver: Driver = car.expert(track).act if pilot is None else pilot_driver(pilot)
        results[name] = evaluate(
            watch(driver),
            track,
            world.look,
            world.laps,
            world.seed + number,
            car.camera((suite.picture[0], suite.picture[1])),
            randomisation=randomisation,
        )
    return results


def summary(world: WorldSpec, results: Mapping[str, DriveResult]) -> dict[str, Any]:
    """The figures of a world over all its tracks, as plain values; `episodes` has one entry for each lap.

    `completion` counts the way of cars that were put back; `first_failure` is the share of the lap that was
    driven before the track was left for the first time, 1 for clean laps.
    """
    episodes, every = [], []
    for track, result in results.items():
        for lap, path in enumerate(result.paths):
            abs_cte_m = np.abs(path[:, 2])
            every.append(abs_cte_m)
            episodes.append(
                {
                    "episode": f"{world.name}/{track}/{lap}",
                    "off_tracks": result.lap_off_tracks[lap],
                    "first_failure": result.lap_first_failure[lap],
                    "steps": len(path),
                    "mean_abs_cte_m": float(abs_cte_m.mean()),
                }
            )
    cte_m = np.concatenate(every)
    laps = [result.laps_asked for result in results.values()]
    steps = [sum(len(path) for path in result.paths) for result in results.values()]

    def mean(name: str, weights: list[int]) -> float:
        return float(np.average([getattr(result, name) for result in results.values()], weights=weights))

    return {
        "clean_laps": sum(result.clean_laps for result in results.values()),
        "laps": sum(laps),
        "completion": mean("completion", laps),
        "first_failure": float(np.mean([episode["first_failure"] for episode in episodes])),
        "mean_abs_cte_m": float(cte_m.mean()),
        "p95_abs_cte_m": float(np.percentile(cte_m, 95)),
        "half_width_m": mean("half_width_m", laps),
        "off_tracks_per_lap": sum(result.off_tracks for result in results.values()) / sum(laps),
        "mean_speed_mps": mean("mean_speed_mps", steps),
        "mean_abs_dsteering": mean("mean_abs_dsteering", steps),
        "cte_quantiles_m": np.quantile(cte_m, QUANTILES).round(4).tolist(),
        "episodes": episodes,
    }


def offline(pilot: RunnablePilot, tub: Path) -> dict[str, float]:
    """A pilot's steering beside the expert's on a recording.

    Returns:
        `mae`, `rmse`; `balanced_mae`: the mean over bins of the expert's steering, so that straights do not
        outweigh turns; `always_mean_mae`: of one who always says the mean.
    """
    from dingocar.training import load_dataset

    height, width, _ = pilot.image_shape
    data = load_dataset([tub], (height, width), workers=1)
    chunks = [pilot.run_batch(data.images[i : i + 128])[0] for i in range(0, len(data), 128)]
    return steering_error(np.concatenate(chunks), data.columns["user/angle"])


def steering_error(predicted: npt.ArrayLike, true: npt.ArrayLike) -> dict[str, float]:
    """See `offline`; both (N,) in [-1, 1].

    >>> steering_error([0.0, 0.0, 1.0], [0.0, 0.0, 0.5])["balanced_mae"]
    0.25
    """
    labels = np.asarray(true, np.float64)
    error = np.abs(np.asarray(predicted, np.float64) - labels)
    bins = np.clip(((labels + 1) / 2 * _BINS).astype(int), 0, _BINS - 1)
    return {
        "frames": len(error),
        "mae": float(error.mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "balanced_mae": float(np.mean([error[bins == i].mean() for i in np.unique(bins)])),
        "always_mean_mae": float(np.abs(labels - labels.mean()).mean()),
    }


def paths_file(out: Path, key: str) -> Path:
    """Where the ways driven in a row are kept: float32 (T, 3) x_m, y_m, cte_m for each episode."""
    return out / "paths" / f"{key}.npz"


def _save_paths(out: Path, key: str, paths: Mapping[str, npt.NDArray[np.float32]]) -> None:
    from dingocar.files import replacing

    file = paths_file(out, key)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Written to a stream: numpy would add its own ending to a temporary name.
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **dict(paths.items()))  # type: ignore[arg-type]
