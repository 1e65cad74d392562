"""Tubs of Donkeycar 2 and 3 (v1): one `record_N.json` per record, pictures beside it, `meta.json`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from dingocar.files import parse_json, replace_file
from dingocar.tub.format import IMAGE_TYPES, MAX_LINE_BYTES, is_index
from dingocar.tub.record import Contents, Problem, Record, bad_number, infer_inputs, is_finite_number

META = "meta.json"
EXCLUDE = "exclude.json"
#: Latest beginning of a recording that is believed, in seconds since 1970.
MAX_START_S = 1e11
_RECORD = re.compile(r"record_(\d{1,9})\.json")


def is_legacy(folder: Path) -> bool:
    """Says whether `folder` is a tub v1: it holds a `meta.json` with inputs, or a `record_N.json`."""
    with os.scandir(folder) as entries:
        if any(_RECORD.fullmatch(entry.name) for entry in entries):
            return True
    meta = _read_json(folder / META, dict, [])
    return meta is not None and "inputs" in meta


def read(folder: Path) -> Contents:
    """Reads a tub v1. Records keep their numbers; `milliseconds` becomes `_timestamp_ms`."""
    problems: list[Problem] = []
    meta = _read_json(folder / META, dict, problems)
    if meta is None:
        problems.append(Problem("manifest", META, "is missing or broken; types are guessed"))
        meta = {}
    inputs, types = _inputs(meta, problems)
    start_s = meta.get("start")
    start_ms = start_s * 1000 if is_finite_number(start_s) and abs(start_s) < MAX_START_S else None
    contents = Contents(
        inputs=inputs,
        types=types,
        metadata={key: meta[key] for key in meta if key not in ("inputs", "types", "start")},
        deleted=_read_excluded(folder, problems),
        problems=problems,
    )
    images = [key for key, kind in zip(inputs, types, strict=True) if kind in IMAGE_TYPES]
    names = _record_names(folder)
    for index, name in sorted(names.items()):
        # What is wrong with a record that was excluded for it needs no second mention.
        fields = _read_record(folder / name, [] if index in contents.deleted else problems)
        if fields is None:
            continue
        if start_ms is not None and fields.get("milliseconds") is not None:
            fields["_timestamp_ms"] = int(start_ms + fields["milliseconds"])
        for key in images or ["cam/image_array"]:
            if isinstance(fields.get(key), str):
                fields[key] = _base_name(fields[key])
        contents.numbers.add(index)
        contents.records[index] = Record(index, fields, folder)
    if not contents.inputs:
        contents.inputs, contents.types = infer_inputs(contents.records.values())
    unknown = contents.deleted - names.keys()
    if unknown:
        what = f"{len(unknown)} excluded indexes belong to no record (first: {min(unknown)})"
        problems.append(Problem("deleted", EXCLUDE, what))
    return contents


def unreadable(folder: Path) -> set[int]:
    """The numbers of the record files that hold no record."""
    names = _record_names(folder)
    return {index for index, name in names.items() if _read_record(folder / name, []) is None}


def save_deleted(folder: Path, indexes: set[int], delete: bool) -> None:
    """Adds indexes to `exclude.json`, or takes them out; no file is removed."""
    excluded = _read_excluded(folder, [])
    excluded = excluded | indexes if delete else excluded - indexes
    replace_file(folder / EXCLUDE, json.dumps(sorted(excluded)), durable=True)


def _record_names(folder: Path) -> dict[int, str]:
    with os.scandir(folder) as entries:
        return {int(match[1]): entry.name for entry in entries if (match := _RECORD.fullmatch(entry.name))}


def _read_record(path: Path, problems: list[Problem]) -> dict[str, Any] | None:
    # Parsed as it is: a NaN in it makes the record a bad one, and is to be named.
    fields: dict[str, Any] | None = _read_json(path, dict, problems, json.loads)
    if fields is not None:
        wrong = bad_number(fields, ("user/angle", "user/throttle", "milliseconds"))
        if wrong is not None:
            problems.append(Problem("line", path.name, f"{wrong} is no finite number"))
            return None
    return fields


def _read_excluded(folder: Path, problems: list[Problem]) -> set[int]:
    if not (folder / EXCLUDE).exists():
        return set()
    listed = _read_json(folder / EXCLUDE, list, problems) or []
    return {item for item in listed if is_index(item)}


def _inputs(meta: dict[str, Any], problems: list[Problem]) -> tuple[list[str], list[str]]:
    inputs, types = meta.get("inputs", []), meta.get("types", [])
    if (
        isinstance(inputs, list)
        and isinstance(types, list)
        and len(inputs) == len(types)
        and all(isinstance(item, str) for item in [*inputs, *types])
    ):
        return inputs, types
    problems.append(Problem("manifest", META, "inputs and types do not fit together"))
    return [], []


def _base_name(name: str) -> str:
    """Old tubs hold absolute paths of the car they were recorded on; the picture lies beside us."""
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute():
        return PureWindowsPath(name).name
    return name


def _read_json(
    path: Path, kind: type, problems: list[Problem], parse: Callable[[bytes], Any] = parse_json
) -> Any:
    """The JSON in a small file, or None with a problem added."""
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_LINE_BYTES + 1)
        if len(raw) > MAX_LINE_BYTES:
            raise ValueError(f"is larger than {MAX_LINE_BYTES} bytes")
        value = parse(raw)
        if not isinstance(value, kind):
            raise ValueError(f"expected a JSON {kind.__name__}")
    except (OSError, ValueError, RecursionError) as error:
        if not isinstance(error, FileNotFoundError):
            problems.append(Problem("line", path.name, f"cannot be read ({error})"))
        return None
    return value
