"""dingocar: record, train, drive and measure self-driving RC cars.

Usage:
    dingocar COMMAND [ARGS...]
    dingocar --help | --version
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from dingocar import __version__
from dingocar.errors import DingocarError, MissingExtraError
from dingocar.registry import Registry, use_car_folder

commands = Registry("command", "dingocar.cli", entry="run", hidden=("main",))

#: The extra that brings a package.
EXTRAS = dict.fromkeys(("keras", "tensorflow", "h5py", "matplotlib", "simplejpeg"), "train")


def usage() -> str:
    """The help text: all commands with a line each. Imports none of them."""
    width = max(len(name) for name in commands.names())
    lines = [f"    {name:<{width}}  {doc}" for name, doc in commands.summaries().items()]
    return "\n".join(
        [
            __doc__.split("\n")[0],
            "",
            "Usage: dingocar COMMAND [ARGS...]",
            "",
            "Commands (dingocar COMMAND --help tells more):",
            *lines,
        ]
    )


def main(argv: list[str] | None = None, car: Path | None = None) -> int:
    """Runs one command; returns the exit code.

    Mistakes of the user end with one line on stderr and exit code 2, failures while driving with 1, stop
    signals with 128 + the signal's number.

    Args:
        argv: command and arguments, without the program's name; None: the process's own.
        car: the car's folder, when called from its `manage.py`; otherwise the current folder if it is one.
    """
    argv = sys.argv[1:] if argv is None else argv
    level = os.environ.get("DINGOCAR_LOG", "WARNING").upper()
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    if not argv or argv[0] in ("--help", "-h", "help"):
        print(usage())
        return 0
    if argv[0] == "--version":
        print(f"dingocar {__version__}")
        return 0
    if car is None and Path("manage.py").is_file():
        car = Path.cwd()
    use_car_folder(car)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        return int(commands.load(argv[0])(argv) or 0)
    except DingocarError as error:
        print(f"dingocar: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        missing = MissingExtraError(error.name, EXTRAS[error.name], f"dingocar {argv[0]}")
        print(f"dingocar: {missing}", file=sys.stderr)
        return missing.exit_code
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("dingocar: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
