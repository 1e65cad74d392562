"""Seamless tiles of floor materials, made of filtered noise.

A tile holds how much lighter or darker than the material's colour each texel is, in 1/256 of that colour. It
repeats without a joint, is made once and is then cut at a place drawn by chance.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Int8Array = npt.NDArray[np.int8]

#: Side of a tile in metres.
TILE_M = 2.4


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    smallest: float,
    largest: float,
    slope: float = 1.0,
    stretch: float = 1.0,
) -> Float32Array:
    """Seamless noise of mean 0 and standard deviation 1, float32 (rows, columns).

    White noise in frequency space with a power law (spectral synthesis: Voss 1985, "Random Fractal
    Forgeries").

    Args:
        rng: where the chance comes from.
        shape: (rows, columns).
        smallest, largest: wavelengths in texels between which there is any.
        slope: the amplitude falls with frequency ** slope; 0: all sizes alike.
        stretch: how many times as long as wide the structures are, along the columns' axis.
    """
    rows, columns = shape
    frequency = np.hypot(
        np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :] * stretch, dtype=np.float64
    )
    band = (frequency >= 1 / largest) & (frequency <= 1 / smallest)
    size = np.where(band, np.maximum(frequency, 1e-9) ** -slope, 0.0)
    phase = rng.standard_normal((2, *frequency.shape))
    field = np.fft.irfft2(size * (phase[0] + 1j * phase[1]), shape)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-9), np.float32)


def ranked(field: Float32Array) -> Float32Array:
    """The same field with its values replaced by their ranks, uniform in [0, 1]."""
    flat = field.ravel()
    ranks = np.empty(flat.size, np.float32)
    ranks[np.argsort(flat)] = np.linspace(0, 1, flat.size, dtype=np.float32)
    return ranks.reshape(field.shape)


@functools.lru_cache(maxsize=16)
def tile(material: str, texel_m: float) -> Int8Array:
    """The tile of a material, int8 (n, n): relative lightness in 1/256.

    Args:
        material: one of `MATERIALS`.
        texel_m: the side of a texel.
    """
    side = max(48, round(TILE_M / texel_m))
    rng = np.random.default_rng([side, *material.encode()])
    field = MATERIALS[material](rng, side, texel_m)
    made = np.clip(np.rint(field * 256), -128, 127).astype(np.int8)
    made.flags.writeable = False
    return made


@functools.lru_cache(maxsize=4)
def wear_tile(texel_m: float) -> Float32Array:
    """Where paint goes first: float32 (n, n), uniform in [0, 1]; the smallest values go first."""
    side = max(48, round(TILE_M / texel_m))
    rng = np.random.default_rng([side, 7])
    made = ranked(noise(rng, (side, side), 2, 0.5 / texel_m, 0.9) + 0.5 * noise(rng, (side, side), 2, 6, 0))
    made.flags.writeable = False
    return made


def cut(tiled: Int8Array, shape: tuple[int, int], rng: np.random.Generator) -> Int8Array:
    """A piece of an endlessly repeated tile, from a place drawn by chance, mirrored or turned by chance."""
    turned, up, across = rng.integers(0, 2, 3)
    offset = rng.integers(0, len(tiled), 2)
    if turned:
        tiled = tiled.T
    tiled = np.roll(tiled[:: -1 if up else 1, :: -1 if across else 1], tuple(offset), axis=(0, 1))
    times = [-(-length // side) for length, side in zip(shape, tiled.shape, strict=True)]
    return np.tile(tiled, times)[: shape[0], : shape[1]]


def _asphalt(rng: np.random.Generator, side: int, texel_m: float) -> Float32Array:
    """Grains of stone of all sizes up to 3 cm in dark tar, and a few pale ones."""
    shape = (side, side)
    grain = noise(rng, shape, 2, max(3, 0.03 / texel_m), 0.3)
    stones = np.maximum(noise(rng, shape, 2, max(3, 0.02 / texel_m), 0.5) - 1.7, 0)
    patches = noise(rng, shape, 0.05 / texel_m, 1.2 / texel_m, 1.0)
    return np.asarray(0.11 * grain + 0.3 * stones + 0.05 * patches, np.float32)


def _carpet(rng: np.random.Generator, side: int, texel_m: float) -> Float32Array:
    """Loops in rows: streaks along one direction, flecked, in squares laid with the pile either way."""
    shape = (side, side)
    streaks = noise(rng, shape, 2, max(3, 0.25 / texel_m), 0.5, stretch=8.0)
    across = noise(rng, shape, 2, max(3, 0.25 / texel_m), 0.5, stretch=8.0)
    row, column = np.indices(shape) * 4 // side  # squares of 60 cm
    lengthwise = (row + column) % 2 == 0
    pile = np.where(lengthwise, streaks, 0.6 * across + 0.4 * across.T)
    squares = 0.05 * rng.standard_normal((4, 4))[row, column]
    return np.asarray(0.15 * pile + 0.06 * noise(rng, shape, 2, 4, 0) + squares, np.float32)


def _concrete(rng: np.random.Generator, side: int, texel_m: float) -> Float32Array:
    """Clouds of all sizes, a fine grain, and dark pores."""
    shape = (side, side)
    clouds = noise(rng, shape, 3, side, 1.4)
    pores = np.maximum(noise(rng, shape, 2, max(3, 0.015 / texel_m), 0.0) - 2.4, 0)
    return np.asarray(0.07 * clouds + 0.022 * noise(rng, shape, 2, 5, 0) - 0.15 * pores, np.float32)


def _mat(rng: np.random.Generator, side: int, texel_m: float) -> Float32Array:
    """Printed vinyl: nearly smooth, a weave that is hardly seen, dust."""
    shape = (side, side)
    weave = noise(rng, shape, 2, 3, 0)
    dust = np.maximum(noise(rng, shape, 2, 0.1 / texel_m + 3, 0.6) - 1.6, 0)
    waves = noise(rng, shape, 0.2 / texel_m, side, 1.0)
    return np.asarray(0.012 * weave + 0.03 * dust + 0.02 * waves, np.float32)


def _tiles(rng: np.random.Generator, side: int, texel_m: float) -> Float32Array:
    """Square tiles of 30 cm, each of its own tone, with faint veins."""
    shape, count = (side, side), 8
    row, column = np.indices(shape) * count // side
    tones = 0.05 * rng.standard_normal((count, count))[row, column]
    veins = -np.maximum(0.25 - np.abs(noise(rng, shape, 3, side / 3, 1.2)), 0)
    return np.asarray(tones + 0.2 * veins + 0.02 * noise(rng, shape, 2, 8, 0.5), np.float32)


def _wood(rng: np.random.Generator, side: int, texel_m: float) -> Float32Array:
    """Planks of 12 cm by 1.2 m laid in a shifted bond, with the grain along them and dark gaps."""
    shape = (side, side)
    row, column = np.indices(shape)
    planks = max(2, round(TILE_M / 0.12))
    plank = row * planks // side
    shift = (rng.random(planks) * side).astype(np.intp)
    along = (column + shift[plank]) % side
    piece = along * 2 // side
    tones = 0.11 * rng.standard_normal((planks, 2))[plank, piece]
    rolled = along, (row + shift[plank] * 3) % side
    grain = noise(rng, shape, 2, max(3, 0.5 / texel_m), 0.7, stretch=14.0)[rolled[1], rolled[0]]
    gap = (row * planks % side < planks) | (along * 2 % side < 2)
    return np.asarray(tones + 0.07 * grain - 0.3 * gap, np.float32)


#: Materials and how their tiles are made.
MATERIALS: dict[str, Callable[[np.random.Generator, int, float], Float32Array]] = {
    "asphalt": _asphalt,
    "carpet": _carpet,
    "concrete": _concrete,
    "mat": _mat,
    "tiles": _tiles,
    "wood": _wood,
}

#: Distance of a material's joints in metres: along both axes alike.
JOINT_M = {
    "plain": 1.5,
    "asphalt": 3.1,
    "carpet": TILE_M / 4,
    "concrete": 2.6,
    "mat": 1.3,
    "tiles": TILE_M / 8,
}
JOINT_M["wood"] = math.inf
