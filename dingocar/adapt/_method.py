"""What every method is: which pictures it trains on, and its losses on their features.

A method's file must not import keras at its top, so that listing methods and reading their settings stay
quick; its functions may.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dingocar.adapt._ops import standardised
from dingocar.entry import Entry
from dingocar.errors import TrainingError

if TYPE_CHECKING:
    import keras
    import numpy as np

    from dingocar.images import Uint8Array

    #: Pictures uint8 (N, H, W, 3) to others of that shape; the generator draws.
    Translation = Callable[[Uint8Array, np.random.Generator], Uint8Array]


@dataclasses.dataclass(frozen=True)
class MethodSettings:
    """A method's settings: a frozen subclass, all with defaults. A method without losses needs none."""

    #: The least and the greatest value of each number.
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise TrainingError(
                    f"method setting {name}: expected a number from {low:g} to {high:g}, got {value:g}"
                )


@dataclasses.dataclass(frozen=True)
class LossSettings(MethodSettings):
    """Settings every method with losses has.

    Attributes:
        weight: of the losses that change the features, beside the pilot's own, >= 0.
        warmup: share of the training over which that weight rises from 0, in [0, 1]. The pilot first has
            features that are worth aligning.
        match_colours: learn from simulated pictures in the colours of real ones, see `histogram`.
    """

    weight: float = 1.0
    warmup: float = 0.2
    match_colours: bool = False

    ranges = MethodSettings.ranges | {"weight": (0, 1e6), "warmup": (0, 1)}

    def strength(self, progress: Any) -> Any:
        """The weight at this time of the training, from 0 to 1: it rises linearly over the warm-up."""
        from keras import ops

        if not self.warmup:
            return self.weight
        return self.weight * ops.minimum(1.0, progress / self.warmup)


@dataclasses.dataclass(frozen=True)
class ScaledSettings(LossSettings):
    """Settings of methods that compare features whatever their scale.

    Attributes:
        normalise: give the features one scale first, see `dingocar.adapt._ops.standardised`.
    """

    normalise: bool = True

    def scaled(self, source: Any, target: Any) -> tuple[Any, Any]:
        """The features of both domains as they are to be compared."""
        return standardised(source, target) if self.normalise else (source, target)


class Method(Entry):
    """A way to train a pilot for another domain.

    Attributes:
        needs_target: whether it uses pictures of the target domain (`real`), labelled or not.
        needs_target_labels: whether some of them must have labels.
        target_in_batches: whether they are trained on; False: they are for `translation` and `finish` alone.
    """

    kind = "method"
    settings_type: ClassVar[type[MethodSettings]] = MethodSettings
    error = TrainingError
    settings: MethodSettings
    needs_target: ClassVar[bool] = True
    needs_target_labels: ClassVar[bool] = False
    target_in_batches: ClassVar[bool] = True

    @property
    def trains_on_target(self) -> bool:
        """Whether batches hold pictures of both domains."""
        return self.needs_target and self.target_in_batches

    @property
    def translates(self) -> bool:
        """Whether it has a `translation`, so that nothing is read for one otherwise."""
        return isinstance(self.settings, LossSettings) and self.settings.match_colours

    def translation(self, source: Uint8Array, target: Uint8Array) -> Translation | None:
        """What each simulated picture goes through, anew every time, before the pilot learns from it.

        Args:
            source, target: pictures of both domains that are trained on, uint8 (N, H, W, 3).

        Returns:
            None: nothing.
        """
        if not self.translates:
            return None
        from dingocar.translate.histogram import HistogramMatcher

        return HistogramMatcher.of(target).each

    def layers(self, width: int) -> dict[str, keras.Layer]:
        """Makes the layers that the losses need, for features of this width; trained with the pilot."""
        return {}

    def losses(self, source: Any, target: Any, layers: Mapping[str, Any], progress: Any) -> dict[str, Any]:
        """The losses of a batch, each to be added to the pilot's, in `keras.ops`.

        Args:
            source: features of simulated pictures, float32 (S, F).
            target: features of real pictures, float32 (T, F).
            layers: what `layers` made, built.
            progress: how far the training is, a scalar from 0 to 1.

        Returns:
            {name: scalar}, weighted.
        """
        return {}

    def said_sim(self, source: Any, target: Any, layers: Mapping[str, Any]) -> Any | None:
        """What its classifier says of both, (S + T,) in [0, 1], 1 for simulated; None: it has none."""
        return None

    def finish(self, network: keras.Model, source: Uint8Array, target: Uint8Array) -> None:
        """Changes the trained network in place, once, given uint8 (N, H, W, 3) pictures of both domains."""
