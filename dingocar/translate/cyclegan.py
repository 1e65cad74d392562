"""CycleGAN: a generator for each direction; there and back again must give the same picture.

Source: Zhu, Park, Isola and Efros 2017, arXiv:1703.10593. Least-squares adversarial losses, the cycle's L1,
the identity's L1 at half its weight, a history of 50 pictures for the discriminators, instance norm, Adam at
2e-4 with beta_1 0.5. Other than published: pixels are doubled instead of transposed convolutions, no
mirror images, as the lines left and right of a road differ, and by default half the filters and a third of
the residual blocks, for small pictures and a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dingocar.errors import PilotError, TranslatorError
from dingocar.translate._adversarial import adversarial
from dingocar.translate._method import REAL, SIM, GanSettings, Translator
from dingocar.zoo.pilot import STEERING


@dataclass(frozen=True)
class CycleGanSettings(GanSettings):
    """Settings of cyclegan.

    Attributes:
        cycle_weight: of the difference after going there and back.
        identity_weight: of the difference of a picture that is already of the wanted domain, as a share of
            `cycle_weight`. Without it colours may be inverted early in the training and stay so.
        pool_size: earlier pictures that the discriminators still see.
        pilot: a `.keras` pilot of simulated pictures that is to steer by a simulated picture that went to
            real and back as by the picture itself; empty: none. After the semantic consistency of CyCADA,
            arXiv:1711.03213, equation 4, which asks the pilot about pictures that look real, too. What it
            steers by those is wrong: genuine ones would keep that, and translated ones show it a sign of
            their own, which pilots that learn from them then follow.
        steering_weight: of the mean absolute difference of its steering.
    """

    cycle_weight: float = 10.0
    identity_weight: float = 0.5
    pool_size: int = 50
    pilot: str = ""
    steering_weight: float = 10.0

    ranges: ClassVar[dict[str, tuple[float, float]]] = GanSettings.ranges | {
        "cycle_weight": (0, 1e6),
        "identity_weight": (0, 1e6),
        "pool_size": (0, 10_000),
        "steering_weight": (0, 1e6),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pilot and self.steering_weight != CycleGanSettings.steering_weight:
            raise TranslatorError(
                "translator setting steering_weight: needs a pilot, whose steering it weighs"
            )


class CycleGan(Translator):
    """The translator `cyclegan`; see the module."""

    settings_type = CycleGanSettings
    settings: CycleGanSettings

    def networks(self) -> dict[str, Any]:
        """See `Translator.networks`."""
        from dingocar.translate._networks import Pool, discriminator, generator

        settings = self.settings
        made: dict[str, Any] = {}
        if settings.pilot:
            made["steering"] = _steering(Path(settings.pilot), settings.image_shape)
        for domain in (REAL, SIM):
            made[f"to_{domain}"] = generator(settings, f"to_{domain}_generator")
            made[f"critic_{domain}"] = discriminator(settings, f"{domain}_discriminator")
            made[f"pool_{domain}"] = Pool(settings.image_shape, settings.pool_size, name=f"{domain}_pool")
        return made

    def losses(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.losses`."""
        from keras import ops

        from dingocar.translate._game import mean_absolute

        given, other = {SIM: sim, REAL: real}, {SIM: REAL, REAL: SIM}
        made, same = {}, {}
        for domain in given:
            # Both in one call: each picture is normalised by itself.
            both = networks[f"to_{domain}"](ops.concatenate([given[other[domain]], given[domain]]))
            made[domain], same[domain] = ops.split(both, 2)
        cycle = self.settings.cycle_weight
        identity = cycle * self.settings.identity_weight
        losses: dict[str, Any] = {}
        for domain, picture in given.items():
            back = networks[f"to_{domain}"](made[other[domain]])
            losses[f"cycle_{domain}"] = cycle * mean_absolute(back, picture)
            losses[f"identity_{domain}"] = identity * mean_absolute(same[domain], picture)
            losses |= adversarial(networks, domain, picture, made[domain])
            if domain == SIM and "steering" in networks:
                # Its dropout stays off while the translator learns.
                pair = networks["steering"](ops.concatenate([picture, back]), training=False)
                before, after = ops.split(pair, 2)
                difference = mean_absolute(after, ops.stop_gradient(before))
                losses["steering"] = self.settings.steering_weight * difference
        return losses

    def outputs(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.outputs`."""
        return {"to_real": networks["to_real"](sim), "to_sim": networks["to_sim"](real)}


def _steering(path: Path, image_shape: tuple[int, int, int]) -> Any:
    """What a pilot steers, (B, 1), for pictures in [-1, 1]; its weights are held fixed.

    Raises:
        TranslatorError: no such pilot, or one of another picture or without a head of that name.
    """
    from keras import Input, Model, layers

    from dingocar.zoo.artefact import load_network
    from dingocar.zoo.runnable import looks_of

    try:
        pilot, network, card = load_network(path)
    except PilotError as error:
        raise TranslatorError(f"translator setting pilot: {error}") from None
    if looks_of(card) == {REAL}:
        raise TranslatorError(
            f"translator setting pilot: {path} has learned from real pictures alone; name one of simulated "
            "pictures"
        )
    names = {layer.name for layer in network.layers}
    if not {"normalise", STEERING} <= names or tuple(network.input_shape[1:]) != tuple(image_shape):
        raise TranslatorError(
            f"translator setting pilot: expected one that takes pictures {image_shape} and has a layer "
            f"'normalise' and a head {STEERING!r}, got {path}, a {pilot.name} of {network.input_shape[1:]}"
        )
    if tuple(network.output[STEERING].shape) != (None, 1):
        raise TranslatorError(
            f"translator setting pilot: expected one that steers by one number, got {path}, a {pilot.name} "
            f"of {network.output[STEERING].shape[-1]}; name a linear one"
        )
    # From the first layer of floats on: no gradient reaches a picture of bytes.
    driver = Model(network.get_layer("normalise").output, network.output[STEERING])
    driver.trainable = False
    picture = Input(image_shape, name="picture")
    return Model(picture, driver(layers.Rescaling(0.5, 0.5)(picture)), name="steering")
