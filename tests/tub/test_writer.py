import errno
import io
import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dingocar.errors import ImageError, TubError
from dingocar.tub import TubWriter, open_tub, writer
from dingocar.tub.domain import add_words
from tests.tub.helpers import (
    KEYS,
    TYPES,
    files,
    make_legacy,
    make_tub,
    picture,
    record,
)

NOON = 1600000000.0  # 2020-09-13 12:26:40 UTC


def test_golden_bytes(tmp_path):
    """The files as the documentation of Donkeycar 5.3.0's format gives them, byte for byte."""
    with TubWriter(tmp_path, KEYS, TYPES, {"location": "garage"}, clock=lambda: NOON) as tub:
        tub.write(dict(zip(KEYS, [picture(0), np.float32(0), 0.3, "user"], strict=True)))
        tub.write({"user/angle": -0.5, "user/mode": "local_angle", "unknown": 1, KEYS[2]: None})
        tub.erase_last(1)
    day = time.strftime("%y-%m-%d", time.localtime(NOON))
    lines = [
        '{"_index": 0, "_session_id": "' + day + '_0", "_timestamp_ms": 1600000000000, '
        '"cam/image_array": "0_cam_image_array_.jpg", "user/angle": 0.0, "user/mode": "user", '
        '"user/throttle": 0.3}\n',
        '{"_index": 1, "_session_id": "' + day + '_0", "_timestamp_ms": 1600000000000, '
        '"user/angle": -0.5, "user/mode": "local_angle"}\n',
    ]
    lengths = ", ".join(str(len(line)) for line in lines)
    assert (tmp_path / "catalog_0.catalog").read_text() == "".join(lines)
    assert (tmp_path / "catalog_0.catalog_manifest").read_text() == (
        '{"created_at": 1600000000.0, "line_lengths": [' + lengths + "], "
        '"path": "catalog_0.catalog_manifest", "start_index": 0}\n'
    )
    assert (tmp_path / "manifest.json").read_text() == (
        '["cam/image_array", "user/angle", "user/throttle", "user/mode"]\n'
        '["image_array", "float", "float", "str"]\n'
        '{"location": "garage"}\n'
        '{"created_at": 1600000000.0, "sessions": {"all_full_ids": ["' + day + '_0"], '
        '"last_id": 0, "last_full_id": "' + day + '_0"}}\n'
        '{"paths": ["catalog_0.catalog"], "current_index": 2, "max_len": 1000, '
        '"deleted_indexes": [1]}\n'
    )
    expected = io.BytesIO()
    Image.fromarray(picture(0)).save(expected, format="jpeg")
    assert (tmp_path / "images" / "0_cam_image_array_.jpg").read_bytes() == expected.getvalue()
    assert len(files(tmp_path)) == 4  # nothing else, no temporary file left


def test_every_type_comes_back(tmp_path):
    depth = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    values = {
        "f": ("float", np.float32(0.5), 0.5),
        "s": ("str", "hé", "hé"),
        "i": ("int", np.int64(7), 7),
        "b": ("boolean", np.bool_(True), True),
        "n": ("nparray", np.array([[1.5, 2.5]]), [[1.5, 2.5]]),
        "l": ("list", (1, np.float64(2.5)), [1, 2.5]),
        "v": ("vector", [0.25], [0.25]),
    }
    keys, types = [*values, "d/e"], [kind for kind, _, _ in values.values()] + ["gray16_array"]
    with TubWriter(tmp_path, keys, types) as tub:
        tub.write({key: value for key, (_, value, _) in values.items()} | {"d/e": depth})
    (only,) = open_tub(tmp_path)
    assert {key: only.fields[key] for key in values} == {key: v[2] for key, v in values.items()}
    assert only.fields["d/e"] == "0_d_e_.png"
    np.testing.assert_array_equal(only.depth("d/e"), depth)
    assert only.depth("d/e").dtype == np.uint16


