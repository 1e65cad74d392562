"""Channels: Donkeycar's put and get."""

import pytest

from dingocar.memory import Memory


def test_put_and_get():
    memory = Memory()
    memory.put(["a"], [1, 2])
    memory.put(["b", "c"], (3, 4))
    assert memory.get(["a", "b", "c", "unknown"]) == [[1, 2], 3, 4, None]
    assert list(memory.keys()) == ["a", "b", "c"]
    assert "a" in memory and "unknown" not in memory


def test_items_by_name_and_by_list_of_names():
    memory = Memory()
    memory["a"] = 1
    memory[["b", "c"]] = (2, 3)
    assert dict(memory.items()) == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize("value", [1, (1,), (1, 2, 3)])
def test_too_few_or_too_many_values(value):
    memory = Memory()
    with pytest.raises(ValueError, match="expected 2 values for a, b"):
        memory.put(["a", "b"], value)
    assert "a" not in memory
