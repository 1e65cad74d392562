"""The translator's file: it says what it is, strangers' files are checked, and nothing is half written."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from dingocar.errors import ImageError, PilotError, TranslatorError
from dingocar.translate import load_translator
from dingocar.translate.artefact import load_network, read_card, save_translator
from dingocar.translate.export import export_translator
from dingocar.zoo import load_pilot, save_pilot
from dingocar.zoo.linear import Linear, LinearSettings
from tests.translate.small import SHAPE, pictures


@pytest.fixture
def file(trained, tmp_path):
    """A translator's file that may be changed."""
    return shutil.copy(trained("cyclegan"), tmp_path / "t.keras")


def change(path, **facts):
    """Changes the card."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["dingocar.json"] = json.dumps(json.loads(members["dingocar.json"]) | facts).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"translator": "cyclgan"}, "unknown translator 'cyclgan'; did you mean 'cyclegan'"),
        ({"settings": {"filter": 3}}, "did you mean 'filters'"),
        ({"image_shape": [8, 8, 3]}, "does not take the pictures that its card names"),
        ({"directions": ["to_mars"]}, r"directions \['to_mars'\]; the file was changed"),
        ({"directions": []}, "the file was changed"),
        ({"directions": ["to_real"]}, "does not take the pictures"),
        ({"format": 99}, "a newer dingocar wrote it"),
        ({"translator": 7}, "must have 'translator'"),
        ({"directions": [["to_real"]]}, "the file was changed"),
        ({"image_shape": [[16, 24, 3]]}, "not one that dingocar wrote"),
        ({"training": []}, "not one that dingocar wrote"),
        ({"tubs": {"sim": 3}}, "not one that dingocar wrote"),
    ],
)
def test_a_changed_card_is_one_line(facts, words, file):
    change(file, **facts)
    with pytest.raises(TranslatorError, match=words):
        load_network(file)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
@pytest.mark.parametrize("suffix", [".keras", ".tflite"])
def test_what_is_no_file_of_ours_is_one_line(content, suffix, tmp_path):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    with pytest.raises(TranslatorError, match=r"t\.\w+: expected a translator's file"):
        load_translator(path)


def test_a_missing_file_and_another_kind_are_one_line(tmp_path):
    with pytest.raises(TranslatorError, match="no such file"):
        load_translator(tmp_path / "t.keras")
    with pytest.raises(TranslatorError, match=r"expected a \.keras translator"):
        load_network(tmp_path / "t.h5")


def test_pilots_and_translators_are_told_apart(file, tmp_path):
    pilot = Linear(LinearSettings(image_shape=(64, 84, 3)))
    path = save_pilot(tmp_path / "p.keras", pilot.build(), pilot)
    with pytest.raises(
        TranslatorError, match=r"p\.keras: expected a translator's file.*, got a pilot: linear"
    ):
        load_translator(path)
    with pytest.raises(PilotError, match=r"t\.keras: expected a pilot file.*, got a translator: cyclegan"):
        load_pilot(file)
    tflite = export_translator(file, tmp_path / "t.tflite", "to_sim")
    with pytest.raises(PilotError, match="got a translator: cyclegan"):
        load_pilot(tflite)


def test_damaged_weights_are_one_line(file):
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["model.weights.h5"] = members["model.weights.h5"][:100]
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(TranslatorError, match="weights cannot be read, the file is damaged"):
        load_network(file)


def test_weights_that_are_no_numbers_are_told_when_it_runs(file, tmp_path):
    translator, network, _ = load_network(file)
    network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])
    path = save_translator(tmp_path / "nan.keras", network, translator)
    with pytest.raises(TranslatorError, match="no finite number; its weights are damaged"):
        load_translator(path, "to_sim").run(pictures("real", 1)[0])


def test_a_direction_must_be_said_and_be_there(file, trained):
    with pytest.raises(TranslatorError, match="to_real and to_sim; say which: --to sim or --to real"):
        load_translator(file)
    with pytest.raises(TranslatorError, match="does not translate to_smi; did you mean 'to_sim'"):
        load_translator(file, "to_smi")
    with pytest.raises(TranslatorError, match="does not translate to_real, only to_sim"):
        load_translator(trained("cut"), "to_real")
    assert load_translator(trained("cut")).direction == "to_sim"


def test_only_pictures_of_its_size_are_taken(file):
    translator = load_translator(file, "to_sim")
    assert translator.takes == "real" and translator.image_shape == SHAPE
    with pytest.raises(
        TranslatorError, match=r"translates uint8 pictures of 16x24 RGB pixels, got uint8 \(8, 8, 3\)"
    ):
        translator.run(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(TranslatorError, match="got float64"):
        translator.run_batch(np.zeros((2, *SHAPE)))
    with pytest.raises(ImageError):
        translator.run("picture")
    assert translator.run_batch(np.zeros((0, *SHAPE), np.uint8)).shape == (0, *SHAPE)
    translator.close()
    with pytest.raises(TranslatorError, match="closed"):
        translator.run(np.zeros(SHAPE, np.uint8))


def test_it_is_written_whole_or_not_at_all(file, tmp_path):
    translator, network, _ = load_network(file)
    for path, words in ((tmp_path / "t.h5", "ends in .keras"), (tmp_path / "no/t.keras", "does not exist")):
        with pytest.raises(TranslatorError, match=words):
            save_translator(path, network, translator)
    before = file.read_bytes()
    with pytest.raises(TranslatorError, match="plain JSON values"):
        save_translator(file, network, translator, {"training": object()})
    assert file.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["t.keras"]


def test_export_writes_one_direction(file, tmp_path):
    with pytest.raises(TranslatorError, match=r"ends in \.tflite"):
        export_translator(file, tmp_path / "t.h5", "to_sim")
    path = export_translator(file, tmp_path / "t.tflite", "to_sim")
    card = read_card(path)
    assert card["directions"] == ["to_sim"] and card["tubs"] == read_card(file)["tubs"]
    with pytest.raises(TranslatorError, match="only to_sim"):
        load_translator(path, "to_real")
