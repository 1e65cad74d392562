import dataclasses
import json
import time

import numpy as np
import pytest

from dingocar.errors import ImageError, TubError
from dingocar.images import encode_jpeg
from dingocar.tub import format as fmt
from dingocar.tub import open_tub
from tests.tub.helpers import edit_catalog, edit_tail, files, kinds, make_legacy, make_tub, picture


def test_records(tmp_path):
    make_tub(tmp_path, 3, metadata={"domain": "real", "track": "mat"}, clock=lambda: 1600000000.0)
    tub = open_tub(str(tmp_path))
    assert len(tub) == 3 and [item.index for item in tub] == [0, 1, 2]
    assert (tub.domain, tub.metadata["track"]) == ("real", "mat")
    item = tub[2]
    assert (item.steering, item.throttle, item.mode) == (0.002, 0.25, "user")
    assert (item.timestamp_ms, item.session_id) == (1600000000000, tub.sessions[0])
    assert item.simulated is None
    np.testing.assert_allclose(item.image(), picture(2), atol=2)
    assert item.image(size=(6, 8)).shape == (6, 8, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        item.index = 5
    assert not hasattr(item, "__dict__")


def test_is_simulated_is_understood(tmp_path):
    make_tub(tmp_path, 1)
    edit_catalog(tmp_path, lambda lines: [lines[0].replace(b"{", b'{"is-simulated": true, ', 1)])
    assert open_tub(tmp_path)[0].simulated is True


def test_record_without_steering(tmp_path):
    make_tub(tmp_path, 1)
    edit_catalog(tmp_path, lambda lines: [b'{"_index": 0, "user/throttle": null}\n'])
    (item,) = open_tub(tmp_path)
    with pytest.raises(TubError, match="user/angle"):
        _ = item.steering
    with pytest.raises(TubError, match="user/throttle"):
        _ = item.throttle
    with pytest.raises(ImageError, match="no picture"):
        item.image()


@pytest.mark.parametrize("remove", [[], ["catalog_0.catalog_manifest"], ["images"]])
def test_empty_tub(tmp_path, remove):
    make_tub(tmp_path, 0)
    for name in remove:
        path = tmp_path / name
        path.rmdir() if path.is_dir() else path.unlink()
    tub = open_tub(tmp_path)
    assert len(tub) == 0 and list(tub) == [] and not tub.problems


def test_delete_and_restore_keep_the_other_lines(tmp_path):
    make_tub(tmp_path, 6)
    before = (tmp_path / "manifest.json").read_bytes().splitlines()
    tub = open_tub(tmp_path)
    tub.delete([4, 1])
    tub.delete(2)
    assert [item.index for item in tub] == [0, 3, 5] and tub.deleted_indexes == {1, 2, 4}
    assert [item.index for item in tub.deleted_records] == [1, 2, 4]
    after = (tmp_path / "manifest.json").read_bytes().splitlines()
    assert after[:4] == before[:4] and b'"deleted_indexes": [1, 2, 4]' in after[4]
    assert [item.index for item in open_tub(tmp_path)] == [0, 3, 5]
    tub.restore([1, 2, 4])
    assert (tmp_path / "manifest.json").read_bytes().splitlines() == before
    with pytest.raises(TubError, match="no record 77"):
        tub.delete(77)


def test_delete_sees_what_others_deleted_meanwhile(tmp_path):
    make_tub(tmp_path, 6)
    one, two = open_tub(tmp_path), open_tub(tmp_path)
    one.delete(1)
    two.delete(2)
    assert two.deleted_indexes == {1, 2}


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (b'{"_index": 3, "cam/im\n', "no JSON"),
        (b"\n", "no JSON"),
        (b"\xff\xfe\x00\n", "no JSON"),
        (b"[1, 2]\n", "no _index"),
        (b'{"user/angle": 0.5}\n', "no _index"),
        (b'{"_index": -4}\n', "no _index"),
        (b'{"_index": true}\n', "no _index"),
        (b'{"_index": 3, "user/angle": NaN}\n', "no JSON"),
        (b'{"_index": 3, "user/angle": 1e999}\n', "no finite number"),
        (b'{"_index": 3, "user/angle": "left"}\n', "no finite number"),
        (b"[" * 100_000 + b"\n", "no JSON"),
        (b'{"_index": ' + b"9" * 5000 + b"}\n", "no JSON"),
        (b'{"_index": 3, "x": "' + b"y" * fmt.MAX_LINE_BYTES + b'"}\n', "longer than"),
    ],
)
def test_bad_line_is_reported_and_skipped(tmp_path, bad, text):
    make_tub(tmp_path, 6)
    edit_catalog(tmp_path, lambda lines: [*lines[:3], bad, *lines[4:]])
    tub = open_tub(tmp_path)
    assert [item.index for item in tub] == [0, 1, 2, 4, 5]
    (problem,) = tub.problems
    assert (problem.kind, problem.where) == ("line", "catalog_0.catalog:4") and text in problem.what
    assert len(problem.what) < 200


