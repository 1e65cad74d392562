"""The file's name is the entry's name; listing imports nothing."""

import sys

import pytest

from dingocar.errors import DingocarError, UnknownNameError
from dingocar.registry import Registry, use_car_folder


@pytest.fixture
def car(tmp_path):
    for kind, name, text in [
        ("tracks", "mine", '"""My own track."""\ndef build(argument):\n    return ("mine", argument)\n'),
        ("tracks", "_helper", "raise AssertionError('must not be imported')"),
        ("tracks", "broken", "def biuld(): ..."),
        ("tracks", "syntax", "def ("),
    ]:
        (tmp_path / kind).mkdir(exist_ok=True)
        (tmp_path / kind / f"{name}.py").write_text(text)
    use_car_folder(tmp_path)
    yield tmp_path
    use_car_folder(None)


@pytest.fixture
def tracks():
    return Registry("track", "dingocar.sim.tracks", entry="build", in_car=True)


def test_a_cars_own_file_joins_in(car, tracks):
    assert {"mine", "broken", "oval", "circuit", "random"} <= set(tracks.names())
    assert "_helper" not in tracks.names()
    assert tracks.summaries()["mine"] == "My own track."
    assert tracks.summaries()["syntax"] == "(cannot be read: SyntaxError)"
    assert tracks.load("mine")("x") == ("mine", "x")
    assert tracks.load("mine") is tracks.load("mine")


def test_a_cars_own_file_wins_over_ours_of_the_same_name(car, tracks):
    (car / "tracks" / "oval.py").write_text("def build(argument):\n    return 'my oval'\n")
    assert tracks.load("oval")(None) == "my oval"


def test_listing_imports_nothing(tracks):
    before = set(sys.modules)
    Registry("track", "dingocar.sim.tracks", entry="build").summaries()
    new = {name for name in set(sys.modules) - before if name.startswith("dingocar.sim.tracks.")}
    assert new == set()


def test_unknown_name_gets_a_suggestion(tracks):
    with pytest.raises(UnknownNameError, match=r"unknown track 'ovla'; did you mean 'oval'\?"):
        tracks.load("ovla")


def test_a_file_without_its_entry_is_named(car, tracks):
    with pytest.raises(DingocarError, match=r"broken.py: a track file must define 'build'"):
        tracks.load("broken")


def test_what_is_hidden_in_our_package_is_not_in_a_car(car):
    registry = Registry("track", "dingocar.sim.tracks", entry="build", hidden=("mine", "oval"), in_car=True)
    assert "mine" in registry.names() and "oval" not in registry.names()


def test_listed_only(tracks):
    registry = Registry("track", "dingocar.sim.tracks", entry=None)
    with pytest.raises(DingocarError, match="a track is imported by its module"):
        registry.load("oval")


def test_classes_are_found_by_their_base(tmp_path):
    class Base:
        pass

    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "good.py").write_text("class Good(__import__('sys').base): pass")
    (tmp_path / "things" / "two.py").write_text(
        "import sys\nclass A(sys.base): pass\nclass B(sys.base): pass"
    )
    things = Registry("thing", "dingocar.sim.tracks", entry=Base, in_car=True)
    sys.base = Base
    use_car_folder(tmp_path)
    try:
        assert things.load("good").__name__ == "Good"
        with pytest.raises(DingocarError, match="exactly one subclass of Base, found 2"):
            things.load("two")
    finally:
        use_car_folder(None)
        del sys.base
