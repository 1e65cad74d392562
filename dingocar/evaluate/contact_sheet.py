"""Contact sheets: pictures of several domains under each other, to be judged by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from dingocar.errors import UsageError
from dingocar.evaluate.pictures import PictureSet
from dingocar.images import Uint8Array

#: Height of a set's title in pixels, and the gap between pictures.
TITLE_PX, GAP_PX = 16, 2


def contact_sheet(sets: Sequence[PictureSet], columns: int = 8, rows: int = 2) -> Uint8Array:
    """Lays out some pictures of each set, as different ones as it has: uint8 (H, W, 3).

    Args:
        sets: the sets, from top to bottom; all pictures of one shape.
        columns: pictures beside each other.
        rows: rows of each set.

    Raises:
        UsageError: no sets, or pictures of several shapes.
    """
    if not sets or len({pictures.images.shape[1:] for pictures in sets}) != 1:
        raise UsageError("a contact sheet needs at least one set, and all pictures of one shape")
    height, width = sets[0].images.shape[1:3]
    block_px = TITLE_PX + rows * (height + GAP_PX)
    sheet = Image.new("RGB", (columns * (width + GAP_PX), len(sets) * block_px), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for index, pictures in enumerate(sets):
        top = index * block_px
        draw.text((3, top + 2), pictures.name, fill=(255, 255, 255))
        for place, number in enumerate(_chosen(pictures, columns * rows)):
            at = (
                place % columns * (width + GAP_PX),
                top + TITLE_PX + place // columns * (height + GAP_PX),
            )
            sheet.paste(Image.fromarray(pictures.images[number]), at)
    return np.array(sheet)


def _chosen(pictures: PictureSet, count: int) -> list[int]:
    """Pictures from as many blocks as there are, in their order, not all at the same place of a block."""
    names = np.unique(pictures.blocks)
    turns: dict[int, int] = {}
    chosen = []
    for place in range(count):
        block = int(names[place * len(names) // count if count <= len(names) else place % len(names)])
        members = np.flatnonzero(pictures.blocks == block)
        turn = turns.get(block, 0)
        turns[block] = turn + 1
        chosen.append(int(members[(turn * 7 + place * 3) % len(members)]))
    return sorted(chosen, key=lambda number: (int(pictures.blocks[number]), number))
