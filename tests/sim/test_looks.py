"""The contract of the looks, over all there are."""

from __future__ import annotations

import numpy as np
import pytest

from dingocar.errors import DingocarError, UnknownNameError
from dingocar.registry import use_car_folder
from dingocar.sim import World, load_track
from dingocar.sim.appearance import Appearance
from dingocar.sim.chart import survey
from dingocar.sim.look import Look, Painting, load_look, looks


@pytest.fixture(scope="module")
def chart():
    return survey(load_track("oval"), texel_m=0.01)


@pytest.mark.parametrize("name", looks.names())
def test_a_look_draws_and_paints(name, chart):
    look = load_look(name)
    for seed in range(3):
        one, same = (look.draw(np.random.default_rng(seed)) for _ in range(2))
        assert isinstance(one, Appearance)
        assert one == same
        first, second = (look.paint(chart, one, np.random.default_rng(seed)) for _ in range(2))
        assert first.ground.tobytes() == second.ground.tobytes()
        assert first.sky.tobytes() == second.sky.tobytes()
        assert first.ground.shape == (*chart.shape, 3)
        assert first.ground.std() > 3


@pytest.mark.parametrize("name", looks.names())
def test_a_look_is_seen(name):
    world = World("oval", look=name)
    image = world.reset(start_s_m=0.0).image[0]
    assert image.shape == (120, 160, 3)
    assert image.std() > 8


def test_photo_draws_places_that_differ():
    look = load_look("photo")
    drawn = [look.draw(np.random.default_rng(seed)) for seed in range(200)]
    assert {a.floor for a in drawn} == {"asphalt", "carpet", "concrete", "mat", "tiles", "wood"}
    assert {a.backdrop for a in drawn} == {"sky", "room"}
    # Floors have the colours of their material: none is green, pink or blue as the sky.
    for a in drawn:
        assert np.ptp(a.colour("floor")) < 95
    assert np.std([a.light for a in drawn]) > 0.1


def test_photo_lines_can_be_seen():
    """However worn and dim a place is, the edges stand out from the floor beside them."""
    look, chart = load_look("photo"), survey(load_track("oval"), texel_m=0.015)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        ground = look.paint(chart, look.draw(rng), rng).ground.astype(float)
        edge = ground[np.abs(np.abs(chart.cte_m) - 0.335) < 0.01]
        floor = ground[np.abs(np.abs(chart.cte_m) - 0.18) < 0.05]
        assert np.abs(edge.mean(axis=0) - floor.mean(axis=0)).max() > 25, seed


def test_flat_is_always_the_same():
    look = load_look("flat")
    assert look.draw(np.random.default_rng(0)) == look.draw(np.random.default_rng(9)) == Appearance()


def test_unknown_look():
    with pytest.raises(UnknownNameError, match="did you mean 'flat'"):
        load_look("flatt")


BROKEN = {
    "look = 3": "must define look = Look",
    "from dingocar.sim.look import Look\nlook = Look(draw=lambda rng: 3)": "draw.. must return an Appearance",
    "from dingocar.sim import look as l\nfrom dingocar.sim.appearance import Appearance\n"
    "look = l.Look(lambda rng: Appearance(), lambda *_: 3)": "paint.. must return a Painting",
    "import numpy as np\nfrom dingocar.sim import look as l\nfrom dingocar.sim.appearance import Appearance\n"
    "def paint(chart, appearance, rng):\n    small = np.zeros((4, 4, 3), np.uint8)\n"
    "    return l.Painting(small, small)\nlook = l.Look(lambda rng: Appearance(), paint)": "chart's shape",
}


@pytest.mark.parametrize(("code", "message"), BROKEN.items())
def test_a_broken_look_is_named(tmp_path, chart, code, message):
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "broken.py").write_text(code + "\n")
    use_car_folder(tmp_path)
    with pytest.raises(DingocarError, match=f"look broken.*{message}"):
        look = load_look("broken")
        look.paint(chart, look.draw(np.random.default_rng(0)), np.random.default_rng(0))


def test_a_cars_own_look_is_used(tmp_path, chart):
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "mine.py").write_text(
        "from dingocar.sim.appearance import Appearance\nfrom dingocar.sim.look import Look\n"
        "look = Look(draw=lambda rng: Appearance(floor_r=200))\n"
    )
    use_car_folder(tmp_path)
    look = load_look("mine")
    assert isinstance(look, Look)
    painting = look.paint(chart, look.draw(np.random.default_rng(0)), np.random.default_rng(0))
    assert isinstance(painting, Painting)
    assert np.median(painting.ground[..., 0]) > 180
