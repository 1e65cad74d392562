"""Verifies a tub, every picture included, and repairs it without deleting anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dingocar.errors import ImageError, TubError
from dingocar.files import replace_file
from dingocar.tub import format as fmt
from dingocar.tub import legacy
from dingocar.tub.record import Problem, Record, bad_number
from dingocar.tub.recover import MAX_FILLERS, catalog_origin, filler
from dingocar.tub.tub import Tub, open_tub
from dingocar.words import counted


@dataclass
class Report:
    """What a check found.

    Attributes:
        path: the tub.
        records: live records.
        deleted: records marked as deleted.
        pictures: pictures that were decoded.
        problems: what was found.
        fixed: what was repaired, in words.
        remaining: problems that are still there.
        backup: folder with the files that were replaced.
    """

    path: Path
    records: int
    deleted: int
    pictures: int
    problems: list[Problem]
    fixed: list[str] = field(default_factory=list)
    remaining: list[Problem] = field(default_factory=list)
    backup: Path | None = None

    @property
    def ok(self) -> bool:
        """The tub is in order (now)."""
        return not self.remaining

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "path": str(self.path),
            "ok": self.ok,
            "records": self.records,
            "deleted": self.deleted,
            "pictures": self.pictures,
            "problems": [_problem_dict(problem) for problem in self.problems],
            "fixed": self.fixed,
            "remaining": [_problem_dict(problem) for problem in self.remaining],
            "backup": None if self.backup is None else str(self.backup),
        }


def check(path: str | Path, fix: bool = False, threads: int | None = None) -> Report:
    """Checks a tub: manifests against catalogs, every line, every picture of every live record.

    A repair rebuilds the manifest and the catalog manifests from the catalogs, takes lines that are no
    record out of the catalogs, and marks records without whole pictures as deleted. It deletes no
    file, and what it replaces is kept in a `backup_...` folder inside the tub.

    Args:
        path: the tub's folder.
        fix: also repair what was found.
        threads: threads that decode pictures; None: one per processor, at most 8.

    Raises:
        TubError: there is no tub, or it cannot be repaired because somebody is recording to it.
    """
    tub = open_tub(path)
    try:
        problems, broken, pictures = _inspect(tub, threads)
    except OSError as error:
        raise TubError(f"{tub.path}: cannot be read ({error})") from error
    report = Report(tub.path, len(tub), len(tub.deleted_records), pictures, problems, remaining=problems)
    if not fix or not problems:
        return report
    try:
        with fmt.locked(tub.path):
            if tub.version == 1:
                report.fixed = _fix_legacy(tub.path, broken)
            else:
                backup = fmt.Backup(tub.path)
                report.fixed = _Repair(tub.path, backup, broken).run()
                report.backup = backup.folder
    except OSError as error:
        raise TubError(f"{tub.path}: cannot be repaired ({error.strerror})") from error
    tub = open_tub(path)
    report.remaining, _, report.pictures = _inspect(tub, threads)
    report.records, report.deleted = len(tub), len(tub.deleted_records)
    return report


def _problem_dict(problem: Problem) -> dict[str, str]:
    return {"kind": problem.kind, "where": problem.where, "what": problem.what}


def _inspect(tub: Tub, threads: int | None) -> tuple[list[Problem], set[int], int]:
    """All problems, the indexes of the records with broken pictures, the number of pictures."""
    problems = list(tub.problems)
    if tub.version == 2:
        problems += _structure_problems(tub)
    broken: set[int] = set()
    jobs = [(record, key, kind) for record in tub for key, kind in _pictures(tub, record)]
    with ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as pool:
        for (record, key, _), fault in zip(jobs, pool.map(_picture_fault, jobs), strict=True):
            if fault is not None:
                broken.add(record.index)
                problems.append(Problem("picture", f"record {record.index} {key}", fault))
    return problems, broken, len(jobs)


def _pictures(tub: Tub, record: Record) -> Iterator[tuple[str, str]]:
    for key, kind in zip(tub.inputs, tub.types, strict=True):
        if kind in fmt.IMAGE_TYPES and key in record.fields:
            yield key, kind


def _picture_fault(job: tuple[Record, str, str]) -> str | None:
    record, key, kind = job
    try:
        if kind == "gray16_array":
            record.depth(key)
        else:
            record.image(key)
    except ImageError as error:
        return str(error)
    return None


def _structure_problems(tub: Tub) -> list[Problem]:
    """What our reader does not mind but Donkeycar does."""
    problems: list[Problem] = []
    manifest = fmt.read_manifest(tub.path, [])
    highest, position, displaced = -1, 0, None
    names = [name for name in manifest.catalogs if (tub.path / name).is_file()]
    for name in names or fmt.catalogs_in(tub.path):
        lengths: list[int] = []
        for number, line in enumerate(fmt.catalog_lines(tub.path / name), 1):
            lengths.append(len(line or b""))
            try:
                index = fmt.parse_line(line)["_index"]
            except ValueError:
                position += 1
                continue
            highest = max(highest, index)
            if index != position and displaced is None:
                displaced = f"{name}:{number}", f"record {index} is line {position} of the tub"
            position += 1
        problems += _catalog_manifest_problems(tub.path, name, lengths)
        if not lengths and len(names) > 1:
            what = "is empty; Donkeycar cannot train from a tub with such a catalog"
            problems.append(Problem("catalog", name, what))
    if displaced is not None:
        what = f"{displaced[1]}; Donkeycar hides the wrong records for deleted ones after it"
        problems.append(Problem("position", displaced[0], what))
    if manifest.complete and manifest.current_index != highest + 1:
        what = f"current_index is {manifest.current_index}, the catalogs end at {highest}"
        problems.append(Problem("manifest", fmt.MANIFEST, what))
    return problems


def _catalog_manifest_problems(folder: Path, name: str, lengths: list[int]) -> list[Problem]:
    path = folder / fmt.catalog_manifest_name(name)
    try:
        stored = fmt.read_json(path)
        if stored["line_lengths"] == lengths and fmt.is_index(stored["start_index"]):
            return []
        what = f"does not fit the {len(lengths)} lines of {name}"
    except FileNotFoundError:
        what = "is missing"
    except (OSError, ValueError, KeyError, TypeError):
        what = "cannot be read"
    return [Problem("catalog_manifest", path.name, what)]


def _fix_legacy(folder: Path, broken: set[int]) -> list[str]:
    bad = broken | legacy.unreadable(folder)
    if not bad:
        return []
    legacy.save_deleted(folder, bad, delete=True)
    return [f"marked {counted(len(bad), 'record')} without whole pictures or values as deleted"]


class _Repair:
    """Rebuilds a tub v2 in place, file by file; every step leaves a tub that can be read."""

    def __init__(self, folder: Path, backup: fmt.Backup, broken: set[int]) -> None:
        self.folder, self.backup, self.broken = folder, backup, broken
        self.problems: list[Problem] = []
        self.manifest = fmt.read_manifest(folder, self.problems)
        self.fixed: list[str] = []

    def run(self) -> list[str]:
        """Repairs; returns what was done."""
        manifest = self.manifest
        tub = open_tub(self.folder)
        listed = [name for name in manifest.catalogs if (self.folder / name).is_file()]
        present = listed + [name for name in fmt.catalogs_in(self.folder) if name not in listed]
        full = [name for name in present if (self.folder / name).stat().st_size]
        names = full or present[:1]
        floats = tuple(key for key, kind in zip(tub.inputs, tub.types, strict=True) if kind == "float")
        lines = self._records(names, listed, floats)
        fillers = self._rewrite_catalogs(names, lines)
        numbers = lines.keys() | fillers
        manifest.catalogs = names
        manifest.current_index = max(numbers, default=-1) + 1
        manifest.inputs, manifest.types = tub.inputs, tub.types
        empty = numbers - {record.index for record in [*tub.records, *tub.deleted_records]}
        manifest.deleted = (manifest.deleted & numbers) | empty | (self.broken & numbers)
        for session in tub.sessions:
            if session not in manifest.sessions:
                number = session.rpartition("_")[2]
                manifest.add_session(int(number) if number.isdecimal() else 0, session)
        oldest = self.folder / names[0] if names else self.folder
        manifest.header.setdefault("created_at", oldest.stat().st_mtime)
        self._replace(fmt.MANIFEST, manifest.text().encode(), "rebuilt the manifest")
        if self.broken:
            count = len(self.broken & numbers)
            self.fixed.append(f"marked {counted(count, 'record')} without whole pictures as deleted")
        return self.fixed

    def _records(
        self, names: list[str], listed: list[str], floats: tuple[str, ...]
    ) -> dict[int, tuple[str, bytes]]:
        """Index to catalog and line of every record that counts, by the reader's own rules."""
        found: dict[int, tuple[str, bytes]] = {}
        for name in names:
            # An unlisted catalog replaces no record of a listed one.
            kept = set(found) if listed and name not in listed else set()
            for line in fmt.catalog_lines(self.folder / name):
                try:
                    fields = fmt.parse_line(line)
                except ValueError:
                    continue
                index = fields["_index"]
                if line is None or bad_number(fields, floats) or index in kept:
                    continue
                found[index] = (name, line if line.endswith(b"\n") else line + b"\n")
        return found

    def _rewrite_catalogs(self, names: list[str], lines: dict[int, tuple[str, bytes]]) -> set[int]:
        """Puts every line at the place its index says; returns the indexes of the fillers."""
        fillers: set[int] = set()
        own: dict[str, list[int]] = {name: [] for name in names}
        for index in sorted(lines):
            own[lines[index][0]].append(index)
        expected = 0
        for name in names:
            contents: list[bytes] = []
            for index in own[name]:
                if 0 < index - expected <= MAX_FILLERS - len(fillers):
                    gap = range(expected, index)
                    contents += [filler(missing) for missing in gap]
                    fillers.update(gap)
                contents.append(lines[index][1])
                expected = max(expected, index + 1)
            if name == names[-1] and expected < self.manifest.current_index <= expected + MAX_FILLERS:
                # Lost at the end: their numbers, and pictures, are not used again.
                gap = range(expected, self.manifest.current_index)
                contents += [filler(missing) for missing in gap]
                fillers.update(gap)
            self._replace(name, b"".join(contents), f"put {name} in order")
            created_at, start_index = catalog_origin(self.folder, name)
            first = own[name][0] if own[name] else expected
            text = fmt.catalog_manifest_text(
                name,
                created_at,
                first if start_index is None else start_index,
                [len(line) for line in contents],
            )
            manifest_name = fmt.catalog_manifest_name(name)
            self._replace(manifest_name, text.encode(), f"rebuilt {manifest_name}")
        return fillers

    def _replace(self, name: str, contents: bytes, what: str) -> None:
        path = self.folder / name
        if path.is_file() and path.read_bytes() == contents:
            return
        self.backup.keep(path)
        replace_file(path, contents, durable=True)
        self.fixed.append(what)
