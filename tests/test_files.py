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


@pytest.mark.parametrize("text", ["[" * 200_000, "{", b"\xff", "1" * 5000])
def test_what_is_no_json(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_no_number_becomes_none():
    assert parse_json(b'[NaN, Infinity, -Infinity, 1e999, -1.5, 3, "NaN"]') == [*[None] * 4, -1.5, 3, "NaN"]
