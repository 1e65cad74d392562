"""Make a film of a tub, with the driver's steering and throttle and a pilot's

Usage:
    dingocar movie --tub DIR [--out FILE] [--model FILE] [--start N] [--end N] [--scale N] [--rate HZ]
                   [--no-overlay] [--json]

Options:
    --tub DIR      the recording
    --out FILE     the film, .mp4 or .gif; without it the tub's name with .mp4, in this folder
    --model FILE   a pilot whose steering and throttle are drawn beside the driver's
    --start N      index of the first record
    --end N        index of the last record
    --scale N      how many times larger than recorded [default: 3]
    --rate HZ      pictures per second; without it as they were recorded
    --no-overlay   the pictures alone
    --json         print one JSON object
"""

from __future__ import annotations

from pathlib import Path

from dingocar.cli._common import (
    Progress,
    import_keras_quietly,
    number,
    optional_number,
    optional_path,
    parse,
    path,
    show,
)
from dingocar.errors import UsageError
from dingocar.words import counted


def run(argv: list[str]) -> int:
    from dingocar.evaluate.movie import make_movie
    from dingocar.zoo import load_pilot

    args = parse(__doc__, argv, "dingocar movie")
    tub = path(args["--tub"], "--tub")
    out = optional_path(args["--out"], "--out") or Path(f"{tub.resolve().name or 'tub'}.mp4")
    scale = number(args["--scale"], "--scale", low=1, high=16)
    rate_hz = None if args["--rate"] is None else number(args["--rate"], "--rate", float, low=1, high=120)
    start = optional_number(args["--start"], "--start", low=0)
    end = optional_number(args["--end"], "--end", low=0)
    model = optional_path(args["--model"], "--model")
    if model is not None and args["--no-overlay"]:
        raise UsageError("dingocar movie: --model draws on the pictures, --no-overlay does not; give one")
    pilot = None
    if model is not None:
        import_keras_quietly(model)
        pilot = load_pilot(model)
    with Progress(100, "filming", "%") as progress:
        movie = make_movie(
            *(tub, out, pilot, start, end, scale, rate_hz),
            overlay=not args["--no-overlay"],
            on_progress=lambda done, total: progress.at(100 * done / total),
        )
    skipped = f"; {counted(movie.skipped, 'picture')} could not be read" if movie.skipped else ""
    text = (
        f"{movie.path}: {counted(movie.frames, 'picture')}, {movie.frames / movie.rate_hz:.1f} s at "
        f"{movie.rate_hz:g} Hz, {movie.size[0]}x{movie.size[1]} {movie.codec}{skipped}"
    )
    show(movie.to_json(), args["--json"], text)
    return 0
