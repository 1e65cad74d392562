"""Pieces that several methods share, in `keras.ops`."""

from __future__ import annotations

from typing import Any


def reverse_gradient(x: Any, strength: Any) -> Any:
    """`x` forwards, and -`strength` times the gradient backwards (arXiv:1505.07818, section 3.2).

    The added zero has the gradient; no backend's own gradient rules are needed.
    """
    from keras import ops

    still = ops.stop_gradient(x)
    return still + strength * (still - x)


def is_sim(source: Any, target: Any) -> Any:
    """The domain of the rows of `both`: float32 (S + T,), 1 for simulated."""
    from keras import ops

    return ops.concatenate([ops.ones_like(source[:, 0]), ops.zeros_like(target[:, 0])])


def both(source: Any, target: Any) -> Any:
    """The features of both domains, (S + T, F)."""
    from keras import ops

    return ops.concatenate([source, target])


def standardised(source: Any, target: Any) -> tuple[Any, Any]:
    """The features with mean 0 over both domains, and a mean variance of 1 within them.

    Shrinking all features would otherwise be the cheapest way to make any distance small. The gradient must
    know that it is none, so it goes through the divisor: with a stopped one the features shrink to nothing.
    All features have the same divisor, so that one which tells the domains apart may fade beside the others.
    """
    from keras import ops

    middle = ops.mean(both(source, target), axis=0)
    variance = 0.5 * (ops.mean(ops.var(source, axis=0)) + ops.mean(ops.var(target, axis=0)))
    spread = ops.sqrt(variance + 1e-6)
    return (source - middle) / spread, (target - middle) / spread


def cross_entropy(logits: Any, truth: Any) -> Any:
    """The mean cross-entropy of logits (B,) with probabilities `truth`; sure logits have a slope too."""
    from keras import ops

    return ops.mean(ops.softplus(logits) - truth * logits)
