"""Source only: trains on the simulated labels alone. What every other method is measured against."""

from __future__ import annotations

from dingocar.adapt._method import Method


class NoAdaptation(Method):
    """The method `none`; see the module."""

    needs_target = False
