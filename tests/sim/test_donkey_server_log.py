"""Who comes and who goes is one line each in the server's log."""

import logging
import re
import socket
import struct
import threading
import time

import pytest

from dingocar.sim.donkey_server import DonkeyServer
from dingocar.sim.donkey_session import Settings

PATIENCE_S = 20.0
RESET = struct.pack("ii", 1, 0)  # on, and no time to linger


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "dingocar.sim.donkey_server")
    return caplog


def goodbye(line):
    line.sendall(b'{"msg_type": "quit_app"}')
    assert not line.recv(1000)


def junk(line):
    line.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert b"error" in line.recv(1000)


def breaks(line):
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@pytest.mark.parametrize(
    ("end", "level", "why"),
    [
        (goodbye, "INFO", "it said goodbye"),
        (lambda line: None, "INFO", "it hung up"),
        (breaks, "INFO", r"the line broke \(Connection reset by peer\)"),
        (junk, "WARNING", "disconnected: expected a JSON object, got b'GET .*"),
    ],
    ids=["goodbye", "hangs up", "breaks", "junk"],
)
def test_each_client_is_announced_and_its_end_has_a_reason(log, end, level, why):
    with DonkeyServer(Settings(), port=0) as server:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as line:
            name = f"client 127.0.0.1:{line.getsockname()[1]}"
            assert b"scene_selection_ready" in line.recv(1000)
            end(line)
        deadline_s, turn = time.monotonic() + PATIENCE_S, threading.Event()
        while len(log.messages) < 2 and time.monotonic() < deadline_s:
            turn.wait(0.01)
    joined, left = log.records
    assert (joined.levelname, joined.getMessage()) == ("INFO", f"{name} has joined; 1 now")
    assert left.levelname == level and re.fullmatch(f"{name} has left: {why}", left.getMessage())


def test_who_is_there_when_the_server_stops_is_told_of(log):
    with DonkeyServer(Settings(), port=0) as server:
        line = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        assert b"scene_selection_ready" in line.recv(1000)
    line.close()
    assert log.messages[-1].endswith("has left: the simulator was stopped")
