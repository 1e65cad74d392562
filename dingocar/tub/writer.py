"""The write side: append-only while driving, in a thread of its own, safe against kills.

Per record the whole pictures come first and then its catalog line, in one system call, so every listed
record has its pictures. The manifest and the catalog manifest, which Donkeycar rewrites for every
record, are replaced atomically twice a second; opening a tub finds what they do not know yet.
"""

from __future__ import annotations

import atexit
import errno
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from dingocar.errors import TubError
from dingocar.files import replace_file, unlock
from dingocar.tub import format as fmt
from dingocar.tub.encode import Job, RecordEncoder, check_inputs, check_metadata, write_picture
from dingocar.tub.recover import new_catalog, open_for_writing, session_id
from dingocar.words import counted

logger = logging.getLogger(__name__)

#: Seconds between two updates of the manifest while records come in.
MANIFEST_PERIOD_S = 0.5
#: `TubWriter.close` gives up on a disk that has taken nothing for so many seconds.
STALLED_S = 5.0


class TubWriter:
    """Appends records to a tub.

    Args:
        path: the tub's folder; created if it is not there, repaired and continued if it is.
        inputs: the channels to record. Empty: those of the tub that is there.
        types: their types: `float`, `str`, `int`, `boolean`, `nparray`, `list`, `vector`,
            `image_array` (uint8 (H, W, 3), stored as JPEG), `gray16_array` (uint16 (H, W), as PNG).
        metadata: words on the tub; `domain` must be `sim` or `real`.
        max_queue_s: records that wait for the disk, in seconds of driving: the most a kill can lose.
        rate_hz: records per second.
        on_full: when the disk is too slow, `drop` the new record (driving) or `wait` (offline).
        jpeg_quality: 1 to 95; 75 is Donkeycar's.
        max_records_per_catalog: for a new tub.
        clock: returns seconds since 1970.

    Attributes:
        written: records that are on disk.
        inputs: the channels.
        types: their types.
        session_id: the id that the new records carry.

    Raises:
        TubError: the arguments do not fit, or the tub cannot be written to.
    """

    def __init__(
        self,
        path: str | Path,
        inputs: Sequence[str] = (),
        types: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        *,
        max_queue_s: float = 0.5,
        rate_hz: float = 20,
        on_full: Literal["drop", "wait"] = "drop",
        jpeg_quality: int = 75,
        max_records_per_catalog: int = fmt.MAX_LEN,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if on_full not in ("drop", "wait"):
            raise TubError(f"on_full: expected 'drop' or 'wait', got {on_full!r}")
        if max_queue_s < 0 or rate_hz <= 0 or max_records_per_catalog < 1:
            raise TubError("max_queue_s, rate_hz and max_records_per_catalog must be positive")
        self.path = Path(path).expanduser().absolute()
        words = check_metadata(metadata or {})
        check_inputs(inputs, types)
        self._limit = max(1, round(max_queue_s * rate_hz))
        self._on_full, self._quality, self._clock = on_full, jpeg_quality, clock
        self._lock_descriptor: int | None = None
        now_s = clock()
        try:
            if self.path.exists() and not self.path.is_dir():
                raise TubError(f"{self.path}: is a file; name the folder of a tub, or a new one")
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock_descriptor = fmt.lock(self.path)
            self._manifest, self._catalog, number = open_for_writing(
                self.path, list(inputs), list(types), words, max_records_per_catalog, now_s
            )
        except (OSError, TubError) as error:
            unlock(self._lock_descriptor)
            if isinstance(error, TubError):
                raise
            raise TubError(f"{self.path}: cannot be written to ({error.strerror})") from error
        self.inputs, self.types = list(self._manifest.inputs), list(self._manifest.types)
        self._encoder = RecordEncoder(self.inputs, self.types)
        self._session = number
        self.session_id = session_id(number, now_s)
        self._listed_session = False
        self._next_index = self._manifest.current_index
        self._deleted_json = json.dumps(sorted(self._manifest.deleted))
        self.written = self._refused = self._lost = 0
        self._dropping = self._closed = self._ended = self._waiting = self._dirty = False
        self._finished = threading.Event()
        self._error: Exception | None = None
        self._synced_s = time.monotonic()
        self._queue: queue.SimpleQueue[Job | threading.Event | None] = queue.SimpleQueue()
        self._writing = threading.Lock()
        self._room = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="tub writer", daemon=True)
        self._thread.start()
        atexit.register(self._close_at_exit)

    # The caller's side.

    @property
    def dropped(self) -> int:
        """Records that were lost because the disk was too slow, or after it failed."""
        return self._refused + self._lost

    def write(self, fields: Mapping[str, Any]) -> int | None:
        """Takes a record; returns at once, the thread brings it to the disk.

        Args:
            fields: channel to value. Channels that are no input, and None values, are left out.

        Returns:
            The record's index, or None if it was dropped (counted in `dropped`).

        Raises:
            TubError: a value does not fit its type, the writer is closed, or the disk failed since.
            ImageError: a picture is no uint8 (H, W, 3) array.
        """
        with self._writing:
            self._check_usable()
            if self._queue.qsize() >= self._limit and not self._has_room():
                self._refused += 1
                if not self._dropping:
                    logger.warning("%s: too slow, dropping records", self.path)
                self._dropping = True
                return None
            self._dropping = False
            index = self._next_index
            timestamp_ms = round(self._clock() * 1000)
            self._queue.put(self._encoder.job(index, self.session_id, timestamp_ms, fields))
            self._next_index = index + 1
            return index

    def flush(self) -> None:
        """Waits until all records so far, and the manifest, are on disk.

        Raises:
            TubError: the disk failed.
        """
        with self._writing:
            self._check_usable()
            self._sync()
        self._check_usable()

    def erase_last(self, n: int) -> list[int]:
        """Marks the last `n` live records of the tub as deleted, as Donkeycar's TubWiper does.

        Returns:
            Their indexes, in order.
        """
        with self._writing:
            self._check_usable()
            erased: list[int] = []
            index = self._next_index - 1
            while index >= 0 and len(erased) < n:
                if index not in self._manifest.deleted:
                    erased.append(index)
                index -= 1
            erased.reverse()
            self._manifest.deleted.update(erased)  # the thread reads only the JSON of it
            self._deleted_json = json.dumps(sorted(self._manifest.deleted))
            self._queue.put(threading.Event())
        logger.info("%s: erased %d records", self.path, len(erased))
        return erased

    def close(self) -> None:
        """Brings everything to the disk and closes the tub. Closing a closed tub does nothing.

        If it is interrupted (Ctrl-C) or gives up, the thread works on, and closing again, which the
        program's end does too, finishes the work.

        Raises:
            TubError: the disk failed and records were lost, or it does not answer (for `STALLED_S`).
        """
        with self._writing:
            if self._ended:
                return
            self._closed = True
            self._queue.put(None)  # the thread ends at the first one
            self._wait_for_end()
            self._ended = True
        atexit.unregister(self._close_at_exit)
        os.close(self._catalog.descriptor)
        unlock(self._lock_descriptor)
        if self.dropped:
            logger.warning(
                "%s: %d of %d records were dropped",
                self.path,
                self.dropped,
                self.dropped + self.written,
            )
        self._raise_error()

    def __enter__(self) -> TubWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except TubError as failure:
            if error is None:
                raise
            logger.error("%s", failure)  # the error on its way matters more

    def _wait_for_end(self) -> None:
        """Waits for the thread for as long as it gets on with its work."""
        # Not by joining it: an interrupted join can take a thread that runs for one that has ended.
        before = self._queue.qsize()
        while not self._finished.wait(STALLED_S):
            waiting = self._queue.qsize()
            if waiting == before:
                raise TubError(
                    f"{self.path}: the disk has not answered for {STALLED_S:g} s; the last records "
                    f"(about {waiting}) are not on it yet and can be lost: check the disk or its cable"
                )
            before = waiting

    def _close_at_exit(self) -> None:
        logger.error("%s: the program ended without closing the tub", self.path)
        try:
            self.close()
        except TubError as error:
            logger.error("%s", error)

    def _check_usable(self) -> None:
        if self._closed:
            raise TubError(f"{self.path}: this tub writer is closed")
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            reason = getattr(self._error, "strerror", None) or self._error
            advice = "; make room or use another disk" if isinstance(self._error, OSError) else ""
            raise TubError(
                f"{self.path}: recording stopped at record {self._manifest.current_index}, "
                f"{counted(self.dropped, 'record')} lost: {reason}{advice}"
            ) from self._error

    def _has_room(self) -> bool:
        """Waits for room in the queue, if that is wanted."""
        if self._on_full == "drop":
            return False
        with self._room:
            self._waiting = True  # before looking, so that the thread cannot miss it
            while self._queue.qsize() > self._limit // 2:
                self._room.wait()
            self._waiting = False
        self._check_usable()
        return True

    def _sync(self) -> None:
        done = threading.Event()
        self._queue.put(done)
        done.wait()

    # The thread's side.

    def _work(self) -> None:
        """Writes what comes through the queue, until None comes."""
        try:
            self._work_off()
        finally:
            self._finished.set()

    def _work_off(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=MANIFEST_PERIOD_S if self._dirty else None)
            except queue.Empty:
                self._try(self._save_manifests)
                continue
            if isinstance(item, Job):
                before = self.written
                self._try(self._append, item)
                self._lost += self.written == before
            else:
                self._try(self._save_manifests, item is None)
            if self._waiting and self._queue.qsize() <= self._limit // 2:
                with self._room:
                    self._room.notify_all()
            if isinstance(item, threading.Event):
                item.set()
            if item is None:
                return

    def _try(self, action: Callable[..., None], *arguments: Any) -> None:
        """Runs `action` unless something failed before; a failure is kept for the caller's side."""
        if self._error is not None:
            return
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next write() raises it
            self._error, self._dirty = error, False
            logger.error("%s: recording stopped: %s", self.path, error)

    def _append(self, job: Job) -> None:
        for name, pixels in job.pictures:
            write_picture(self.path / fmt.IMAGES / name, pixels, self._quality)
        manifest = self._manifest
        if manifest.current_index % manifest.max_len == 0 and manifest.current_index > 0:
            self._roll_over()
        catalog = self._catalog
        done = os.write(catalog.descriptor, job.line)
        if done != len(job.line):  # a full disk takes a part: take it back, half a line is no record
            os.ftruncate(catalog.descriptor, sum(catalog.lengths))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        catalog.lengths.append(done)
        manifest.current_index += 1
        self.written += 1
        self._dirty = True
        if time.monotonic() - self._synced_s >= MANIFEST_PERIOD_S:
            self._save_manifests()

    def _roll_over(self) -> None:
        """Begins the next catalog; the next save of the manifest lists it."""
        old = self._catalog
        replace_file(self.path / fmt.catalog_manifest_name(old.name), old.text())
        self._catalog = new_catalog(self.path, self._manifest, self._clock())
        os.close(old.descriptor)

    def _save_manifests(self, last: bool = False) -> None:
        """Replaces the catalog manifest, then the manifest."""
        manifest, catalog = self._manifest, self._catalog
        if self.written and not self._listed_session:
            manifest.add_session(self._session, self.session_id)
            self._listed_session = True
        if last:
            os.fsync(catalog.descriptor)
        name = fmt.catalog_manifest_name(catalog.name)
        replace_file(self.path / name, catalog.text(), durable=last)
        text = manifest.head() + manifest.tail(self._deleted_json)
        replace_file(self.path / fmt.MANIFEST, text, durable=last)
        self._synced_s, self._dirty = time.monotonic(), False
