"""Hashes of what decides a result: the same hash, the same row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard.methods import lender_of
from dingocar.evaluate.leaderboard.suite import MethodSpec, Recording, Row, Suite

#: Changes when rows of before cannot be compared with rows of now.
FORMAT = 1
#: What of the library decides how a pilot is trained and driven.
DECIDING = (
    "sim",
    "tub",
    "zoo",
    "training",
    "adapt",
    "translate",
    "evaluate/drive.py",
    "evaluate/duckietown.py",
    "evaluate/leaderboard/elsewhere.py",
    "evaluate/leaderboard/judge.py",
    "evaluate/leaderboard/recording.py",
    "evaluate/leaderboard/row.py",
    "evaluate/leaderboard/methods",
)


def row_key(suite: Suite, row: Row) -> str:
    """The hash of everything in the suite that decides a row: pilot, method, seed, worlds, data.

    Names of pilots and methods are no part of it; the files that it names are, with their contents.
    """
    pilot = None if row.pilot is None else {k: v for k, v in asdict(row.pilot).items() if k != "name"}
    method, read = None, [world.recording for world in suite.worlds]
    if row.method is not None:
        read += row.method.recordings.values()
        method = _deciding(suite, row.method)
    worlds = {world.name: asdict(world) for world in suite.worlds}
    decided = {"pilot": pilot, "method": method, "seed": row.seed, "worlds": worlds}
    lender = None if row.method is None else lender_of(suite, row.method)
    if lender is not None:
        read += lender.recordings.values()
        decided["lender"] = _deciding(suite, lender)
    return digest(decided | {"picture": suite.picture, "format": FORMAT, "data": _data(suite.data, read)})


def _deciding(suite: Suite, method: MethodSpec) -> dict[str, Any]:
    found = {k: v for k, v in asdict(method).items() if k not in ("name", "role", "pilots")}
    return found | {"training": {**suite.training, **method.training}}


def recording_key(
    recording: Recording,
    seed: int,
    picture: tuple[int, ...],
    code: str,
    data: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """The hash of everything that decides a recording; `code`: see `code_digest`; `data`: the suite's."""
    decided = {"recording": asdict(recording), "seed": seed, "picture": picture, "code": code}
    return digest(decided | {"data": _data(data or {}, [recording])})


def _data(data: Mapping[str, Mapping[str, str]], used: Iterable[Recording]) -> dict[str, str]:
    """The hashes of the user's recordings that are used."""
    names = {name for recording in used for name in recording.recorded}
    return {name: data[name]["digest"] for name in names if name in data}


def model_key(suite: Suite, row: Row, code: str) -> str:
    """The hash of everything that decides a pilot: worlds only as far as they select it."""
    used = () if row.method is None else (row.method.selection,)
    worlds = tuple(world for world in suite.worlds if world.name in used)
    frame = Suite(
        *("", (), "", (), (), worlds), picture=suite.picture, training=suite.training, data=suite.data
    )
    return digest({"row": row_key(frame, row), "code": code})


def digest(value: Any) -> str:
    """16 hex digits of plain values; a text that is the path of a file counts as the file's contents.

    Raises:
        UsageError: a file cannot be read.
    """
    text = json.dumps(_contents(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _contents(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _contents(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_contents(inner) for inner in value]
    if isinstance(value, str) and value.endswith((".json", ".toml", ".npy")):
        try:
            return hashlib.sha256(Path(value).read_bytes()).hexdigest()
        except OSError as error:
            raise UsageError(f"{value}: cannot be read ({error.strerror})") from None
    return value


def code_digest() -> str:
    """The hash of the library's files that decide a result, as they are now."""
    import dingocar

    root = Path(dingocar.__file__).parent
    digest = hashlib.sha256()
    for name in DECIDING:
        place = root / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            if path.is_file():
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
