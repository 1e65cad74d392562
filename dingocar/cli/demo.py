"""The whole story: make a car, record, train, drive, and a report of it

Usage:
    dingocar demo [--out DIR] [--laps N] [--json]

Options:
    --out DIR   where to; an earlier demo there is replaced, unless it was used since [default: demo]
    --laps N    laps that the pilot drives, on a track it was not trained on [default: 5]
    --json      print summary.json
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from dingocar.cli._common import note, number, parse, path, show
from dingocar.errors import DingocarError, UsageError
from dingocar.words import counted, quoted

#: What the pilot learns from, and the track it is judged on: it never saw a picture of that one.
TRAINING_TRACKS = ["circuit", "oval", "random:1", "random:2", "random:3", "random:4"]
UNSEEN_TRACK = "random:100"
MARK = ".dingocar-demo"


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar demo")
    laps = number(args["--laps"], "--laps", low=1)
    out = path(args["--out"], "--out").resolve()  # so that the commands it shows work from everywhere
    summary = demo(out, laps)
    text = (
        "{clean_laps} of {laps} clean on {track}, a track the pilot was not trained on; "
        "mean |cte| {mean_abs_cte_m:.3f} m of {half_width_m:.2f} m half width\n".format(
            **summary, laps=counted(summary["laps_asked"], "lap")
        )
        + f"see {out / 'report.html'}"
    )
    show(summary, args["--json"], text)
    return 0 if summary["clean_laps"] == laps else 1


def demo(out: Path, laps: int) -> dict[str, Any]:
    """Runs the story in the folder `out`; returns what it writes to `summary.json`."""
    began_s = time.monotonic()
    car = _empty_car_folder(out)
    model, tub = car / "models" / "demo.keras", car / "data"
    _step("make a car", "createcar", "--path", str(car))
    tracks = [word for name in TRAINING_TRACKS for word in ("--track", name)]
    _step(
        "record the expert, disturbed, so that the pilot learns to come back",
        *("record", "--tub", str(tub), *tracks, "--laps", "4", "--noise", "0.5"),
    )
    _step(
        "train a pilot from the recording",
        *("train", "--tub", str(tub), "--model", str(model), "--epochs", "12"),
    )
    _step(
        f"let it drive {counted(laps, 'lap')} on a track it never saw, in the vehicle loop",
        *("drive", "--model", str(model), "--track", UNSEEN_TRACK, "--laps", str(laps), "--fast"),
        car=car,
    )
    note("\n# judge it by driving")
    summary = _judge(out, model, laps)
    summary["seconds"] = time.monotonic() - began_s
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    (out / MARK).write_text("whole\n")  # what is newer is no longer the demo's
    return summary


def _empty_car_folder(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; name a new folder")
    if out.exists() and any(out.iterdir()) and not (out / MARK).is_file():
        raise UsageError(f"--out {out}: is there and no earlier demo; name a new folder")
    if (own := _since(out)) is not None:
        raise UsageError(f"--out {out}: was used since the demo, see {own}; name a new folder, or remove it")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARK).touch()
    return out / "mycar"


def _since(out: Path) -> Path | None:
    """A file that is newer than the whole demo there, a drive's record say."""
    mark = out / MARK
    if not mark.is_file() or not mark.stat().st_size:
        return None
    whole_ns = mark.stat().st_mtime_ns
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return next((path for path in files if path.stat().st_mtime_ns > whole_ns), None)


def _step(what: str, *argv: str, car: Path | None = None) -> None:
    """Runs one command as a user would type it, and stops the story when it fails."""
    from dingocar.cli.main import main

    program = "dingocar" if car is None else f"cd {quoted(car)} && python manage.py"
    note(f"\n# {what}\n$ {program} {shlex.join(argv)}")
    # What the steps print is not the demo's own result.
    with contextlib.redirect_stdout(sys.stderr):
        code = main(list(argv), car=car)
    if code >= 128:
        raise SystemExit(code)  # a stop signal: the step has said so
    if code != 0:
        raise DingocarError(f"the step failed with exit code {code}: dingocar {shlex.join(argv)}")


def _judge(out: Path, model: Path, laps: int) -> dict[str, Any]:
    """Evaluates pilot and expert on the unseen track, writes the report, returns the figures."""
    from dingocar.evaluate import evaluate, pilot_driver, report
    from dingocar.sim import Expert, load_track
    from dingocar.zoo import load_pilot, read_card

    track = load_track(UNSEEN_TRACK)
    pilot = load_pilot(model)
    result = evaluate(pilot_driver(pilot), track, laps=laps)
    expert = evaluate(Expert(track).act, track, laps=laps)
    card = read_card(model)
    pictures = {
        "Laps on a track the pilot was not trained on, beside the expert's": report.lap_figure(
            track, {"pilot": result, "expert": expert}
        ),
        "What the camera saw on it, with both steering commands": report.camera_figure(
            report.samples(pilot, Expert(track), track)
        ),
        "Training: loss, and predicted against true steering on held-out blocks": (
            model.with_suffix(".png").read_bytes()
        ),
    }
    summary = result.to_json() | {
        "trained_on": TRAINING_TRACKS,
        "expert_mean_abs_cte_m": expert.mean_abs_cte_m,
        "validation": card["metrics"],
    }
    trained = evaluate(pilot_driver(pilot), TRAINING_TRACKS[0], laps=laps)
    drives = {
        "pilot, unseen track": result,
        "expert, the same": expert,
        "pilot, a track it learned from": trained,
    }
    tables = {
        "Driving": report.drive_rows(drives),
        "Held-out stretches of the recording": [
            {"output": name} | figures for name, figures in card["metrics"].items()
        ],
    }
    lead = (
        f"A pilot of type {card['pilot']} learned from the expert's laps on {', '.join(TRAINING_TRACKS)} and "
        f"then drove {counted(laps, 'lap')} on {UNSEEN_TRACK}."
    )
    report.write_page(out / "report.html", "From nothing to a lap", lead, pictures, tables)
    return summary
