"""Pickles from strangers: arrays and plain values come through, nothing else, and nothing is run."""

import builtins
import contextlib
import gc
import io
import os
import pickle
import struct
import weakref

import numpy as np
import pytest

from dingocar.tub.importers import safe_pickle
from dingocar.tub.importers.safe_pickle import Array, CutOffError, PickleError, read_pickles

PROTOCOLS = range(6)


def read(raw):
    return [value for value, _ in read_pickles(io.BytesIO(raw), len(raw))]


def plain(value):
    """With arrays in place of what stands for them."""
    if isinstance(value, Array):
        return value.value
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        [None, True, 1, -(2**70), 2.5, "text \u20ac\n'", b"bytes", b"", {"a": [1, (2, 3)], 4: ()}],
        {1, 2},
        np.float32(0.1),
        np.int64(7),
        np.bool_(True),
    ],
    ids=repr,
)
def test_plain_values_come_through(protocol, value):
    assert read(pickle.dumps(value, protocol)) == [value]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 4, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6.0).astype(">f4"),
        np.zeros((0, 3)),
        np.array(2.5),
        np.array([True, False]),
        np.arange(20, dtype=np.int16)[::2],
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_through(protocol, array):
    (found,) = read(pickle.dumps(array, protocol))
    np.testing.assert_array_equal(found.value, array)


def test_successive_pickles_and_shared_values():
    shared = [1]
    raw = pickle.dumps([shared, shared], 2) + pickle.dumps("second")
    first, second = read(raw)
    assert first == [[1], [1]] and first[0] is first[1] and second == "second"


class Evil:
    """Calls something when it is unpickled."""

    def __init__(self, *what):
        self.what = what

    def __reduce__(self):
        return self.what


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "what",
    [
        (os.system, ("touch hacked",)),
        (builtins.eval, ("open('hacked', 'w')",)),
        (getattr, ("text", "upper")),
        (builtins.__import__, ("os",)),
        (np.load, ("x.npy",)),
        (np.dtype, ("O",)),
        (np.dtype, ([("a", "f4")],)),
        (open, ("hacked", "w")),
        (bytes, (10**12,)),
        (bytearray, (10**12,)),
    ],
    ids=lambda what: f"{what[0].__name__}{what[1]}"[:40],
)
def test_nothing_is_called(protocol, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = pickle.dumps([Evil(*what)], protocol)
    with pytest.raises(PickleError):
        read(raw)
    assert list(tmp_path.iterdir()) == []


class Plain:
    pass


@pytest.mark.parametrize(
    "value", [Plain(), [Plain()], np.array([None]), range(3), slice(1), 1j, np.ma.array([1])]
)
def test_other_objects_are_refused_by_name(value):
    with pytest.raises(PickleError, match=r"admitted|another kind"):
        read(pickle.dumps(value, 2))


def array_claiming(shape, raw, code="u1"):
    """A pickle of an array that says it has this shape."""
    state = pickle.dumps((1, shape, 0, False, raw), 2)[2:-1]  # without PROTO and STOP; 0 stands for the type
    dtype = pickle.dumps(np.dtype(code), 2)[2:-1]
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + state.replace(b"K\x00\x89", dtype + b"\x89", 1)
        + b"b."
    )


def test_claims_are_checked_before_anything_is_allocated():
    assert read(array_claiming((3,), b"abc"))[0].value.tolist() == [97, 98, 99]
    for shape in ((10**9,), (1 << 40,), (10**5, 10**5), (-3,), (3, 1, 0), (2,) * 60):
        with pytest.raises(PickleError, match=r"claims|has the shape"):
            read(array_claiming(shape, b"abc"))
    giant = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nJ\xff\xff\xff\x7f\x85U\x01b\x87R."
    )
    with pytest.raises(PickleError, match="another kind"):
        read(giant)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.",  # BINBYTES8
        b"\x80\x04B" + struct.pack("<I", 0xFFFFFFFF) + b"x.",  # BINBYTES
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.",  # BYTEARRAY8
        b"\x80\x02\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"x.",  # LONG4
        b"\x80\x04\x8d" + struct.pack("<Q", 1 << 50) + b"x.",  # BINUNICODE8
    ],
)
def test_values_larger_than_the_file_are_not_read(raw):
    with pytest.raises(PickleError, match=r"claims|ends in the middle"):
        read(raw)


def test_bombs_stay_small(monkeypatch):
    # Each level holds the one before twice: 2 ** 200 items, if somebody walked them.
    level = b"".join(b"]q%ch%cah%ca0" % (n, n - 1, n - 1) for n in range(1, 200))
    (top,) = read(b"\x80\x02]q\x000" + level + b"h\xc7.")
    assert len(top) == 2 and top[0] is top[1]
    deep = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    assert isinstance(read(deep)[0], list)
    tuples = b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s."
    with pytest.raises(PickleError, match="as a key"):
        read(tuples)
    assert read(b"\x80\x02Nr\xff\xff\xff\x7f.") == [None]  # a memo number of 2 ** 31
    monkeypatch.setattr(safe_pickle, "MAX_OPCODES", 1000)
    with pytest.raises(PickleError, match="1000 opcodes"):
        read(b"\x80\x02" + b"N0" * 1000 + b"N.")
    monkeypatch.setattr(safe_pickle, "MAX_BYTES", 100)
    with pytest.raises(PickleError, match="larger than the 100 bytes"):
        read(pickle.dumps(b"x" * 200) + pickle.dumps(1))


def test_a_cut_off_file_is_told_from_a_broken_one():
    raw = pickle.dumps([np.arange(100), "text", {"a": 1.0}], 3)
    for end in range(1, len(raw) - 1, 7):
        with pytest.raises(CutOffError):
            read(raw[:end])


def test_noise_is_refused_and_never_crashes():
    rng = np.random.default_rng(0)
    seeds = [pickle.dumps([np.arange(9, dtype=np.uint8), {"a": (1, 2.0)}, "b"], p) for p in PROTOCOLS]
    for round_ in range(3000):
        raw = bytearray(seeds[round_ % len(seeds)])
        for _ in range(rng.integers(1, 5)):
            raw[rng.integers(len(raw))] = rng.integers(256)
        with contextlib.suppress(PickleError):
            read(bytes(raw))


def test_what_was_read_is_let_go_at_once():
    # A log may be larger than the memory: one pickle after the other, and no garbage that waits.
    raw = pickle.dumps([np.arange(1000)]) * 2
    pickles = read_pickles(io.BytesIO(raw), len(raw))
    first, _ = next(pickles)
    array = weakref.ref(first[0].value)
    gc.disable()
    try:
        del first
        next(pickles)
        assert array() is None
    finally:
        gc.enable()
