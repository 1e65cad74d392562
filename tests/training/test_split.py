"""Validation blocks: contiguous, apart from the training frames, seeded."""

import numpy as np
import pytest

from dingocar.errors import TrainingError
from dingocar.training.split import split_blocks


def blocks_of(rows):
    return np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)


def split(n=1000, runs=None, tubs=None, **more):
    zeros = np.zeros(n, int)
    return split_blocks(zeros if tubs is None else tubs, zeros if runs is None else runs, **more)


@pytest.mark.parametrize("seed", range(5))
def test_thousand_frames_give_five_blocks_of_forty(seed):
    found = split(seed=seed)
    assert len(found.validation) == 200
    assert len(blocks_of(found.validation)) <= 5
    assert all(len(block) % 40 == 0 for block in blocks_of(found.validation))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gap", [0, 1, 10])
def test_no_training_frame_lies_within_the_gap_of_a_block(seed, gap):
    found = split(seed=seed, gap_frames=gap)
    nearest = np.abs(found.train[:, None] - found.validation[None]).min()
    assert nearest == gap + 1
    assert len(found.train) + len(found.validation) + found.dropped == 1000
    assert not set(found.train) & set(found.validation)


def test_the_seed_decides_and_nothing_else_does():
    first, again, other = split(seed=3), split(seed=3), split(seed=4)
    assert np.array_equal(first.validation, again.validation)
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.validation, other.validation)


def test_each_tub_gives_its_share():
    tubs = np.repeat([0, 1], [900, 100])
    found = split(tubs=tubs, runs=tubs, seed=1)
    assert np.bincount(tubs[found.validation]).tolist() == [180, 20]


def test_the_gap_stays_within_its_run():
    """Right behind the border of two runs, frames train although a block ends at the border."""
    runs = np.repeat([0, 1], [50, 950])
    for seed in range(300):
        found = split(runs=runs, seed=seed)
        held_out = np.isin([49, 50], found.validation)
        if held_out.tolist() == [True, False]:
            assert 50 in found.train
            break
        if held_out.tolist() == [False, True]:
            assert 49 in found.train
            break
    else:
        pytest.fail("no seed put a block at the border")


@pytest.mark.parametrize("n", [20, 60, 150])
def test_small_tubs_keep_sensible_blocks(n):
    found = split(n)
    assert all(len(block) >= min(10, n // 5) for block in blocks_of(found.validation))
    assert len(found.train) > n / 2


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_records_are_an_error(n):
    with pytest.raises(TrainingError, match="too few"):
        split(n)


@pytest.mark.parametrize("wrong", [{"fraction": 0}, {"fraction": 1}, {"blocks": 0}, {"gap_frames": -1}])
def test_arguments_out_of_range_are_an_error(wrong):
    with pytest.raises(TrainingError, match="expected"):
        split(**wrong)
