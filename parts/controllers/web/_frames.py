"""Pictures from the car to the server through shared memory: a copy for the loop, no waiting, no socket.

A file mapped by both processes: a header and two places for a picture. The car writes to the place that is
not the newest and then says that it is; the server copies the newest and looks whether it was overwritten
meanwhile. Neither waits for the other.
"""

from __future__ import annotations

import mmap
import os
import tempfile

import numpy as np
import numpy.typing as npt

Uint8Array = npt.NDArray[np.uint8]

#: Words of the header: pictures so far, viewers, then height and width of each place.
_COUNT, _VIEWERS, _SHAPES = 0, 1, 2
_HEADER = np.dtype(np.uint64).itemsize * 8


class Frames:
    """One end of the exchange.

    Args:
        descriptor: of the file that `make` made; the server's process inherits it.

    Attributes:
        descriptor: the same.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, 0)
        self._words = np.frombuffer(self._map, np.uint64, 8)
        size = (len(self._map) - _HEADER) // 2
        self._places = [np.frombuffer(self._map, np.uint8, size, _HEADER + size * i) for i in (0, 1)]

    @classmethod
    def make(cls, image_shape: tuple[int, int]) -> Frames:
        """Makes the file, for pictures of up to (height, width).

        It has no name any more, so nothing is left of it however the processes end.
        """
        memory = "/dev/shm"  # no wear on an SD card; elsewhere the system's folder for such files
        handle, path = tempfile.mkstemp(
            prefix="dingocar-frames-", dir=memory if os.access(memory, os.W_OK) else None
        )
        os.unlink(path)
        os.truncate(handle, _HEADER + 2 * 3 * image_shape[0] * image_shape[1])
        return cls(handle)

    @property
    def viewers(self) -> int:
        """How many look; the server says so."""
        return int(self._words[_VIEWERS])

    @viewers.setter
    def viewers(self, count: int) -> None:
        self._words[_VIEWERS] = count

    @property
    def count(self) -> int:
        """Pictures written so far."""
        return int(self._words[_COUNT])

    def write(self, image: Uint8Array) -> bool:
        """Copies a uint8 (H, W, 3) picture; False if it is none, or larger than the places."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            return False
        if image.size > self._places[0].size:
            return False
        count = int(self._words[_COUNT]) + 1
        place = count % 2
        height, width, _ = image.shape
        self._places[place][: image.size].reshape(image.shape)[:] = image
        self._words[_SHAPES + 2 * place : _SHAPES + 2 * place + 2] = height, width
        self._words[_COUNT] = count
        return True

    def read(self) -> Uint8Array | None:
        """A copy of the newest picture, or None when there is none yet."""
        for _ in range(3):
            count = self.count
            place = count % 2
            height, width = (int(word) for word in self._words[_SHAPES + 2 * place : _SHAPES + 2 * place + 2])
            size = height * width * 3
            if count == 0 or not 0 < size <= self._places[place].size:
                return None
            image = self._places[place][:size].copy().reshape(height, width, 3)
            if self.count == count:  # else the car may have begun to write to this place again
                return image
        return image  # torn, at worst: it is looked at by a person, and the next one comes at once

    def close(self) -> None:
        """Closes the file; the memory stays until the last who uses it has gone."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
