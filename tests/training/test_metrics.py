"""Mean absolute error, R2 and correlation."""

import numpy as np
import pytest

from dingocar.training.metrics import compare


def test_against_numbers_worked_out_by_hand():
    found = compare(np.array([0.0, 0.5, 0.5]), np.array([0.0, 0.0, 1.0]))
    assert found["mae"] == pytest.approx(1 / 3)
    assert found["r2"] == pytest.approx(1 - 0.5 / (2 / 3))
    assert found["corr"] == pytest.approx(0.5)


def test_constant_labels_have_no_r2_and_no_correlation():
    found = compare(np.array([0.1, 0.3]), np.full(2, 0.2))
    assert found["mae"] == pytest.approx(0.1)
    assert (found["r2"], found["corr"]) == (None, None)


def test_a_constant_prediction_has_no_correlation():
    found = compare(np.zeros(4), np.array([1.0, -1.0, 1.0, -1.0]))
    assert found["r2"] == pytest.approx(0.0)
    assert found["corr"] is None
