"""A plain folder: pictures with a table of labels, or pictures alone.

The table is labels.csv (with a header), labels.jsonl or labels.json (a list of objects), or the only one of
these kinds in the folder. Without one the pictures are taken by their names' order, unlabelled: material for
domain adaptation, not for learning to steer.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dingocar.errors import ImageError, TubError, did_you_mean
from dingocar.files import parse_json
from dingocar.tub.importers._sample import (
    Claims,
    Importer,
    Problems,
    Sample,
    Settings,
    load_picture,
    number,
    size_of,
)
from dingocar.tub.importers._table import open_table

PICTURES = (".jpg", ".jpeg", ".png")
TABLES = (".csv", ".jsonl", ".json")
#: Most pictures in a folder and all below it, and how deep its folders are looked into.
MAX_PICTURES = 1_000_000
MAX_DEPTH = 4
MAX_JSON_BYTES = 1 << 26
#: Longest name of a file, and longest path, that is looked for.
MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 1024
#: What a column may be called; the first word is ours.
COLUMNS: dict[str, tuple[str, ...]] = {
    "file": (
        *("file", "filename", "file_name", "image", "image_path", "img", "path", "frame", "name", "picture"),
        "cam/image_array",
    ),
    "steering": ("steering", "steering_angle", "angle", "steer", "user/angle"),
    "throttle": ("throttle", "speed_command", "gas", "user/throttle"),
    "time": ("time", "timestamp", "time_s", "timestamp_ms", "_timestamp_ms"),
    "session": ("session", "run", "episode", "_session_id"),
}


def fits(source: Path) -> bool:
    """Whether this is a folder with pictures or labels, or a table of labels."""
    if source.is_file():
        return source.suffix.lower() in TABLES
    return source.is_dir() and (_table(source) is not None or next(_pictures(source), None) is not None)


def read(
    source: Path, settings: Settings, problems: Problems, on_progress: Callable[[float], None]
) -> Iterator[Sample]:
    """Yields the table's rows in order, or all pictures; each session, or each subfolder, is a run."""
    table = source if source.is_file() else _table(source)
    if table is None:
        yield from _unlabelled(source, settings, problems, on_progress)
        return
    root, claims = table.parent, Claims(table)
    runs: dict[str, int] = {}
    for line, row in _rows(table, on_progress):
        where = f"{table.name}:{line}"
        try:
            path = inside(root, str(row["file"]))
            steering, throttle = number(row["steering"]), number(row["throttle"])
            if not (-1 <= steering <= 1 and -1 <= throttle <= 1):
                raise ValueError(
                    f"steering {steering:g}, throttle {throttle:g}: expected -1 to 1 (+1: right, full ahead)"
                )
            time_s = _seconds(row["time"]) if "time" in row else None
            picture = load_picture(path, settings.shape)
        except (ValueError, TypeError, KeyError, ImageError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            problems.add(f"{where}: {what}; left out")
            continue
        claims.add(size_of(picture), str(path))
        session = str(row["session"]) if "session" in row else str(Path(str(row["file"])).parent)
        run = runs.setdefault(session[:200], len(runs))
        yield Sample(picture, run, steering, throttle, time_s if settings.rate_hz is None else None)


def _unlabelled(
    source: Path, settings: Settings, problems: Problems, on_progress: Callable[[float], None]
) -> Iterator[Sample]:
    paths = sorted(_pictures(source), key=lambda path: (path.parent.as_posix(), _natural(path.name)))
    runs: dict[Path, int] = {}
    for done, path in enumerate(paths, 1):
        try:
            yield Sample(load_picture(path, settings.shape), runs.setdefault(path.parent, len(runs)))
        except ImageError as error:
            problems.add(f"{error}; left out")
        on_progress(done / len(paths))


def inside(root: Path, name: str) -> Path:
    """The file of a picture that a table names.

    Raises:
        ImageError: it would lie outside the table's folder, or no file can be called so.
    """
    plain = name.replace("\\", "/")
    parts = [len(part.encode("utf-8", "replace")) for part in plain.split("/")]
    if max(parts) > MAX_NAME_BYTES or sum(parts) > MAX_PATH_BYTES:
        raise ImageError(f"{name[:80]!r}... is too long for a file's name")
    path = root / plain
    if (
        not plain
        or "\0" in plain
        or Path(plain).is_absolute()
        or re.match(r"[A-Za-z]:", plain)
        or not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    ):
        raise ImageError(f"{name[:80]!r} is outside the table's folder; not read")
    return path


def _rows(table: Path, on_progress: Callable[[float], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Place and fields of each row, by our names."""
    names: dict[str, str] | None = None
    reader = {".csv": _csv, ".jsonl": _json_lines, ".json": _json}[table.suffix.lower()]
    for line, row in reader(table, on_progress):
        if names is None:
            names = _columns(table, list(row))
        yield line, {ours: row[theirs] for ours, theirs in names.items() if row.get(theirs) not in (None, "")}


def _csv(table: Path, on_progress: Callable[[float], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_table(table, on_progress) as lines:
        rows = csv.DictReader(lines, skipinitialspace=True)
        try:
            for row in rows:
                yield rows.line_num, {str(key).strip(): value for key, value in row.items()}
        except csv.Error as error:
            raise TubError(f"{table}:{rows.line_num}: is no table ({error})") from None


def _json_lines(table: Path, on_progress: Callable[[float], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_table(table, on_progress) as lines:
        for count, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line)
            except ValueError as error:
                raise TubError(f"{table}:{count}: is no JSON ({error})") from None
            yield count, _object(table, count, row)


def _json(table: Path, on_progress: Callable[[float], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    if table.is_symlink() or table.stat().st_size > MAX_JSON_BYTES:
        raise TubError(
            f"{table}: is a link, or larger than {MAX_JSON_BYTES} bytes; write one object per line (.jsonl)"
        )
    try:
        rows = parse_json(table.read_bytes())
    except (ValueError, json.JSONDecodeError) as error:
        raise TubError(f"{table}: is no JSON ({error})") from None
    if not isinstance(rows, list):
        raise TubError(f"{table}: expected a JSON list of objects")
    for count, row in enumerate(rows, 1):
        yield count, _object(table, count, row)
        on_progress(count / len(rows))


def _object(table: Path, line: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise TubError(f"{table}:{line}: expected a JSON object per picture")
    return row


def _columns(table: Path, found: list[str]) -> dict[str, str]:
    """Our name to theirs."""
    by_word = {name.lower(): name for name in found}
    names = {
        ours: by_word[word] for ours, words in COLUMNS.items() for word in reversed(words) if word in by_word
    }
    for needed in ("file", "steering", "throttle"):
        if needed not in names:
            shown = ", ".join(found[:12])[:200] or "nothing"
            raise TubError(
                f"{table}: has no column {needed!r} (it has: {shown})"
                f"{did_you_mean(needed, found) if found else ''}; expected a header with file, steering "
                f"and throttle (or, for {needed!r}, {', '.join(COLUMNS[needed][1:5])})"
            )
    return names


def _seconds(value: object) -> float:
    """Seconds since 1970, of seconds or milliseconds."""
    time_s = number(value)
    time_s = time_s / 1000 if time_s > 1e11 else time_s
    if not 0 <= time_s < 1e11:
        raise ValueError(f"{value!r} is no time")
    return time_s


def _table(folder: Path) -> Path | None:
    """The table of labels in a folder."""
    for suffix in TABLES:
        if (folder / f"labels{suffix}").is_file():
            return folder / f"labels{suffix}"
    found = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in (".csv", ".jsonl") and path.is_file()
    )
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:5])
        raise TubError(f"{folder}: has several tables ({names}); give the one with the labels as the source")
    return found[0] if found else None


def _pictures(folder: Path) -> Iterator[Path]:
    """All pictures in a folder and its subfolders; links and hidden things are left out.

    Raises:
        TubError: there are more than `MAX_PICTURES` of them, counting subfolders too.
    """
    count = itertools.count(1)

    def walk(place: Path, depth: int) -> Iterator[Path]:
        found: list[tuple[str, bool]] = []
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_symlink() or entry.name.startswith("."):
                    continue
                deeper = depth < MAX_DEPTH and entry.is_dir()
                if deeper or (entry.name.lower().endswith(PICTURES) and entry.is_file()):
                    if next(count) > MAX_PICTURES:
                        raise TubError(f"{folder}: more than {MAX_PICTURES} pictures; import them in parts")
                    found.append((entry.name, deeper))
        for name, deeper in sorted(found):
            if deeper:
                yield from walk(place / name, depth + 1)
            else:
                yield place / name

    yield from walk(folder, 0)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 2.jpg before 10.jpg."""
    bits = re.findall(r"\d{1,18}|\D+", name)
    return [(0, int(bit), "") if bit.isdecimal() else (1, 0, bit) for bit in bits]


importer = Importer(
    fits, read, "a folder of JPEG or PNG pictures, with labels.csv or labels.jsonl or without", rank=2
)
