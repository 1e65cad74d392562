"""Names of a package that are imported when they are asked for, as what they need takes seconds to load."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` (PEP 562) of the package `package`.

    Args:
        package: its dotted name.
        homes: a name to the module that has it.

    >>> find = lazily("dingocar", {"Entry": "dingocar.entry"})
    >>> find("Entry").__module__
    'dingocar.entry'
    """

    def find(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
