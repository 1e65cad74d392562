"""Tubs and pilots as the page sees them."""

import json
import os

import pytest

from dingocar.images import decode_image
from dingocar.parts.controllers.web import _store
from dingocar.parts.controllers.web._security import Refused
from dingocar.parts.controllers.web._store import Models, Tubs, parse_ranges
from dingocar.tub import TubWriter, open_tub
from tests.tub.helpers import KEYS, TYPES, make_legacy, make_tub, record


@pytest.fixture
def folder(tmp_path):
    make_tub(tmp_path / "a", 10)
    make_legacy(tmp_path / "b")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no tub")
    return tmp_path


def ranges(*pairs):
    return json.dumps({"ranges": pairs}).encode()


def columns(tubs, name):
    return json.loads(tubs.records(name))


def test_the_tubs_are_listed(folder):
    a, b = Tubs(folder).list()
    assert a == {"name": "a", "records": 10, "deleted": 0, "problems": 0, "recording": False}
    assert b["name"] == "b" and b["records"] == 4 and b["deleted"] == 1


def test_the_folder_may_be_a_tub_itself(folder):
    tubs = Tubs(folder / "a")
    assert [tub["name"] for tub in tubs.list()] == ["a"]
    assert columns(tubs, "a")["index"] == list(range(10))


@pytest.mark.parametrize("nothing", [None, "none"])
def test_no_tubs(tmp_path, nothing):
    assert Tubs(nothing and tmp_path / nothing).list() == []
    assert Models(nothing and tmp_path / nothing).list() == []


def test_records_come_as_columns(folder):
    tub = columns(Tubs(folder), "a")
    assert tub["name"] == "a" and tub["index"] == list(range(10)) and tub["deleted"] == []
    assert tub["angle"][5] == 0.005 and tub["throttle"][5] == 0.25 and tub["mode"][5] == "user"
    assert len(set(tub["session"])) == 1
    legacy = columns(Tubs(folder), "b")
    assert legacy["deleted"] == [3] and legacy["index"] == [1, 2, 3, 4, 5]


def test_marking_and_restoring(folder):
    tubs = Tubs(folder)
    assert tubs.change("a", ranges([2, 4], [9, 10**9]), delete=True) == {"changed": 4, "deleted": 4}
    assert columns(tubs, "a")["deleted"] == [2, 3, 4, 9]
    assert columns(tubs, "a")["index"] == list(range(10))  # deleted ones can still be looked at
    assert sorted(open_tub(folder / "a").deleted_indexes) == [2, 3, 4, 9]
    assert tubs.change("a", ranges([0, 3]), delete=True) == {"changed": 2, "deleted": 6}
    assert tubs.change("a", ranges([0, 3]), delete=False) == {"changed": 4, "deleted": 2}
    assert columns(tubs, "a")["deleted"] == [4, 9]
    assert tubs.change("a", ranges([0, 3]), delete=False) == {"changed": 0, "deleted": 2}


def test_a_tub_that_is_recorded_is_not_changed(folder):
    tubs = Tubs(folder)
    with TubWriter(folder / "a", KEYS, TYPES, on_full="wait") as writer:
        assert [tub["recording"] for tub in tubs.list()] == [True, False]
        with pytest.raises(Refused, match="being recorded") as failure:
            tubs.change("a", ranges([0, 1]), delete=True)
        assert failure.value.status == 409
        writer.write(record(10))
    assert tubs.list()[0]["records"] == 11
    assert tubs.change("a", ranges([0, 1]), delete=True)["deleted"] == 2


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b'{"ranges": 1}', b'{"ranges": [1]}', b'{"ranges": [[1]]}', b"\xff"),
        *(b'{"ranges": [[1, 2, 3]]}', b'{"ranges": [[2, 1]]}', b'{"ranges": [[-1, 1]]}', b"[" * 9000),
        *(b'{"ranges": [[0, 1.5]]}', b'{"ranges": [[0, true]]}', b'{"ranges": [["0", "1"]]}'),
        *(b'{"ranges": [[0, 1e99]]}', b'{"ranges": [], "x": 1}', b'{"ranges": [[0, 1000000000000000]]}'),
    ],
)
def test_wrong_ranges_are_refused(folder, body):
    with pytest.raises(Refused) as failure:
        Tubs(folder).change("a", body, delete=True)
    assert failure.value.status == 400 and "\n" not in failure.value.message


