"""Put the car's folder and dingocar onto its Raspberry Pi (in a car folder)

Usage:
    dingocar deploy HOST [--to NAME] [--path DIR] [--extra NAMES] [--with-data] [--service] [--dry-run]
    dingocar deploy HOST --pull [--to NAME] [--path DIR] [--dry-run]

HOST is what ssh knows the Pi by: user@host. Copies the car's folder into the Pi's home, makes a virtual
environment there, installs dingocar with what a car needs, and runs dingocar doctor. Each command is shown
before it is run; the first that fails ends it.

Options:
    --to NAME       folder in the Pi's home; as the car's folder if not given
    --path DIR      the car's folder here, if not the current one
    --extra NAMES   extras to install there, with commas [default: pi,web]
    --with-data     copy the recordings too
    --service       start the car with the Pi, by systemd
    --pull          only fetch the Pi's recordings, into HOST/ in the car's data folder
    --dry-run       print the commands, ready to paste, and run nothing
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

from dingocar.cli._common import note, parse, path
from dingocar.cli._deploy import Step, Target, pull_steps, push_steps
from dingocar.errors import UsageError


def run(argv: list[str]) -> int:
    from dingocar.config import CarConfig

    args = parse(__doc__, argv, "dingocar deploy")
    car = _car_folder(args["--path"])
    cfg = CarConfig.load(car)
    target = Target.of(args["HOST"], args["--to"] or car.name, args["--extra"])
    if args["--pull"]:
        steps = pull_steps(target, car, cfg.DATA_PATH)
    else:
        steps = push_steps(target, car, cfg.DATA_PATH, args["--with-data"], args["--service"])
    if args["--dry-run"]:
        print("\n".join(f"# {step.what}\n{shlex.join(step.command)}" for step in steps))
        return 0
    for program in ("rsync", "ssh"):
        if shutil.which(program) is None:
            package = {"ssh": "openssh-client"}.get(program, program)
            raise UsageError(f"deploy needs {program}, which is not here: sudo apt install {package}")
    return _run(steps)


def _car_folder(text: str | None) -> Path:
    """The car's folder, absolute.

    Raises:
        UsageError: there is no car.
    """
    from dingocar.registry import car_folder

    folder = car_folder() if text is None else path(text, "--path").resolve()
    if folder is None or not ((folder / "manage.py").is_file() and (folder / "config.py").is_file()):
        where = "here" if text is None else f"in {text}"
        raise UsageError(
            f"deploy: there is no car {where} (no manage.py and config.py); cd to one, or make "
            "one: dingocar createcar --path mycar"
        )
    return folder


def _run(steps: list[Step]) -> int:
    """Shows and runs each step; returns 0, or 1 after the first that failed."""
    for number, step in enumerate(steps, 1):
        note(f"[{number}/{len(steps)}] {step.what}\n$ {shlex.join(step.command)}")
        done = subprocess.run(step.command)
        if done.returncode != 0:
            note(f"dingocar: exit code {done.returncode} of: {shlex.join(step.command)}")
            note(f"dingocar: not deployed: {step.hint}")
            return 1
    note("done")
    return 0
