"""Recordings that were made to fill the memory, to take for ever or to lead out of their folder."""

import io
import itertools
import json
import pickle
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from dingocar.errors import TubError
from dingocar.tub.importers import folder, import_tub, safe_pickle
from dingocar.tub.importers._sample import number
from dingocar.tub.importers.safe_pickle import PickleError, read_pickles

RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
#: A tuple of pairs of the same pair: 2 ** 18 of them, if somebody prints it.
PAIRS = b")" + b"2\x86" * 18
DEEP = b")" + b"\x85" * 100_000
ENCODE = b"c_codecs\nencode\n"


def read(raw):
    return [value for value, _ in read_pickles(io.BytesIO(raw), len(raw))]


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((16, 32, 3), np.uint8)).save(path)


def refused(raw):
    """What a pickle is refused with, and the most memory that took."""
    tracemalloc.start()
    try:
        with pytest.raises(PickleError) as caught:
            read(raw)
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", [PAIRS, DEEP], ids=["pairs", "deep"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"cnumpy\ndtype\n", b"\x85R."),
        (b"", b"X\x01\x00\x00\x00n\x93."),
        (b"X\x01\x00\x00\x00n", b"\x93."),
        (RECONSTRUCT + b"(K\x01", pickle.dumps(np.dtype("u1"), 2)[2:-1] + b"\x89C\x01atb."),
    ],
    ids=["dtype", "module", "name", "shape"],
)
def test_what_is_nested_is_never_printed(value, before, after):
    message, peak = refused(b"\x80\x04" + before + value + after)
    assert "tuple" in message and len(message) < 250
    assert value is DEEP or peak < 500_000


def test_a_pickle_too_deep_for_python_is_refused(monkeypatch):
    def too_deep(*_):
        raise RecursionError

    monkeypatch.setattr(safe_pickle, "named", too_deep)
    with pytest.raises(PickleError, match="nested too deeply"):
        read(b"\x80\x02cnumpy\ndtype\n.")


def text(size):
    return b"X" + size.to_bytes(4, "little") + b"x" * size


LATIN1 = b"X\x06\x00\x00\x00latin1"
COPIES = {
    "encode": (ENCODE + b"q\x010" + text(100_000) + LATIN1 + b"\x86q\x020", b"h\x01h\x02R0"),
    "bytes": (
        b"c__builtin__\nbytes\nq\x010\x96" + (100_000).to_bytes(8, "little") + b"x" * 100_000 + b"\x85q\x020",
        b"h\x01h\x02R0",
    ),
    "set": (b"c__builtin__\nset\nq\x010](" + b"".join(b"M" + n.to_bytes(2, "little") for n in range(10_000))
            + b"e\x85q\x020", b"h\x01h\x02R0"),
    "array": (
        b"(K\x01" + b"J" + (100_000).to_bytes(4, "little") + b"\x85" + pickle.dumps(np.dtype("u1"), 2)[2:-1]
        + b"\x89" + text(100_000) + b"tq\xc80",
        RECONSTRUCT + b"h\xc8b0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", COPIES)
def test_copies_of_one_value_are_counted(what, monkeypatch):
    once, again = COPIES[what]
    assert read(b"\x80\x05" + once + again * 3 + b"N.") == [None]
    monkeypatch.setattr(safe_pickle, "MAX_BYTES", 5_000_000)
    # All are kept: on the stack, under each other.
    message, peak = refused(b"\x80\x05" + once + again[:-1] * 400 + b"N.")
    assert message.endswith("copies its values to more than 5000000 bytes") and peak < 8_000_000


def test_a_recipe_takes_few_values():
    message, _ = refused(b"\x80\x02cnumpy\ndtype\n(X\x02\x00\x00\x00u1" + b"N" * 100 + b"tR.")
    assert "with 101 values" in message


def test_what_python_says_of_a_long_text_is_cut():
    message, _ = refused(b"F" + b"x" * 100_000 + b"\n.")
    assert len(message) < 300


def test_numbers_that_are_too_large_are_left_out(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        save(tmp_path / "rec" / name)
    rows = [
        {"file": "a.jpg", "steering": 10**400, "throttle": 0, "time": 1},
        {"file": "b.jpg", "steering": 0.5, "throttle": 0, "time": 10**400},
        {"file": "b.jpg", "steering": 0.5, "throttle": 0, "time": 1},
    ]
    (tmp_path / "rec" / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = import_tub(tmp_path / "rec", tmp_path / "tub")
    assert (result.records, result.skipped) == (1, 2)
    assert "labels.jsonl:1: an integer of more than 300 digits" in result.problems[0]
    for value in (10**400, 1 << 100_000, "9" * 100_000, b"x" * 100_000):
        with pytest.raises(ValueError, match="no number") as caught:
            number(value)
        assert len(str(caught.value)) < 100


def test_udacitys_folder_cannot_be_a_link_to_elsewhere(tmp_path):
    save(tmp_path / "secret" / "private.jpg")
    (tmp_path / "rec").mkdir()
    save(tmp_path / "rec" / "own.jpg")
    (tmp_path / "rec" / "IMG").symlink_to("../secret")
    (tmp_path / "rec" / "driving_log.csv").write_text("private.jpg,x,y,0,0,0,0\nown.jpg,x,y,0,0,0,0\n")
    result = import_tub(tmp_path / "rec", tmp_path / "tub")
    assert (result.records, result.skipped) == (1, 1)
    assert "driving_log.csv:1: 'IMG/private.jpg' is outside" in result.problems[0]


def test_pictures_are_counted_over_all_folders(tmp_path, monkeypatch):
    for place, name in itertools.product(("b", "a", "a/deeper"), ("2.jpg", "1.jpg")):
        save(tmp_path / "rec" / place / name)
    (tmp_path / "rec" / "note.txt").write_text("not counted")
    monkeypatch.setattr(folder, "MAX_PICTURES", 9)  # six pictures, three folders
    assert import_tub(tmp_path / "rec", tmp_path / "tub").records == 6
    monkeypatch.setattr(folder, "MAX_PICTURES", 8)
    with pytest.raises(TubError, match="rec: more than 8 pictures"):
        import_tub(tmp_path / "rec", tmp_path / "other")


def test_a_udacity_label_out_of_range_is_left_out_and_named(tmp_path):
    (tmp_path / "rec/IMG").mkdir(parents=True)
    rows = ["center,left,right,steering,throttle,brake,speed"]
    for row, steering in enumerate(("0.1", "99", "-0.1", "0.3")):
        Image.new("RGB", (32, 16)).save(tmp_path / f"rec/IMG/{row}.jpg")
        rows.append(f"IMG/{row}.jpg,IMG/{row}.jpg,IMG/{row}.jpg,{steering},0.5,0,10")
    (tmp_path / "rec/driving_log.csv").write_text("\n".join(rows))
    result = import_tub(tmp_path / "rec", tmp_path / "tub")
    assert (result.records, result.skipped) == (3, 1)
    assert "driving_log.csv:3: steering 99; expected -1 to 1; left out" in result.problems[0]
