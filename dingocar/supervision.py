"""Watching what a vehicle cannot see from its loop: dead threads, stalled producers, a hung loop, signals."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from dingocar.clock import Clock
from dingocar.errors import PartError
from dingocar.part import Entry

logger = logging.getLogger(__name__)


class Interrupted(BaseException):
    """Raised in the main thread by a stop signal; no `except Exception` in a part can swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class PartThread:
    """Runs a part's `update()` and remembers how it ended."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"part {entry.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Waits for the thread to end; False when it did not."""
        if self._thread.ident is not None:  # else it was never started
            self._thread.join(max(timeout_s, 0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.entry.part.update()
        except BaseException as error:  # noqa: BLE001 - whatever ended the thread is the loop's to report
            self.error = error
        else:
            # Some parts have nothing to do in their thread; one that should have is seen by max_age_s.
            logger.info("update() of part %s has returned", self.entry.name)


class FreshnessWatch:
    """Tells how long a threaded part has produced nothing new.

    Fresh is a `produced` counter that grew; in parts without one, an output that is another object (for a
    tuple: one of its items is).
    """

    #: A camera or a network may need this long before its first output.
    START_GRACE_S = 5.0

    def __init__(self, entry: Entry, now_s: float) -> None:
        assert entry.max_age_s is not None
        self._entry, self._max_age_s = entry, entry.max_age_s
        self._last: Any = None
        self._fresh_s = now_s + max(self.START_GRACE_S - self._max_age_s, 0.0)

    def saw(self, output: Any, now_s: float) -> None:
        """Notes this loop's output.

        Raises:
            PartError: nothing new came for longer than the part's `max_age_s`.
        """
        token = getattr(self._entry.part, "produced", None)
        if token is None:
            token = output
        if not _same(token, self._last):
            self._last, self._fresh_s = token, now_s
        elif now_s - self._fresh_s > self._max_age_s:
            raise PartError(self._entry.name, "stalled", f"nothing new for more than {self._max_age_s} s")


def _same(token: Any, last: Any) -> bool:
    if isinstance(token, tuple) and isinstance(last, tuple) and len(token) == len(last):
        return all(new is old for new, old in zip(token, last, strict=True))
    if isinstance(token, int):
        return bool(token == last)
    return token is last


class HangGuard:
    """Brings the vehicle to neutral from another thread when one loop takes longer than `limit_s`.

    It goes on doing so until it is stopped: what hung may have set the motors again.
    """

    def __init__(self, limit_s: float, clock: Clock, on_hang: Callable[[], None]) -> None:
        self.limit_s, self._clock, self._on_hang = limit_s, clock, on_hang
        self.hung = False
        self._beat_s = clock.now_s()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hang guard", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def beat(self, now_s: float) -> None:
        """The loop is alive."""
        self._beat_s = now_s

    def stop(self) -> None:
        """Ends the watch."""
        self._stopped.set()

    def check(self) -> bool:
        """Calls `on_hang` if the loop hangs, or has hung before; True from the first time on."""
        self.hung = self.hung or self._clock.now_s() - self._beat_s > self.limit_s
        if self.hung:
            self._on_hang()
        return self.hung

    def _run(self) -> None:
        while not self._stopped.wait(self.limit_s / 4):
            self.check()


@contextmanager
def stop_signals(on_signal: Callable[[int], None]) -> Iterator[None]:
    """Calls `on_signal(number)` on SIGINT, SIGTERM and SIGHUP while the context lasts.

    A signal that the process ignores (as SIGHUP under `nohup`) stays ignored. Outside the main thread Python
    allows no handlers: there the context does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        on_signal(number)

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
