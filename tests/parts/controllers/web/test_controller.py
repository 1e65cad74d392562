"""The part: it starts the server, survives it, ends it; and what the page commands reaches the hub."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from dingocar.errors import MissingExtraError, UsageError
from dingocar.images import decode_image
from dingocar.parts.controllers.hub import ControllerHub
from dingocar.parts.controllers.web import _link
from dingocar.parts.controllers.web.controller import WebController
from dingocar.vehicle import Vehicle
from tests.parts.controllers.web.helpers import (
    AT_REST,
    TIMEOUT_S,
    Car,
    RecordingSource,
    drive,
    eventually,
    hear,
    say,
)

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "mine.keras").write_bytes(b"no pilot")
    (folder / "bad.tflite").write_bytes(b"no pilot")
    return folder


class Switch:
    """In the place of the car's own: remembers the name, refuses `bad.tflite`, waits when told to."""

    def __init__(self):
        self.names, self.go, self.called = [], threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, name):
        self.called.set()
        assert self.go.wait(TIMEOUT_S)
        if name == "bad.tflite":
            raise UsageError("bad.tflite: is no pilot")
        self.names.append(name)


@pytest.fixture(scope="module")
def car(models):
    with Car(models=models, on_model=Switch()) as car:
        yield car


@pytest.fixture(autouse=True)
def at_rest(request):
    if "car" in request.fixturenames:
        request.getfixturevalue("car").values = AT_REST


def test_every_command_reaches_the_hub(car):
    since = len(car.source.calls)
    with car.page_socket() as page:
        drive(page, 0, 0)
        drive(page, 0.5, 0.25)
        say(page, type="mode", mode="local_angle")
        say(page, type="record", on=True)
        say(page, type="erase", n=100)
        say(page, type="constant_throttle", throttle=0.3)
        say(page, type="constant_throttle", throttle=None)
        say(page, type="launch")
        say(page, type="stop")
        for call in (
            ("command", 0, 0),
            ("command", 0.5, 0.25),
            ("mode", "local_angle"),
            ("recording", True),
            ("erase", 100),
            ("constant_throttle", 0.3),
            ("constant_throttle", None),
            ("launch",),
            ("stop",),
        ):
            car.source.wait_for(*call, since=since)
    car.source.wait_for("released", since=since)


def test_the_page_sees_the_state(car):
    car.values = ("local", 0.5, True, "mine.keras", float("inf"))
    assert eventually(lambda: car.page._latest[2] == car.values)
    with car.page_socket() as page:
        drive(page, 0, 0)
        state = eventually(lambda: (lambda s: s if s["driver"] else None)(hear(page, "state")))
        assert state["channels"]["throttle"] == 0.5
        assert state["channels"]["cam/age_s"] is None and state["frame_age_ms"] is None
        assert eventually(lambda: 20 < hear(page, "state")["loop_hz"] < 60)
        assert state["viewers"] == 0 and state["message"] == ""
        with car.page_socket() as other:
            assert hear(other, "state")["driver"] is False


def test_a_change_of_mode_is_shown_at_once():
    source = RecordingSource()
    page = WebController(source, ["user/mode", "lap_s"], port=0)
    try:
        hurried = []
        page._link.hurry = lambda: hurried.append(1)
        for lap_s in range(3):
            page.run(None, "user", lap_s)
        assert len(hurried) == 1
        page.run(None, "local", 3)
        assert len(hurried) == 2
    finally:
        page.shutdown()


