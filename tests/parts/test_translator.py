"""The translator's part: it translates for a pilot alone, fails open, and fits the pilot or is refused."""

import math

import numpy as np
import pytest

from dingocar.errors import PilotError, TranslatorError
from dingocar.parts.pilot import PilotPart
from dingocar.parts.translator import MOST_IN_A_ROW, TranslatorPart
from dingocar.translate.export import export_translator
from dingocar.zoo import save_pilot
from dingocar.zoo.resnet1 import Resnet1
from tests.translate.conftest import trained, tubs  # noqa: F401 - fixtures
from tests.translate.small import SHAPE, pictures


@pytest.fixture
def part(trained, tmp_path):  # noqa: F811
    path = export_translator(trained("colour"), tmp_path / "t.tflite", "to_sim")
    made = TranslatorPart(path, image_shape=SHAPE[:2])
    yield made
    made.shutdown()


def test_it_translates_and_tells_how_long_it_took(part):
    image = pictures("real", 1)[0]
    made, latency_s = part.run(image)
    assert made.shape == SHAPE and made.dtype == np.uint8 and 0 < latency_s < 5
    assert np.abs(made.astype(int) - image).mean() > 20 and part.gives == "sim"


@pytest.mark.parametrize(("image", "wanted"), [(None, True), (pictures("real", 1)[0], False)])
def test_without_a_picture_or_a_pilot_it_does_nothing(part, image, wanted):
    assert part.run(image, wanted) == (None, math.inf)


def test_what_fails_is_passed_through_and_told_once(part, caplog):
    image = np.zeros((8, 8, 3), np.uint8)
    for _ in range(3):
        made, latency_s = part.run(image)
        assert made is image and latency_s < 5
    assert part.failures == 3 and caplog.text.count("passed through untranslated") == 1
    assert part.run(pictures("real", 1)[0])[0].shape == SHAPE  # and it goes on


def test_a_translator_that_goes_on_failing_holds_the_car(part, caplog):
    bad, good = np.zeros((8, 8, 3), np.uint8), pictures("real", 1)[0]
    for image in [*[bad] * (MOST_IN_A_ROW - 1), good, *[bad] * (MOST_IN_A_ROW - 1)]:
        assert part.run(image)[1] < 5
    assert "the car is held" not in caplog.text
    assert [part.run(bad)[1] for _ in range(3)] == [math.inf] * 3
    assert caplog.text.count("10 pictures in a row were not translated: the car is held") == 1
    assert part.run(good)[1] < 5


def test_of_two_directions_it_takes_that_to_sim(trained):  # noqa: F811
    assert TranslatorPart(trained("histogram")).gives == "sim"


def test_another_size_than_the_cameras_is_refused(trained):  # noqa: F811
    with pytest.raises(TranslatorError, match="is for pictures of 16x24 pixels, the camera's have 120x160"):
        TranslatorPart(trained("colour"), image_shape=(120, 160))


def pilot(path, **card):
    made = Resnet1.from_settings({"image_shape": (60, 80, 3)})
    return save_pilot(path, made.build(), made, card)


@pytest.fixture(scope="module")
def pilots(tmp_path_factory):
    """Pilots by what they have learned from."""
    folder = tmp_path_factory.mktemp("pilots")
    cards = {
        "sim": {"tubs": [{"path": "a", "domain": "sim"}]},
        "translated": {"tubs": [{"path": "a", "domain": "sim", "looks": "real"}]},
        "adapted": {
            "tubs": [{"path": "a", "domain": "real"}],
            "domain_method": {"name": "coral", "unlabelled": [{"path": "b", "domain": "sim"}]},
        },
        "unknown": {"tubs": []},
    }
    return {name: pilot(folder / f"{name}.keras", **card) for name, card in cards.items()}


@pytest.mark.parametrize("name", ["sim", "adapted", "unknown"])
def test_a_pilot_that_knows_such_pictures_is_taken(name, pilots):
    PilotPart(pilots[name], looks="sim").shutdown()


def test_a_pilot_of_other_pictures_is_refused(pilots):
    with pytest.raises(
        PilotError, match="learned from pictures that look real, and the translator makes them look sim"
    ):
        PilotPart(pilots["translated"], looks="sim")
    PilotPart(pilots["translated"]).shutdown()  # without a translator it is anybody's own affair


def test_the_translators_time_counts_as_the_pilots(pilots):
    part = PilotPart(pilots["sim"])
    assert part.run(np.zeros((60, 80, 3), np.uint8), 3.0)[2] > 3.0
    assert part.run(None, math.inf)[2] == math.inf
    part.shutdown()
