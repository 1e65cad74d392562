"""The read side: opens a tub of any version, damaged ones too, and marks records as deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from dingocar.errors import TubError, near_path
from dingocar.files import replace_file
from dingocar.tub import format as fmt
from dingocar.tub import legacy
from dingocar.tub.record import Contents, Problem, Record, bad_number, infer_inputs
from dingocar.words import quoted

#: Problems reported one by one per catalog; the rest are counted.
MAX_REPORTED = 20


class Tub:
    """A tub, opened for reading.

    Opening reads the manifest and all catalogs, no picture. Whatever cannot be read is skipped and
    reported in `problems`.

    Args:
        path: the tub's folder: v2 (Donkeycar 4 and 5) or v1 (`record_N.json`, Donkeycar 2 and 3).

    Attributes:
        path: the folder.
        version: 2 or 1.
        inputs: the channels of a record.
        types: their types, in the same order.
        metadata: the user's words on the tub.
        sessions: ids of the recording runs, in order.
        records: the live records in index order.
        problems: what was skipped, and why.

    Raises:
        TubError: the folder is no tub.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.version = tub_version(self.path)
        self._load()

    def _load(self) -> None:
        contents = legacy.read(self.path) if self.version == 1 else read_v2(self.path)
        self.inputs, self.types = contents.inputs, contents.types
        self.metadata, self.sessions = contents.metadata, contents.sessions
        self.problems: list[Problem] = contents.problems
        self._all, self._deleted, self._numbers = contents.records, contents.deleted, contents.numbers
        self.records: list[Record] = [self._all[index] for index in sorted(self._all.keys() - self._deleted)]

    @property
    def domain(self) -> str | None:
        """`sim`, `real`, or None where the metadata does not say."""
        value = self.metadata.get("domain")
        return value if value in fmt.DOMAINS else None

    @property
    def looks(self) -> str | None:
        """The domain that the pictures look like: where they were translated another one than `domain`."""
        value = self.metadata.get("looks")
        return value if value in fmt.DOMAINS else self.domain

    @property
    def deleted_indexes(self) -> frozenset[int]:
        """The indexes that are marked as deleted."""
        return frozenset(self._deleted)

    @property
    def deleted_records(self) -> list[Record]:
        """The records that are marked as deleted, in index order; `restore` brings them back."""
        return [self._all[index] for index in sorted(self._all.keys() & self._deleted)]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, number: int) -> Record:
        """The record at position `number` among the live ones (not the one with that index)."""
        return self.records[number]

    def __repr__(self) -> str:
        return f"<Tub {self.path}: {len(self)} records, {len(self._deleted)} deleted>"

    def delete(self, indexes: int | Iterable[int]) -> None:
        """Marks the records with these indexes as deleted; no file is removed.

        Raises:
            TubError: there is no such record, somebody is recording to the tub, or it is damaged.
        """
        self._change(indexes, delete=True)

    def restore(self, indexes: int | Iterable[int]) -> None:
        """Brings deleted records back.

        Raises:
            TubError: as in `delete`.
        """
        self._change(indexes, delete=False)

    def _change(self, indexes: int | Iterable[int], delete: bool) -> None:
        chosen = {indexes} if isinstance(indexes, int) else {int(index) for index in indexes}
        unknown = sorted(chosen - self._all.keys())
        if unknown:
            known = f"{min(self._all)} to {max(self._all)}" if self._all else "none"
            raise TubError(f"{self.path}: no record {unknown[0]} in this tub (there are {known})")
        try:
            with fmt.locked(self.path):
                if self.version == 1:
                    legacy.save_deleted(self.path, chosen, delete)
                else:
                    _save_deleted(self.path, chosen, delete)
        except OSError as error:
            raise TubError(f"{self.path}: cannot be written to ({error.strerror})") from error
        self._load()


def open_tub(path: str | Path) -> Tub:
    """Opens a tub of any version for reading.

    Raises:
        TubError: there is no tub at `path`; the message says what is there.
    """
    return Tub(path)


def tub_version(folder: Path) -> int:
    """2 for a tub v2, 1 for one of `record_N.json` files.

    Raises:
        TubError: `folder` is neither.
    """
    if not folder.exists():
        hint = near_path(folder) or " (record one with the car first)"
        raise TubError(f"{folder}: no such folder; expected a tub{hint}")
    if not folder.is_dir():
        hint = f"; did you mean {folder.parent}?" if folder.name == fmt.MANIFEST else ""
        raise TubError(f"{folder}: expected a tub's folder, got a file{hint}")
    try:
        if (folder / fmt.MANIFEST).is_file() or fmt.catalogs_in(folder):
            return 2
        if legacy.is_legacy(folder):
            return 1
        inside = sorted(
            path.name
            for path in folder.iterdir()
            if path.is_dir() and ((path / fmt.MANIFEST).is_file() or legacy.is_legacy(path))
        )
    except OSError as error:
        raise TubError(f"{folder}: cannot be read ({error.strerror})") from error
    if inside:
        names = ", ".join(inside[:5]) + (", ..." if len(inside) > 5 else "")
        raise TubError(f"{folder}: is no tub itself but holds tubs; give one of them: {names}")
    raise TubError(
        f"{folder}: is no tub: it has neither a manifest.json with catalogs (tub v2) nor "
        "record_N.json files (v1); give the folder that the car recorded to, usually data/"
    )


