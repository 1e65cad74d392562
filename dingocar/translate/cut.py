"""CUT: one direction, for half the cost of a cycle; patches keep what they show by contrast with others.

Source: Park, Efros, Zhang and Zhu 2020, arXiv:2007.15651. A patch of the translated picture must be nearer to
the same patch of the given one than to its other patches, in features of the generator's own first half
(PatchNCE: temperature 0.07, 256 patches), and so for pictures that are already of the wanted domain. The two
have weight 1 together, as in the authors' code; in the paper each has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dingocar.translate._adversarial import adversarial
from dingocar.translate._method import DIRECTIONS, GanSettings, Translator


@dataclass(frozen=True)
class CutSettings(GanSettings):
    """Settings of cut.

    Attributes:
        direction: what it learns; the other direction is another training.
        contrast_weight: of the contrast; one half for translated, one for genuine pictures.
        patches: places of each feature map that are compared, at most.
        units: of the two layers that features go through before they are compared.
        temperature: of the contrast.
    """

    direction: Literal["to_real", "to_sim"] = "to_sim"  # in the car's loop it has driven best
    contrast_weight: float = 1.0
    patches: int = 256
    units: int = 256
    temperature: float = 0.07

    ranges: ClassVar[dict[str, tuple[float, float]]] = GanSettings.ranges | {
        "contrast_weight": (0, 1e6),
        "patches": (2, 65_536),
        "units": (1, 4096),
        "temperature": (1e-3, 100),
    }


class Cut(Translator):
    """The translator `cut`; see the module."""

    settings_type = CutSettings
    settings: CutSettings

    def networks(self) -> dict[str, Any]:
        """See `Translator.networks`."""
        import keras

        from dingocar.translate._networks import Places, discriminator, generator

        settings = self.settings
        wanted = settings.direction.removeprefix("to_")
        whole = generator(settings, "generator")
        # What is compared: the picture itself, each downsampling, and the middle and last residual block.
        names = [f"down_relu_{number}" for number in range(settings.downsamplings + 1)]
        names += [
            f"block_{number}_sum" for number in sorted({(settings.blocks - 1) // 2, settings.blocks - 1})
        ]
        maps = [
            whole.input,
            *(whole.get_layer(name).output for name in names[: None if settings.blocks else -1]),
        ]
        made: dict[str, Any] = {
            "generator": whole,
            "maps": keras.Model(whole.input, maps, name="maps"),
            f"critic_{wanted}": discriminator(settings, "discriminator"),
        }
        for number, found in enumerate(maps):
            height, width, depth = found.shape[1:]
            made[f"places_{number}"] = Places(height * width, settings.patches, name=f"places_{number}")
            patch = keras.Input((depth,), name="patch")
            x = keras.layers.Dense(settings.units, activation="relu", name="dense_1")(patch)
            x = keras.layers.Dense(settings.units, name="dense_2")(x)
            made[f"head_{number}"] = keras.Model(patch, x, name=f"head_{number}")
        return made

    def losses(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.losses`."""
        from keras import ops

        source, target = (sim, real) if self.settings.direction == "to_real" else (real, sim)
        made, same = ops.split(networks["generator"](ops.concatenate([source, target])), 2)
        contrast = self.settings.contrast_weight / 2
        return {
            "contrast": contrast * self._contrast(networks, source, made),
            "identity": contrast * self._contrast(networks, target, same),
            **adversarial(networks, self.settings.direction.removeprefix("to_"), target, made),
        }

    def _contrast(self, networks: Mapping[str, Any], given: Any, made: Any) -> Any:
        """PatchNCE: the mean over maps and patches of the cross-entropy of finding the same place again."""
        from keras import ops

        total, count = ops.zeros(()), 0
        for number, (ours, theirs) in enumerate(
            zip(networks["maps"](made), networks["maps"](given), strict=True)
        ):
            places = networks[f"places_{number}"].draw()
            depth, batch = int(ours.shape[-1]), int(ours.shape[0])
            both = []
            for features in (ours, theirs):
                flat = ops.take(ops.reshape(features, (batch, -1, depth)), places, axis=1)
                code = networks[f"head_{number}"](ops.reshape(flat, (-1, depth)))
                # Not divided by its length: at 0 that has no gradient.
                code = code * ops.rsqrt(ops.sum(ops.square(code), axis=-1, keepdims=True) + 1e-12)
                both.append(ops.reshape(code, (batch, -1, self.settings.units)))
            query, key = both[0], ops.stop_gradient(both[1])
            logits = ops.matmul(query, ops.transpose(key, (0, 2, 1))) / self.settings.temperature
            right = ops.diagonal(logits, axis1=1, axis2=2)
            total, count = total + ops.mean(ops.logsumexp(logits, axis=-1) - right), count + 1
        return total / count

    def outputs(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """See `Translator.outputs`."""
        direction = self.settings.direction
        return {direction: networks["generator"](sim if DIRECTIONS[direction] == "sim" else real)}
