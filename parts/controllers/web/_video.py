"""The live picture: one encoder for all viewers, which works only while somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dingocar.images import Uint8Array, encode_jpeg
from dingocar.parts.controllers.web._frames import Frames
from dingocar.parts.controllers.web._security import Receive, Refused, Scope, Send, refuse

BOUNDARY = b"dingocar-frame"
#: More viewers than a household has screens.
MAX_VIEWERS = 24


def jpeg_encoder(quality: int) -> Callable[[Uint8Array], bytes]:
    """The fastest encoder there is: simplejpeg where it is installed, else Pillow."""
    try:
        import simplejpeg
    except ImportError:
        return lambda image: encode_jpeg(image, quality)
    return lambda image: bytes(
        simplejpeg.encode_jpeg(image, quality=quality, colorspace="RGB", colorsubsampling="420")
    )


class _Viewer:
    """One who looks; woken for each picture, and when it has gone."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.gone = False

    async def watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.wake.set()


class Video:
    """Streams the pictures of `frames` to all viewers as multipart JPEG.

    Each new picture is encoded once. A viewer that is too slow for it gets the next one.

    Args:
        frames: where pictures come from.
        rate_hz: at most so many pictures are encoded per second.
        quality: of the JPEGs, 1 to 95.

    Attributes:
        encodes: JPEGs made so far.
    """

    def __init__(self, frames: Frames, rate_hz: float, quality: int) -> None:
        self._frames, self._period_s = frames, 1 / rate_hz
        self._encode = jpeg_encoder(quality)
        self._viewers: set[_Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._jpeg = b""
        self.encodes = 0

    @property
    def viewers(self) -> int:
        """How many look now."""
        return len(self._viewers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one viewer until it goes (an ASGI application)."""
        if scope["method"] != "GET":
            await refuse(scope, receive, send, Refused(405, "expected GET"))
            return
        if len(self._viewers) >= MAX_VIEWERS:
            await refuse(scope, receive, send, Refused(503, f"{MAX_VIEWERS} viewers look already"))
            return
        viewer = _Viewer()
        watch = asyncio.create_task(viewer.watch(receive))
        self._join(viewer)
        try:
            kind = b"multipart/x-mixed-replace; boundary=" + BOUNDARY
            headers = [(b"content-type", kind), (b"cache-control", b"no-store"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            # The first boundary at once: a browser shows a picture when the boundary after it comes.
            await send(_chunk(b"--" + BOUNDARY + b"\r\n"))
            while True:
                await viewer.wake.wait()
                viewer.wake.clear()
                if viewer.gone:
                    break
                await send(_chunk(_part(self._jpeg)))
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            pass  # it takes nothing, and was cut off
        finally:
            watch.cancel()
            self._leave(viewer)

    def _join(self, viewer: _Viewer) -> None:
        self._viewers.add(viewer)
        self._frames.viewers = len(self._viewers)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def _leave(self, viewer: _Viewer) -> None:
        self._viewers.discard(viewer)
        self._frames.viewers = len(self._viewers)
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        """Encodes what is new, at most at the given rate on average."""
        now_s = asyncio.get_running_loop().time
        seen, due_s = self._frames.count, now_s()
        while True:
            # Looking more often than pictures come keeps them fresh; a look costs some microseconds.
            await asyncio.sleep(min(self._period_s / 4, 0.02))
            count = self._frames.count
            now = now_s()
            if count == seen or now < due_s:
                continue
            seen, due_s = count, max(due_s + self._period_s, now - self._period_s)
            image = self._frames.read()
            if image is None:
                continue
            self._jpeg = self._encode(image)
            self.encodes += 1
            for viewer in self._viewers:
                viewer.wake.set()


def _chunk(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _part(jpeg: bytes) -> bytes:
    """A picture and the boundary after it."""
    head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
    return head + jpeg + b"\r\n--" + BOUNDARY + b"\r\n"
