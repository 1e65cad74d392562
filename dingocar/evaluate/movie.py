"""A tub as a film: the pictures with the driver's steering and throttle, and a pilot's beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dingocar.errors import ImageError, MissingExtraError, TubError, UsageError
from dingocar.files import replacing
from dingocar.images import Uint8Array
from dingocar.tub import Record, Tub, open_tub

if TYPE_CHECKING:
    from dingocar.zoo import RunnablePilot

FORMATS = (".mp4", ".gif")
#: A GIF is put together in memory, and browsers choke on longer ones.
MAX_GIF_FRAMES = 2000
#: What common players still show.
MAX_SIDE = 4096
#: No car's loop is faster.
MAX_RATE_HZ = 120
#: Frames that are decoded, and driven by the pilot, at once.
_BATCH = 64

#: Blue and orange: also told apart by people who do not see red and green.
RECORDED = (64, 170, 255)
PILOT = (255, 159, 28)
_TEXT = (236, 239, 244)
_FAINT = (120, 128, 140)
_PANEL = (22, 25, 31)
_GROOVE = (48, 54, 64)

#: (steering, throttle), each in [-1, 1]; None: not known.
Command = tuple[float | None, float | None]


@dataclass(frozen=True)
class Movie:
    """What was made.

    Attributes:
        path: the film.
        frames: its pictures.
        skipped: records whose picture could not be read.
        rate_hz: pictures per second.
        codec: `h264`, `mpeg4` or `gif`.
        size: (width, height) in pixels.
    """

    path: Path
    frames: int
    skipped: int
    rate_hz: float
    codec: str
    size: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """The figures under plain names."""
        return {
            "path": str(self.path),
            "frames": self.frames,
            "skipped": self.skipped,
            "rate_hz": self.rate_hz,
            "seconds": self.frames / self.rate_hz,
            "codec": self.codec,
            "width": self.size[0],
            "height": self.size[1],
        }


def make_movie(
    tub: Path | str,
    out: Path,
    pilot: RunnablePilot | None = None,
    start: int | None = None,
    end: int | None = None,
    scale: int = 3,
    rate_hz: float | None = None,
    overlay: bool = True,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Movie:
    """Makes a film of a tub's live records.

    Args:
        tub: the tub's folder.
        out: `.mp4` (needs the movie extra) or `.gif`; replaced when it is whole, left alone otherwise.
        pilot: its commands are drawn beside the driver's.
        start, end: the first and the last record's index; None: the tub's own.
        scale: how many times larger than recorded.
        rate_hz: pictures per second; None: as they were recorded.
        overlay: draw the commands; else the pictures alone.
        on_progress: told how many records are done, of how many.

    Raises:
        UsageError: the arguments do not fit, or there is nothing to show.
        TubError: there is no tub.
        MissingExtraError: PyAV is not installed.
    """
    if out.suffix.lower() not in FORMATS:
        raise UsageError(f"--out {out}: expected a name that ends in .mp4 or .gif")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: {'is a folder' if out.is_dir() else 'its folder does not exist'}")
    records = _chosen(open_tub(tub), start, end)
    rate = recorded_rate_hz(records) if rate_hz is None else rate_hz
    gif = out.suffix.lower() == ".gif"
    if gif and len(records) > MAX_GIF_FRAMES:
        raise UsageError(
            f"--out {out}: {len(records)} pictures are too many for a GIF (at most {MAX_GIF_FRAMES}); choose "
            "some with --start and --end, or make an .mp4"
        )
    frames = _Frames(records, pilot, scale, overlay, on_progress)
    with replacing(out) as temporary:
        rate, codec = (_write_gif if gif else _write_mp4)(temporary, frames, rate)
    return Movie(out, frames.shown, frames.skipped, rate, codec, frames.size)


def recorded_rate_hz(records: Sequence[Record], default: float = 20.0) -> float:
    """Pictures per second by the records' times; pauses do not count.

    Args:
        records: in order.
        default: where they have no times, or those of a conversion, milliseconds apart.
    """
    times = [time for record in records if (time := record.timestamp_ms) is not None]
    gaps = [after - before for before, after in pairwise(times) if after > before]
    median = float(np.median(gaps)) if gaps else 0.0
    if median < 1000 / MAX_RATE_HZ:
        return default
    # The times are whole milliseconds, so a mean says more than the median; lost records are left out of it.
    mean = float(np.mean([gap for gap in gaps if 0.5 * median <= gap <= 1.5 * median]))
    return max(round(1000 / mean, 1), 1.0)


def _chosen(tub: Tub, start: int | None, end: int | None) -> list[Record]:
    low, high = (-math.inf if start is None else start), (math.inf if end is None else end)
    records = [record for record in tub if low <= record.index <= high]
    if records:
        return records
    if not len(tub):
        raise UsageError(f"{tub.path}: the tub has no live records to show")
    raise UsageError(
        f"{tub.path}: there is no live record from --start {'...' if start is None else start} to --end "
        f"{'...' if end is None else end}; expected indexes from {tub[0].index} to {tub[-1].index}"
    )


class _Frames:
    """The film's pictures one after another, and what became of the records.

    Attributes:
        shown, skipped: pictures so far, and records without a readable one.
        size: (width, height) of the pictures, even numbers; known after the first.
    """

    def __init__(
        self,
        records: Sequence[Record],
        pilot: RunnablePilot | None,
        scale: int,
        overlay: bool,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._records, self._pilot, self._scale, self._overlay = records, pilot, scale, overlay
        self._on_progress = on_progress
        self.shown = self.skipped = 0
        self.size = 0, 0

    def __iter__(self) -> Iterator[Image.Image]:
        shape: tuple[int, int] | None = None
        for at in range(0, len(self._records), _BATCH):
            batch = []
            for record in self._records[at : at + _BATCH]:
                try:
                    image = record.image(size=shape)
                except ImageError:
                    self.skipped += 1
                    continue
                shape = shape or image.shape[:2]  # a film has one size
                batch.append((record, image))
            for (record, image), prediction in zip(batch, self._predictions(batch), strict=True):
                frame = self._frame(record, image, prediction)
                self.shown += 1
                self.size = frame.size
                yield frame
                self._on_progress(self.shown + self.skipped, len(self._records))
        if not self.shown:
            raise UsageError(
                f"not one of the {self.skipped} pictures can be read; run dingocar tub check on this tub"
            )

    def _predictions(self, batch: list[tuple[Record, Uint8Array]]) -> list[Command]:
        if self._pilot is None or not batch:
            return [(None, None)] * len(batch)
        height, width, _ = self._pilot.image_shape
        images = [
            image if image.shape[:2] == (height, width) else record.image(size=(height, width))
            for record, image in batch
        ]
        steering, throttle = self._pilot.run_batch(np.stack(images))
        return [(float(s), float(t)) for s, t in zip(steering, throttle, strict=True)]

    def _frame(self, record: Record, image: Uint8Array, prediction: Command) -> Image.Image:
        height, width = image.shape[:2]
        size = (_even(width * self._scale), _even(height * self._scale))
        if max(size) > MAX_SIDE:
            raise UsageError(
                f"--scale {self._scale}: {size[0]}x{size[1]} is too large for a film (at most {MAX_SIDE})"
            )
        picture = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
        if not self._overlay:
            return picture
        return draw(picture, record, commands_of(record), None if self._pilot is None else prediction)


def commands_of(record: Record) -> Command:
    """What the driver did, as far as the record says it."""

    def number(key: str) -> float | None:
        try:
            return float(getattr(record, key))
        except TubError:
            return None

    return number("steering"), number("throttle")


def draw(picture: Image.Image, record: Record, recorded: Command, predicted: Command | None) -> Image.Image:
    """Draws the steering onto a picture, and steering and throttle as bars on a panel below it.

    Args:
        picture: at its final size; it is drawn on.
        record: what it is of.
        recorded: the driver's commands.
        predicted: the pilot's; None: there is no pilot.

    Returns:
        a picture of the same width and, with the panel, a greater height; both even.
        One too narrow for letters gets no panel.
    """
    width, height = picture.size
    unit = max(9, width // 34)  # the height of a letter
    panel = _even(round(unit * 5.6)) if width >= 16 * unit else 0  # too narrow for letters
    image = Image.new("RGB", (width, height + panel), _PANEL)
    image.paste(picture)
    if predicted is not None:
        # Wider, so that it is still seen where both agree.
        _pointer(image, width, height, predicted[0], PILOT, max(4, width // 60))
    _pointer(image, width, height, recorded[0], RECORDED, max(2, width // 110))
    if not panel:
        return image
    pen = ImageDraw.Draw(image)
    _caption(pen, width, height, unit, record, with_pilot=predicted is not None)
    for row, name in enumerate(("steering", "throttle")):
        top = height + round(unit * (2.1 + 1.75 * row))
        _bars(pen, width, top, unit, name, recorded[row], None if predicted is None else predicted[row])
    return image


def _pointer(
    image: Image.Image, width: int, height: int, steering: float | None, colour: Any, thick: int
) -> None:
    """A line from the car's nose towards where it steers; drawn large and scaled down, so it is smooth."""
    if steering is None:
        return
    length, fine = height * 0.36, 3
    angle = max(-1.0, min(1.0, steering)) * math.radians(60)
    mask = Image.new("L", (width * fine, round(length * 1.1) * fine))
    foot = (width / 2 * fine, mask.height - thick * fine)
    tip = (foot[0] + math.sin(angle) * length * fine, foot[1] - math.cos(angle) * length * fine)
    pen = ImageDraw.Draw(mask)
    for radius, shade in ((thick * fine, 110), (thick * fine * 0.6, 255)):  # a dark edge, then the line
        pen.line((foot, tip), fill=shade, width=round(radius * 2))
        for x, y in (foot, tip):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
    small = mask.resize((width, mask.height // fine), Image.Resampling.BOX)
    at = (0, height - small.height)
    image.paste((0, 0, 0), at, small.point(lambda value: min(value, 110)))
    image.paste(colour, at, small.point(lambda value: max(0, (value - 110) * 255 // 145)))


def _caption(
    pen: ImageDraw.ImageDraw, width: int, top: int, unit: int, record: Record, with_pilot: bool
) -> None:
    """Index and mode on the left, what the colours mean on the right."""
    font, y, margin = _font(unit), top + unit * 0.95, unit
    pen.text((margin, y), f"#{record.index}", _TEXT, font, anchor="lm")
    after = margin + pen.textlength(f"#{record.index}  ", font)
    pen.text((after, y), record.mode[:16], _FAINT, font, anchor="lm")
    x: float = width - margin
    for name, colour in [("pilot", PILOT)] * with_pilot + [("recorded", RECORDED)]:
        pen.text((x, y), name, _TEXT, font, anchor="rm")
        x -= pen.textlength(name, font) + unit * 0.9
        pen.ellipse((x, y - unit * 0.3, x + unit * 0.6, y + unit * 0.3), colour)
        x -= unit * 0.9


def _bars(
    pen: ImageDraw.ImageDraw,
    width: int,
    top: int,
    unit: int,
    name: str,
    recorded: float | None,
    predicted: float | None,
) -> None:
    """One bar for the driver and one for the pilot below it, both from the middle outwards."""
    font, small = _font(unit), _font(max(8, round(unit * 0.85)))
    left, right = unit * 6.2, width - unit * (7.1 if predicted is not None else 4.2)
    middle, half = (left + right) / 2, (right - left) / 2
    y = top + unit * 0.7
    pen.text((unit, y), name, _FAINT, font, anchor="lm")
    pen.rectangle((left, top, right, top + unit * 1.4), _GROOVE)
    rows = [(recorded, RECORDED)] + ([(predicted, PILOT)] if predicted is not None else [])
    high = unit * 1.4 / len(rows)
    for row, (value, colour) in enumerate(rows):
        if value is not None:
            x = middle + max(-1.0, min(1.0, value)) * half
            box = (min(x, middle), top + row * high, max(x, middle), top + (row + 1) * high)
            pen.rectangle(box, colour)
        text = "  --" if value is None else f"{value:+.2f}"
        pen.text((right + unit * (3.2 + 2.9 * row), y), text, colour, small, anchor="rm")
    pen.line((middle, top - unit * 0.15, middle, top + unit * 1.55), _TEXT, 1)


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _even(pixels: int) -> int:
    """The next even number: h264 and mpeg4 take no others."""
    return pixels + pixels % 2


def _write_gif(path: Path, frames: _Frames, rate_hz: float) -> tuple[float, str]:
    """Writes an endless GIF; its frames last hundredths of a second."""
    duration_ms = max(2, round(100 / rate_hz)) * 10
    images = (frame.quantize(128, dither=Image.Dither.NONE) for frame in frames)
    first = next(images)
    first.save(path, "GIF", save_all=True, append_images=images, duration=duration_ms, loop=0)
    return 1000 / duration_ms, "gif"


def _write_mp4(path: Path, frames: _Frames, rate_hz: float) -> tuple[float, str]:
    """Writes an MP4 that browsers and phones play."""
    try:
        import av
    except ImportError:
        raise MissingExtraError("av", "movie", "an .mp4 (a .gif does not)") from None
    rate = Fraction(rate_hz).limit_denominator(1000)
    codec, options = "mpeg4", {"qscale": "3"}
    if "libx264" in av.codecs_available:
        codec, options = "libx264", {"crf": "18", "preset": "veryfast"}
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream: Any = None
            for frame in frames:
                if stream is None:
                    stream = container.add_stream(codec, rate=rate, options=options)
                    stream.width, stream.height = frame.size
                    stream.pix_fmt = "yuv420p"
                container.mux(stream.encode(av.VideoFrame.from_image(frame)))
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise UsageError(f"the film cannot be written ({error.strerror or error})") from error
    return float(rate), "h264" if codec == "libx264" else codec
