"""`dingocar translate report`: judges a translator, in figures and on a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import Progress, import_keras_quietly, new_page, note, number, path, show
from dingocar.errors import UsageError
from dingocar.tub import open_tub

if TYPE_CHECKING:
    from dingocar.evaluate.translation_report import Place


def report(args: dict[str, Any]) -> int:
    """Judges a translator."""
    from dingocar.cli.lines import read_thresholds
    from dingocar.evaluate.domain_report_frames import LEAST_FRAMES, take_frames
    from dingocar.evaluate.translation_page import report_text, write_report
    from dingocar.evaluate.translation_report import fitting, look
    from dingocar.translate.artefact import read_card

    most = number(args["--frames"], "--frames", low=LEAST_FRAMES, high=5000)
    seed = number(args["--seed"], "--seed", low=0, high=10**6)
    html = None if args["--html"] is None else new_page(args["--html"], "--html")
    translator = path(args["--translator"], "--translator")
    tubs = [_of_domain(path(tub, name), name) for name in ("--sim", "--real") for tub in args[name]]
    files = [path(pilot, "--pilot") for pilot in args["--pilot"]]
    place = _place(args)
    thresholds = None if args["--lines"] is None else read_thresholds(args["--lines"])
    pilots = fitting(translator, files, thresholds)
    card = read_card(translator)
    height, width, _ = card["image_shape"]
    learned = {use["path"] for uses in card.get("tubs", {}).values() for use in uses}
    for tub in tubs:
        if str(tub.resolve()) in learned:
            note(f"{tub}: the translator has learned from these pictures, so that it looks better than it is")
    with Progress(1.0, "looking", unit="of the report") as bar:
        frames = take_frames(tubs, (), (height, width), most, lambda share: bar.at(0.2 * share))
        for file in (translator, *files):
            import_keras_quietly(file)
        looked = look(
            *(translator, frames, pilots, place, thresholds, seed),
            lambda share: bar.at(0.2 + 0.7 * share),
        )
        if html is not None:
            write_report(html, looked)
            bar.at(1.0)
    if html is not None:
        note(f"wrote {html}")
    written = {"html": html and str(html)}
    show(looked.report | written, args["--json"], report_text(looked.report))
    return 0


def _place(args: dict[str, Any]) -> Place | None:
    """Where the simulator knows true counterparts; None: nowhere."""
    if args["--look"] is None:
        for name in ("--randomisation", "--lines"):
            if args[name] is not None:
                raise UsageError(f"{name}: is about a place in the simulator; name it: --look photo, say")
        return None
    from dingocar.evaluate.translation_report import Place
    from dingocar.sim import load_look, load_randomisation

    load_look(args["--look"])
    if args["--randomisation"] is not None:
        load_randomisation(args["--randomisation"])
    return Place(args["--look"], args["--randomisation"] or "none")


def _of_domain(tub: Path, name: str) -> Path:
    """A tub that does not say that it is of the other domain, of genuine pictures."""
    from dingocar.translate.pictures import check_genuine

    domain, other = name.removeprefix("--"), {"--sim": "real", "--real": "sim"}[name]
    opened = open_tub(tub)
    check_genuine(opened, f"{name} {tub}")
    if opened.domain == other:
        raise UsageError(
            f"{name} {tub}: says that its pictures are {other}, not {domain}; give it as --{other}"
        )
    return tub
