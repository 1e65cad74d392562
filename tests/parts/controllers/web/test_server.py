"""The real server process over real sockets: what it serves, and what it refuses."""

import contextlib
import json
import os
import socket

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.parts.controllers.web.helpers import TIMEOUT_S, Car, drive, eventually, hear, say
from tests.tub.helpers import make_tub

STATE = {
    *("channels", "loop_hz", "frame_age_ms", "translated", "viewers", "encodes", "clients", "tasks"),
    "message",
}


@pytest.fixture(scope="module")
def car(tmp_path_factory):
    with Car(tubs=make_tub(tmp_path_factory.mktemp("data") / "tub", 20)) as car:
        yield car


@contextlib.contextmanager
def raw(car, request=b""):
    """A plain socket to the server, with a request sent."""
    with socket.create_connection(("127.0.0.1", car.port), timeout=TIMEOUT_S) as plain:
        plain.sendall(request)
        yield plain


def lines(*parts):
    return "\r\n".join([*parts, "", ""]).encode()


VIDEO = lines("GET /video HTTP/1.1", "Host: localhost")


def test_the_pages_and_what_they_load(car):
    for path, kind in (("/", "text/html"), ("/tub", "text/html"), ("/static/js/drive.js", "javascript")):
        status, headers, body = car.get(path)
        assert status == 200 and kind in headers["Content-Type"] and body
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/static/../controller.py",
        "/static/..%2fcontroller.py",
        "/static/%00",
        "/static/js",
        "/%ff",
    ],
)
def test_what_is_not_there(car, path):
    status, found = car.json(path)
    assert status == 404 and set(found) == {"error"}


def test_wrong_methods_are_refused(car):
    assert car.json("/", {})[0] == 405
    assert car.json("/api/tubs/tub/delete")[0] == 405
    assert car.json("/video", {})[0] == 405


def test_the_state_is_there_for_programs(car):
    assert eventually(lambda: car.state()["loop_hz"] > 0)
    assert set(car.state()) == STATE


def test_the_tub_page_s_requests(car):
    assert car.json("/api/tubs")[1][0]["records"] == 20
    assert len(car.json("/api/tubs/tub")[1]["index"]) == 20
    status, headers, body = car.get("/api/tubs/tub/images/3.jpg")
    assert status == 200 and headers["Content-Type"] == "image/jpeg" and body[:2] == b"\xff\xd8"
    assert car.get("/api/tubs/tub/images/3.jpg", **{"If-None-Match": headers["ETag"]})[0] == 304
    for path in ("tub/images/99.jpg", "tub/images/x.jpg", "tub/images/..%2f..%2fx.jpg", "no", "..%2f", "%00"):
        assert car.get(f"/api/tubs/{path}")[0] == 404
    assert car.json("/api/tubs/tub/delete", {"ranges": [[0, 4]]})[1]["deleted"] == 5
    assert car.json("/api/tubs/tub/restore", {"ranges": [[0, 3]]})[1]["deleted"] == 1
    assert car.json("/api/tubs/no/delete", {"ranges": [[0, 4]]})[0] == 404
    assert car.json("/api/tubs/tub/delete", {"ranges": "all"})[0] == 400


def test_a_change_from_elsewhere_is_refused(car):
    body = json.dumps({"ranges": [[0, 19]]}).encode()
    path = "/api/tubs/tub/delete"
    assert car.get(path, body, **{"Content-Type": "text/plain"})[0] == 415
    kind = {"Content-Type": "application/json"}
    assert car.get(path, body, Origin="http://evil.example", **kind)[0] == 403
    assert car.get(path, body, Host="evil.example", **kind)[0] == 403
    assert car.get(path, b" " * 70_000, **kind)[0] == 413
    assert car.json("/api/tubs")[1][0]["records"] >= 19


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}], ids=str)
def test_a_socket_from_elsewhere_is_refused(car, headers):
    if "Host" in headers:
        request = [
            *("GET /ws HTTP/1.1", "Host: evil.example", "Upgrade: websocket", "Connection: Upgrade"),
            *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
        ]
        with raw(car, lines(*request)) as plain:
            assert plain.recv(100).startswith(b"HTTP/1.1 403")
        return
    with pytest.raises(InvalidStatus) as failure, car.page_socket(**headers):
        pass
    assert failure.value.response.status_code == 403


def test_pictures_are_encoded_only_while_somebody_looks(car):
    assert eventually(lambda: car.state()["viewers"] == 0)
    before = car.state()["encodes"]
    assert eventually(lambda: car.state()["clients"] == 0)
    tasks = car.state()["tasks"]
    loops = car.page._latest[0]
    assert eventually(lambda: car.page._latest[0] > loops + 10)
    assert car.state()["encodes"] == before

    with raw(car, VIDEO) as one, raw(car, VIDEO) as two:
        for viewer in (one, two):
            seen = b""
            while seen.count(b"image/jpeg") < 3:
                seen += viewer.recv(1 << 16)
        assert car.state()["viewers"] == 2
    assert eventually(lambda: car.state()["viewers"] == 0)
    after = car.state()
    assert before < after["encodes"] and after["tasks"] <= tasks
    loops = car.page._latest[0]
    assert eventually(lambda: car.page._latest[0] > loops + 10)
    assert car.state()["encodes"] == after["encodes"]


