"""From channel values to catalog lines and picture files."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from dingocar.errors import TubError
from dingocar.images import check_image, encode_jpeg
from dingocar.tub import format as fmt
from dingocar.tub.record import is_plain_name

_encode = json.JSONEncoder(allow_nan=False, sort_keys=True).encode
# A tub from somebody else may hold links: never write through one.
_PICTURE_FLAGS = (
    os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class Job(NamedTuple):
    """A record on its way to the disk.

    Attributes:
        line: its catalog line.
        pictures: file name and pixels of each picture.
    """

    line: bytes
    pictures: list[tuple[str, Pixels]]


class RecordEncoder:
    """Turns channel values into what is stored.

    Args:
        inputs: the channels.
        types: their types; see `dingocar.tub.format.TYPES`.
    """

    def __init__(self, inputs: Sequence[str], types: Sequence[str]) -> None:
        self._fields = list(zip(inputs, types, strict=True))

    def job(self, index: int, session_id: str, timestamp_ms: int, fields: Mapping[str, Any]) -> Job:
        """Encodes a record; the pictures are copied and encoded later.

        Raises:
            TubError: a value does not fit its type.
            ImageError: a picture is no uint8 (H, W, 3) array.
        """
        contents: dict[str, Any] = {
            "_index": index,
            "_session_id": session_id,
            "_timestamp_ms": timestamp_ms,
        }
        pictures: list[tuple[str, Pixels]] = []
        for key, kind in self._fields:
            value = fields.get(key)
            if value is None:
                continue
            if kind in fmt.IMAGE_TYPES:
                contents[key] = name = picture_name(index, key, kind)
                pictures.append((name, _picture(key, kind, value)))
            else:
                contents[key] = _plain(key, kind, value)
        try:
            return Job((_encode(contents) + "\n").encode(), pictures)
        except (TypeError, ValueError):
            for key, kind in self._fields:
                if key in contents:
                    _check_json(key, kind, contents[key])
            raise


def write_picture(path: Path, pixels: Pixels, quality: int) -> None:
    """Encodes a picture and writes it whole, or raises OSError and leaves nothing."""
    if pixels.dtype == np.uint16:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="png")
        raw = buffer.getvalue()
    else:
        raw = encode_jpeg(pixels.astype(np.uint8, copy=False), quality)
    try:
        descriptor = os.open(path, _PICTURE_FLAGS, 0o666)
        try:
            if os.write(descriptor, raw) != len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def picture_name(index: int, key: str, kind: str) -> str:
    """The file name of a picture, as Donkeycar makes it.

    >>> picture_name(7, "cam/image_array", "image_array")
    '7_cam_image_array_.jpg'
    """
    return f"{index}_{key.replace('/', '_')}_{fmt.IMAGE_TYPES[kind]}"


def check_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the metadata as a dict; TubError where JSON or a reader could not take it."""
    domain = metadata.get("domain")
    if domain is not None and domain not in fmt.DOMAINS:
        raise TubError(f"metadata domain: expected 'sim' or 'real', got {domain!r}")
    if fmt.SESSIONS in metadata:
        raise TubError(f"metadata {fmt.SESSIONS!r}: this key is for the words of later recordings; rename it")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(metadata), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TubError(f"metadata: expected what JSON can hold ({error})") from None
    return plain


def check_inputs(inputs: Sequence[str], types: Sequence[str]) -> None:
    """Raises TubError where channels and types do not make a tub."""
    if len(inputs) != len(types):
        raise TubError(f"expected one type per input, got {len(inputs)} inputs, {len(types)} types")
    unknown = sorted(set(types) - set(fmt.TYPES))
    if unknown:
        raise TubError(f"unknown type {unknown[0]!r}; known: {', '.join(fmt.TYPES)}")
    if len(set(inputs)) != len(inputs) or any(key.startswith("_") for key in inputs):
        raise TubError(f"inputs must differ and not start with '_', got {list(inputs)}")
    names = [
        picture_name(0, key, kind) for key, kind in zip(inputs, types, strict=True) if kind in fmt.IMAGE_TYPES
    ]
    if len(set(names)) != len(names) or not all(is_plain_name(name) for name in names):
        raise TubError(f"picture channels must give different, plain file names, got {names}")


def _picture(key: str, kind: str, value: Any) -> Pixels:
    """A copy of the pixels: the camera may write the next picture into the same array."""
    if kind != "gray16_array":  # "image" of Donkeycar's is the same on disk
        return check_image(value, key).copy()
    pixels = np.asarray(value)
    if pixels.dtype != np.uint16 or pixels.ndim != 2 or not pixels.size:
        raise TubError(f"{key}: expected a uint16 (H, W) array, got {pixels.dtype} {pixels.shape}")
    return pixels.copy()


def _plain(key: str, kind: str, value: Any) -> Any:
    try:
        if kind == "float":
            return float(value)
        if kind == "str":
            return str(value)
        if kind == "int":
            return int(value)
        if kind == "boolean":
            return bool(value)
        if kind == "nparray":
            return np.asarray(value).tolist()
        return [item.item() if isinstance(item, np.generic) else item for item in value]
    except (TypeError, ValueError, OverflowError):
        raise _wrong(key, kind, value) from None


def _check_json(key: str, kind: str, value: Any) -> None:
    try:
        _encode(value)
    except (TypeError, ValueError):
        raise _wrong(key, kind, value) from None


def _wrong(key: str, kind: str, value: Any) -> TubError:
    return TubError(f"{key}: expected {kind} with finite numbers, got {str(value)[:60]!r}")
