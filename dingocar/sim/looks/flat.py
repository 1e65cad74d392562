"""Plain dark floor, white edge lines, a yellow dashed centre line, an evening sky."""

from __future__ import annotations

import numpy as np

from dingocar.sim.appearance import Appearance
from dingocar.sim.look import Look


def draw(_: np.random.Generator) -> Appearance:
    """Always the same: the defaults of an appearance."""
    return Appearance()


look = Look(draw)
