"""Records the loop's channels into a tub."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from dingocar.errors import TubError
from dingocar.tub import TubWriter, open_tub
from dingocar.tub.recover import addable

logger = logging.getLogger(__name__)


def recordable(
    path: Path, channels: Mapping[str, str], needed: Sequence[str], metadata: Mapping[str, Any]
) -> dict[str, str]:
    """Which of these channels can be recorded there: those that a tub there has, all of them into a new one.

    Args:
        path: folder of the tub.
        channels: {name: type}.
        needed: those without which there is nothing to record.
        metadata: of the tub.

    Raises:
        TubError: the tub there cannot be added to, or has not all that are needed.
    """
    manifest = addable(path, metadata)
    if manifest is None or not manifest.inputs:
        return dict(channels)
    there = dict(zip(manifest.inputs, manifest.types, strict=True))
    lacking = [name for name in needed if there.get(name) != channels[name]]
    if lacking:
        raise TubError(f"{path}: this tub does not record {', '.join(lacking)}; record to another folder")
    found = {name: kind for name, kind in there.items() if channels.get(name) == kind}
    if left_out := sorted(channels.keys() - found.keys()):
        logger.info(
            "%s: this tub does not record %s: left out; name another folder (DATA_PATH) to have all",
            *(path, ", ".join(left_out)),
        )
    return found


class Recorder:
    """Writes one record per loop: inputs the recorded channels, outputs `tub/num_records`,
    `tub/dropped`.

    Pictures are encoded and written by a thread. When the disk cannot keep up, records are dropped and
    counted; the loop does not wait.

    Args:
        path: folder of the tub; made if missing, continued if not.
        inputs: names of the channels, in the order in which `run` gets them.
        types: their types in the tub: `image_array`, `float`, `str`, ...
        metadata: of the tub, e.g. `{"domain": "sim"}`.
        rate_hz: rate of the loop: the queue holds half a second of it.
        wait: let the loop wait instead, when time does not matter (a simulation run at full speed).
        jpeg_quality: 1 to 95.
    """

    def __init__(
        self,
        path: Path | str,
        inputs: Sequence[str],
        types: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
        rate_hz: float = 20,
        jpeg_quality: int = 75,
        wait: bool = False,
    ) -> None:
        self.inputs = list(inputs)
        self._taken = 0
        self.writer = TubWriter(
            path,
            inputs,
            types,
            metadata,
            rate_hz=rate_hz,
            on_full="wait" if wait else "drop",
            jpeg_quality=jpeg_quality,
        )

    def run(self, *values: Any) -> tuple[int, int]:
        """Queues a record of the values (None: the channel was not written yet, and is left out).

        Returns:
            how many records were taken, and how many dropped because the disk could not keep up.
        """
        fields = {key: value for key, value in zip(self.inputs, values, strict=True) if value is not None}
        self._taken += self.writer.write(fields) is not None
        return self._taken, self.writer.dropped

    def shutdown(self) -> None:
        self.writer.close()


class SwitchedRecorder:
    """A recorder that is switched on and off: inputs `recording` and the recorded channels, outputs
    `tub/num_records`, `tub/dropped`.

    The tub is opened, and closed after a while without records, by a thread, so that no loop waits for a
    disk; between recordings it is free to be edited. Each opening begins a session. A tub that cannot be
    opened is told, and tried again when the recording is switched on the next time; the drive goes on.

    Args:
        open_writer: opens the tub, e.g. `functools.partial(TubWriter, path, inputs, types)`.
        inputs: names of the channels, in the order in which `run` gets them after `recording`.
        path: the tub's folder.
        idle_loops: close the tub after so many loops without a record.

    Raises:
        TubError: `path` is a file.
    """

    #: A page that deletes records holds the tub for a moment.
    OPEN_ATTEMPTS, RETRY_S = 5, 0.1

    def __init__(
        self, open_writer: Callable[[], TubWriter], inputs: Sequence[str], path: Path, idle_loops: int = 100
    ) -> None:
        if path.exists() and not path.is_dir():
            raise TubError(f"{path}: is a file; expected the folder of a tub, or none yet (DATA_PATH)")
        self.inputs, self.path, self.idle_loops = list(inputs), path, idle_loops
        self._open = open_writer
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._jobs: list[Future[None]] = []
        self._writer: TubWriter | None = None
        self._opening = self._refused = False
        self._idle = self._taken = self._dropped = 0

    def run(self, recording: bool | None, *values: Any) -> tuple[int, int]:
        """Queues a record of the values if `recording` is on (None: the channel was not written yet).

        Returns:
            how many records were taken in this drive, and how many dropped because the disk could not keep
            up.

        Raises:
            TubError: the disk is full or failed, and a record was lost.
        """
        self._raise_failure()
        writer = self._writer
        if recording:
            self._idle = 0
            if writer is not None:
                fields = {
                    key: value for key, value in zip(self.inputs, values, strict=True) if value is not None
                }
                taken = writer.write(fields) is not None
                self._taken += taken
                self._dropped += not taken
            elif not self._opening and not self._refused:
                self._opening = True
                self._later(self._open_tub)
            return self._taken, self._dropped
        self._refused = False
        if writer is not None:
            self._idle += 1
            if self._idle > self.idle_loops:
                self._writer = None
                self._later(writer.close)
        return self._taken, self._dropped

    def erase(self, n: int) -> None:
        """Marks the tub's last `n` records as deleted; soon, and from any thread."""
        self._later(partial(self._erase, n))

    def shutdown(self) -> None:
        self._worker.shutdown(wait=True)
        if self._writer is not None:
            self._writer.close()
        self._raise_failure()

    def _later(self, work: Callable[[], None]) -> None:
        self._jobs.append(self._worker.submit(work))

    def _raise_failure(self) -> None:
        while self._jobs and self._jobs[0].done():
            self._jobs.pop(0).result()

    def _open_tub(self) -> None:
        try:
            for attempt in range(self.OPEN_ATTEMPTS):
                try:
                    self._writer = self._open()
                    return
                except TubError as error:
                    if attempt + 1 == self.OPEN_ATTEMPTS:
                        self._refused = True
                        logger.error("nothing is recorded: %s", error)
                    else:
                        time.sleep(self.RETRY_S)
        finally:
            self._opening = False

    def _erase(self, n: int) -> None:
        writer = self._writer
        if writer is not None:
            writer.erase_last(n)
            return
        try:
            tub = open_tub(self.path)
            tub.delete([record.index for record in tub.records[-n:]])
        except TubError as error:
            # Nothing was recorded yet, or another program edits the tub: no reason to end the drive.
            logger.warning("nothing erased: %s", error)


def switched_recorder(
    path: Path,
    channels: Mapping[str, str],
    needed: Sequence[str],
    metadata: Mapping[str, Any],
    rate_hz: float,
    jpeg_quality: int,
) -> SwitchedRecorder | None:
    """A recorder into a new tub, or into one that is there, which keeps its own channels.

    Args:
        path, channels, needed, metadata: see `recordable`.
        rate_hz, jpeg_quality: see `Recorder`.

    Returns:
        None where nothing can be recorded; a warning says why.
    """
    try:
        there = recordable(path, channels, needed, metadata)
    except TubError as error:
        logger.warning("nothing will be recorded (DATA_PATH): %s", error)
        return None
    own = there if there == channels else {}  # of none it takes the tub's
    writer = partial(
        TubWriter,
        *(path, list(own), list(own.values()), metadata),
        rate_hz=rate_hz,
        jpeg_quality=jpeg_quality,
    )
    return SwitchedRecorder(writer, list(there), path, idle_loops=round(5 * rate_hz))
