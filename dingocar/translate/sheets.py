"""Sheets of translated pictures, to be looked at: each beside what it came from, and there and back again."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dingocar.files import replacing
from dingocar.images import Uint8Array
from dingocar.translate._method import DIRECTIONS

#: Pictures of each domain, side by side.
COLUMNS = 8
TITLE_PX, GAP_PX, LEAST_WIDTH_PX = 14, 2, 80

Translate = Callable[[str, Uint8Array], Uint8Array]


def some(images: Uint8Array, count: int = COLUMNS) -> Uint8Array:
    """Some of the pictures, evenly from the first to the last."""
    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(np.intp)]


def sheet(
    pictures: Mapping[str, Uint8Array], directions: tuple[str, ...], translate: Translate
) -> Uint8Array:
    """Lays out pictures and their translations: uint8 (H, W, 3).

    Args:
        pictures: {"sim", "real": uint8 (N, H, W, 3)}.
        directions: what the translator can do.
        translate: (direction, pictures) to pictures.
    """
    rows: list[tuple[str, Uint8Array]] = []
    for direction in directions:
        domain, there = DIRECTIONS[direction], direction.removeprefix("to_")
        made = translate(direction, pictures[domain])
        rows += [(domain, pictures[domain]), (f"{domain} to {there}", made)]
        if f"to_{domain}" in directions:
            rows.append((f"{domain} to {there} to {domain}", translate(f"to_{domain}", made)))
        elif there in pictures:
            rows.append((f"{there}, to compare", pictures[there]))
    return laid_out(rows)


def laid_out(rows: list[tuple[str, Uint8Array]]) -> Uint8Array:
    """Rows of pictures of one shape, each under its title: uint8 (H, W, 3)."""
    height, width = rows[0][1].shape[1:3]
    scale = max(1, -(-LEAST_WIDTH_PX // width))
    each_px = height * scale + GAP_PX + TITLE_PX
    columns = max(len(images) for _, images in rows)
    canvas = Image.new("RGB", (columns * (width * scale + GAP_PX), len(rows) * each_px), (24, 24, 24))
    draw = ImageDraw.Draw(canvas)
    for number, (title, images) in enumerate(rows):
        draw.text((3, number * each_px), title, fill=(255, 255, 255))
        for column, image in enumerate(images):
            picture = Image.fromarray(image).resize((width * scale, height * scale), Image.Resampling.NEAREST)
            canvas.paste(picture, (column * (width * scale + GAP_PX), number * each_px + TITLE_PX))
    return np.array(canvas)


def save(image: Uint8Array, path: Path) -> Path:
    """Writes a sheet, whole or not at all, in the format that its name says."""
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, quality=90)
    return path


def png(image: Uint8Array) -> bytes:
    """A sheet as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()
