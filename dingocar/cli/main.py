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
from dingocar.errors import INTERRUPTED, DingocarError, MissingExtraError
from dingocar.registry import Registry, use_car_folder
from dingocar.supervision import stop_signals

commands = Registry("command", "dingocar.cli", entry="run", hidden=("main",), hyphens=True)

#: The extra that brings a package.
EXTRAS = {
    **dict.fromkeys(("keras", "tensorflow", "h5py", "matplotlib", "simplejpeg", "sklearn", "scipy"), "train"),
    **dict.fromkeys(("starlette", "uvicorn", "websockets"), "web"),
    "adafruit_pca9685": "pi",
    "adafruit_blinka": "pi",
    "Adafruit_PureIO": "pi",
    "evdev": "gamepad",
    "cv2": "camera",
    "paho": "mqtt",
    "av": "movie",
    "gymnasium": "gym",
    **dict.fromkeys(
        ("gym_duckietown", "duckietown_world", "geometry", "pyglet", "gym", "yaml"), "duckietown"
    ),
}


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
    _stand_in_for_streams()
    level = logging.getLevelNamesMapping().get(os.environ.get("DINGOCAR_LOG", "").upper(), logging.WARNING)
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    stops: list[int] = []

    def interrupt(number: int) -> None:
        stops.append(number)
        raise Stopped(number)

    try:
        with stop_signals(interrupt):
            code = _dispatch(argv, car)
        # A command that saves what it has when it is stopped ends by itself.
        return 128 + stops[-1] if stops and code == INTERRUPTED else code
    except DingocarError as error:
        code, told = error.exit_code, str(error)
    except Stopped as stop:
        code, told = 128 + stop.number, "interrupted"
    except KeyboardInterrupt:
        code, told = INTERRUPTED, "interrupted"
    except BrokenPipeError:
        _let_go(1)  # its reader (head, less) has gone
        return 0
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        missing = MissingExtraError(error.name, EXTRAS[error.name], f"dingocar {argv[0]}")
        code, told = missing.exit_code, str(missing)
    except PermissionError as error:
        code, told = 2, _not_permitted(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        code, told = 2, f"{place}{error.strerror or error}"
    try:
        print(f"dingocar: {told}", file=sys.stderr)
    except OSError:  # the terminal has gone
        _let_go(1, 2)
        return 1
    return code


def _stand_in_for_streams() -> None:
    """Opens /dev/null for standard streams that are closed: files that are opened next would pass for them.

    The others may write names of files that are no text in their encoding.
    """
    if sys.stdin is None:  # who asks for it says what it needs
        os.open(os.devnull, os.O_RDONLY)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _let_go(*streams: int) -> None:
    """Lets go of output streams: flushing them to nobody would end Python with a code of its own, 120."""
    for stream in streams:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


class Stopped(KeyboardInterrupt):
    """A stop signal; whoever tidies up after Ctrl-C does so after this too."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _not_permitted(error: PermissionError) -> str:
    """What this user may not touch, and how it may. A file's temporary name says less than its folder's."""
    if not error.filename:
        return str(error.strerror or error)
    place = Path(os.fsdecode(error.filename))
    place = place.parent if place.name.startswith(".") and not place.is_dir() else place
    owned = place if place.is_dir() else place.parent
    return (
        f"{place}: this user may not use it; take another place, or: sudo chown -R $USER {owned.absolute()}"
    )


def _dispatch(argv: list[str], car: Path | None) -> int:
    if not argv or argv[0] in ("--help", "-h", "help"):
        print(usage(), flush=True)
        return 0
    if argv[0] == "--version":
        print(f"dingocar {__version__}")
        return 0
    if car is None and Path("manage.py").is_file() and Path("config.py").is_file():
        car = Path.cwd()
    use_car_folder(car)
    code = int(commands.load(argv[0])(argv) or 0)
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
