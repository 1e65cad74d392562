"""UNIT: two autoencoders that share the innermost part, so that both domains have one space of codes.

Source: Liu, Breuel and Kautz, NIPS 2017, arXiv:1703.00848, in its first form: the encoders' last and the
decoders' first residual block are the same layers; a code has noise of deviation 1 on it and the penalty
mean(mu^2); weights as published (adversarial 10, reconstruction and cycle 100, penalties 0.1), Adam at 1e-4
with beta_1 0.5. It is not the later "improved UNIT", which has neither noise nor penalty. Other than
published: the adversarial game is one of least squares, the discriminator's side at 0.5; networks are those
of `cyclegan`, with doubled pixels for transposed convolutions and fewer layers; no mirror images.

Its file also holds the codes, "latent_sim" and "latent_real": a pilot that learns from the one can drive on
the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dingocar.translate._adversarial import adversarial
from dingocar.translate._method import REAL, SIM, GanSettings, Translator


@dataclass(frozen=True)
class UnitSettings(GanSettings):
    """Settings of unit.

    Attributes:
        adversarial_weight: of the generator's side of the game.
        reconstruction_weight: of the L1 difference of a picture and its own decoding.
        cycle_weight: of the L1 difference after going there and back.
        code_weight: of the penalty of large codes, of pictures and of translated ones alike.
    """

    learning_rate: float = 1e-4
    adversarial_weight: float = 10.0
    reconstruction_weight: float = 100.0
    cycle_weight: float = 100.0
    code_weight: float = 0.1

    ranges: ClassVar[dict[str, tuple[float, float]]] = GanSettings.ranges | {
        **dict.fromkeys(
            ("adversarial_weight", "reconstruction_weight", "cycle_weight", "code_weight"), (0, 1e6)
        ),
        "blocks": (1, 32),
    }


class Unit(Translator):
    """The translator `unit`; see the module."""

    settings_type = UnitSettings
    settings: UnitSettings

    def networks(self) -> dict[str, Any]:
        """See `Translator.networks`."""
        import keras

        from dingocar.translate._networks import decoded, discriminator, encoded, residual

        settings, made = self.settings, {}
        depth = settings.filters * 2**settings.downsamplings
        height, width = (size >> settings.downsamplings for size in settings.image_shape[:2])
        code_shape = (height, width, depth)
        for name in ("last_encoding", "first_decoding"):
            code = keras.Input(code_shape, name="code")
            made[name] = keras.Model(code, residual(code, "shared"), name=name)
        for domain in (SIM, REAL):
            picture = keras.Input(settings.image_shape, name="picture")
            x = encoded(picture, settings)[-1]
            for number in range(settings.blocks - 1):
                x = residual(x, f"block_{number}")
            made[f"encoder_{domain}"] = keras.Model(picture, x, name=f"{domain}_encoder")
            x = code = keras.Input(code_shape, name="code")
            for number in range(settings.blocks - 1):
                x = residual(x, f"block_{number}")
            made[f"decoder_{domain}"] = keras.Model(code, decoded(x, settings), name=f"{domain}_decoder")
            made[f"critic_{domain}"] = discriminator(settings, f"{domain}_discriminator")
        made["noise"] = keras.layers.GaussianNoise(1.0, name="noise")
        return made

    def losses(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.losses`."""
        from keras import ops

        from dingocar.translate._game import mean_absolute

        settings, given, other = self.settings, {SIM: sim, REAL: real}, {SIM: REAL, REAL: SIM}

        def noisy(code: Any) -> Any:
            return networks["noise"](code, training=True)

        codes = {domain: _encode(networks, domain, picture) for domain, picture in given.items()}
        again, made, losses = {}, {}, {}
        for domain in given:
            # Both in one call: each code is normalised by itself.
            both = _decode(networks, domain, noisy(ops.concatenate([codes[domain], codes[other[domain]]])))
            again[domain], made[domain] = ops.split(both, 2)
        for domain, picture in given.items():
            code = _encode(networks, other[domain], made[other[domain]])
            back = _decode(networks, domain, noisy(code))
            reconstruction = settings.reconstruction_weight * mean_absolute(again[domain], picture)
            losses[f"reconstruction_{domain}"] = reconstruction
            losses[f"cycle_{domain}"] = settings.cycle_weight * mean_absolute(back, picture)
            penalty = ops.mean(ops.square(codes[domain])) + ops.mean(ops.square(code))
            losses[f"code_{domain}"] = settings.code_weight * penalty
            losses |= adversarial(networks, domain, picture, made[domain], settings.adversarial_weight)
        return losses

    def outputs(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.outputs`."""
        codes = {SIM: _encode(networks, SIM, sim), REAL: _encode(networks, REAL, real)}
        return {
            "to_real": _decode(networks, REAL, codes[SIM]),
            "to_sim": _decode(networks, SIM, codes[REAL]),
            "latent_sim": codes[SIM],
            "latent_real": codes[REAL],
        }


def _encode(networks: Mapping[str, Any], domain: str, picture: Any) -> Any:
    """The code's mean."""
    return networks["last_encoding"](networks[f"encoder_{domain}"](picture))


def _decode(networks: Mapping[str, Any], domain: str, code: Any) -> Any:
    return networks[f"decoder_{domain}"](networks["first_decoding"](code))