def test_pictures_are_copied_only_while_somebody_looks(car):
    frames = car.page._frames[0]
    assert eventually(lambda: frames.viewers == 0)
    copied, loops = frames.count, car.page._latest[0]
    assert eventually(lambda: car.page._latest[0] > loops + 5)
    assert frames.count <= copied + 1
    with socket.create_connection(("127.0.0.1", car.port)) as viewer:
        viewer.sendall(b"GET /video HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert eventually(lambda: frames.count > copied + 5)


def test_a_translators_pictures_are_a_stream_of_their_own(car):
    assert car.state()["translated"] is False
    assert car.get("/video/translated")[0] == 404
    page = WebController(RecordingSource(), ["user/mode"], port=0, image_shape=(24, 32), translated=True)
    camera, made = (np.full((24, 32, 3), value, np.uint8) for value in (10, 200))
    try:
        address = ("127.0.0.1", page._link.port)
        with socket.create_connection(address, TIMEOUT_S) as viewer, viewer.makefile("rb") as answer:
            viewer.sendall(b"GET /video/translated HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while (line := answer.readline()) != b"--dingocar-frame\r\n":
                assert line
            assert eventually(lambda: page._frames[1].viewers == 1) and page._frames[0].viewers == 0
            page.run(camera, None, "user")
            assert page._state()["translated"] is False

            def is_shown():
                page.run(camera.copy(), made.copy(), "local")
                return select.select([viewer], [], [], 0)[0]

            assert eventually(is_shown)
            assert page._state()["translated"] is True and page._state()["channels"] == {"user/mode": "local"}
            while not (line := answer.readline()).startswith(b"Content-Length: "):
                assert line
            assert answer.readline() == b"\r\n"
            assert abs(decode_image(answer.read(int(line.split()[1]))).mean() - 200) < 3
        page.run(camera, None, "user")
        assert page._state()["translated"] is False
    finally:
        page.shutdown()


def test_ping_is_answered(car):
    with car.page_socket() as page:
        say(page, type="ping", t=12.5)
        assert hear(page, "pong")["t"] == 12.5


def test_the_pilot_is_switched_only_at_rest(car):
    switch = car.page._on_model
    with car.page_socket() as page:
        for values in (("local", 0.0, *AT_REST[2:]), ("user", 0.2, *AT_REST[2:])):
            car.values = values
            assert eventually(lambda v=values: car.page._latest[2] == v)
            say(page, type="model", name="mine.keras")
            assert "stop the car first" in hear(page, "error")["message"]
        car.values = AT_REST
        assert eventually(lambda: car.page._latest[2] == AT_REST)
        say(page, type="model", name="none.keras")
        assert "no pilot 'none.keras'" in hear(page, "error")["message"]
        say(page, type="model", name="bad.tflite")
        assert hear(page, "error")["message"] == "bad.tflite: is no pilot"
        assert switch.names == []
        say(page, type="model", name="mine.keras")
        assert eventually(lambda: switch.names == ["mine.keras"])


def test_loading_a_pilot_keeps_nobody_waiting(car):
    switch = car.page._on_model
    switch.go.clear()
    switch.called.clear()
    since = len(car.source.calls)
    with car.page_socket() as page:
        say(page, type="model", name="mine.keras")
        assert switch.called.wait(TIMEOUT_S)
        drive(page, 0, 0)
        car.source.wait_for("command", 0, 0, since=since)
        assert eventually(lambda: "loading mine.keras" in hear(page, "state")["message"])
        say(page, type="model", name=None)
        assert "another pilot is being loaded" in hear(page, "error")["message"]
        switch.go.set()
        assert eventually(lambda: hear(page, "state")["message"] == "")


def test_the_models_are_listed(car):
    status, found = car.json("/api/models")
    assert status == 200
    assert found == [
        {"name": "bad.tflite", "pilot": None, "image_shape": None},
        {"name": "mine.keras", "pilot": None, "image_shape": None},
    ]


def test_a_dead_server_stops_the_car_and_is_started_again(car, monkeypatch, caplog):
    monkeypatch.setattr(_link, "RESTART_S", 0.05)
    since, port, pid = len(car.source.calls), car.port, car.page._link.pid
    with car.page_socket() as page, socket.create_connection(("127.0.0.1", port)) as viewer:
        viewer.sendall(b"GET /video HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert eventually(lambda: car.page._frames[0].viewers == 1)
        drive(page, 0, 0)
        drive(page, 0, 0.7)
        car.source.wait_for("command", 0, 0.7, since=since)
        os.kill(pid, signal.SIGKILL)
        car.source.wait_for("released", since=since)
    assert car.source.calls[-1] == ("released",)
    assert car.page._frames[0].viewers == 0
    assert eventually(lambda: car.state()["loop_hz"] > 0)
    assert car.port == port and car.page._link.pid != pid
    assert "the web server has ended (exit code -9)" in caplog.text
    with car.page_socket() as page:
        since = len(car.source.calls)
        drive(page, 0, 0)
        car.source.wait_for("command", 0, 0, since=since)


def test_ctrl_c_does_not_end_the_server(car):
    os.kill(car.page._link.pid, signal.SIGINT)
    assert car.state()["loop_hz"] > 0
    assert os.getpgid(car.page._link.pid) != os.getpgid(0)


def test_shutdown_is_quick_even_if_the_server_hangs():
    for hang in (False, True):
        car = Car()
        if hang:
            os.kill(car.page._link.pid, signal.SIGSTOP)
        car._ended.set()
        began_s = time.monotonic()
        car.page.shutdown()
        assert time.monotonic() - began_s < 2.0
        assert car.page._link._process.poll() is not None
        car.page.shutdown()


def test_the_server_ends_with_the_car(tmp_path):
    code = (
        "import sys, time\n"
        "from dingocar.parts.controllers.web.controller import WebController\n"
        "from tests.parts.controllers.web.helpers import RecordingSource\n"
        "page = WebController(RecordingSource(), [], port=0)\n"
        "print(page._link.pid, page._link.port, flush=True)\n"
        "time.sleep(60)\n"
    )
    # Started in another folder: the server finds the library all the same.
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        pid, port = process.stdout.readline().split()
        with connect(f"ws://127.0.0.1:{port}/ws", compression=None) as page:
            drive(page, 0, 0)
            process.kill()
            with contextlib.suppress(ConnectionClosed):
                for _ in range(100):  # the server has nobody to tell any more
                    drive(page, 0, 0)
    assert eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_a_port_that_is_taken_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError) as failure:
            WebController(RecordingSource(), [], port=port)
    assert str(failure.value).startswith(f"port {port} is in use; set WEB_CONTROL_PORT")


def test_a_host_that_is_not_ours_is_one_clear_line():
    with pytest.raises(UsageError, match=r"WEB_HOST '203.0.113.7'.*0.0.0.0"):
        WebController(RecordingSource(), [], port=0, host="203.0.113.7")


def test_a_missing_package_names_the_extra(monkeypatch):
    find = _link.importlib.util.find_spec
    monkeypatch.setattr(
        _link.importlib.util, "find_spec", lambda name: (name != "uvicorn" and find(name)) or None
    )
    with pytest.raises(MissingExtraError, match=r"'uvicorn'.*dingocar\[web\]"):
        WebController(RecordingSource(), [])


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"token": "short"}, "WEB_TOKEN"),
        ({"token": "with blanks inside"}, "WEB_TOKEN"),
        ({"port": 70000}, "WEB_CONTROL_PORT"),
        ({"video_hz": 0}, "WEB_VIDEO_HZ"),
        ({"jpeg_quality": 101}, "WEB_JPEG_QUALITY"),
    ],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(UsageError, match=message):
        WebController(RecordingSource(), [], **wrong)


