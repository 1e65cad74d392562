"""One row: a pilot is made, then judged in every world. Runs in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.evaluate.leaderboard.judge import HeldOut, Paths, held_out, judge, offline, told_apart
from dingocar.evaluate.leaderboard.keys import digest, model_key, recording_key, row_key
from dingocar.evaluate.leaderboard.methods import Task, Trained, lender_of, load_kind, options_of
from dingocar.evaluate.leaderboard.recording import make_recording
from dingocar.evaluate.leaderboard.rules import labels_used, make_pilot, told_training, training_settings
from dingocar.evaluate.leaderboard.suite import USES, MethodSpec, Recording, Row, Suite, WorldSpec
from dingocar.files import parse_json, replace_file, replacing
from dingocar.zoo import RunnablePilot

if TYPE_CHECKING:
    from dingocar.translate import RunnableTranslator

Report = Callable[[float], None]

#: Written last: a pilot's folder without it was not finished.
MARKER = "trained.json"
#: The training's share of a row's progress.
_TRAINING = 0.7


@dataclass(frozen=True)
class RecordingJob:
    """A recording to be made."""

    key: str
    out: Path
    recording: Recording
    seed: int
    picture: tuple[int, ...]
    data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class RowJob:
    """A row to be run, by the version `code` of the library: see `code_digest`."""

    out: Path
    suite: Suite
    row: Row
    code: str


@dataclass(frozen=True)
class PreparedJob:
    """What rows share is to be made: for the row `row`, whose seed is that of what is shared."""

    key: str
    out: Path
    suite: Suite
    row: Row
    code: str


@dataclass(frozen=True)
class TrainingJob:
    """A pilot that others drive with is to be trained, and no more: its own row is not asked for."""

    out: Path
    suite: Suite
    row: Row
    code: str


Job = RecordingJob | PreparedJob | TrainingJob | RowJob


def execute(job: Job, report: Report) -> dict[str, Any]:
    """Does a job; returns what is kept of it (of all but rows nothing but files)."""
    if isinstance(job, RecordingJob):
        folder = recording_folder(job.out, job.key)
        how = (job.recording, job.seed, job.picture)
        make_recording(folder, *how, on_progress=report, data=job.data)
    elif isinstance(job, PreparedJob):
        _prepare(job, report)
    elif isinstance(job, TrainingJob):
        trained(job, report)
    else:
        return run_row(job, report)
    return {}


def recording_folder(out: Path, key: str) -> Path:
    """Where a recording is kept."""
    return out / "recordings" / key


def method_recordings(suite: Suite, row: Row, code: str) -> dict[str, tuple[str, Recording, int]]:
    """What is recorded before a row's training: by its use, (key, recording, seed)."""
    if row.method is None or row.seed is None:
        return {}
    found = {}
    for use, recording in row.method.recordings.items():
        share = load_kind(row.method.kind).first_share
        if use == "recording" and share:
            first = max(len(recording.tracks), round(recording.frames * options_of(row.method)[share]))
            recording = dataclasses.replace(recording, frames=first)
        # Source and target of one seed must not be the same drive in two looks.
        seed = row.seed * 8 + USES.index(use)
        found[use] = (recording_key(recording, seed, suite.picture, code, suite.data), recording, seed)
    return found


def shared_row(row: Row) -> Row | None:
    """The row of the seed that what a row shares with others is made for; None: it shares nothing."""
    if row.method is None or row.seed is None or load_kind(row.method.kind).prepare is None:
        return None
    return dataclasses.replace(row, seed=load_kind(row.method.kind).share(row.method, row.seed))


def prepared_key(suite: Suite, row: Row, code: str) -> str:
    """The hash of everything that decides what the shared row `row` prepares; of its pilot if need be."""
    assert row.method is not None and row.pilot is not None
    options, kind = options_of(row.method), load_kind(row.method.kind)
    with_pilot = kind.prepared_for(row.method)
    decided: dict[str, Any] = {
        "kind": row.method.kind,
        "options": {name: options[name] for name in (*kind.prepared_by, *with_pilot)},
        "recordings": {use: key for use, (key, _, _) in method_recordings(suite, row, code).items()},
    }
    if with_pilot:
        decided["pilot"] = [row.pilot.pilot, row.pilot.settings]
        decided["training"] = told_training(suite, row.method, row.pilot)
    return digest(decided | {"picture": suite.picture, "seed": row.seed, "code": code})


