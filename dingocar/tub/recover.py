"""Opens a tub for writing: creates it, or repairs what a killed recording left and goes on after it."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dingocar.errors import TubError
from dingocar.files import replace_file
from dingocar.tub import format as fmt
from dingocar.tub import legacy
from dingocar.tub.record import Problem
from dingocar.words import quoted

logger = logging.getLogger(__name__)

#: Longest gap in the numbering that is filled with empty records.
MAX_FILLERS = 10_000

# Found with a pattern and not by decoding every line: opening a long tub must not take seconds on a
# Raspberry Pi. A quotation mark inside a JSON text is escaped, so neither can match inside one.
_INDEX = re.compile(rb'"_index":\s*(\d{1,12})\b')
_SESSION = re.compile(rb'"_session_id":\s*"[^"]*_(\d{1,9})"')


@dataclass
class Catalog:
    """The catalog that is being written, open for appending.

    Attributes:
        name: its file name.
        descriptor: the open file.
        created_at: seconds since 1970.
        start_index: the index of its first record.
        lengths: bytes of each line, with its newline.
    """

    name: str
    descriptor: int
    created_at: float
    start_index: int
    lengths: list[int] = field(default_factory=list)

    def text(self) -> str:
        """Its catalog manifest."""
        return fmt.catalog_manifest_text(self.name, self.created_at, self.start_index, self.lengths)


def open_for_writing(
    folder: Path,
    inputs: list[str],
    types: list[str],
    metadata: Mapping[str, Any],
    max_len: int,
    now_s: float,
) -> tuple[fmt.Manifest, Catalog, int]:
    """Creates a tub, or opens one (its lock is held by the caller); `now_s` is in seconds since 1970.

    Returns:
        The manifest as it stands, the catalog to append to, and the number of the new session.

    Raises:
        TubError: the tub there has other inputs, is a v1 tub, belongs to the other domain, or was translated;
            or the folder is no tub and holds other things.
    """
    if addable(folder, metadata) is not None:
        manifest, catalog, session = _resume(folder, inputs, types, max_len)
        _add_metadata(manifest, metadata, session_id(session, now_s))
    else:
        if not inputs:
            raise TubError(f"{folder}: a new tub needs inputs and types, got none")
        manifest = fmt.Manifest(inputs, types, dict(metadata), {"created_at": now_s}, max_len=max_len)
        catalog, session = None, 0
    images = folder / fmt.IMAGES
    if images.is_symlink():  # reading through it does no harm
        raise fmt.linked(images)
    images.mkdir(exist_ok=True)
    if catalog is None:
        catalog = new_catalog(folder, manifest, now_s)
    replace_file(folder / fmt.catalog_manifest_name(catalog.name), catalog.text())
    replace_file(folder / fmt.MANIFEST, manifest.text())
    return manifest, catalog, session


def addable(folder: Path, metadata: Mapping[str, Any]) -> fmt.Manifest | None:
    """The manifest of a tub that can be added to; None: a new one can be begun there. Writes nothing.

    Raises:
        TubError: the tub there is a v1 tub, belongs to the other domain, or was translated; or the folder is
            no tub and holds other things.
    """
    if not folder.is_dir():
        return None
    if (folder / fmt.MANIFEST).exists() or fmt.catalogs_in(folder):
        manifest = fmt.read_manifest(folder, [])
        _check_domain(folder, manifest, metadata)
        if manifest.metadata.get("looks") not in (None, manifest.metadata.get("domain")):
            raise TubError(
                f"{folder}: holds translated pictures, and a camera's would pass for such; record to another "
                "folder"
            )
        return manifest
    if legacy.is_legacy(folder):
        raise TubError(f"{folder}: is a tub v1, which can be read but not added to; record to another folder")
    others = sorted(path.name for path in folder.glob("[!.]*"))
    if others not in ([], [fmt.IMAGES]):
        raise TubError(
            f"{folder}: is no tub, and not empty ({others[0]}, ...); record to a new or an empty folder"
        )
    return None


def new_catalog(folder: Path, manifest: fmt.Manifest, created_at: float) -> Catalog:
    """Creates the next catalog and adds it to `manifest` (in memory)."""
    taken = [fmt.catalog_number(name) for name in manifest.catalogs]
    name = f"catalog_{max([len(taken), *(number + 1 for number in taken)])}.catalog"
    # What may lie there is an empty catalog of a killed recording, or a link to nowhere.
    (folder / name).unlink(missing_ok=True)
    descriptor = fmt.open_for_append(folder / name, new=True)
    manifest.catalogs.append(name)
    return Catalog(name, descriptor, created_at, manifest.current_index)


def _resume(
    folder: Path, inputs: list[str], types: list[str], max_len: int
) -> tuple[fmt.Manifest, Catalog | None, int]:
    problems: list[Problem] = []
    manifest = fmt.read_manifest(folder, problems)
    if not manifest.complete:
        logger.warning("%s: %s; it is rebuilt, the old one is kept", folder, problems[0])
        fmt.Backup(folder).keep(folder / fmt.MANIFEST)
        manifest.max_len = max_len
        manifest.header.setdefault("created_at", time.time())
        if not manifest.inputs:
            manifest.inputs, manifest.types = inputs, types
    _fit_inputs(folder, manifest, inputs, types)
    # A catalog that the manifest does not know yet was begun just before a kill.
    for name in fmt.catalogs_in(folder):
        if name not in manifest.catalogs and (folder / name).stat().st_size:
            manifest.catalogs.append(name)
    present = [name for name in manifest.catalogs if (folder / name).is_file()]
    if present != manifest.catalogs:
        missing = sorted(set(manifest.catalogs) - set(present))
        logger.warning("%s: catalogs are missing: %s", folder, ", ".join(missing))
        manifest.catalogs = present
    if present:
        _mend_end(folder / present[-1])
    next_index, session = 0, _last_session(manifest) + 1
    for name in present:
        raw = (folder / name).read_bytes()
        next_index = max([next_index, *(int(found) + 1 for found in _INDEX.findall(raw))])
        session = max([session, *(int(number) + 1 for number in set(_SESSION.findall(raw)))])
    catalog = _reopen(folder, present[-1], manifest) if present else None
    if catalog is not None and next_index < manifest.current_index:
        _fill_gap(folder, manifest, catalog, next_index)
    manifest.current_index = max(manifest.current_index, next_index)
    # Deletions of records that never reached the disk must not hit the records that come now.
    manifest.deleted = {item for item in manifest.deleted if item < manifest.current_index}
    return manifest, catalog, session


def _fit_inputs(folder: Path, manifest: fmt.Manifest, inputs: list[str], types: list[str]) -> None:
    if not manifest.inputs:
        raise TubError(f"{folder}: its manifest is lost; run dingocar tub check {quoted(folder)} --fix")
    if inputs and (inputs, types) != (manifest.inputs, manifest.types):
        had = dict(zip(manifest.inputs, manifest.types, strict=True))
        given = dict(zip(inputs, types, strict=True))
        raise TubError(f"{folder}: this tub records {had}, asked to record {given}; record to another folder")


def _check_domain(folder: Path, manifest: fmt.Manifest, metadata: Mapping[str, Any]) -> None:
    had, given = manifest.metadata.get("domain"), metadata.get("domain")
    if had is not None and given is not None and had != given:
        raise TubError(
            f"{folder}: this tub is of domain {had!r}, asked to record {given!r}; record to another folder"
        )


def session_id(number: int, time_s: float) -> str:
    """A session's id as Donkeycar makes it, e.g. `26-11-20_0`."""
    return f"{time.strftime('%y-%m-%d', time.localtime(time_s))}_{number}"


