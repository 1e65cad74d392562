"""Starts from the weights of another pilot."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from dingocar.errors import TrainingError

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


def take_weights(model: keras.Model, source: Path | str) -> int:
    """Copies the weights of every layer that has the same name and shapes in the pilot `source`.

    Returns:
        How many layers were taken.

    Raises:
        PilotError: `source` is no pilot file.
        TrainingError: no layer fits.
    """
    from dingocar.zoo.artefact import load_network

    pilot, other, _ = load_network(source)
    theirs = {layer.name: layer for layer in other.layers if layer.weights}
    own = [layer for layer in model.layers if layer.weights]
    taken = 0
    for layer in own:
        found = theirs.get(layer.name)
        if found and [w.shape for w in found.weights] == [w.shape for w in layer.weights]:
            layer.set_weights(found.get_weights())
            taken += 1
    if not taken:
        raise TrainingError(
            f"{source}: none of its {len(theirs)} layers has the name and shape of one of the "
            f"{len(own)} to train; it is a {pilot.name!r}: train that pilot, or leave out the transfer"
        )
    logger.info("%s: took the weights of %d of %d layers", source, taken, len(own))
    return taken
