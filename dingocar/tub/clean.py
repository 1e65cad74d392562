"""Frees the room that pictures of deleted records, and pictures without a record, take."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dingocar.errors import TubError
from dingocar.tub import format as fmt
from dingocar.tub.tub import Tub, open_tub

# Only what a tub writer can have made is ever removed.
_PICTURE = re.compile(r"\d+_.+\.(jpg|jpeg|png)")


@dataclass(frozen=True)
class Cleaning:
    """What a cleaning removes.

    Attributes:
        path: the tub.
        files: pictures that no live record lists.
        size_bytes: their size together.
        done: they were removed; otherwise they would be.
    """

    path: Path
    files: int
    size_bytes: int
    done: bool

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "path": str(self.path),
            "files": self.files,
            "size_bytes": self.size_bytes,
            "done": self.done,
        }


def clean(path: str | Path, yes: bool = False) -> Cleaning:
    """Removes the pictures that no live record lists; records and their numbers stay as they are.

    The records were marked as deleted before, so a cleaning that is cut off half-way has lost nothing
    that was still in use. Afterwards `Tub.restore` can bring back no picture.

    Args:
        path: the tub's folder.
        yes: remove them; otherwise they are only counted.

    Raises:
        TubError: there is no tub, somebody is recording to it, its `images` is a link, or it is so
            damaged that it is not known which pictures are in use.
    """
    folder = open_tub(path).path
    if not yes:
        found = _unused(open_tub(folder))
        return Cleaning(folder, len(found), sum(size for _, size in found), done=False)
    with fmt.locked(folder):
        removed = size_bytes = 0
        for file, size in _unused(open_tub(folder)):
            try:
                file.unlink()
            except OSError as error:
                raise TubError(f"{file}: cannot be removed ({error.strerror})") from error
            removed += 1
            size_bytes += size
    return Cleaning(folder, removed, size_bytes, done=True)


def _unused(tub: Tub) -> list[tuple[Path, int]]:
    grave = [item for item in tub.problems if item.kind in ("manifest", "catalog", "line")]
    if grave:
        raise TubError(
            f"{tub.path}: is damaged ({grave[0]}), so pictures could belong to lost records; run "
            f"dingocar tub check {tub.path} --fix first"
        )
    used = {value for record in tub for value in record.fields.values() if isinstance(value, str)}
    folder = tub.path if tub.version == 1 else tub.path / fmt.IMAGES
    if tub.version == 2 and folder.is_symlink():
        raise fmt.linked(folder)  # its pictures could be another tub's
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [
            (Path(entry.path), entry.stat(follow_symlinks=False).st_size)
            for entry in entries
            if entry.name not in used
            and _PICTURE.fullmatch(entry.name)
            and entry.is_file(follow_symlinks=False)
        ]
