"""Runs files of the user: a mistake in them is reported with file and line, not as a traceback."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from types import ModuleType

from dingocar.errors import DingocarError, UsageError

logger = logging.getLogger(__name__)


def line_of(error: BaseException, path: Path | str) -> int | str:
    """The line of the file `path` in which `error` came up; `?` if it did not come through that file."""
    if isinstance(error, SyntaxError) and error.filename in (None, str(path)):
        return error.lineno or 1
    line: int | str = "?"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def describe(error: BaseException, path: Path | str) -> str:
    """One line on an error in a user's file: `file:line: what went wrong`."""
    if isinstance(error, SyntaxError):
        return f"{path}:{line_of(error, path)}: not Python: {error.msg}"
    # Keras paints over many lines what it catches.
    words = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())
    return f"{path}:{line_of(error, path)}: {type(error).__name__}: {shorten(words, 300)}"


@contextlib.contextmanager
def calling(path: Path | str) -> Iterator[None]:
    """While a function of the file `path` runs: a mistake in a user's file is told in one line.

    A file of the library's own is no user's; its mistakes come as they are.

    Raises:
        UsageError: the function raised something; the traceback is logged.
    """
    try:
        yield
    except DingocarError:
        raise
    except Exception as error:
        if Path(path).is_relative_to(Path(__file__).parent):
            raise
        logger.info("%s failed", path, exc_info=True)
        raise UsageError(describe(error, path)) from None


def import_file(path: Path, name: str) -> ModuleType:
    """Imports a user's file as the module `name`; a second call returns the same module.

    Raises:
        UsageError: it cannot be run; the message says in which line, and why. The traceback is logged.
    """
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: cannot be imported; expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt | DingocarError):
            raise
        logger.info("%s cannot be run", path, exc_info=True)
        raise UsageError(describe(error, path)) from None
    return module
