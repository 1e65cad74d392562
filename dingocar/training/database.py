"""The list of trained pilots, `models/database.json`, with Donkeycar's fields and some of ours."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dingocar.errors import TrainingError
from dingocar.files import lock_folder, parse_json, replace_file, unlock

logger = logging.getLogger(__name__)

FILE = "database.json"


class _DamagedError(TrainingError):
    """The file is there and holds no list of entries."""


def read_database(folder: Path | str) -> list[dict[str, Any]]:
    """Returns the entries; none if there is no file. The file is left as it is.

    Raises:
        TrainingError: it cannot be read, or is damaged.
    """
    path = Path(folder) / FILE
    try:
        entries = parse_json(path.read_bytes())
        if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
            return entries
        reason = "expected a list of objects"
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        reason = str(error)
    raise _DamagedError(
        f"{path}: is damaged ({reason}); mend it, or train: that moves it aside and begins a new one"
    )


def _keep_aside(path: Path, error: _DamagedError) -> None:
    """Renames a damaged file to `database.json.broken-N`."""
    candidates = (path.with_name(f"{FILE}.broken-{n}") for n in range(10_000))
    backup = next(candidate for candidate in candidates if not candidate.exists())
    path.replace(backup)
    logger.warning("%s; kept as %s", error, backup.name)


def next_number(entries: list[dict[str, Any]]) -> int:
    """One more than the highest number there is."""
    numbers = [entry["Number"] for entry in entries if isinstance(entry.get("Number"), int)]
    return max(numbers, default=-1) + 1


def default_model_path(folder: Path | str) -> Path:
    """`pilot_YY-MM-DD_N.keras` in `folder`, N the next number for which there is no file yet."""
    try:
        number = next_number(read_database(folder))
    except _DamagedError:
        number = 0
    while True:
        path = Path(folder) / f"pilot_{time.strftime('%y-%m-%d')}_{number}.keras"
        if not path.exists():
            return path
        number += 1


def add_entry(folder: Path | str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Appends an entry, with the next `Number` and the `Time`; the file is replaced atomically.

    An earlier entry of the same `Name` goes: its model was overwritten. A damaged file is kept as
    `database.json.broken-N`.

    Returns:
        The entry as it was written.

    Raises:
        TrainingError: the file cannot be read or written.
    """
    path = Path(folder) / FILE
    lock = lock_folder(Path(folder), wait=True) if Path(folder).is_dir() else None  # two may end at once
    try:
        return _append(path, entry)
    finally:
        unlock(lock)


def _append(path: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    damaged = None
    try:
        entries = read_database(path.parent)
    except _DamagedError as error:
        entries, damaged = [], error
    full = {"Number": next_number(entries), "Time": time.time(), **entry}
    entries = [other for other in entries if other.get("Name") != full.get("Name")]
    text = json.dumps([*entries, full], indent=4, default=lambda _: "<not serializable>")
    try:
        if damaged is not None:
            _keep_aside(path, damaged)
        replace_file(path, text)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written ({error.strerror})") from error
    return full