def test_rollover_and_next_session(tmp_path):
    make_tub(tmp_path, 20, max_records_per_catalog=10)
    make_tub(tmp_path, 5, first=20)
    tub = open_tub(tmp_path)
    assert [item.index for item in tub] == list(range(25)) and not tub.problems
    assert [len((tmp_path / f"catalog_{n}.catalog").read_bytes().splitlines()) for n in range(3)] == [
        10,
        10,
        5,
    ]
    assert [name.rpartition("_")[2] for name in tub.sessions] == ["0", "1"]
    assert tub[20].session_id == tub.sessions[1]
    meta = json.loads((tmp_path / "catalog_2.catalog_manifest").read_text())
    assert meta["start_index"] == 20 and len(meta["line_lengths"]) == 5


def test_a_session_without_records_takes_no_id(tmp_path):
    for _ in range(2):
        make_tub(tmp_path, 0)
    assert open_tub(tmp_path).sessions == []


@pytest.mark.parametrize(
    ("inputs", "types", "options"),
    [
        (["a"], ["float", "str"], {}),
        (["a"], ["floats"], {}),
        (["a", "a"], ["float", "str"], {}),
        (["_index"], ["int"], {}),
        (["a/b", "a_b"], ["image_array", "image_array"], {}),
        (["a\\b"], ["image_array"], {}),
        (["a"], ["float"], {"metadata": {"domain": "moon"}}),
        (["a"], ["float"], {"metadata": {"x": object()}}),
        (["a"], ["float"], {"on_full": "explode"}),
        (["a"], ["float"], {"rate_hz": 0}),
        ([], [], {}),
    ],
)
def test_wrong_arguments(tmp_path, inputs, types, options):
    with pytest.raises(TubError):
        TubWriter(tmp_path / "tub", inputs, types, **options)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("float", float("nan")),
        ("float", "left"),
        ("int", "x"),
        ("nparray", np.array([np.inf])),
        ("list", 3),
        ("list", [object()]),
        ("gray16_array", np.zeros((2, 2), np.uint8)),
    ],
)
def test_wrong_value_names_the_channel_and_takes_no_index(tmp_path, kind, value):
    with TubWriter(tmp_path, ["my/channel"], [kind]) as tub:
        with pytest.raises(TubError, match="my/channel"):
            tub.write({"my/channel": value})
        assert tub.write({}) == 0
    assert len(open_tub(tmp_path)) == 1


def test_wrong_picture(tmp_path):
    with (
        TubWriter(tmp_path, KEYS, TYPES) as tub,
        pytest.raises(ImageError, match="cam/image_array"),
    ):
        tub.write({KEYS[0]: np.zeros((4, 4))})


def test_other_inputs_or_domain_on_the_same_tub(tmp_path):
    make_tub(tmp_path, 1, metadata={"domain": "sim"})
    with pytest.raises(TubError, match="record to another folder"):
        TubWriter(tmp_path, ["user/angle"], ["float"])
    with pytest.raises(TubError, match="'sim'"):
        TubWriter(tmp_path, KEYS, TYPES, {"domain": "real"})
    with TubWriter(tmp_path) as tub:  # none given: those that are there
        assert tub.inputs == KEYS
    assert open_tub(tmp_path).domain == "sim"


def test_translated_pictures_are_not_added_to(tmp_path):
    tub = make_tub(tmp_path / "tub", 3, metadata={"domain": "sim"})
    add_words(tub, {"looks": "real"})
    with pytest.raises(TubError, match="holds translated pictures, and a camera's would pass for such"):
        TubWriter(tub, KEYS, TYPES, {"domain": "sim"})
    add_words(tub, {"looks": "sim"})
    TubWriter(tub, KEYS, TYPES, {"domain": "sim"}).close()


def test_v1_tub_is_not_added_to(tmp_path):
    with pytest.raises(TubError, match="v1"):
        TubWriter(make_legacy(tmp_path), KEYS, TYPES)


