"""Show the trained pilots of a car, or what one pilot file says of itself

Usage:
    dingocar models [FILE] [--json]

Without FILE the database of the models folder is shown (in a car folder: its own, otherwise models/).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dingocar.cli._common import parse, path, show


def run(argv: list[str]) -> int:
    from dingocar.config import CarConfig
    from dingocar.registry import car_folder

    args = parse(__doc__, argv, "dingocar models")
    if args["FILE"]:
        from dingocar.zoo import read_card

        card = read_card(path(args["FILE"], "FILE"))
        show(card, args["--json"], json.dumps(card, indent=2))
        return 0
    from dingocar.training.database import read_database

    folder = car_folder()
    entries = read_database((folder or Path()) / CarConfig.load(folder).MODELS_PATH)
    rows = [f"{'name':<24} {'type':<12} {'trained':<17} {'steering R2':>11}  tubs"]
    for entry in entries:
        trained = _text(entry, lambda e: time.strftime("%Y-%m-%d %H:%M", time.localtime(e["Time"])))
        shown = _text(entry, lambda e: f"{e['Validation']['steering']['r2']:.3f}")
        rows.append(
            f"{entry.get('Name', '?')!s:<24} {entry.get('Type', '?')!s:<12} {trained:<17} {shown:>11}  "
            f"{entry.get('Tubs', '')}"
        )
    show({"models": entries}, args["--json"], "\n".join(rows))
    return 0


def _text(entry: dict[str, Any], read: Callable[[dict[str, Any]], str]) -> str:
    """A figure of an entry; the database may be another program's, with anything in its place, or nothing."""
    try:
        return read(entry)
    except (KeyError, TypeError, ValueError, OverflowError):
        return "n/a"
