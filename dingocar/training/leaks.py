"""Pictures that are in two tubs: those held out of the one would be trained on in the other."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np

from dingocar.errors import TrainingError
from dingocar.training.dataset import Dataset

#: More of a tub's pictures in another one are no chance.
MOST = 0.05


def check_leaks(data: Dataset, labelled: int) -> None:
    """Checks that tubs without labels share no pictures with those that have some, whatever their labels say.

    Args:
        data: the tubs' pictures.
        labelled: how many of its tubs, the first ones, have labels.

    Raises:
        TrainingError: two do.
    """
    if labelled == len(data.tubs):
        return
    known = {number: set(_pictures(data, number)) for number in range(labelled)}
    for number in range(labelled, len(data.tubs)):
        pictures = _pictures(data, number)
        for other, theirs in known.items():
            shared = sum(picture in theirs for picture in pictures)
            if shared > MOST * len(pictures):
                raise TrainingError(
                    f"--unlabelled {data.tubs[number].path}: {shared} of its {len(pictures)} pictures are in "
                    f"--tub {data.tubs[other].path}, too, where some of them are held out; give them once"
                )


def _pictures(data: Dataset, tub: int) -> list[bytes]:
    """A digest of each of a tub's pictures, but for those that it has several times: there a car stands."""
    rows = np.flatnonzero(data.tub_numbers == tub)
    counts = Counter(hashlib.blake2b(data.images[row].data, digest_size=16).digest() for row in rows)
    return [digest for digest, count in counts.items() if count == 1]