def test_second_writer_is_refused_until_the_first_is_gone(tmp_path):
    first = TubWriter(tmp_path, KEYS, TYPES)
    with pytest.raises(TubError, match="somebody else is writing"):
        TubWriter(tmp_path, KEYS, TYPES)
    first.write(record(0))
    first.flush()
    with pytest.raises(TubError, match="somebody else is writing"):
        open_tub(tmp_path).delete(0)
    first.close()
    TubWriter(tmp_path, KEYS, TYPES).close()
    with pytest.raises(TubError, match="closed"):
        first.write(record(1))
    first.close()


def test_a_failure_that_is_not_the_disks_gives_no_advice_on_disks(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("a mistake")

    monkeypatch.setattr(writer, "write_picture", broken)
    tub = TubWriter(tmp_path, KEYS, TYPES)
    tub.write(record(0))
    with pytest.raises(TubError, match=r"a mistake$"):
        tub.close()


def test_error_inside_a_with_block_is_not_hidden(tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(writer, "write_picture", broken)
    with pytest.raises(KeyError), TubWriter(tmp_path, KEYS, TYPES) as tub:
        tub.write(record(0))
        raise KeyError
    assert "Input/output error" in caplog.text


def test_unwritable_path(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TubError, match="is a file; name the folder of a tub"):
        TubWriter(tmp_path / "file", KEYS, TYPES)


def test_a_link_in_the_tub_is_not_written_through(tmp_path):
    make_tub(tmp_path / "tub", 1)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "tub" / "images" / "1_cam_image_array_.jpg").symlink_to(victim)
    tub = TubWriter(tmp_path / "tub")
    tub.write(record(1))
    with pytest.raises(TubError):
        tub.close()
    assert victim.read_text() == "mine"


def test_erase_last(tmp_path):
    make_tub(tmp_path, 10)
    with TubWriter(tmp_path) as tub:
        tub.write(record(10))
        assert tub.erase_last(3) == [8, 9, 10]
        assert tub.erase_last(2) == [6, 7]  # counts live records only
        tub.write(record(11))
        tub.flush()
        assert [item.index for item in open_tub(tmp_path)] == [*range(6), 11]
        assert tub.erase_last(99) == [*range(6), 11]
    assert len(open_tub(tmp_path)) == 0


def test_program_end_without_close(tmp_path):
    code = (
        "import sys; from dingocar.tub import TubWriter\n"
        "tub = TubWriter(sys.argv[1], ['user/angle'], ['float'])\n"
        "for n in range(5): tub.write({'user/angle': n})\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=root, capture_output=True)
    tub = open_tub(tmp_path)
    assert len(tub) == 5 and len(tub.sessions) == 1
    assert '"current_index": 5' in (tmp_path / "manifest.json").read_text()


def test_manifest_is_not_rewritten_per_record_but_soon(tmp_path, monkeypatch):
    saves = []
    real = writer.replace_file
    monkeypatch.setattr(
        writer, "replace_file", lambda path, *a, **k: (saves.append(path.name), real(path, *a, **k))
    )
    with TubWriter(tmp_path, ["a"], ["float"], on_full="wait") as tub:
        saves.clear()
        for _ in range(200):
            tub.write({"a": 1})
        tub.flush()
        assert saves.count("manifest.json") <= 3
    saves.clear()
    monkeypatch.setattr(writer, "MANIFEST_PERIOD_S", 0.0)
    with TubWriter(tmp_path, ["a"], ["float"], on_full="wait") as tub:
        saves.clear()
        for _ in range(20):
            tub.write({"a": 1})
        tub.flush()
        assert saves.count("manifest.json") >= 20


def test_logging_is_quiet_on_a_good_day(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    make_tub(tmp_path, 5)
    make_tub(tmp_path, 5, first=5)
    assert caplog.text == ""


def test_a_folder_of_other_things_is_not_recorded_into(tmp_path):
    (tmp_path / "manage.py").write_text("mine")
    with pytest.raises(TubError, match=r"is no tub, and not empty \(manage\.py"):
        TubWriter(tmp_path, ["user/angle"], ["float"])
    assert [path.name for path in tmp_path.iterdir()] == ["manage.py"]
