"""The names that a stranger's pickle may hold, and the recipes by which numpy writes its arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dingocar.errors import TubError

MAX_DIMENSIONS = 8
#: Most arguments of a recipe, and what an item of a set weighs in bytes.
MAX_ARGUMENTS, ITEM_BYTES = 8, 100

_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
#: The only names a pickle may hold, and what each stands for.
_NAMES: dict[tuple[str, str], str] = {
    **{(module, "_reconstruct"): "reconstruct" for module in _NUMPY},
    **{(module, "scalar"): "scalar" for module in _NUMPY},
    **{(module, "_frombuffer"): "frombuffer" for module in _NUMERIC},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",  # how protocols 0 to 2 write bytes
    ("builtins", "bytes"): "bytes",
    ("__builtin__", "bytes"): "bytes",
    ("builtins", "bytearray"): "bytes",
    ("__builtin__", "bytearray"): "bytes",
    **{(module, kind): "set" for module in ("builtins", "__builtin__") for kind in ("set", "frozenset")},
}
_DTYPE = re.compile(r"[<>|=]?(b1|i[1248]|u[1248]|f[248])")


class PickleError(TubError):
    """A pickle holds something else than arrays and plain values, or is broken."""


class Array:
    """An array in a pickle.

    Attributes:
        value: the array, read-only; None where the pickle forgot to fill it.
    """

    def __init__(self, value: npt.NDArray[Any] | None = None) -> None:
        self.value = value


class Name:
    """One of the allowed names; it can be passed on, and called only by the machine's own recipes."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Dtype:
    """A type of numbers on its way."""

    def __init__(self, code: str) -> None:
        self.code = code


def named(module: Any, name: Any) -> Name:
    """One of the allowed names; any other is refused."""
    kind = _NAMES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if kind is None:
        shown = f"{_shown(module)}.{_shown(name)}"
        raise PickleError(
            f"names {shown!r}: only numpy arrays, numbers, texts, lists and dicts are admitted, and nothing "
            "of a stranger's file is ever run"
        )
    return Name(kind)


def _reconstruct(kind: Any, shape: Any, code: Any) -> Array:
    """`numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b'b')`: an array that is filled later."""
    if not isinstance(kind, Name) or kind.kind != "ndarray" or shape != (0,):
        raise PickleError("holds an array of another kind than numpy.ndarray")
    return Array()


def _dtype(code: Any, *_: Any) -> Dtype:
    if not isinstance(code, str) or _DTYPE.fullmatch(code) is None:
        raise PickleError(f"an array is of type {_shown(code)!r}; only plain numbers are admitted")
    return Dtype(code)


def _scalar(dtype: Any, raw: Any) -> Any:
    return array_over(raw, dtype, (1,), "C")[0].item()


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> Array:
    return Array(array_over(raw, dtype, shape, "F" if order == "F" else "C"))


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise PickleError("holds bytes that are not written as latin1")
    return text.encode("latin1")


def _bytes(*arguments: Any) -> bytes:
    if len(arguments) > 1 or not all(isinstance(raw, bytes | bytearray) for raw in arguments):
        raise PickleError("holds bytes that are made of something else")
    return b"".join(arguments)


def _set(items: Any = ()) -> set[Any]:
    if type(items) not in (list, tuple):
        raise PickleError(f"holds a set of a {kind_of(items)}")
    return set(map(plain_key, items))


def array_over(raw: Any, dtype: Any, shape: Any, order: Literal["C", "F"]) -> npt.NDArray[Any]:
    """An array over bytes that the pickle really holds; only a text is copied, which `copied` counts."""
    if not isinstance(dtype, Dtype):
        raise PickleError(f"an array's type is a {kind_of(dtype)}")
    if isinstance(raw, str):  # as Python 2 wrote it
        raw = raw.encode("latin1")
    if not isinstance(raw, bytes | bytearray):
        raise PickleError(f"an array's numbers are a {kind_of(raw)}, expected bytes")
    if (
        type(shape) is not tuple
        or len(shape) > MAX_DIMENSIONS
        or not all(type(side) is int and 0 <= side < 1 << 31 for side in shape)
    ):
        raise PickleError(f"an array has the shape {_shown(shape)}; expected at most {MAX_DIMENSIONS} sizes")
    kind = np.dtype(dtype.code)
    if math.prod(shape) * kind.itemsize != len(raw):
        raise PickleError(f"an array claims {kind} {shape}, but there are {len(raw)} bytes of it")
    flat: npt.NDArray[Any] = np.frombuffer(raw, kind)
    return flat.reshape(shape, order=order)


def plain_key(value: Any) -> Any:
    """A key; not a tuple, for the hash of one that is nested deeply enough ends the process."""
    if value is not None and type(value) not in (str, int, float, bool, bytes):
        raise PickleError(f"uses a {kind_of(value)} as a key; only texts and numbers are admitted")
    return value


def kind_of(value: Any) -> str:
    """What a value is, for messages: its type and nothing of what it holds."""
    return value.kind if isinstance(value, Name) else type(value).__name__.lstrip("_").lower()


def _shown(value: Any) -> str:
    """A value for a message; one that is nested is never printed, for it may be endless."""
    return value[:60] if isinstance(value, str) else kind_of(value)


def copied(what: str, arguments: tuple[Any, ...]) -> int:
    """How many bytes a recipe will copy: a pickle can have it copy one value again and again.

    Texts become bytes, a bytearray becomes bytes where that is asked for, and sets have a table of their own.
    """
    if len(arguments) > MAX_ARGUMENTS:
        raise PickleError(f"calls {what} with {len(arguments)} values; at most {MAX_ARGUMENTS} are admitted")
    size = sum(len(value) for value in arguments if isinstance(value, str))
    if what == "bytes":
        size += sum(len(value) for value in arguments if isinstance(value, bytearray))
    if what == "set":
        size += sum(ITEM_BYTES * len(value) for value in arguments if isinstance(value, list | tuple))
    return size


RECIPES: dict[str, Callable[..., Any]] = {
    "reconstruct": _reconstruct,
    "dtype": _dtype,
    "scalar": _scalar,
    "frombuffer": _frombuffer,
    "encode": _encode,
    "bytes": _bytes,
    "set": _set,
}
