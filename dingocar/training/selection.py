"""Which epoch's weights are kept, without a label of the target.

Source: Musgrave et al. 2021, "Unsupervised Domain Adaptation: A Reality Check", arXiv:2111.15672: choosing by
a label-free figure costs more than the difference between methods, so the figure is part of the method. Two
figures are here, each among the epochs alone whose loss on held-out source pictures is near the best:

- "probe": how well a fresh classifier tells the domains apart by the features (Ben-David et al. 2007, proxy
  A-distance); lower is better.
- "consistency": how far the steering on target pictures moves when they are augmented; lower is better. A
  pilot that steers the same whatever it sees is the most consistent one, so the loss must come first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dingocar.errors import TrainingError

if TYPE_CHECKING:
    from dingocar.training.domains import Selection
    from dingocar.training.heldout import HeldOut

#: Epochs whose source loss is above the best one's by a larger share are not chosen.
TOLERANCE = 0.2


class Chooser:
    """Says after each epoch which epoch's weights are the ones to keep.

    Args:
        select: the rule; see `Adaptation.select`.
        held_out: held-out pictures of both domains; only for a training in two domains.
        tolerance: share by which a loss may be above the best one's.

    Attributes:
        kept: the epoch whose weights to keep, from 1; 0 before the first.
        worth: the epochs that may yet become that one, `kept` among them. Their weights must be
            remembered: a later epoch with a better loss can rule `kept` out.

    Raises:
        TrainingError: there are too few pictures to choose by.
    """

    def __init__(
        self, select: Selection = "source", held_out: HeldOut | None = None, tolerance: float = TOLERANCE
    ) -> None:
        if select in ("probe", "consistency") and (held_out is None or not held_out.enough):
            raise TrainingError(
                f"--select {select}: needs held-out pictures of both domains, in two stretches each at "
                "least; give longer recordings, or --select last"
            )
        self.select, self.tolerance = select, tolerance
        self.kept, self.worth = 0, frozenset[int]()
        self._held_out = held_out
        self._least = math.inf
        self._score, self._penalty = 0.0, 0.0
        self._found: dict[int, tuple[float, float]] = {}

    @property
    def may_end(self) -> bool:
        """Whether the training may end before its last epoch, when nothing has got better for long.

        Otherwise what is chosen by has no end of its own: the method's weight, and the learning rate, are
        still on their way.
        """
        return self.select == "source"

    def look(self) -> dict[str, float]:
        """Measures the network after an epoch; returns the figures by name."""
        if self._held_out is None:
            return {}
        figures = self._held_out.figures()
        if self.select == "probe":
            self._score = figures["probe_accuracy"] = self._held_out.probe_accuracy()
        elif self.select == "consistency":
            self._score = figures["consistency"] = self._held_out.consistency()
        self._penalty = self._held_out.penalty()
        return figures

    def judge(self, epoch: int, val_loss: float, min_delta: float = 0.0) -> None:
        """Takes the epoch just looked at into account; `kept` and `worth` are right afterwards.

        Args:
            epoch: from 1.
            val_loss: loss on the held-out labelled pictures.
            min_delta: for "source": by how much a loss must be lower to be better.
        """
        if self.select == "last":
            self.kept, self.worth = epoch, frozenset([epoch])
        elif self.select == "source":
            if not self.kept or val_loss < self._least - min_delta:
                self.kept, self.worth, self._least = epoch, frozenset([epoch]), val_loss
        else:
            # Penalties are the same for all pictures: they would only make the tolerance a wide one.
            self._choose(epoch, max(0.0, val_loss - self._penalty))

    def _choose(self, epoch: int, loss: float) -> None:
        """The best score among the epochs with a good loss; of equal ones the earliest."""
        self._found[epoch] = (loss, self._score)
        self._least = min(self._least, loss)
        limit = self._least * (1 + self.tolerance)
        fit = {number: found for number, found in self._found.items() if found[0] <= limit}
        # Who is beaten in both is never chosen again; who is too bad now stays so, as the limit only falls.
        self._found = {
            number: (loss, score)
            for number, (loss, score) in fit.items()
            if not any(
                other != number and their <= loss and (theirs, other) < (score, number)
                for other, (their, theirs) in fit.items()
            )
        }
        self.kept = min(self._found, key=lambda number: (self._found[number][1], number))
        self.worth = frozenset(self._found)
