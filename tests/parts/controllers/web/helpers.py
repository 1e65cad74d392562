"""What the tests of the web server share: a hub's source that remembers, a car, waiting without sleeping."""

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import numpy as np
from websockets.sync.client import connect

from dingocar.parts.controllers.web.controller import WebController

#: Generous: a loaded machine must not fail a test.
TIMEOUT_S = 15.0
CHANNELS = ["user/mode", "throttle", "recording", "pilot/name", "cam/age_s"]
AT_REST = ("user", 0.0, False, "", 0.01)


class RecordingSource:
    """In the place of a hub's source: keeps what was called."""

    def __init__(self):
        self.calls = []
        self._changed = threading.Condition()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def note(*arguments):
            with self._changed:
                self.calls.append((name, *arguments))
                self._changed.notify_all()

        return note

    @property
    def throttles(self):
        """The throttle of each command so far."""
        return [call[2] for call in self.calls if call[0] == "command"]

    def wait_for(self, *call, since=0):
        """Returns when the call has come (after the first `since` ones)."""
        with self._changed:
            came = self._changed.wait_for(lambda: call in self.calls[since:], TIMEOUT_S)
        assert came, f"{call} did not come; these did: {self.calls[-20:]}"


class Car:
    """A web controller with a loop at 50 Hz that shows it new pictures."""

    def __init__(self, source=None, **settings):
        self.source = source or RecordingSource()
        self.page = WebController(self.source, CHANNELS, port=0, **settings)
        self.values = AT_REST
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self):
        random = np.random.default_rng(0)
        while not self._ended.wait(0.02):
            self.page.run(random.integers(0, 255, (120, 160, 3)).astype(np.uint8), *self.values)

    @property
    def port(self):
        return self.page._link.port

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path, body=None, **headers):
        """Status, headers and body of an answer; a body makes it a POST."""
        request = urllib.request.Request(self.address + path, body, headers)
        opener = urllib.request.build_opener(_Stay)
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def json(self, path, body=None, **headers):
        """Status and JSON of an answer."""
        if body is not None:
            headers, body = {"Content-Type": "application/json", **headers}, json.dumps(body).encode()
        status, _, raw = self.get(path, body, **headers)
        return status, json.loads(raw)

    def state(self):
        return self.json("/api/state")[1]

    def page_socket(self, **headers):
        return connect(
            f"ws://127.0.0.1:{self.port}/ws", additional_headers=headers, compression=None, max_queue=None
        )

    def close(self):
        self._ended.set()
        self._thread.join(TIMEOUT_S)
        self.page.shutdown()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_):
        return None


def say(socket, **message):
    socket.send(json.dumps(message))


def drive(socket, steering, throttle):
    say(socket, type="drive", steering=steering, throttle=throttle)


def hear(socket, kind):
    """The next message of a kind."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        message = json.loads(socket.recv(timeout=TIMEOUT_S))
        if message["type"] == kind:
            return message
    raise AssertionError(f"no {kind} came")


def eventually(condition: Callable[[], object]):
    """Asks until the answer is true; what is asked takes its own time (a request to the server)."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError):
            answer = condition()
            if answer:
                return answer
    raise AssertionError("it did not come about")
