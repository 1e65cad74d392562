"""Show the trained pilots of a car, or what one pilot file says of itself

Usage:
    dingocar models [FILE] [--json]

Without FILE the database of the models folder is shown (in a car folder: its own, otherwise models/).
"""

from __future__ import annotations

import json
import time
from pathlib import Path

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
        r2 = entry.get("Validation", {}).get("steering", {}).get("r2")
        trained = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.get("Time", 0)))
        shown = "n/a" if r2 is None else f"{r2:.3f}"
        rows.append(
            f"{entry.get('Name', '?')!s:<24} {entry.get('Type', '?')!s:<12} {trained:<17} {shown:>11}  "
            f"{entry.get('Tubs', '')}"
        )
    show({"models": entries}, args["--json"], "\n".join(rows))
    return 0
