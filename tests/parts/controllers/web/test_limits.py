"""Slow and stuck peers are cut off; with the real uvicorn, in this process, and shorter times."""

import asyncio
import gc
import socket

import pytest
import uvicorn

from dingocar.parts.controllers.web import _limits
from dingocar.parts.controllers.web._limits import Http, WebSocket
from dingocar.parts.controllers.web._server import SEND_BUFFER, bind

TIMEOUT_S = 15.0
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def app(scope, receive, send):
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        body = b"in" * (1 << 20 if scope["path"] == "/long" else 1)
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.close"})


@pytest.fixture
def talk(monkeypatch):
    """Runs a scene with a server whose times are short."""
    monkeypatch.setattr(_limits, "REQUEST_TIMEOUT_S", 0.15)
    monkeypatch.setattr(_limits, "LINGER_S", 0.05)

    def run(scene):
        async def main():
            faults = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, fault: faults.append(fault))
            sock = bind("127.0.0.1", 0)
            config = uvicorn.Config(
                app,
                http=Http,
                ws=WebSocket,
                loop="asyncio",
                lifespan="off",
                log_config=None,
                timeout_keep_alive=1,
            )
            server = uvicorn.Server(config)
            task = asyncio.create_task(server._serve([sock]))
            try:
                await asyncio.wait_for(scene(sock.getsockname()[1], server), TIMEOUT_S)
                await asyncio.sleep(0.2)  # for what is still to come when the connections have gone
                assert not faults
            finally:
                server.should_exit = server.force_exit = True
                await task

        asyncio.run(main())

    return run


async def ends(reader):
    """What comes until the server cuts the connection."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost",
    ],
    ids=["silent", "header", "body", "second"],
)
def test_a_request_that_does_not_come_is_not_waited_for(talk, beginning):
    async def scene(port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(beginning)

        async def drip():
            while True:
                await asyncio.sleep(0.02)
                writer.write(b"x")

        drips = asyncio.create_task(drip()) if beginning else None
        await ends(reader)
        if drips:
            drips.cancel()
        writer.close()
        assert not server.server_state.connections

    talk(scene)


def test_a_connection_that_is_kept_is_used_again(talk):
    async def scene(port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(2) == b"in"
            await asyncio.sleep(0.1)
        writer.close()

    talk(scene)


def test_a_connection_that_the_peer_closes_first_leaves_nothing(talk):
    async def scene(port, server):
        for path in (b"/", b"/long"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"inin" if path == b"/long" else b"\r\n\r\nin")
            writer.close()

    talk(scene)


def test_connections_that_have_ended_are_forgotten(talk, monkeypatch):
    """A flood of them must not pile up until their timers have run out."""
    monkeypatch.setattr(_limits, "LINGER_S", 100.0)

    async def scene(port, server):
        long = b"GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        for request, message in ((long, b""), (UPGRADE, b"\x81\x80\0\0\0\0")):
            for _ in range(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                await reader.readuntil(b"\r\n\r\n")
                writer.write(message)
                await reader.read(4)
                writer.transport.abort()
        while server.server_state.connections or server.server_state.tasks:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        gc.collect()
        assert not [thing for thing in gc.get_objects() if type(thing) in (Http, WebSocket)]

    gc.freeze()  # what other tests have left, some millions of objects, is not looked through
    try:
        talk(scene)
    finally:
        gc.unfreeze()


def test_a_socket_that_is_closed_is_closed_for_good(talk):
    """The peer takes part in no farewell: it is gone all the same."""

    async def scene(port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)  # longer than a request may take
        assert len(server.server_state.connections) == 1
        writer.write(b"\x81\x80\0\0\0\0")
        await ends(reader)
        writer.close()
        assert not server.server_state.connections

    talk(scene)


def test_the_peer_s_timeouts_are_the_system_s():
    with bind("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()) as peer:
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BUFFER
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        assert peer
