"""Style transfer in one pass: what a picture shows, with the moments of the other domain's features.

Source: Huang and Belongie 2017, arXiv:1703.06868 (AdaIN): an encoder that is not trained by it, its last map
with the moments of another picture's, and a decoder; content and style loss, style at 10 times the content.
The encoder is VGG19 to conv4_1 as published, or one of our own that is trained beside as an autoencoder of
both domains, so that nothing must be downloaded; then the losses are relative to the features' size, which is
free. The finished translator takes the mean moments of up to 256 pictures of the other domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from dingocar.images import Uint8Array
from dingocar.translate._method import REAL, SIM, LearnedSettings, Translator, check_halvings
from dingocar.translate.sheets import some

#: Most pictures of a domain that its moments are taken of.
_PICTURES = 256


@dataclass(frozen=True)
class StyleSettings(LearnedSettings):
    """Settings of style.

    Attributes:
        extractor: "own", or "vgg19", whose weights are downloaded.
        filters: of our own encoder's first convolution; each downsampling doubles them.
        downsamplings: of our own encoder.
        style_weight: of the moments' difference, beside the content's.
        reconstruction_weight: of our own encoder's L1 difference of a picture and its decoding.
    """

    batch_size: int = 4
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    extractor: Literal["own", "vgg19"] = "own"
    filters: int = 32
    downsamplings: int = 2
    style_weight: float = 10.0
    reconstruction_weight: float = 10.0

    ranges: ClassVar[dict[str, tuple[float, float]]] = LearnedSettings.ranges | {
        "filters": (1, 256),
        "downsamplings": (1, 5),
        "style_weight": (0, 1e6),
        "reconstruction_weight": (0, 1e6),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.extractor == "own":
            check_halvings(self, "downsamplings", "codes")


class Style(Translator):
    """The translator `style`; see the module."""

    settings_type = StyleSettings
    settings: StyleSettings

    def networks(self) -> dict[str, Any]:
        """See `Translator.networks`."""
        import keras

        from dingocar.translate._extractor import VGG_STYLE, decoder, own_encoder, vgg19

        settings, shape = self.settings, self.settings.image_shape
        if settings.extractor == "own":
            encoder = own_encoder(shape, settings.filters, settings.downsamplings)
        else:
            encoder = vgg19(shape, VGG_STYLE[:4])
        made = {"encoder": encoder, "decoder": decoder(encoder.outputs, shape)}
        for domain in (SIM, REAL):
            moved = keras.layers.GroupNormalization(-1, epsilon=1e-5, name=f"{domain}_moments")
            moved.build(encoder.outputs[-1].shape)
            moved.trainable = False  # `settle` sets it
            made[f"moments_{domain}"] = moved
        return made

    def losses(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.losses`."""
        from keras import ops

        from dingocar.training.frozen import live_and_frozen
        from dingocar.translate._extractor import moments
        from dingocar.translate._game import mean_absolute

        settings, decoder = self.settings, networks["decoder"]
        encoder, frozen = live_and_frozen(networks["encoder"])
        given = ops.concatenate([sim, real])
        own = settings.extractor == "own"
        losses: dict[str, Any] = {}
        if own:
            again = decoder(encoder(given)[-1])
            losses["reconstruction"] = settings.reconstruction_weight * mean_absolute(again, given)
        maps = frozen(given)
        # Each picture gets the moments of one of the other domain.
        styles = [ops.concatenate(ops.split(each, 2)[::-1]) for each in maps]
        wanted = [moments(each) for each in styles]
        mean, deviation = moments(maps[-1])
        target = (maps[-1] - mean) / deviation * wanted[-1][1] + wanted[-1][0]
        found = frozen(decoder(ops.stop_gradient(target)))

        def apart(ours: Any, theirs: Any) -> Any:
            theirs = ops.stop_gradient(theirs)
            size = ops.mean(ops.square(theirs)) + 1e-6 if own else 1.0
            return ops.mean(ops.square(ours - theirs)) / size

        losses["content"] = apart(found[-1], target)
        style = sum(
            apart(ours, theirs)
            for each, pair in zip(found, wanted, strict=True)
            for ours, theirs in zip(moments(each), pair, strict=True)
        )
        losses["style"] = settings.style_weight * style
        return losses

    def settle(self, networks: Mapping[str, Any], sim: Uint8Array, real: Uint8Array) -> None:
        """See `Translator.settle`: takes the mean moments of each domain."""
        from keras import ops

        from dingocar.translate._extractor import moments

        for domain, images in ((SIM, sim), (REAL, real)):
            found: list[list[Any]] = [[], []]
            for image in some(images, _PICTURES):
                last = networks["encoder"](image[np.newaxis].astype(np.float32) / 127.5 - 1.0)[-1]
                for values, each in zip(found, moments(last), strict=True):
                    values.append(ops.convert_to_numpy(each).reshape(-1))
            means, deviations = (np.mean(values, axis=0) for values in found)
            networks[f"moments_{domain}"].set_weights([deviations, means])

    def outputs(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.outputs`."""

        def moved(picture: Any, domain: str) -> Any:
            return networks["decoder"](networks[f"moments_{domain}"](networks["encoder"](picture)[-1]))

        return {"to_real": moved(sim, REAL), "to_sim": moved(real, SIM)}
