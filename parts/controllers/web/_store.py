"""What lies on the car's disk, for the page: tubs, their records, and pilots; read anew when they change."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dingocar.errors import DingocarError, ImageError, TubError
from dingocar.images import read_picture
from dingocar.parts.controllers.web._security import Refused
from dingocar.tub import Record, Tub, open_tub
from dingocar.tub import format as fmt
from dingocar.tub.tub import tub_version
from dingocar.zoo import read_card

logger = logging.getLogger(__name__)

#: Most ranges in one request.
MAX_RANGES = 1000
#: Tubs that are kept in memory.
MAX_OPEN = 4
_PICTURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PN": "image/png"}
_MODELS = (".keras", ".tflite", ".h5")
#: What of a tub's folder changes when its records do.
_SIGNS = ("", fmt.MANIFEST, fmt.IMAGES)

Stamp = tuple[Any, ...]


@dataclass
class _OpenTub:
    """A tub that was read, and all its records by index, deleted ones too."""

    stamp: Stamp
    tub: Tub
    records: dict[int, Record] = field(init=False)
    body: bytes | None = None

    def __post_init__(self) -> None:
        both = [*self.tub.records, *self.tub.deleted_records]
        self.records = {record.index: record for record in sorted(both, key=lambda record: record.index)}


class Tubs:
    """The tubs in a folder. All methods may be called from several threads; they may take a second.

    Args:
        folder: a tub, or a folder of tubs; None: there are none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._open: dict[str, _OpenTub] = {}
        self._lock = threading.Lock()

    def list(self) -> list[dict[str, Any]]:
        """Name, records, deleted, problems and whether it is being recorded, of each tub."""
        found = []
        for name, path in self._paths().items():
            try:
                tub = self._get(name, path).tub
            except (TubError, OSError) as error:
                logger.warning("%s", error)
                continue
            found.append(
                {
                    "name": name,
                    "records": len(tub),
                    "deleted": len(tub.deleted_records),
                    "problems": len(tub.problems),
                    "recording": is_recorded(path),
                }
            )
        return found

    def records(self, name: str) -> bytes:
        """All records of a tub as columns, in JSON.

        Raises:
            Refused: there is no such tub, or it cannot be read.
        """
        opened = self._find(name)
        if opened.body is None:
            records = list(opened.records.values())
            columns = {
                "name": name,
                "index": [record.index for record in records],
                "session": [record.session_id for record in records],
                "angle": [_number(record.fields.get("user/angle")) for record in records],
                "throttle": [_number(record.fields.get("user/throttle")) for record in records],
                "mode": [record.mode for record in records],
                "deleted": sorted(opened.records.keys() & opened.tub.deleted_indexes),
            }
            opened.body = json.dumps(columns, separators=(",", ":")).encode()
        return opened.body

    def picture(self, name: str, index: int, known: str = "") -> tuple[str, bytes | None, str]:
        """A record's picture as it lies on the disk.

        Args:
            name: of the tub.
            index: of the record.
            known: the tag of the picture that the page has already.

        Returns:
            its tag, its bytes (None if the page has them), and its media type.

        Raises:
            Refused: there is no such record, or no picture of it.
        """
        record = self._find(name).records.get(index)
        if record is None:
            raise Refused(404, f"tub {name}: no record {index}")
        try:
            path = record.image_path()
            if not path.is_file():  # a pipe would be waited for
                raise Refused(404, f"tub {name}: the picture of record {index} is missing")
            stat = path.stat()
            tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
            if tag == known:
                return tag, None, ""
            raw = read_picture(path)
        except (ImageError, OSError) as error:
            raise Refused(404, str(error)) from None
        kind = _PICTURES.get(raw[:3])
        if kind is None:
            raise Refused(404, f"tub {name}: the picture of record {index} is neither JPEG nor PNG")
        return tag, raw, kind

    def change(self, name: str, body: bytes, delete: bool) -> dict[str, int]:
        """Marks records as deleted, or brings them back.

        Args:
            name: of the tub.
            body: `{"ranges": [[first, last], ...]}`, indexes, both ends included.
            delete: or restore.

        Returns:
            `changed`: how many records that concerned; `deleted`: how many of the tub's are deleted now.

        Raises:
            Refused: no such tub or ranges, or the tub is being recorded.
        """
        ranges = parse_ranges(body)
        path = self._path(name)
        opened = self._find(name)
        marked = opened.tub.deleted_indexes
        chosen = {
            index
            for index in opened.records
            if (index in marked) != delete and any(first <= index <= last for first, last in ranges)
        }
        if is_recorded(path):
            raise Refused(409, f"tub {name} is being recorded; stop the recording, then change it")
        if chosen:
            try:
                tub = open_tub(path)
                (tub.delete if delete else tub.restore)(chosen)
            except TubError as error:
                raise Refused(409, str(error)) from None
        now = self._find(name)
        return {"changed": len(chosen), "deleted": len(now.tub.deleted_records)}

    def _paths(self) -> dict[str, Path]:
        """The tubs that there are, by name: nothing else can be asked for."""
        if self._folder is None or not self._folder.is_dir():
            return {}
        if _is_tub(self._folder):
            return {self._folder.resolve().name: self._folder}
        try:
            inside = sorted(path for path in self._folder.iterdir() if path.is_dir())
        except OSError as error:
            raise Refused(500, f"{self._folder}: cannot be read ({error.strerror})") from None
        return {path.name: path for path in inside if not path.name.startswith(".") and _is_tub(path)}

    def _path(self, name: str) -> Path:
        path = self._paths().get(name)
        if path is None:
            raise Refused(404, f"no tub {name[:80]!a}")
        return path

    def _find(self, name: str) -> _OpenTub:
        try:
            return self._get(name, self._path(name))
        except (TubError, OSError) as error:
            raise Refused(404, str(error)) from None

    def _get(self, name: str, path: Path) -> _OpenTub:
        stamp = _stamp(path)
        with self._lock:
            opened = self._open.pop(name, None)
            if opened is None or opened.stamp != stamp:
                opened = _OpenTub(stamp, open_tub(path))
            self._open[name] = opened  # the last one used is the last one
            while len(self._open) > MAX_OPEN:
                del self._open[next(iter(self._open))]
            return opened


