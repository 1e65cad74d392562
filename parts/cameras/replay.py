"""A recording in the place of the camera: a folder of pictures, or a tub."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from dingocar.clock import Clock
from dingocar.errors import ImageError, TubError, UsageError
from dingocar.images import Uint8Array, decode_image
from dingocar.parts.cameras._camera import Camera
from dingocar.tub import open_tub

logger = logging.getLogger(__name__)

_ENDINGS = (".jpg", ".jpeg", ".png")


class ReplayCamera(Camera):
    """Outputs `cam/image_array`, `cam/age_s`: the pictures of a recording in turn; see `Camera`.

    The live records of a tub in the order of their index, or the JPEG and PNG files of a folder in natural
    order (`2.jpg` before `10.jpg`). Pictures of another size are scaled, as they are for training. A broken
    one is left out with a line in the log.

    Args:
        path: the tub or the folder.
        image_shape: (height, width) of the pictures.
        rate_hz: pictures per second.
        loop: start again after the last picture; else the thread ends there.
        clock: what tells time; tests pass a fake.

    Raises:
        UsageError: there is no such folder, or no picture in it.
        TubError: the tub cannot be read.
    """

    still = True
    paced = True

    def __init__(
        self,
        path: Path | str,
        image_shape: tuple[int, int] = (120, 160),
        rate_hz: float = 20.0,
        loop: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.path, self.loop = Path(path).expanduser(), loop
        self.files = find_pictures(self.path)
        self._at = 0
        super().__init__(image_shape, rate_hz, clock)

    def read(self) -> Uint8Array | None:
        """The next picture that can be decoded; None after the last one.

        Raises:
            ImageError: not one of the pictures can be decoded.
        """
        broken = 0
        while broken < len(self.files):
            if self._at == len(self.files):
                if not self.loop:
                    return None
                self._at = 0
            file = self.files[self._at]
            self._at += 1
            try:
                return decode_image(file, self.image_shape)
            except ImageError as error:
                logger.warning("left out: %s", error)
                broken += 1
        raise ImageError(f"{self.path}: not one of its {broken} pictures can be decoded")


def find_pictures(path: Path) -> list[Path]:
    """The files of a tub's or a folder's pictures, in the order in which they were taken.

    Raises:
        UsageError: there is no such folder, or no picture in it.
        TubError: the tub cannot be read.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "no such folder"
        raise UsageError(f"{path}: {what}; expected a tub, or a folder with .jpg or .png pictures to replay")
    try:
        tub = open_tub(path)
    except TubError:
        files = [file for file in path.iterdir() if file.suffix.lower() in _ENDINGS and file.is_file()]
        if not files:
            raise
        return sorted(files, key=lambda file: natural(file.name))
    files = []
    for record in tub:
        try:
            files.append(record.image_path())
        except ImageError as error:
            logger.warning("left out: %s", error)
    if not files:
        raise UsageError(f"{path}: the tub has no record with a picture to replay")
    return files


def natural(name: str) -> list[tuple[bool, int, str]]:
    """A key that sorts numbers inside names by their value.

    >>> sorted(["img10.jpg", "img2.jpg", "a.jpg"], key=natural)
    ['a.jpg', 'img2.jpg', 'img10.jpg']
    """
    bits = re.findall(r"\d+|\D+", name)
    return [(bit[0].isdecimal(), int(bit) if bit[0].isdecimal() else 0, bit) for bit in bits]
