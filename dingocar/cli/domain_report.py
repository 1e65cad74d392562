"""Show how far a pilot's features tell simulated from real pictures

Usage:
    dingocar domain-report --model FILE --tub DIR... [--unlabelled DIR]... [--looks A,B] [--track NAME]
                           [--html FILE] [--dump FILE] [--frames N] [--seed N] [--json]

Fresh classifiers are trained on the features that the pilot's heads read, and judged on stretches of the
recordings that they were not trained on: chance is 50 %. Beside them stands how well they tell two halves of
one domain apart, which is the floor. The simulator then shows the pilot the same places in two looks: how
far do its features move, and its steering? docs/domain_report.md explains the figures.

Options:
    --model FILE      the pilot, .keras
    --tub DIR         a recording; the tubs know whether they are simulated or real, and both are needed
    --unlabelled DIR  a recording of which no label is read
    --looks A,B       the simulator's two looks [default: flat,photo]
    --track NAME      where they are driven [default: circuit]
    --html FILE       also write a page, with pictures of the features
    --dump FILE       also write features, labels and commands of every picture as .npz
    --frames N        pictures of each domain [default: 600]
    --seed N          draws folds, intervals and drives [default: 0]
    --json            print one JSON object
"""

from __future__ import annotations

from dingocar.cli._common import (
    Progress,
    import_keras_quietly,
    new_file,
    new_page,
    note,
    number,
    parse,
    path,
    show,
)
from dingocar.errors import UsageError


def run(argv: list[str]) -> int:
    from dingocar.evaluate.domain_report import make_report, picture_size
    from dingocar.evaluate.domain_report_frames import LEAST_FRAMES, take_frames
    from dingocar.evaluate.domain_report_page import report_text, write_dump, write_report
    from dingocar.sim import load_track

    args = parse(__doc__, argv, "dingocar domain-report")
    most = number(args["--frames"], "--frames", low=LEAST_FRAMES, high=5000)
    seed = number(args["--seed"], "--seed", low=0, high=10**6)
    html = None if args["--html"] is None else new_page(args["--html"], "--html")
    dump = None if args["--dump"] is None else new_file(args["--dump"], "--dump")
    model = path(args["--model"], "--model")
    tubs, unlabelled = ([path(tub, name) for tub in args[name]] for name in ("--tub", "--unlabelled"))
    looks, track = _two(args["--looks"]), args["--track"]
    load_track(track)
    with Progress(100, "looking at features", "%") as progress:
        frames = take_frames(
            *(tubs, unlabelled, picture_size(model), most), lambda share: progress.at(15 * share)
        )
        import_keras_quietly(model)  # which takes longer than to tell a mistake above
        report, material = make_report(
            *(model, frames, looks, track, seed), lambda share: progress.at(15 + 70 * share)
        )
        if html is not None:
            write_report(html, report, material, lambda share: progress.at(85 + 15 * share))
    if dump is not None:
        write_dump(dump, material)
    for file in (html, dump):
        if file is not None:
            note(f"wrote {file}")
    written = {"html": html and str(html), "dump": dump and str(dump)}
    show(report.to_json() | written, args["--json"], report_text(report))
    return 0


def _two(text: str) -> tuple[str, str]:
    """The names of two looks, which there are."""
    from dingocar.sim import load_look

    names = text.split(",")
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise UsageError(f"--looks must be two different looks like flat,photo, got {text!r}")
    for name in names:
        load_look(name)
    return names[0], names[1]
