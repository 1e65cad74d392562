"""Looks: named ways a world can look, one file each, and what they paint.

A look is one file in `sim/looks` (or in a car's `looks/`) that defines `look = Look(draw=...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dingocar.errors import DingocarError
from dingocar.images import check_image
from dingocar.registry import Registry
from dingocar.sim.appearance import Appearance
from dingocar.sim.chart import Chart
from dingocar.sim.painter import SKY_TOP_RAD, Painting, paint
from dingocar.usercode import calling

__all__ = ["SKY_TOP_RAD", "Look", "Painting", "load_look", "looks"]

#: All looks that can be asked for by name.
looks = Registry("look", "dingocar.sim.looks", entry="look", in_car=True)


@dataclass(frozen=True)
class Look:
    """One way a world can look.

    Attributes:
        draw: draws the appearance of an episode; all chance comes from the generator.
        paint: paints it on a chart.
    """

    draw: Callable[[np.random.Generator], Appearance]
    paint: Callable[[Chart, Appearance, np.random.Generator], Painting] = paint


def load_look(name: str) -> Look:
    """Finds a look by its name. What it draws and paints is checked as it comes.

    Raises:
        UnknownNameError: there is no such look.
        DingocarError: its file does not define a `Look`.
    """
    look = looks.load(name)
    if not isinstance(look, Look) or not callable(look.draw) or not callable(look.paint):
        raise DingocarError(
            f"look {name}: its file must define look = Look(draw=a function), got {str(look)[:60]}"
        )
    file = looks.files()[name]

    def draw(rng: np.random.Generator) -> Appearance:
        with calling(file):
            appearance: object = look.draw(rng)
        if not isinstance(appearance, Appearance):
            raise DingocarError(
                f"look {name}: draw() must return an Appearance, got {type(appearance).__name__}"
            )
        return appearance

    def checked_paint(chart: Chart, appearance: Appearance, rng: np.random.Generator) -> Painting:
        with calling(file):
            painting: object = look.paint(chart, appearance, rng)
        if not isinstance(painting, Painting):
            raise DingocarError(f"look {name}: paint() must return a Painting, got {type(painting).__name__}")
        check_image(painting.ground, f"look {name}: ground")
        check_image(painting.sky, f"look {name}: sky")
        if painting.ground.shape[:2] != chart.shape:
            raise DingocarError(
                f"look {name}: the ground must be of the chart's shape {chart.shape}, got "
                f"{painting.ground.shape[:2]}"
            )
        return painting

    return Look(draw, checked_paint)
