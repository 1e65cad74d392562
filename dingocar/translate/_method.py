"""What every translator is: its settings, and either networks to be trained or statistics to be taken.

A translator's file must not import keras at its top, so that listing translators and reading their settings
stay quick; its functions may.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dingocar.entry import Entry
from dingocar.errors import TranslatorError, UnknownNameError

if TYPE_CHECKING:
    from dingocar.images import Uint8Array

SIM, REAL = "sim", "real"
#: What a translator can do, by the output of its network, and which domain's pictures it takes for it.
DIRECTIONS = {"to_real": SIM, "to_sim": REAL}


@dataclasses.dataclass(frozen=True)
class TranslatorSettings:
    """Settings every translator has; a translator adds its own in a frozen subclass, all with defaults.

    Attributes:
        image_shape: (height, width, 3) of the uint8 pictures it takes and gives, in pixels.
    """

    image_shape: tuple[int, int, int] = (60, 80, 3)

    #: The least and the greatest value of each number.
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __post_init__(self) -> None:
        height, width, channels = self.image_shape
        if channels != 3 or not (8 <= height <= 2048 and 8 <= width <= 2048):
            raise TranslatorError(
                f"translator setting image_shape: expected (height, width, 3) of 8 to 2048 pixels, got "
                f"{self.image_shape}"
            )
        for name, (low, high) in self.ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise TranslatorError(
                    f"translator setting {name}: expected a number from {low:g} to {high:g}, got {value:g}"
                )


@dataclasses.dataclass(frozen=True)
class LearnedSettings(TranslatorSettings):
    """Settings of translators that learn.

    Attributes:
        batch_size: pictures of each domain in a step.
        learning_rate: Adam's, in the first half of the training; it falls to 0 in the second.
        beta_1: Adam's.
    """

    batch_size: int = 1
    learning_rate: float = 2e-4
    beta_1: float = 0.5

    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "batch_size": (1, 256),
        "learning_rate": (1e-9, 1),
        "beta_1": (0, 0.9999),
    }


@dataclasses.dataclass(frozen=True)
class GanSettings(LearnedSettings):
    """Settings of translators that are trained against discriminators. The defaults suit 60x80 on a CPU.

    Attributes:
        filters: of the generator's first convolution; each downsampling doubles them.
        downsamplings: of the generator, each by two.
        blocks: residual blocks between down- and upsampling.
        discriminator_filters: of its first convolution; each further one doubles them, up to eight times.
        discriminator_layers: its convolutions with stride 2. Three see 70x70 pixels, two 34x34.
    """

    filters: int = 32
    downsamplings: int = 2
    blocks: int = 3
    discriminator_filters: int = 32
    discriminator_layers: int = 2

    ranges: ClassVar[dict[str, tuple[float, float]]] = LearnedSettings.ranges | {
        "filters": (1, 256),
        "downsamplings": (0, 5),
        "blocks": (0, 32),
        "discriminator_filters": (1, 256),
        "discriminator_layers": (1, 5),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        step = 2**self.downsamplings
        height, width, _ = self.image_shape
        if height % step or width % step:
            raise TranslatorError(
                f"translator setting image_shape: pictures of {height}x{width} cannot be halved "
                f"{self.downsamplings} times; take multiples of {step}, or set downsamplings"
            )
        check_halvings(self, "downsamplings", "codes")
        check_halvings(self, "discriminator_layers", "a discriminator")


def check_halvings(settings: TranslatorSettings, name: str, what: str) -> None:
    """Raises a `TranslatorError` where a setting that halves pictures leaves less than 2x2 places.

    One row cannot be mirrored at the rim, and one place less its own mean is nothing.
    """
    height, width, _ = settings.image_shape
    left = [-(-size // 2 ** getattr(settings, name)) for size in (height, width)]
    if min(left) < 2:
        raise TranslatorError(
            f"translator setting {name}: {getattr(settings, name)} leave {what} {left[0]}x{left[1]} places "
            f"of pictures of {height}x{width}, expected at least 2x2; set fewer, or take larger pictures"
        )


#: Sizes by name: the published ones need a GPU.
PRESETS: dict[str, dict[str, Any]] = {
    "60x80": {"image_shape": (60, 80, 3)},
    "120x160": {"image_shape": (120, 160, 3), "discriminator_layers": 3},
    "published": {
        "image_shape": (256, 256, 3),
        "filters": 64,
        "blocks": 9,
        "discriminator_filters": 64,
        "discriminator_layers": 3,
    },
}


class Translator(Entry):
    """A translator of pictures between the domains.

    Pictures are float32 (B, H, W, 3) in [-1, 1] here.

    Attributes:
        learns: whether it is trained step by step, by `networks` and `losses`; otherwise by `fitted`, at
        once.
    """

    kind = "translator"
    settings_type: ClassVar[type[TranslatorSettings]] = TranslatorSettings
    error = TranslatorError
    settings: TranslatorSettings
    learns: ClassVar[bool] = True

    def networks(self) -> dict[str, Any]:
        """Makes the networks and layers that are trained, built, by names of their own."""
        raise NotImplementedError

    def fitted(self, sim: Uint8Array, real: Uint8Array) -> dict[str, Any]:
        """Makes the finished networks and layers of pictures of both domains, uint8 (N, H, W, 3)."""
        raise NotImplementedError

    def losses(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """The losses of a batch, each to be added, in `keras.ops`.

        A loss must change those networks alone that it is meant for (see `dingocar.training.frozen`). Then
        one optimiser of their sum is as good as one for each, as Adam keeps its moments for each weight.

        Args:
            networks: what `networks` made.
            sim, real: pictures of each domain.

        Returns:
            {name: scalar}, weighted.
        """
        raise NotImplementedError

    def settle(self, networks: Mapping[str, Any], sim: Uint8Array, real: Uint8Array) -> None:
        """Takes what the finished translation needs of pictures that were trained on, uint8 (N, H, W, 3).

        Called before it is looked at or saved; it must not change what is trained.
        """

    def outputs(self, networks: Mapping[str, Any], sim: Any, real: Any) -> dict[str, Any]:
        """The finished translation of symbolic pictures.

        Returns:
            "to_real" of `sim` and "to_sim" of `real`, as far as it can, and whatever else the file shall
            hold.
        """
        raise NotImplementedError


def preset(name: str) -> dict[str, Any]:
    """The settings of a named size.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return dict(PRESETS[name])
