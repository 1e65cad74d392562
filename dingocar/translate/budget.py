"""How long a translator is trained: a number of steps, or minutes."""

from __future__ import annotations

from dataclasses import dataclass

from dingocar.errors import TranslatorError

#: Where neither is said. On two cores a good proxy takes 10 to 20 minutes at 60x80.
DEFAULT_MINUTES = 20.0


@dataclass(frozen=True)
class Budget:
    """How long to train.

    Attributes:
        steps: batches.
        minutes: of training, looking at sheets left out. Where both are given, whichever ends first.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise TranslatorError(f"steps: expected at least 1, got {self.steps}")
        if self.minutes is not None and not 0 < self.minutes <= 100_000:
            raise TranslatorError(f"minutes: expected a number above 0, at most 100000, got {self.minutes:g}")
        if self.steps is None and self.minutes is None:
            object.__setattr__(self, "minutes", DEFAULT_MINUTES)

    def share(self, steps: int, seconds: float) -> float:
        """The share that is done, 1 at the end.

        >>> Budget(steps=10).share(5, 1000.0), Budget(minutes=1).share(5, 90.0)
        (0.5, 1.0)
        """
        by_steps = 0.0 if self.steps is None else steps / self.steps
        by_time = 0.0 if self.minutes is None else seconds / (60 * self.minutes)
        return min(1.0, max(by_steps, by_time))


def learning_rate(highest: float, share: float) -> float:
    """Constant in the first half, then linear to 0 (arXiv:1703.10593, section 4).

    >>> learning_rate(1.0, 0.3), learning_rate(1.0, 0.75)
    (1.0, 0.5)
    """
    return highest * min(1.0, 2.0 * (1.0 - share))
