"""Validation blocks: contiguous, seeded, and kept apart from the training frames by a gap.

Neighbouring frames of a drive are near copies. A pilot that has seen frame 99 knows frame 100, so a
split by random frames measures memory. Here whole blocks of consecutive frames are held out, and the
frames right beside a block belong to neither side.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dingocar.errors import TrainingError

IntArray = npt.NDArray[np.int64]

#: A block shorter than this many frames says little; fewer, longer blocks are made instead.
MIN_BLOCK_FRAMES = 10


@dataclass(frozen=True)
class Split:
    """Which records train and which validate.

    Attributes:
        train: int64 (T,), ascending record positions.
        validation: int64 (V,), ascending record positions, disjoint from `train`.
        dropped: number of records in the gaps, which belong to neither.
    """

    train: IntArray
    validation: IntArray
    dropped: int


def split_blocks(
    tubs: npt.ArrayLike,
    runs: npt.ArrayLike,
    fraction: float = 0.2,
    blocks: int = 5,
    gap_frames: int = 10,
    seed: int = 0,
) -> Split:
    """Holds out contiguous blocks of records.

    Each tub is cut into `blocks` equal stretches, and in each stretch one block of
    `fraction` of its frames is held out, at a place drawn from `seed`. So every tub and every part of a
    drive is represented, and the same arguments always give the same split. A small tub gets fewer
    blocks, so that each has at least `MIN_BLOCK_FRAMES` frames if it can: 1,000 frames with the
    defaults give 5 blocks of 40; 60 frames give one of 12.

    Where a held-out stretch crosses from one run into the next it is two blocks, each within its run.
    Within a run the `gap_frames` records on either side of a block (at most half a block's length) are
    dropped. Between runs there is no gap: they were recorded at different times.

    Args:
        tubs: (N,) number of the tub of each record, records in recording order, tub after tub.
        runs: (N,) number of the run (a session of a tub) of each record.
        fraction: share of the records to hold out, in (0, 1).
        blocks: held-out blocks per tub, >= 1.
        gap_frames: records dropped on either side of a block, >= 0.
        seed: seed of the blocks' places.

    Raises:
        TrainingError: too few records for both sides, or arguments out of range.
    """
    tubs, runs = np.asarray(tubs), np.asarray(runs)
    if not 0 < fraction < 1 or blocks < 1 or gap_frames < 0:
        raise TrainingError(
            "split: expected 0 < fraction < 1, blocks >= 1 and gap_frames >= 0, "
            f"got fraction={fraction}, blocks={blocks}, gap_frames={gap_frames}"
        )
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(tubs), bool)
    near = np.zeros(len(tubs), bool)
    for tub in np.unique(tubs):
        first, stop = (int(v) for v in np.flatnonzero(tubs == tub)[[0, -1]] + (0, 1))
        for start, end in _places(first, stop, fraction, blocks, rng):
            held_out[start:end] = True
            gap = min(gap_frames, (end - start) // 2)
            for side in (slice(max(first, start - gap), start), slice(end, min(stop, end + gap))):
                border = runs[start] if side.stop == start else runs[end - 1]
                near[side] |= runs[side] == border
    train = np.flatnonzero(~held_out & ~near)
    validation = np.flatnonzero(held_out)
    if not len(train) or not len(validation):
        raise TrainingError(
            f"{len(tubs)} usable records are too few to train on and to validate with "
            f"(fraction {fraction}, gap {gap_frames}): record more, or lower the gap"
        )
    return Split(train, validation, len(tubs) - len(train) - len(validation))


def _places(
    first: int, stop: int, fraction: float, blocks: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Returns the (start, end) of each block to hold out of the records first..stop-1."""
    frames = stop - first
    blocks = max(1, min(blocks, round(frames * fraction) // MIN_BLOCK_FRAMES))
    edges = np.linspace(first, stop, blocks + 1).round().astype(int)
    places = []
    for low, high in itertools.pairwise(edges):
        length = max(1, round((high - low) * fraction))
        if length >= high - low:
            continue
        start = int(rng.integers(low, high - length + 1))
        places.append((start, start + length))
    return places
