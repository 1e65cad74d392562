"""A CSV file with one line per loop, for a spreadsheet or a plot."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import math
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import UsageError

logger = logging.getLogger(__name__)

#: Lines that wait for the disk at most; at 20 Hz more than three minutes.
MAX_WAITING = 4096


class CsvTelemetry:
    """Writes the channels to a CSV file: inputs `channels`, no outputs.

    The first column, `t_s`, counts seconds since the drive's first loop. A file with the same columns is
    continued (a new drive begins where `t_s` falls back to 0); beside one with other columns a new file
    `NAME-1.csv` is made. A value that is missing or no finite number leaves its cell empty.

    Lines are written by a thread. A disk that is slow, full or gone costs lines, which are counted and told
    once in the log; the car drives on, and stops when it must.

    Args:
        path: the file; its folder is made if missing.
        channels: what to write, in the order in which `run` gets the values. No pictures.
        clock: what tells time; tests pass a fake.

    Attributes:
        path: the file that is written.
        dropped: how many lines were lost.

    Raises:
        UsageError: the file cannot be written, or a channel holds pictures.
    """

    #: What a killed process loses at most.
    WRITE_EVERY_S = 0.25
    #: How long `shutdown` waits for the disk.
    PATIENCE_S = 1.0

    def __init__(self, path: Path | str, channels: Sequence[str], clock: Clock | None = None) -> None:
        pictures = [name for name in channels if name.endswith("image_array")]
        if pictures or not channels:
            what = f"got the picture {pictures[0]!r}" if pictures else "got none"
            raise UsageError(f"telemetry: expected channels with numbers or words, {what}")
        self.dropped = 0
        self._columns = ["t_s", *channels]
        self._clock: Clock = clock or MonotonicClock()
        self._start_s: float | None = None
        self._waiting: deque[tuple[float, tuple[Any, ...]]] = deque()
        self._ending = threading.Event()
        self._failed = False
        self.path, self._file = open_csv(Path(path).expanduser(), self._columns)
        self._thread = threading.Thread(target=self._write_on, name="csv telemetry", daemon=True)
        self._thread.start()

    def run(self, *values: Any) -> None:
        """Notes one loop; does not wait for the disk."""
        now_s = self._clock.now_s()
        if self._start_s is None:
            self._start_s = now_s
        if self._failed or self._ending.is_set() or len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
        else:
            self._waiting.append((now_s - self._start_s, values))

    def shutdown(self) -> None:
        """Writes what is waiting and closes the file; does not wait for long on a disk that hangs."""
        self._ending.set()
        self._thread.join(self.PATIENCE_S)
        if self._thread.is_alive():
            logger.warning("%s: the disk hangs; the last lines may be missing", self.path)
        elif self.dropped and not self._failed:
            logger.warning("%s: %d lines were lost, the disk was too slow", self.path, self.dropped)

    def _write_on(self) -> None:
        try:
            with self._file:
                # Nobody wakes this thread for a line: the loop would have to share its processor with it.
                while not self._ending.wait(self.WRITE_EVERY_S):
                    self._write()
                self._write()
        except OSError as error:
            self._failed = True
            self.dropped += len(self._waiting)
            self._waiting.clear()
            reason = error.strerror or error
            logger.error("%s: cannot be written (%s); the drive goes on without it", self.path, reason)

    def _write(self) -> None:
        """Writes what is waiting."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for _ in range(len(self._waiting)):
            t_s, values = self._waiting.popleft()
            writer.writerow([f"{t_s:.4f}", *map(cell, values)])
        if text.tell():
            self._file.write(text.getvalue().encode(errors="replace"))
            self._file.flush()


def cell(value: Any) -> str:
    """A value as a cell's text; empty for what is missing, not finite, or not a number or a word.

    >>> [cell(value) for value in (0.25, 1 / 3, True, "user", None, float("nan"), [1, 2])]
    ['0.25', '0.333333', 'true', 'user', '', '', '']
    """
    if isinstance(value, str):
        return value
    if getattr(value, "ndim", None) == 0:  # numpy's own numbers
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return ""


def open_csv(path: Path, columns: Sequence[str]) -> tuple[Path, IO[bytes]]:
    """Opens a CSV file for appending, with its first line written.

    Args:
        path: the file; one that has other columns is left alone, and a new one is made beside it.
        columns: the first line's names.

    Returns:
        the path that was opened, and the file.

    Raises:
        UsageError: it cannot be written.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(columns)
    header = text.getvalue().encode()
    try:
        path.parent.mkdir(exist_ok=True)  # logs/, but not any folder of a mistyped path
        chosen, number = path, 0
        while not _can_continue(chosen, header):
            number += 1
            chosen = path.with_stem(f"{path.stem}-{number}")
        file = chosen.open("ab")
        try:
            if chosen.stat().st_size <= len(header):
                file.truncate(0)
                file.write(header)
            elif not _ends_with_newline(chosen):  # the last drive was killed
                file.write(b"\n")
            file.flush()
        except OSError:
            with contextlib.suppress(OSError):
                file.close()
            raise
    except OSError as error:
        raise UsageError(f"telemetry: {path}: cannot be written ({error.strerror or error})") from None
    if number:
        logger.warning("%s has other columns; writing to %s", path, chosen.name)
    return chosen, file


def _can_continue(path: Path, header: bytes) -> bool:
    """Is there no file yet, or one that begins with the header (or was cut off in the middle of it)?"""
    if not path.exists():
        return True
    with path.open("rb") as file:
        return header.startswith(file.read(len(header)))


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, io.SEEK_END)
        return file.read(1) == b"\n"
