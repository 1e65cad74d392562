"""The results file: one JSON line for each run, appended whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard.keys import row_key
from dingocar.evaluate.leaderboard.suite import Row, Suite
from dingocar.files import parse_json

try:
    import fcntl
except ImportError:  # not a system with such locks
    fcntl = None  # type: ignore[assignment]

FILE = "results.jsonl"


class Results:
    """The rows in a folder's results file.

    Opened for writing, the file is locked: two runs into one folder would do everything twice. A last line
    that a kill has cut off is removed.

    Args:
        folder: its folder; made if need be.
        write: whether rows will be added.

    Raises:
        UsageError: another run writes to it, or it cannot be read.
    """

    def __init__(self, folder: Path, write: bool = False) -> None:
        self.path = folder / FILE
        self._descriptor: int | None = None
        if write:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._lock(self._descriptor)
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            raw = b""
        whole = raw[: raw.rfind(b"\n") + 1]
        if self._descriptor is not None and len(whole) < len(raw):
            os.ftruncate(self._descriptor, len(whole))
        self.rows: list[dict[str, Any]] = []
        for number, line in enumerate(whole.splitlines(), 1):
            self.rows.append(self._parse(line, number))

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a row and waits until the disk has it."""
        assert self._descriptor is not None, "opened for reading"
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        start = os.fstat(self._descriptor).st_size
        if os.write(self._descriptor, line) != len(line):  # a full disk takes a part: take it back
            os.ftruncate(self._descriptor, start)
            raise UsageError(f"{self.path}: the disk is full; make room and run again, nothing is lost")
        os.fsync(self._descriptor)
        self.rows.append(dict(row))

    def close(self) -> None:
        """Lets go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def done(self) -> dict[str, dict[str, Any]]:
        """The finished rows by their key; of several the last."""
        return {row["key"]: row for row in self.rows if row["status"] == "done"}

    def failed(self) -> dict[str, dict[str, Any]]:
        """The rows that failed when last tried, by their key."""
        last = {row["key"]: row for row in self.rows}
        return {key: row for key, row in last.items() if row["status"] == "failed"}

    def of(self, suite: Suite, rows: Iterable[Row] | None = None) -> dict[str, dict[str, Any]]:
        """The finished rows of a suite as it is now, by the row's name."""
        done = self.done()
        keyed = {row.name: row_key(suite, row) for row in (suite.rows() if rows is None else rows)}
        return {name: done[key] for name, key in keyed.items() if key in done}

    def _lock(self, descriptor: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            self._descriptor = None
            raise UsageError(
                f"{self.path}: another run is writing to it; wait for that one, or choose another --out"
            ) from None
        except OSError:  # a file system without locks
            return

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        why = "no object with key, row and status"
        try:
            row = parse_json(line)
        except ValueError as error:
            row, why = None, str(error)[:200]
        if not (isinstance(row, dict) and {"key", "row", "status"} <= row.keys()):
            raise UsageError(
                f"{self.path}:{number}: is no row of a leaderboard ({why}); remove the line, and it is run "
                "again"
            )
        return row
