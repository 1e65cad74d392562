"""A pilot on shared codes: it learns from simulated ones, and drives on real ones."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from dingocar.errors import TrainingError, TranslatorError
from dingocar.training import TrainingSettings
from dingocar.translate import latent, save_translator, train_translator
from dingocar.translate._game import translation
from dingocar.translate.artefact import load_network, part
from dingocar.translate.latent import train_latent
from dingocar.tub import TubWriter
from dingocar.zoo import artefact as pilots
from dingocar.zoo import load_pilot
from tests.translate.small import SHAPE, pictures, small, tub

FAST = TrainingSettings(epochs=25, batch_size=16, learning_rate=3e-3, seed=1)


def steering_of(images):
    """Where the bright bar is, from -1 at the left to 1 at the right."""
    return images[..., 1].sum(axis=1).argmax(axis=1) / SHAPE[1] * 2 - 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A unit, and a tub whose steering can be seen in its pictures."""
    folder = tmp_path_factory.mktemp("latent")
    images = pictures("sim", 400)
    channels = (["cam/image_array", "user/angle", "user/throttle"], ["image_array", "float", "float"])
    with TubWriter(folder / "sim", *channels, {"domain": "sim"}, on_full="wait", jpeg_quality=95) as writer:
        for image, angle in zip(images, steering_of(images), strict=True):
            writer.write(dict(zip(channels[0], (image, float(angle), 0.5), strict=True)))
    tub(folder / "real", "real", 60)
    # Untrained: where the bar is can be seen in its codes all the same.
    unit = small("unit", filters=8)
    save_translator(folder / "unit.keras", translation(unit, unit.networks()), unit)
    return folder


@pytest.fixture(scope="module")
def made(folder):
    return train_latent(folder / "unit.keras", [folder / "sim"], folder / "pilot.keras", FAST)


def test_it_learns_where_the_road_goes(made):
    assert made.validation["corr"] > 0.8 and 1 <= made.best_epoch <= made.epochs <= 25
    images = pictures("sim", 60, 9)
    pilot = load_pilot(made.sim_model)
    said = [pilot.run(image)[0] for image in images]
    assert np.corrcoef(said, steering_of(images))[0, 1] > 0.8


def test_it_also_learns_from_the_other_encoders_codes_of_translated_pictures(folder, tmp_path, monkeypatch):
    asked = []

    def batches(codes, data, rows, *rest):
        asked.append((codes, data, rows))
        return make(codes, data, rows, *rest)

    make = latent._batches
    monkeypatch.setattr(latent, "_batches", batches)
    short = dataclasses.replace(FAST, epochs=1)
    train_latent(folder / "unit.keras", [folder / "sim"], tmp_path / "pilot.keras", short)
    _, unit, _ = load_network(folder / "unit.keras")
    (codes, data, train), (_, _, held_out) = asked
    sim, real = (part(unit, domain, f"latent_{domain}") for domain in ("sim", "real"))
    translated = part(unit, "sim", "to_real")(data.images)["to_real"]
    expected = np.concatenate([sim(data.images)["latent_sim"], real(translated)["latent_real"]])
    np.testing.assert_allclose(codes, expected, rtol=0.01, atol=0.01)
    count = len(data.images)
    for rows in (train, held_out):
        np.testing.assert_array_equal(rows[rows >= count] - count, rows[rows < count])
    (_, labels), (_, others) = (make(codes, data, np.array(rows), 2)[0] for rows in ([3, count + 3], [4]))
    assert labels["steering"][0] == labels["steering"][1] != others["steering"][0]


def test_both_files_have_the_same_driver_behind_the_encoder_of_their_domain(made, folder):
    _, unit, _ = load_network(folder / "unit.keras")
    images = pictures("real", 3, 5)
    drivers = {}
    for domain, file in (("sim", made.sim_model), ("real", made.model)):
        _, network, card = pilots.load_network(file)
        assert card["latent"] == {"translator": str(folder / "unit.keras")}
        assert load_pilot(file).looks == {domain}
        driver = keras.Model(network.get_layer("code_noise").input, network.output)
        codes = part(unit, domain, f"latent_{domain}")(images)[f"latent_{domain}"]
        drivers[domain] = driver
        for head, said in network(images).items():
            np.testing.assert_allclose(said, driver(codes)[head], rtol=1e-4, atol=1e-5)
        assert network.get_layer("features").output.shape == (None, 50)
    for one, other in zip(*(driver.get_weights() for driver in drivers.values()), strict=True):
        np.testing.assert_array_equal(one, other)
    assert load_pilot(made.sim_model).card["metrics"]["steering"] == made.validation
    assert not load_pilot(made.model).card["metrics"]  # nobody knows it on real pictures
    assert np.abs(pilot_outputs(made.model, images) - pilot_outputs(made.sim_model, images)).max() > 1e-3


def pilot_outputs(file, images):
    return np.array([load_pilot(file).run(image) for image in images])


def test_what_does_not_fit_is_said_and_nothing_is_written(folder, tmp_path):
    out = tmp_path / "pilot.keras"
    colour = tmp_path / "colour.keras"
    train_translator(small("colour"), [folder / "sim"], [folder / "real"], colour)
    with pytest.raises(TranslatorError, match="a colour has no codes that both domains share; train a unit"):
        train_latent(colour, [folder / "sim"], out, FAST)
    with pytest.raises(TrainingError, match="says that its pictures look real"):
        train_latent(folder / "unit.keras", [folder / "real"], out, FAST)
    with pytest.raises(TranslatorError, match=r"expected a file name that ends in \.keras"):
        train_latent(folder / "unit.keras", [folder / "sim"], tmp_path / "pilot.h5", FAST)
    with pytest.raises(TrainingError, match="does not say whether its pictures are simulated or real"):
        train_latent(folder / "unit.keras", [tub(tmp_path / "nobody", "", words={})], out, FAST)
    shutil.copytree(folder / "sim", tmp_path / "again")
    with pytest.raises(TrainingError, match=r"again: .* in .*sim, too, where some of them are held out"):
        train_latent(folder / "unit.keras", [folder / "sim", tmp_path / "again"], out, FAST)
    assert not out.exists()


def test_no_other_file_is_lost(folder, tmp_path):
    unit, sim = tmp_path / "unit_sim.keras", [folder / "sim"]
    shutil.copy(folder / "unit.keras", unit)
    before = unit.read_bytes()
    for out in (unit, tmp_path / "unit.keras"):  # the second pilot's name would be the translator's
        with pytest.raises(TranslatorError, match=r"unit_sim.keras: is there, and it is the translator"):
            train_latent(unit, sim, out, FAST)
    other = tmp_path / "pilot_sim.keras"
    other.write_text("mine")
    with pytest.raises(TranslatorError, match=r"pilot_sim.keras: is there, and it is no pilot of this kind"):
        train_latent(unit, sim, tmp_path / "pilot.keras", FAST)
    assert unit.read_bytes() == before and other.read_text() == "mine"
    # Those of an earlier training are replaced.
    short = dataclasses.replace(FAST, epochs=1)
    twice = [train_latent(unit, sim, tmp_path / "p.keras", short) for _ in range(2)]
    assert twice[0].validation == twice[1].validation
