"""Pictures that are in two tubs: those held out of the one would be trained on in the other."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np

from dingocar.errors import TrainingError
from dingocar.training.dataset import Dataset

#: A larger share of the pictures of the smaller of two tubs in the other one is no chance.
MOST = 0.05


def check_leaks(data: Dataset, labelled: int) -> None:
    """Checks that no tub shares pictures with one that has labels, and that none is there twice.

    Args:
        data: the tubs' pictures.
        labelled: how many of its tubs, the first ones, have labels.

    Raises:
        TrainingError: two do.
    """
    if len(data.tubs) == 1:
        return
    known: list[set[bytes]] = []
    for number, tub in enumerate(data.tubs):
        pictures = _pictures(data, number)
        for other, theirs in enumerate(known[:labelled]):
            shared = len(pictures & theirs)
            if shared > MOST * min(len(pictures), len(theirs)):
                raise TrainingError(
                    f"{tub.path}: {shared} of its {len(pictures)} pictures are in {data.tubs[other].path}, "
                    "too, where some of them are held out; give them once"
                )
        # Where all pictures repeat, and where neither tub has labels.
        for earlier in data.tubs[:number]:
            if tub.hash == earlier.hash:
                raise TrainingError(f"{tub.path}: holds the same records as {earlier.path}; give it once")
        known.append(pictures)


def _pictures(data: Dataset, tub: int) -> set[bytes]:
    """A digest of each of a tub's pictures, but for those that it has several times: there a car stands."""
    rows = np.flatnonzero(data.tub_numbers == tub)
    counts = Counter(hashlib.blake2b(data.images[row].data, digest_size=16).digest() for row in rows)
    return {digest for digest, count in counts.items() if count == 1}
