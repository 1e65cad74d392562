"""Tubs that mean harm or hold nonsense: nothing outside is touched, nothing raises a traceback."""

import json
import re

import numpy as np
import pytest

from dingocar.errors import ImageError, TubError
from dingocar.tub import TubWriter, open_tub
from dingocar.tub.check import check
from dingocar.tub.clean import clean
from dingocar.tub.info import info
from tests.tub.helpers import KEYS, TYPES, edit_catalog, files, make_legacy, make_tub, picture, record


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_bytes(b"precious\nand cut off")
    return path


@pytest.fixture
def tub(tmp_path):
    return make_tub(tmp_path / "tub", 3)


def append(tub):
    with TubWriter(tub, on_full="wait") as writer:
        writer.write(record(9))


def test_a_linked_temporary_file_is_not_followed(tub, victim):
    (tub / ".manifest.json.tmp").symlink_to(victim)
    open_tub(tub).delete(0)
    append(tub)
    assert victim.read_bytes() == b"precious\nand cut off"


def test_a_linked_catalog_is_not_written_to(tub, victim):
    (tub / "catalog_0.catalog").unlink()
    (tub / "catalog_0.catalog").symlink_to(victim)
    with pytest.raises(TubError, match=r"catalog_0\.catalog: is a link"):
        append(tub)
    victim.write_bytes(b'{"_index": 0}\n')  # nothing to mend
    with pytest.raises(TubError, match=r"catalog_0\.catalog: is a link"):
        append(tub)
    check(tub, fix=True)
    assert victim.read_bytes() == b'{"_index": 0}\n'
    append(tub)
    assert victim.read_bytes() == b'{"_index": 0}\n'


@pytest.mark.parametrize("target", ["empty", "nowhere"])
def test_a_link_in_the_place_of_the_next_catalog_is_not_followed(tmp_path, target):
    tub = make_tub(tmp_path / "tub", 10, max_records_per_catalog=10)
    (tmp_path / "empty").touch()
    (tub / "catalog_1.catalog").symlink_to(tmp_path / target)
    append(tub)
    assert not (tmp_path / "nowhere").exists() and (tmp_path / "empty").read_bytes() == b""
    assert len(open_tub(tub)) == 11


def test_linked_pictures_are_read_but_nothing_is_written_or_removed_there(tmp_path, tub):
    other = make_tub(tmp_path / "other", 6)
    before = files(other)
    for path in (tub / "images").iterdir():
        path.unlink()
    (tub / "images").rmdir()
    (tub / "images").symlink_to(other / "images")
    assert check(tub).ok and open_tub(tub)[2].image().max() <= 4
    open_tub(tub).delete(0)
    for yes in (False, True):
        with pytest.raises(TubError, match="images: is a link"):
            clean(tub, yes=yes)
    with pytest.raises(TubError, match="images: is a link"):
        append(tub)
    assert files(other) == before


def test_a_catalog_that_is_a_link_to_nowhere(tub):
    (tub / "catalog_7.catalog").symlink_to("/nonexistent")
    assert len(open_tub(tub)) == 3
    assert check(tub, fix=True).ok
    append(tub)
    assert len(open_tub(tub)) == 4


def test_no_manifest_and_a_link_to_nowhere(tub):
    (tub / "manifest.json").unlink()
    (tub / "catalog_7.catalog").symlink_to("/nonexistent")
    assert check(tub, fix=True).ok and len(open_tub(tub)) == 3


@pytest.mark.parametrize("start", ["NaN", "-Infinity", "1e308", "1e999", "1" + "0" * 400])
def test_a_v1_tub_that_began_at_no_time(tmp_path, start):
    make_legacy(tmp_path)
    meta = (tmp_path / "meta.json").read_text().replace("1600000000.0", start)
    (tmp_path / "meta.json").write_text(meta)
    tub = open_tub(tmp_path)
    assert len(tub) == 4 and tub[0].timestamp_ms is None


def test_figures_leave_out_what_is_no_number(tub):
    manifest = tub / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"float"', '"str"'))
    values = iter([b'"abc"', b"0.5", b"1e200"])
    edit_catalog(
        tub,
        lambda lines: [re.sub(rb'"user/angle": [\d.]+', b'"user/angle": ' + next(values), x) for x in lines],
    )
    assert info(open_tub(tub))["steering"]["records"] == 1
    json.dumps(info(open_tub(tub)), allow_nan=False)


def test_metadata_that_is_no_number(tub):
    lines = (tub / "manifest.json").read_text().splitlines()
    lines[2] = '{"x": NaN, "y": [1e999]}'
    (tub / "manifest.json").write_text("\n".join(lines) + "\n")
    opened = open_tub(tub)
    assert opened.metadata == {"x": None, "y": [None]} and not opened.problems
    json.dumps(info(opened), allow_nan=False)


def test_a_tub_of_donkeycars_image_type_goes_on(tub):
    manifest = tub / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"image_array", "float"', '"image", "float"'))
    with TubWriter(tub, on_full="wait") as writer:
        writer.write({KEYS[0]: picture(200), KEYS[1]: 0.0, KEYS[2]: 0.0, KEYS[3]: "user"})
        with pytest.raises(ImageError, match="uint8"):
            writer.write({KEYS[0]: np.zeros((4, 4), np.uint16)})
    assert open_tub(tub)[3].image().min() > 190
    assert (tub / "images" / "3_cam_image_array_.jpg").read_bytes().startswith(b"\xff\xd8")


def test_an_empty_picture_is_refused_at_once(tmp_path):
    with TubWriter(tmp_path, [KEYS[0], "d"], [TYPES[0], "gray16_array"]) as writer:
        with pytest.raises(ImageError, match=r"\(0, 8, 3\)"):
            writer.write({KEYS[0]: np.zeros((0, 8, 3), np.uint8)})
        with pytest.raises(TubError, match=r"\(0, 8\)"):
            writer.write({"d": np.zeros((0, 8), np.uint16)})
        assert writer.write({KEYS[0]: picture(1)}) == 0


# What later recordings say.


def words(folder, metadata, records=1):
    make_tub(folder, records, metadata=metadata)
    return open_tub(folder)


def test_a_later_recording_takes_nothing_from_what_was_said_before(tmp_path):
    first = {"domain": "sim", "track": "oval", "noise": 0.5}
    assert words(tmp_path, first).metadata == first
    assert words(tmp_path, first).metadata == first
    second = {"domain": "sim", "track": "circuit"}
    tub = words(tmp_path, second)
    assert tub.metadata == {**first, "sessions": {tub.sessions[2]: second}}
    third = {"domain": "sim", "weather": "rain"}
    tub = words(tmp_path, third)
    assert tub.metadata == {**first, "sessions": {tub.sessions[2]: second, tub.sessions[3]: third}}
    with pytest.raises(TubError, match="'sim'"):
        words(tmp_path, {"domain": "real"})
    assert open_tub(tmp_path).domain == "sim"


def test_a_recording_without_records_says_nothing(tmp_path):
    words(tmp_path, {"track": "none"}, records=0)
    assert words(tmp_path, {"track": "oval"}).metadata == {"track": "oval"}
    words(tmp_path, {"track": "circuit"}, records=0)
    assert words(tmp_path, {"track": "oval"}).metadata == {"track": "oval"}


def test_the_key_of_later_words_is_taken(tmp_path):
    with pytest.raises(TubError, match="metadata 'sessions'"):
        words(tmp_path, {"sessions": 3})
