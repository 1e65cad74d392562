"""Reads pickles that anyone may have written: numpy arrays and plain values, and no code is ever run.

Python's own unpickler calls what a pickle names, and even with a list of allowed names it can be made to
allocate what it likes. This one is a machine of its own for the same opcodes (`pickletools` reads them): it
knows no calls at all, only the handful of recipes by which numpy writes its arrays, and it
checks every size before it is allocated.
"""

from __future__ import annotations

import math
import pickletools
import re
import warnings
from collections.abc import Callable, Iterator
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from dingocar.errors import TubError

#: Limits of one pickle: its bytes, its opcodes and one value in it.
MAX_BYTES = 1 << 30
MAX_OPCODES = 2_000_000
MAX_VALUE_BYTES = 1 << 28
#: Longest line of an opcode that is written as text.
MAX_LINE_BYTES = 1 << 24
MAX_DIMENSIONS = 8

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
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
#: Opcodes that push the value they carry.
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_MARK: Any = object()


class PickleError(TubError):
    """A pickle holds something else than arrays and plain values, or is broken."""


class CutOffError(PickleError):
    """A pickle ends before its end: the program that wrote it was killed, or it claims more than there is."""


class Array:
    """An array in a pickle.

    Attributes:
        value: the array, read-only; None where the pickle forgot to fill it.
    """

    def __init__(self, value: npt.NDArray[Any] | None = None) -> None:
        self.value = value


class _Name:
    """One of the allowed names; it can be passed on, and called only by the machine's own recipes."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class _Dtype:
    """A type of numbers on its way."""

    def __init__(self, code: str) -> None:
        self.code = code


def read_pickles(file: IO[bytes], size: int) -> Iterator[tuple[Any, int]]:
    """Reads the successive pickles of a file, one at a time.

    Args:
        file: opened for reading in binary, at the beginning of a pickle.
        size: how many bytes there are from there.

    Yields:
        The value (None, numbers, texts, bytes, lists, tuples, dicts, sets and `Array`), and how many
        bytes have been read so far.

    Raises:
        PickleError: it holds something else, is broken or is too large.
        CutOffError: the last one is not whole.
    """
    reader = _Reader(file, size)
    while reader.done < size:
        reader.end = min(size, reader.done + MAX_BYTES)
        yield _Machine(reader).run(), reader.done


class _Reader:
    """A file that never gives more than there is: `pickletools` reads as many bytes as a pickle claims."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size
        self.done, self.end = 0, size

    def read(self, count: int) -> bytes:
        if count > MAX_VALUE_BYTES:
            raise PickleError(
                f"one value claims {count} bytes, more than the {MAX_VALUE_BYTES} that are read"
            )
        if self.done + count > self.end:
            raise self._short(count)
        raw = self._file.read(count)
        self.done += len(raw)
        if len(raw) < count:
            raise self._short(count)
        return raw

    def readline(self) -> bytes:
        raw = self._file.readline(min(MAX_LINE_BYTES, self.end - self.done))
        self.done += len(raw)
        if not raw.endswith(b"\n"):
            if len(raw) >= MAX_LINE_BYTES:
                raise PickleError(f"a line is longer than {MAX_LINE_BYTES} bytes")
            raise self._short(1)
        return raw

    def tell(self) -> int:
        return self.done

    def _short(self, count: int) -> PickleError:
        if self.end < self._size:
            return PickleError(f"one pickle is larger than the {MAX_BYTES} bytes that are read at once")
        left = self.end - self.done
        return CutOffError(f"it ends in the middle of a value ({count} bytes expected, {max(left, 0)} left)")


