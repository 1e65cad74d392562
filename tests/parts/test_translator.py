"""The translator's part: it translates for a pilot alone, fails open, and fits the pilot or is refused."""

import math

import numpy as np
import pytest

from dingocar.errors import DingocarError, PilotError, TranslatorError
from dingocar.parts.pilot import PilotPart
from dingocar.parts.translator import CALM_S, PASSED_S, TranslatorPart
from dingocar.translate.export import export_translator
from dingocar.zoo import save_pilot
from dingocar.zoo.resnet1 import Resnet1
from tests.fakes.clock import FakeClock
from tests.translate.conftest import trained, tubs  # noqa: F401 - fixtures
from tests.translate.small import SHAPE, pictures


@pytest.fixture
def part(trained, tmp_path):  # noqa: F811
    path = export_translator(trained("colour"), tmp_path / "t.tflite", "to_sim")
    made = TranslatorPart(path, image_shape=SHAPE[:2], clock=FakeClock())
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


BAD, GOOD = np.zeros((8, 8, 3), np.uint8), pictures("real", 1)[0]


def test_what_fails_is_passed_through_and_told_once(part, caplog):
    for _ in range(2):
        part._clock.time_s += 10
        made, latency_s = part.run(BAD)
        assert made is BAD and latency_s < 5
    assert part.failures == 2 and caplog.text.count("passed through untranslated") == 1
    assert part.run(GOOD)[0].shape == SHAPE and part.run(GOOD)[1] < 5  # and it goes on


@pytest.mark.parametrize("period_s", [0.05, 0.4])
@pytest.mark.parametrize("images", [[BAD], [BAD, GOOD]])
def test_a_translator_that_goes_on_failing_holds_the_car(part, caplog, images, period_s):
    """In time, whatever the rate, and also where some succeed between."""
    clock, seen = part._clock, []
    clock.time_s = 0.0
    for image in images * 10:
        seen.append((clock.time_s, part.run(image)[1] == math.inf))
        clock.time_s += period_s
    first_s = next(time_s for time_s, held in seen if held)
    assert first_s == pytest.approx(max(PASSED_S, len(images) * period_s))
    assert all(held for t, held in seen if t >= first_s)
    assert caplog.text.count(" s: the car is held") == 1
    part.run(BAD)
    clock.time_s += CALM_S - 0.01
    assert part.run(GOOD)[1] == math.inf
    clock.time_s += 0.02
    assert part.run(GOOD)[1] < 5


def test_where_no_gate_holds_the_car_the_drive_ends(trained):  # noqa: F811
    """In a drive that is not paced by the clock a lap may take no longer than that."""
    with pytest.raises(DingocarError):
        TranslatorPart(trained("colour"), gated=False).run(BAD)


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
    assert part.run(np.zeros((60, 80, 3), np.uint8), math.inf) == (0.0, 0.0, math.inf)
    part.shutdown()
