"""The list of trained pilots: Donkeycar's fields, atomic, never lost."""

import json
import re

import pytest

from dingocar.errors import TrainingError
from dingocar.files import lock_folder, replace_file, unlock
from dingocar.training.database import FILE, add_entry, default_model_path, read_database


def test_entries_are_numbered_in_a_list(tmp_path):
    for name in ("a", "b"):
        add_entry(tmp_path, {"Name": name, "Type": "linear", "Tubs": "data"})
    entries = json.loads((tmp_path / FILE).read_text())
    assert [(entry["Name"], entry["Number"]) for entry in entries] == [("a", 0), ("b", 1)]
    assert all(entry["Time"] > 1.7e9 for entry in entries)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_entries_of_donkeycar_stay_and_count(tmp_path):
    theirs = {"Number": 7, "Name": "pilot_21-01-01_7", "Pilot": "KerasLinear", "Config": {"X": 1}}
    (tmp_path / FILE).write_text(json.dumps([theirs]))
    assert default_model_path(tmp_path).name.endswith("_8.keras")
    assert add_entry(tmp_path, {"Name": "new"})["Number"] == 8
    assert read_database(tmp_path)[0] == theirs


def test_a_model_that_is_overwritten_has_one_entry(tmp_path):
    for comment in ("first", "second"):
        add_entry(tmp_path, {"Name": "a", "Comment": comment})
    assert [entry["Comment"] for entry in read_database(tmp_path)] == ["second"]


@pytest.mark.parametrize("broken", ["[{", '{"a": 1}', "[1]", "\xff"])
def test_a_broken_file_is_kept_aside(tmp_path, broken):
    (tmp_path / FILE).write_text(broken, encoding="latin-1")
    add_entry(tmp_path, {"Name": "a"})
    assert len(read_database(tmp_path)) == 1
    assert (tmp_path / f"{FILE}.broken-0").read_text(encoding="latin-1") == broken
    (tmp_path / FILE).write_text(broken, encoding="latin-1")
    add_entry(tmp_path, {"Name": "b"})
    assert (tmp_path / f"{FILE}.broken-1").exists()


@pytest.mark.parametrize("broken", ["[{", "[1]", "[" * 200_000])
def test_looking_at_a_broken_file_leaves_it_there(tmp_path, broken):
    (tmp_path / FILE).write_text(broken)
    with pytest.raises(TrainingError, match=r"is damaged .*mend it, or train"):
        read_database(tmp_path)
    assert default_model_path(tmp_path).name.endswith("_0.keras")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_file_that_cannot_be_read_is_not_moved(tmp_path, monkeypatch):
    add_entry(tmp_path, {"Name": "a"})

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "read_bytes", refuse)
    for action in (lambda: read_database(tmp_path), lambda: add_entry(tmp_path, {"Name": "b"})):
        with pytest.raises(TrainingError, match=r"cannot be read .Permission denied"):
            action()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_figures_that_are_no_numbers_are_none(tmp_path):
    (tmp_path / FILE).write_text('[{"Name": "a", "loss": NaN}]')
    assert read_database(tmp_path) == [{"Name": "a", "loss": None}]


def test_the_default_name_is_donkeycars_and_free(tmp_path):
    first = default_model_path(tmp_path)
    assert re.fullmatch(r"pilot_\d\d-\d\d-\d\d_0\.keras", first.name)
    first.write_text("taken")
    assert default_model_path(tmp_path).name.endswith("_1.keras")


def test_two_trainings_that_end_at_once_wait_for_each_other(tmp_path, monkeypatch):
    def write(path, text):
        with pytest.raises(BlockingIOError):
            lock_folder(tmp_path)
        replace_file(path, text)

    monkeypatch.setattr("dingocar.training.database.replace_file", write)
    add_entry(tmp_path, {"Name": "a"})
    unlock(lock_folder(tmp_path))
    assert [entry["Name"] for entry in read_database(tmp_path)] == ["a"]


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="cannot be written"):
        add_entry(tmp_path / "missing", {"Name": "a"})
