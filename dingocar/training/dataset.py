"""Records of one or more tubs as arrays: pictures decoded once, a column per number channel."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import ImageError, TrainingError
from dingocar.training.cache import CacheLimits, Pictures, load_pictures
from dingocar.tub import Record, Tub, open_tub
from dingocar.words import counted

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

IMAGE_CHANNEL = "cam/image_array"
LABELS = ("user/angle", "user/throttle")


@dataclass(frozen=True)
class TubUse:
    """What was taken from one tub.

    Attributes:
        path: the tub's folder, as it was given.
        domain: "sim", "real" or None.
        looks: the domain that its pictures look like; another one where they were translated.
        records: records used.
        skipped: live records left out (no label, or a broken picture).
        hash: SHA-256 of the used records' fields: the same hash, the same labels.
    """

    path: str
    domain: str | None
    looks: str | None
    records: int
    skipped: int
    hash: str


@dataclass(frozen=True)
class Dataset:
    """N records in recording order, tub after tub.

    Attributes:
        images: uint8 (N, H, W, 3) RGB, read-only; in memory or mapped from a file.
        columns: channel to float32 (N,): every number channel that all records have.
        tub_numbers: int64 (N,), position of the record's tub in `tubs`.
        runs: int64 (N,), a new number for each session of each tub.
        domains: (N,) "sim", "real" or "" where unknown.
        labelled: bool (N,), whether the record's labels may be used; where not, they are 0 here.
        tubs: what was taken from each tub.
        skipped: live records left out, in all tubs.
        problems: a line for each of the first problems.
        load_seconds: time it took to decode the pictures.
    """

    images: npt.NDArray[np.uint8]
    columns: dict[str, Array]
    tub_numbers: npt.NDArray[np.int64]
    runs: npt.NDArray[np.int64]
    domains: npt.NDArray[np.str_]
    labelled: npt.NDArray[np.bool_]
    tubs: list[TubUse]
    skipped: int
    problems: list[str]
    load_seconds: float

    def __len__(self) -> int:
        return len(self.images)


def load_dataset(
    tubs: Sequence[Path | str],
    size: tuple[int, int] = (120, 160),
    limits: CacheLimits | None = None,
    workers: int = 0,
    required: Sequence[str] = LABELS,
    unlabelled: Sequence[Path | str] = (),
) -> Dataset:
    """Reads tubs and decodes their pictures in parallel.

    Records without a picture that can be decoded, or without a finite number in one of the `required`
    channels, are left out, counted and logged. Labels are clipped to [-1, 1].

    Args:
        tubs: the tubs' folders.
        size: (height, width) of the pictures.
        limits: where decoded pictures are kept.
        workers: decoding threads; 0: one per core.
        required: channels a record must have; `()` also takes unlabelled records.
        unlabelled: further tubs, of which no label is read.

    Raises:
        TubError: a folder is no tub.
        TrainingError: no tub was given, or no usable record is left.
    """
    if isinstance(tubs, str | Path):
        tubs = [tubs]
    if not tubs:
        raise TrainingError("expected at least one tub to train on, got none")
    known = len(tubs)
    tubs = [*tubs, *unlabelled]
    opened = [open_tub(path) for path in tubs]
    names = ", ".join(map(str, tubs))
    problems = [f"{tub.path}/{problem}" for tub in opened for problem in tub.problems[:20]]
    live = sum(map(len, opened))
    entries = _labelled(opened[:known], required, names, problems)
    entries += [(number, record) for number in range(known, len(tubs)) for record in opened[number].records]
    pictures = load_pictures([_picture(r) for _, r in entries], size, limits, workers)
    problems += pictures.problems
    if not pictures.usable.any():
        raise TrainingError(
            f"{names}: none of the {len(entries)} pictures can be decoded; the first: "
            f"{(pictures.problems or ['?'])[0]}"
        )
    used = [entry for entry, fine in zip(entries, pictures.usable, strict=True) if fine]
    if len(used) < live:
        shown = "; ".join(problems[:3])
        logger.warning("%d of %d records are skipped: %s", live - len(used), live, shown)
    return _dataset(pictures, used, tubs, opened, known, required, live, problems)


def _dataset(
    pictures: Pictures,
    used: Sequence[tuple[int, Record]],
    tubs: Sequence[Path | str],
    opened: Sequence[Tub],
    known: int,
    required: Sequence[str],
    live: int,
    problems: list[str],
) -> Dataset:
    """Puts the arrays together; the labels of the first `known` tubs alone are read."""
    labelled = np.array([number < known for number, _ in used])
    return Dataset(
        images=pictures.images,
        columns=_columns([record for _, record in used], required, labelled),
        tub_numbers=np.array([number for number, _ in used], np.int64),
        runs=_runs(used),
        domains=np.array([_domain(opened[number], record) for number, record in used]),
        labelled=labelled,
        tubs=[
            _use(path, tub, [record for n, record in used if n == number])
            for number, (path, tub) in enumerate(zip(tubs, opened, strict=True))
        ],
        skipped=live - len(used),
        problems=problems,
        load_seconds=pictures.seconds,
    )


def _labelled(
    tubs: Sequence[Tub], required: Sequence[str], names: str, problems: list[str]
) -> list[tuple[int, Record]]:
    """Returns (number of the tub, record) for each live record with the required numbers."""
    live = [(number, record) for number, tub in enumerate(tubs) for record in tub.records]
    if not live:
        raise TrainingError(f"{names}: no records to train on; drive and record some first")
    entries = [entry for entry in live if _has_numbers(entry[1], required)]
    if len(entries) < len(live):
        problems.append(f"{counted(len(live) - len(entries), 'record')} without {' and '.join(required)}")
    if not entries:
        raise TrainingError(
            f"{names}: none of the {len(live)} records has a number in each of "
            f"{', '.join(required)}; expected a tub recorded while someone drove"
        )
    return entries


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _has_numbers(record: Record, channels: Sequence[str]) -> bool:
    return all(_is_number(record.fields.get(channel)) for channel in channels)


def _picture(record: Record) -> Path | None:
    try:
        return record.image_path(IMAGE_CHANNEL)
    except ImageError:
        return None


def _columns(
    records: Sequence[Record], required: Sequence[str], labelled: npt.NDArray[np.bool_]
) -> dict[str, Array]:
    """Collects every number channel that all records have; labels are clipped to [-1, 1], and 0 if unused."""
    columns: dict[str, Array] = {}
    for channel in sorted(set(records[0].fields) | set(required)):
        if channel.startswith("_"):
            continue
        values: list[Any] = [
            record.fields.get(channel) if use or channel not in LABELS else 0.0
            for record, use in zip(records, labelled, strict=True)
        ]
        if not all(map(_is_number, values)):
            continue
        column = np.array(values, np.float32)
        if channel in LABELS:
            if np.abs(column).max() > 1:
                logger.warning("%s: values outside [-1, 1] are clipped", channel)
            column = np.clip(column, -1, 1)
        column.flags.writeable = False
        columns[channel] = column
    return columns


def _runs(used: Sequence[tuple[int, Record]]) -> npt.NDArray[np.int64]:
    """Numbers the runs: a new one where the tub or the session changes."""
    names = [(number, record.session_id) for number, record in used]
    changes = [int(a != b) for a, b in zip(names[1:], names[:-1], strict=True)]
    return np.cumsum([0, *changes]).astype(np.int64)


def _domain(tub: Tub, record: Record) -> str:
    if record.simulated is not None:
        return "sim" if record.simulated else "real"
    return tub.domain or ""


def _use(path: Path | str, tub: Tub, records: Sequence[Record]) -> TubUse:
    digest = hashlib.sha256()
    for record in records:
        line = json.dumps(record.fields, sort_keys=True, default=str)
        digest.update(f"{record.index} {line}\n".encode("utf-8", "surrogateescape"))
    return TubUse(str(path), tub.domain, tub.looks, len(records), len(tub) - len(records), digest.hexdigest())
