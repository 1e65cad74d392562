"""The web server's process: it talks to the car over stdin and stdout, and ends when the car does."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, NoReturn

from dingocar.parts.controllers.web._frames import Frames
from dingocar.parts.controllers.web._protocol import Message, dump

logger = logging.getLogger(__name__)

#: Log lines per ten seconds: a flood of junk must not fill the disk too.
MAX_LOG_LINES = 20
#: What uvicorn logs as errors of ours, and is none.
PEERS_FAULTS = ("Invalid UTF-8 sequence received from client.",)
#: Unsent bytes to the car after which something is very wrong there.
MAX_UNSENT = 1 << 20
#: The system holds so many bytes for a slow peer: some pictures, not the seconds of them that it would.
SEND_BUFFER = 64 * 1024
#: The system cuts a peer that has not acknowledged anything for so long: a phone that was switched off.
PEER_TIMEOUT_S = 10


class FewLines(logging.Filter):
    """Lets `MAX_LOG_LINES` through in ten seconds, and none about what peers do wrong."""

    def __init__(self) -> None:
        super().__init__()
        self._began_s, self._lines = 0.0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg in PEERS_FAULTS:
            return False
        now_s = time.monotonic()
        if now_s - self._began_s > 10:
            self._began_s, self._lines = now_s, 0
        self._lines += 1
        return self._lines <= MAX_LOG_LINES


class CarLink:
    """Lines to the car, without ever waiting for it."""

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        self._descriptor, self._loop = descriptor, loop
        self._unsent = b""
        os.set_blocking(descriptor, False)

    def send(self, message: Message) -> None:
        waiting = bool(self._unsent)
        self._unsent += dump(message).encode() + b"\n"
        if len(self._unsent) > MAX_UNSENT:
            logger.error("the car takes no messages any more")
            os._exit(1)
        if not waiting:
            self._write()
            if self._unsent:
                self._loop.add_writer(self._descriptor, self._write)

    def _write(self) -> None:
        try:
            done = os.write(self._descriptor, self._unsent)
        except BlockingIOError:
            return
        except OSError:
            done = len(self._unsent)  # the car has gone; `listen` sees it too, and ends us in order
        self._unsent = self._unsent[done:]
        if not self._unsent:
            self._loop.remove_writer(self._descriptor)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        OSError: the port is taken, or the host is none of this computer's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit what the listening one has.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        for name, value in (("TCP_USER_TIMEOUT", PEER_TIMEOUT_S * 1000), ("TCP_KEEPIDLE", PEER_TIMEOUT_S)):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        sock.bind(address)
        sock.listen(64)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def why_not(error: OSError, host: str, port: int) -> str:
    """One line for the person whose port could not be had."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is in use; set WEB_CONTROL_PORT to another one, or end the program that has it "
            "(another drive?)"
        )
    if error.errno == errno.EACCES:
        return f"port {port} is for the system only; set WEB_CONTROL_PORT to one above 1023, e.g. 8887"
    reason = error.strerror or error
    return (
        f"WEB_HOST {host!r}, port {port}: cannot be listened on ({reason}); set WEB_HOST to 127.0.0.1 (this "
        "computer only) or 0.0.0.0 (the whole network)"
    )


async def serve(settings: dict[str, Any], link: CarLink, sock: socket.socket, streams: list[Frames]) -> None:
    """Serves until the process ends."""
    import uvicorn

    from dingocar.parts.controllers.web._app import make_app
    from dingocar.parts.controllers.web._limits import Http, WebSocket
    from dingocar.parts.controllers.web._socket import Pages
    from dingocar.parts.controllers.web._store import Models, Tubs
    from dingocar.parts.controllers.web._video import Video

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield  # Ctrl-C is the car's to handle; it ends us

    loop = asyncio.get_running_loop()
    videos = [Video(frames, settings["video_hz"], settings["jpeg_quality"]) for frames in streams]
    pages = Pages(link.send, lambda: videos[0].viewers)
    folders = [Path(settings[key]) if settings[key] else None for key in ("tubs", "models")]
    app = make_app(settings["token"], pages, videos, Tubs(folders[0]), Models(folders[1]))

    def hear(line: bytes) -> None:
        message = json.loads(line)
        if message["type"] == "state":
            del message["type"]
            pages.show(message)
        elif message["type"] == "answer":
            pages.answer(message["client"], message["message"])

    def listen() -> NoReturn:
        # A thread, which sees the end of the car whatever the event loop is doing.
        for line in sys.stdin.buffer:
            loop.call_soon_threadsafe(hear, line)
        os._exit(0)

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=Http,
        ws=WebSocket,
        ws_max_size=64 * 1024,
        ws_ping_interval=5.0,
        ws_ping_timeout=5.0,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=16 * 1024,
        timeout_keep_alive=10,
    )
    threading.Thread(target=listen, name="car", daemon=True).start()
    link.send({"type": "ready", "port": sock.getsockname()[1]})
    await Server(config).serve([sock])


async def run(settings: dict[str, Any], link_descriptor: int) -> int:
    """Opens the port and serves."""
    link = CarLink(link_descriptor, asyncio.get_running_loop())
    streams = [Frames(descriptor) for descriptor in settings["frames"]]
    for frames in streams:
        frames.viewers = 0
    try:
        sock = bind(settings["host"], settings["port"])
    except OSError as error:
        link.send({"type": "failed", "message": why_not(error, settings["host"], settings["port"])})
        return 1
    await serve(settings, link, sock, streams)
    return 1


def main() -> int:
    """Reads the settings, one line of JSON, from stdin, and serves until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(FewLines())
    logging.basicConfig(
        level=logging.WARNING, handlers=[handler], format="%(levelname)s web server: %(message)s"
    )
    # What peers send wrong is their fault and no news.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    # Only the link may write to the real stdout; a stray print goes to the log.
    link_descriptor = os.dup(1)
    os.dup2(2, 1)
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    return asyncio.run(run(json.loads(line), link_descriptor))


if __name__ == "__main__":
    sys.exit(main())
