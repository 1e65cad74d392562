"""Every error dingocar raises, in one tree.

A message says what was expected, what came, where, and the next step. The command line prints it as
one line and exits with `exit_code`; nobody sees a traceback for a mistake of theirs.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

#: The exit code of a command that was stopped and saved what it had, as a shell's after Ctrl-C.
INTERRUPTED = 130


class DingocarError(Exception):
    """Base of all errors raised on purpose by this library."""

    exit_code = 2


class UsageError(DingocarError):
    """A command was called with arguments that do not fit together."""


class ConfigError(DingocarError):
    """A car's `config.py` or `myconfig.py` has mistakes; the message lists all of them."""


class WiringError(DingocarError):
    """The parts of a vehicle do not fit together (a channel is read that nobody writes, ...)."""


class TubError(DingocarError):
    """A tub cannot be opened, read or written."""


class TrackError(DingocarError):
    """A track cannot be built or read."""


class ImageError(DingocarError):
    """A picture has the wrong shape, type or size, or cannot be decoded."""


class PilotError(DingocarError):
    """A pilot file cannot be read, or is no pilot."""


class TranslatorError(DingocarError):
    """A translator cannot be made, trained, read, or used for these pictures."""


class TrainingError(DingocarError):
    """Training cannot start or go on."""


class HardwareError(DingocarError):
    """A device is missing, does not answer, or has stopped answering."""


class UnknownNameError(DingocarError):
    """A name is not in a registry. The message suggests the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        super().__init__(f"unknown {kind} {name!r}{did_you_mean(name, known)}")
        self.kind, self.name, self.known = kind, name, known


class MissingExtraError(DingocarError):
    """A package from an optional extra is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: "
            f"run pip install 'dingocar[{extra}]'"
        )


class PartError(DingocarError):
    """A part failed while the vehicle was running; the vehicle was stopped.

    Attributes:
        part: name of the part that failed.
        phase: `run`, `thread`, `stalled`, `neutral` or `shutdown`.
    """

    exit_code = 1

    def __init__(self, part: str, phase: str, reason: object) -> None:
        text = f"{type(reason).__name__}: {reason}" if isinstance(reason, BaseException) else reason
        super().__init__(f"part {part} failed in {phase}: {text}; the vehicle was stopped")
        self.part, self.phase = part, phase


def did_you_mean(name: str, known: Iterable[str], limit: int = 12) -> str:
    """Returns the tail of an error message that helps with a mistyped name.

    >>> did_you_mean("lineer", ["linear", "categorical"])
    "; did you mean 'linear'?"
    >>> did_you_mean("zzz", ["linear", "categorical"])
    '; known: categorical, linear'
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if not known:
        return "; there are none"
    more = f", ... ({len(known)} in all)" if len(known) > limit else ""
    return f"; known: {', '.join(known[:limit])}{more}"


def near_path(path: Path) -> str:
    """Returns the tail of an error message about a `path` that is not there: what is, under a similar name.

    Of a path in a mistyped folder it is the folder. Empty where nothing is similar, or nobody may look.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "mine.keras").touch()
    ...     near_path(Path(folder) / "mine.kears").endswith("mine.keras?"), near_path(Path(folder) / "x")
    (True, '')
    """
    while path.parent != path and not path.parent.exists():
        path = path.parent
    try:
        near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)
    except OSError:
        return ""
    return f"; did you mean {path.parent / near[0]}?" if near else ""
