"""Tables of text that anyone may have written, line by line, with their sizes bounded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from dingocar.errors import TubError

#: Longest line, and most lines.
MAX_LINE_BYTES = 1 << 16
MAX_LINES = 5_000_000


@contextlib.contextmanager
def open_table(path: Path, on_progress: Callable[[float], None]) -> Iterator[Iterator[str]]:
    """Gives the lines of a table.

    Args:
        path: the file.
        on_progress: called with the share that has been read.

    Raises:
        TubError: it is a link or too large, here or while it is read.
        OSError: it cannot be read.
    """
    if path.is_symlink():
        raise TubError(f"{path}: is a link; not read, it could lead out of the folder")
    size = max(1, path.stat().st_size)
    with path.open("rb") as file:

        def lines() -> Iterator[str]:
            done = count = 0
            while raw := file.readline(MAX_LINE_BYTES):
                done, count = done + len(raw), count + 1
                if (len(raw) >= MAX_LINE_BYTES and not raw.endswith(b"\n")) or count > MAX_LINES:
                    raise TubError(
                        f"{path}:{count}: more than {MAX_LINE_BYTES} bytes in a line, or {MAX_LINES} lines"
                    )
                if count == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if count % 64 == 0:
                    on_progress(done / size)
                yield raw.decode("utf-8", "replace").replace("\0", "")
            on_progress(1.0)

        yield lines()