def prepared_folder(out: Path, key: str) -> Path:
    """Where it is kept."""
    return out / "prepared" / key


def _prepare(job: PreparedJob, report: Report) -> None:
    """Makes what rows share, unless it is there already; it may go on where it was stopped."""
    folder, row = prepared_folder(job.out, job.key), job.row
    if (folder / MARKER).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    assert row.method is not None and row.pilot is not None and row.seed is not None
    prepare = load_kind(row.method.kind).prepare
    assert prepare is not None
    prepare(_task(job, row.method, folder, None, report))
    replace_file(folder / MARKER, "{}")


def world_recordings(suite: Suite, code: str) -> dict[str, tuple[str, Recording, int]]:
    """What the steering error is measured on: by the world, (key, recording, seed)."""
    return {
        world.name: (
            recording_key(world.recording, world.seed, suite.picture, code, suite.data),
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
    recordings = {}
    if row.method is not None:
        facts |= trained(job, lambda share: report(_TRAINING * share))
        recordings = {
            name: held_out(recording_folder(out, key), suite.picture)
            for name, (key, _, _) in world_recordings(suite, job.code).items()
        }
    worlds: dict[str, Any] = {}
    paths: Paths = {}
    loaded = None if row.method is None else load(out, facts)
    for number, world in enumerate(suite.worlds):
        pilot = None if loaded is None else loaded.in_world(world)
        worlds[world.name], driven = judge(suite, world, pilot)
        paths |= driven
        if pilot is not None:
            worlds[world.name]["offline"] = offline(pilot, recordings[world.name], not world.driven)
        report(_TRAINING + (1 - _TRAINING) * (number + 1) / len(suite.worlds))
    for name, found in _probes(job, facts, recordings, None if loaded is None else loaded.proxy).items():
        worlds[name] |= found
    _save_paths(out, facts["key"], paths)
    return facts | {"worlds": worlds, "seconds": time.perf_counter() - started}


def _probes(
    job: RowJob,
    facts: Mapping[str, Any],
    recordings: Mapping[str, HeldOut],
    proxy: RunnableTranslator | None,
) -> dict[str, dict[str, float]]:
    """How well the pilot's features tell each other world from those of the source, on tracks of tests."""
    from dingocar.zoo.artefact import load_network

    source = [recordings[w.name] for w in job.suite.worlds if w.role == "source" and w.name in recordings]
    if not source or job.row.seed is None:
        return {}
    home, seed = load_network(job.out / facts["model"])[1], job.row.seed
    elsewhere = load_network(job.out / facts["elsewhere"])[1] if facts.get("elsewhere") else home
    found = {}
    for world in job.suite.worlds:
        if world.role != "source":
            held = recordings[world.name]
            if proxy is not None:
                held = dataclasses.replace(held, images=proxy.run_batch(held.images))
            found[world.name] = told_apart((home, elsewhere), source, held, seed)
    return found


@dataclass(frozen=True)
class RowPilot:
    """The pilot of a finished row; for worlds other than home its other file, or what it looks through."""

    pilot: RunnablePilot
    elsewhere: RunnablePilot | None = None
    proxy: RunnableTranslator | None = None

    def in_world(self, world: WorldSpec) -> RunnablePilot:
        """The pilot as it drives in a world."""
        if world.role == "source":
            return self.pilot
        pilot = self.elsewhere or self.pilot
        return pilot if self.proxy is None else pilot.seeing(self.proxy.run_batch)


def load(out: Path, facts: Mapping[str, Any]) -> RowPilot:
    """The pilot of a finished row."""
    from dingocar.translate import load_translator
    from dingocar.zoo import load_pilot

    found = RowPilot(load_pilot(out / facts["model"]))
    if facts.get("elsewhere"):
        found = dataclasses.replace(found, elsewhere=load_pilot(out / facts["elsewhere"]))
    if facts.get("proxy"):
        file, direction = facts["proxy"]
        found = dataclasses.replace(found, proxy=load_translator(out / file, direction))
    return found


def trained(job: RowJob | TrainingJob, report: Report) -> dict[str, Any]:
    """Trains a row's pilot, or finds it; returns what its row says about that."""
    suite, row, out, method = job.suite, job.row, job.out, job.row.method
    assert method is not None and row.pilot is not None and row.seed is not None
    lender = lender_of(suite, method)
    if lender is not None:
        lent = trained(dataclasses.replace(job, row=dataclasses.replace(row, method=lender)), report)
        return lent | _shown_through(job, method)
    folder = out / "models" / model_key(suite, row, job.code)
    if (folder / MARKER).is_file():
        return dict(parse_json((folder / MARKER).read_bytes()))
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    count = max(1, len(method.candidates))
    found: list[tuple[float, Trained]] = []
    for number in range(count):
        candidate = number if method.candidates else None
        task = _task(job, method, folder / f"candidate-{number}", candidate, _part(report, number, count))
        task.folder.mkdir(parents=True)
        result = load_kind(method.kind).train(task)
        found.append((_validation(job, method, result), result))
    # Equal errors: the first one, so that the choice does not hang on chance.
    number = min(range(count), key=lambda i: found[i][0])
    facts = _facts(suite, method, found, number, out, time.perf_counter() - started)
    facts |= _shown_through(job, method)
    replace_file(folder / MARKER, json.dumps(facts))
    return facts


def _task(
    job: RowJob | TrainingJob | PreparedJob,
    method: MethodSpec,
    folder: Path,
    candidate: int | None,
    report: Report,
) -> Task:
    """What a method's kind is asked to do for a job's row."""
    suite, row, out = job.suite, job.row, job.out
    assert row.pilot is not None and row.seed is not None
    shared = None if isinstance(job, PreparedJob) else shared_row(row)
    return Task(
        pilot=make_pilot(row.pilot, suite.picture),
        method=method,
        settings=training_settings(suite, method, row.seed, candidate, row.pilot),
        seed=row.seed,
        picture=(suite.picture[0], suite.picture[1]),
        tubs={
            use: recording_folder(out, key) / "tub"
            for use, (key, _, _) in method_recordings(suite, row, job.code).items()
        },
        folder=folder,
        options=options_of(method),
        prepared=None if shared is None else prepared_folder(out, prepared_key(suite, shared, job.code)),
        on_progress=report,
    )


def _shown_through(job: RowJob | TrainingJob, method: MethodSpec) -> dict[str, Any]:
    """The translator that the row's pilot sees other worlds through, and its direction."""
    found, shared = load_kind(method.kind).proxy(method), shared_row(job.row)
    if found is None or shared is None:
        return {}
    folder = prepared_folder(job.out, prepared_key(job.suite, shared, job.code))
    return {"proxy": [(folder / found[0]).relative_to(job.out).as_posix(), found[1]]}


def _part(report: Report, number: int, count: int) -> Report:
    """Tells the progress of one of several equal parts."""
    return lambda share: report((number + share) / count)


def _validation(job: RowJob | TrainingJob, method: MethodSpec, result: Trained) -> float:
    """The steering error that the method's candidates are chosen by; never one of a test world."""
    if method.selection == "source":
        return float("inf") if result.validation_mae is None else result.validation_mae
    from dingocar.zoo import load_pilot

    world = job.suite.world(method.selection)
    assert world.role == "dev"
    key = world_recordings(job.suite, job.code)[world.name][0]
    held = held_out(recording_folder(job.out, key), job.suite.picture)
    return float(offline(load_pilot(result.elsewhere or result.model), held, not world.driven)["mae"])


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
        "elsewhere": None if chosen.elsewhere is None else chosen.elsewhere.relative_to(out).as_posix(),
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
        "images_per_s": chosen.images_per_s,
        "note": chosen.note,
        "extra": dict(chosen.extra),
    }


def paths_file(out: Path, key: str) -> Path:
    """Where the ways driven in a row are kept: float32 (T, 3) x_m, y_m, cte_m for each episode.

    In gym-duckietown x_m, y_m, yaw_rad.
    """
    return out / "paths" / f"{key}.npz"


def _save_paths(out: Path, key: str, paths: Paths) -> None:
    file = paths_file(out, key)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Written to a stream: numpy would add its own ending to a temporary name.
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **dict(paths.items()))  # type: ignore[arg-type]
