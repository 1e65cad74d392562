"""Find the road's lines by colour: tune thresholds in one look, measure them in another, with and without
translators

Usage:
    dingocar lines tune --out FILE [--track NAME]... [--look NAME] [--randomisation NAME] [--frames N]
                        [--size HxW] [--seed N] [--json]
    dingocar lines measure --lines FILE [--track NAME]... [--look NAME] [--randomisation NAME] [--frames N]
                           [--seed N] [--translator FILE]... [--json]
    dingocar lines show --lines FILE --tub DIR --out FILE [--translator FILE]... [--json]

Commands:
    tune     Finds the colour thresholds of white edges and a yellow middle that fit pictures of a look best.
    measure  How well they do in another look, F1 of pixels and error of the lane pose: as it is, with
             balanced and matched colours, through translators to sim, and tuned there, the most that
             thresholds can do.
    show     A sheet of a tub's pictures and what is found in them, to be judged by eye.

Options:
    --out FILE         tune: the thresholds, .json; show: the sheet, .jpg or .png
    --lines FILE       thresholds of tune
    --track NAME       of the simulator; may be given several times; otherwise two of its own for each command
    --look NAME        how the world is painted, or gym-duckietown, where the tracks are its maps; otherwise
                       flat to tune, photo to measure
    --randomisation NAME   none, mild, strong or a file [default: none]
    --frames N         pictures [default: 400]
    --size HxW         height and width of the pictures [default: 60x80]
    --seed N           of places and episodes [default: 0]
    --translator FILE  one to sim, of pictures of that size; may be given several times
    --tub DIR          whose pictures to show
    --json             print one JSON object
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import import_keras_quietly, new_file, number, parse, path, picture_size, show
from dingocar.errors import UsageError

if TYPE_CHECKING:
    from dingocar.evaluate.line_report import Thresholds
    from dingocar.translate import RunnableTranslator


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar lines")
    if args["tune"]:
        return _tune(args)
    return _measure(args) if args["measure"] else _show(args)


def _tune(args: dict[str, Any]) -> int:
    from dingocar.evaluate.line_report import tune_thresholds, tuning_tracks
    from dingocar.files import replace_file

    out, look = new_file(args["--out"], "--out"), args["--look"] or "flat"
    if out.suffix != ".json":
        raise UsageError(f"--out {out}: expected a file name that ends in .json")
    found = tune_thresholds(
        tuple(args["--track"]) or tuning_tracks(look),
        look,
        args["--randomisation"],
        number(args["--frames"], "--frames", low=2, high=100_000),
        number(args["--seed"], "--seed", low=0),
        picture_size(args["--size"], "--size"),
    )
    replace_file(out, json.dumps(found.to_json(), indent=1))
    each = ", ".join(f"{colour} {score:.2f}" for colour, score in found.f1.items())
    show(found.to_json() | {"out": str(out)}, args["--json"], f"F1: {each}; wrote {out}")
    return 0


def _measure(args: dict[str, Any]) -> int:
    from dingocar.evaluate.line_report import default_tracks, measure, table_text

    thresholds = read_thresholds(args["--lines"])
    translators, look = _translators(args), args["--look"] or "photo"
    report = measure(
        thresholds,
        tuple(args["--track"]) or default_tracks(look),
        look,
        args["--randomisation"],
        number(args["--frames"], "--frames", low=2, high=100_000),
        number(args["--seed"], "--seed", low=0),
        translators,
    )
    show(report, args["--json"], table_text(report))
    return 0


def _show(args: dict[str, Any]) -> int:
    from dingocar.cli.translate import picture_file
    from dingocar.evaluate.line_report import draw_lines
    from dingocar.translate.sheets import save

    out = picture_file(args["--out"])
    sheet = draw_lines(read_thresholds(args["--lines"]), path(args["--tub"], "--tub"), _translators(args))
    save(sheet, out)
    show({"out": str(out)}, args["--json"], f"wrote {out}")
    return 0


def read_thresholds(name: str) -> Thresholds:
    """The thresholds in the file that --lines names."""
    from dingocar.evaluate.line_report import Thresholds
    from dingocar.files import parse_json

    file = path(name, "--lines")
    try:
        values = parse_json(file.read_bytes())
    except OSError as error:
        raise UsageError(f"--lines {file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UsageError(f"--lines {file}: {error}; make them with dingocar lines tune") from None
    return Thresholds.from_json(values, f"--lines {file}")


def _translators(args: dict[str, Any]) -> dict[str, RunnableTranslator]:
    from dingocar.translate import load_translator

    files = [path(file, "--translator") for file in args["--translator"]]
    for file in files:
        import_keras_quietly(file)
    loaded = {Path(file).stem: load_translator(file, "to_sim") for file in files}
    if len(loaded) < len(files):
        raise UsageError("--translator: two files have the same name; rename one")
    return loaded
