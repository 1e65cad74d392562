"""Style transfer by pixels: the paper's losses, a picture nearer to the style, and clear refusals."""

import keras
import numpy as np
import pytest
from keras import ops

from dingocar.cli.main import main
from dingocar.errors import TranslatorError
from dingocar.translate._extractor import VGG_CONTENT, VGG_STYLE, vgg19
from dingocar.translate.gatys import StyleWeights, _extractor, _painting, gram, losses, stylise
from dingocar.translate.sheets import save
from tests.translate.small import SHAPE, pictures

CONTENT, STYLE = pictures("sim", 1)[0], pictures("real", 1, 4)[0]


def test_losses_are_the_papers():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=shape).astype(np.float32) for shape in ((1, 4, 6, 3), (1, 2, 3, 5), (1, 2, 3, 4))]
    styles = [rng.normal(size=each.shape).astype(np.float32) for each in maps[:2]]
    content = rng.normal(size=maps[2].shape).astype(np.float32)

    def np_gram(x):
        flat = x.reshape(-1, x.shape[-1])
        return flat.T @ flat

    found = losses(maps, content, [gram(each) for each in styles])
    terms = [
        np.sum((np_gram(x) - np_gram(a)) ** 2) / (4 * x.shape[-1] ** 2 * (x.shape[1] * x.shape[2]) ** 2)
        for x, a in zip(maps, styles, strict=False)
    ]
    assert float(found["content"]) == pytest.approx(0.5 * np.sum((maps[2] - content) ** 2), rel=1e-4)
    assert float(found["style"]) == pytest.approx(np.mean(terms), rel=1e-4)


def gram_distance(extractor, one, other):
    from dingocar.translate.artefact import load_network

    encoder = load_network(extractor)[1].get_layer("encoder")
    maps = [encoder(image[None].astype(np.float32) / 127.5 - 1) for image in (one, other)]
    return sum(float(ops.mean(ops.square(gram(a) - gram(b)))) for a, b in zip(*maps, strict=True))


def test_it_comes_nearer_to_the_style(trained):
    extractor = trained("style")
    made = stylise(CONTENT, STYLE, extractor, StyleWeights(0, 1e6, 0), steps=20)
    assert made.shape == SHAPE and made.dtype == np.uint8
    assert gram_distance(extractor, made, STYLE) < 0.7 * gram_distance(extractor, CONTENT, STYLE)


def test_content_holds_the_picture(trained):
    moved = []
    for weight in (0, 1e6):
        made = stylise(CONTENT, STYLE, trained("style"), StyleWeights(weight, 1e3, 0), steps=20)
        moved.append(np.abs(made.astype(int) - CONTENT).mean())
    assert moved[1] < 0.7 * moved[0]


def test_weights_mean_the_same_to_any_network(trained):
    """At the start the style and the variation are as they are weighed, whatever the features' size."""
    encoder, _ = _extractor(trained("style"), SHAPE)
    content, style = (image[None].astype(np.float32) / 127.5 - 1 for image in (CONTENT, STYLE))
    for size in (1.0, 100.0):
        larger = keras.Model(encoder.input, [each * size for each in encoder.output])
        painting = _painting(larger, False, StyleWeights(2.0, 3.0, 5.0), content, style)
        found = {name: float(loss) for name, loss in painting.call(np.zeros((1, 1))).items()}
        assert found == pytest.approx({"content": 0, "style": 3, "variation": 5}, rel=1e-3)
        painting.pixels.assign(style)
        assert float(painting.call(np.zeros((1, 1)))["content"]) == pytest.approx(2, rel=1e-3)
    alike = stylise(CONTENT, CONTENT, trained("style"), steps=2)  # nothing to divide by
    assert np.abs(alike.astype(int) - CONTENT).mean() < 10


def test_pixels_stay_where_they_can_be_moved(trained):
    encoder, _ = _extractor(trained("style"), SHAPE)
    content, style = (image[None].astype(np.float32) / 127.5 - 1 for image in (CONTENT, STYLE))
    painting = _painting(encoder, False, StyleWeights(0, 1e6, 0), content, style)
    painting.compile(optimizer=keras.optimizers.Adam(0.5), run_eagerly=True)
    for _ in range(3):
        painting.train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))
        assert np.abs(ops.convert_to_numpy(painting.pixels)).max() == 1


def test_variation_smooths(trained):
    made = stylise(CONTENT, STYLE, trained("style"), StyleWeights(0, 0, 1), steps=20)
    assert (
        np.abs(np.diff(made.astype(int), axis=1)).mean() < np.abs(np.diff(CONTENT.astype(int), axis=1)).mean()
    )


def test_what_does_not_fit_is_one_line(trained, monkeypatch):
    with pytest.raises(TranslatorError, match="style's picture is of 8x8 pixels, the content's of 16x24"):
        stylise(CONTENT, STYLE[:8, :8], trained("style"))
    with pytest.raises(TranslatorError, match="encoder takes pictures of 16x24, these are of 8x8"):
        stylise(CONTENT[:8, :8], STYLE[:8, :8], trained("style"))
    with pytest.raises(TranslatorError, match="is a colour; only style has an extractor"):
        stylise(CONTENT, STYLE, trained("colour"))
    with pytest.raises(TranslatorError, match="content: expected a number from 0"):
        StyleWeights(content=-1)

    with pytest.raises(TranslatorError, match="at least 32x32 pixels, these are of 16x24"):
        stylise(CONTENT, STYLE)

    def unreachable(**options):
        raise OSError("URL fetch failure: no route")

    monkeypatch.setattr(keras.applications, "VGG19", unreachable)
    large = pictures("sim", 1, shape=(32, 40, 3))[0]
    with pytest.raises(
        TranslatorError, match=r"VGG19 cannot be downloaded \(URL fetch failure.*--method style"
    ):
        stylise(large, large)


def test_vgg19_gets_its_colours_and_is_not_trained():
    network = vgg19((32, 32, 3), (*VGG_STYLE, VGG_CONTENT), weights=None)
    assert not network.trainable_variables
    assert [each.shape[-1] for each in network.outputs] == [64, 128, 256, 512, 512, 512]
    centred = keras.Model(network.input, network.get_layer("centred").output)
    red = np.zeros((1, 32, 32, 3), np.float32) + np.array([1.0, -1.0, -1.0], np.float32)
    np.testing.assert_allclose(
        ops.convert_to_numpy(centred(red))[0, 0, 0], [-103.939, -116.779, 255 - 123.68], atol=1e-3
    )


def test_the_command(trained, tmp_path, capsys):
    for name, image in (("c.png", CONTENT), ("s.png", STYLE)):
        save(image, tmp_path / name)
    argv = [
        "translate",
        "style",
        str(tmp_path / "c.png"),
        str(tmp_path / "s.png"),
        "--out",
        str(tmp_path / "o.png"),
    ]
    assert main([*argv, "--extractor", str(trained("style")), "--steps", "3"]) == 0
    assert (tmp_path / "o.png").is_file() and "wrote" in capsys.readouterr().out
    assert main([*argv, "--extractor", str(tmp_path / "c.png")]) == 2
    assert "expected a translator's file" in capsys.readouterr().err
    assert main([*argv, "--style-weight", "-3"]) == 2
    assert "style: expected a number from 0" in capsys.readouterr().err
