"""Records and problems: what the readers of all tub versions return."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from dingocar.errors import ImageError, TubError
from dingocar.images import Uint8Array, decode_image, open_picture, read_picture

IMAGE_KEY = "cam/image_array"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a tub; what it concerns was skipped, the rest of the tub is usable.

    Attributes:
        kind: `manifest`, `catalog`, `catalog_manifest`, `line`, `duplicate`, `deleted`, `position`
            or `picture`.
        where: the file (and line) it is in, relative to the tub.
        what: what was expected and what was found.
    """

    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded moment.

    Attributes:
        index: its number in the tub; unique there.
        fields: the record as it is on disk: channel to JSON value (a picture's value is its file name),
            with the private `_index`, `_session_id` and `_timestamp_ms`.
        folder: the folder that holds its pictures.
    """

    index: int
    fields: dict[str, Any]
    folder: Path

    @property
    def steering(self) -> float:
        """`user/angle` in [-1, 1], +1 = right. TubError if the record has none."""
        return self._number("user/angle")

    @property
    def throttle(self) -> float:
        """`user/throttle` in [-1, 1], +1 = full ahead. TubError if the record has none."""
        return self._number("user/throttle")

    @property
    def mode(self) -> str:
        """`user/mode`: `user`, `local_angle` or `local`; `user` where none was recorded."""
        return str(self.fields.get("user/mode", "user"))

    @property
    def session_id(self) -> str | None:
        """The recording run this record belongs to, e.g. `26-11-20_0`."""
        value = self.fields.get("_session_id")
        return value if isinstance(value, str) else None

    @property
    def timestamp_ms(self) -> int | None:
        """When it was recorded, milliseconds since 1970 (UTC)."""
        value = self.fields.get("_timestamp_ms")
        return int(value) if is_finite_number(value) else None

    @property
    def simulated(self) -> bool | None:
        """The record's own `is-simulated` flag; None where it has none (then see `Tub.domain`)."""
        value = self.fields.get("is-simulated", self.fields.get("is_simulated"))
        return None if value is None else bool(value)

    def image_path(self, key: str = IMAGE_KEY) -> Path:
        """The file of the picture in channel `key`; it need not exist.

        Raises:
            ImageError: the record has no such picture, or its name would leave the tub's folder.
        """
        name = self.fields.get(key)
        if not isinstance(name, str):
            raise ImageError(f"record {self.index} in {self.folder}: has no picture {key!r}")
        if not is_plain_name(name):
            raise ImageError(
                f"record {self.index} in {self.folder}: expected a plain file name for {key!r}, "
                f"got {name[:80]!r}; not read, it could lie outside the tub"
            )
        return self.folder / name

    def image(self, key: str = IMAGE_KEY, size: tuple[int, int] | None = None) -> Uint8Array:
        """Decodes a picture.

        Args:
            key: the picture's channel.
            size: (height, width) to scale to; None keeps the picture's own.

        Returns:
            uint8 (H, W, 3) RGB.

        Raises:
            ImageError: it is missing, broken or too large.
        """
        return decode_image(self.image_path(key), size)

    def depth(self, key: str) -> npt.NDArray[np.uint16]:
        """Decodes a `gray16_array` picture (a depth map) to uint16 (H, W).

        Raises:
            ImageError: it is missing, broken, too large or no 16-bit picture.
        """
        path = self.image_path(key)
        with open_picture(read_picture(path), str(path)) as picture:
            if not picture.mode.startswith("I"):
                raise ImageError(f"{path}: expected a 16-bit picture, got mode {picture.mode}")
            return np.asarray(picture).astype(np.uint16)

    def _number(self, key: str) -> float:
        value = self.fields.get(key)
        if type(value) is float:  # the readers let no infinite ones through
            return value
        if not is_finite_number(value):
            raise TubError(f"record {self.index} in {self.folder}: has no number {key!r}: {value!r}")
        return float(value)


@dataclass
class Contents:
    """What a reader found in a tub; `Tub` shows it.

    Attributes:
        records: every readable record by index, deleted ones too, gap fillers left out.
        numbers: the index of every readable line, gap fillers too.
    """

    inputs: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    sessions: list[str] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    records: dict[int, Record] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def is_plain_name(name: str) -> bool:
    """Says whether `name` names a file in a folder and cannot leave it, on any system.

    >>> is_plain_name("0_cam_image_array_.jpg"), is_plain_name("../x.jpg"), is_plain_name("C:x")
    (True, False, False)
    """
    return name not in ("", ".", "..") and not any(char in name for char in "/\\:\0")


def bad_number(fields: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    """The first of `keys` whose value is there and is no finite number, or None."""
    for key in keys:
        value = fields.get(key, 0.0)
        if type(value) is float and -1e300 < value < 1e300:
            continue
        if value is not None and not is_finite_number(value):
            return key
    return None


def infer_inputs(records: Iterable[Record]) -> tuple[list[str], list[str]]:
    """Channels and types from the records themselves, for a tub that lost its manifest."""
    found: dict[str, str] = {}
    for record in records:
        for key, value in record.fields.items():
            if key not in found and not key.startswith("_"):
                found[key] = _infer_type(value)
    return list(found), list(found.values())


def _infer_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        endings = {".jpg": "image_array", ".png": "gray16_array"}
        return endings.get(Path(value).suffix, "str") if value[:1].isdigit() else "str"
    kinds: dict[type, str] = {int: "int", float: "float", list: "list"}
    return kinds.get(type(value), "str")


def is_finite_number(value: object) -> TypeGuard[float]:
    """Says whether `value` is a number that a float can hold."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # an int too large for a float
        return False