class Models:
    """The pilots in the car's folder.

    Args:
        folder: None: there are none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._cards: dict[tuple[str, int, int], dict[str, Any]] = {}

    def list(self) -> list[dict[str, Any]]:
        """File name, pilot and image shape of each; null where the file does not say it."""
        if self._folder is None or not self._folder.is_dir():
            return []
        paths = sorted(path for path in self._folder.iterdir() if path.suffix in _MODELS and path.is_file())
        cards: dict[tuple[str, int, int], dict[str, Any]] = {}
        for path in paths:
            stat = path.stat()
            key = (path.name, stat.st_mtime_ns, stat.st_size)
            cards[key] = self._cards.get(key) or _card(path)
        self._cards = cards
        return list(cards.values())


def is_recorded(path: Path) -> bool:
    """Says whether somebody writes to the tub now."""
    try:
        with fmt.locked(path):
            return False
    except TubError:
        return True
    except OSError:
        return False


def parse_ranges(body: bytes) -> list[tuple[int, int]]:
    """The ranges in a request to delete or restore records.

    Raises:
        Refused: there are none.

    >>> parse_ranges(b'{"ranges": [[0, 9], [20, 20]]}')
    [(0, 9), (20, 20)]
    """
    try:
        wanted = json.loads(body)
    except (ValueError, RecursionError):
        wanted = None
    ranges = wanted.get("ranges") if isinstance(wanted, dict) and len(wanted) == 1 else None
    if not isinstance(ranges, list) or len(ranges) > MAX_RANGES:
        raise Refused(400, f'expected {{"ranges": [[first, last], ...]}}, at most {MAX_RANGES} of them')
    for item in ranges:
        whole = isinstance(item, list) and len(item) == 2 and all(fmt.is_index(end) for end in item)
        if not whole or item[0] > item[1]:
            raise Refused(400, f"expected a range [first, last] of record indexes, got {ascii(item)[:60]}")
    return [(first, last) for first, last in ranges]


def _is_tub(path: Path) -> bool:
    try:
        return tub_version(path) in (1, 2)
    except TubError:
        return False


def _stamp(path: Path) -> Stamp:
    """Changes whenever the tub's records do; cheap."""
    signs: list[Any] = []
    newest = fmt.catalogs_in(path)[-1:]
    for name in (*_SIGNS, *newest):
        try:
            stat = (path / name).stat()
        except OSError:
            signs.append(None)
        else:
            signs.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(signs)


def _number(value: Any) -> float | None:
    return round(float(value), 4) if type(value) in (int, float) else None


def _card(path: Path) -> dict[str, Any]:
    """What a file says of itself. A file of Donkeycar's says nothing that is quick to read."""
    card: dict[str, Any] = {}
    if path.suffix != ".h5":
        try:
            card = read_card(path)
        except (DingocarError, OSError) as error:
            logger.info("%s", error)
    return {"name": path.name, "pilot": card.get("pilot"), "image_shape": card.get("image_shape")}
