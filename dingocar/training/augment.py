"""Augmentation: batch-wise changes to copies of pictures, and to the labels that must follow.

Two phases, as in Keras' preprocessing layers: `draw` decides once what happens to each picture of a
batch, then `images` and `labels` apply that same decision. The pictures given are never written to.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import TrainingError

Uint8Array = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]

STEERING_CHANNEL = "user/angle"


@dataclass(frozen=True)
class Draw:
    """What was drawn for a batch of N pictures; a neutral value where nothing happens.

    Attributes:
        brightness: float32 (N,), added, as a share of full white.
        contrast: float32 (N,), factor about mid-grey.
        shift_px: int64 (N,), pixels to the right.
        shadow: float32 (N, 3): where its edge meets the top and the bottom row (as a share of the
            width; left of the edge is dark, or right of it where the width is negative), and
            what is left of the light (1: no shadow).
        blur: bool (N,).
        noise: float32 (N,), standard deviation in grey levels.
        noise_at: int64 (N,), where in the bank of noise to begin.
        mirror: bool (N,).
        shift_gain: steering per pixel of shift.
    """

    brightness: npt.NDArray[np.float32]
    contrast: npt.NDArray[np.float32]
    shift_px: npt.NDArray[np.int64]
    shadow: npt.NDArray[np.float32]
    blur: npt.NDArray[np.bool_]
    noise: npt.NDArray[np.float32]
    noise_at: npt.NDArray[np.int64]
    mirror: npt.NDArray[np.bool_]
    shift_gain: float

    def images(self, images: Uint8Array) -> Uint8Array:
        """Returns changed copies of uint8 (N, H, W, 3) pictures."""
        out = np.empty(images.shape, np.uint8)
        for i, image in enumerate(images):
            table = _lookup_table(float(self.brightness[i]), float(self.contrast[i]))
            source = image[:, ::-1] if self.mirror[i] else image
            if table is not None:
                source = _look_up(source, table)
            _shift_into(out[i], source, int(self.shift_px[i]))
            if self.shadow[i, 2] < 1:
                _shade(out[i], *(float(v) for v in self.shadow[i]))
            if self.blur[i]:
                _blur(out[i])
            if self.noise[i] > 0:
                _add_noise(out[i], float(self.noise[i]), int(self.noise_at[i]))
        return out

    def labels(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Returns the columns with the steering that belongs to the changed pictures.

        Mirrored pictures get the negated steering; then each pixel of shift to the right adds
        `shift_gain` (the road lies further right, so steer right); clipped to [-1, 1].

        Args:
            columns: channel to (N, ...) array.
        """
        changed = dict(columns)
        if STEERING_CHANNEL in columns:
            steering = np.where(self.mirror, -1, 1) * columns[STEERING_CHANNEL]
            steering = np.clip(steering + self.shift_px * self.shift_gain, -1, 1)
            changed[STEERING_CHANNEL] = steering.astype(columns[STEERING_CHANNEL].dtype)
        return changed


@dataclass(frozen=True)
class Augment:
    """Probabilities and ranges of the changes; each picture draws each of them on its own.

    Attributes:
        light_p: probability of a change of brightness and contrast.
        brightness: largest brightness added or taken, as a share of full white.
        contrast: largest relative change of contrast.
        shift_p: probability of a horizontal shift.
        shift_px: largest shift to either side, in pixels.
        shift_gain: steering added per pixel of shift to the right.
        shadow_p: probability of a shadow.
        shadow_dark: least share of the light left in a shadow.
        blur_p: probability of a 3x3 blur.
        noise_p: probability of pixel noise.
        noise: largest standard deviation of the noise, in grey levels.
        mirror_p: probability of the mirror image with negated steering. Off by default: it swaps the
            meaning of a road with a yellow left and a white right line.
    """

    light_p: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    shift_p: float = 0.3
    shift_px: int = 8
    shift_gain: float = 0.008
    shadow_p: float = 0.15
    shadow_dark: float = 0.5
    blur_p: float = 0.1
    noise_p: float = 0.15
    noise: float = 8.0
    mirror_p: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_share = field.name.endswith("_p") or field.name in (
                "brightness",
                "contrast",
                "shadow_dark",
            )
            if not 0 <= value <= (1 if is_share else 255):
                raise TrainingError(
                    f"augmentation {field.name}: expected a number from 0 to "
                    f"{1 if is_share else 255}, got {value}"
                )

    def off(self) -> Augment:
        """These settings with every probability 0."""
        none: dict[str, Any] = {f.name: 0.0 for f in fields(self) if f.name.endswith("_p")}
        return replace(self, **none)

    def draw(self, rng: np.random.Generator, n: int) -> Draw:
        """Draws what happens to each of `n` pictures; the same generator state, the same draw."""

        def happens(p: float) -> npt.NDArray[np.bool_]:
            return rng.random(n) < p

        def within(limit: float) -> npt.NDArray[np.float32]:
            return rng.uniform(-limit, limit, n).astype(np.float32)

        light, shifted = happens(self.light_p), happens(self.shift_p)
        shadow = np.empty((n, 3), np.float32)
        shadow[:, :2] = rng.uniform(0, 1, (n, 2)) * rng.choice([-1.0, 1.0], (n, 1))
        dark = rng.uniform(self.shadow_dark, 0.9, n) if self.shadow_dark < 0.9 else self.shadow_dark
        shadow[:, 2] = np.where(happens(self.shadow_p), dark, 1)
        return Draw(
            brightness=np.where(light, within(self.brightness), np.float32(0)),
            contrast=np.where(light, 1 + within(self.contrast), np.float32(1)),
            shift_px=np.where(shifted, rng.integers(-self.shift_px, self.shift_px + 1, n), 0),
            shadow=shadow,
            blur=happens(self.blur_p),
            noise=np.where(happens(self.noise_p), np.abs(within(self.noise)), np.float32(0)),
            noise_at=rng.integers(0, 1 << 20, n),
            mirror=happens(self.mirror_p),
            shift_gain=self.shift_gain,
        )


