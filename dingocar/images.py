"""Pictures: uint8 (H, W, 3) RGB arrays, to and from JPEG, with sizes checked before decoding."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from dingocar.errors import ImageError

Uint8Array = npt.NDArray[np.uint8]

#: Largest picture that is decoded, in pixels: 4096 x 4096. Tubs come from other people.
MAX_PIXELS = 1 << 24


def check_image(image: object, where: str = "image") -> Uint8Array:
    """Returns `image` if it is a uint8 (H, W, 3) array.

    Raises:
        ImageError: it is something else; the message says what, and `where`.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f"{where}: expected a uint8 (H, W, 3) array, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
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
    name = f"picture of {len(source)} bytes" if isinstance(source, bytes) else str(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise ImageError(
                        f"{name}: {picture.width}x{picture.height} is larger than {MAX_PIXELS} "
                        "pixels; not decoded"
                    )
                rgb = picture.convert("RGB")
                if size is not None and rgb.size != (size[1], size[0]):
                    rgb = rgb.resize((size[1], size[0]), Image.Resampling.BILINEAR)
                return np.asarray(rgb)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{name}: no such picture") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: cannot be decoded ({error})") from None
