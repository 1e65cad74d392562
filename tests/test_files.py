"""Files are replaced whole or not at all, and never through a link."""

import os
import stat

import pytest

from dingocar import files
from dingocar.files import parse_json, replace_file, replacing


def test_a_file_is_replaced_and_nothing_is_left_behind(tmp_path):
    path = tmp_path / "manifest.json"
    for contents, raw in (("é", "é".encode()), (b"\0\xff", b"\0\xff")):
        replace_file(path, contents, durable=True)
        assert path.read_bytes() == raw
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "manifest.json"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half a fi")
        raise KeyError

    def refuse(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Input/output"):
        replace_file(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_links_are_replaced_and_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.json").symlink_to(victim)
    replace_file(tmp_path / "a.json", "new")
    assert not (tmp_path / "a.json").is_symlink()
    # Even where somebody guessed the temporary file's name.
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "0")
    (tmp_path / ".b-0.json").symlink_to(victim)
    with pytest.raises(FileExistsError):
        replace_file(tmp_path / "b.json", "new")
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions(tmp_path):
    umask = os.umask(0o027)
    try:
        replace_file(tmp_path / "a", "1")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    (tmp_path / "a").chmod(0o600)
    replace_file(tmp_path / "a", "2")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        replace_file(tmp_path / "nodir" / "x.html", "text")
    assert caught.value.filename == str(tmp_path / "nodir")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 200_000, "nested too deeply"),
        ("{", "line 1 column 2"),
        (b"\xff", "can't decode byte"),
        ('{"a": ' + "1" * 5000 + "}", "^has an integer of more than 4300 digits$"),
    ],
    ids=["deep", "cut off", "no text", "long"],
)
def test_what_is_no_json(text, told):
    with pytest.raises(ValueError, match=told):
        parse_json(text)


def test_no_number_becomes_none():
    assert parse_json(b'[NaN, Infinity, -Infinity, 1e999, -1.5, 3, "NaN"]') == [*[None] * 4, -1.5, 3, "NaN"]