def test_too_many_ranges_are_refused():
    parse_ranges(ranges(*[[0, 0]] * 1000))
    with pytest.raises(Refused):
        parse_ranges(ranges(*[[0, 0]] * 1001))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "/etc", "a/..", "a\0", "notes.txt", "empty", "x" * 300]
)
def test_only_what_is_listed_can_be_asked_for(folder, name):
    (folder.parent / "outside").mkdir(exist_ok=True)
    for ask in (
        lambda: Tubs(folder).records(name),
        lambda: Tubs(folder).picture(name, 0),
        lambda: Tubs(folder).change(name, ranges([0, 1]), delete=True),
    ):
        with pytest.raises(Refused) as failure:
            ask()
        assert failure.value.status == 404 and len(failure.value.message) < 200


def test_pictures_come_as_they_are(folder):
    tubs = Tubs(folder)
    tag, body, kind = tubs.picture("a", 7)
    assert kind == "image/jpeg" and decode_image(body)[0, 0, 0] == 7
    assert body == next((folder / "a" / "images").glob("7_*")).read_bytes()
    assert tubs.picture("a", 7, tag) == (tag, None, "")
    tubs.change("a", ranges([7, 7]), delete=True)
    assert tubs.picture("a", 7)[1] == body


def test_what_is_no_picture_is_not_sent(folder):
    tubs = Tubs(folder)
    images = folder / "a" / "images"
    secret = folder / "secret"
    secret.write_text("root:x:0:0")
    for index, spoil in enumerate([lambda p: None, lambda p: p.symlink_to(secret), os.mkfifo, os.mkdir]):
        path = next(images.glob(f"{index}_*"))
        path.unlink()
        spoil(path)
        with pytest.raises(Refused) as failure:
            tubs.picture("a", index)
        assert failure.value.status == 404
    with pytest.raises(Refused, match="no record 99"):
        tubs.picture("a", 99)


def test_a_tub_is_read_again_only_when_it_changed(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(_store, "open_tub", lambda path: opened.append(path.name) or open_tub(path))
    tubs = Tubs(folder)
    for index in range(10):
        tubs.picture("a", index)
        tubs.records("a")
    assert opened == ["a"]
    make_tub(folder / "a", 5, first=10)
    assert columns(tubs, "a")["index"] == list(range(15))
    assert opened == ["a", "a"]


def test_a_broken_tub_spoils_nothing(folder):
    (folder / "c").mkdir()
    (folder / "c" / "manifest.json").write_text("no json")
    found = {tub["name"]: tub for tub in Tubs(folder).list()}
    assert found["a"]["records"] == 10
    assert found["c"]["records"] == 0 and found["c"]["problems"] > 0


def test_pilots_are_listed_with_what_their_files_say(tmp_path, monkeypatch):
    read = []

    def read_card(path):
        read.append(path.name)
        return {"pilot": "linear", "image_shape": [120, 160, 3]}

    monkeypatch.setattr(_store, "read_card", read_card)
    for name in ("one.keras", "two.tflite", "old.h5", "notes.txt"):
        (tmp_path / name).write_text("x")
    models = Models(tmp_path)
    shape = {"pilot": "linear", "image_shape": [120, 160, 3]}
    assert models.list() == [
        {"name": "old.h5", "pilot": None, "image_shape": None},  # reading it would take keras
        {"name": "one.keras", **shape},
        {"name": "two.tflite", **shape},
    ]
    models.list()
    assert read == ["one.keras", "two.tflite"]
    (tmp_path / "one.keras").write_text("changed")
    models.list()
    assert read == ["one.keras", "two.tflite", "one.keras"]
