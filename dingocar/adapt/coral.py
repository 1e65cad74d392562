"""Deep CORAL: the features' covariances of both domains are made alike.

Source: Sun and Saenko 2016, arXiv:1607.01719, equations 1 to 3. The means are not part of it; with `means`
they are aligned too, by their mean squared difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dingocar.adapt._method import Method, ScaledSettings


@dataclass(frozen=True)
class CoralSettings(ScaledSettings):
    """Settings of coral.

    Attributes:
        means: also align the means.
    """

    weight: float = 1.0
    means: bool = True


class Coral(Method):
    """The method `coral`; see the module."""

    settings_type = CoralSettings
    settings: CoralSettings

    def losses(self, source: Any, target: Any, layers: Mapping[str, Any], progress: Any) -> dict[str, Any]:
        """See `Method.losses`."""
        from keras import ops

        source, target = self.settings.scaled(source, target)
        distance = coral(source, target)
        if self.settings.means:
            shift = ops.mean(source, axis=0) - ops.mean(target, axis=0)
            distance = distance + ops.mean(ops.square(shift))
        return {"coral": self.settings.strength(progress) * distance}


def coral(source: Any, target: Any) -> Any:
    """||C_S - C_T||^2 / (4 d^2), a scalar, of features (S, d) and (T, d)."""
    from keras import ops

    width = source.shape[-1]
    return ops.sum(ops.square(_covariance(source) - _covariance(target))) / (4.0 * width**2)


def _covariance(x: Any) -> Any:
    from keras import ops

    x = x - ops.mean(x, axis=0)
    return ops.matmul(ops.transpose(x), x) / (x.shape[0] - 1)
