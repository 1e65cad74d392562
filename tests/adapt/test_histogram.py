"""Pictures of the source in the colours of the target, as a method and beside others."""

import numpy as np
import pytest

from dingocar.adapt import methods
from dingocar.errors import TrainingError


def noise(seed, low, high, count=6):
    return np.random.default_rng(seed).integers(low, high, (count, 16, 16, 3)).astype(np.uint8)


def means(pictures):
    return pictures.reshape(len(pictures), -1).mean(axis=1)


@pytest.mark.parametrize(
    ("method", "settings"),
    [("histogram", {}), ("histogram", {"per": "domain"}), ("coral", {"match_colours": True})],
)
def test_source_pictures_get_the_targets_colours(method, settings):
    dark, light, target = noise(0, 0, 40), noise(1, 60, 100), noise(2, 150, 250)
    source = np.concatenate([dark, light])
    translate = methods.load(method).from_settings(settings).translation(source, target)
    translated = translate(source, np.random.default_rng(0))
    assert translated.shape == source.shape and abs(translated.mean() - target.mean()) < 3
    apart = means(translated)[6:].mean() - means(translated)[:6].mean()
    # One curve for all keeps what is dark darker; one for each picture does not.
    assert (apart > 30) == (settings == {"per": "domain"})


def test_others_leave_the_pictures_alone():
    source, target = noise(0, 0, 40), noise(2, 150, 250)
    for name in set(methods.names()) - {"histogram"}:
        assert methods.load(name)().translation(source, target) is None
    with pytest.raises(TrainingError, match=r"method setting per: expected .*'domain'.*, got 'pixel'"):
        methods.load("histogram").from_settings({"per": "pixel"})
