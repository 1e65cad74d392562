"""The car's end of the web server's process: starts it, restarts it, talks to it without waiting for it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dingocar
from dingocar.errors import DingocarError, HardwareError, MissingExtraError, UsageError
from dingocar.parts.controllers.web._protocol import Message, ProtocolError, dump, parse_to_car

logger = logging.getLogger(__name__)

#: The server is there within this time, also on a Raspberry Pi, or something is wrong.
START_TIMEOUT_S = 20.0
#: A server that died is started again after this time.
RESTART_S = 2.0
#: States that are sent per second.
STATE_HZ = 10.0
#: Complaints that wait to be sent; older ones are forgotten.
MAX_ANSWERS = 32
#: At the end the server gets this long to go by itself.
STOP_TIMEOUT_S = 0.8


class ServerLink:
    """Runs `python -m dingocar.parts.controllers.web._server` as a child.

    Args:
        settings: for `_server.run`; `port` 0 takes a free one, which a later start takes again.
        make_state: returns the newest state of the car; called ten times a second in a thread.
        on_message: told each message of the server, checked, in a thread.
        on_gone: told, in a thread, that the server has ended.

    Attributes:
        port: the port that the server has.
        starts: how often the server was started.

    Raises:
        MissingExtraError: a package is not installed.
        UsageError: the port cannot be had; the message says why.
        HardwareError: the server does not start.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        make_state: Callable[[], Message],
        on_message: Callable[[Message], None],
        on_gone: Callable[[], None],
    ) -> None:
        for package in ("starlette", "uvicorn", "websockets"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "web", "the web page (CONTROLLER has 'web' in it)")
        self._settings, self._make_state = dict(settings), make_state
        self._on_message, self._on_gone = on_message, on_gone
        self._closing, self._ready, self._wake = threading.Event(), threading.Event(), threading.Event()
        self._refusal = ""
        self._answers: deque[Message] = deque(maxlen=MAX_ANSWERS)
        self.port = int(settings["port"])
        self.starts = 0
        self._process = self._start()
        self._reader = threading.Thread(target=self._read_all, name="web reader", daemon=True)
        self._writer = threading.Thread(target=self._write_all, name="web writer", daemon=True)
        self._reader.start()
        self._writer.start()
        self._await_ready()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def hurry(self) -> None:
        """Something changed that the page must see now: does not wait for the next tenth of a second."""
        self._wake.set()

    def answer(self, client: int, message: str) -> None:
        """A complaint to one page, from any thread."""
        self._answers.append({"type": "answer", "client": client, "message": message})
        self._wake.set()

    def close(self) -> None:
        """Ends the server, within a second."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake.set()
        self._writer.join(STOP_TIMEOUT_S / 2)  # it closes the pipe, at which the server ends
        try:
            self._process.wait(STOP_TIMEOUT_S / 2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_TIMEOUT_S)

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(dingocar.__file__).resolve().parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            # -P: nothing that lies in the current folder is imported by accident.
            [sys.executable, "-P", "-m", "dingocar.parts.controllers.web._server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pass_fds=self._settings["frames"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            # Ctrl-C in the terminal and its hang-up are for the car, which then ends the server.
            start_new_session=True,
        )
        self.starts += 1
        self._write(process, {**self._settings, "port": self.port})
        return process

    def _start_again(self) -> bool:
        """Waits, and starts the server; False when the car ends meanwhile."""
        while not self._closing.wait(RESTART_S):
            try:
                self._process = self._start()
                return True
            except OSError as error:  # no memory for another process, ...
                logger.error("the web server cannot be started: %s", error)
        return False

    def _await_ready(self) -> None:
        if self._ready.wait(START_TIMEOUT_S) and not self._refusal:
            return
        self.close()
        if self._refusal:
            raise UsageError(self._refusal)
        raise HardwareError(
            f"the web server does not start (waited {START_TIMEOUT_S:g} s); try again, or set CONTROLLER to "
            "one without 'web'"
        )

    def _read_all(self) -> None:
        """Hears the server, and starts it again when it has ended."""
        while True:
            try:
                self._read(self._process)
            finally:
                self._on_gone()
            if self._process.poll() is None:
                self._process.kill()
            code = self._process.wait()
            self._process.stdout.close()  # type: ignore[union-attr]
            if self._closing.is_set() or not self._ready.is_set() or self._refusal:
                self._refusal = self._refusal or f"the web server ended at its start (exit code {code})"
                self._ready.set()
                return
            logger.error("the web server has ended (exit code %d); it is started again", code)
            if not self._start_again():
                return

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with os.fdopen(os.dup(process.stdout.fileno()), "rb") as lines:
            while line := lines.readline(1 << 16):
                try:
                    self._hear(parse_to_car(line))
                except ProtocolError as error:
                    logger.error("the web server said something wrong: %s", error)
                    return
                except DingocarError as error:
                    logger.warning("%s", error)

    def _hear(self, message: Message) -> None:
        if message["type"] == "ready":
            self.port = message["port"]
            self._ready.set()
        elif message["type"] == "failed":
            if self._ready.is_set():
                logger.error("%s", message["message"])
            else:
                self._refusal = message["message"]
        else:
            self._on_message(message)

    def _write_all(self) -> None:
        """Sends the newest state ten times a second, and what else there is at once."""
        self._ready.wait()
        process = self._process
        while not self._closing.is_set():
            self._wake.wait(1 / STATE_HZ)
            self._wake.clear()
            if process is not self._process:
                _close_pipe(process)  # here, where nobody can be writing to it
                process = self._process
            self._write(process, self._make_state())
            while self._answers:
                self._write(process, self._answers.popleft())
        _close_pipe(process)
        _close_pipe(self._process)

    def _write(self, process: subprocess.Popen[bytes], message: Message) -> None:
        assert process.stdin is not None
        data = dump(message).encode() + b"\n"
        try:
            while data:
                data = data[process.stdin.write(data) or 0 :]
        except (OSError, ValueError):
            pass  # it has ended; the reader sees to that


def _close_pipe(process: subprocess.Popen[bytes]) -> None:
    """Closes the pipe to a server, at which it ends if it has not yet."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
