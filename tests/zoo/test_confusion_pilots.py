"""The pilots that bring along how they are adapted: dingocar-research's."""

import pytest

from dingocar.adapt import methods
from dingocar.zoo import pilots

NAMES = ("confusion_linear", "confusion_categorical")


@pytest.mark.parametrize("name", pilots.names())
def test_what_a_pilot_is_adapted_by_is_a_method_with_its_settings(name):
    adaptation = pilots.load(name).adaptation
    assert (adaptation is not None) == (name in NAMES)
    if adaptation is not None:
        method, settings = adaptation
        assert methods.load(method).from_settings(settings).name == method


@pytest.mark.parametrize("name", NAMES)
def test_the_method_is_as_dingocar_research_had_it(name):
    settings = methods.load("confusion").from_settings(pilots.load(name).adaptation[1]).settings
    assert settings.form == name.removeprefix("confusion_")
    assert (settings.weight, settings.warmup, settings.normalise) == (1, 0, False)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_is_linears_with_less_dropout(name):
    mine, linear = (pilots.load(each)().build() for each in (name, "linear"))
    described = [
        [(type(layer), layer.name, layer.output.shape) for layer in network.layers]
        for network in (mine, linear)
    ]
    assert described[0] == described[1]
    assert {layer.rate for layer in mine.layers if hasattr(layer, "rate")} == {0.1}
    filters = [layer.filters for layer in mine.layers if hasattr(layer, "filters")]
    assert filters == [24, 32, 64, 64, 64]
    assert [mine.get_layer(f"dense_{number}").units for number in (1, 2)] == [100, 50]
