"""Histogram matching: the pilot learns from simulated pictures in the colours of real ones.

Source: see `dingocar.translate.histogram`. The pilot that drives sees pictures as they are. The cheapest of
all translations, and what any other has to beat; a gap of more than colours stays open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dingocar.adapt._method import Method, MethodSettings
from dingocar.translate.histogram import HistogramMatcher, cumulated

if TYPE_CHECKING:
    from dingocar.adapt._method import Translation
    from dingocar.images import Uint8Array


@dataclass(frozen=True)
class HistogramSettings(MethodSettings):
    """Settings of histogram.

    Attributes:
        per: "picture": each picture gets the colours of a real one that is drawn by chance, every time
            another one; "domain": one curve for all, from all simulated to all real ones.
    """

    per: Literal["picture", "domain"] = "picture"


class Histogram(Method):
    """The method `histogram`; see the module. It has no losses on features."""

    settings_type = HistogramSettings
    settings: HistogramSettings
    target_in_batches = False

    @property
    def translates(self) -> bool:
        """See `Method.translates`."""
        return True

    def translation(self, source: Uint8Array, target: Uint8Array) -> Translation | None:
        """See `Method.translation`."""
        matcher = HistogramMatcher.of(target)
        if self.settings.per == "picture":
            return matcher.each
        have = cumulated(source)
        return lambda images, rng: matcher.together(images, have)
