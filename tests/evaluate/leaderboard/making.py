"""Suites and result rows for tests, and jobs for other processes."""

import copy
import os
import signal
import time
from pathlib import Path

import numpy as np

from dingocar.evaluate.leaderboard.keys import code_digest, row_key
from dingocar.evaluate.leaderboard.results import Results
from dingocar.evaluate.leaderboard.row import RecordingJob
from dingocar.evaluate.leaderboard.rules import check
from dingocar.evaluate.leaderboard.suite import suite_from

PLAIN = {
    "title": "Test",
    "seeds": [0, 1, 2],
    "target": "photo",
    "picture": [64, 84],
    "baseline": "none",
    "training": {"epochs": 1},
    "recording": {"tracks": ["random:1"], "frames": 64},
    "pilots": {"linear": {}},
    "methods": {
        "none": {"role": "source"},
        "mild": {"recording": {"randomisation": "mild"}},
        "oracle": {"role": "oracle", "recording": {"look": "photo"}},
    },
    "worlds": {
        "home": {"role": "source", "tracks": ["circuit"], "laps": 4},
        "away": {"role": "test", "tracks": ["circuit"], "look": "photo", "laps": 4},
    },
}


def plain(**changes):
    """The suite as plain values; `methods__none__role="x"` changes a value, None removes it."""
    table = copy.deepcopy(PLAIN)
    for name, value in changes.items():
        *folders, last = name.split("__")
        place = table
        for folder in folders:
            place = place.setdefault(folder, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return table


def make_suite(**changes):
    """A suite that keeps all rules, or the error of one that does not."""
    suite = suite_from(plain(**changes), "s.toml")
    check(suite, "s.toml")
    return suite


def facts(suite, row, clean=2, mae=0.1, **more):
    """A finished row, as a run makes it; `clean` laps of every world's four."""
    worlds = {}
    for world in suite.worlds:
        worlds[world.name] = {
            "clean_laps": clean,
            "laps": 4,
            "completion": 1.0,
            "first_failure": 0.25 + clean / 8,
            "mean_abs_cte_m": 0.05,
            "p95_abs_cte_m": 0.2,
            "half_width_m": 0.35,
            "off_tracks_per_lap": 4.0 - clean,
            "mean_speed_mps": 1.2,
            "mean_abs_dsteering": 0.02,
            "cte_quantiles_m": np.linspace(0, 0.3, 41).tolist(),
            "episodes": [],
        }
        if row.method is not None:
            worlds[world.name]["offline"] = {"mae": mae, "always_mean_mae": 0.4}
    made = {
        "key": row_key(suite, row),
        "row": row.name,
        "group": row.group,
        "seed": row.seed,
        "status": "done",
        "code": code_digest(),
        "worlds": worlds,
        "seconds": 1.0,
    }
    if row.method is not None:
        labels = None if row.method.role == "oracle" else 0
        if row.method.labelled is not None:
            labels = row.method.labelled.frames
        made |= {"labels": labels, "frames": 64, "training_s": 3.0, "model": "m", "note": ""}
    return made | more


def fill(folder, suite, figures):
    """Results with a row for each name that `figures` has: row to (clean laps, mae)."""
    results = Results(folder, write=True)
    for row in suite.rows():
        if row.name in figures:
            clean, mae = figures[row.name]
            results.add(facts(suite, row, clean, mae))
    results.close()
    return Results(folder)


def work(job, report):
    """Does a row's job without doing it, and notes that it was asked to: a line in `calls`."""
    report(0.5)
    name = "recording" if isinstance(job, RecordingJob) else job.row.name
    with (Path(job.out) / "calls").open("a") as file:
        file.write(f"{name}\n")
    if name == os.environ.get("DIES"):
        os.kill(os.getpid(), signal.SIGKILL)
    if name == os.environ.get("FAILS"):
        raise ValueError("no luck\ntoday")
    if name == os.environ.get("HANGS"):
        (Path(job.out) / "hanging").write_text(str(os.getpid()))
        time.sleep(600)
    return {} if name == "recording" else facts(job.suite, job.row)
