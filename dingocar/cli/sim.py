"""The simulator itself: serve it, look at it, compare its looks, find what is hard in it

Usage:
    dingocar sim COMMAND [ARGS...]
    dingocar sim [--help]

Commands (dingocar sim COMMAND --help tells more):
    serve    let Donkeycar and gym-donkeycar drive in our worlds: the Donkey simulator's protocol
    view     world, camera and bird's-eye view, live in the browser
    sheet    a contact sheet: looks beside recordings
    gap      how easily a classifier tells looks and recordings apart
    active   learn which randomisation a pilot finds hard (active domain randomisation)
"""

from __future__ import annotations

COMMANDS = ("serve", "view", "sheet", "gap", "active")


def run(argv: list[str]) -> int:
    import importlib

    from dingocar.errors import UnknownNameError

    asked = argv[1:]
    if not asked or asked[0] in ("--help", "-h"):
        print(__doc__.strip())
        return 0
    if asked[0] not in COMMANDS:
        raise UnknownNameError("sim command", asked[0], COMMANDS)
    module = importlib.import_module(f"dingocar.cli._sim_{asked[0]}")
    return int(module.run(argv) or 0)
