"""The Raspberry Pi's ribbon cable camera, through picamera2."""

from __future__ import annotations

import atexit
import logging
from typing import Any

from dingocar.clock import Clock
from dingocar.errors import HardwareError
from dingocar.images import Uint8Array
from dingocar.parts.cameras._camera import Camera, fit

logger = logging.getLogger(__name__)

_CABLE = (
    "power off, push the ribbon cable in straight at both ends (contacts to contacts, latch closed), then "
    "see whether rpicam-hello --list-cameras shows it"
)


class PiCamera(Camera):
    """Outputs `cam/image_array`, `cam/age_s`; see `Camera`.

    The sensor runs at `rate_hz` (most reach 40) with its whole field of view; the image processor cuts the
    picture to the wanted proportions and scales it.

    Args:
        image_shape: (height, width) of the pictures.
        rate_hz: pictures per second.
        vflip: turn the picture upside down (with `hflip`: by 180 degrees).
        hflip: mirror it.
        index: which camera, where there are several.
        clock: what tells time; tests pass a fake.

    Raises:
        HardwareError: picamera2 or the camera is missing, or does not start; the message names the fix.
    """

    def __init__(
        self,
        image_shape: tuple[int, int] = (120, 160),
        rate_hz: float = 20.0,
        vflip: bool = False,
        hflip: bool = False,
        index: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.index = index
        self._flips = hflip, vflip
        self._camera: Any = None
        self._size = 0, 0
        super().__init__(image_shape, rate_hz, clock)

    def open(self) -> None:
        """Configures and starts the sensor."""
        device, transform = _import_picamera2()
        try:
            # Nothing attached shows as an IndexError, a camera in use as a RuntimeError.
            self._camera = device(self.index)
        except IndexError:
            raise HardwareError(f"camera {self.index} was not found: {_CABLE}") from None
        except Exception as error:
            raise HardwareError(
                f"camera {self.index} cannot be opened ({error}): end the other program that uses it "
                f"(fuser -v /dev/video* /dev/media*); if there is none, {_CABLE}"
            ) from error
        try:
            self._configure(transform)
            self._camera.start()
        except Exception as error:
            self.close()
            height, width = self.image_shape
            raise HardwareError(
                f"camera {self.index} does not start with {width}x{height} pixels at {self.rate_hz} Hz "
                f"({error}): try IMAGE_W = 160, IMAGE_H = 120, CAMERA_FRAMERATE = 20"
            ) from error

    def _configure(self, transform: Any) -> None:
        height, width = self.image_shape
        wide, high = self._camera.sensor_resolution
        duration_us = round(1e6 / self.rate_hz)
        hflip, vflip = self._flips
        configuration = self._camera.create_video_configuration(
            # In libcamera's names the bytes run from right to left: "BGR888" is R, G, B in memory.
            # Only even sizes are possible; align_configuration would narrow 160 to 128 on a Pi 5, while
            # capture_array takes a row's padding away just as well.
            main={"size": (width + width % 2, height + height % 2), "format": "BGR888"},
            # Half the sensor's size is its binned mode. Left to itself libcamera takes the one nearest to
            # our small picture, which on many sensors shows the middle of the scene only.
            raw={"size": (wide // 4 * 2, high // 4 * 2)},
            transform=transform(hflip=hflip, vflip=vflip),
            controls={"FrameDurationLimits": (duration_us, duration_us)},
            queue=False,  # the next picture, not one that has been lying there
        )
        self._camera.configure(configuration)
        got = self._camera.camera_configuration()["main"]
        if got["format"] != "BGR888":
            raise HardwareError(f"expected pictures in the format BGR888, got {got['format']}")
        self._size = got["size"]

    def read(self) -> Uint8Array:
        """Waits for the sensor's next picture.

        Raises:
            HardwareError: the camera failed.
        """
        try:
            picture = self._camera.capture_array("main")
        except Exception as error:
            raise HardwareError(f"camera {self.index} failed ({error}): {_CABLE}") from error
        wide, high = self._size
        # Older versions of picamera2 leave the padding of a row in the picture.
        return fit(picture[:high, :wide], self.image_shape)

    def interrupt(self) -> None:
        """Cancels a capture that waits for a picture that will not come."""
        camera = self._camera
        if camera is None:
            return
        # At exit picamera2 would wait behind the same capture, for ever.
        atexit.unregister(camera.close)
        cancel = getattr(camera, "cancel_all_and_flush", None)
        if cancel is not None:  # older versions cannot
            cancel()

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def _import_picamera2() -> tuple[Any, Any]:
    """Imports picamera2, which comes with Raspberry Pi OS and not from PyPI.

    Returns:
        `Picamera2` and `libcamera.Transform`.

    Raises:
        HardwareError: it is missing, or does not fit the other packages.
    """
    try:
        from libcamera import Transform
        from picamera2 import Picamera2
    except ImportError as error:
        raise HardwareError(
            f"CAMERA = 'pi' needs picamera2 of Raspberry Pi OS ({error}): run sudo apt install -y "
            "python3-picamera2, and make the venv with python3 -m venv --system-site-packages"
        ) from None
    except ValueError as error:  # the system's simplejpeg is built for numpy 1
        raise HardwareError(
            f"picamera2 cannot be imported ({error}): run pip install --upgrade simplejpeg in this venv"
        ) from None
    return Picamera2, Transform