def test_cut_off_last_line(tmp_path):
    make_tub(tmp_path, 6)
    edit_catalog(tmp_path, lambda lines: [*lines[:5], lines[5][:30]])
    tub = open_tub(tmp_path)
    assert len(tub) == 5 and "cut off" in tub.problems[0].what


def test_many_bad_lines_give_few_problems(tmp_path):
    make_tub(tmp_path, 2)
    edit_catalog(tmp_path, lambda lines: [*lines, *[b"x\n"] * 5000])
    tub = open_tub(tmp_path)
    assert len(tub) == 2 and len(tub.problems) == 21 and "4980 more" in tub.problems[-1].what


def test_of_duplicates_the_last_counts(tmp_path):
    """Donkeycar goes on after a crash with an index it has used; the picture is the later one's."""
    make_tub(tmp_path, 4)
    again = b'{"_index": 2, "user/angle": 0.9, "user/throttle": 0.1}\n'
    edit_catalog(tmp_path, lambda lines: [*lines, again])
    tub = open_tub(tmp_path)
    assert [item.index for item in tub] == [0, 1, 2, 3] and tub[2].steering == 0.9
    assert kinds(tub) == ["duplicate"]


def test_an_unlisted_catalog_adds_but_replaces_nothing(tmp_path):
    make_tub(tmp_path, 4)
    lines = b'{"_index": 2, "user/angle": 0.9, "user/throttle": 0.1}\n{"_index": 4, "user/angle": 0.8}\n'
    (tmp_path / "catalog_7.catalog").write_bytes(lines)
    tub = open_tub(tmp_path)
    assert [item.index for item in tub] == [0, 1, 2, 3, 4]
    assert (tub[2].steering, tub[4].steering) == (0.002, 0.8)
    assert kinds(tub) == ["catalog", "duplicate"]


def test_missing_catalog(tmp_path):
    make_tub(tmp_path, 30, max_records_per_catalog=10)
    (tmp_path / "catalog_1.catalog").unlink()
    tub = open_tub(tmp_path)
    assert [item.index for item in tub] == [*range(10), *range(20, 30)]
    assert kinds(tub) == ["catalog"] and "missing" in tub.problems[0].what


def test_gap_fillers_are_left_out(tmp_path):
    make_tub(tmp_path, 3)
    edit_catalog(tmp_path, lambda lines: [*lines, b'{"__empty__": true, "_index": 3}\n'])
    tub = open_tub(tmp_path)
    assert len(tub) == 3 and not tub.problems


def test_deleted_indexes_that_do_not_exist(tmp_path):
    make_tub(tmp_path, 3)
    edit_tail(tmp_path, deleted_indexes=[1, 99, -3, "x", 1])
    tub = open_tub(tmp_path)
    assert [item.index for item in tub] == [0, 2] and kinds(tub) == ["deleted", "deleted"]


@pytest.mark.parametrize(
    "name", ["../../secret.jpg", "/etc/passwd", "a/b.jpg", "..", "", "C:x.jpg", "..\\x.jpg", "x\0"]
)
def test_a_picture_name_cannot_leave_the_tub(tmp_path, name):
    tub_folder = make_tub(tmp_path / "tub", 1)
    (tmp_path / "secret.jpg").write_bytes(encode_jpeg(picture(1)))
    line = json.dumps({"_index": 0, "cam/image_array": name}).encode() + b"\n"
    edit_catalog(tub_folder, lambda lines: [line])
    with pytest.raises(ImageError, match="plain file name"):
        open_tub(tub_folder)[0].image()


def test_a_catalog_name_cannot_leave_the_tub(tmp_path):
    tub_folder = make_tub(tmp_path / "tub", 1)
    (tmp_path / "catalog_9.catalog").write_text('{"_index": 9}\n')
    edit_tail(tub_folder, paths=["catalog_0.catalog", "../catalog_9.catalog", 5])
    tub = open_tub(tub_folder)
    assert len(tub) == 1 and kinds(tub) == ["catalog", "catalog"]


@pytest.mark.parametrize("raw", [b"", b"half", b"\xff\xd8\xff"])
def test_broken_picture(tmp_path, raw):
    make_tub(tmp_path, 1)
    (tmp_path / "images" / "0_cam_image_array_.jpg").write_bytes(raw)
    with pytest.raises(ImageError, match="cannot be decoded"):
        open_tub(tmp_path)[0].image()
    with pytest.raises(ImageError, match="cannot be decoded"):
        open_tub(tmp_path)[0].depth("cam/image_array")


