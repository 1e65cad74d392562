"""Dataclasses of plain values: every name and type of a suite's tables is checked, in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args, get_type_hints

from dingocar.errors import UsageError, did_you_mean

T = TypeVar("T")


def read(kind: type[T], table: Mapping[str, Any], where: str, also: Iterable[str] = ()) -> T:
    """Makes the dataclass `kind` of a table; every value is checked against its field's type."""
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for key in table:
        if key in ("seed", "seeds") and key not in known:
            raise UsageError(f"{where}.{key}: all rows share the suite's seeds; remove it")
        if key not in known:
            named = [name for name in (*known, *also) if name != "name"]
            raise UsageError(f"{where}: unknown setting {key!r}{did_you_mean(key, named)}")
    values = {key: value_of(value, hints[key], f"{where}.{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        missing = str(error).partition("argument")[2].strip(" s:")
        raise UsageError(f"{where}: {missing.replace(' and ', ', ')} must be given") from None


def value_of(value: Any, hint: Any, where: str) -> Any:
    """Returns `value` as the type `hint` says: lists as tuples, whole numbers as floats."""
    if get_args(hint) and all(isinstance(choice, str) for choice in get_args(hint)):
        need(value in get_args(hint), where, " or ".join(map(repr, get_args(hint))), value)
    elif hint in (str, int):
        words = {str: "text", int: "a whole number"}
        need(isinstance(value, hint) and not isinstance(value, bool), where, words[hint], value)
    elif hint is bool:
        need(isinstance(value, bool), where, "true or false", value)
    elif hint is float:
        need(isinstance(value, int | float) and not isinstance(value, bool), where, "a number", value)
        return float(value)
    elif getattr(hint, "__origin__", None) is tuple:
        inner = get_args(hint)[0]
        need(isinstance(value, list | tuple), where, "a list", value)
        return tuple(value_of(item, inner, f"{where}[{i}]") for i, item in enumerate(value))
    elif getattr(hint, "__origin__", None) is Mapping:
        need(isinstance(value, dict), where, "a table", value)
    return value


def need(fine: bool, where: str, expected: str, got: Any) -> None:
    """Raises a `UsageError` unless `fine`."""
    if not fine:
        raise UsageError(f"{where}: expected {expected}, got {_shown(got)}")


def _shown(value: Any) -> str:
    """A value for a message, in a line that is not too long."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"  # one in hexadecimal is read, and cannot be printed
    return text if len(text) <= 80 else f"{text[:77]}..."
