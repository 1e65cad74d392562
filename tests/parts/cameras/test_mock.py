import numpy as np

from dingocar.parts.cameras.mock import MockCamera


def test_moves_and_depends_on_the_seed_alone():
    first, again, other = MockCamera((30, 40)), MockCamera((30, 40)), MockCamera((30, 40), seed=1)
    a, b = first.read(), first.read()
    assert a.shape == (30, 40, 3) and a.dtype == np.uint8
    assert not np.array_equal(a, b)
    assert np.array_equal(again.read(), a) and np.array_equal(again.read(), b)
    assert not np.array_equal(other.read(), a)
    assert np.array_equal(np.roll(a, 2, axis=1), b)  # to the right


def test_takes_any_size():
    for shape in ((1, 1), (7, 3), (120, 160)):
        assert MockCamera(shape).read().shape == (*shape, 3)
