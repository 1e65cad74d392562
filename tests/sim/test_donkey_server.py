"""The Donkey server: many clients over real sockets."""

import asyncio
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from dingocar.errors import UsageError
from dingocar.sim import donkey_server
from dingocar.sim.donkey_protocol import MAX_CLIENT_BYTES, MAX_SERVER_BYTES, Splitter, decode
from dingocar.sim.donkey_server import DonkeyServer
from dingocar.sim.donkey_session import Settings

from .test_donkey_session import CAMERA

PATIENCE_S = 30.0


class Client:
    """A client made of bytes; every wait has an end."""

    def __init__(self, server):
        self.line = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        self.splitter, self.heard = Splitter(MAX_SERVER_BYTES), []

    def send(self, *messages):
        self.line.sendall(b"".join(json.dumps(message).encode() for message in messages))

    def until(self, kind):
        """The next message of a kind; None: the server has hung up before."""
        while True:
            for at, message in enumerate(self.heard):
                if message["msg_type"] == kind:
                    del self.heard[: at + 1]
                    return message
            try:
                data = self.line.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.heard += [decode(raw) for raw in self.splitter.feed(data)]

    def start(self, scene="warehouse"):
        assert self.until("scene_selection_ready") == {"msg_type": "scene_selection_ready", "loaded": "1"}
        self.send({"msg_type": "load_scene", "scene_name": scene})
        assert self.until("car_loaded")
        return self

    def close(self):
        self.line.close()


@pytest.fixture
def server():
    with DonkeyServer(Settings(rate_hz=100), port=0, max_clients=4) as running:
        yield running


@pytest.fixture
def connect(server):
    with contextlib.ExitStack() as stack:

        def new():
            client = Client(server)
            stack.callback(client.close)
            return client

        yield new


def eventually(condition):
    """Waits for what another thread does."""
    deadline_s, turn = time.monotonic() + PATIENCE_S, threading.Event()
    while not condition():
        assert time.monotonic() < deadline_s
        turn.wait(0.01)


def test_clients_have_cars_of_their_own(server, connect):
    still, driven = connect().start(), connect().start()
    first = driven.until("telemetry")
    while driven.until("telemetry")["speed"] < 0.3:
        driven.send({"msg_type": "control", "steering": "0.0", "throttle": "0.7", "brake": "0.0"})
    now = driven.until("telemetry")
    assert math.hypot(now["pos_x"] - first["pos_x"], now["pos_z"] - first["pos_z"]) > 0.01
    rest = still.until("telemetry")
    assert rest["speed"] == 0 and (rest["pos_x"], rest["pos_z"]) == (first["pos_x"], first["pos_z"])
    assert server.connected == 2


def test_messages_in_pieces_and_glued(connect):
    client = connect()
    both = b'{"msg_type": "get_protocol_version"}{"msg_type": "get_scene_names"}'
    for at in range(len(both)):
        client.line.sendall(both[at : at + 1])
    assert client.until("protocol_version")["version"] == "2"
    assert "warehouse" in client.until("scene_names")["scene_names"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "expected a JSON object"),
        (b'{"msg_type": "control", "steering": "left"}', "steering must be a finite number"),
        (b'{"no": "type"}', "msg_type"),
        (b'{"msg_type": "' + b"x" * 2 * MAX_CLIENT_BYTES, "longer than"),
        (b'{"msg_type": "ping"}' * 10_000, "messages in a second"),
        (b"\xff" + os.urandom(1 << 20), "expected a JSON object"),
    ],
    ids=["http", "no number", "no type", "long", "flood", "noise"],
)
def test_who_sends_junk_is_told_and_disconnected_and_nobody_else(server, connect, sent, said):
    good, bad = connect().start(), connect()
    with contextlib.suppress(ConnectionError):
        bad.line.sendall(sent)
    assert said in bad.until("error")["reason"]
    assert bad.until("never") is None
    assert server.figures.refused == 1
    frames = server.figures.frames
    while server.figures.frames < frames + 5:
        assert good.until("telemetry")


def test_too_many_clients_are_turned_away(server, connect):
    clients = [connect() for _ in range(4)]
    for client in clients:
        assert client.until("scene_selection_ready")
    assert "4 clients already" in connect().until("error")["reason"]
    clients[0].close()
    eventually(lambda: server.connected == 3)
    assert connect().until("scene_selection_ready")


def test_who_chooses_nothing_is_sent_away(server, connect, monkeypatch):
    monkeypatch.setattr(donkey_server, "MENU_S", 0.05)
    assert "no scene was chosen" in connect().until("error")["reason"]


