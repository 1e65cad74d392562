"""What the commands share: arguments, numbers, results as text or JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docopt

from dingocar.errors import UsageError, did_you_mean, near_path


def parse(doc: str, argv: list[str], command: str) -> dict[str, Any]:
    """Reads a command's arguments by its docstring (`docopt`).

    Raises:
        UsageError: they do not fit; an unknown option or subcommand gets the nearest one suggested.
    """
    try:
        return dict(docopt.docopt(doc, argv=argv))
    except docopt.DocoptExit:
        raise _misfit(doc, argv, command) from None


def _misfit(doc: str, argv: list[str], command: str) -> UsageError:
    """What is wrong with arguments that do not fit."""
    short = command.removeprefix("dingocar ")  # main says that already
    commands = re.findall(rf"^ +{command} ([a-z]+)\b", doc, re.MULTILINE)
    if commands and len(argv) < 2:
        return UsageError(f"{short}: expected one of {', '.join(commands)}; see {command} --help")
    if commands and not argv[1].startswith("-") and argv[1] not in commands:
        return UsageError(f"{short}: unknown command {argv[1]!r}{did_you_mean(argv[1], commands)}")
    options = {
        word.split("=")[0].strip(".,[]()") for word in doc.split() if word.lstrip("[(").startswith("--")
    }
    options = {word.lstrip("[(") for word in options}
    for word in argv:
        name = word.split("=")[0]
        if name.startswith("--") and name not in options:
            return UsageError(f"{short}: unknown option {name}{did_you_mean(name, options)}")
    shown = " ".join(argv[1:]) or "nothing"
    needed = _needed(doc, f"{command} {argv[1]}" if commands else command, argv)
    wanted = f"; expected at least {' or '.join(needed)}" if needed else ""
    return UsageError(f"{short}: the arguments do not fit (got: {shown}){wanted}; see {command} --help")


def _needed(doc: str, command: str, argv: list[str]) -> list[str]:
    """What each form of a command needs, by its docstring; none where all of it was given."""
    usage = doc.partition("Usage:\n")[2].partition("\n\n")[0]
    needed = []
    for form in re.split(r"\n(?= {4}\S)", usage):
        left = " ".join(form.split())
        while left != (left := re.sub(r" *\[[^][]*\](\.\.\.)?", "", left)):
            pass
        options = re.findall(r"--[a-z-]+", left)
        there = bool(options) and all(option in argv for option in options)
        if left.startswith(f"{command} ") and not there:
            needed.append(left.removeprefix("dingocar "))
    return needed


def number(
    text: str,
    name: str,
    kind: type[int] | type[float] = int,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """Converts an argument's text.

    Raises:
        UsageError: no number, or out of range.
    """
    expected = "a whole number" if kind is int else "a number"
    limits = f" of at least {low}" if low is not None and high is None else ""
    if low is not None and high is not None:
        limits = f" from {low} to {high}"
    try:
        value = kind(text)
    except ValueError:
        raise UsageError(f"{name} must be {expected}{limits}, got {text!r}") from None
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise UsageError(f"{name} must be {expected}{limits}, got {text!r}")
    return value


def picture_size(text: str, name: str, low: int = 1, high: int = 9999) -> tuple[int, int]:
    """Converts an argument that is a height and a width in pixels, "60x80" say.

    Raises:
        UsageError: it is none, or a side is out of range.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or not all(low <= int(side) <= high for side in match.groups()):
        raise UsageError(
            f"{name} must be height x width of {low} to {high} pixels, like 120x160, got {text!r}"
        )
    return int(match[1]), int(match[2])


def path(text: str, name: str) -> Path:
    """Converts an argument that is a path; `~` is the home folder.

    Raises:
        UsageError: it is empty (a shell variable that is not set, say), or has no such home folder.
    """
    if not text:
        raise UsageError(f"{name} must be a path, got nothing")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{name} {text}: {error}") from None


def new_file(text: str, name: str) -> Path:
    """Converts an argument that is a file to be written: before the work, and not after it.

    Raises:
        UsageError: it is empty, a folder, or in a folder that is not there or not to be written to.
    """
    file = path(text, name)
    if file.is_dir():
        raise UsageError(f"{name} {file}: is a folder; name a file")
    if not file.parent.is_dir():
        hint = near_path(file.parent) or "; make it first"
        raise UsageError(f"{name} {file}: no such folder: {file.parent}{hint}")
    if not os.access(file.parent, os.W_OK):
        raise UsageError(f"{name} {file}: {file.parent} cannot be written to; name a file elsewhere")
    return file


