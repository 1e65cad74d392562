"""Simulated and real labels together, half of each batch each, with no domain loss."""

from __future__ import annotations

from dingocar.adapt._method import Method


class Mix(Method):
    """The method `mix`; see the module."""

    needs_target_labels = True
