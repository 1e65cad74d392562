"""One trial: start a car, wait until it drives, inject the fault, watch the chip."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from dingocar.parts.actuators._chip import Chip
from tests.fakes.chip import FakeChip

ROOT = Path(__file__).resolve().parent.parent.parent

#: As in the default config.py.
THROTTLE_CHANNEL, STOPPED = 0, 370

#: Faults that are a signal to the car's process.
SIGNALS = {
    "SIGINT": signal.SIGINT,
    "SIGTERM": signal.SIGTERM,
    "SIGHUP": signal.SIGHUP,
    "SIGKILL": signal.SIGKILL,
    "SIGSTOP": signal.SIGSTOP,
}
#: All faults: who is told what is in `car.py`.
FAULTS = [
    "controller silent",
    "web socket cut",
    "web page silent",
    "web server killed",
    "gamepad unplugged",
    "user gone, pilot drives",
    "user gone, slow pilot drives",
    "camera blocks",
    "camera frozen",
    "camera thread dies",
    "pilot says NaN",
    "pilot is slow",
    "pilot hangs",
    "part raises",
    "part hangs",
    "part hangs in C",
    "disk full",
    "bus refuses",
    "bus hangs",
    "watchdog killed",
    *SIGNALS,
    "os._exit",
    "segmentation fault",
]
#: How long a car may take to start, and how long it is watched after the fault.
START_S, WATCHED_S = 30.0, 0.6
#: What a car must keep to.
LIMIT_MS = 200


class Car:
    """A running car and its chip."""

    def __init__(self, fault, folder):
        self.fault, self.chip_path = fault, folder / "chip"
        self.chip = FakeChip.create(self.chip_path)
        self.log = (folder / "log").open("w+")
        command = [sys.executable, "-m", "tests.faults.car", fault, str(self.chip_path)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )

    def drives(self):
        """True when the motor has been told to turn for a while."""
        return STOPPED < self.chip.pulse(THROTTLE_CHANNEL) < 4096

    def wait_until_it_drives(self):
        deadline_s = time.monotonic() + START_S
        since_s = None
        while since_s is None or time.monotonic() - since_s < 0.4:
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError(f"{self.fault}: the car did not drive:\n{self.told()}")
            since_s = (since_s or time.monotonic()) if self.drives() else None
            time.sleep(0.005)

    def told(self):
        self.log.flush()
        return Path(self.log.name).read_text()

    def cue(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        """Whatever is left of it goes."""
        for number in (signal.SIGCONT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        self.process.wait(20)
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()


class Page:
    """A browser's end of the web page, with a person at it who gives half throttle."""

    def __init__(self, url):
        self._open = contextlib.ExitStack()
        self.socket = self._open.enter_context(connect(url.replace("http", "ws", 1) + "ws"))
        self.silent = threading.Event()
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self._thread.start()

    def _drive(self):
        began_s = time.monotonic()
        while not self.silent.wait(0.05):
            throttle = 0.5 if time.monotonic() - began_s > 0.3 else 0.0
            with contextlib.suppress(ConnectionClosed):  # the server is killed
                self.socket.send(json.dumps({"type": "drive", "steering": 0.2, "throttle": throttle}))

    def fall_silent(self):
        self.silent.set()

    def cut(self):
        """As when the phone's battery is empty: no goodbye."""
        self.silent.set()
        self.socket.socket.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.silent.set()
        self._thread.join()
        self._open.close()


def milliseconds_to_neutral(history, since_ns):
    """From `since_ns` until the throttle was at rest for good.

    Raises:
        AssertionError: it never was, or had been before.
    """
    rest_ns, driving_at_cue = None, None
    for at_ns, ticks in history:
        at_rest = ticks in (0, STOPPED)
        if at_ns <= since_ns:
            driving_at_cue = not at_rest
        if not at_rest:
            rest_ns = None
        elif rest_ns is None:
            rest_ns = at_ns
    assert driving_at_cue, "the car was not driving when the fault came"
    assert rest_ns is not None, "the car never stood still"
    return max(rest_ns - since_ns, 0) / 1e6


def trial(fault, folder, later_s=0.0):
    """Runs one car into one fault.

    Args:
        fault: one of `FAULTS`.
        folder: an empty one.
        later_s: inject it so much later: a loop is 0.05 s long, and the fault may come at any moment of it.

    Returns:
        milliseconds until its chip showed neutral, and went on showing it. For a bus that hangs, from the
        moment on at which it could be written to again; for one that refuses, from the first refusal on.
    """
    car = Car(fault, folder)
    page = None
    try:
        if fault.startswith("web"):
            page = Page(car.process.stdout.readline().strip())
        car.wait_until_it_drives()
        time.sleep(later_s)
        since_ns = time.monotonic_ns()
        if fault in SIGNALS:
            os.kill(car.process.pid, SIGNALS[fault])
        elif fault == "bus refuses":
            car.chip.nack_next(40)
            while car.chip.nacks_left == 40:
                time.sleep(0.001)
            since_ns = time.monotonic_ns()
        elif fault == "bus hangs":
            car.chip.hang(True)
            time.sleep(2 * Chip.REFRESH_S)
            since_ns = time.monotonic_ns()
            car.chip.hang(False)
        elif fault == "web socket cut":
            page.cut()
        elif fault == "web page silent":
            page.fall_silent()
        elif fault == "web server killed":
            os.kill(child_of(car.process.pid, "web._server"), signal.SIGKILL)
        else:
            car.cue()
        time.sleep(WATCHED_S)
        return milliseconds_to_neutral(car.chip.history(THROTTLE_CHANNEL), since_ns)
    finally:
        if page:
            page.close()
        car.end()


def child_of(pid, what):
    """The process started by `pid` whose command line names `what`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == pid and what.encode() in (folder / "cmdline").read_bytes():
                return int(folder.name)
        except OSError:
            continue  # it has ended meanwhile
    raise AssertionError(f"process {pid} has no child {what}")
