"""A process of its own that brings the motors' chip to rest when the car's process is silent or gone.

The car's process starts `python -m dingocar.parts.safety.watchdog` with its own handle of the bus and feeds
it a beat per loop through a pipe. What it guards against is what the car's process cannot do for itself any
more: `os._exit`, a segmentation fault, SIGKILL, SIGSTOP, a loop that hangs while it holds the interpreter.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO

from dingocar.errors import DingocarError, HardwareError
from dingocar.parts.actuators import _registers as registers
from dingocar.parts.actuators._i2c import Bus, open_bus

#: A beat is the monotonic time in nanoseconds at which it was sent: one that waited in the pipe is old.
_BEAT = struct.Struct("<q")
_READY = b"R"
#: The watchdog writes again so often as long as the silence lasts: a loop that was stopped in the middle may
#: still write what it was about to.
REPEAT_S = 0.03
#: A chip that does not answer is tried again so soon, and after a while less often.
RETRY_S, RETRY_LATER_S, RETRIES_SOON = 0.002, 0.02, 500


class Watchdog:
    """The car's end of the watchdog.

    Args:
        bus: as in `dingocar.parts.actuators._i2c.open_bus`; the watchdog opens it for itself.
        address: of the PCA9685.
        neutral: channel -> ticks at rest, in the order in which they are to be written.
        limit_s: silence for longer than this is rest.

    Raises:
        HardwareError: the watchdog did not start; the message holds what it said.
    """

    READY_TIMEOUT_S = 10.0
    CLOSE_TIMEOUT_S = 2.0
    #: A watchdog that answers none of so many beats in so many seconds is stopped or hangs.
    UNANSWERED, UNANSWERED_S = 20, 1.0

    def __init__(
        self, bus: int | str, address: int, neutral: Mapping[int, int], limit_s: float = 0.15
    ) -> None:
        pulses = ",".join(f"{channel}={ticks}" for channel, ticks in neutral.items())
        arguments = [str(bus), str(address), pulses, str(limit_s), str(os.getpid())]
        # It finds dingocar, and the module of a bus of the owner's, where this process finds them; -P: and
        # not by chance in the folder it was started in.
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the watchdog
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dingocar.parts.safety.watchdog", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                bufsize=0,
                env=os.environ | {"PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C reaches the car alone
            )
        except OSError as error:
            self._said.close()
            raise HardwareError(f"the watchdog process cannot be started: {error}") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._beats, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._beats, False)
        os.set_blocking(self._answers, False)
        self._unanswered, self._unanswered_since_s = 0, 0.0
        self._closed = False
        try:
            self._wait_until_ready()
        except BaseException:
            self._process.kill()
            self._free()
            raise

    @property
    def pid(self) -> int:
        """Of the watchdog process."""
        return self._process.pid

    def beat(self) -> None:
        """The loop is alive. Costs some microseconds and never waits.

        Raises:
            HardwareError: the watchdog is gone or hangs. The caller brings the car to rest.
        """
        self._send(time.monotonic_ns())
        now_s = time.monotonic()
        if self._answered():
            self._unanswered = 0
            return
        if self._unanswered == 0:
            self._unanswered_since_s = now_s
        self._unanswered += 1
        if self._unanswered > self.UNANSWERED and now_s - self._unanswered_since_s > self.UNANSWERED_S:
            raise HardwareError(f"the watchdog process {self.pid} does not answer: the car may not go on")

    def alarm(self) -> None:
        """Rest at once, and until the next beat. Never waits, never fails."""
        with contextlib.suppress(HardwareError):
            self._send(0)

    def close(self) -> None:
        """Ends the watchdog: it writes rest once more, sees that the chip took it, and exits.

        One that cannot reach the chip stays and goes on trying.
        """
        if not self._closed:
            assert self._process.stdin is not None
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.CLOSE_TIMEOUT_S)
            self._free()

    def _send(self, nanoseconds: int) -> None:
        try:
            os.write(self._beats, _BEAT.pack(nanoseconds))
        except BlockingIOError:
            pass  # the pipe is full: it does not answer either
        except OSError as error:
            raise HardwareError(f"the watchdog process has died: {self._last_words()}") from error

    def _answered(self) -> bool:
        try:
            return bool(os.read(self._answers, 4096))
        except BlockingIOError:
            return False

    def _wait_until_ready(self) -> None:
        readable, _, _ = select.select([self._answers], [], [], self.READY_TIMEOUT_S)
        if not readable:
            raise HardwareError(f"the watchdog process was not ready after {self.READY_TIMEOUT_S} s")
        if os.read(self._answers, 1) != _READY:
            self._process.wait(self.CLOSE_TIMEOUT_S)
            raise HardwareError(f"the watchdog process did not start: {self._last_words()}")

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.05)
        self._said.seek(0)
        lines = self._said.read(65536).decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else f"exit status {self._process.poll()}"

    def _free(self) -> None:
        self._closed = True
        for stream in (self._process.stdin, self._process.stdout, self._said):
            assert stream is not None
            stream.close()
        if self._process.poll() is None:
            # It is waited for, so that no dead process is left behind, but nobody waits for that.
            threading.Thread(target=self._process.wait, name="watchdog's end", daemon=True).start()


class _Guard:
    """What runs in the watchdog's process."""

    def __init__(self, bus: Bus, address: int, pulses: registers.Pulses, limit_s: float, parent: int) -> None:
        self._bus, self._address, self._pulses, self._limit_s = bus, address, pulses, limit_s
        self._parent = parent
        self._failures = 0

    def run(self, beats: int, answers: int) -> None:
        """Returns when the car's process is gone and the chip is at rest."""
        due_s = time.monotonic() + self._limit_s
        while os.getppid() == self._parent:
            readable, _, _ = select.select([beats], [], [], max(due_s - time.monotonic(), 0))
            if readable:
                data = os.read(beats, 65536)
                if not data:
                    break
                with contextlib.suppress(OSError):  # full, or nobody reads
                    os.write(answers, b".")
                due_s = self._due_s(data)
            elif self._try(self._rest):
                due_s = time.monotonic() + REPEAT_S
            else:
                due_s = time.monotonic() + self._pause_s()
        while not self._try(self._rest_and_look):
            time.sleep(self._pause_s())

    def _due_s(self, data: bytes) -> float:
        sent_ns: int = _BEAT.unpack(data[-_BEAT.size :])[0]
        return sent_ns / 1e9 + self._limit_s

    def _try(self, deed: Callable[[], None]) -> bool:
        try:
            deed()
        except OSError:
            self._failures += 1
            # A single byte may get through where seven transfers do not.
            with contextlib.suppress(OSError):
                registers.all_off(self._bus, self._address)
            return False
        self._failures = 0
        return True

    def _pause_s(self) -> float:
        return RETRY_S if self._failures < RETRIES_SOON else RETRY_LATER_S

    def _rest(self) -> None:
        registers.rest(self._bus, self._address, self._pulses)

    def _rest_and_look(self) -> None:
        registers.rest(self._bus, self._address, self._pulses)
        if not registers.is_at_rest(self._bus, self._address, self._pulses):
            raise OSError("the chip holds other pulses")


def main(arguments: list[str]) -> int:
    """Runs the watchdog: bus, address, pulses as `channel=ticks,...`, limit in seconds, the car's process."""
    bus, address, pulses, limit_s, parent = arguments
    # It ends when the car's process has: a Ctrl-C or a service manager's SIGTERM to all processes must not
    # end it before.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(-10)  # when it may: it runs for microseconds, but then it must
    pairs = [pair.split("=") for pair in pulses.split(",")]
    try:
        opened = open_bus(int(bus) if bus.isdecimal() else bus)
        _look(opened, int(address))
    except (DingocarError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    guard = _Guard(opened, int(address), [(int(a), int(b)) for a, b in pairs], float(limit_s), int(parent))
    beats, answers = sys.stdin.fileno(), sys.stdout.fileno()
    os.set_blocking(answers, False)
    os.write(answers, _READY)
    guard.run(beats, answers)
    return 0


def _look(bus: Bus, address: int, tries: int = 5) -> None:
    """OSError when the chip does not answer."""
    for attempt in range(1, tries + 1):
        try:
            registers.read(bus, address, registers.MODE1)
            return
        except OSError:
            if attempt == tries:
                raise
            time.sleep(RETRY_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
