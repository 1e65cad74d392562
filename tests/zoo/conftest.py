import pytest

from dingocar.zoo import save_pilot
from tests.zoo.making import networks, small


@pytest.fixture(scope="session", params=networks())
def built(request):
    """A pilot of each of the zoo's networks, a small one; do not change it."""
    return small(request.param)


@pytest.fixture(scope="session")
def linear():
    return small("linear")


@pytest.fixture
def saved(linear, tmp_path):
    """The path of a small linear pilot."""
    pilot, model = linear
    return save_pilot(tmp_path / "pilot.keras", model, pilot, {"tubs": [{"path": "a", "records": 3}]})


@pytest.fixture
def made_weights(monkeypatch):
    """A list that grows with every array of weights that Keras draws: that is where memory is asked for."""
    import keras

    made = []
    real = keras.initializers.GlorotUniform.__call__
    monkeypatch.setattr(
        keras.initializers.GlorotUniform, "__call__", lambda *a, **k: (made.append(a), real(*a, **k))[1]
    )
    return made
