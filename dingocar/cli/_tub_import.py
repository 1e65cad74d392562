"""`dingocar tub import`: a tub of another program's recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dingocar.cli import _common
from dingocar.errors import UnknownNameError
from dingocar.words import counted

if TYPE_CHECKING:
    from dingocar.tub.importers import Imported

#: Problems that are printed; `--json` has more.
SHOWN = 5


def import_(options: Mapping[str, Any]) -> int:
    """Imports what the options say; returns the exit code."""
    from dingocar.tub.format import DOMAINS
    from dingocar.tub.importers import SIDES_PX, Settings, import_tub

    if options["--domain"] not in (None, *DOMAINS):
        raise UnknownNameError("domain", options["--domain"], DOMAINS)
    shape = options["--shape"]
    settings = Settings(
        shape=None if shape is None else _common.picture_size(shape, "--shape", *SIDES_PX),
        rate_hz=_common.optional_number(options["--rate"], "--rate", float),
        cameras=options["--cameras"],
        side_steering=_common.optional_number(options["--side-steering"], "--side-steering", float, 0, 1),
        as_logged=options["--as-logged"],
    )
    with _common.Progress(100, "importing", "%") as progress:
        result = import_tub(
            _common.path(options["SOURCE"], "SOURCE"),
            _common.path(options["--tub"], "--tub"),
            options["--format"],
            options["--domain"],
            settings,
            on_progress=lambda share: progress.at(100 * share),
        )
    _common.show(asdict(result), options["--json"], _text(result))
    return 0


def _text(result: Imported) -> str:
    lines = [
        f"{counted(result.records, 'record')} in {counted(result.sessions, 'session')} from {result.source} "
        f"({result.format}) in {result.tub}"
    ]
    if result.domain is None:
        lines.append("note: the domain is not known; say --domain sim or --domain real for domain adaptation")
    if not result.labelled:
        lines.append(
            "note: no labels: these pictures are for domain adaptation, nothing can learn to steer by them"
        )
    if result.skipped:
        lines.append(f"{result.skipped} were left out:")
        lines += [f"  {problem}" for problem in result.problems[:SHOWN]]
        if result.skipped > SHOWN:
            lines.append("  ... (--json shows more)")
    return "\n".join(lines)
