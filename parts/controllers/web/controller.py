"""The web page as a controller: shows the car in a browser and hands its commands to the hub."""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import DingocarError, UsageError
from dingocar.images import Uint8Array
from dingocar.parts.controllers.hub import Source
from dingocar.parts.controllers.web._frames import Frames
from dingocar.parts.controllers.web._link import ServerLink
from dingocar.parts.controllers.web._protocol import Message
from dingocar.parts.controllers.web._security import is_loopback, is_token, new_token

logger = logging.getLogger(__name__)

#: A change of one of these is shown at once, not with the next tenth of a second.
SHOWN_AT_ONCE = ("user/mode", "recording", "pilot/name", "safety/state", "user/source")
#: The loop's rate is measured over so many seconds.
RATE_WINDOW_S = 1.0


class WebController:
    """Serves the drive page: inputs `cam/image_array`, with `translated` `cam/translated`, and whatever
    channels it is to show; no outputs.

    The server is a process of its own: a flood, a leak or a crash there does not touch the loop. It is
    started again when it dies; the car goes on with its other controllers meanwhile.

    Args:
        hub_source: gets what the page commands.
        channels: names of the values that `run` gets after the picture; shown on the page.
        host: address to listen on: `127.0.0.1` is this computer only, `0.0.0.0` the whole network.
        port: 0 takes a free one, see `url`.
        token: what other computers must know; "": a random one is made when `host` is not this computer only.
        video_hz: pictures per second at most.
        jpeg_quality: 1 to 95.
        image_shape: (height, width) of the largest picture that will come.
        translated: a translator's pictures will come, too; they are shown in a corner while a pilot drives.
        tubs: a tub, or a folder of tubs, for the tub page.
        models: folder of the pilots that the page may switch to.
        on_model: called with the file's name in `models`, or None for no pilot, in a thread of its own and
            only at a standstill in mode `user`; raises a DingocarError to refuse.
        clock: what tells time.

    Attributes:
        url: of the page, with the token if there is one.

    Raises:
        MissingExtraError: the `web` extra is not installed.
        UsageError: an argument does not fit, or the port is taken.
        HardwareError: the server does not start.
    """

    def __init__(
        self,
        hub_source: Source,
        channels: Sequence[str],
        *,
        host: str = "127.0.0.1",
        port: int = 8887,
        token: str = "",
        video_hz: float = 20.0,
        jpeg_quality: int = 60,
        image_shape: tuple[int, int] = (120, 160),
        translated: bool = False,
        tubs: Path | None = None,
        models: Path | None = None,
        on_model: Callable[[str | None], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        _check(port, token, video_hz, jpeg_quality)
        if not token and not is_loopback(host):
            token = new_token()
        self._source, self._channels = hub_source, tuple(channels)
        self._models, self._on_model = models, on_model
        self._now_s = (clock or MonotonicClock()).now_s
        self._at_once = [i for i, name in enumerate(self._channels) if name in SHOWN_AT_ONCE]
        self._marks: list[Any] = []
        #: The newest picture of each stream: the camera's, the translator's.
        self._images: list[Uint8Array | None] = [None] * (1 + translated)
        self._image_s = self._now_s()
        #: Loops so far, when the last one was, and its values: replaced as a whole, read by the writer.
        self._latest: tuple[int, float, tuple[Any, ...]] = (0, self._image_s, ())
        self._loops = 0
        self._ticks: deque[tuple[float, int]] = deque()
        self._switching = threading.Lock()
        self._message = ""
        self._frames = [Frames.make(image_shape) for _ in self._images]
        settings = {
            "host": host,
            "port": port,
            "token": token,
            "video_hz": video_hz,
            "jpeg_quality": jpeg_quality,
            "frames": [frames.descriptor for frames in self._frames],
            "tubs": None if tubs is None else str(Path(tubs).resolve()),
            "models": None if models is None else str(Path(models).resolve()),
        }
        try:
            self._link = ServerLink(settings, self._state, self._on_message, self._on_gone)
        except BaseException:
            self._close_frames()
            raise
        shown = _shown_host(host)
        self.url = f"http://{shown}:{self._link.port}/" + (f"?token={token}" if token else "")
        logger.info("drive page: %s", self.url)

    def run(self, image: Uint8Array | None, *values: Any) -> None:
        """Shows a loop's picture and values; takes some microseconds, and waits for nobody.

        Args:
            image: uint8 (H, W, 3) RGB, or None; copied only while somebody looks.
            values: with `translated` such a picture, None where nothing is translated; then one for each of
                `channels`.
        """
        now_s = self._now_s()
        self._loops += 1
        if image is not None and self._show(0, image):
            self._image_s = now_s
        if len(self._images) > 1:
            self._show(1, values[0])
            values = values[1:]
        self._latest = (self._loops, now_s, values)
        marks = [values[i] for i in self._at_once]
        if marks != self._marks:
            self._marks = marks
            self._link.hurry()

    def shutdown(self) -> None:
        """Ends the server, within a second."""
        self._link.close()
        self._close_frames()

    def _show(self, stream: int, image: Uint8Array | None) -> bool:
        """Copies a new picture for who looks; returns whether it is one."""
        if image is self._images[stream]:
            return False
        self._images[stream] = image
        if image is not None and self._frames[stream].viewers:
            self._frames[stream].write(image)
        return True

    def _close_frames(self) -> None:
        for frames in self._frames:
            frames.close()

    # What follows runs in the link's threads.

    def _state(self) -> Message:
        """What the pages are shown."""
        loops, then_s, values = self._latest
        now_s = self._now_s()
        self._ticks.append((now_s, loops))
        while self._ticks[0][0] < now_s - RATE_WINDOW_S and len(self._ticks) > 2:
            self._ticks.popleft()
        first_s, first = self._ticks[0]
        channels = dict(zip(self._channels, values, strict=False))
        camera_s = channels.get("cam/age_s")
        if isinstance(camera_s, int | float):
            age_s = camera_s + (now_s - then_s)
        else:
            age_s = now_s - self._image_s if self._images[0] is not None else float("inf")
        return {
            "type": "state",
            "channels": channels,
            "loop_hz": round((loops - first) / (now_s - first_s), 2) if now_s > first_s else 0.0,
            "frame_age_ms": round(age_s * 1000, 1) if age_s < 1e6 else None,
            "translated": len(self._images) > 1 and self._images[1] is not None,
            "message": self._message,
        }

    def _on_gone(self) -> None:
        for frames in self._frames:
            frames.viewers = 0
        self._source.released()

    def _on_message(self, message: Message) -> None:
        kind, source = message["type"], self._source
        if kind == "drive":
            source.command(message["steering"], message["throttle"])
        elif kind == "released":
            source.released()
        elif kind == "mode":
            source.mode(message["mode"])
        elif kind == "record":
            source.recording(message["on"])
        elif kind == "erase":
            source.erase(message["n"])
        elif kind == "constant_throttle":
            source.constant_throttle(message["throttle"])
        elif kind == "launch":
            source.launch()
        elif kind == "stop":
            source.stop()
        elif kind == "model":
            self._switch_model(message["name"], message["client"])

    def _switch_model(self, name: str | None, client: int) -> None:
        """Begins to change the pilot, or says why not. Loading takes seconds, so it has a thread."""
        complaint = self._why_no_model(name)
        if not complaint and not self._switching.acquire(blocking=False):
            complaint = "another pilot is being loaded; wait for it"
        if complaint:
            self._link.answer(client, complaint)
            return
        thread = threading.Thread(target=self._load_model, args=(name, client), name="web model", daemon=True)
        thread.start()

    def _why_no_model(self, name: str | None) -> str:
        channels = dict(zip(self._channels, self._latest[2], strict=False))
        moving = any(channels.get(key) for key in ("throttle", "user/throttle"))
        if self._on_model is None:
            return "this car was built without a pilot that could be switched"
        if channels.get("user/mode", "user") != "user" or moving:
            return "the pilot can be switched only in mode user with the throttle at 0; stop the car first"
        if name is not None and (self._models is None or not (self._models / name).is_file()):
            return f"no pilot {name!r} in {self._models}"
        return ""

    def _load_model(self, name: str | None, client: int) -> None:
        try:
            assert self._on_model is not None
            self._message = f"loading {name} ..." if name else ""
            self._link.hurry()
            self._on_model(name)
        except DingocarError as error:
            self._link.answer(client, str(error))
        except Exception as error:
            logger.exception("the pilot could not be switched")
            self._link.answer(
                client, f"the pilot could not be switched ({type(error).__name__}); see the log"
            )
        finally:
            self._message = ""
            self._switching.release()
            self._link.hurry()


def _check(port: int, token: str, video_hz: float, jpeg_quality: int) -> None:
    if not 0 <= port <= 65535:
        raise UsageError(f"WEB_CONTROL_PORT: expected 1 to 65535, got {port!r}")
    if token and not is_token(token):
        raise UsageError(
            "WEB_TOKEN: expected 8 to 128 letters, digits or any of -_.~ and nothing else, as part of an "
            f"address; got {len(token)} characters, {len(_strange(token))} of them others; empty: one is made"
        )
    if not 0 < video_hz <= 120:
        raise UsageError(f"WEB_VIDEO_HZ: expected more than 0 and at most 120, got {video_hz!r}")
    if not 1 <= jpeg_quality <= 95:
        raise UsageError(f"WEB_JPEG_QUALITY: expected 1 to 95, got {jpeg_quality!r}")


def _strange(token: str) -> str:
    return "".join(c for c in token if not (c.isascii() and c.isalnum()) and c not in "-_.~")


def _shown_host(host: str) -> str:
    """The name to open in a browser: for `0.0.0.0` the address that other computers see."""
    if host not in ("", "0.0.0.0", "::"):
        return f"[{host}]" if ":" in host else host
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which way would be taken
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()