class _Machine:
    """Runs the opcodes of one pickle."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._actions: dict[str, Callable[[Any], None]] = {
            "MARK": lambda _: self._stack.append(_MARK),
            "POP": lambda _: self._drop(),
            "POP_MARK": lambda _: self._since_mark().clear(),
            "DUP": lambda _: self._stack.append(self._top()),
            "EMPTY_LIST": lambda _: self._stack.append([]),
            "EMPTY_TUPLE": lambda _: self._stack.append(()),
            "EMPTY_DICT": lambda _: self._stack.append({}),
            "EMPTY_SET": lambda _: self._stack.append(set()),
            "LIST": lambda _: self._stack.append(self._since_mark()),
            "TUPLE": lambda _: self._stack.append(tuple(self._since_mark())),
            "FROZENSET": lambda _: self._stack.append(frozenset(map(_key, self._since_mark()))),
            "TUPLE1": lambda _: self._tuple(1),
            "TUPLE2": lambda _: self._tuple(2),
            "TUPLE3": lambda _: self._tuple(3),
            "DICT": lambda _: self._stack.append(_pairs({}, self._since_mark())),
            "APPEND": lambda _: self._append([self._pop()]),
            "APPENDS": lambda _: self._append(self._since_mark()),
            "SETITEM": lambda _: self._set_items([self._pop(), self._pop()][::-1]),
            "SETITEMS": lambda _: self._set_items(self._since_mark()),
            "ADDITEMS": lambda _: self._add_items(self._since_mark()),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._put),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), self._get),
            "MEMOIZE": lambda _: self._put(len(self._memo)),
            "GLOBAL": lambda text: self._stack.append(_named(*str(text).split(" ", 1))),
            "STACK_GLOBAL": lambda _: self._stack.append(_named(*[self._pop(), self._pop()][::-1])),
            "REDUCE": lambda _: self._reduce(),
            "BUILD": lambda _: self._build(),
        }

    def run(self) -> Any:
        """The pickle's value."""
        try:
            self._run()
        except (ValueError, TypeError, KeyError, OverflowError, UnicodeError) as error:
            raise PickleError(f"is no pickle, or a broken one ({error})") from None
        finally:
            # The actions know the machine: without this it would keep all it has read for a long while.
            self._actions, self._memo = {}, {}
        if len(self._stack) != 1 or self._stack[0] is _MARK:
            raise PickleError("is a broken pickle: it does not leave one value")
        return self._stack.pop()

    def _run(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # over odd escapes in texts, which are the stranger's
            for count, (opcode, argument, _) in enumerate(pickletools.genops(self._reader)):  # type: ignore[arg-type]
                if count >= MAX_OPCODES:
                    raise PickleError(f"one pickle has more than {MAX_OPCODES} opcodes")
                name = opcode.name
                if name in _VALUES:
                    self._stack.append(argument)
                elif name in _CONSTANTS:
                    self._stack.append(_CONSTANTS[name])
                elif name in self._actions:
                    self._actions[name](argument)
                elif name not in ("PROTO", "FRAME", "STOP"):
                    raise PickleError(
                        f"opcode {name} is not admitted: it makes other things than plain values"
                    )

    # The stack.

    def _top(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise PickleError("is a broken pickle: a value is missing")
        return self._stack[-1]

    def _pop(self) -> Any:
        self._top()
        return self._stack.pop()

    def _drop(self) -> None:
        if not self._stack:
            raise PickleError("is a broken pickle: a value is missing")
        self._stack.pop()

    def _since_mark(self) -> list[Any]:
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is _MARK:
                items = self._stack[at + 1 :]
                del self._stack[at:]
                return items
        raise PickleError("is a broken pickle: a mark is missing")

    def _put(self, number: int) -> None:
        self._memo[number] = self._top()

    def _get(self, number: int) -> None:
        if number not in self._memo:
            raise PickleError(f"is a broken pickle: it refers to value {number}, which it has not")
        self._stack.append(self._memo[number])

    # Containers.

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._stack.append(tuple(reversed(items)))

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise PickleError(f"appends to a {_kind(target)}; only lists are admitted")
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not dict:
            raise PickleError(f"sets items of a {_kind(target)}; only dicts are admitted")
        _pairs(target, items)

    def _add_items(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not set:
            raise PickleError(f"adds to a {_kind(target)}; only sets are admitted")
        target.update(map(_key, items))

    # Arrays.

    def _reduce(self) -> None:
        arguments, what = self._pop(), self._pop()
        if not isinstance(what, _Name) or type(arguments) is not tuple:
            raise PickleError(f"calls a {_kind(what)}; nothing is ever called")
        recipe = _RECIPES.get(what.kind)
        if recipe is None:
            raise PickleError(f"calls {what.kind}; nothing is ever called")
        self._stack.append(recipe(*arguments))

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Array) and target.value is None and type(state) is tuple and len(state) == 5:
            _, shape, dtype, fortran, raw = state
            target.value = _array(raw, dtype, shape, "F" if fortran else "C")
        elif isinstance(target, _Dtype) and type(state) is tuple and len(state) in (8, 9):
            order, subarray, names, fields = state[1:5]
            if order not in ("<", ">", "|", "=") or (subarray, names, fields) != (None, None, None):
                raise PickleError("an array has structured records; only plain numbers are admitted")
            target.code = order.replace("|", "") + target.code.lstrip("<>|=")
        else:
            raise PickleError(f"sets the state of a {_kind(target)}; only arrays are admitted")


def _named(module: Any, name: Any) -> _Name:
    kind = _NAMES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if kind is None:
        shown = f"{str(module)[:60]}.{str(name)[:60]}"
        raise PickleError(
            f"names {shown!r}: only numpy arrays, numbers, texts, lists and dicts are admitted, and nothing "
            "of a stranger's file is ever run"
        )
    return _Name(kind)


def _reconstruct(kind: Any, shape: Any, code: Any) -> Array:
    """`numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b'b')`: an array that is filled later."""
    if not isinstance(kind, _Name) or kind.kind != "ndarray" or shape != (0,):
        raise PickleError("holds an array of another kind than numpy.ndarray")
    return Array()


def _dtype(code: Any, *_: Any) -> _Dtype:
    if not isinstance(code, str) or _DTYPE.fullmatch(code) is None:
        raise PickleError(f"an array is of type {str(code)[:20]!r}; only plain numbers are admitted")
    return _Dtype(code)


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (1,), "C")[0].item()


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> Array:
    return Array(_array(raw, dtype, shape, "F" if order == "F" else "C"))


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
        raise PickleError(f"holds a set of a {_kind(items)}")
    return set(map(_key, items))


def _array(raw: Any, dtype: Any, shape: Any, order: Literal["C", "F"]) -> npt.NDArray[Any]:
    """An array over bytes that the pickle really holds; nothing is allocated."""
    if not isinstance(dtype, _Dtype):
        raise PickleError(f"an array's type is a {_kind(dtype)}")
    if isinstance(raw, str):  # as Python 2 wrote it
        raw = raw.encode("latin1")
    if not isinstance(raw, bytes | bytearray):
        raise PickleError(f"an array's numbers are a {_kind(raw)}, expected bytes")
    if (
        type(shape) is not tuple
        or len(shape) > MAX_DIMENSIONS
        or not all(type(side) is int and 0 <= side < 1 << 31 for side in shape)
    ):
        raise PickleError(f"an array has the shape {str(shape)[:60]}")
    kind = np.dtype(dtype.code)
    if math.prod(shape) * kind.itemsize != len(raw):
        raise PickleError(f"an array claims {kind} {shape}, but there are {len(raw)} bytes of it")
    flat: npt.NDArray[Any] = np.frombuffer(raw, kind)
    return flat.reshape(shape, order=order)


def _pairs(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise PickleError("is a broken pickle: a key has no value")
    for at in range(0, len(items), 2):
        target[_key(items[at])] = items[at + 1]
    return target


def _key(value: Any) -> Any:
    """A key; not a tuple, for the hash of one that is nested deeply enough ends the process."""
    if value is not None and type(value) not in (str, int, float, bool, bytes):
        raise PickleError(f"uses a {_kind(value)} as a key; only texts and numbers are admitted")
    return value


def _kind(value: Any) -> str:
    return value.kind if isinstance(value, _Name) else type(value).__name__.lstrip("_").lower()


_RECIPES: dict[str, Callable[..., Any]] = {
    "reconstruct": _reconstruct,
    "dtype": _dtype,
    "scalar": _scalar,
    "frombuffer": _frombuffer,
    "encode": _encode,
    "bytes": _bytes,
    "set": _set,
}
