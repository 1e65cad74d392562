"""A network twice in one loss: as it learns, and held fixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def live_and_frozen(network: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """A network (or layer) as it learns, and the same one with its weights held fixed.

    Both share one read of each weight. TensorFlow's graph optimiser forgets that a variable has to be read
    before it is updated where the update does not depend on what was read: with a read of its own the frozen
    one would now and then see weights of a step later.

    Args:
        network: a Keras model or layer, built.

    Returns:
        Two functions of what the network takes, in training or not as the call around them is; gradients
        of the second reach its input, not the network. State that they would change (moments of a batch
        normalisation, say) is not kept.
    """
    from keras import ops

    weights = [ops.copy(weight) for weight in network.trainable_variables]
    others = [ops.copy(value) for value in network.non_trainable_variables]

    def applied(weights: Sequence[Any]) -> Callable[[Any], Any]:
        return lambda x: network.stateless_call(weights, others, x)[0]

    return applied(weights), applied([ops.stop_gradient(weight) for weight in weights])