def _lookup_table(brightness: float, contrast: float) -> bytes | None:
    """The 256 new grey levels, or None where nothing changes."""
    if brightness == 0 and contrast == 1:
        return None
    levels = (np.arange(256) - 127.5) * contrast + 127.5 + 255 * brightness
    return bytes(np.clip(levels.round(), 0, 255).astype(np.uint8))


def _look_up(image: Uint8Array, table: bytes) -> Uint8Array:
    # bytes.translate is several times faster than numpy's indexing, which widens each index to int64.
    return np.frombuffer(image.tobytes().translate(table), np.uint8).reshape(image.shape)


def _shift_into(out: Uint8Array, source: Uint8Array, shift_px: int) -> None:
    """Copies `source` into `out`, `shift_px` to the right; the outermost column fills the rest."""
    width = source.shape[1]
    k = max(1 - width, min(width - 1, shift_px))
    if k > 0:
        out[:, k:], out[:, :k] = source[:, :-k], source[:, :1]
    elif k < 0:
        out[:, :k], out[:, k:] = source[:, -k:], source[:, -1:]
    else:
        out[...] = source


def _shade(image: Uint8Array, top: float, bottom: float, light: float) -> None:
    """Darkens, in place, one side of a straight edge from the top row to the bottom row."""
    height, width = image.shape[:2]
    edge = np.linspace(abs(top) * width, abs(bottom) * width, height)[:, None]
    column = np.arange(width)[None]
    side = column >= edge if min(top, bottom) < 0 else column < edge
    table = bytes((np.arange(256) * light).astype(np.uint8))
    np.copyto(image, _look_up(image, table), where=side[..., None])


def _blur(image: Uint8Array) -> None:
    """Blurs in place by the binomial 3x3 kernel [1, 2, 1] x [1, 2, 1] / 16; edges repeat."""
    wide = np.pad(image.astype(np.uint16), ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    image[...] = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:] + 8) >> 4


@functools.cache
def _noise_bank() -> npt.NDArray[np.int16]:
    """A million normal numbers of standard deviation 64, drawn once: drawing is what costs."""
    bank = np.random.default_rng(0).normal(0, 64, 1 << 20).round().astype(np.int16)
    bank.flags.writeable = False
    return bank


def _add_noise(image: Uint8Array, sigma: float, at: int) -> None:
    """Adds noise of standard deviation `sigma` (to 1/8 grey level) in place."""
    flat = image.reshape(-1)
    for part, bank in _stretches(flat, at):
        # The bank's 64 times the 8 of the fixed-point sigma is 2^9.
        noisy = (bank.astype(np.int32) * round(sigma * 8)) >> 9
        noisy += part
        part[...] = np.clip(noisy, 0, 255, out=noisy)


def _stretches(flat: Uint8Array, at: int) -> Iterator[tuple[Uint8Array, npt.NDArray[np.int16]]]:
    """Pairs stretches of `flat` with stretches of the bank, from `at` on and round its end."""
    bank, done = _noise_bank(), 0
    while done < len(flat):
        at %= len(bank)
        length = min(len(flat) - done, len(bank) - at)
        yield flat[done : done + length], bank[at : at + length]
        done, at = done + length, at + length
