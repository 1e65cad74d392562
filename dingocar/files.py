"""Files that are whole or not there: safe replacement, and JSON from other people."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# O_EXCL makes a new file and never follows a link that lies in its place.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """Gives a new, empty file beside `path` that takes its place when the block ends well.

    A reader, and a crash, finds the whole old or the whole new file. Where the block or the replacement
    fails, nothing is left behind. A link at `path` is replaced itself; what it points to is not touched.
    An old file's permissions are kept, a new file gets the usual ones.

    Args:
        path: the file.
        durable: also wait until the disk has it, which guards against power cuts (slow on SD cards).

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        os.close(os.open(temporary, _NEW, 0o666))
    except OSError as error:
        error.filename = str(path.parent)  # nobody knows the temporary name, and its folder is at fault
        raise
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        if path.is_file() and not path.is_symlink():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode) & 0o777)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def replace_file(path: Path, contents: str | bytes, durable: bool = False) -> None:
    """Writes a file whole or not at all; see `replacing`. Text is written as UTF-8."""
    with replacing(path, durable) as temporary:
        temporary.write_bytes(contents.encode() if isinstance(contents, str) else contents)


def lock_folder(folder: Path, wait: bool = False) -> int | None:
    """Locks a folder; no lock file is left behind, and the system lets go of the lock of a process that dies.

    Args:
        folder: it must be there.
        wait: until who has it lets go.

    Returns:
        A descriptor, to be closed; None where the system has no such locks.

    Raises:
        BlockingIOError: somebody else has it.
    """
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # a file system without locks
        os.close(descriptor)
        return None
    return descriptor


def unlock(descriptor: int | None) -> None:
    """Lets go of a lock."""
    if descriptor is not None:
        os.close(descriptor)


def parse_json(text: str | bytes) -> Any:
    """Parses JSON that anyone may have written; what is no finite number there becomes None.

    Python's own parser lets `NaN` and `1e999` through, which no strict JSON can then be made of.

    Raises:
        ValueError: it is no JSON, nested too deeply, or has an integer too long for Python.

    >>> parse_json('{"a": NaN, "b": [1e999, 0.5]}')
    {'a': None, 'b': [None, 0.5]}
    """
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:  # of the integers: each digit more takes Python longer, so it has a limit
        raise ValueError(f"has an integer of more than {sys.get_int_max_str_digits()} digits") from None


def _no_number(_: str) -> None:
    return None


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
