"""A webcam (V4L), a video file or a network stream, through OpenCV."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from dingocar.clock import Clock
from dingocar.errors import HardwareError, MissingExtraError
from dingocar.images import Uint8Array
from dingocar.parts.cameras._camera import Camera, fit

#: Where Linux lists its cameras.
DEVICES = Path("/dev")


class OpenCvCamera(Camera):
    """Outputs `cam/image_array`, `cam/age_s`; see `Camera`.

    The camera is asked for pictures of the wanted size and rate; what it gives instead is cut to the wanted
    proportions and scaled. OpenCV's BGR is turned into RGB.

    Args:
        index: 0 for the first camera; or a device (`/dev/video2`), a video file, or a stream's URL.
        image_shape: (height, width) of the pictures.
        rate_hz: pictures per second.
        hflip: mirror the picture.
        vflip: turn it upside down (with `hflip`: by 180 degrees).
        clock: what tells time; tests pass a fake.

    Raises:
        HardwareError: there is no such camera, or it cannot be used; the message names the fix.
        MissingExtraError: OpenCV is not installed.
    """

    #: A USB camera may lose a picture now and then; so many in a row are a failure.
    TRIES = 3

    def __init__(
        self,
        index: int | str = 0,
        image_shape: tuple[int, int] = (120, 160),
        rate_hz: float = 20.0,
        hflip: bool = False,
        vflip: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.index: int | str = int(index) if str(index).isdecimal() else index
        self._flips = hflip, vflip
        # A file is read as fast as one asks, and may rightly show the same twice.
        self.paced = self.still = isinstance(self.index, str) and Path(self.index).is_file()
        self._capture: Any = None
        super().__init__(image_shape, rate_hz, clock)

    def open(self) -> None:
        """Opens the device and asks it for the wanted size and rate."""
        cv2 = self._cv2 = _import_cv2()
        missing = self._missing()
        if missing is not None:  # OpenCV would only print that it cannot
            raise HardwareError(f"camera {self.index!r} cannot be opened: {missing}")
        height, width = self.image_shape
        self._capture = cv2.VideoCapture(self.index)
        if not self._capture.isOpened():
            raise HardwareError(f"camera {self.index!r} cannot be opened: {self._why()}")
        if not self.paced:
            for setting, value in (
                (cv2.CAP_PROP_FRAME_WIDTH, width),
                (cv2.CAP_PROP_FRAME_HEIGHT, height),
                (cv2.CAP_PROP_FPS, self.rate_hz),
                (cv2.CAP_PROP_BUFFERSIZE, 1),  # no old pictures in a queue
                (cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000),  # its own is ten seconds
            ):
                self._capture.set(setting, value)  # a device that cannot says nothing, and need not

    def read(self) -> Uint8Array | None:
        """Waits for the next picture; None at a video file's end.

        Raises:
            HardwareError: the camera gives none any more.
        """
        cv2, picture = self._cv2, None
        for _ in range(1 if self.paced else self.TRIES):
            try:
                good, picture = self._capture.read()
            except cv2.error as error:
                raise HardwareError(f"camera {self.index!r} failed: {error}") from error
            if good and picture is not None:
                break
        else:
            if self.paced and self.produced:
                return None
            raise HardwareError(f"camera {self.index!r} gives no pictures: {self._why()}")
        # A monochrome camera gives (h, w).
        code = cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB
        rgb = fit(cv2.cvtColor(picture, code), self.image_shape)
        hflip, vflip = self._flips
        if hflip or vflip:
            rgb = cv2.flip(rgb, -1 if hflip and vflip else int(hflip))
        image: Uint8Array = rgb
        return image

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()

    def _device(self) -> Path | None:
        """The device on Linux; None for a file or a stream."""
        if isinstance(self.index, int):
            return DEVICES / f"video{self.index}" if sys.platform == "linux" else None
        return Path(self.index) if self.index.startswith(f"{DEVICES}/") else None

    def _missing(self) -> str | None:
        """What to do about a device that is not there or may not be read; None: it is worth a try."""
        device = self._device()
        if device is None:
            if isinstance(self.index, int) or self.paced or "://" in self.index:
                return None
            return "there is no such file; expected a number, a device, a video file or a stream's URL"
        if not device.exists():
            known = sorted(path.name for path in DEVICES.glob("video*"))
            there = f"there are {', '.join(known)}; set CAMERA_INDEX" if known else "there is none at all"
            return f"there is no {device} ({there}, or plug it in and look at ls {DEVICES}/video*)"
        if not os.access(device, os.R_OK | os.W_OK):
            return f"this user may not read {device}: run sudo usermod -aG video $USER, log out and in again"
        return None

    def _why(self) -> str:
        """What to do about a camera that is there and does not work."""
        if self.paced:
            return "expected a video file that OpenCV can decode"
        if isinstance(self.index, str) and "://" in self.index:
            return "is the stream's address right, and does another player show it?"
        device = self._device() or "it"
        return self._missing() or (
            f"another program may hold {device} (fuser -v {device} names it), or it is no camera "
            "(v4l2-ctl --list-devices); for a Pi's ribbon cable camera set CAMERA = 'pi'"
        )


def _import_cv2() -> Any:
    """Imports OpenCV.

    Raises:
        MissingExtraError: it is not installed.
        HardwareError: it is, but does not start.
    """
    try:
        import cv2
    except ModuleNotFoundError:
        raise MissingExtraError("opencv-python-headless", "camera", "CAMERA = 'opencv'") from None
    except ImportError as error:
        raise HardwareError(
            f"OpenCV cannot be imported ({error}): run pip uninstall opencv-python, then pip install "
            "opencv-python-headless, which needs no display"
        ) from None
    return cv2
