"""Drives that the user has recorded: where they are is said on the command line, never in a suite's file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from dingocar.errors import UsageError, did_you_mean
from dingocar.evaluate.leaderboard.suite import Recording, Suite
from dingocar.tub import open_tub

#: The name of a recording to its folder and the hash of what it holds.
Data = Mapping[str, Mapping[str, str]]


def find_data(folders: Mapping[str, str]) -> Data:
    """Looks at the recordings that the user names.

    Args:
        folders: name to the tub's folder, as `--data NAME=DIR` gives it.

    Raises:
        TubError: a folder is no tub.
    """
    return {
        name: {"folder": str(Path(folder).expanduser().resolve()), "digest": tub_digest(folder)}
        for name, folder in folders.items()
    }


def with_data(suite: Suite, data: Data) -> tuple[Suite, list[str]]:
    """A suite with the recordings that are there, and without what needs others.

    Returns:
        the suite without the worlds and methods whose recordings are missing, and for each of these a line
        that says so.

    Raises:
        UsageError: the suite knows no recording of a name.
    """
    wanted = names_of(suite)
    for name in data:
        if name not in wanted:
            raise UsageError(f"--data {name}: unknown recording{did_you_mean(name, wanted)}")
    left_out = []

    def there(what: str, recordings: Iterable[Recording]) -> bool:
        missing = sorted(_names(recordings) - data.keys())
        if missing:
            give = " ".join(f"--data {name}=DIR" for name in missing)
            left_out.append(f"{what} is left out: its recording is not there, give {give}")
        return not missing

    worlds = tuple(world for world in suite.worlds if there(f"world {world.name}", [world.recording]))
    methods = tuple(m for m in suite.methods if there(f"method {m.name}", m.recordings.values()))
    baseline = suite.baseline if any(method.name == suite.baseline for method in methods) else ""
    return dataclasses.replace(suite, worlds=worlds, methods=methods, baseline=baseline, data=data), left_out


def names_of(suite: Suite) -> list[str]:
    """What the suite calls the recordings that it needs."""
    read = [world.recording for world in suite.worlds]
    read += [recording for method in suite.methods for recording in method.recordings.values()]
    return sorted(_names(read))


def _names(recordings: Iterable[Recording]) -> set[str]:
    return {name for recording in recordings for name in recording.recorded}


def tub_digest(folder: str) -> str:
    """16 hex digits of what a tub says of its live records: labels and pictures' names.

    Raises:
        TubError: it is none.
    """
    digest = hashlib.sha256()
    for record in open_tub(folder).records:
        digest.update(repr(sorted(record.fields.items())).encode())
    return digest.hexdigest()[:16]
