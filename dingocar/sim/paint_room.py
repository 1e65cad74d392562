"""Paints a room seen from its middle: walls with windows and posters, lamps, furniture, people."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from dingocar.sim.appearance import Appearance
from dingocar.sim.textures import noise

Float32Array = npt.NDArray[np.float32]

#: Height of the eye that looks around, in metres.
EYE_M = 0.25


@dataclass(frozen=True)
class _Room:
    """A room's inside, in metres; the eye is at the origin."""

    half_x_m: float
    half_y_m: float
    height_m: float
    dark_ceiling: bool


def paint_room(
    up: Float32Array, around: Float32Array, appearance: Appearance, rng: np.random.Generator
) -> Float32Array:
    """Returns the room, float32 (rows, columns, 3), by elevation (rows, 1) and azimuth (columns,)."""
    shape = (len(up), len(around))
    hall = rng.random() < 0.45
    room = _Room(
        rng.uniform(5, 16 if hall else 8),
        rng.uniform(5, 16 if hall else 8),
        rng.uniform(4.0, 7.0) if hall else rng.uniform(2.5, 3.4),
        hall and rng.random() < 0.8,
    )
    cosine, sine = np.cos(around), np.sin(around)
    to_x = np.float32(room.half_x_m) / np.maximum(np.abs(cosine), np.float32(1e-6))
    to_y = np.float32(room.half_y_m) / np.maximum(np.abs(sine), np.float32(1e-6))
    distance: Float32Array = np.minimum(to_x, to_y)
    # Which wall a column looks at, and where along it.
    wall = np.where(to_x < to_y, np.where(cosine > 0, 0, 2), np.where(sine > 0, 1, 3))
    along = distance * np.where(wall % 2 == 0, sine, cosine)
    tangent = np.tan(np.minimum(up, 1.5))
    height: Float32Array = distance * tangent + np.float32(EYE_M)
    tones = 1 + 0.2 * rng.uniform(-1, 1, 4).astype(np.float32)
    plaster = 1 + 0.04 * noise(rng, shape, 6, 300, 1.0)
    colour = np.asarray(appearance.colour("wall"), np.float32)
    lit = tones[wall] * (1 - 0.25 * np.clip(height / room.height_m, 0, 1)) * plaster
    picture = lit[..., None] * colour
    for index in range(4):
        columns = np.flatnonzero(wall == index)
        if len(columns):
            _furnish_wall(picture, columns, along[columns], height[:, columns], room, appearance.clutter, rng)
    _ceiling(picture, height, tangent, (cosine, sine), room, colour, rng)
    if appearance.clutter:
        _crowd(picture, up, around, appearance.clutter, rng)
    # The camera's pixels are larger than these, and are looked up without filtering.
    return _softened(picture)


def _furnish_wall(
    picture: Float32Array,
    columns: npt.NDArray[np.intp],
    along: Float32Array,
    height: Float32Array,
    room: _Room,
    clutter: float,
    rng: np.random.Generator,
) -> None:
    """Windows, doors, panels and posters of one wall."""
    low, high = float(along.min()), float(along.max())
    seen = picture[:, columns]
    count = rng.poisson(1.0 + 9 * clutter)
    if rng.random() < 0.35:  # panels all along: wood, glass or curtains
        shade = np.asarray(rng.choice([(0.55, 0.4, 0.28), (0.3, 0.3, 0.32), (0.85, 0.9, 0.95)]), np.float32)
        tone = shade * rng.uniform(90, 230)
        slats = 1 + 0.12 * np.sign(np.sin(along * rng.uniform(4, 30)))
        top = rng.uniform(0.6, 1.0) * room.height_m
        np.copyto(seen, (slats[:, None] * tone)[None], where=(height < top)[..., None])
    for _ in range(count):
        left = rng.uniform(low, high)
        width = math.exp(rng.uniform(math.log(0.3), math.log(3.0)))
        bottom = rng.uniform(-0.2, 1.2)
        top = min(bottom + math.exp(rng.uniform(math.log(0.4), math.log(2.5))), 0.97 * room.height_m)
        inside = (along > left) & (along < left + width) & (height > bottom) & (height < top)
        kind = rng.random()
        if kind < 0.25:  # a window
            np.copyto(seen, np.float32(rng.uniform(190, 255)), where=inside[..., None])
            bars = inside & (np.abs((along - left) % 0.6 - 0.3) > 0.26)
            np.copyto(seen, np.float32(rng.uniform(30, 120)), where=bars[..., None])
            continue
        hue = 1 + rng.normal(0, 0.15, 3)
        tone = np.full(3, rng.uniform(190, 245)) if rng.random() < 0.4 else rng.uniform(15, 235) * hue
        np.copyto(seen, np.clip(tone, 0, 255).astype(np.float32), where=inside[..., None])
        if kind > 0.5:  # a poster with writing
            letters = rng.random(24) < 0.5
            line = letters[((along - left) / width * 24).astype(np.intp) % 24]
            row = np.abs((height - bottom) / max(top - bottom, 0.1) - rng.uniform(0.3, 0.7)) < 0.17
            ink = 255 - np.clip(tone + rng.normal(0, 30, 3), 0, 255)
            np.copyto(seen, ink.astype(np.float32), where=(inside & row & line)[..., None])
    picture[:, columns] = seen