def _add_metadata(manifest: fmt.Manifest, metadata: Mapping[str, Any], session: str) -> None:
    """Adds a new session's words; what was said of the earlier records stays as it is.

    Where the words differ from the tub's they are kept as the session's own. A session without records
    leaves its id to the next one, whose words then count.
    """
    known = manifest.metadata.get(fmt.SESSIONS, {})
    sessions = dict(known) if isinstance(known, dict) else {"earlier": known}
    sessions.pop(session, None)
    if manifest.current_index == 0:  # nothing was recorded yet
        manifest.metadata.update(metadata)
    elif "domain" in metadata:  # it is one for all records
        manifest.metadata.setdefault("domain", metadata["domain"])
    if any(manifest.metadata.get(key) != value for key, value in metadata.items()):
        sessions[session] = dict(metadata)
    if sessions:
        manifest.metadata[fmt.SESSIONS] = sessions
    else:
        manifest.metadata.pop(fmt.SESSIONS, None)


def _last_session(manifest: fmt.Manifest) -> int:
    known = manifest.header.get("sessions")
    last = known.get("last_id") if isinstance(known, dict) else None
    return last if fmt.is_index(last) else -1


def _mend_end(path: Path) -> None:
    """Makes a catalog end with a whole line: a cut-off one is no record and is taken away."""
    raw = path.read_bytes()
    if not raw or raw.endswith(b"\n"):
        return
    start = raw.rfind(b"\n") + 1
    try:
        fmt.parse_line(raw[start:])
    except ValueError:
        logger.warning("%s: the last line is cut off (%d bytes); removed", path, len(raw) - start)
        whole = False
    else:
        whole = True
    descriptor = fmt.open_for_append(path)
    try:
        if whole:
            os.write(descriptor, b"\n")
        else:
            os.ftruncate(descriptor, start)
    finally:
        os.close(descriptor)


def _reopen(folder: Path, name: str, manifest: fmt.Manifest) -> Catalog:
    lines = (folder / name).read_bytes().split(b"\n")[:-1]
    created_at, start_index = catalog_origin(folder, name)
    if start_index is None:
        found = _INDEX.search(lines[0]) if lines else None
        start_index = int(found[1]) if found else manifest.current_index
    descriptor = fmt.open_for_append(folder / name)
    return Catalog(name, descriptor, created_at, start_index, [len(line) + 1 for line in lines])


def catalog_origin(folder: Path, name: str) -> tuple[float, int | None]:
    """`created_at` and `start_index` from a catalog manifest, as far as it can be read."""
    path = folder / fmt.catalog_manifest_name(name)
    try:
        contents = fmt.read_json(path)
        return float(contents["created_at"]), int(contents["start_index"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return (folder / name).stat().st_mtime, None


def filler(index: int) -> bytes:
    """A catalog line that stands for no record, as Donkeycar's converter writes them.

    Donkeycar counts lines where it looks up deleted indexes, so gaps in the numbering would make it
    hide the wrong records.
    """
    return b'{"__empty__": true, "_index": %d}\n' % index


def _fill_gap(folder: Path, manifest: fmt.Manifest, catalog: Catalog, next_index: int) -> None:
    """Stands in for lines that the manifest counted and a power cut took."""
    gap = range(next_index, manifest.current_index)
    logger.warning("%s: %d records were lost (from %d on)", folder, len(gap), next_index)
    if len(gap) <= MAX_FILLERS:
        lines = [filler(index) for index in gap]
        os.write(catalog.descriptor, b"".join(lines))
        catalog.lengths.extend(len(line) for line in lines)
        manifest.deleted.update(gap)
