"""AdaBN: after training on simulated labels, real pictures get the moments of simulated ones in every layer.

Source: Li et al. 2016, "Revisiting Batch Normalization for Practical Domain Adaptation", arXiv:1603.04779.
There a batch normalisation layer gets the target's mean and variance. Here each convolution, dense and batch
normalisation layer up to the features is scaled and shifted, from the first to the last, so that every
channel has the same mean and variance on the target as it had on the source. Behind a batch normalisation
that comes to the same, and it works for pilots that have none. It is folded into the weights: the network
drives no slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dingocar.adapt._method import Method
from dingocar.errors import TrainingError

if TYPE_CHECKING:
    import keras

    from dingocar.images import Uint8Array

_BATCH = 64
#: Of a layer's mean variance: channels that hardly vary are not blown up.
_LEAST = 1e-4


class AdaBn(Method):
    """The method `adabn`; see the module. It has no losses: the pilot is trained on the source alone."""

    target_in_batches = False

    def finish(self, network: keras.Model, source: Uint8Array, target: Uint8Array) -> None:
        """See `Method.finish`.

        Raises:
            TrainingError: the network has no layer that could be adapted.
        """
        layers = _layers_before_features(network)
        if not layers:
            raise TrainingError(
                f"adabn: network {network.name}: expected a convolution, dense or batch normalisation layer "
                "with a bias up to the layer 'features', found none; choose another method"
            )
        wanted = _moments(network, layers, source)
        # In order: what a layer gets depends on those before it, which are adapted by then.
        for layer, (mean, variance) in zip(layers, wanted, strict=True):
            ((has_mean, has_variance),) = _moments(network, [layer], target)
            least = _LEAST * variance.mean() + 1e-12
            gain = np.sqrt((variance + least) / (has_variance + least))
            scale, shift, *others = layer.get_weights()
            layer.set_weights([scale * gain, (shift - has_mean) * gain + mean, *others])


def _layers_before_features(network: keras.Model) -> list[Any]:
    """The layers up to the features, in order, whose first weights are each channel's scale and shift."""
    from keras import layers

    names = [layer.name for layer in network.layers]
    return [
        layer
        for layer in network.layers[: names.index("features") + 1]
        if (isinstance(layer, layers.Conv2D | layers.Dense) and layer.use_bias)
        or (isinstance(layer, layers.BatchNormalization) and layer.scale and layer.center)
    ]


def _moments(network: keras.Model, layers: list[Any], images: Uint8Array) -> list[tuple[Any, Any]]:
    """The mean and the variance of each channel of layers, before their activation, (C,) each."""
    import keras
    from keras import ops

    view = keras.Model(network.input, {layer.name: _before_activation(layer) for layer in layers})
    sums: dict[str, Any] = dict.fromkeys(view.output, 0.0)
    counts = dict.fromkeys(view.output, 0)
    for start in range(0, len(images), _BATCH):
        for name, output in view(images[start : start + _BATCH], training=False).items():
            y = ops.convert_to_numpy(output)
            y = y.reshape(-1, y.shape[-1])
            sums[name] = sums[name] + np.stack([x.sum(axis=0, dtype=np.float64) for x in (y, np.square(y))])
            counts[name] += len(y)
    means = [sums[layer.name] / counts[layer.name] for layer in layers]
    return [(mean, np.maximum(square - mean**2, 0.0)) for mean, square in means]


def _before_activation(layer: Any) -> Any:
    """What comes out of a layer without its activation, as a tensor of the network."""
    if not hasattr(layer, "activation"):
        return layer.output
    config = layer.get_config() | {"activation": "linear", "name": f"{layer.name}_bare"}
    bare = type(layer).from_config(config)
    output = bare(layer.input)
    bare.set_weights(layer.get_weights())
    return output
