"""Whatever happens, the chip shows neutral within 200 ms: each fault once (`make faults`: 20 times)."""

import pytest

from tests.faults.trial import FAULTS, LIMIT_MS, trial


@pytest.mark.parametrize("fault", FAULTS)
def test_the_car_stops(fault, tmp_path):
    assert trial(fault, tmp_path) < LIMIT_MS


def test_a_car_without_a_fault_drives_on(tmp_path):
    with pytest.raises(AssertionError, match="never stood still"):
        trial("none", tmp_path)
