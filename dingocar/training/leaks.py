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
    """Checks that no tub shares pictures with one that has labels, whatever the labels say.

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
        known.append(pictures)


def _pictures(data: Dataset, tub: int) -> set[bytes]:
    """A digest of each of a tub's pictures, but for those that it has several times: there a car stands."""
    rows = np.flatnonzero(data.tub_numbers == tub)
    counts = Counter(hashlib.blake2b(data.images[row].data, digest_size=16).digest() for row in rows)
    return {digest for digest, count in counts.items() if count == 1}
