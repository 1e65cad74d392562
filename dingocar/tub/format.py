"""The files of a tub v2 (Donkeycar 4 and 5): manifest, catalogs, catalog manifests, the lock.

A tub is a folder with `manifest.json` (five JSON lines: inputs, types, metadata, sessions, catalogs),
`catalog_N.catalog` (one JSON record per line), `catalog_N.catalog_manifest` (one JSON line with the
length of every line) and `images/`. Written byte for byte as Donkeycar 5.3.0 writes them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from dingocar.errors import TubError
from dingocar.files import lock_folder, parse_json, unlock
from dingocar.tub.record import Problem, is_plain_name

MANIFEST = "manifest.json"
IMAGES = "images"
MAX_LEN = 1000
#: Longest line and largest manifest that are read. Tubs come from other people.
MAX_LINE_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 1 << 26
MAX_INDEX = 10**12
DOMAINS = ("sim", "real")
#: Key in the metadata: session id -> what a later recording says that the tub does not.
SESSIONS = "sessions"
TYPES = (
    *("float", "str", "int", "boolean", "nparray", "list", "vector"),
    *("image_array", "gray16_array"),
)
IMAGE_TYPES = {"image_array": ".jpg", "gray16_array": ".png", "image": ".jpg"}

_CATALOG = re.compile(r"catalog_(\d{1,9})\.catalog")


@dataclass
class Manifest:
    """The contents of `manifest.json`.

    Attributes:
        inputs: the channels of a record.
        types: their types, in the same order; see `TYPES`.
        metadata: the user's words on the tub; `domain` is `sim` or `real`.
        header: `created_at` and `sessions`.
        catalogs: file names of the catalogs, in order.
        current_index: index of the next record.
        max_len: records per catalog.
        deleted: indexes marked as deleted.
        complete: all five lines could be read.
    """

    inputs: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    catalogs: list[str] = field(default_factory=list)
    current_index: int = 0
    max_len: int = MAX_LEN
    deleted: set[int] = field(default_factory=set)
    complete: bool = True

    @property
    def sessions(self) -> list[str]:
        """The ids of the sessions that ended in an orderly way."""
        known = self.header.get("sessions")
        ids = known.get("all_full_ids") if isinstance(known, dict) else None
        return [item for item in ids if isinstance(item, str)] if isinstance(ids, list) else []

    def add_session(self, number: int, session_id: str) -> None:
        """Adds a session as Donkeycar does."""
        ids = [*self.sessions, session_id]
        self.header["sessions"] = {
            "all_full_ids": ids,
            "last_id": number,
            "last_full_id": session_id,
        }

    def head(self) -> str:
        """The first four lines."""
        parts = (self.inputs, self.types, self.metadata, self.header)
        return "".join(json.dumps(part) + "\n" for part in parts)

    def tail(self, deleted: str) -> str:
        """The fifth line; `deleted` is the JSON list of the deleted indexes (slow for long ones)."""
        line = json.dumps(
            {
                "paths": self.catalogs,
                "current_index": self.current_index,
                "max_len": self.max_len,
            }
        )
        return f'{line[:-1]}, "deleted_indexes": {deleted}}}\n'

    def text(self) -> str:
        """The whole file."""
        return self.head() + self.tail(json.dumps(sorted(self.deleted)))


def read_manifest(folder: Path, problems: list[Problem]) -> Manifest:
    """Reads as much of a manifest as can be read; what cannot is added to `problems`."""
    manifest = Manifest()

    def complain(what: str) -> None:
        manifest.complete = False
        problems.append(Problem("manifest", MANIFEST, what))

    try:
        with open(folder / MANIFEST, "rb") as file:
            raw = file.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        complain("is missing; the catalogs in the folder are read instead")
        return manifest
    except OSError as error:
        complain(f"cannot be read ({error.strerror}); the catalogs in the folder are read instead")
        return manifest
    if len(raw) > MAX_MANIFEST_BYTES:
        complain(f"is larger than {MAX_MANIFEST_BYTES} bytes; not read")
        return manifest
    lines = raw.split(b"\n")
    readers: list[tuple[str, type, Callable[[Any], None]]] = [
        ("inputs", list, lambda value: setattr(manifest, "inputs", _texts(value))),
        ("types", list, lambda value: setattr(manifest, "types", _texts(value))),
        ("metadata", dict, lambda value: setattr(manifest, "metadata", value)),
        ("sessions", dict, lambda value: setattr(manifest, "header", value)),
        ("catalogs", dict, lambda value: _read_tail(manifest, value, problems)),
    ]
    for number, (name, kind, store) in enumerate(readers):
        try:
            value = parse_json(lines[number]) if number < len(lines) else None
            if not isinstance(value, kind):
                raise ValueError(f"expected a JSON {kind.__name__}")
            store(value)
        except ValueError:
            complain(f"line {number + 1} ({name}) is lost or broken")
    if len(manifest.inputs) != len(manifest.types):
        complain(f"has {len(manifest.inputs)} inputs but {len(manifest.types)} types")
        manifest.inputs = manifest.types = []
    return manifest


def _texts(value: list[Any]) -> list[str]:
    if not all(isinstance(item, str) for item in value):
        raise ValueError("expected names")
    return value


def _read_tail(manifest: Manifest, value: dict[str, Any], problems: list[Problem]) -> None:
    paths, deleted = value.get("paths"), value.get("deleted_indexes", [])
    current, max_len = value.get("current_index"), value.get("max_len", MAX_LEN)
    if not isinstance(paths, list) or not isinstance(deleted, list):
        raise ValueError("expected lists")
    if not is_index(current) or not is_index(max_len) or max_len < 1:
        raise ValueError("expected whole numbers")
    manifest.current_index, manifest.max_len = current, max_len
    manifest.deleted = {item for item in deleted if is_index(item)}
    if len(manifest.deleted) < len(deleted):
        count = len(deleted) - len(manifest.deleted)
        what = f"deleted_indexes has {count} entries that are no index or stand there twice"
        problems.append(Problem("deleted", MANIFEST, what))
    for name in paths:
        if isinstance(name, str) and is_plain_name(name):
            manifest.catalogs.append(name)
        else:
            what = f"expected a catalog's plain file name, got {str(name)[:80]!r}; not read"
            problems.append(Problem("catalog", MANIFEST, what))


def is_index(value: object) -> TypeGuard[int]:
    """Says whether `value` can be a record's index."""
    return type(value) is int and 0 <= value < MAX_INDEX


