"""Make a car folder: the one that is copied to a Raspberry Pi

Usage:
    dingocar createcar --path DIR [--template NAME] [--overwrite]

Options:
    --path DIR        where; made if missing
    --template NAME   what kind of car, see dingocar list templates [default: complete]
    --overwrite       replace manage.py and config.py of a car that is there (never myconfig.py or data)
"""

from __future__ import annotations

import shlex

from dingocar.cli._common import parse, path
from dingocar.errors import UnknownNameError, UsageError


def run(argv: list[str]) -> int:
    from dingocar.config import CarConfig
    from dingocar.files import replace_file
    from dingocar.templates import templates

    args = parse(__doc__, argv, "dingocar createcar")
    files = templates.files()
    if args["--template"] not in files:
        raise UnknownNameError("template", args["--template"], files)
    folder = path(args["--path"], "--path")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--path {folder}: is a file; give the folder to make")
    ours = {
        "manage.py": files[args["--template"]].read_text(encoding="utf-8"),
        "config.py": CarConfig.default_file(),
    }
    there = [name for name in ours if (folder / name).exists()]
    if there and not args["--overwrite"]:
        raise UsageError(f"{folder} has {' and '.join(there)} already; add --overwrite to replace them")
    for name in ("data", "models", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, text in ours.items():
        replace_file(folder / name, text)
    if not (folder / "myconfig.py").exists():
        replace_file(folder / "myconfig.py", CarConfig.default_file(commented=True))
    print(f"made a car in {folder}\n\n    cd {shlex.quote(str(folder))}")
    print("    python manage.py drive            # you drive: open the page it names")
    return 0
