"""What a camera makes of the light: exposure, white balance, colour, blur, vignette, noise, JPEG.

Motion blur and rolling shutter depend on how the car moves and are the renderer's.
"""

from __future__ import annotations

import functools
import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from dingocar.images import Uint8Array
from dingocar.sim.appearance import Appearance

Float32Array = npt.NDArray[np.float32]

#: Weights of red, green and blue in the brightness (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
#: JPEG qualities below this: no JPEG.
LEAST_QUALITY = 10
#: Rows of noise in stock, beyond those of one picture.
_STOCK_ROWS = 512


class Sensor:
    """One camera's sensor in one episode: the same seed, step and picture give the same result.

    >>> picture = np.full((8, 8, 3), 100, np.uint8)
    >>> Sensor(Appearance(), (8, 8), seed=0).expose(picture, time_s=0.0, step=0) is picture
    True
    >>> int(Sensor(Appearance(light=1.5), (8, 8), seed=0).expose(picture, 0.0, 0)[0, 0, 0])
    150
    """

    def __init__(self, appearance: Appearance, shape: tuple[int, int], seed: int) -> None:
        """Prepares the tables.

        Args:
            appearance: the parameters.
            shape: (height, width) of the pictures.
            seed: of the noise and of the drift.
        """
        self._look, self._shape, self._seed = appearance, shape, int(seed)
        self._height, self._width = shape
        rng = np.random.default_rng(self._seed)
        # Four slow waves each for exposure, red and blue.
        self._rate_hz = rng.uniform(0.03, 0.45, (3, 4))
        self._phase_rad = rng.uniform(0, 2 * math.pi, (3, 4))
        self._balance = _balance(appearance.warmth, appearance.tint)
        self._tables = self._curves(0.0)
        self._tones = bool((np.abs(self._tables - np.arange(256)) > 1e-3).any()) or appearance.drift > 0
        self._kernel = _kernel(appearance.blur_px)
        self._shade = _vignette(shape, appearance.vignette) if appearance.vignette else None
        self._noise = _noise_stock(shape) if appearance.noise else None
        self._quality = round(appearance.jpeg_quality)
        self._develops = (
            self._tones
            or appearance.saturation != 1
            or self._kernel is not None
            or self._shade is not None
            or self._noise is not None
        )
        self._planes: Float32Array | None = None
        self._spare: Float32Array | None = None

    def expose(self, image: Uint8Array, time_s: float, step: int) -> Uint8Array:
        """Returns the picture that comes out of the camera, uint8 (H, W, 3).

        Args:
            image: uint8 (H, W, 3), the light that falls in; it is not changed.
            time_s: when, for the drift.
            step: which picture of the episode, for the noise.
        """
        if self._develops:
            image = self._developed(image, time_s, step)
        if self._quality >= LEAST_QUALITY:
            image = _through_jpeg(image, self._quality)
        return image

    def _developed(self, image: Uint8Array, time_s: float, step: int) -> Uint8Array:
        if self._planes is None or self._spare is None:
            self._planes = np.empty((self._height, self._width * 3), np.float32)
            self._spare = np.empty_like(self._planes)
        light, spare = self._planes, self._spare
        pixels = light.reshape(self._height, self._width, 3)
        if self._tones:
            tables = self._curves(time_s) if self._look.drift else self._tables
            for channel, table in enumerate(tables):
                pixels[..., channel] = table[image[..., channel]]
        else:
            pixels[...] = image
        if self._look.saturation != 1:
            mixed = spare.reshape(-1, 3)
            np.matmul(pixels.reshape(-1, 3), _saturation(self._look.saturation), out=mixed)
            light, spare = spare, light
        if self._kernel is not None:
            _blur(light, spare, 3, self._kernel)
            _blur(light.T, spare.T, 1, self._kernel)
        if self._shade is not None:
            light *= self._shade
        if self._noise is not None:
            self._add_noise(light, spare, step)
        np.clip(light, 0, 255, out=light)
        light += np.float32(0.5)
        return light.astype(np.uint8).reshape(self._height, self._width, 3)

    def _curves(self, time_s: float) -> Float32Array:
        """What becomes of a value in each channel, float32 (3, 256)."""
        look = self._look
        exposure, red, blue = look.drift * self._drifted(time_s)
        gain = look.light * math.exp(0.22 * exposure) * self._balance
        gain = gain * np.exp([0.07 * red, 0.0, 0.07 * blue])
        value = np.linspace(0, 1, 256, dtype=np.float32) ** np.float32(look.gamma)
        return np.asarray(255 * _shoulder(value * gain.astype(np.float32)[:, None]), np.float32)

    def _drifted(self, time_s: float) -> npt.NDArray[np.float64]:
        """How far exposure, red and blue have wandered, (3,), about -1 to 1."""
        waves = np.sin(2 * math.pi * self._rate_hz * time_s + self._phase_rad)
        return np.asarray(waves.mean(axis=1) * 1.6)

    def _add_noise(self, light: Float32Array, spare: Float32Array, step: int) -> None:
        """Noise that grows with the light, on a floor of its own."""
        assert self._noise is not None
        draw = _mixed(self._seed, step)
        first = draw % (len(self._noise) - self._height + 1)
        grain = self._noise[first : first + self._height]
        if draw >> 40 & 1:
            grain = grain[::-1]
        strength = self._look.noise if draw >> 41 & 1 else -self._look.noise
        np.multiply(light, np.float32(0.6 * strength), out=spare)
        spare += np.float32(0.4 * strength * 255)
        spare *= grain
        light += spare


