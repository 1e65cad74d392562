"""The zoo: pilots (image to steering and throttle), their files, and what runs them.

Importing this package loads no keras: a Raspberry Pi that drives a `.tflite` needs numpy and LiteRT alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingocar.lazy import lazily
from dingocar.registry import Registry
from dingocar.zoo.pilot import Pilot, PilotSettings

if TYPE_CHECKING:
    from dingocar.zoo.artefact import load_pilot, read_card, save_pilot
    from dingocar.zoo.runnable import RunnablePilot

__all__ = [
    "Pilot",
    "PilotSettings",
    "RunnablePilot",
    "load_pilot",
    "pilots",
    "read_card",
    "save_pilot",
]

#: Every pilot, by name; a car folder's `pilots/*.py` join in.
pilots = Registry(
    "pilot",
    "dingocar.zoo",
    entry=Pilot,
    in_car=True,
    hidden=("pilot", "artefact", "interpreter", "foreign", "runnable"),
)

__getattr__ = lazily(
    __name__,
    {
        "RunnablePilot": "dingocar.zoo.runnable",
        "load_pilot": "dingocar.zoo.artefact",
        "read_card": "dingocar.zoo.artefact",
        "save_pilot": "dingocar.zoo.artefact",
    },
)
