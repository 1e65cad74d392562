"""What an importer is, and what comes out of it: one sample per record."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from dingocar.errors import ImageError, TubError, UsageError
from dingocar.images import Uint8Array, open_picture, read_picture

#: Problems that are told one by one; the rest are counted.
MAX_TOLD = 20
#: (least, greatest) height and width that pictures are scaled to, in pixels.
SIDES_PX = (8, 4096)
#: Most records of one tub.
MAX_RECORDS = 5_000_000
#: A recording may list what it holds so many times over, and so many bytes more; see `Claims`.
MAX_TIMES_OVER = 8
FREE_BYTES = 1 << 26
#: What the smallest picture and its record take, in bytes.
RECORD_BYTES = 1024
#: Longest text that is looked at as a number.
MAX_NUMBER_CHARS = 1000

_ORIENTATION = 0x0112  # the EXIF tag that says how a camera was held


@dataclass(frozen=True)
class Settings:
    """What the formats want to know.

    Attributes:
        shape: (height, width) of the pictures; None: as they are.
        rate_hz: records per second where the recording has no times; None: what the format says.
        cameras: Udacity: `center`, or `all` three; None: `center`.
        side_steering: Udacity, of `all` cameras: what is added for the left one's picture, and taken away for
            the right one's; None: 0.2.
        as_logged: Duckietown: colours and pairs as they stand in the log; see there.
        quality: of the JPEGs that must be made, 1 to 95.

    Raises:
        UsageError: a value out of its limits.
    """

    shape: tuple[int, int] | None = None
    rate_hz: float | None = None
    cameras: str | None = None
    side_steering: float | None = None
    as_logged: bool = False
    quality: int = 95

    def __post_init__(self) -> None:
        low, high = SIDES_PX
        if self.shape is not None and not all(low <= side <= high for side in self.shape):
            raise UsageError(f"shape must be {low} to {high} pixels high and wide, got {self.shape}")
        if self.rate_hz is not None and not 0.1 <= self.rate_hz <= 1000:
            raise UsageError(f"rate must be 0.1 to 1000 Hz, got {self.rate_hz:g}")
        if self.cameras not in (None, "center", "all"):
            raise UsageError(f"cameras must be center or all, got {self.cameras!r}")
        if self.side_steering is not None and not 0 <= self.side_steering <= 1:
            raise UsageError(f"side steering must be 0 to 1, got {self.side_steering:g}")
        if self.side_steering is not None and self.cameras != "all":
            raise UsageError("side steering is of the side cameras; ask for them too: cameras all")


@dataclass(frozen=True)
class Sample:
    """One record to be.

    Attributes:
        picture: uint8 (H, W, 3) RGB, or the bytes of an RGB JPEG that was found to be whole.
        run: number of the recording run it belongs to; a new one begins a new session.
        steering, throttle: in [-1, 1]; both None: an unlabelled picture.
        time_s: seconds since 1970; None: one period after the last one.
        speed_mps: the car's speed, where known.
    """

    picture: Uint8Array | bytes
    run: int
    steering: float | None = None
    throttle: float | None = None
    time_s: float | None = None
    speed_mps: float | None = None


@dataclass
class Problems:
    """What was left out, and why.

    Attributes:
        count: how many rows or steps.
        lines: the first reasons.
    """

    count: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, text: str, count: int = 1) -> None:
        """Notes a reason for leaving out `count` rows."""
        self.count += count
        if len(self.lines) < MAX_TOLD:
            self.lines.append(text)

    @property
    def first(self) -> str:
        """The first reason, or nothing."""
        return self.lines[0] if self.lines else ""


#: Reads a source: (source, settings, problems, on_progress) to the samples in order.
Read = Callable[[Path, Settings, Problems, Callable[[float], None]], Iterator[Sample]]


@dataclass(frozen=True)
class Importer:
    """One format.

    Attributes:
        fits: says whether a source is of this format, by a look at it.
        read: reads it.
        expects: what a source of this format is, for messages.
        domain: `sim` or `real`, where the format says it.
        rate_hz: records per second where the recording has no times.
        rank: the lower, the earlier it is tried where the format is not given.
        options: names of the settings that mean something to this format alone.
    """

    fits: Callable[[Path], bool]
    read: Read
    expects: str
    domain: str | None = None
    rate_hz: float = 20.0
    rank: int = 0
    options: tuple[str, ...] = ()


class Claims:
    """Compares what a recording lists with what it holds: a small file that lists one picture a million times
    would fill the disk.

    Attributes:
        held: bytes that it holds, as far as it has been read.
    """

    def __init__(self, source: Path) -> None:
        self._source, self._listed = source, 0
        self._seen: set[str] = set()
        self.held = 0

    def add(self, size: int, file: str | None = None) -> None:
        """Counts a listed picture of `size` bytes; a `file` that was not listed before is held too.

        Raises:
            TubError: what is listed is far more than what is held.
        """
        size = max(size, RECORD_BYTES)
        self._listed += size
        if file is not None and file not in self._seen:
            self._seen.add(file)
            self.held += size
        if self._listed > MAX_TIMES_OVER * self.held + FREE_BYTES:
            raise TubError(
                f"{self._source}: lists the same pictures again and again: {self._listed} bytes so far, and "
                f"it holds {self.held}; leave the repetitions out"
            )


def load_picture(path: Path, shape: tuple[int, int] | None) -> Uint8Array | bytes:
    """Reads a picture's file and decodes it.

    Returns:
        The bytes of the file where it is an upright RGB JPEG of the right size, so that nothing is lost by
        coding it anew; otherwise uint8 (H, W, 3) RGB, turned upright as the camera says.

    Raises:
        ImageError: it is missing, broken, too large or a link.
    """
    if os.path.islink(path):  # Path's own raises where a name is too long
        raise ImageError(f"{path}: is a link; not read, it could lead out of the folder")
    raw = read_picture(path)
    with open_picture(raw, str(path)) as picture:
        turned = picture.getexif().get(_ORIENTATION, 1) != 1
        fits = shape is None or picture.size == (shape[1], shape[0])
        if picture.format == "JPEG" and picture.mode == "RGB" and fits and not turned:
            picture.load()  # or it is found to be broken here
            return raw
        upright = ImageOps.exif_transpose(picture) if turned else picture
        return fitted(np.asarray(upright.convert("RGB")), shape)


def size_of(picture: Uint8Array | bytes) -> int:
    """How many bytes a picture of `load_picture` has."""
    return len(picture) if isinstance(picture, bytes) else picture.nbytes


def fitted(image: Uint8Array, shape: tuple[int, int] | None) -> Uint8Array:
    """A picture scaled to a shape (bilinear, antialiased)."""
    if shape is None or image.shape[:2] == shape:
        return image
    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def number(text: object) -> float:
    """A finite number.

    Raises:
        ValueError: it is none.
    """
    if isinstance(text, str | bytes | bytearray) and len(text) > MAX_NUMBER_CHARS:
        raise ValueError(f"{text[:40]!r}... is no number")
    try:
        value = float(text)  # type: ignore[arg-type]
    except OverflowError:
        raise ValueError("an integer of more than 300 digits is no number that fits") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no finite number")
    return value
