"""DARE-GRAM: the inverse Gram matrices of the features, which decide a linear head, are made alike.

Source: Nejjar, Wang and Fink 2023, "DARE-GRAM: Unsupervised Domain Adaptation Regression by Aligning Inverse
Gram Matrices", arXiv:2303.13325, equations 5 to 9. Made for regression: aligning the features themselves
changes their scale, which a classifier does not mind and a steering angle does.

The published weights, 0.05 for the angles and 0.001 for the scale, go with means over columns and leading
eigenvalues, and with Gram matrices summed over batches of 36 pictures. Here these are means over the batch,
so that its size does not matter; hence the larger weight of the scale. `weight` multiplies both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dingocar.adapt._method import LossSettings, Method

#: Eigenvalues below this share of the largest are rounding errors.
_RANK = 1e-6


@dataclass(frozen=True)
class DareGramSettings(LossSettings):
    """Settings of dare_gram.

    Attributes:
        angle: weight of the angles between the columns of the inverse Gram matrices.
        scale: weight of the difference of the leading eigenvalues.
        share: of the eigenvalues' sum that the leading ones make up.
    """

    angle: float = 0.05
    scale: float = 0.036
    share: float = 0.9

    ranges = LossSettings.ranges | {"angle": (0, 1e6), "scale": (0, 1e6), "share": (0.01, 1)}


class DareGram(Method):
    """The method `dare_gram`; see the module."""

    settings_type = DareGramSettings
    settings: DareGramSettings

    def losses(self, source: Any, target: Any, layers: Mapping[str, Any], progress: Any) -> dict[str, Any]:
        """See `Method.losses`."""
        s, strength = self.settings, self.settings.strength(progress)
        angle, scale = dare_gram(source, target, s.share)
        return {"angle": strength * s.angle * angle, "scale": strength * s.scale * scale}


def dare_gram(source: Any, target: Any, share: float = 0.9) -> tuple[Any, Any]:
    """The two distances of features (S, F) and (T, F): of the inverse Gram matrices' angles, and of scale.

    Returns:
        The mean of 1 - cosine over the columns, and the length of the difference of the leading eigenvalues
        divided by their number. Leading are as many as make up the `share` in both domains.
    """
    from keras import ops

    grams = [_gram(source), _gram(target)]
    spectra = [ops.eigh(ops.stop_gradient(gram)) for gram in grams]
    leading = ops.maximum(*(_leading(values, share) for values, _ in spectra))
    one, other = (
        _inverse(gram, values, vectors, leading)
        for gram, (values, vectors) in zip(grams, spectra, strict=True)
    )
    cosine = ops.sum(one * other, axis=0) / (_length(one) * _length(other))
    # An eigenvalue's derivative: v' dG v.
    scales = [
        ops.sum(vectors * ops.matmul(gram, vectors), axis=0)
        for gram, (_, vectors) in zip(grams, spectra, strict=True)
    ]
    distance = _length((scales[0] - scales[1]) * leading) / ops.sum(leading)
    return ops.mean(1.0 - cosine), distance


def _inverse(gram: Any, values: Any, vectors: Any, leading: Any) -> Any:
    """The pseudo-inverse of the leading eigenvalues, with its derivative.

    Backends have the derivative of `eigh`, but it divides by the differences of all eigenvalues, and those of
    features that are never on are equal. Only differences between leading ones and others are needed: a
    matrix function's derivative is, in the eigenvectors, its divided differences (Daleckii and Krein 1965).
    """
    from keras import ops

    largest = ops.max(values)
    inverse = leading / ops.maximum(values, _RANK * largest)
    gap = ops.maximum(ops.abs(values[:, None] - values), 1e-3 * largest)
    # Of 1 / value between two leading ones; between a leading one and another, whose inverse is 0.
    crosses = leading[:, None] != leading
    slope = ops.where(crosses, (inverse[:, None] + inverse) / gap, -inverse[:, None] * inverse)
    change = gram - ops.stop_gradient(gram)
    inside = slope * ops.matmul(ops.matmul(ops.transpose(vectors), change), vectors)
    return ops.matmul(ops.matmul(vectors, ops.diag(inverse) + inside), ops.transpose(vectors))


def _length(x: Any) -> Any:
    """Of the columns; the square root has no slope at 0, where a feature that is never on leads."""
    from keras import ops

    return ops.sqrt(ops.sum(ops.square(x), axis=0) + 1e-12)


def _gram(x: Any) -> Any:
    """Z^T Z / N of N features with a column of ones, (F + 1, F + 1)."""
    from keras import ops

    z = ops.concatenate([ops.ones_like(x[:, :1]), x], axis=1)
    return ops.matmul(ops.transpose(z), z) / x.shape[0]


def _leading(values: Any, share: float) -> Any:
    """1 for the largest eigenvalues that make up the share of the sum, else 0; `values` ascend."""
    from keras import ops

    above = ops.flip(ops.cumsum(ops.flip(values, axis=0)), axis=0) - values  # the sum of those larger
    enough = ops.logical_and(above < share * ops.sum(values), values > _RANK * ops.max(values))
    return ops.cast(enough, values.dtype)
