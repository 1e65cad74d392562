"""The vehicle: parts called in order at a fixed rate, and brought to rest whatever happens."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import DingocarError, PartError, WiringError, did_you_mean
from dingocar.memory import Memory
from dingocar.part import Entry, channel_names
from dingocar.profiler import Histogram, Timing
from dingocar.supervision import FreshnessWatch, HangGuard, Interrupted, PartThread, stop_signals

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DriveReport:
    """How a drive went.

    Attributes:
        loops: how often the parts were run.
        seconds: how long that took.
        overruns: scheduled loops that were skipped because an earlier one took too long.
        reason: why it ended: `max_loop_count`, a signal's name, or what was told to `Vehicle.stop`.
        signal: the signal's number, or None.
        timings: one per part, in the order of addition.
    """

    loops: int
    seconds: float
    overruns: int
    reason: str
    signal: int | None
    timings: list[Timing]

    @property
    def rate_hz(self) -> float:
        """Loops per second, measured."""
        return self.loops / self.seconds if self.seconds > 0 else 0.0


class Vehicle:
    """Runs parts in the order they were added, passing values through named channels.

    Donkeycar's `add` and `start`, so its parts run unchanged. On top of it: the wiring is checked before
    anything moves; the schedule is absolute and monotonic; threads are watched; and any exception, SIGINT,
    SIGTERM or SIGHUP first brings what moves to neutral, then shuts the parts down, last added first.

    >>> class Counter:
    ...     def run(self, before):
    ...         return (before or 0) + 1
    >>> vehicle = Vehicle()
    >>> vehicle.add(Counter(), inputs=["count"], outputs=["count"])
    >>> vehicle.start(rate_hz=None, max_loop_count=3).loops
    3
    >>> vehicle.mem["count"]
    3
    """

    #: How long all threads together may take to end at shutdown.
    JOIN_TIMEOUT_S = 2.0

    def __init__(self, clock: Clock | None = None, max_loop_s: float = 1.0) -> None:
        """Makes a vehicle without parts.

        Args:
            clock: what tells time; tests pass a fake.
            max_loop_s: a loop that takes longer is hung: neutral at once, and the drive ends.
        """
        self.mem = Memory()
        self.parts: list[Entry] = []
        self.max_loop_s = max_loop_s
        self._clock: Clock = clock or MonotonicClock()
        self._stop_reason: str | None = None
        self._signal: int | None = None
        self._interruptible = False
        self._running: Entry | None = None
        self._loops = self._overruns = 0

    def add(
        self,
        part: Any,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        threaded: bool = False,
        run_condition: str | None = None,
        *,
        neutral: Sequence[Any] | None = None,
        max_age_s: float | None = None,
    ) -> None:
        """Adds a part at the end of the loop.

        Args:
            part: see `dingocar.part`.
            inputs: channels passed to `run`, in order.
            outputs: channels its result is written to.
            threaded: `update()` runs in a thread, `run_threaded` in the loop.
            run_condition: a channel; the part is run only in loops in which it is true.
            neutral: inputs that bring an actuator to rest that has no `neutral()`, e.g. `[0.0, 0.0]`.
            max_age_s: end the drive when a threaded part has produced nothing new for so long.

        Raises:
            WiringError: the part lacks a method, or an argument does not fit.
        """
        base = type(part).__name__
        same = sum(entry.name.split("#")[0] == base for entry in self.parts)
        name = base if same == 0 else f"{base}#{same + 1}"
        self.parts.append(
            Entry(
                part,
                name,
                channel_names(inputs, "inputs", name),
                channel_names(outputs, "outputs", name),
                threaded,
                run_condition,
                None if neutral is None else tuple(neutral),
                max_age_s,
            )
        )

    def remove(self, part: Any) -> None:
        """Takes a part out again (all its entries, if it was added more than once)."""
        self.parts = [entry for entry in self.parts if entry.part is not part]

    def stop(self, reason: str = "stop") -> None:
        """Ends the drive after the current loop. May be called from any thread or part."""
        self._stop_reason = self._stop_reason or reason

    def start(self, rate_hz: float | None = 10, max_loop_count: int | None = None) -> DriveReport:
        """Drives until `stop()`, a signal, a failure, or `max_loop_count` loops.

        Args:
            rate_hz: loops per second; None runs as fast as it can (simulation only).
            max_loop_count: None: no limit.

        Raises:
            WiringError: the parts do not fit together; nothing was started, all parts were shut down.
            PartError: a part failed. The actuators were brought to neutral, all parts were shut down.
        """
        self._stop_reason, self._signal, self._loops, self._overruns = None, None, 0, 0
        histograms = [Histogram(entry.name) for entry in self.parts]
        threads = [PartThread(entry) for entry in self.parts if entry.threaded]
        guard = HangGuard(self.max_loop_s, self._clock, self._on_hang)
        failures: list[BaseException | None] = []
        began_s = self._clock.now_s()
        with stop_signals(self._on_signal):
            try:
                try:
                    self._check_wiring(rate_hz)
                    self._interruptible = True
                    for thread in threads:
                        self._running = thread.entry
                        thread.start()
                    guard.start()
                    self._loop(rate_hz, max_loop_count, histograms, threads, guard)
                finally:
                    # From here on a signal only leaves a note; one that came just before this line is
                    # caught below like any other.
                    self._interruptible = False
            except Interrupted as stop:
                self._stop_reason = str(stop)
            except BaseException as error:  # noqa: BLE001 - the car is stopped first, then it is raised
                failures.append(self._as_part_error(error))
            seconds = self._clock.now_s() - began_s
            failures.append(self._bring_to_neutral())
            guard.stop()
        # With the motors at rest a second Ctrl-C may end a shutdown that hangs.
        failures.append(self._shut_down(threads))
        for failure in failures:
            if failure is not None:
                raise failure
        reason = self._stop_reason or "max_loop_count"
        timings = [histogram.timing() for histogram in histograms]
        return DriveReport(self._loops, seconds, self._overruns, reason, self._signal, timings)

    def _loop(
        self,
        rate_hz: float | None,
        max_loop_count: int | None,
        histograms: list[Histogram],
        threads: list[PartThread],
        guard: HangGuard,
    ) -> None:
        now_s, wait_s = self._clock.now_s, self._clock.wait_s
        period_s = 0.0 if rate_hz is None else 1.0 / rate_hz
        start_s = now = now_s()
        watches = [None if entry.max_age_s is None else FreshnessWatch(entry, now) for entry in self.parts]
        steps = [
            (
                entry,
                entry.call,
                entry.inputs,
                entry.outputs,
                entry.run_condition,
                watch,
                histogram.add,
            )
            for entry, watch, histogram in zip(self.parts, watches, histograms, strict=True)
        ]
        scheduled = 0
        while self._stop_reason is None:
            if max_loop_count is not None and self._loops >= max_loop_count:
                return
            guard.beat(now)
            self._tick(steps, now, guard)
            self._loops += 1
            for thread in threads:
                if thread.error is not None:
                    raise PartError(thread.entry.name, "thread", thread.error) from thread.error
            now = now_s()
            if rate_hz is not None:
                # The schedule is start + k periods, so that lateness never adds up; loops that
                # cannot be made up for are skipped and counted.
                scheduled += 1
                late = int((now - start_s) * rate_hz) - scheduled
                if late > 0:
                    self._overruns += late
                    scheduled += late
                due_s = start_s + scheduled * period_s
                guard.beat(max(now, due_s))  # waiting is not hanging
                wait_s(due_s - now)
                now = now_s()

    def _tick(self, steps: list[Any], now: float, guard: HangGuard) -> None:
        channels = self.mem.channels
        get = channels.get
        clock_ns = time.perf_counter_ns
        before = clock_ns()
        for entry, call, inputs, outputs, condition, watch, count in steps:
            if condition is not None and not get(condition):
                continue
            self._running = entry
            result = call(*[get(key) for key in inputs])
            if result is not None and outputs:
                if len(outputs) == 1:
                    channels[outputs[0]] = result
                else:
                    self.mem.put(outputs, result)
            if watch is not None:
                watch.saw(result, now)
            after = clock_ns()
            count(after - before)
            before = after
            if guard.hung:
                # The motors are at neutral already, and stay there: no further part is run.
                raise PartError(entry.name, "stalled", f"a loop took more than {guard.limit_s} s")

    def _check_wiring(self, rate_hz: float | None) -> None:
        if rate_hz is not None and not (rate_hz > 0 and math.isfinite(rate_hz)):
            raise WiringError(f"rate_hz must be positive or None, got {rate_hz!r}")
        if not self.parts:
            raise WiringError("the vehicle has no parts; add some with add()")
        written = {key for entry in self.parts for key in entry.outputs} | set(self.mem.keys())
        mistakes = []
        for entry in self.parts:
            reads = [*entry.inputs, *([entry.run_condition] if entry.run_condition else [])]
            mistakes += [
                f"part {entry.name} reads {key!r}, which no part writes{did_you_mean(key, written)}"
                for key in reads
                if key not in written
            ]
        if mistakes:
            raise WiringError("; ".join(mistakes))

    def _on_signal(self, number: int) -> None:
        self._signal = self._signal or number
        interrupted = Interrupted(number)
        self.stop(str(interrupted))
        if self._interruptible:
            self._interruptible = False
            raise interrupted

    def _on_hang(self) -> None:
        self._bring_to_neutral()  # first: what hangs may be the log
        name = self._running.name if self._running else "?"
        logger.error("part %s hangs for more than %s s: neutral", name, self.max_loop_s)

    def _as_part_error(self, error: BaseException) -> BaseException:
        if isinstance(error, DingocarError) or not isinstance(error, Exception):
            return error
        failure = PartError(self._running.name if self._running else "?", "run", error)
        failure.__cause__ = error
        return failure

    def _bring_to_neutral(self) -> PartError | None:
        """Brings every actuator to rest, each in spite of the others' failures; returns the first one."""
        first = None
        for entry in self.parts:
            if not entry.actuates:
                continue
            try:
                entry.bring_to_neutral()
            except BaseException as error:
                logger.exception("part %s could not be brought to neutral", entry.name)
                first = first or PartError(entry.name, "neutral", error)
        return first

    def _shut_down(self, threads: list[PartThread]) -> PartError | None:
        first = None
        for entry in reversed(self.parts):
            shutdown = getattr(entry.part, "shutdown", None)
            if shutdown is None:
                continue
            try:
                shutdown()
            except Exception as error:
                logger.exception("part %s failed to shut down", entry.name)
                first = first or PartError(entry.name, "shutdown", error)
        deadline_s = self._clock.now_s() + self.JOIN_TIMEOUT_S
        for thread in threads:
            if not thread.join(deadline_s - self._clock.now_s()):
                logger.warning("the thread of part %s did not end at shutdown", thread.entry.name)
        return first