def test_the_whole_network_needs_a_token():
    with Car(host="0.0.0.0") as car:
        address, _, token = car.page.url.partition("?token=")
        assert len(token) > 20 and f":{car.port}/" in address
        assert "0.0.0.0" not in address
        assert car.get("/", Host="10.1.2.3")[0] == 403
        assert car.get("/", Host="10.1.2.3", Cookie=f"dingocar_token={token}")[0] == 200


def test_in_a_vehicle_the_page_drives_and_its_end_stops():
    """The real hub: throttle arrives, and is neutral within the dead man's time after the socket is cut."""
    hub, reached, ended = ControllerHub(), [], threading.Event()
    vehicle = Vehicle()
    outputs = ["user/angle", "user/throttle", "user/mode", "user/age_s", "user/armed", "user/source"]
    outputs += ["user/launch", "recording"]

    class Motor:
        def run(self, throttle):
            reached.append(throttle)
            if ended.is_set():
                vehicle.stop()

    page = WebController(hub.source("web"), outputs, port=0)
    vehicle.mem["cam/image_array"] = np.zeros((120, 160, 3), np.uint8)
    vehicle.add(hub, outputs=outputs)
    vehicle.add(Motor(), inputs=["user/throttle"])
    vehicle.add(page, inputs=["cam/image_array", *outputs])
    thread = threading.Thread(target=vehicle.start, kwargs={"rate_hz": 50})
    thread.start()
    try:
        with connect(f"ws://127.0.0.1:{page._link.port}/ws", compression=None) as client:
            drive(client, 0, 0)

            def drives():
                drive(client, 0, 0.6)
                hear(client, "state")
                return reached[-1] == 0.6

            assert eventually(drives)
            client.socket.shutdown(socket.SHUT_RDWR)  # cut, without a word
            cut = len(reached)
            assert eventually(lambda: len(reached) > cut + 15)
            assert reached[-1] == 0.0
            assert 0.6 not in reached[cut + 10 :]
    finally:
        ended.set()
        thread.join(TIMEOUT_S)
    assert not thread.is_alive()
