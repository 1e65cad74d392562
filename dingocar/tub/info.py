"""What is in a tub, in figures."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.tub import format as fmt
from dingocar.tub.record import is_finite_number
from dingocar.tub.tub import Tub

#: A longer time between two records is a pause and not driving, in seconds.
PAUSE_S = 2.0
#: |steering| up to this counts as straight ahead.
STRAIGHT = 0.1


def info(tub: Tub) -> dict[str, Any]:
    """The figures of a tub as JSON values.

    Returns:
        `path`, `version`, `records`, `deleted`, `sessions`, `domain`, `looks` (another domain where pictures
        were translated), `channels` (name to type), `metadata`, `duration_s` (pauses left out), `rate_hz` (of
        the median step), `size_bytes`, `steering` and `throttle` (`records`, `mean`, `std`, `min`, `max`;
        None where nothing was recorded; steering also has the shares `left`, `straight` and `right`),
        `problems` (texts).
    """
    duration_s, rate_hz = _timing(tub)
    steering = _statistics(tub, "user/angle")
    if steering is not None:
        values = _values(tub, "user/angle")
        steering["left"] = float(np.mean(values < -STRAIGHT))
        steering["straight"] = float(np.mean(np.abs(values) <= STRAIGHT))
        steering["right"] = float(np.mean(values > STRAIGHT))
    return {
        "path": str(tub.path),
        "version": tub.version,
        "records": len(tub),
        "deleted": len(tub.deleted_records),
        "sessions": tub.sessions,
        "domain": tub.domain,
        "looks": tub.looks,
        "channels": dict(zip(tub.inputs, tub.types, strict=True)),
        "metadata": tub.metadata,
        "duration_s": duration_s,
        "rate_hz": rate_hz,
        "size_bytes": _size(tub.path) + _size(tub.path / fmt.IMAGES),
        "steering": steering,
        "throttle": _statistics(tub, "user/throttle"),
        "problems": [str(problem) for problem in tub.problems],
    }


def _values(tub: Tub, key: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The channel's numbers; what is no number, or overflows when squared, is left out."""
    values = (record.fields.get(key) for record in tub)
    return np.array([v for v in values if is_finite_number(v) and abs(v) < 1e100], np.float64)


def _statistics(tub: Tub, key: str) -> dict[str, Any] | None:
    values = _values(tub, key)
    if not values.size:
        return None
    return {
        "records": int(values.size),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
    }


def _timing(tub: Tub) -> tuple[float, float | None]:
    times = [record.timestamp_ms for record in tub]
    steps = [
        (after - before) / 1000
        for before, after in pairwise(times)
        if before is not None and after is not None and 0 < after - before <= PAUSE_S * 1000
    ]
    if not steps:
        return 0.0, None
    return float(sum(steps)), float(1 / np.median(steps))


def _size(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    with os.scandir(folder) as entries:
        return sum(
            entry.stat(follow_symlinks=False).st_size
            for entry in entries
            if entry.is_file(follow_symlinks=False)
        )
