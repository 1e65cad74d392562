"""Changes single settings in a car's `myconfig.py` and leaves every other character of it alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

from dingocar.errors import ConfigError
from dingocar.usercode import describe

#: A setting's value, as a command may change it.
Value = int | float | str | bool


def parse_file(path: Path) -> str:
    """Reads a settings file that is to be changed; "" if there is none.

    Raises:
        ConfigError: it is no Python; the message says in which line.
    """
    if not path.exists():
        return ""
    try:
        # newline="": the file's own line ends are kept.
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
        ast.parse(text, str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    except (SyntaxError, ValueError) as error:
        raise ConfigError(describe(error, path)) from None
    return text


def change_file(path: Path, values: Mapping[str, Value]) -> None:
    """Sets settings in the file, whole or not at all. Everything else in it, comments too, stays.

    Args:
        path: the file, made if missing; a link is followed.
        values: the new value of each setting to change.

    Raises:
        ConfigError: the file is no Python.
    """
    from dingocar.files import replace_file

    path = path.resolve()
    # Durable: a Pi's power is often cut right after somebody has calibrated.
    replace_file(path, changed(parse_file(path), values), durable=True)


def changed(text: str, values: Mapping[str, Value]) -> str:
    """The text with each setting at its new value.

    Its assignment is edited where it stands, else its commented-out line is, else a line is added at the
    end. The last is also done where an edit would have no effect (an assignment in an `if`, a comment in the
    middle of a list, a line that another one overrides).

    >>> changed("# MID = 1  # straight\\nLEFT = 2 # full\\n", {"MID": 375, "LEFT": 460, "RIGHT": 290})
    'MID = 375  # straight\\nLEFT = 460 # full\\nRIGHT = 290\\n'
    """
    for name, value in values.items():
        attempts = (_edited(text, name, value), _uncommented(text, name, value))
        effective = (new for new in attempts if new is not None and _sets(new, name, value))
        text = next(effective, None) or _appended(text, name, value)
    return text


def _edited(text: str, name: str, value: Value) -> str | None:
    """The text with the last plain top-level `name = ...` edited."""
    found = [
        statement.value
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Assign)
        and [getattr(target, "id", None) for target in statement.targets] == [name]
    ]
    if not found:
        return None
    node = found[-1]
    assert node.end_lineno is not None and node.end_col_offset is not None
    data = text.encode()
    begin = _offset(data, node.lineno, node.col_offset)
    end = _offset(data, node.end_lineno, node.end_col_offset)
    return (data[:begin] + repr(value).encode() + data[end:]).decode()


def _offset(data: bytes, line: int, column: int) -> int:
    """Where in the file a place is that `ast` gives as line (from 1) and byte in it."""
    lines = re.split(rb"(?<=\n)|(?<=\r)(?!\n)", data)
    return sum(map(len, lines[: line - 1])) + column


def _uncommented(text: str, name: str, value: Value) -> str | None:
    """The text with the last `# name = ...` made an assignment; a comment behind it stays."""
    found = list(
        re.finditer(
            rf"^#[ \t]*({name}[ \t]*=[ \t]*)[^#\s][^#\r\n]*?([ \t]*(?:#[^\r\n]*)?)(?=\r|\n|\Z)", text, re.M
        )
    )
    if not found:
        return None
    place = found[-1]
    return f"{text[: place.start()]}{place[1]}{value!r}{place[2].rstrip()}{text[place.end() :]}"


def _appended(text: str, name: str, value: Value) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = newline if text and not text.endswith(("\n", "\r")) else ""
    return f"{text}{gap}{name} = {value!r}{newline}"


def _sets(text: str, name: str, value: Value) -> bool:
    """Whether the last thing the text does to `name` is a top-level assignment of `value`."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    stores = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)
    ]
    ours = [
        statement.lineno
        for statement in tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement) == f"{name} = {value!r}"
    ]
    return bool(ours) and max(ours) == max(stores)
