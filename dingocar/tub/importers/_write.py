"""Writes a whole tub from samples that come at once, with times and sessions of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dingocar.errors import TubError
from dingocar.tub import format as fmt
from dingocar.tub.encode import RecordEncoder, picture_name, write_picture
from dingocar.tub.importers._sample import MAX_RECORDS, Sample
from dingocar.tub.record import IMAGE_KEY
from dingocar.tub.recover import session_id

#: Time between two runs that have no times of their own: longer than what counts as driving on.
BETWEEN_RUNS_S = 10.0
#: Most runs in one tub.
MAX_SESSIONS = 10_000


@dataclass
class Written:
    """How many records, labelled ones among them, and sessions were written."""

    records: int = 0
    labelled: int = 0
    sessions: int = 0


def write_tub(
    folder: Path, samples: Iterator[Sample], metadata: dict[str, Any], quality: int, rate_hz: float
) -> Written:
    """Writes samples into an empty folder.

    Args:
        folder: the tub to be.
        samples: in order; the first one decides whether there are labels and speeds.
        metadata: words on the tub.
        quality: of the JPEGs that are made.
        rate_hz: where samples have no times.

    Raises:
        TubError: there are more than `MAX_RECORDS`, or `MAX_SESSIONS`.
        OSError: the disk does not take it.
    """
    (folder / fmt.IMAGES).mkdir()
    writer: _Writer | None = None
    for sample in samples:
        if writer is None:
            writer = _Writer(folder, sample, metadata, quality, 1 / rate_hz)
        writer.add(sample)
    if writer is None:
        return Written()
    writer.close()
    return writer.written


class _Writer:
    def __init__(
        self, folder: Path, first: Sample, metadata: dict[str, Any], quality: int, period_s: float
    ) -> None:
        inputs = {IMAGE_KEY: "image_array"}
        if first.steering is not None:
            inputs |= {"user/angle": "float", "user/throttle": "float", "user/mode": "str"}
        if first.speed_mps is not None:
            inputs |= {"enc/speed": "float"}
        self._now_s = time.time()
        self._manifest = fmt.Manifest(list(inputs), list(inputs.values()), metadata)
        self._manifest.header = {"created_at": self._now_s}
        # A picture's place in its record is its file's name, a text.
        self._encoder = RecordEncoder(list(inputs), ["str", *list(inputs.values())[1:]])
        self._folder, self._quality, self._period_s = folder, quality, period_s
        self._run: int | None = None
        self._session = ""
        self._time_s = self._now_s
        self._lines: list[bytes] = []
        self.written = Written()

    def add(self, sample: Sample) -> None:
        """Writes a record and its picture."""
        index = self._manifest.current_index
        if index >= MAX_RECORDS:
            raise TubError(f"more than {MAX_RECORDS} records; split the recording")
        if sample.run != self._run:
            self._begin(sample)
        elif sample.time_s is None:
            self._time_s += self._period_s
        if sample.time_s is not None:
            self._time_s = sample.time_s
        labels: dict[str, Any] = {}
        if sample.steering is not None and sample.throttle is not None:
            labels = {
                "user/angle": min(1.0, max(-1.0, sample.steering)),
                "user/throttle": min(1.0, max(-1.0, sample.throttle)),
                "user/mode": "user",
            }
            self.written.labelled += 1
        name = picture_name(index, IMAGE_KEY, "image_array")
        picture = sample.picture
        if isinstance(picture, bytes):
            (self._folder / fmt.IMAGES / name).write_bytes(picture)
        else:
            write_picture(self._folder / fmt.IMAGES / name, picture, self._quality)
        fields = {**labels, IMAGE_KEY: name, "enc/speed": sample.speed_mps}
        line = self._encoder.job(index, self._session, round(self._time_s * 1000), fields).line
        self._lines.append(line)
        self._manifest.current_index += 1
        self.written.records += 1
        if len(self._lines) == self._manifest.max_len:
            self._save_catalog()

    def close(self) -> None:
        """Writes what is left, and the manifest."""
        if self._lines:
            self._save_catalog()
        (self._folder / fmt.MANIFEST).write_text(self._manifest.text(), encoding="utf-8")

    def _begin(self, sample: Sample) -> None:
        """Begins a session."""
        if self.written.sessions >= MAX_SESSIONS:
            raise TubError(f"more than {MAX_SESSIONS} recording runs; split the recording")
        if self._run is not None:
            self._time_s += BETWEEN_RUNS_S
        self._run = sample.run
        self._session = session_id(self.written.sessions, self._now_s)
        self._manifest.add_session(self.written.sessions, self._session)
        self.written.sessions += 1

    def _save_catalog(self) -> None:
        """Writes the records so far as the next catalog, with its manifest."""
        name = f"catalog_{len(self._manifest.catalogs)}.catalog"
        start = self._manifest.current_index - len(self._lines)
        (self._folder / name).write_bytes(b"".join(self._lines))
        text = fmt.catalog_manifest_text(name, self._now_s, start, [len(line) for line in self._lines])
        (self._folder / fmt.catalog_manifest_name(name)).write_text(text, encoding="utf-8")
        self._manifest.catalogs.append(name)
        self._lines = []