def check_replaced(file: Path, name: str, kind: str) -> None:
    """Refuses a file to write a pilot or a translator to (`kind`) where there is one of the other kind.

    Raises:
        UsageError: there is.
    """
    from dingocar.errors import DingocarError
    from dingocar.translate import artefact as translators
    from dingocar.zoo import artefact as pilots

    other, read_card = {
        "pilot": ("translator", translators.read_card),
        "translator": ("pilot", pilots.read_card),
    }[kind]
    if not file.is_file():
        return
    try:
        read_card(file)
    except DingocarError:
        return
    raise UsageError(f"{name} {file}: is there, and it is a {other}; name another file to write")


def new_page(text: str, name: str) -> Path:
    """Converts an argument that is a page to be written; see `new_file`.

    Raises:
        UsageError: also if it is no .html: another file of that name would be lost.
    """
    file = new_file(text, name)
    if file.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{name} {file}: expected a file name that ends in .html")
    return file


def this_car(command: str) -> Path:
    """The car folder that a command is given in.

    Raises:
        UsageError: it is given elsewhere.
    """
    from dingocar.registry import car_folder

    folder = car_folder()
    if folder is None:
        raise UsageError(
            f"{command}: there is no car here (no manage.py and config.py); cd to one, or make one: "
            "dingocar createcar --path mycar"
        )
    return folder


def optional_path(text: str | None, name: str) -> Path | None:
    """As `path`; None stays None."""
    return None if text is None else path(text, name)


def optional_number(
    text: str | None,
    name: str,
    kind: type[int] | type[float] = int,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """As `number`; None stays None."""
    return None if text is None else number(text, name, kind, low, high)


def assignments(texts: list[str]) -> dict[str, str]:
    """Reads `NAME=value` arguments.

    Raises:
        UsageError: one has no `=`.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set must be NAME=value, got {text!r}")
        found[name] = value
    return found


def show(result: Mapping[str, Any], as_json: bool, text: str) -> None:
    """Prints a result: one JSON object and nothing else, or the text."""
    print(json.dumps(result, allow_nan=False) if as_json else text)


def metrics_table(validation: Mapping[str, Mapping[str, float | None]]) -> str:
    """MAE, R2 and correlation of each output, for people."""
    rows = [f"{'':<10}{'MAE':>10}{'R2':>10}{'corr':>10}"]
    for name, figures in validation.items():
        cells = ["n/a" if figures[key] is None else f"{figures[key]:.3f}" for key in ("mae", "r2", "corr")]
        rows.append(f"{name:<10}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(rows)


def note(text: str) -> None:
    """Tells a person something that is not the result: on stderr."""
    print(text, file=sys.stderr, flush=True)


def import_keras_quietly(model: Path | None = None) -> None:
    """Imports keras with stderr closed: its backend's start-up remarks cannot be turned off otherwise.

    Without keras nothing happens: whoever needs it says so.

    Args:
        model: the pilot file it is for; nothing happens for a `.tflite`, which needs no keras, nor for a file
            that is not there: whoever loads it says so, and sooner. None: for any.
    """
    if model is not None and (model.suffix == ".tflite" or not os.path.isfile(model)):
        return
    from dingocar.supervision import stop_signals

    stops: list[int] = []
    # An exception that a signal raises in a callback of a backend's C++ would get lost.
    with stop_signals(stops.append), stderr_closed(), contextlib.suppress(ImportError):
        import keras

        keras.ops.zeros(1)  # the search for a GPU, and its remarks, begin with the first tensor
    for number in stops[:1]:
        signal.raise_signal(number)


@contextlib.contextmanager
def stderr_closed() -> Iterator[None]:
    """Keeps what a library's C++ says off the terminal, where it cannot be told to be quiet."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError):  # stderr is closed already
        yield
        return
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Progress:
    """A bar on stderr for long work; nothing where stderr is no terminal.

    Args:
        total: what `at` reaches at the end.
        what: a word for people.
        unit: what is counted.
    """

    def __init__(self, total: float, what: str, unit: str = "lap") -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=total,
            desc=what,
            disable=None,
            bar_format="{desc} |{bar:30}| {n:.1f}/{total:.0f} " + unit + " [{elapsed}<{remaining}]",
            leave=False,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def at(self, done: float) -> None:
        """Shows how far the work is."""
        self._bar.update(done - self._bar.n)
