"""The live view's web server: the page, and a WebSocket with the pictures, the figures and the wishes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.errors import DingocarError, HardwareError, MissingExtraError
from dingocar.evaluate.view.guard import App, Receive, Scope, Send, guarded
from dingocar.evaluate.view.show import Show

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

logger = logging.getLogger(__name__)

STATIC = Path(__file__).resolve().parent / "static"
MAX_VIEWERS = 8
#: Longest message of a page.
MAX_MESSAGE = 1024
#: A page that says more than so many things that do not fit is closed.
MAX_MISTAKES = 20
#: A page that takes nothing for so long is cut off.
SEND_TIMEOUT_S = 5.0
#: So many single steps may wait to be driven.
MAX_WISHED = 20
#: How many times as fast as in life the simulation may run.
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)


class Viewer:
    """One open page: it gets the newest of everything, and nothing waits for it."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.frame: bytes | None = None
        self.texts: list[str] = []

    def say(self, message: dict[str, Any]) -> None:
        """Sends a message; only a few wait."""
        self.texts = [*self.texts[-7:], json.dumps(message)]
        self.wake.set()

    def look(self, frame: bytes) -> None:
        """Sends a frame in place of one that still waits."""
        self.frame = frame
        self.wake.set()


class Theatre:
    """Runs a show while somebody looks, and serves its pages (an ASGI application for each).

    Attributes:
        steps: how many steps have been driven.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._paused, self._speed = False, 1.0
        self._wake, self._wished = asyncio.Event(), 0
        self._order = asyncio.Lock()
        self._version = show.version
        self.steps = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one page until it goes."""
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        if len(self._viewers) >= MAX_VIEWERS:
            reason = f"{MAX_VIEWERS} pages look already"
            await send({"type": "websocket.close", "code": 1013, "reason": reason})
            return
        viewer = Viewer()
        self._viewers.add(viewer)  # before the first wait: those who open at the same time are counted
        tasks: list[asyncio.Task[None]] = []
        try:
            viewer.say(await asyncio.to_thread(self._world))
            viewer.look(await asyncio.to_thread(self._frame))
            tasks.append(asyncio.create_task(self._send_all(viewer, send)))
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run())
            tasks.append(asyncio.create_task(self._listen(viewer, receive)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._viewers.discard(viewer)
            await self._end(tasks)

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Ends a page's tasks, and the show where it was the last page."""
        if not self._viewers and self._task is not None:
            tasks, self._task = [self._task, *tasks], None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, OSError):  # those: the page has gone
                logger.error("view: a page was given up", exc_info=error)

    async def _run(self) -> None:
        """Drives in real time; ends when the last page has gone."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            if self._paused:
                if not self._wished:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                self._wished -= 1
                due_s = loop.time() - self._show.dt_s / self._speed  # a step that is wished for does not wait
            try:
                await self._tell(self._next)
            except DingocarError as error:  # a pilot that does not fit, say: it must not drive on
                self._paused = True
                for viewer in self._viewers:
                    viewer.say({"type": "error", "message": str(error)})
            due_s = max(due_s + self._show.dt_s / self._speed, loop.time() - 0.1)
            await asyncio.sleep(max(0.0, due_s - loop.time()))

    def _next(self) -> bytes:
        self._show.step()
        self.steps += 1
        return self._frame()

    async def _tell(self, make: Callable[[], bytes]) -> None:
        """Makes a frame and shows it to all; one after the other, so that none overtakes a newer one."""
        async with self._order:
            frame = await _to_its_end(make)
            for viewer in self._viewers:
                viewer.look(frame)

    def _frame(self) -> bytes:
        """The figures' length (4 bytes, big-endian), the figures as JSON, the camera's picture as JPEG."""
        figures = self._show.figures() | {"paused": self._paused, "rate": self._speed}
        text = json.dumps(figures).encode()
        return len(text).to_bytes(4, "big") + text + self._show.picture()

    def _world(self) -> dict[str, Any]:
        return {"type": "world", "speeds": SPEEDS, **self._show.world()}

    async def _send_all(self, viewer: Viewer, send: Send) -> None:
        while True:
            await viewer.wake.wait()
            viewer.wake.clear()
            texts, viewer.texts = viewer.texts, []
            frame, viewer.frame = viewer.frame, None
            async with asyncio.timeout(SEND_TIMEOUT_S):
                for text in texts:
                    await send({"type": "websocket.send", "text": text})
                if frame is not None:
                    await send({"type": "websocket.send", "bytes": frame})

    async def _listen(self, viewer: Viewer, receive: Receive) -> None:
        mistakes = 0
        while mistakes <= MAX_MISTAKES:
            event = await receive()
            if event["type"] != "websocket.receive":
                return
            try:
                await self._hear(event.get("text") or "")
            except DingocarError as error:
                viewer.say({"type": "error", "message": str(error)})
            except (ValueError, RecursionError):
                mistakes += 1
                viewer.say({"type": "error", "message": "a message that is no message"})

    async def _hear(self, text: str) -> None:
        message = json.loads(text) if len(text) <= MAX_MESSAGE else None
        if not isinstance(message, dict):
            raise ValueError("no message")
        kind = message.get("type")
        if kind == "pause":
            self._paused, self._wished = bool(message.get("on")), 0
            self._wake.set()
        elif kind == "step":
            self._wished = min(self._wished + 1, MAX_WISHED) if self._paused else 0
            self._wake.set()
        elif kind == "speed":
            self._speed = message["value"] if message.get("value") in SPEEDS else 1.0
        else:
            await asyncio.to_thread(self._show.do, message)
        if self._show.version != self._version:
            self._version = self._show.version
            world = await asyncio.to_thread(self._world)
            for viewer in self._viewers:
                viewer.say(world)
        if kind != "drive":
            await self._tell(self._frame)


async def _to_its_end(work: Callable[[], bytes]) -> bytes:
    """Runs `work` in a thread; who is cancelled waits for it, as a thread cannot be stopped half way."""
    thread = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.gather(thread, return_exceptions=True)
        raise


def make_app(theatre: Theatre, show: Show) -> App:
    """The page, its files, the picture from above and the WebSocket, behind the guard.

    Raises:
        MissingExtraError: starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.responses import FileResponse, Response
        from starlette.routing import Mount, Route, WebSocketRoute
        from starlette.staticfiles import StaticFiles
    except ImportError as error:
        raise MissingExtraError(error.name or "starlette", "web", "the live view") from None

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def plan(request: Request) -> Response:
        return Response(await asyncio.to_thread(show.plan_jpeg), media_type="image/jpeg")

    routes = [
        Route("/", page, methods=["GET"]),
        Route("/plan.jpg", plan, methods=["GET"]),
        WebSocketRoute("/ws", theatre),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return guarded(Starlette(routes=routes))


def serve(show: Show, port: int = 8890, on_ready: Callable[[str], None] = lambda url: None) -> None:
    """Serves the view until Ctrl-C.

    Args:
        show: what is shown.
        port: 0: any that is free.
        on_ready: called with the page's address once it can be opened.

    Raises:
        MissingExtraError: starlette, uvicorn or websockets is not installed.
        HardwareError: the port is taken.
    """
    try:
        import uvicorn
        import websockets  # noqa: F401 (uvicorn needs it, and says so only when a page comes)
    except ImportError as error:
        raise MissingExtraError(error.name or "uvicorn", "web", "the live view") from None

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield  # ours are set below

    app = make_app(Theatre(show), show)
    sock = _bind(port)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        ws="websockets-sansio",
        ws_max_size=4 * MAX_MESSAGE,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what pages send wrong is no news

    def stop(*_: object) -> None:
        server.should_exit = True

    async def run() -> None:
        on_ready(f"http://127.0.0.1:{sock.getsockname()[1]}/")
        await server.serve([sock])

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        asyncio.run(run())
    finally:
        sock.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _bind(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen(16)
    except OSError as error:
        sock.close()
        raise HardwareError(
            f"port {port} cannot be listened on ({error.strerror}): is another view open? take another "
            "--port; 0 is any that is free"
        ) from None
    sock.setblocking(False)
    return sock
