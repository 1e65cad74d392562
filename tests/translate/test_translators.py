"""What holds for every translator: it trains, is saved, loaded and exported, and gives pictures."""

import numpy as np
import pytest

from dingocar.errors import TranslatorError, UnknownNameError
from dingocar.translate import load_translator, translators
from dingocar.translate.artefact import load_network, read_card
from dingocar.translate.export import export_translator
from tests.translate.small import SHAPE, pictures, small


@pytest.mark.parametrize("name", translators.names())
def test_it_is_trained_saved_loaded_and_exported(name, trained, tmp_path):
    path = trained(name)
    card = read_card(path)
    assert card["translator"] == name and card["image_shape"] == list(SHAPE)
    assert card["training"]["steps"] == (2 if small(name).learns else 0)
    assert card["training"]["pictures"].keys() == {"sim", "real"} == card["tubs"].keys()
    for direction in card["directions"]:
        images = pictures({"to_real": "sim", "to_sim": "real"}[direction], 3)
        keras_one = load_translator(path, direction)
        made = keras_one.run_batch(images)
        assert made.shape == images.shape and made.dtype == np.uint8
        np.testing.assert_allclose(keras_one.run(images[1]).astype(int), made[1], atol=1)
        file = export_translator(path, tmp_path / f"{direction}.tflite", direction)
        litert = load_translator(file)
        assert litert.direction == direction and litert.gives == direction.removeprefix("to_")
        np.testing.assert_allclose(litert.run(images[1]).astype(int), made[1], atol=2)


@pytest.mark.parametrize("name", translators.names())
def test_its_settings_are_checked(name):
    kind = translators.load(name)
    with pytest.raises(UnknownNameError, match="did you mean 'image_shape'"):
        kind.from_settings({"image_shap": [16, 24, 3]})
    with pytest.raises(TranslatorError, match="image_shape: expected"):
        kind.from_settings({"image_shape": [4, 24, 3]})
    if kind.learns:
        with pytest.raises(TranslatorError, match="batch_size: expected a number from 1"):
            kind.from_settings({"batch_size": 0})


@pytest.mark.parametrize("name", ["cyclegan", "unit", "cut"])
def test_pictures_that_cannot_be_halved_are_refused(name):
    with pytest.raises(TranslatorError, match="18x24 cannot be halved 2 times; take multiples of 4"):
        translators.load(name).from_settings({"image_shape": [18, 24, 3]})


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        (
            "cyclegan",
            {"image_shape": (16, 16, 3), "downsamplings": 4},
            "4 leave codes 1x1 places",
        ),
        ("cut", {"image_shape": (8, 16, 3), "downsamplings": 3}, "3 leave codes 1x2 places"),
        (
            "unit",
            {"image_shape": (16, 24, 3), "discriminator_layers": 5},
            "5 leave a discriminator 1x1",
        ),
        ("style", {"image_shape": (16, 24, 3), "downsamplings": 4}, "4 leave codes 1x2 places"),
    ],
)
def test_networks_that_leave_nothing_are_refused(name, settings, told):
    kind = translators.load(name)
    with pytest.raises(TranslatorError, match=f"{told}.* expected at least 2x2; set fewer"):
        kind.from_settings(settings)
    least = next(key for key in settings if key != "image_shape")
    kind.from_settings(settings | {least: 2})


def test_both_domains_share_units_codes(trained):
    """The codes are in the file, of one shape, and pictures are made of them."""
    _, network, _ = load_network(trained("unit"))
    assert network.output["latent_sim"].shape == network.output["latent_real"].shape
    assert network.get_layer("last_encoding").count_params() > 0


def test_colour_and_histogram_give_the_other_domains_colours(trained):
    sim, real = pictures("sim", 40, 5), pictures("real", 40, 6)
    for name in ("colour", "histogram"):
        for direction, have, want in (("to_real", sim, real), ("to_sim", real, sim)):
            made = load_translator(trained(name), direction).run_batch(have)
            apart = np.abs(made.mean(axis=(0, 1, 2)) - want.mean(axis=(0, 1, 2)))
            before = np.abs(have.mean(axis=(0, 1, 2)) - want.mean(axis=(0, 1, 2)))
            assert before.max() > 50 and apart.max() < 5, (name, direction, apart)
            spread = made.std(axis=(1, 2)).mean(axis=0) / want.std(axis=(1, 2)).mean(axis=0)
            np.testing.assert_allclose(spread, 1, atol=0.1)
