"""Compare pilots and methods by driving: train, drive, and show the table

Usage:
    dingocar leaderboard run SUITE [--out DIR] [--jobs N] [--only PATTERN] [--again] [--data NAME=DIR]...
                             [--json]
    dingocar leaderboard show SUITE [--out DIR] [--html FILE] [--markdown FILE] [--export FILE] [--json]
    dingocar leaderboard video SUITE ROW EPISODE --out FILE [--scale N] [--json]

SUITE is a .toml file (see docs/leaderboard.md) or, to show, a folder that `run` has made.
What is in the results is kept: a run that was stopped goes on, a changed suite runs what has changed.

ROW is like linear/none/0 (pilot, method, seed) or expert, EPISODE like photo/circuit/3 (world, track, lap):
it is driven again, exactly as it was, and filmed.

Options:
    --out DIR        the results' folder, for video the film (.mp4 or .gif); otherwise leaderboard/NAME
    --jobs N         processes, each with one thread [default: 1]
    --only PATTERN   only these rows, e.g. 'linear/none' or '*/0'
    --again          also run rows that another version of dingocar has made
    --data NAME=DIR  the tub that the suite calls NAME; what needs one that is not given is left out
    --html FILE      also write a page
    --markdown FILE  also write the tables for a document, every seed in them
    --export FILE    also write a JSON line for each row and world; lines of other suites in the file stay
    --scale N        how many times larger than the camera's picture [default: 4]
    --json           print one JSON object
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import Progress, new_file, new_page, note, number, optional_path, parse, path, show
from dingocar.errors import UsageError
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
    from dingocar.evaluate.leaderboard.data import find_data, with_data
    from dingocar.evaluate.leaderboard.results import Results
    from dingocar.evaluate.leaderboard.run import default_folder, run_suite
    from dingocar.evaluate.leaderboard.table import gap_notes

    file = path(args["SUITE"], "SUITE")
    out = optional_path(args["--out"], "--out") or default_folder(file)
    suite, left_out = with_data(load_suite(file), find_data(_folders(args["--data"])))
    for line in left_out:
        note(f"{file.name}: {line}")
    if not suite.methods or not any(world.role == "test" for world in suite.worlds):
        show({"left_out": left_out}, args["--json"], f"{file}: nothing is left to run")
        return 0
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
    small = [small.text for small in gap_notes(suite, Results(out))]
    show(report.to_json() | {"left_out": left_out, "notes": small}, args["--json"], "\n".join([*small, text]))
    return 1 if report.failed else 0


def _folders(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--data must be NAME=DIR, got {text!r}")
        found[name] = str(path(folder, f"--data {name}"))
    return found


def _show(args: dict[str, Any]) -> int:
    from dingocar.evaluate.leaderboard.results import Results
    from dingocar.evaluate.leaderboard.table import make_table
    from dingocar.evaluate.leaderboard.text import text_of

    html = None if args["--html"] is None else new_page(args["--html"], "--html")
    markdown = None if args["--markdown"] is None else new_file(args["--markdown"], "--markdown")
    exported = None if args["--export"] is None else new_file(args["--export"], "--export")
    suite, out = _suite(args["SUITE"], args["--out"])
    table = make_table(suite, Results(out))
    if exported is not None:
        from dingocar.evaluate.leaderboard.export import export

        note(f"wrote {counted(export(exported, suite, Results(out)), 'line')} to {exported}")
    if markdown is not None:
        from dingocar.evaluate.leaderboard.markdown import markdown_of
        from dingocar.files import replace_file

        replace_file(markdown, markdown_of(table))
        note(f"wrote {markdown}")
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
    from dingocar.evaluate.leaderboard.data import names_of, with_data
    from dingocar.evaluate.leaderboard.run import SUITE, default_folder, load_run

    place = path(text, "SUITE")
    if place.is_dir():
        return load_run(place), place
    folder = optional_path(out, "--out") or default_folder(place)
    # The recordings that it was run with: the rows are named by what these hold.
    suite, before = load_suite(place), load_run(folder).data if (folder / SUITE).is_file() else {}
    data = {name: before[name] for name in names_of(suite) if name in before}
    return with_data(suite, data)[0], folder