def read_v2(folder: Path) -> Contents:
    """Reads a tub v2.

    Of records that share an index the last one counts: Donkeycar writes such pairs when it goes on
    after a crash, and the picture on disk is then the later one's.
    """
    problems: list[Problem] = []
    manifest = fmt.read_manifest(folder, problems)
    contents = Contents(
        inputs=manifest.inputs,
        types=manifest.types,
        metadata=manifest.metadata,
        deleted=manifest.deleted,
        problems=problems,
    )
    floats = tuple(key for key, kind in zip(manifest.inputs, manifest.types, strict=True) if kind == "float")
    if not manifest.complete:
        floats = ("user/angle", "user/throttle")
    sessions = dict.fromkeys(manifest.sessions)
    for name in manifest.catalogs:
        _read_catalog(folder, name, contents, floats, sessions, listed=True)
    for name in fmt.catalogs_in(folder):
        if name not in manifest.catalogs and (folder / name).stat().st_size:
            if manifest.complete:
                what = "is not in the manifest (the recording was killed); read all the same"
                problems.append(Problem("catalog", name, what))
            _read_catalog(folder, name, contents, floats, sessions, listed=not manifest.catalogs)
    contents.sessions = list(sessions)
    if not contents.inputs:
        contents.inputs, contents.types = infer_inputs(contents.records.values())
    unknown = contents.deleted - contents.numbers
    if unknown:
        what = f"{len(unknown)} deleted_indexes belong to no record (first: {min(unknown)})"
        problems.append(Problem("deleted", fmt.MANIFEST, what))
    return contents


def _read_catalog(
    folder: Path,
    name: str,
    contents: Contents,
    floats: tuple[str, ...],
    sessions: dict[str, None],
    listed: bool,
) -> None:
    """Adds one catalog's records to `contents`. An unlisted catalog replaces no listed record."""
    images = folder / fmt.IMAGES
    numbers, records = contents.numbers, contents.records
    before = numbers if listed else frozenset(numbers)
    faults = 0

    def complain(kind: str, number: int, what: str) -> None:
        nonlocal faults
        faults += 1
        if faults <= MAX_REPORTED:
            contents.problems.append(Problem(kind, f"{name}:{number}", what))

    try:
        for number, fields in enumerate(fmt.catalog_records(folder / name), 1):
            if isinstance(fields, ValueError):
                complain("line", number, str(fields))
                continue
            wrong = bad_number(fields, floats)
            if wrong is not None:
                value = str(fields[wrong])[:40]
                complain("line", number, f"{wrong} is no finite number: {value!r}")
                continue
            index = fields["_index"]
            if index in numbers:
                keeps = not listed and index in before
                which = "the one in the listed catalog" if keeps else "this one"
                complain("duplicate", number, f"a second record {index}; {which} counts")
                if keeps:
                    continue
                records.pop(index, None)
            numbers.add(index)
            if not fields.get("__empty__"):
                records[index] = Record(index, fields, images)
            session = fields.get("_session_id")
            if session is not None and session.__class__ is str:
                sessions[session] = None
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else f"{error.strerror}"
        contents.problems.append(Problem("catalog", name, f"{what}; its records are left out"))
    if faults > MAX_REPORTED:
        what = f"{faults - MAX_REPORTED} more lines like these"
        contents.problems.append(Problem("line", name, what))


def _save_deleted(folder: Path, indexes: set[int], delete: bool) -> None:
    """Changes the fifth line of a manifest; the other four stay as they are, byte for byte."""
    problems: list[Problem] = []
    manifest = fmt.read_manifest(folder, problems)
    if not manifest.complete:
        raise TubError(f"{folder}: {problems[0]}; run dingocar tub check {quoted(folder)} --fix first")
    manifest.deleted = manifest.deleted | indexes if delete else manifest.deleted - indexes
    raw = (folder / fmt.MANIFEST).read_bytes().split(b"\n")
    head = b"".join(line + b"\n" for line in raw[:4])
    tail = manifest.tail(json.dumps(sorted(manifest.deleted)))
    replace_file(folder / fmt.MANIFEST, head + tail.encode(), durable=True)
