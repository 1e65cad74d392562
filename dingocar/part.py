"""The part protocol: what the vehicle calls, all of it Donkeycar's but `neutral` and `produced`.

A part is any object with

- `run(*inputs) -> outputs`, called once per loop; or, when added with `threaded=True`,
- `update()`, which loops in a thread of its own, and `run_threaded(*inputs) -> outputs`, called once
  per loop;

and, if it wants,

- `neutral()`: brings what it moves to rest, at once and from whatever state. The vehicle calls it first
  of all when a drive ends, however it ends, and may call it from another thread while `run` hangs;
- `shutdown()`: frees what it holds. `update()` must return soon after it;
- `produced`: an integer that grows with each fresh output, for parts whose output may rightly stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dingocar.errors import WiringError


@dataclass(eq=False)
class Entry:
    """A part as it was added to a vehicle."""

    part: Any
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    threaded: bool
    run_condition: str | None
    neutral_inputs: tuple[Any, ...] | None
    max_age_s: float | None
    call: Callable[..., Any] = field(init=False)

    def __post_init__(self) -> None:
        needed = ("run_threaded", "update") if self.threaded else ("run",)
        missing = [name for name in needed if not callable(getattr(self.part, name, None))]
        if missing:
            how = "a threaded part" if self.threaded else "a part"
            hint = (
                "; add it with threaded=True"
                if not self.threaded and hasattr(self.part, "run_threaded")
                else ""
            )
            raise WiringError(f"part {self.name}: {how} needs {' and '.join(missing)}(){hint}")
        if self.max_age_s is not None and not self.threaded:
            raise WiringError(f"part {self.name}: max_age_s is for threaded parts only")
        if self.neutral_inputs is not None and len(self.neutral_inputs) != len(self.inputs):
            raise WiringError(
                f"part {self.name}: neutral needs {len(self.inputs)} values, one for each of "
                f"{', '.join(self.inputs)}; got {len(self.neutral_inputs)}"
            )
        self.call = self.part.run_threaded if self.threaded else self.part.run

    @property
    def actuates(self) -> bool:
        """True when the part moves something that must be brought to rest."""
        return self.neutral_inputs is not None or callable(getattr(self.part, "neutral", None))

    def bring_to_neutral(self) -> None:
        """Calls the part's `neutral()`, or runs it with the neutral inputs it was added with."""
        if self.neutral_inputs is not None:
            self.call(*self.neutral_inputs)
        else:
            self.part.neutral()


def channel_names(names: Sequence[str], what: str, part: str) -> tuple[str, ...]:
    """Checks a part's list of channels.

    Raises:
        WiringError: a bare string (which would be taken letter by letter) or something not a string.
    """
    if isinstance(names, str):
        raise WiringError(f"part {part}: {what} must be a list, got {names!r}; write [{names!r}]")
    for name in names:
        if not isinstance(name, str) or not name:
            raise WiringError(f"part {part}: {what} must be channel names, got {name!r}")
    return tuple(names)
