"""What every pilot is: a network, its targets and losses, and how its outputs become commands.

A pilot's file must not import keras at its top: `decode` needs numpy alone, so a car can drive a
`.tflite` without keras. `build` imports keras when it is called.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dingocar.entry import Entry
from dingocar.errors import PilotError

if TYPE_CHECKING:
    import keras

FloatArray = npt.NDArray[np.floating[Any]]
Array = npt.NDArray[Any]

STEERING, THROTTLE = "steering", "throttle"
USER_ANGLE, USER_THROTTLE = "user/angle", "user/throttle"


@dataclasses.dataclass(frozen=True)
class PilotSettings:
    """Settings every pilot has; a pilot adds its own in a frozen subclass, all with defaults.

    Attributes:
        image_shape: (height, width, 3) of the uint8 pictures the pilot takes, in pixels.
        crop_top: rows cut off at the top (above the road), in pixels. The crop is a layer.
        crop_bottom: rows cut off at the bottom (the car's bonnet), in pixels.
    """

    image_shape: tuple[int, int, int] = (120, 160, 3)
    crop_top: int = 0
    crop_bottom: int = 0

    def __post_init__(self) -> None:
        height, width, channels = self.image_shape
        if channels != 3 or height < 1 or width < 1:
            raise PilotError(
                f"pilot setting image_shape: expected (height, width, 3), got {self.image_shape}"
            )
        if min(self.crop_top, self.crop_bottom) < 0 or self.crop_top + self.crop_bottom >= height:
            raise PilotError(
                f"pilot settings crop_top={self.crop_top}, crop_bottom={self.crop_bottom}: expected"
                f" rows >= 0 that leave some of the picture's {height}"
            )


class Pilot(Entry, ABC):
    """A pilot of the zoo.

    Attributes:
        adaptation: the method of `dingocar.adapt` that it is trained with unless another is asked for, and
            its settings; None: with none.
    """

    kind = "pilot"
    settings_type: ClassVar[type[PilotSettings]] = PilotSettings
    error = PilotError
    settings: PilotSettings
    adaptation: ClassVar[tuple[str, Mapping[str, Any]] | None] = None

    @abstractmethod
    def build(self) -> keras.Model:
        """Builds the network, untrained.

        Returns:
            A functional model that takes uint8 (B, H, W, 3), input named "image", and gives a dict
            {head: tensor}. Crop and normalisation are layers, every layer is named, and the layer
            named "features" gives the (B, F) vector the heads read.
        """

    def targets(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """What the heads should say, for N records.

        Args:
            columns: channel to (N, ...) array; needs at least `user/angle` and `user/throttle`.

        Returns:
            {head: float32 (N, K)}, here the two commands themselves, K = 1.

        Raises:
            PilotError: a column is missing.
        """
        return {
            STEERING: column(columns, USER_ANGLE).reshape(-1, 1),
            THROTTLE: column(columns, USER_THROTTLE).reshape(-1, 1),
        }

    def losses(self) -> dict[str, Any]:
        """{head: a Keras loss, or its name}."""
        return {STEERING: "mse", THROTTLE: "mse"}

    def loss_weights(self) -> dict[str, float]:
        """{head: weight of its loss in the sum}."""
        return dict.fromkeys(self.losses(), 1.0)

    def decode(self, outputs: Mapping[str, Array]) -> tuple[FloatArray, FloatArray]:
        """Turns the heads' outputs into commands. numpy only.

        Args:
            outputs: {head: (N, K) float array}.

        Returns:
            steering (N,) and throttle (N,), both in [-1, 1].
        """
        return (
            np.clip(np.asarray(outputs[STEERING]).reshape(-1), -1.0, 1.0),
            np.clip(np.asarray(outputs[THROTTLE]).reshape(-1), -1.0, 1.0),
        )


def column(columns: Mapping[str, Array], channel: str) -> Array:
    """Returns one column as float32, or raises a `PilotError` that names what is missing."""
    if channel not in columns:
        raise PilotError(
            f"targets: expected a column {channel!r}, got {', '.join(map(repr, sorted(columns)))}"
        )
    return np.asarray(columns[channel], np.float32)
