"""Multi-kernel MMD: the features' distributions of both domains are made alike in a kernel space.

Source: Long et al. 2015, "Learning Transferable Features with Deep Adaptation Networks", arXiv:1502.02791;
five Gaussian kernels whose widths are 1/4 to 4 times the mean squared distance (Gretton et al. 2012).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dingocar.adapt._method import Method, ScaledSettings
from dingocar.adapt._ops import both

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class MmdSettings(ScaledSettings):
    """Settings of mmd."""

    weight: float = 0.1


class Mmd(Method):
    """The method `mmd`; see the module."""

    settings_type = MmdSettings
    settings: MmdSettings

    def losses(self, source: Any, target: Any, layers: Mapping[str, Any], progress: Any) -> dict[str, Any]:
        """See `Method.losses`."""
        source, target = self.settings.scaled(source, target)
        return {"mmd": self.settings.strength(progress) * mmd(source, target)}


def mmd(source: Any, target: Any) -> Any:
    """The squared maximum mean discrepancy, summed over kernels, of features (S, F) and (T, F).

    The estimate with the diagonal, which is never negative. The kernels' widths follow the batch and are
    no way for the gradient.
    """
    from keras import ops

    x = both(source, target)
    squares = ops.sum(ops.square(x), axis=1)
    distance = squares[:, None] + squares - 2.0 * ops.matmul(x, ops.transpose(x))
    distance = ops.maximum(distance, 0.0)
    count = x.shape[0]
    scale = ops.stop_gradient(ops.sum(distance)) / (count * (count - 1)) + 1e-6
    kernel = sum(ops.exp(-distance / (width * scale)) for width in WIDTHS)
    n = source.shape[0]
    return ops.mean(kernel[:n, :n]) + ops.mean(kernel[n:, n:]) - 2.0 * ops.mean(kernel[:n, n:])