def _ceiling(
    picture: Float32Array,
    height: Float32Array,
    tangent: Float32Array,
    turned: tuple[Float32Array, Float32Array],
    room: _Room,
    wall: Float32Array,
    rng: np.random.Generator,
) -> None:
    """The ceiling with beams and rows of lamps, and the lamps' glow."""
    above = height > room.height_m
    away = (room.height_m - EYE_M) / np.maximum(tangent, 1e-3)
    x, y = away * turned[0], away * turned[1]
    pitch = rng.uniform(1.6, 3.6, 2)
    size = rng.uniform(0.25, 1.2), rng.uniform(0.15, 0.6)
    tone = wall * np.float32(rng.uniform(0.08, 0.25) if room.dark_ceiling else rng.uniform(0.6, 0.9))
    beams = 1 - np.float32(rng.uniform(0, 0.5)) * ((x + 50) % np.float32(pitch[0]) < 0.3)
    np.copyto(picture, tone * beams[..., None], where=above[..., None])
    x, y = (
        x + np.float32(50 * pitch[0] + rng.uniform(0, 2)),
        y + np.float32(50 * pitch[1] + rng.uniform(0, 2)),
    )
    lamps = above & (x % pitch[0] < size[0]) & (y % pitch[1] < size[1])
    works = rng.random((128, 128)) < 0.85
    lamps &= works[(x // pitch[0]).astype(np.intp) % 128, (y // pitch[1]).astype(np.intp) % 128]
    mask = Image.fromarray(np.where(lamps, np.uint8(255), np.uint8(0)))
    core = np.asarray(mask.filter(ImageFilter.BoxBlur(1)), np.float32)
    glow = np.asarray(mask.filter(ImageFilter.GaussianBlur(5)), np.float32)
    picture += (core * 1.2 + glow * 0.35)[..., None]


def _crowd(
    picture: Float32Array, up: Float32Array, around: Float32Array, clutter: float, rng: np.random.Generator
) -> None:
    """Tables, chairs, boxes and people between the eye and the walls, the farthest first."""
    count = rng.poisson(40 * clutter)
    for distance in -np.sort(-rng.uniform(2.0, 10.0, count)):
        azimuth = rng.uniform(0, 2 * math.pi)
        aside = (around - azimuth + math.pi) % (2 * math.pi) - math.pi
        columns = np.flatnonzero(np.abs(aside) < 1.2 / distance)
        x = np.tan(aside[columns]) * distance
        height = np.tan(up) * distance + EYE_M
        kind = rng.random()
        if kind < 0.35:
            parts = _person(x, height, rng)
        elif kind < 0.65:
            parts = [(_table(x, height, rng), _tone(rng))]
        else:
            box = (np.abs(x) < rng.uniform(0.15, 1.0)) & (height < rng.uniform(0.35, 1.3))
            parts = [(box, _tone(rng))]
        seen = picture[:, columns]
        # Lit from one side, as all that is round or has corners.
        shade = 1 - 0.25 * np.clip(x / 0.5, -1, 1)
        for inside, tone in parts:
            lit = np.clip(tone * shade[:, None], 0, 255).astype(np.float32)
            np.copyto(seen, lit[None], where=inside[..., None])
        picture[:, columns] = seen


def _tone(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A colour of clothes and furniture: mostly dark, seldom strong."""
    dark = rng.random() < 0.6
    return (rng.uniform(10, 60) if dark else rng.uniform(60, 215)) * (1 + rng.normal(0, 0.16, 3))


def _person(
    x: Float32Array, height: Float32Array, rng: np.random.Generator
) -> list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]]:
    """Legs, body with arms, head: what each covers, and its colour."""
    tall, stride = rng.uniform(1.3, 1.9), rng.uniform(0.07, 0.16)
    legs = (np.abs(np.abs(x) - stride * (1 - height / tall)) < 0.075) & (height <= 0.5 * tall)
    body = (np.abs(x) < 0.13 + 0.12 * (height / tall)) & (height < 0.85 * tall) & (height > 0.46 * tall)
    head = (x / 0.09) ** 2 + ((height - 0.92 * tall) / 0.12) ** 2 < 1
    skin = np.array((205.0, 160.0, 130.0)) * rng.uniform(0.35, 1.05)
    return [(legs, _tone(rng)), (body, _tone(rng)), (head, skin)]


def _table(x: Float32Array, height: Float32Array, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    wide, tall = rng.uniform(0.2, 0.9), rng.uniform(0.45, 0.8)
    top = (np.abs(x) < wide) & (np.abs(height - tall) < 0.035)
    legs = (np.abs(np.abs(x) - 0.9 * wide) < 0.03) & (height < tall)
    back = (np.abs(x - wide) < 0.05) & (height < 1.5 * tall)
    return np.asarray(top | legs | back)


def _softened(picture: Float32Array) -> Float32Array:
    """Each pixel with a little of its neighbours; the columns go round."""
    across = 0.5 * picture + 0.25 * (np.roll(picture, 1, axis=1) + np.roll(picture, -1, axis=1))
    rows = np.concatenate([across[:1], across, across[-1:]])
    return np.asarray(0.5 * across + 0.25 * (rows[:-2] + rows[2:]), np.float32)
