"""The channels of a vehicle: what one part writes, the next ones read."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, KeysView, Sequence, ValuesView
from typing import Any


class Memory:
    """Named values, with Donkeycar's `put` and `get`.

    >>> memory = Memory()
    >>> memory.put(["user/angle", "user/throttle"], (0.5, 0.3))
    >>> memory.get(["user/throttle", "never/written"])
    [0.3, None]
    """

    def __init__(self) -> None:
        self.channels: dict[str, Any] = {}

    def put(self, keys: Sequence[str], value: Any) -> None:
        """Stores `value` under one key, or its items under several.

        Raises:
            ValueError: several keys and a value that does not have as many items.
        """
        if len(keys) == 1:
            self.channels[keys[0]] = value
            return
        try:
            values = tuple(value)
        except TypeError:
            values = (value,)
        if len(values) != len(keys):
            raise ValueError(
                f"expected {len(keys)} values for {', '.join(keys) or 'no channel'}, got {len(values)}"
            )
        self.channels.update(zip(keys, values, strict=True))

    def get(self, keys: Iterable[str]) -> list[Any]:
        """The values of `keys`; None where nothing was written yet."""
        return [self.channels.get(key) for key in keys]

    def __getitem__(self, key: str) -> Any:
        return self.channels[key]

    def __setitem__(self, key: str | tuple[str, ...] | list[str], value: Any) -> None:
        self.put([key] if isinstance(key, str) else list(key), value)

    def __contains__(self, key: object) -> bool:
        return key in self.channels

    def keys(self) -> KeysView[str]:
        return self.channels.keys()

    def values(self) -> ValuesView[Any]:
        return self.channels.values()

    def items(self) -> ItemsView[str, Any]:
        return self.channels.items()
