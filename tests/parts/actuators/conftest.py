"""A chip on a bus, for all tests of actuators."""

import pytest

from tests.fakes.chip import FakeChip
from tests.fakes.clock import FakeClock


@pytest.fixture
def chip(tmp_path):
    chip = FakeChip.create(tmp_path / "chip")
    yield chip
    chip.hang(False)
    chip.close()


@pytest.fixture
def bus(chip):
    return f"tests.fakes.chip:open_bus?{chip.path}"


@pytest.fixture
def clock():
    return FakeClock()
