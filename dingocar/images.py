"""Pictures: uint8 (H, W, 3) RGB arrays, to and from JPEG, with sizes checked before decoding."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from dingocar.errors import ImageError

Uint8Array = npt.NDArray[np.uint8]

#: Largest picture that is decoded, in pixels: 4096 x 4096. Tubs come from other people.
MAX_PIXELS = 1 << 24
#: Largest picture file that is read, in bytes: more than `MAX_PIXELS` take uncompressed.
MAX_FILE_BYTES = 1 << 26

# What Pillow raises over a damaged file.
_DECODING_ERRORS = (
    *(OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, LookupError),
    *(struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning),
)


def check_image(image: object, where: str = "image") -> Uint8Array:
    """Returns `image` if it is a uint8 (H, W, 3) array with at least one pixel.

    Raises:
        ImageError: it is something else; the message says what, and `where`.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f"{where}: expected a uint8 (H, W, 3) array, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"{where}: expected a uint8 (H, W, 3) array, got {image.dtype} {image.shape}")
    return image


def encode_jpeg(image: Uint8Array, quality: int = 75) -> bytes:
    """Encodes a uint8 (H, W, 3) RGB array as JPEG (75 is Pillow's and Donkeycar's quality).

    >>> encode_jpeg(np.zeros((2, 2, 3), np.uint8))[:2]
    b'\\xff\\xd8'
    """
    buffer = io.BytesIO()
    Image.fromarray(check_image(image)).save(buffer, format="jpeg", quality=quality)
    return buffer.getvalue()


def decode_image(source: bytes | Path | str, size: tuple[int, int] | None = None) -> Uint8Array:
    """Decodes a JPEG or PNG to a uint8 (H, W, 3) RGB array.

    Args:
        source: the file's bytes, or its path.
        size: (height, width) to scale to (bilinear, antialiased); None keeps the picture's own.

    Raises:
        ImageError: no picture, a broken or truncated one, or one of more than `MAX_PIXELS`.
    """
    if isinstance(source, bytes):
        raw, name = source, f"picture of {len(source)} bytes"
    else:
        raw, name = read_picture(source), str(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with open_picture(raw, name) as picture:
            rgb = picture.convert("RGB")
            if size is not None and rgb.size != (size[1], size[0]):
                rgb = rgb.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(rgb)


def read_picture(path: Path | str) -> bytes:
    """Reads a picture's file, without decoding it.

    Raises:
        ImageError: it is missing, cannot be read, or is larger than `MAX_FILE_BYTES`.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such picture") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read ({error})") from None
    if len(raw) > MAX_FILE_BYTES:
        raise ImageError(f"{path}: is larger than {MAX_FILE_BYTES} bytes; not decoded")
    return raw


@contextlib.contextmanager
def open_picture(raw: bytes, name: str) -> Iterator[Image.Image]:
    """Opens a JPEG or PNG of at most `MAX_PIXELS`; Pillow decodes it when the pixels are asked for.

    Args:
        raw: the file's bytes.
        name: what the messages call it.

    Raises:
        ImageError: it is of another format, broken, truncated or too large; also for what is raised
            while it is decoded inside the block.
    """
    try:
        # Pillow knows dozens of formats, and each decoder is code that a stranger's file reaches.
        with Image.open(io.BytesIO(raw), formats=("JPEG", "PNG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ImageError(
                    f"{name}: {picture.width}x{picture.height} is larger than {MAX_PIXELS} pixels; "
                    "not decoded"
                )
            yield picture
    except UnidentifiedImageError:
        raise ImageError(f"{name}: cannot be decoded (expected a JPEG or PNG)") from None
    except _DECODING_ERRORS as error:
        raise ImageError(f"{name}: cannot be decoded ({error})") from None
