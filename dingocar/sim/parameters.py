"""The parameters of a randomisation: what each is, its bounds and its unit."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from dingocar.sim.appearance import Appearance
from dingocar.sim.physics import Physics
from dingocar.sim.randomisation import BOUNDS, CHOICES

#: The unit that the end of a name stands for.
_UNITS = {"m": "m", "rad": "rad", "s": "s", "px": "px", "mps2": "m/s2"}


@dataclass(frozen=True)
class Parameter:
    """What may be drawn.

    Attributes:
        of: `appearance` or `physics`.
        low, high: least and greatest value; None where there is a choice.
        choices: the values of a parameter that is no number.
        unit: of its value; empty: none.
        meaning: what it is.
    """

    of: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    unit: str
    meaning: str

    @property
    def within(self) -> str:
        """What its value may be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return f"{self.low:.4g} to {self.high:.4g} {self.unit}".strip()


def parameters() -> dict[str, Parameter]:
    """All parameters by their names, those of the appearance first.

    >>> parameters()["blur_px"].within
    '0 to 3 px'
    """
    found = {}
    for kind in (Appearance, Physics):
        for name, meaning in _meanings(kind).items():
            low, high = BOUNDS.get(name, (None, None))
            unit = _UNITS.get(name.rpartition("_")[2], "")
            found[name] = Parameter(kind.__name__.lower(), low, high, CHOICES.get(name, ()), unit, meaning)
    return found


def _meanings(kind: type) -> dict[str, str]:
    """What a dataclass's docstring says of each attribute, in the order of its fields."""
    told: dict[str, str] = {}
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n {6,}.*)*)", inspect.getdoc(kind) or "", re.MULTILINE)
    for names, text in entries:
        told |= dict.fromkeys(names.split(", "), " ".join(text.split()).rstrip("."))
    return {name: told.get(name, "") for name in inspect.get_annotations(kind)}