def catalog_number(name: str) -> int:
    """The N of `catalog_N.catalog`; -1 for another name."""
    match = _CATALOG.fullmatch(name)
    return int(match[1]) if match else -1


def catalogs_in(folder: Path) -> list[str]:
    """The names of all catalogs that lie in `folder`, in order; links to nowhere are none."""
    names = (path.name for path in folder.glob("catalog_*.catalog") if os.path.isfile(path))
    return sorted((name for name in names if catalog_number(name) >= 0), key=catalog_number)


def catalog_lines(path: Path) -> Iterator[bytes | None]:
    """Yields the lines of a catalog with their newline; None for one over `MAX_LINE_BYTES`."""
    with open(path, "rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
                yield line
                continue
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES)
            yield None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def parse_line(line: bytes | None) -> dict[str, Any]:
    """Decodes one catalog line.

    Raises:
        ValueError: it is no record; the text says why.
    """
    if line is None:
        raise ValueError(f"is longer than {MAX_LINE_BYTES} bytes")
    try:
        fields = _decode(line.decode())
    except (ValueError, RecursionError):
        raise ValueError(
            f"is no JSON record{'' if line.endswith(bytes([10])) else ', cut off'}: {line[:40]!r}"
        ) from None
    if not isinstance(fields, dict) or not is_index(fields.get("_index")):
        raise ValueError(f"has no _index: {line[:40]!r}")
    return fields


