"""Reads pickles that anyone may have written: numpy arrays and plain values, and no code is ever run.

Python's own unpickler calls what a pickle names, and even with a list of allowed names it can be made to
allocate what it likes. This one is a machine of its own for the same opcodes (`pickletools` reads them): it
knows no calls at all, only the handful of recipes by which numpy writes its arrays. What it makes is bounded:
it checks every size before it is allocated, counts what the recipes copy, and never prints or walks a value
that is nested.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Iterator
from typing import IO, Any

from dingocar.tub.importers._pickle_recipes import (
    RECIPES,
    Array,
    Dtype,
    Name,
    PickleError,
    array_over,
    copied,
    kind_of,
    named,
    plain_key,
)

#: Limits of one pickle: its bytes (and, again, the bytes its recipes copy), its opcodes and one value in it.
MAX_BYTES = 1 << 30
MAX_OPCODES = 2_000_000
MAX_VALUE_BYTES = 1 << 28
#: Longest line of an opcode that is written as text.
MAX_LINE_BYTES = 1 << 24

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
#: Opcodes that push the value they carry.
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_MARK: Any = object()


class CutOffError(PickleError):
    """A pickle ends before its end: the program that wrote it was killed, or it claims more than there is."""


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
        self._made = 0  # bytes that recipes have copied
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
            "FROZENSET": lambda _: self._stack.append(frozenset(map(plain_key, self._since_mark()))),
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
            "GLOBAL": lambda text: self._stack.append(named(*str(text).split(" ", 1))),
            "STACK_GLOBAL": lambda _: self._stack.append(named(*[self._pop(), self._pop()][::-1])),
            "REDUCE": lambda _: self._reduce(),
            "BUILD": lambda _: self._build(),
        }

    def run(self) -> Any:
        """The pickle's value."""
        try:
            self._run()
        except RecursionError:
            raise PickleError("is nested too deeply") from None
        except (ValueError, TypeError, KeyError, OverflowError, UnicodeError) as error:
            raise PickleError(f"is no pickle, or a broken one ({str(error)[:200]})") from None
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
            raise PickleError(f"appends to a {kind_of(target)}; only lists are admitted")
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not dict:
            raise PickleError(f"sets items of a {kind_of(target)}; only dicts are admitted")
        _pairs(target, items)

    def _add_items(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not set:
            raise PickleError(f"adds to a {kind_of(target)}; only sets are admitted")
        target.update(map(plain_key, items))

    # Arrays.

    def _reduce(self) -> None:
        arguments, what = self._pop(), self._pop()
        if not isinstance(what, Name) or type(arguments) is not tuple:
            raise PickleError(f"calls a {kind_of(what)}; nothing is ever called")
        recipe = RECIPES.get(what.kind)
        if recipe is None:
            raise PickleError(f"calls {what.kind}; nothing is ever called")
        self._count(copied(what.kind, arguments))
        self._stack.append(recipe(*arguments))

    def _count(self, size: int) -> None:
        """Counts bytes that are about to be copied."""
        self._made += size
        if self._made > MAX_BYTES:
            raise PickleError(f"copies its values to more than {MAX_BYTES} bytes")

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Array) and target.value is None and type(state) is tuple and len(state) == 5:
            _, shape, dtype, fortran, raw = state
            self._count(len(raw) if isinstance(raw, str) else 0)
            target.value = array_over(raw, dtype, shape, "F" if fortran else "C")
        elif isinstance(target, Dtype) and type(state) is tuple and len(state) in (8, 9):
            order, subarray, names, fields = state[1:5]
            if order not in ("<", ">", "|", "=") or (subarray, names, fields) != (None, None, None):
                raise PickleError("an array has structured records; only plain numbers are admitted")
            target.code = order.replace("|", "") + target.code.lstrip("<>|=")
        else:
            raise PickleError(f"sets the state of a {kind_of(target)}; only arrays are admitted")


def _pairs(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise PickleError("is a broken pickle: a key has no value")
    for at in range(0, len(items), 2):
        target[plain_key(items[at])] = items[at + 1]
    return target
