"""Compare pilots and methods by driving: train, drive, and show the table

Usage:
    dingocar leaderboard run SUITE [--out DIR] [--jobs N] [--only PATTERN] [--again] [--json]
    dingocar leaderboard show SUITE [--out DIR] [--html FILE] [--json]
    dingocar leaderboard video SUITE ROW EPISODE --out FILE [--scale N] [--json]

SUITE is a .toml file (see docs/leaderboard.md) or, to show, a folder that `run` has made.
What is in the results is kept: a run that was stopped goes on, a changed suite runs what has changed.

ROW is like linear/none/0 (pilot, method, seed) or expert, EPISODE like photo/circuit/3 (world, track, lap):
it is driven again, exactly as it was, and filmed.

Options:
    --out DIR       the results' folder, for video the film (.mp4 or .gif); otherwise leaderboard/NAME
    --jobs N        processes, each with one thread [default: 1]
    --only PATTERN  only these rows, e.g. 'linear/none' or '*/0'
    --again         also run rows that another version of dingocar has made
    --html FILE     also write a page
    --scale N       how many times larger than the camera's picture [default: 4]
    --json          print one JSON object
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import Progress, new_file, note, number, optional_path, parse, path, show
from dingocar.words import counted

if TYPE_CHECKING:
    from dingocar.evaluate.leaderboard import Suite


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar leaderboard")
    if args["run"]:
        return _run(args)
    return _video(args) if args["video"] else _show(args)


def _run(args: dict[str, Any]) -> int:
    from dingocar.evaluate.leaderboard import load_suite
    from dingocar.evaluate.leaderboard.run import default_folder, run_suite

    file = path(args["SUITE"], "SUITE")
    suite = load_suite(file)
    out = optional_path(args["--out"], "--out") or default_folder(file)
    jobs = number(args["--jobs"], "--jobs", low=1, high=256)
    with Progress(100, "leaderboard", "%") as progress:

        def tell(share: float, line: str) -> None:
            progress.at(100 * share)
            if line:
                note(line)

        report = run_suite(suite, out, jobs, args["--only"], args["--again"], tell)
    text = (
        f"{counted(len(report.done), 'row')} run, {len(report.kept)} kept, {len(report.failed)} failed, "
        f"in {report.seconds:.0f} s: {report.results}"
    )
    show(report.to_json(), args["--json"], text)
    return 1 if report.failed else 0


def _show(args: dict[str, Any]) -> int:
    from dingocar.evaluate.leaderboard.results import Results
    from dingocar.evaluate.leaderboard.table import make_table
    from dingocar.evaluate.leaderboard.text import text_of

    html = None if args["--html"] is None else new_file(args["--html"], "--html")
    suite, out = _suite(args["SUITE"], args["--out"])
    table = make_table(suite, Results(out))
    if html is not None:
        from dingocar.evaluate.leaderboard.page import write_leaderboard

        write_leaderboard(html, suite, table, out)
        note(f"wrote {html}")
    show(table.to_json(), args["--json"], text_of(table))
    return 0


def _video(args: dict[str, Any]) -> int:
    from dingocar.cli._common import import_keras_quietly
    from dingocar.evaluate.leaderboard.video import film

    suite, out = _suite(args["SUITE"], None)
    scale, file = number(args["--scale"], "--scale", low=1, high=16), new_file(args["--out"], "--out")
    if args["ROW"] != "expert":
        import_keras_quietly()
    figures = film(suite, out, args["ROW"], args["EPISODE"], file, scale)
    same = "as it was" if figures["same"] else "NOT as it was: another version of the library or machine"
    count = counted(figures["frames"], "picture")
    text = f"{figures['path']}: {figures['row']}, {figures['episode']}, {count}, driven {same}"
    show(figures, args["--json"], text)
    return 0


def _suite(text: str, out: str | None) -> tuple[Suite, Path]:
    """The suite of a file, or of a folder of results; and the folder."""
    from dingocar.evaluate.leaderboard import load_suite
    from dingocar.evaluate.leaderboard.run import default_folder, load_run

    place = path(text, "SUITE")
    if place.is_dir():
        return load_run(place), place
    folder = optional_path(out, "--out") or default_folder(place)
    return load_suite(place), folder
