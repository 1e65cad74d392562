"""What a writer finds in a tub whose last session was cut off, and goes on from there."""

import json

import pytest

from dingocar.tub import TubWriter, open_tub
from tests.tub.helpers import (
    KEYS,
    TYPES,
    edit_catalog,
    edit_tail,
    make_tub,
    record,
)


def resume(folder, count=2):
    with TubWriter(folder, KEYS, TYPES, on_full="wait") as tub:
        indexes = [tub.write(record(index)) for index in range(count)]
    return indexes


def test_resume_after_a_stale_manifest(tmp_path):
    """The kill came after 4 more records than the manifest knows, and left an orphan picture."""
    make_tub(tmp_path, 10)
    session = open_tub(tmp_path)[0].session_id
    manifest = (tmp_path / "manifest.json").read_text().splitlines()
    manifest[3] = '{"created_at": 1.0}'  # no session noted
    (tmp_path / "manifest.json").write_text("\n".join(manifest) + "\n")
    edit_tail(tmp_path, current_index=6)
    (tmp_path / "images" / "10_cam_image_array_.jpg").write_bytes(b"half a pict")
    assert len(open_tub(tmp_path)) == 10
    assert resume(tmp_path) == [10, 11]
    tub = open_tub(tmp_path)
    assert not tub.problems and tub[10].image().shape == (12, 16, 3)
    assert tub[10].session_id != session
    meta = json.loads((tmp_path / "catalog_0.catalog_manifest").read_text())
    lines = (tmp_path / "catalog_0.catalog").read_bytes().splitlines(keepends=True)
    assert meta["line_lengths"] == [len(line) for line in lines]


@pytest.mark.parametrize("tail", [b'{"_index": 10, "cam', b'{"_index": 10', b"\0\0\0\0"])
def test_resume_after_a_cut_off_line(tmp_path, tail):
    make_tub(tmp_path, 10)
    edit_catalog(tmp_path, lambda lines: [*lines, tail])
    assert resume(tmp_path) == [10, 11]
    tub = open_tub(tmp_path)
    assert len(tub) == 12 and not tub.problems


def test_resume_after_a_whole_line_without_its_newline(tmp_path):
    make_tub(tmp_path, 10)
    edit_catalog(tmp_path, lambda lines: [*lines[:-1], lines[-1].rstrip(b"\n")])
    assert resume(tmp_path) == [10, 11] and len(open_tub(tmp_path)) == 12


def test_resume_after_a_kill_in_a_rollover(tmp_path):
    make_tub(tmp_path, 25, max_records_per_catalog=10)
    edit_tail(tmp_path, paths=["catalog_0.catalog", "catalog_1.catalog"], current_index=19)
    (tmp_path / "catalog_2.catalog_manifest").unlink()
    assert len(open_tub(tmp_path)) == 25
    assert resume(tmp_path) == [25, 26]
    tub = open_tub(tmp_path)
    assert len(tub) == 27 and not tub.problems


def test_resume_after_an_empty_new_catalog(tmp_path):
    make_tub(tmp_path, 20, max_records_per_catalog=10)
    (tmp_path / "catalog_2.catalog").write_bytes(b"")
    assert not open_tub(tmp_path).problems
    assert resume(tmp_path) == [20, 21]
    assert open_tub(tmp_path).problems == [] and not (tmp_path / "catalog_3.catalog").exists()


def test_resume_forgets_deletions_of_records_that_never_came(tmp_path):
    make_tub(tmp_path, 10)
    edit_tail(tmp_path, deleted_indexes=[3, 10, 11])
    assert resume(tmp_path) == [10, 11]
    assert open_tub(tmp_path).deleted_indexes == {3}


def test_resume_after_lost_lines_fills_the_gap(tmp_path):
    """A power cut took lines that the manifest had counted: no index is used again."""
    make_tub(tmp_path, 10)
    edit_catalog(tmp_path, lambda lines: lines[:7])
    assert resume(tmp_path) == [10, 11]
    tub = open_tub(tmp_path)
    assert [item.index for item in tub] == [*range(7), 10, 11] and not tub.problems
    lines = (tmp_path / "catalog_0.catalog").read_text().splitlines()
    assert [json.loads(line)["_index"] for line in lines] == list(range(12))
    assert tub.deleted_indexes == {7, 8, 9}


@pytest.mark.parametrize("keep", [0, 1, 2, 4, None])
def test_resume_after_a_lost_manifest(tmp_path, keep):
    """Donkeycar cuts the manifest before it rewrites it; power cuts leave 4 lines, or none."""
    make_tub(tmp_path, 25, max_records_per_catalog=10)
    path = tmp_path / "manifest.json"
    if keep is None:
        path.unlink()
    else:
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:keep]))
    tub = open_tub(tmp_path)
    assert len(tub) == 25 and "manifest" in [item.kind for item in tub.problems]
    assert sorted(tub.inputs) == sorted(KEYS)
    assert resume(tmp_path) == [25, 26]
    tub = open_tub(tmp_path)
    assert len(tub) == 27 and not tub.problems and tub.inputs == KEYS
    assert tub[26].session_id.endswith("_1")
    assert len(list(tmp_path.glob("backup_*/manifest.json"))) == (keep is not None)
