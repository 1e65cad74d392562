"""The picture: which parameters tell most; it is drawn in test_cli."""

import numpy as np
from matplotlib.figure import Figure

from dingocar.sim import load_randomisation
from dingocar.training.active import ActiveResult, Trace, sampler_of
from dingocar.training.active.picture import _draw_rounds, pull, rows, telling
from tests.training.active.landscape import Landscape

MILD = load_randomisation("mild")


def result(n=200, hard=3, rounds=4):
    """A search after which everything is told by the parameter number `hard`."""
    rng = np.random.default_rng(0)
    points = rng.random((n, len(MILD.names)))
    failure = points[:, hard]
    trace = Trace(
        *(points, failure, failure, failure, failure > 0.5, np.repeat(np.arange(rounds), n // rounds), 100),
        Landscape().reference(2, rng),
    )
    return ActiveResult(sampler_of(trace, MILD), MILD.names, trace, "svpg", "failure", 0.25)


def test_the_telling_parameter_is_found():
    found = result()
    shares = telling(found.trace.points, found.trace.failure)
    assert np.argmax(shares) == 3 and shares[3] > 0.95
    assert np.delete(shares, 3).max() < 0.2
    first = rows(found)[0]
    assert first["parameter"] == MILD.names[3]
    middle = (first["least"] + first["greatest"]) / 2
    assert first["learned 10 %"] > middle


def test_a_middling_value_can_be_the_telling_one():
    points = np.random.default_rng(1).random((300, 2))
    assert telling(points, np.abs(points[:, 1] - 0.5)).argmax() == 1
    assert telling(points, np.ones(300)).tolist() == [0.0, 0.0]


def test_pull_is_the_distance_from_an_even_distribution():
    even = (np.arange(100) + 0.5) / 100
    points = np.stack([even, 0.5 + even / 2, np.full(100, 1.0)], axis=1)
    np.testing.assert_allclose(pull(points), [0.005, 0.505, 1.0], atol=0.01)


def test_a_single_round_can_be_seen():
    for rounds, marker in ((1, "o"), (4, "")):
        figure = Figure()
        axes = figure.add_subplot()
        _draw_rounds(axes, result(rounds=rounds))
        lines = [line for part in figure.axes for line in part.get_lines() if len(line.get_xdata()) == rounds]
        assert [line.get_marker() for line in lines] == [marker, marker]
