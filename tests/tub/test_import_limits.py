"""Recordings that were made to fill the memory, to take for ever or to lead out of their folder."""

import io
import itertools
import json
import pickle
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from dingocar.cli.main import main
from dingocar.errors import TubError, UsageError
from dingocar.tub.importers import Settings, _sample, folder, import_tub, safe_pickle
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


def write_log(path, times, shape=(60, 80, 3)):
    """A log of one step that is listed so many times: two bytes each."""
    step = [np.zeros(shape, np.uint8), [0.1, 0.2]]
    path.write_bytes(pickle.dumps([step] * times, 4))


@pytest.mark.parametrize("shape", [(60, 80, 3), (1, 1, 3)], ids=["large", "tiny"])
def test_a_log_that_lists_one_picture_again_and_again_is_refused(tmp_path, monkeypatch, shape):
    monkeypatch.setattr(_sample, "FREE_BYTES", 1 << 20)
    write_log(tmp_path / "train.log", 50_000, shape)
    with pytest.raises(
        TubError, match=r"train.log: lists the same pictures again and again: \d+ bytes so far"
    ):
        import_tub(tmp_path / "train.log", tmp_path / "tub")
    assert [path.name for path in tmp_path.iterdir()] == ["train.log"]
    write_log(tmp_path / "train.log", 10, shape)  # a few times is no bomb
    assert import_tub(tmp_path / "train.log", tmp_path / "tub").records == 9


@pytest.mark.parametrize("table", ["labels.csv", "driving_log.csv"])
def test_a_table_that_lists_one_picture_again_and_again_is_refused(tmp_path, monkeypatch, table):
    monkeypatch.setattr(_sample, "FREE_BYTES", 1 << 16)
    for name in map(str, range(200)):
        save(tmp_path / "rec" / f"{name}.png")
    head, row = {
        "labels.csv": ("file,steering,throttle", "{}.png,0,0"),
        "driving_log.csv": ("center,left,right,steering,throttle,brake,speed", "{}.png,x,y,0,0,0,0"),
    }[table]
    again, once = ([head, *(row.format(n) for n in names)] for names in ([0] * 200, range(200)))
    (tmp_path / "rec" / table).write_text("\n".join(again))
    with pytest.raises(TubError, match=f"{table}: lists the same pictures again and again"):
        import_tub(tmp_path / "rec", tmp_path / "tub")
    (tmp_path / "rec" / table).write_text("\n".join(once))
    assert import_tub(tmp_path / "rec", tmp_path / "tub").records == 200


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 2000, "x" * 60_000], ids=["name", "path", "line"])
@pytest.mark.parametrize("table", ["labels.csv", "driving_log.csv"])
def test_a_picture_whose_name_is_too_long_is_left_out(tmp_path, table, name):
    save(tmp_path / "rec" / "a.jpg")
    head, row = {
        "labels.csv": ("file,steering,throttle", "{},0,0"),
        "driving_log.csv": ("center,left,right,steering,throttle,brake,speed", "{},x,y,0,0,0,0"),
    }[table]
    rows = [head, row.format(f"{name}.jpg"), row.format("a.jpg")]
    (tmp_path / "rec" / table).write_text("\n".join(rows))
    result = import_tub(tmp_path / "rec", tmp_path / "tub")
    assert (result.records, result.skipped) == (1, 1)
    assert f"{table}:2: " in result.problems[0] and len(result.problems[0]) < 250


def test_an_integer_too_long_for_python_is_named(tmp_path):
    save(tmp_path / "rec" / "a.jpg")
    (tmp_path / "rec" / "labels.jsonl").write_text('{"file": "a.jpg", "steering": %s}' % ("9" * 5000))
    with pytest.raises(
        TubError, match=r"labels.jsonl:1: is no JSON \(has an integer of more than 4300 digits"
    ):
        import_tub(tmp_path / "rec", tmp_path / "tub")


OTHERS = {
    "--cameras center": (["--cameras", "center"], "udacity"),
    "--side-steering 0.2": (["--cameras", "all", "--side-steering", "0.2"], "udacity"),
    "--as-logged": (["--as-logged"], "duckietown"),
}


@pytest.mark.parametrize("options", OTHERS)
def test_options_of_another_format_are_refused(tmp_path, monkeypatch, capsys, options):
    monkeypatch.chdir(tmp_path)
    words, owner = OTHERS[options]
    save(tmp_path / "pictures" / "a.jpg")
    write_log(tmp_path / "train.log", 3)
    for source, name in (("pictures", "folder"), ("train.log", "duckietown")):
        code = main(["tub", "import", source, "--tub", f"{name}-tub", *words])
        told = capsys.readouterr().err
        if name == owner:
            assert code == 0
            continue
        assert code == 2 and told.count("\n") == 1
        assert (
            f"{words[0]} is for the format {owner}, and {source} is of the format {name}; leave it out"
            in told
        )
        assert not (tmp_path / f"{name}-tub").exists()


def test_side_steering_without_side_cameras_is_refused():
    with pytest.raises(UsageError, match="ask for them too: cameras all"):
        Settings(side_steering=0.3)


@pytest.mark.parametrize("shape", ["100000x100000", "99999x99999", "4x4", "30", "-1x30", "9" * 5000 + "x8"])
def test_a_shape_out_of_bounds_is_one_clear_line(tmp_path, capsys, shape):
    save(tmp_path / "rec" / "a.jpg")
    assert (
        main(["tub", "import", str(tmp_path / "rec"), "--tub", str(tmp_path / "tub"), f"--shape={shape}"])
        == 2
    )
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "--shape must be height x width of 8 to 4096 pixels, like 120x160, got " in told
