"""What an adaptation does to the domains, seen on held-out pictures while it trains. No label is read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from dingocar.adapt import probes
from dingocar.training.augment import Augment
from dingocar.training.dataset import Dataset
from dingocar.zoo import Pilot

if TYPE_CHECKING:
    from dingocar.training.adapting import Adapted
    from dingocar.training.domains import Domains

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

#: What may be measured after an epoch, by name.
FIGURES = ("domain_accuracy", "entanglement", "entanglement_most", "probe_accuracy", "consistency")
#: Pictures of each domain that are looked at: one for so many that are trained on, and at least and most.
SHARE, LEAST, MOST = 80, 50, 400
#: Most of each that are compared with each other; the time grows with its square.
ENTANGLED = 64
#: Blocks that a domain is cut into, where there are fewer: a probe is judged on other blocks than its own.
BLOCKS = 20
#: The changes under which steering should stay what it is. A shift or a mirror image asks for another.
UNDER = Augment(light_p=1.0, shift_p=0.0, shadow_p=0.5, blur_p=0.5, noise_p=1.0)


class HeldOut:
    """Held-out pictures of both domains, and what the network in training makes of them.

    Args:
        adapted: the network in training.
        pilot: turns its outputs into steering.
        data: the records.
        domains: which are held out.
        frames: pictures in an epoch: looking at these must cost next to nothing beside it.
        seed: of what is drawn.
        thorough: look at `MOST` pictures whatever it costs: an epoch is chosen by them.

    Attributes:
        enough: whether there are pictures of both domains, in at least two stretches each.
    """

    def __init__(
        self,
        adapted: Adapted,
        pilot: Pilot,
        data: Dataset,
        domains: Domains,
        frames: int,
        seed: int = 0,
        thorough: bool = False,
    ) -> None:
        self._adapted, self._pilot, self._data = adapted, pilot, data
        self._method = domains.method if domains.has_classifier else None
        self._seed = seed
        limit = MOST if thorough else min(MOST, max(LEAST, frames // SHARE))
        sides = (domains.held_source, domains.held_target)
        self._source, self._target = (_spread(rows, data.runs, limit) for rows in sides)
        self.enough = all(len(np.unique(blocks)) >= 2 for _, blocks in (self._source, self._target))
        self._features: tuple[FloatArray, FloatArray] = (np.zeros((0, 0)), np.zeros((0, 0)))
        self._pairs: tuple[Any, Any] | None = None

    def figures(self) -> dict[str, float]:
        """The domains as they are seen now.

        Returns:
            "domain_accuracy": how often the method's own classifier, or a fresh linear one where it has none,
            tells the domains right, in [0, 1], 0.5 by chance; "entanglement": see `probes.entanglement`;
            "entanglement_most": what it would be if all were mixed, the same at every call. Empty where there
            are not enough pictures.
        """
        if not self.enough:
            return {}
        self._features = self._seen(self._source[0]), self._seen(self._target[0])
        return {"domain_accuracy": self._domain_accuracy(), **self._entanglement()}

    def probe_accuracy(self) -> float:
        """How often a fresh classifier with a hidden layer tells the domains right, by the latest figures'
        features, in [0, 1].

        A linear one would do for a choice among methods without a classifier; those with a linear one learn
        to fool just that.
        """
        return self._probe("mlp")

    def consistency(self) -> float:
        """By how much steering moves when target pictures are changed in light, sharpness and noise.

        The mean absolute change, in [0, 2]; the changes are the same at every call.
        """
        if self._pairs is None:
            plain = self._data.images[self._target[0]]
            draw = UNDER.draw(np.random.default_rng([self._seed, 0xC0]), len(plain))
            self._pairs = plain, draw.images(plain)
        before, after = (self._steering(pictures) for pictures in self._pairs)
        return float(np.mean(np.abs(after - before)))

    def penalty(self) -> float:
        """The share of a loss that is the network's penalties on its weights, whatever the pictures."""
        from keras import ops

        return sum(float(ops.convert_to_numpy(loss)) for loss in self._adapted.network.losses)

    def _seen(self, rows: IntArray) -> FloatArray:
        """The features of records, (N, F)."""
        return np.asarray(self._adapted.features(self._data.images[rows]))

    def _probe(self, kind: Literal["linear", "mlp"]) -> float:
        source, target = self._features
        return probes.probe_accuracy(source, target, self._source[1], self._target[1], kind, self._seed)

    def _domain_accuracy(self) -> float:
        source, target = self._features
        if self._method is None:
            return self._probe("linear")
        # As many of both, as in training: a method may standardise over both together.
        rows = max(len(source), len(target))
        even = [np.take(values, range(rows), axis=0, mode="wrap") for values in (source, target)]
        said = self._method.said_sim(even[0], even[1], self._adapted.method_layers)
        if said is None:
            return self._probe("linear")
        from keras import ops

        is_sim = ops.convert_to_numpy(said).reshape(2, rows) > 0.5
        return float(is_sim[0, : len(source)].mean() + (~is_sim[1, : len(target)]).mean()) / 2

    def _entanglement(self) -> dict[str, float]:
        rows = min(ENTANGLED, *map(len, self._features))
        some = [_even(len(values), rows) for values in self._features]
        features = np.concatenate([self._features[0][some[0]], self._features[1][some[1]]])
        source, target = self._source[1][some[0]], self._target[1][some[1]]
        blocks = np.concatenate([source, target + source.max() + 1])
        labels = np.repeat([0, 1], rows)
        return {
            "entanglement": probes.entanglement(features, labels, self._seed, blocks),
            "entanglement_most": probes.soft_neighbours(features, labels, math.inf, blocks),
        }

    def _steering(self, pictures: npt.NDArray[np.uint8]) -> FloatArray:
        """The steering of uint8 (N, H, W, 3) pictures, (N,) in [-1, 1]."""
        from keras import ops

        parts = []
        for start in range(0, len(pictures), 128):
            outputs = self._adapted.network(pictures[start : start + 128], training=False)
            parts.append(self._pilot.decode({k: ops.convert_to_numpy(v) for k, v in outputs.items()})[0])
        return np.concatenate(parts)


def _spread(rows: IntArray, runs: IntArray, limit: int) -> tuple[IntArray, IntArray]:
    """Up to `limit` of the rows, evenly spread, and the stretch that each is from; gaps are left out."""
    if not len(rows):
        return rows, rows
    # What was held out in one piece is cut up where that leaves too few blocks to hold some out of.
    breaks = (np.diff(rows) != 1) | (np.diff(runs[rows]) != 0)
    pieces = np.concatenate([[0], np.cumsum(breaks)])
    blocks = probes.stretches(pieces, BLOCKS, least_frames=max(2, min(10, len(rows) // 4)))
    kept = np.flatnonzero(blocks >= 0)
    kept = kept[_even(len(kept), min(limit, len(kept)))]
    return rows[kept], blocks[kept]


def _even(count: int, wanted: int) -> IntArray:
    """`wanted` places among `count`, evenly spread."""
    return np.linspace(0, count - 1, wanted).round().astype(np.int64)
