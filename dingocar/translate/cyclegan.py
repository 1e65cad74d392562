"""CycleGAN: a generator for each direction; there and back again must give the same picture.

Source: Zhu, Park, Isola and Efros 2017, arXiv:1703.10593. Least-squares adversarial losses, the cycle's L1,
the identity's L1 at half its weight, a history of 50 pictures for the discriminators, instance norm, Adam at
2e-4 with beta_1 0.5. Other than published: pixels are doubled instead of transposed convolutions, and no
mirror images, as the lines left and right of a road differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dingocar.translate._adversarial import adversarial
from dingocar.translate._method import REAL, SIM, GanSettings, Translator


@dataclass(frozen=True)
class CycleGanSettings(GanSettings):
    """Settings of cyclegan.

    Attributes:
        cycle_weight: of the difference after going there and back.
        identity_weight: of the difference of a picture that is already of the wanted domain, as a share of
            `cycle_weight`. Without it colours may be inverted early in the training and stay so.
        pool_size: earlier pictures that the discriminators still see.
    """

    cycle_weight: float = 10.0
    identity_weight: float = 0.5
    pool_size: int = 50

    ranges: ClassVar[dict[str, tuple[float, float]]] = GanSettings.ranges | {
        "cycle_weight": (0, 1e6),
        "identity_weight": (0, 1e6),
        "pool_size": (0, 10_000),
    }


class CycleGan(Translator):
    """The translator `cyclegan`; see the module."""

    settings_type = CycleGanSettings
    settings: CycleGanSettings

    def networks(self) -> dict[str, Any]:
        """See `Translator.networks`."""
        from dingocar.translate._networks import Pool, discriminator, generator

        settings, made = self.settings, {}
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
        return losses

    def outputs(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.outputs`."""
        return {"to_real": networks["to_real"](sim), "to_sim": networks["to_sim"](real)}
