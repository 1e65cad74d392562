"""What all cameras share: the thread that reads, what counts as a new picture, and how old it is."""

from __future__ import annotations

import logging
import math
import threading
from abc import ABC, abstractmethod

import numpy as np
from PIL import Image

from dingocar.clock import Clock, MonotonicClock
from dingocar.errors import HardwareError, UsageError
from dingocar.images import Uint8Array

logger = logging.getLogger(__name__)


class Camera(ABC):
    """A threaded part: outputs `cam/image_array`, `cam/age_s`.

    A subclass says how to `open`, `read` and `close` a device. It sets its own attributes first and calls
    `super().__init__` last, which opens the device: a camera that is missing is told before anything moves.

    A picture that equals the one before, pixel for pixel, is not a new one: a sensor's noise makes every
    picture differ, so a driver that repeats a picture has frozen. The age then grows as if nothing had come,
    and so it does while `read` hangs. In complete darkness a sensor may give equal pictures too; a car that
    sees nothing had better stop.

    Args:
        image_shape: (height, width) of the pictures.
        rate_hz: pictures per second.
        clock: what tells time; tests pass a fake.

    Attributes:
        produced: how many new pictures there were.
        still: equal pictures are new ones (no live sensor is behind them).
        paced: `read` returns at once, so the thread keeps to `rate_hz`; a sensor paces itself.

    Raises:
        HardwareError: the device cannot be opened; the message says what to do.
    """

    still = False
    paced = False
    #: How long `shutdown` waits for a read to end, before and after it interrupts it.
    PATIENCE_S = 0.5

    def __init__(
        self, image_shape: tuple[int, int] = (120, 160), rate_hz: float = 20.0, clock: Clock | None = None
    ) -> None:
        if min(image_shape) < 1 or not (rate_hz > 0 and math.isfinite(rate_hz)):
            raise UsageError(
                f"{type(self).__name__}: expected a picture size and a rate above 0, got "
                f"{image_shape[0]}x{image_shape[1]} at {rate_hz} Hz"
            )
        self.image_shape, self.rate_hz = image_shape, rate_hz
        self.produced = 0
        self._clock: Clock = clock or MonotonicClock()
        # The picture and its time in one object, so that the loop never gets a pair that does not belong
        # together.
        self._latest: tuple[Uint8Array, float] | None = None
        self._stopped = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._running = self._closed = False
        self.open()

    def open(self) -> None:  # noqa: B027 - a camera without a device has nothing to open
        """Starts the device.

        Raises:
            HardwareError: it cannot be used; the message names the fix.
        """

    @abstractmethod
    def read(self) -> Uint8Array | None:
        """Waits for the next picture.

        Returns:
            uint8 (H, W, 3) RGB of `image_shape`; None: there will be no more.

        Raises:
            HardwareError: the device failed.
        """

    def interrupt(self) -> None:  # noqa: B027 - not every device can
        """Makes a `read` that hangs in another thread return, where the device can do that."""

    def close(self) -> None:  # noqa: B027
        """Stops the device."""

    def update(self) -> None:
        """Reads until `shutdown()` or the last picture.

        Raises:
            HardwareError: the device failed, or gave something that is no picture of the right size.
        """
        with self._lock:
            if self._closed or self._stopped.is_set():
                return
            self._running = True
        try:
            self._read_on()
        except Exception:
            # What a read says that was interrupted because the drive is over interests nobody.
            if not self._stopped.is_set():
                raise
            logger.debug("%s: interrupted", type(self).__name__, exc_info=True)
        finally:
            self._close_once()
            self._ended.set()

    def run_threaded(self) -> tuple[Uint8Array | None, float]:
        """The newest picture (None before the first), and seconds since it came (inf before the first)."""
        latest = self._latest
        if latest is None:
            return None, math.inf
        return latest[0], max(self._clock.now_s() - latest[1], 0.0)

    def shutdown(self) -> None:
        """Ends the thread and closes the device; returns within `2 * PATIENCE_S`, also when a read hangs."""
        self._stopped.set()
        with self._lock:
            running = self._running
        if not running:
            self._close_once()
        elif not self._ended.wait(self.PATIENCE_S):
            self.interrupt()
            if not self._ended.wait(self.PATIENCE_S):
                logger.warning("%s hangs; it is left behind, not closed", type(self).__name__)

    def _read_on(self) -> None:
        due_s = self._clock.now_s()
        while not self._stopped.is_set():
            image = self.read()
            if image is None:
                logger.info("%s: there are no more pictures", type(self).__name__)
                return
            self._publish(self._checked(image))
            if self.paced:
                # Absolute, so that lateness does not add up; what was missed by far is not made up for.
                due_s = max(due_s + 1 / self.rate_hz, self._clock.now_s() - 1 / self.rate_hz)
                self._wait_until(due_s)

    def _checked(self, image: Uint8Array) -> Uint8Array:
        if (
            not isinstance(image, np.ndarray)
            or image.dtype != np.uint8
            or image.shape != (*self.image_shape, 3)
        ):
            got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise HardwareError(
                f"{type(self).__name__}: expected pictures of uint8 {(*self.image_shape, 3)}, got {got}; "
                "read() must return RGB of image_shape (see fit)"
            )
        return image

    def _publish(self, image: Uint8Array) -> None:
        last = self._latest
        if not self.still and last is not None and np.array_equal(image, last[0]):
            return
        self._latest = image, self._clock.now_s()
        self.produced += 1

    def _wait_until(self, due_s: float) -> None:
        """Waits in short steps, so that a slow camera too ends soon after `shutdown`."""
        while not self._stopped.is_set() and (left_s := due_s - self._clock.now_s()) > 0:
            self._clock.wait_s(min(left_s, 0.1))

    def _close_once(self) -> None:
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            self.close()


def fit(image: Uint8Array, shape: tuple[int, int]) -> Uint8Array:
    """Cuts the middle out of a picture and scales it to `shape` (height, width), undistorted.

    >>> fit(np.zeros((480, 640, 3), np.uint8), (120, 160)).shape
    (120, 160, 3)
    """
    height, width = image.shape[:2]
    if (height, width) == shape:
        return image
    scale = min(height / shape[0], width / shape[1])
    high, wide = max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
    top, left = (height - high) // 2, (width - wide) // 2
    # Pillow's bilinear filter is as wide as the reduction, so fine lines do not flicker.
    picture = Image.fromarray(image).resize(
        (shape[1], shape[0]), Image.Resampling.BILINEAR, (left, top, left + wide, top + high)
    )
    return np.asarray(picture).copy()