def test_three_mistakes_end_a_page(car):
    since = len(car.source.calls)
    with car.page_socket() as page:
        drive(page, 0, 0)
        car.source.wait_for("command", 0, 0, since=since)
        for wrong in ('{"type": "drive", "steering": 0, "throttle": NaN}', b"\x00\x01", "x" * 5000):
            page.send(wrong)
            assert hear(page, "error")["message"]
        with pytest.raises(ConnectionClosed):
            hear(page, "nothing more")
        assert page.close_code == 1008
    car.source.wait_for("released", since=since)
    assert not any(car.source.throttles[since:])


def test_without_a_pilot_there_is_none_to_switch(car):
    with car.page_socket() as page:
        say(page, type="model", name="mine.keras")
        assert "without a pilot" in hear(page, "error")["message"]


def test_a_viewer_that_reads_nothing_is_cut_off(car):
    """Its buffers fill, at which the server stops encoding for it."""
    assert eventually(lambda: car.state()["viewers"] == 0)
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", car.port))
        stuck.sendall(VIDEO)
        assert eventually(lambda: car.state()["viewers"] == 1)
        assert eventually(lambda: car.state()["viewers"] == 0)


def test_a_giant_message_ends_a_page_at_once(car):
    with car.page_socket() as page:
        page.send("x" * 200_000)
        with pytest.raises(ConnectionClosed):
            hear(page, "nothing")
        assert page.close_code == 1009


def test_a_flood_ends_a_page(car):
    with car.page_socket() as page:
        with pytest.raises(ConnectionClosed):
            for _ in range(100_000):
                say(page, type="ping", t=0)
            hear(page, "nothing")
        assert page.close_code == 1008


def test_a_flood_of_pings_and_empty_pieces_ends_a_page(car):
    empty_ping, empty_piece = b"\x89\x80\0\0\0\0", b"\x00\x80\0\0\0\0"
    for frames in (empty_ping * 1000, b"\x01\x80\0\0\0\0" + empty_piece * 1000):
        with car.page_socket() as page:
            with contextlib.suppress(OSError):
                page.socket.sendall(frames)
            with pytest.raises(ConnectionClosed):
                hear(page, "nothing")


def test_a_page_whose_socket_is_dead_drives_nobody_mad(car):
    """Half open: the peer is gone without a word. Nothing is forwarded, another page drives at once."""
    since = len(car.source.calls)
    with car.page_socket() as gone, car.page_socket() as page:
        drive(gone, 0, 0)
        drive(gone, 0, 0.9)
        car.source.wait_for("command", 0, 0.9, since=since)
        count = len(car.source.calls)
        drive(page, 0, 0)
        hear(page, "state")
        hear(page, "state")
        assert not any(call[0] == "command" and call[2] for call in car.source.calls[count:])
        drive(page, 0.5, 0)
        car.source.wait_for("command", 0.5, 0, since=count)


def test_too_many_connections_are_cut(car):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(raw(car)) for _ in range(80)]
        cut = 0
        for plain in sockets:
            plain.setblocking(False)

        def count_cut():
            nonlocal cut
            for plain in list(sockets):
                with contextlib.suppress(BlockingIOError):
                    with contextlib.suppress(ConnectionError):
                        if plain.recv(1):
                            continue
                    sockets.remove(plain)
                    cut += 1
            return cut >= 16

        assert eventually(count_cut)
        assert car.get("/api/state")[0] == 200  # who says something is let in, in place of a silent one
    assert eventually(lambda: car.state()["loop_hz"] > 0)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000,
        b"GET " + b"/x" * 50_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        lines("GET / HTTP/1.1", "Host: localhost", "Host: evil"),
        lines("GET / HTTP/1.1", "Host: localhost", "Content-Length: -1"),
        lines("GET / HTTP/1.1", "Host: localhost", "Content-Length: 1", "Transfer-Encoding: chunked"),
        lines("GET http://evil/ HTTP/1.1", "Host: evil"),
        lines("GET / HTTP/1.0"),
        lines("GET /ws HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"),
        lines("PRI * HTTP/2.0", "", "SM"),
        lines("GET /%c0%ae%c0%ae/ HTTP/1.1", "Host: localhost"),
        lines("TRACE / HTTP/1.1", "Host: localhost"),
        lines("CONNECT localhost:22 HTTP/1.1", "Host: localhost"),
        lines("OPTIONS * HTTP/1.1", "Host: localhost"),
    ],
    ids=range(15),
)
def test_junk_gets_an_error_and_breaks_nothing(car, junk):
    pid = car.page._link.pid
    with raw(car) as plain:
        with contextlib.suppress(ConnectionError):
            plain.sendall(junk)
            plain.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := plain.recv(1 << 16):
                answer += piece
    assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 404", b"HTTP/1.1 405")
    assert car.page._link.pid == pid
    os.kill(pid, 0)
    assert eventually(lambda: car.state()["loop_hz"] > 0)
