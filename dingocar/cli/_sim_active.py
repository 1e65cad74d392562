"""Find where in a randomisation a pilot fails, and make a sampler that draws from there

Usage:
    dingocar sim active --model FILE --out FILE [--randomisation NAME] [--track NAME]... [--look NAME]
                        [--frames N] [--particles N] [--reward NAME] [--search NAME] [--keep X] [--seed N]
                        [--json]

Options:
    --model FILE           the pilot, .keras or .tflite; it is not changed
    --out FILE             the sampler, .json: --randomisation of record, evaluate and drive takes it.
                           A picture (.png) and a page (.html) of what was found are written beside it
    --randomisation NAME   whose ranges are searched: mild, strong or a file [default: strong]
    --track NAME           a track's name; several take turns; otherwise circuit
    --look NAME            what is randomised [default: flat]
    --frames N             how many pictures the pilot may see in the search; at least 80 for each of 20
                           episodes without randomisation and of 5 for each particle [default: 40000]
    --particles N          policies of the search [default: 10]
    --reward NAME          failure: how badly the pilot fares; discriminator: how surely its driving tells
                           that it is not at home (Mehta et al. 2019) [default: failure]
    --search NAME          svpg: Stein variational policy gradient (the paper's); cem: cross-entropy;
                           uniform: none, the hardest of even draws; walk: particles that do not learn
                           [default: svpg]
    --keep X               share of the episodes, the hardest ones, the sampler draws around;
                           1: all of the later half [default: 0.25]
    --seed N               of the search [default: 0]
    --json                 print one JSON object
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import Progress, import_keras_quietly, new_file, number, parse, path, show
from dingocar.errors import UsageError
from dingocar.words import counted

if TYPE_CHECKING:
    from dingocar.training.active import ActiveResult


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar sim active")
    out = new_file(args["--out"], "--out")
    if out.suffix != ".json":
        raise UsageError(f"--out must be a file that ends in .json, got {out}")
    result = _search(args)
    written = _write(out, result, args["--model"])
    figures = {"model": args["--model"], "out": str(out), **written, **result.to_json()}
    show(figures, args["--json"], _summary(out, result, figures))
    return 0


def _search(args: dict[str, Any]) -> ActiveResult:
    import numpy as np

    from dingocar.evaluate import pilot_driver
    from dingocar.sim import load_look, load_randomisation, load_track
    from dingocar.training.active import Progress as Done
    from dingocar.training.active import SvpgSettings, active_randomisation
    from dingocar.zoo import load_pilot

    frames = number(args["--frames"], "--frames", low=1)
    keep = number(args["--keep"], "--keep", float, low=0.001, high=1)
    seed = number(args["--seed"], "--seed", low=0)
    settings = SvpgSettings(particles=number(args["--particles"], "--particles", low=1, high=1000))
    randomisation = load_randomisation(args["--randomisation"])
    tracks = [load_track(name) for name in args["--track"] or ["circuit"]]
    load_look(args["--look"])
    model = path(args["--model"], "--model")
    import_keras_quietly(model)
    pilot = load_pilot(model)
    with Progress(frames, "searching", "frame") as progress:

        def report(done: Done) -> None:
            progress.at(min(done.frames, frames))

        return active_randomisation(
            pilot_driver(pilot),
            randomisation,
            tracks,
            args["--look"],
            frames,
            np.random.default_rng(seed),
            picture=pilot.image_shape[:2],
            search=args["--search"],
            reward=args["--reward"],
            keep=keep,
            settings=settings,
            on_progress=report,
        )


def _write(out: Path, result: ActiveResult, model: str) -> dict[str, str | None]:
    """Writes the sampler, and where matplotlib is there its picture and page."""
    from dingocar.cli._common import note
    from dingocar.errors import MissingExtraError
    from dingocar.evaluate.report import write_page
    from dingocar.files import replace_file
    from dingocar.training.active.picture import draw, rows

    replace_file(out, json.dumps(result.sampler.to_json()))
    picture, page = out.with_suffix(".png"), out.with_suffix(".html")
    try:
        png = draw(result)
    except MissingExtraError as error:
        note(f"no picture: {error}")
        return {"picture": None, "page": None}
    replace_file(picture, png)
    caption = "What the search has found"
    lead = f"Active domain randomisation: where in {result.sampler.name} the pilot {model} fails."
    write_page(page, "Hard for this pilot", lead, {caption: png}, {"Parameters": rows(result)})
    return {"picture": str(picture), "page": str(page)}


def _summary(out: Path, result: ActiveResult, figures: dict[str, Any]) -> str:
    """The figures for people."""
    from dingocar.training.active.picture import rows

    first, last = figures["failed_first_round"], figures["failed_last_round"]
    told = [row for row in rows(result)[:5] if row["share of failure explained"] > 0]
    lines = [
        f"{counted(figures['episodes'], 'episode')}, {counted(figures['frames'], 'frame')}, "
        f"search {result.search}, reward {result.reward}",
        f"failed           {figures['failed_reference']:.0%} without randomisation, {first:.0%} in the first "
        f"round (even draws), {last:.0%} in the last one",
        *(
            f"{row['parameter']:<24} {row['learned 10 %']:.3g} to {row['learned 90 %']:.3g} "
            f"(of {row['least']:.3g} to {row['greatest']:.3g})"
            for row in told
        ),
        f"{counted(figures['points'], 'point')} in {out}, a picture beside it: record or evaluate with "
        f"--randomisation {out}",
    ]
    return "\n".join(lines)