@pytest.mark.parametrize(
    "line",
    ["{", "7", '{"paths": 3}', '{"paths": [], "current_index": -1}', "[" * 100_000, '{"paths": []}'],
)
def test_broken_last_manifest_line(tmp_path, line):
    make_tub(tmp_path, 3, metadata={"domain": "sim"})
    head = (tmp_path / "manifest.json").read_text().splitlines()[:4]
    (tmp_path / "manifest.json").write_text("\n".join([*head, line]))
    tub = open_tub(tmp_path)
    assert len(tub) == 3 and kinds(tub) == ["manifest"] and tub.domain == "sim"
    with pytest.raises(TubError, match="--fix"):
        tub.delete(0)


def test_manifest_with_inputs_that_do_not_fit(tmp_path):
    make_tub(tmp_path, 1)
    lines = (tmp_path / "manifest.json").read_text().splitlines()
    for first in ('["a"]', '["a", 3]', '"abc"'):
        (tmp_path / "manifest.json").write_text("\n".join([first, *lines[1:]]) + "\n")
        tub = open_tub(tmp_path)
        assert len(tub) == 1 and "manifest" in kinds(tub) and len(tub.inputs) == len(tub.types) == 4


def test_no_tub(tmp_path):
    with pytest.raises(TubError, match="no such folder"):
        open_tub(tmp_path / "nothing")
    with pytest.raises(TubError, match="is no tub"):
        open_tub(tmp_path)
    make_tub(tmp_path / "tub_1", 1)
    make_legacy(tmp_path / "tub_2")
    with pytest.raises(TubError, match="give one of them: tub_1, tub_2"):
        open_tub(tmp_path)
    with pytest.raises(TubError, match="did you mean"):
        open_tub(tmp_path / "tub_1" / "manifest.json")


def test_reading_changes_nothing(tmp_path):
    make_tub(tmp_path, 3)
    before = files(tmp_path)
    for item in open_tub(tmp_path):
        item.image()
    assert files(tmp_path) == before


def test_a_long_tub_opens_fast(tmp_path):
    make_tub(tmp_path, 1)
    line = '{"_index": %d, "cam/image_array": "%d_cam_image_array_.jpg", "user/angle": 0.5}\n'
    for number in range(15):
        lines = (line % (index, index) for index in range(number * 1000, number * 1000 + 1000))
        (tmp_path / f"catalog_{number}.catalog").write_text("".join(lines))
    paths = [f"catalog_{number}.catalog" for number in range(15)]
    edit_tail(tmp_path, paths=paths, current_index=15000, deleted_indexes=list(range(5000)))
    start = time.perf_counter()
    tub = open_tub(tmp_path)
    assert len(tub) == 10000 and not tub.problems
    assert time.perf_counter() - start < 2  # takes 0.05 s


class TestLegacy:
    def test_records(self, tmp_path):
        tub = open_tub(make_legacy(tmp_path))
        assert tub.version == 1 and not tub.problems
        assert [item.index for item in tub] == [1, 2, 4, 5] and tub.deleted_indexes == {3}
        assert tub.metadata == {"location": "garage"}
        assert (tub[0].steering, tub[0].timestamp_ms) == (0.1, 1600000000050)
        np.testing.assert_allclose(tub[0].image(), picture(1), atol=2)

    def test_delete_and_restore(self, tmp_path):
        tub = open_tub(make_legacy(tmp_path))
        tub.delete([1])
        assert json.loads((tmp_path / "exclude.json").read_text()) == [1, 3]
        tub.restore([1, 3])
        assert [item.index for item in open_tub(tmp_path)] == [1, 2, 3, 4, 5]

    def test_damage(self, tmp_path):
        make_legacy(tmp_path)
        (tmp_path / "record_1.json").write_text("{")
        (tmp_path / "record_2.json").write_text('{"user/angle": NaN}')
        (tmp_path / "exclude.json").write_text("{}")
        (tmp_path / "meta.json").unlink()
        tub = open_tub(tmp_path)
        assert [item.index for item in tub] == [3, 4, 5]
        assert sorted(kinds(tub)) == ["line", "line", "line", "manifest"]
        assert dict(zip(tub.inputs, tub.types, strict=True))["cam/image_array"] == "image_array"

    def test_paths_of_the_old_car(self, tmp_path):
        make_legacy(tmp_path)
        for index, folder in ((1, "/home/pi/mycar/tub/"), (2, "C:\\car\\tub\\")):
            path = tmp_path / f"record_{index}.json"
            fields = json.loads(path.read_text())
            fields["cam/image_array"] = folder + fields["cam/image_array"]
            path.write_text(json.dumps(fields))
        tub = open_tub(tmp_path)
        assert tub[0].image().shape == tub[1].image().shape == (12, 16, 3)
        assert tub[0].image_path().parent == tmp_path

    def test_names_cannot_leave_the_tub(self, tmp_path):
        make_legacy(tmp_path)
        (tmp_path / "record_1.json").write_text('{"cam/image_array": "../x.jpg"}')
        with pytest.raises(ImageError, match="plain"):
            open_tub(tmp_path)[0].image()