class Writer:
    """A line to nowhere."""

    def __init__(self, line=None):
        self.line, self.transport, self.closed = line, self, False

    def get_extra_info(self, name):
        return self.line if name == "socket" else ("127.0.0.1", 1)

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def write(self, data):
        pass

    def write_eof(self):
        pass

    abort = close

    async def wait_closed(self):
        pass


class Chatter:
    """A client that always has something to say."""

    async def read(self, _):
        return b'{"msg_type": "ping"}'


def test_who_only_talks_chooses_nothing_either(server, monkeypatch):
    monkeypatch.setattr(donkey_server, "MENU_S", 0.001)
    monkeypatch.setattr(donkey_server, "MAX_MESSAGES_PER_S", 100_000)

    async def listen():
        async with asyncio.timeout(5):
            await donkey_server._Link(server, Chatter(), Writer())._listen()

    with pytest.raises(donkey_server.ProtocolError, match="no scene was chosen"):
        asyncio.run(listen())


def test_a_chunk_of_messages_leaves_room_for_others(server):
    async def listen():
        reader, turns = asyncio.StreamReader(), 0
        reader.feed_data(b'{"msg_type": "ping"}' * 1000)
        reader.feed_eof()
        task = asyncio.create_task(donkey_server._Link(server, reader, Writer())._listen())
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        await task
        return turns

    assert asyncio.run(listen()) >= 20


def test_a_silent_line_is_asked_whether_it_is_there(server):
    with socket.socket() as line:

        async def set_up():
            donkey_server._Link(server, None, Writer(line))._set_up()

        asyncio.run(set_up())
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):
                assert line.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value


def test_a_line_that_breaks_at_once_keeps_no_place(server):
    class Broken:
        def setsockopt(self, *_):
            raise OSError("gone")

    writer = Writer(Broken())
    asyncio.run(server._welcome(Chatter(), writer))
    assert server.connected == 0 and writer.closed


def test_a_client_that_does_not_read_loses_pictures_and_then_its_place(server, connect, monkeypatch):
    monkeypatch.setattr(donkey_server, "STALLED_S", 0.5)
    client = connect()
    client.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
    client.start()
    client.send(CAMERA | {"img_w": "320", "img_h": "240", "img_enc": "PNG"})
    eventually(lambda: server.figures.dropped > 3)
    eventually(lambda: server.connected == 0)
    assert server.figures.refused == 1


def test_a_flood_of_questions_without_reading_ends(server, connect, monkeypatch):
    monkeypatch.setattr(donkey_server, "MAX_WAITING_BYTES", 1 << 16)
    client = connect()
    client.line.settimeout(0.05)
    with contextlib.suppress(ConnectionError, TimeoutError):
        for _ in range(200):
            client.line.sendall(b'{"msg_type": "get_scene_names"}' * 100)
    eventually(lambda: server.connected == 0)


def test_goodbye(server, connect):
    client = connect().start()
    client.send({"msg_type": "quit_app"})
    assert client.until("never") is None
    eventually(lambda: server.connected == 0)
    assert server.figures.refused == 0


def test_the_end_of_the_server_is_told():
    with DonkeyServer(Settings(), port=0) as server:
        client = Client(server).start()
    assert "stopped" in client.until("aborted")["reason"]
    assert client.until("never") is None
    client.close()
    server.wait()


def test_a_port_in_use_is_a_mistake_of_the_user(server):
    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{server.port} .*choose another"):
        DonkeyServer(Settings(), port=server.port)
    with pytest.raises(UsageError, match="rate"):
        Settings(rate_hz=0)


KILLED_CLIENT = """
import json, socket, sys
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
line.sendall(json.dumps({"msg_type": "load_scene", "scene_name": "oval"}).encode())
while True:
    data = line.recv(65536)
    if b"telemetry" in data:
        line.sendall(b'{"msg_type": "control", "steering": "0", "throttle": "0.3", "brake": "0"}')
        print("driving", flush=True)
"""


def test_a_client_that_is_killed_leaves_at_once(server):
    argv = [sys.executable, "-c", KILLED_CLIENT, str(server.port)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "driving\n"
        assert server.connected == 1
        process.kill()
        killed_s = time.monotonic()
        eventually(lambda: server.connected == 0)
        assert time.monotonic() - killed_s < 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_serves_until_it_is_stopped(number, code):
    argv = [sys.executable, "-m", "dingocar.cli.main", "sim", "serve", "--port", "0", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, **pipes) as process:
        said = process.stderr.readline()
        assert "this computer only" in said
        port = int(said.split(",")[0].rpartition(":")[2])
        line = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        assert b"scene_selection_ready" in line.recv(1000)
        process.send_signal(number)
        assert b"aborted" in line.recv(1000)
        line.close()
        out, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert told.count("has joined; 1 now") == told.count("has left: the simulator was stopped") == 1
    assert json.loads(out)["clients"] == 1
