"""Jobs on several processes: each with one thread, ended with their parent, replaced when they die."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from dingocar.errors import DingocarError

logger = logging.getLogger(__name__)

#: A job and a way to tell the share that is done, to its plain result.
Work = Callable[[Any, Callable[[float], None]], Any]

#: One thread each: as many jobs as cores are faster than jobs that share them. TensorFlow reads the TF_ ones.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
#: Progress is told when it has grown by this.
_STEP = 0.02
#: A process that was asked to end and has not after so many seconds is killed.
_GRACE_S = 5.0


@dataclass(frozen=True)
class Event:
    """What has become of a job.

    Attributes:
        number: which of the jobs.
        share: how much of it is done, 1 at its end.
        ended: whether this is its end.
        result: of a job that ended well.
        reason: why it failed, in a line; empty if it did not.
    """

    number: int
    share: float
    ended: bool = False
    result: Any = None
    reason: str = ""


class Workers:
    """So many processes that take jobs; leaving the block ends them all, whatever they do.

    Args:
        count: number of processes; they start when there is something to do.
        work: what they do: a function of a module, so that a new process finds it.
        log: folder for what they print, a file for each.
    """

    def __init__(self, count: int, work: Work, log: Path) -> None:
        self._work, self._log = work, log
        self._slots: list[_Slot | None] = [None] * count
        self._context = multiprocessing.get_context("spawn")

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, jobs: Sequence[Any], after: Sequence[Sequence[int]]) -> Iterator[Event]:
        """Does the jobs, each as soon as those it comes after have ended well; yields what happens.

        A job whose forerunner fails is not begun and fails for the same reason.

        Args:
            jobs: what `work` gets; they are sent to the processes.
            after: for each job the numbers of the ones it comes after.
        """
        waiting = {number: set(before) for number, before in enumerate(after)}
        failed: dict[int, str] = {}
        while waiting or any(slot is not None and slot.job is not None for slot in self._slots):
            doomed = [(n, before & failed.keys()) for n, before in waiting.items()]
            for number, causes in doomed:
                if causes:
                    del waiting[number]
                    failed[number] = failed[min(causes)]
                    yield Event(number, 1.0, ended=True, reason=failed[number])
            if any(causes for _, causes in doomed):
                continue
            for place in range(len(self._slots)):
                ready = [number for number, before in waiting.items() if not before]
                if ready and self._free(place):
                    del waiting[ready[0]]
                    self._give(place, ready[0], jobs[ready[0]])
            for event in self._events():
                if event.ended and event.reason:
                    failed[event.number] = event.reason
                elif event.ended:
                    for before in waiting.values():
                        before.discard(event.number)
                yield event

    def close(self) -> None:
        """Ends all processes, also those at work."""
        slots = [slot for slot in self._slots if slot is not None]
        self._slots = [None] * len(self._slots)
        for slot in slots:
            slot.process.terminate()
        for slot in slots:
            slot.process.join(_GRACE_S)
            if slot.process.is_alive():
                slot.process.kill()
                slot.process.join()
            slot.pipe.close()

    def _free(self, place: int) -> bool:
        slot = self._slots[place]
        return slot is None or slot.job is None

    def _give(self, place: int, number: int, job: Any) -> None:
        slot = self._slots[place]
        if slot is None:
            slot = self._slots[place] = self._start(place)
        slot.job = number
        # A process that has just died is noticed when its events are read.
        with contextlib.suppress(BrokenPipeError):
            slot.pipe.send(job)

    def _start(self, place: int) -> _Slot:
        ours, theirs = self._context.Pipe()
        self._log.mkdir(parents=True, exist_ok=True)
        log = self._log / f"process-{place}.log"
        process = self._context.Process(target=_serve, args=(theirs, self._work, log), daemon=True)
        with _environment(ONE_THREAD):
            process.start()
        theirs.close()
        return _Slot(process, ours)

    def _events(self) -> Iterator[Event]:
        """Waits until at least one process has something to say."""
        busy = {
            slot.pipe: i for i, slot in enumerate(self._slots) if slot is not None and slot.job is not None
        }
        for pipe in connection.wait(list(busy)):
            assert isinstance(pipe, Connection)
            place = busy[pipe]
            slot = self._slots[place]
            assert slot is not None and slot.job is not None
            try:
                share, ended, result, reason = pipe.recv()
            except (EOFError, OSError):
                slot.process.join()
                code = slot.process.exitcode or 0
                how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                self._slots[place] = None
                pipe.close()
                yield Event(slot.job, 1.0, ended=True, reason=f"its process ended ({how})")
                continue
            event = Event(slot.job, share, ended, result, reason)
            if ended:
                slot.job = None
            yield event


@dataclass
class _Slot:
    """A process, our end of its pipe, and the number of the job it is at."""

    process: SpawnProcess
    pipe: Connection
    job: int | None = None


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables for a process that is started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, work: Work, log: Path) -> None:
    """What a process does: take a job, do it, say what came of it; until there is no parent."""
    # Ctrl-C reaches the whole group; the parent sees to its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, name="parent watch", daemon=True).start()
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        told = 0.0

        def report(share: float) -> None:
            nonlocal told
            if share >= told + _STEP:
                told = share
                pipe.send((share, False, None, ""))

        try:
            answer = (1.0, True, work(job, report), "")
        except Exception as error:  # noqa: BLE001 - one job's failure must not cost the others
            traceback.print_exc()
            answer = (1.0, True, None, _line(error))
        pipe.send(answer)


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, DingocarError) else f"{type(error).__name__}: {text[:500]}"


def _end_with_parent() -> None:
    """A killed parent cannot end its processes: they see to it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
