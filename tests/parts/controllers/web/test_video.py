"""One encoder for all viewers, and nothing left when they have gone."""

import asyncio

import numpy as np
import pytest

from dingocar.images import decode_image
from dingocar.parts.controllers.web import _video
from dingocar.parts.controllers.web._frames import Frames
from dingocar.parts.controllers.web._video import Video, jpeg_encoder

TIMEOUT_S = 15.0


class Viewer:
    """A client of the stream: collects what is sent, and goes when told."""

    def __init__(self, video, method="GET", takes=True):
        self.sent, self._gone, self._came, self._takes = [], asyncio.Event(), asyncio.Event(), takes
        self.task = asyncio.create_task(video({"type": "http", "method": method}, self._receive, self._send))

    async def _receive(self):
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if not self._takes and len(self.sent) > 2:
            await asyncio.Event().wait()
        self.sent.append(message)
        self._came.set()

    @property
    def pictures(self):
        return [message["body"] for message in self.sent if b"image/jpeg" in message.get("body", b"")]

    async def see(self, count):
        while len(self.pictures) < count:
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), TIMEOUT_S)

    async def go(self):
        self._gone.set()
        await asyncio.wait_for(self.task, TIMEOUT_S)


@pytest.fixture
def frames():
    frames = Frames.make((24, 32))
    yield frames
    frames.close()


def run(scene):
    asyncio.run(asyncio.wait_for(scene, TIMEOUT_S * 2))


def show(frames, value):
    frames.write(np.full((24, 32, 3), value, np.uint8))


async def film(frames):
    """A camera that never stops."""
    value = 0
    while True:
        value = (value + 1) % 256
        show(frames, value)
        await asyncio.sleep(0.001)


def test_the_picture_arrives_in_parts_that_a_browser_shows(frames):
    async def scene():
        video = Video(frames, 100, 90)
        viewer = Viewer(video)
        camera = asyncio.create_task(film(frames))
        await viewer.see(2)
        await viewer.go()
        camera.cancel()
        start = dict(viewer.sent[0]["headers"])
        boundary = start[b"content-type"].partition(b"boundary=")[2]
        body = b"".join(message["body"] for message in viewer.sent[1:])
        first, part = body.split(b"--" + boundary + b"\r\n")[:2]
        assert first == b""
        head, _, jpeg = part.partition(b"\r\n\r\n")
        assert head == b"Content-Type: image/jpeg\r\nContent-Length: %d" % (len(jpeg) - 2)
        assert decode_image(jpeg[:-2]).shape == (24, 32, 3)

    run(scene())


def test_four_viewers_share_one_encoder(frames):
    async def scene():
        video = Video(frames, 100, 60)
        viewers = [Viewer(video) for _ in range(4)]
        await asyncio.sleep(0)
        assert frames.viewers == video.viewers == 4
        camera = asyncio.create_task(film(frames))
        for viewer in viewers:
            await viewer.see(5)
        camera.cancel()
        assert video.encodes <= max(len(viewer.pictures) for viewer in viewers) + 1
        assert len({viewer.pictures[-1] for viewer in viewers}) <= 2
        for viewer in viewers:
            await viewer.go()

    run(scene())


def test_nothing_is_left_when_the_last_viewer_goes(frames):
    async def scene():
        video = Video(frames, 100, 60)
        before = asyncio.all_tasks()
        viewers = [Viewer(video) for _ in range(3)]
        camera = asyncio.create_task(film(frames))
        for viewer in viewers:
            await viewer.see(2)
            await viewer.go()
        await asyncio.sleep(0)
        encodes = video.encodes
        assert asyncio.all_tasks() - {camera} == before
        assert frames.viewers == video.viewers == 0
        await asyncio.sleep(0.1)
        assert video.encodes == encodes > 0
        camera.cancel()

    run(scene())


def test_nothing_is_encoded_before_somebody_looks(frames):
    async def scene():
        video = Video(frames, 100, 60)
        show(frames, 1)
        await asyncio.sleep(0.05)
        assert video.encodes == 0 and frames.viewers == 0

    run(scene())


def test_the_rate_is_limited(frames):
    async def scene():
        video = Video(frames, 50, 60)
        viewer = Viewer(video)
        camera = asyncio.create_task(film(frames))
        began_s = asyncio.get_running_loop().time()
        await viewer.see(20)
        took_s = asyncio.get_running_loop().time() - began_s
        camera.cancel()
        await viewer.go()
        assert took_s > 17 / 50  # two may come at once, at the start

    run(scene())


def test_a_viewer_that_takes_nothing_holds_nobody_up(frames):
    async def scene():
        video = Video(frames, 200, 60)
        stuck, viewer = Viewer(video, takes=False), Viewer(video)
        camera = asyncio.create_task(film(frames))
        await viewer.see(20)
        camera.cancel()
        stuck.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck.task
        assert video.viewers == 1
        await viewer.go()

    run(scene())


def test_there_is_a_limit_and_only_get(frames, monkeypatch):
    monkeypatch.setattr(_video, "MAX_VIEWERS", 1)

    async def scene():
        video = Video(frames, 100, 60)
        head = Viewer(video, "HEAD")
        await head.task
        assert head.sent[0]["status"] == 405
        viewer = Viewer(video)
        await asyncio.sleep(0)
        other = Viewer(video)
        await other.task
        assert other.sent[0]["status"] == 503 and video.viewers == 1
        await viewer.go()

    run(scene())


@pytest.mark.parametrize("fast", [True, False])
def test_both_encoders_keep_the_colours(fast, monkeypatch):
    import sys

    if not fast:
        monkeypatch.setitem(sys.modules, "simplejpeg", None)
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 0] = 200
    seen = decode_image(jpeg_encoder(90)(image))
    assert seen[..., 0].mean() > 180 and seen[..., 2].mean() < 30
