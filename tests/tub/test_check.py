import json

import pytest

from dingocar.errors import TubError
from dingocar.tub import TubWriter, open_tub
from dingocar.tub.check import check
from dingocar.tub.clean import clean
from dingocar.tub.info import info
from tests.tub.helpers import (
    KEYS,
    TYPES,
    edit_catalog,
    edit_tail,
    files,
    make_legacy,
    make_tub,
    picture,
    record,
)


def test_a_good_tub(tmp_path):
    make_tub(tmp_path, 25, max_records_per_catalog=10)
    open_tub(tmp_path).delete([3, 4])
    before = files(tmp_path)
    report = check(tmp_path, fix=True)
    assert report.ok and not report.problems and not report.fixed and report.backup is None
    assert (report.records, report.deleted, report.pictures) == (23, 2, 23)
    assert files(tmp_path) == before


def cut_manifest(folder):
    path = folder / "manifest.json"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))


DAMAGE = {
    "lost manifest": (lambda f: (f / "manifest.json").unlink(), 30, {"manifest"}),
    "cut manifest": (cut_manifest, 30, {"manifest"}),
    "stale manifest": (
        lambda f: edit_tail(f, current_index=9, paths=["catalog_0.catalog"]),
        30,
        {"manifest", "catalog"},
    ),
    "lost catalog manifest": (
        lambda f: (f / "catalog_1.catalog_manifest").unlink(),
        30,
        {"catalog_manifest"},
    ),
    "broken catalog manifest": (
        lambda f: (f / "catalog_1.catalog_manifest").write_text("[1"),
        30,
        {"catalog_manifest"},
    ),
    "wrong catalog manifest": (
        lambda f: (f / "catalog_1.catalog_manifest").write_text("[1]"),
        30,
        {"catalog_manifest"},
    ),
    "bad line": (
        lambda f: edit_catalog(f, lambda lines: [*lines[:4], b"{\n", *lines[5:]]),
        29,
        {"line", "catalog_manifest"},
    ),
    "lost line": (
        lambda f: edit_catalog(f, lambda lines: lines[:4] + lines[5:]),
        29,
        {"position", "catalog_manifest"},
    ),
    "cut off": (
        lambda f: edit_catalog(f, lambda lines: [*lines[:-1], lines[-1][:9]], "catalog_2.catalog"),
        29,
        {"line", "catalog_manifest", "manifest"},
    ),
    "lost end": (
        lambda f: edit_catalog(f, lambda lines: lines[:-2], "catalog_2.catalog"),
        28,
        {"catalog_manifest", "manifest"},
    ),
    "lost catalog": (
        lambda f: (f / "catalog_1.catalog").unlink(),
        20,
        {"catalog", "position"},
    ),
    "all catalogs lost": (
        lambda f: [path.unlink() for path in f.glob("catalog_*")],
        0,
        {"catalog", "manifest"},
    ),
    "empty catalog": (
        lambda f: (f / "catalog_2.catalog").write_bytes(b""),
        20,
        {"catalog", "catalog_manifest", "manifest"},
    ),
    "duplicate": (
        lambda f: edit_catalog(f, lambda lines: [*lines, lines[3]]),
        30,
        {"duplicate", "position", "catalog_manifest"},
    ),
    "unknown deleted": (lambda f: edit_tail(f, deleted_indexes=[500]), 30, {"deleted"}),
    "lost picture": (
        lambda f: (f / "images" / "7_cam_image_array_.jpg").unlink(),
        29,
        {"picture"},
    ),
    "cut picture": (
        lambda f: (f / "images" / "7_cam_image_array_.jpg").write_bytes(
            (f / "images" / "7_cam_image_array_.jpg").read_bytes()[:-20]
        ),
        29,
        {"picture"},
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_fixed(tmp_path, name):
    damage, live, found = DAMAGE[name]
    make_tub(tmp_path, 30, max_records_per_catalog=10, metadata={"domain": "sim"})
    damage(tmp_path)
    before = files(tmp_path)
    report = check(tmp_path)
    assert {problem.kind for problem in report.problems} == found
    assert not report.ok and files(tmp_path) == before
    report = check(tmp_path, fix=True)
    assert report.ok, report.remaining
    assert report.fixed and report.records == live == len(open_tub(tmp_path))
    after = files(tmp_path)
    assert before.keys() <= after.keys()  # no file is deleted
    kept = set(after.values())
    for path, raw in before.items():
        assert raw in kept, f"{path.name} was replaced without a backup"
    if name != "lost manifest":
        assert open_tub(tmp_path).domain == "sim"
    # index and line number agree again, which Donkeycar relies on
    tail = json.loads((tmp_path / "manifest.json").read_text().splitlines()[4])
    lines = [line for name in tail["paths"] for line in (tmp_path / name).read_text().splitlines()]
    assert [json.loads(line)["_index"] for line in lines] == list(range(len(lines)))
    assert tail["current_index"] == len(lines)
    with TubWriter(tmp_path, on_full="wait") as tub:
        assert tub.write(record(0)) == len(lines)
    assert len(open_tub(tmp_path)) == live + 1


def test_fix_keeps_deletions(tmp_path):
    make_tub(tmp_path, 10)
    open_tub(tmp_path).delete([2, 3])
    edit_catalog(tmp_path, lambda lines: [*lines[:5], b"junk\n", *lines[6:]])
    assert check(tmp_path, fix=True).ok
    assert [item.index for item in open_tub(tmp_path)] == [0, 1, 4, 6, 7, 8, 9]


def test_fix_is_refused_while_recording(tmp_path):
    with TubWriter(tmp_path, KEYS, TYPES) as tub:
        tub.write(record(0))
        tub.flush()
        (tmp_path / "images" / "0_cam_image_array_.jpg").unlink()
        with pytest.raises(TubError, match="somebody else"):
            check(tmp_path, fix=True)
        with pytest.raises(TubError, match="somebody else"):
            clean(tmp_path, yes=True)


def test_depth_pictures_are_checked(tmp_path):
    import numpy as np

    with TubWriter(tmp_path, ["d"], ["gray16_array"]) as tub:
        tub.write({"d": np.ones((3, 4), np.uint16)})
        tub.write({"d": np.ones((3, 4), np.uint16)})
    assert check(tmp_path).ok
    (tmp_path / "images" / "1_d_.png").write_bytes(b"x")
    assert not check(tmp_path).ok
    assert check(tmp_path, fix=True).records == 1


def test_legacy_fix(tmp_path):
    make_legacy(tmp_path)
    assert check(tmp_path).ok
    (tmp_path / "1_cam-image_array_.jpg").unlink()
    (tmp_path / "record_2.json").write_text("{")
    assert len(check(tmp_path).problems) == 2
    report = check(tmp_path, fix=True)
    assert report.ok and report.records == 2
    assert json.loads((tmp_path / "exclude.json").read_text()) == [1, 2, 3]


def test_clean(tmp_path):
    make_tub(tmp_path, 10)
    open_tub(tmp_path).delete([2, 3])
    images = tmp_path / "images"
    (images / "99_cam_image_array_.jpg").write_bytes(b"orphan")
    (images / "my photo.jpg").write_bytes(b"not a tub's")
    before = files(tmp_path)
    planned = clean(tmp_path)
    assert planned.files == 3 and not planned.done and files(tmp_path) == before
    done = clean(tmp_path, yes=True)
    assert (done.files, done.size_bytes, done.done) == (3, planned.size_bytes, True)
    gone = {path.name for path in before} - {path.name for path in files(tmp_path)}
    assert gone == {f"{index}_cam_image_array_.jpg" for index in (2, 3, 99)}
    report = check(tmp_path)
    assert report.ok and report.records == 8
    assert clean(tmp_path, yes=True).files == 0


def test_clean_refuses_a_damaged_tub(tmp_path):
    make_tub(tmp_path, 30, max_records_per_catalog=10)
    (tmp_path / "catalog_1.catalog").unlink()
    for yes in (False, True):
        with pytest.raises(TubError, match="--fix"):
            clean(tmp_path, yes=yes)


def test_clean_legacy(tmp_path):
    make_legacy(tmp_path)
    assert clean(tmp_path, yes=True).files == 1
    assert not (tmp_path / "3_cam-image_array_.jpg").exists()
    assert check(tmp_path).ok


def test_info(tmp_path):
    times = iter([1000.0] + [1000.0 + step / 20 for step in range(10)] + [2000.0])
    with TubWriter(tmp_path, KEYS, TYPES, {"domain": "sim"}, clock=lambda: next(times)) as tub:
        for index in range(11):
            values = [picture(index), [-0.5, 0.0, 0.5, 0.5][index % 4], 0.3, "user"]
            tub.write(dict(zip(KEYS, values, strict=True)))
            tub.flush()
        tub.erase_last(1)
    figures = info(open_tub(tmp_path))
    assert (figures["records"], figures["deleted"], figures["domain"]) == (10, 1, "sim")
    assert figures["duration_s"] == pytest.approx(0.45)
    assert figures["rate_hz"] == pytest.approx(20)
    assert figures["channels"] == dict(zip(KEYS, TYPES, strict=True))
    steering = figures["steering"]
    assert (steering["min"], steering["max"], steering["left"]) == (-0.5, 0.5, 0.3)
    assert figures["throttle"]["mean"] == pytest.approx(0.3)
    assert figures["size_bytes"] == sum(len(raw) for raw in files(tmp_path).values())
    json.dumps(figures, allow_nan=False)


def test_info_of_an_empty_tub(tmp_path):
    figures = info(open_tub(make_tub(tmp_path, 0)))
    assert figures["records"] == 0 and figures["steering"] is None and figures["rate_hz"] is None