def _balance(warmth: float, tint: float) -> npt.NDArray[np.float64]:
    """The white balance's gains of red, green and blue; the brightness stays about the same."""
    gains = np.exp([0.25 * warmth - 0.08 * tint, 0.16 * tint, -0.3 * warmth - 0.08 * tint])
    return np.asarray(gains / (gains @ LUMA))


def _shoulder(value: Float32Array) -> Float32Array:
    """Bends what would be brighter than white into the last quarter; below that nothing changes.

    Where nothing is brighter than white it is a straight line.
    """
    knee = np.float32(0.8)
    brightest = value.max(axis=1, keepdims=True)
    over = np.maximum(value - knee, 0)
    reach = np.maximum(brightest - knee, 1 - knee)
    # A parabola from the knee, with slope 1 there, that meets white; capped where it would turn.
    bend = np.maximum(reach - (1 - knee), 0) / reach**2
    top = np.minimum(over, 1 / np.maximum(2 * bend, 1e-9))
    return np.asarray(np.minimum(value, knee) + top - bend * top**2, np.float32)


def _saturation(saturation: float) -> Float32Array:
    """The matrix to multiply (N, 3) pixels with."""
    grey = np.repeat(np.asarray(LUMA)[:, None], 3, axis=1)
    return np.asarray(grey * (1 - saturation) + np.eye(3) * saturation, np.float32)


def _kernel(sigma_px: float) -> Float32Array | None:
    """The right half of a Gaussian from its middle on; None: too narrow to do anything."""
    if sigma_px < 0.05:
        return None
    reach = max(1, math.ceil(2.5 * sigma_px))
    edges = (np.arange(-reach, reach + 2) - 0.5) / (sigma_px * math.sqrt(2))
    # The share of the Gaussian that falls on each pixel, so that narrow ones are right too.
    below = np.array([math.erf(edge) for edge in edges])
    weights = np.diff(below)
    return np.asarray((weights / weights.sum())[reach:], np.float32)


def _blur(light: Float32Array, spare: Float32Array, stride: int, kernel: Float32Array) -> None:
    """Blurs along the second axis in place; at the borders the outermost pixel goes on."""
    count = light.shape[1]
    np.multiply(light, kernel[0], out=spare)
    for k, weight in enumerate(kernel[1:], start=1):
        shift = min(k * stride, count - stride)
        spare[:, shift:] += weight * light[:, : count - shift]
        spare[:, : count - shift] += weight * light[:, shift:]
        for first in range(0, shift, stride):
            spare[:, first : first + stride] += weight * light[:, :stride]
            spare[:, count - first - stride : count - first] += weight * light[:, count - stride :]
    light[...] = spare


def _vignette(shape: tuple[int, int], strength: float) -> Float32Array:
    """How much light is left, float32 (H, W * 3): cos^4 of the angle (the law of natural vignetting)."""
    height, width = shape
    y, x = ((np.arange(side) + 0.5) / side * 2 - 1 for side in shape)
    corner2 = float(height**2 + width**2)
    r2 = ((x * width) ** 2 + ((y * height) ** 2)[:, None]) / corner2
    left = 1 - strength * (1 - np.cos(np.arctan(np.sqrt(r2) * 1.3)) ** 4) * 0.85
    return np.asarray(np.repeat(left, 3, axis=1), np.float32)


@functools.lru_cache(maxsize=4)
def _noise_stock(shape: tuple[int, int]) -> Float32Array:
    """Noise in stock, float32 (rows, W * 3), standard deviation 1.

    After demosaicing neighbouring pixels share some of it, and the colours some.
    """
    rng = np.random.default_rng(shape)
    rows, width = shape[0] + _STOCK_ROWS, shape[1]
    grey = rng.standard_normal((rows + 1, width + 1, 1), np.float32)
    colour = rng.standard_normal((rows + 2, width + 2, 3), np.float32)
    grey = grey[1:, 1:] + 0.4 * (grey[:-1, 1:] + grey[1:, :-1])
    smooth = colour[1:, 1:] + colour[:-1, 1:] + colour[1:, :-1] + colour[:-1, :-1]
    mixed = 0.8 * grey / grey.std() + 0.6 * smooth[:rows, :width] / smooth.std()
    stock = np.asarray(mixed / mixed.std(), np.float32).reshape(rows, width * 3)
    stock.flags.writeable = False
    return stock


def _mixed(seed: int, step: int) -> int:
    """A number of 64 bits that looks drawn by chance (SplitMix64: Steele et al. 2014)."""
    word = (seed * 0x9E3779B97F4A7C15 + (step + 1) * 0xD1342543DE82EF95) & 0xFFFFFFFFFFFFFFFF
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    word = (word ^ word >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return word ^ word >> 31


def _through_jpeg(image: Uint8Array, quality: int) -> Uint8Array:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    buffer.seek(0)
    with Image.open(buffer, formats=("JPEG",)) as picture:
        return np.array(picture)
