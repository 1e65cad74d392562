"""The parameters of a look: names, bounds, mistakes."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from dingocar.errors import UnknownNameError, UsageError
from dingocar.sim.appearance import APPEARANCE_BOUNDS, BACKDROPS, FLOORS, Appearance


def test_every_number_has_bounds_and_its_default_is_within():
    numbers = {field.name for field in fields(Appearance)} - {"floor", "backdrop"}
    assert numbers == set(APPEARANCE_BOUNDS)
    default = Appearance()
    for name, (low, high) in APPEARANCE_BOUNDS.items():
        assert low <= getattr(default, name) <= high
        assert low < high


@pytest.mark.parametrize("name", APPEARANCE_BOUNDS)
def test_what_is_out_of_bounds_is_refused_by_name(name):
    low, high = APPEARANCE_BOUNDS[name]
    for value in (low, high):
        assert getattr(Appearance(**{name: value}), name) == value
    for value in (low - 0.01, high + 0.01, float("nan"), "1"):
        with pytest.raises(UsageError, match=f"Appearance: {name} must be between"):
            Appearance(**{name: value})


def test_unknown_materials_get_a_suggestion():
    for known in FLOORS:
        Appearance(floor=known)
    for known in BACKDROPS:
        Appearance(backdrop=known)
    with pytest.raises(UnknownNameError, match="unknown floor 'carpt'; did you mean 'carpet'"):
        Appearance(floor="carpt")
    with pytest.raises(UnknownNameError, match="unknown backdrop"):
        Appearance(backdrop="skyy")


def test_changes_are_clipped_and_misspelt_ones_refused():
    changed = Appearance().with_(light=9, noise=-1, floor="wood", floor_r=np.float64(12))
    assert (changed.light, changed.noise, changed.floor, changed.floor_r) == (2.5, 0.0, "wood", 12.0)
    assert Appearance().light == 1.0
    with pytest.raises(UnknownNameError, match="did you mean 'light'"):
        Appearance().with_(lihgt=1)
