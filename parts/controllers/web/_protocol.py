"""The messages between page and server and between server and car; each is checked where it arrives.

All of them are JSON objects with a `type`. The page's messages travel on to the car as they are, so that one
schema serves both links; the car checks them again, because it trusts no other process with its throttle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dingocar.errors import DingocarError, did_you_mean
from dingocar.parts.drive_mode import MODES
from dingocar.tub.record import is_plain_name

#: Longest message of a page, in bytes.
MAX_BYTES = 4096
#: Most messages a page may send in a second.
MAX_PER_SECOND = 120
#: A throttle nearer to zero than this is neutral.
NEUTRAL = 0.05

Message = dict[str, Any]
#: Says what is wrong with a field's value, or "" if nothing is.
Check = Callable[[Any], str]


class ProtocolError(DingocarError):
    """A message does not fit the protocol; the text says how."""


def number(low: float, high: float) -> Check:
    """A finite number in [low, high]; true and false are none."""

    def check(value: Any) -> str:
        right = type(value) in (int, float) and low <= value <= high  # NaN is in no range
        return "" if right else f"expected a number from {low:g} to {high:g}"

    return check


def whole(low: int, high: int) -> Check:
    """A whole number in [low, high]."""

    def check(value: Any) -> str:
        return "" if type(value) is int and low <= value <= high else f"expected {low} to {high}"

    return check


def one_of(names: Iterable[str]) -> Check:
    """One of a few words."""
    known = tuple(names)
    return lambda value: "" if value in known else f"expected one of {', '.join(known)}"


def boolean(value: Any) -> str:
    """true or false."""
    return "" if type(value) is bool else "expected true or false"


def text(value: Any) -> str:
    """A string that can be sent and printed."""
    return "" if type(value) is str and value.isprintable() else "expected a line of text"


def file_name(value: Any) -> str:
    """The plain name of a file in the car's folder."""
    right = type(value) is str and len(value) <= 200 and value.isprintable() and is_plain_name(value)
    return "" if right else "expected a plain file name"


def maybe(check: Check) -> Check:
    """What `check` lets through, or null."""
    return lambda value: "" if value is None else check(value)


#: What a page may send: type to fields, all of them required.
PAGE: Mapping[str, Mapping[str, Check]] = {
    "drive": {"steering": number(-1, 1), "throttle": number(-1, 1)},
    "mode": {"mode": one_of(MODES)},
    "record": {"on": boolean},
    "erase": {"n": whole(1, 10_000)},
    "constant_throttle": {"throttle": maybe(number(-1, 1))},
    "launch": {},
    "stop": {},
    "model": {"name": maybe(file_name)},
    "ping": {"t": number(-1e15, 1e15)},
}
#: Messages that are a press of a button: whoever presses one drives.
BUTTONS = frozenset({"mode", "record", "erase", "constant_throttle", "launch", "stop"})

#: What the server sends to the car: a page's messages, and what it says itself.
TO_CAR: Mapping[str, Mapping[str, Check]] = {
    **{kind: fields for kind, fields in PAGE.items() if kind not in ("ping", "model")},
    "model": {**PAGE["model"], "client": whole(0, 1 << 53)},
    "released": {},
    "ready": {"port": whole(1, 65535)},
    "failed": {"message": text},
}


def parse_page(raw: str | bytes) -> Message:
    """Checks a message of a page.

    Raises:
        ProtocolError: it is no message; the text says what was expected and what came.

    >>> parse_page('{"type": "drive", "steering": 0.5, "throttle": 0}')
    {'type': 'drive', 'steering': 0.5, 'throttle': 0}
    """
    size = len(raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise ProtocolError(f"expected at most {MAX_BYTES} bytes, got {size}")
    return _parse(raw, PAGE)


def parse_to_car(raw: str | bytes) -> Message:
    """Checks a line that the server sends to the car; raises as `parse_page`."""
    return _parse(raw, TO_CAR)


def dump(message: Mapping[str, Any]) -> str:
    """One line of JSON; numbers that JSON has no word for become null, anything unknown a text.

    >>> dump({"a": float("nan"), "b": [1, True, None]})
    '{"a":null,"b":[1,true,null]}'
    """
    return json.dumps(_plain(message), separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int):
        return int(value)
    try:
        as_float = float(value)  # numpy's numbers too
    except (TypeError, ValueError, OverflowError):
        return str(value)[:200]
    return as_float if math.isfinite(as_float) else None


def _parse(raw: str | bytes, schema: Mapping[str, Mapping[str, Check]]) -> Message:
    try:
        message = json.loads(raw, parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # a wrong encoding is a ValueError too
        raise ProtocolError(f"expected JSON ({str(error)[:80]})") from None
    if type(message) is not dict:
        raise ProtocolError(f"expected an object, got {_shown(message)}")
    kind = message.get("type")
    if type(kind) is not str or kind not in schema:
        hint = did_you_mean(kind, schema) if type(kind) is str and len(kind) < 40 else ""
        raise ProtocolError(f"type: unknown message {_shown(kind)}{hint}")
    fields = schema[kind]
    unknown = sorted(message.keys() - fields.keys() - {"type"})
    missing = sorted(fields.keys() - message.keys())
    if unknown or missing:
        wrong = f"unknown field {_shown(unknown[0])}" if unknown else f"{missing[0]} is missing"
        raise ProtocolError(f"{kind}: {wrong}; expected {', '.join(fields) or 'no fields'}")
    for name, check in fields.items():
        complaint = check(message[name])
        if complaint:
            raise ProtocolError(f"{kind}: {name}: {complaint}, got {_shown(message[name])}")
    return message


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> Message:
    message = dict(pairs)
    if len(message) < len(pairs):
        raise ValueError("a field stands there twice")
    return message


def _shown(value: Any) -> str:
    # ascii(): what comes from a stranger is printed into logs and pages.
    try:
        return ascii(value)[:60]
    except (ValueError, RecursionError):  # an int of too many digits; deep nesting
        return type(value).__name__
