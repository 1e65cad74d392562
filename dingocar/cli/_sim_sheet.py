"""Lay pictures of recordings and looks under each other, to be judged by eye

Usage:
    dingocar sim sheet --out FILE [--tub DIR]... [--look NAME]... [--columns N] [--rows N] [--track NAME]
                       [--seed N] [--json]

Options:
    --out FILE     the picture to write, .png or .jpg
    --tub DIR      a recording; may be given several times
    --look NAME    a look; may be given several times; without any tub or look: all looks
    --columns N    pictures beside each other [default: 8]
    --rows N       rows of each recording or look [default: 2]
    --track NAME   where the looks are driven [default: circuit]
    --seed N       draws the looks' episodes [default: 0]
    --json         print one JSON object
"""

from __future__ import annotations

from dingocar.cli._common import new_file, number, parse, path, show


def run(argv: list[str]) -> int:
    from PIL import Image

    from dingocar.errors import UsageError
    from dingocar.evaluate.contact_sheet import contact_sheet
    from dingocar.evaluate.pictures import BLOCKS, from_look, from_tub
    from dingocar.files import replacing
    from dingocar.sim.look import load_look, looks

    args = parse(__doc__, argv, "dingocar sim sheet")
    out = new_file(args["--out"], "--out")
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"--out must end in .png or .jpg, got {str(out)!r}")
    columns, rows = (number(args[f"--{name}"], f"--{name}", low=1, high=40) for name in ("columns", "rows"))
    seed = number(args["--seed"], "--seed", low=0, high=10**6)
    frames = max(2 * BLOCKS, columns * rows)
    names = args["--look"] or ([] if args["--tub"] else looks.names())
    for name in names:
        load_look(name)  # a mistake is told before anything is drawn
    sets = [from_tub(path(tub, "--tub"), 10 * frames) for tub in args["--tub"]]
    sets += [from_look(look, frames, track=args["--track"], seed=seed) for look in names]
    sheet = contact_sheet(sets, columns, rows)
    try:
        with replacing(out) as temporary:
            Image.fromarray(sheet).save(temporary)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    shown = [pictures.name for pictures in sets]
    show({"out": str(out), "rows": shown}, args["--json"], f"{out}: {', '.join(shown)}")
    return 0
