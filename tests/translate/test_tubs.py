"""A translated tub: the same records with other pictures, whole or not at all."""

import json
import shutil

import numpy as np
import pytest

from dingocar.errors import TranslatorError, TubError
from dingocar.training import load_dataset
from dingocar.translate import load_translator
from dingocar.translate.tubs import translate_tub
from dingocar.tub import TubWriter, open_tub
from dingocar.tub.check import check
from tests.translate.small import SHAPE, tub


@pytest.fixture
def to_real(trained):
    return load_translator(trained("colour"), "to_real")


def test_records_stay_and_pictures_change(to_real, tmp_path):
    source = tub(tmp_path / "source", "sim", 40, more=("cam/depth",))
    tub(source, "sim", 5, more=("cam/depth",))  # a second session
    open_tub(source).delete([3, 4])
    shares = []
    made = translate_tub(to_real, source, tmp_path / "made", shares.append)
    assert (made.pictures, made.skipped, shares[-1]) == (45, 0, 1.0)
    old, new = open_tub(source), open_tub(tmp_path / "made")
    assert [r.fields for r in new] == [r.fields for r in old] and new.sessions == old.sessions
    assert new.deleted_indexes == old.deleted_indexes == {3, 4} and check(new.path).ok
    for ours, theirs in zip(new, old, strict=True):
        np.testing.assert_array_equal(ours.image("cam/depth"), theirs.image("cam/depth"))
        expected = to_real.run(theirs.image()).astype(int)
        assert np.abs(ours.image().astype(int) - expected).mean() < 8  # JPEG
        assert np.abs(ours.image().astype(int) - theirs.image()).mean() > 20
    assert (new.domain, new.looks) == ("sim", "real")
    facts = new.metadata["translated"]
    assert facts == {"translator": "colour", "file": "colour.keras", "direction": "to_real"}


def test_a_tub_that_is_being_recorded_is_refused(to_real, tmp_path):
    """What comes after its records were listed would be copied and not translated."""
    source = tub(tmp_path / "source", "sim", 3)
    with TubWriter(source), pytest.raises(TubError, match="somebody else is writing"):
        translate_tub(to_real, source, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    translate_tub(to_real, source, tmp_path / "made")


def test_a_pilots_data_knows_what_the_pictures_look_like(to_real, tubs, tmp_path):
    translate_tub(to_real, tubs["sim"], tmp_path / "made")
    uses = load_dataset([tubs["sim"], tmp_path / "made"], SHAPE[:2]).tubs
    assert [(use.domain, use.looks) for use in uses] == [("sim", "sim"), ("sim", "real")]


def test_pictures_of_another_size_are_scaled(to_real, tmp_path):
    source = tub(tmp_path / "source", "sim", 3, shape=(32, 48, 3))
    translate_tub(to_real, source, tmp_path / "made")
    assert open_tub(tmp_path / "made")[0].image().shape == SHAPE


def test_broken_pictures_are_left_as_they_are(to_real, tmp_path, caplog):
    source = tub(tmp_path / "source", "sim", 5)
    file = open_tub(source)[2].image_path()
    file.write_bytes(b"broken")
    made = translate_tub(to_real, source, tmp_path / "made")
    assert (made.pictures, made.skipped) == (4, 1) and "1 of 5 pictures cannot be decoded" in caplog.text
    assert (tmp_path / "made/images" / file.name).read_bytes() == b"broken"


def test_a_link_in_a_tub_is_not_written_through(to_real, tmp_path):
    source = tub(tmp_path / "source", "sim", 3)
    file, outside = open_tub(source)[0].image_path(), tmp_path / "outside.jpg"
    file.rename(outside)
    file.symlink_to(outside)
    before = outside.read_bytes()
    translate_tub(to_real, source, tmp_path / "made")
    assert outside.read_bytes() == before
    assert not (tmp_path / "made/images" / file.name).is_symlink()


def test_a_linked_folder_is_not_written_through(to_real, tmp_path):
    source = tub(tmp_path / "source", "sim", 3)
    (source / "images").rename(tmp_path / "elsewhere")
    (source / "images").symlink_to(tmp_path / "elsewhere")
    before = {file.name: file.read_bytes() for file in (tmp_path / "elsewhere").iterdir()}
    with pytest.raises(TranslatorError, match="images: is a link to another folder"):
        translate_tub(to_real, source, tmp_path / "made")
    assert {file.name: file.read_bytes() for file in (tmp_path / "elsewhere").iterdir()} == before


def test_a_tub_within_the_tub_is_refused(to_real, tmp_path):
    source = tub(tmp_path / "source", "sim", 3)
    with pytest.raises(TranslatorError, match="lies within the tub that is translated"):
        translate_tub(to_real, source, source / "made")


def test_what_does_not_fit_is_one_line_and_nothing_is_made(to_real, tubs, tmp_path):
    nameless = tub(tmp_path / "nameless", "sim", 3, words={})
    empty = tub(tmp_path / "empty", "sim", 1)
    open_tub(empty).delete([0])
    for source, words in (
        (tubs["real"], "its pictures look real, and .* to_real takes sim ones"),
        (nameless, "dingocar tub domain .*nameless sim"),
        (empty, "holds no records"),
    ):
        with pytest.raises(TranslatorError, match=words):
            translate_tub(to_real, source, tmp_path / "made")
        assert not (tmp_path / "made").exists()
    with pytest.raises(TranslatorError, match="is there already"):
        translate_tub(to_real, tubs["sim"], nameless)


def test_a_translated_tub_is_not_translated_again(to_real, tubs, tmp_path):
    translate_tub(to_real, tubs["sim"], tmp_path / "made")
    with pytest.raises(TranslatorError, match="its pictures look real"):
        translate_tub(to_real, tmp_path / "made", tmp_path / "again")


def test_a_failure_leaves_nothing(to_real, tubs, tmp_path, monkeypatch):
    def fail(images):
        raise TranslatorError("the network fails")

    monkeypatch.setattr(to_real, "run_batch", fail)
    with pytest.raises(TranslatorError, match="the network fails"):
        translate_tub(to_real, tubs["sim"], tmp_path / "made")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line(to_real, tubs, tmp_path, monkeypatch):
    def full(source, target, **options):
        errors = [(f"{source}/images/{n}.jpg", "x", "[Errno 28] No space left on device") for n in range(200)]
        raise shutil.Error(errors)

    monkeypatch.setattr("dingocar.translate.tubs.shutil.copytree", full)
    with pytest.raises(TranslatorError) as error:
        translate_tub(to_real, tubs["sim"], tmp_path / "made")
    told = f"{tmp_path}/made: cannot be made ({tubs['sim']}/images/0.jpg: No space left on device)"
    assert str(error.value) == told and not list(tmp_path.iterdir())


def test_a_tub_that_must_not_be_written_to_can_be_translated(to_real, tmp_path):
    source = tub(tmp_path / "source", "sim", 5)
    for folder in (source / "images", source):
        folder.chmod(0o555)
    made = translate_tub(to_real, source, tmp_path / "made")
    assert made.pictures == 5
    assert all((tmp_path / "made" / name).stat().st_mode & 0o200 for name in (".", "images"))
    for folder in (source, source / "images"):
        folder.chmod(0o755)


def test_other_programs_still_read_the_manifest(to_real, tubs, tmp_path):
    translate_tub(to_real, tubs["sim"], tmp_path / "made")
    lines = (tmp_path / "made/manifest.json").read_text().splitlines()
    assert len(lines) == 5 and all(json.loads(line) is not None for line in lines)
