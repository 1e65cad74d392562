"""The list of trained pilots, `models/database.json`, with Donkeycar's fields and some of ours."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dingocar.errors import TrainingError

logger = logging.getLogger(__name__)

FILE = "database.json"


def read_database(folder: Path | str) -> list[dict[str, Any]]:
    """Returns the entries; a file that cannot be read is kept as `database.json.broken-N`."""
    path = Path(folder) / FILE
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
            return entries
        reason = "expected a list of objects"
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = str(error)
    backup = next(
        candidate
        for candidate in (path.with_name(f"{FILE}.broken-{n}") for n in range(10_000))
        if not candidate.exists()
    )
    try:
        path.replace(backup)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read or moved away ({error.strerror})") from error
    logger.warning("%s: %s; kept as %s, a new one is begun", path, reason, backup.name)
    return []


def next_number(entries: list[dict[str, Any]]) -> int:
    """One more than the highest number there is."""
    numbers = [entry["Number"] for entry in entries if isinstance(entry.get("Number"), int)]
    return max(numbers, default=-1) + 1


def default_model_path(folder: Path | str) -> Path:
    """`pilot_YY-MM-DD_N.keras` in `folder`, N the next number for which there is no file yet."""
    number = next_number(read_database(folder))
    while True:
        path = Path(folder) / f"pilot_{time.strftime('%y-%m-%d')}_{number}.keras"
        if not path.exists():
            return path
        number += 1


def add_entry(folder: Path | str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Appends an entry, with the next `Number` and the `Time`; the file is replaced atomically.

    An earlier entry of the same `Name` goes: its model was overwritten.

    Returns:
        The entry as it was written.
    """
    folder = Path(folder)
    entries = read_database(folder)
    full = {"Number": next_number(entries), "Time": time.time(), **entry}
    entries = [other for other in entries if other.get("Name") != full.get("Name")]
    text = json.dumps([*entries, full], indent=4, default=lambda _: "<not serializable>")
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{FILE}-", dir=folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
            os.replace(temporary, folder / FILE)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(f"{folder / FILE}: cannot be written ({error.strerror})") from error
    return full