def catalog_records(path: Path) -> Iterable[dict[str, Any] | ValueError]:
    """The records of a catalog, one item per line; for a line that is no record, why it is none.

    A catalog without faults is decoded in one go, which takes half the time of line by line.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        raw = file.read(MAX_LINE_BYTES + 1)
    if len(raw) <= MAX_LINE_BYTES and raw.endswith(b"\n"):
        try:
            records = _decode(f"[{raw[:-1].decode().replace(chr(10), ',')}]")
        except (ValueError, RecursionError):
            records = []
        if len(records) == raw.count(b"\n") and all(
            type(fields) is dict and is_index(fields.get("_index")) for fields in records
        ):
            return list(records)
    return _records_by_line(path)


def _records_by_line(path: Path) -> Iterator[dict[str, Any] | ValueError]:
    for line in catalog_lines(path):
        try:
            yield parse_line(line)
        except ValueError as error:
            yield error


def catalog_manifest_name(catalog: str) -> str:
    """`catalog_0.catalog` to `catalog_0.catalog_manifest`."""
    return f"{Path(catalog).stem}.catalog_manifest"


def catalog_manifest_text(catalog: str, created_at: float, start_index: int, lengths: list[int]) -> str:
    """The one line of a catalog manifest; `lengths` are the bytes of each line with its newline."""
    contents = {
        "path": catalog_manifest_name(catalog),
        "created_at": created_at,
        "start_index": start_index,
        "line_lengths": lengths,
    }
    return json.dumps(contents, sort_keys=True) + "\n"


def read_json(path: Path) -> Any:
    """The JSON in a file of bounded size.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, too large or nested too deeply.
    """
    with open(path, "rb") as file:
        raw = file.read(MAX_MANIFEST_BYTES + 1)
    if len(raw) > MAX_MANIFEST_BYTES:
        raise ValueError(f"{path}: is larger than {MAX_MANIFEST_BYTES} bytes")
    return parse_json(raw)


def open_for_append(path: Path, new: bool = False) -> int:
    """Opens a file of a tub for appending, never through a link out of the tub.

    Args:
        path: the file.
        new: it must not be there yet.

    Returns:
        The descriptor.

    Raises:
        TubError: there is a link.
        OSError: it cannot be opened.
    """
    if path.is_symlink():
        raise linked(path)
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags | (os.O_CREAT | os.O_EXCL if new else 0), 0o666)


def linked(path: Path) -> TubError:
    """The error over a link where a tub must hold the thing itself."""
    return TubError(
        f"{path}: is a link and could lead to somebody else's files, so a recording does not write there "
        "and a cleaning removes nothing there; put the thing itself in its place"
    )


class Backup:
    """Keeps copies of the files that a repair replaces, in one new folder inside the tub."""

    def __init__(self, folder: Path) -> None:
        self._parent = folder
        self.folder: Path | None = None

    def keep(self, path: Path) -> None:
        """Copies `path` into the backup, if it exists."""
        if not path.is_file():
            return
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="backup_", dir=self._parent))
        shutil.copy2(path, self.folder / path.name, follow_symlinks=False)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the tub's lock; see `lock`."""
    descriptor = lock(folder)
    try:
        yield
    finally:
        unlock(descriptor)


def lock(folder: Path) -> int | None:
    """Locks a tub for writing. The system lets go of the lock of a process that dies.

    The folder itself is locked, so no lock file is left behind.

    Returns:
        What `unlock` wants; None where the system has no such locks.

    Raises:
        TubError: somebody else is writing to the tub.
    """
    try:
        return lock_folder(folder)
    except BlockingIOError:
        raise TubError(
            f"{folder}: somebody else is writing to this tub; stop that recording first, or record "
            "to another folder"
        ) from None
