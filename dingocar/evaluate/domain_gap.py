"""How far apart two sets of pictures are: a classifier that tells them apart, and a kernel distance.

Both look at features of a small convolutional network whose weights are drawn once from a fixed seed and
never trained. The figures can be compared with each other, not with published ones that use Inception.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.evaluate.pictures import PictureSet
from dingocar.images import Uint8Array

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

#: Filters of the frozen network's layers: 3 x 3, every second pixel, then the positive part.
FILTERS = (24, 32, 48)
#: Its weights' seed. Another one gives other figures, so it never changes.
FEATURE_SEED = 20180101
#: Strength of the classifier's weight decay, beside the sum of its losses over the pictures.
RIDGE = 30.0
FOLDS = 5
#: Features are cut off at so many standard deviations: cubed, one odd episode would outweigh all others.
LIMIT = 3.0
RESAMPLES = 200


@dataclass(frozen=True)
class Gap:
    """How far apart two sets are.

    Attributes:
        one, other: the sets' names.
        accuracy: mean of the two sets' shares of pictures told right, on blocks that were not trained
            on; 0.5 is chance.
        accuracy_low, accuracy_high: 95 % interval, blocks resampled.
        a_distance: proxy A-distance, 2 (1 - 2 error) (Ben-David et al. 2007, "Analysis of
            Representations for Domain Adaptation"): 0 not to be told apart, 2 always.
        kid: kernel distance; see `kernel_distance`.
        kid_low, kid_high: 95 % interval, blocks resampled.
        floor: both sets are halves of the same recording: what no difference looks like.
    """

    one: str
    other: str
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    a_distance: float
    kid: float
    kid_low: float
    kid_high: float
    floor: bool = False

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """On which side a third set falls.

    Attributes:
        one, other: what a classifier was trained to tell apart.
        asked: the set that it was then shown.
        share: of that set's pictures that it took for `one`.
    """

    one: str
    other: str
    asked: str
    share: float

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


class Comparison:
    """Several sets of pictures, as the frozen network sees them."""

    def __init__(
        self,
        sets: Sequence[PictureSet],
        also: Sequence[tuple[int, PictureSet]] = (),
        seed: int = 0,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Looks at all pictures.

        Args:
            sets: two or more, all pictures of one shape.
            also: a set's index, and another set that is compared with that one alone.
            seed: draws the halves, the folds and what is resampled.
            on_progress: is told how many sets have been looked at.

        Raises:
            UsageError: fewer than two sets, or pictures of several shapes.
        """
        self._all = [*sets, *(pictures for _, pictures in also)]
        if len(sets) < 2 or len({pictures.images.shape[1:] for pictures in self._all}) != 1:
            raise UsageError("expected at least two sets of pictures, all of one shape")
        self._count, self._partners, self._seed = len(sets), [one for one, _ in also], seed
        seen = []
        for done, pictures in enumerate(self._all):
            seen.append(features(pictures.images))
            if on_progress:
                on_progress(done + 1)
        known = np.concatenate(seen[: len(sets)])
        middle, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
        self._scaled = [np.clip((values - middle) / spread, -LIMIT, LIMIT) for values in seen]

    def gaps(self) -> list[Gap]:
        """Compares a half of each set's blocks with the other half as a floor, and then each pair of sets."""
        gaps = []
        for pictures, values in zip(self._all[: self._count], self._scaled, strict=False):
            half = half_of(pictures.blocks, np.random.default_rng([self._seed, 2]))
            halves = (values[half], pictures.blocks[half]), (values[~half], pictures.blocks[~half])
            gaps.append(self._gap((pictures.name, "its other half"), *halves, floor=True))
        pairs = list(combinations(range(self._count), 2))
        pairs += [(one, self._count + k) for k, one in enumerate(self._partners)]
        for i, j in pairs:
            names = self._all[i].name, self._all[j].name
            one, other = ((self._scaled[k], self._all[k].blocks) for k in (i, j))
            gaps.append(self._gap(names, one, other))
        return gaps

    def verdict(self, one: int, other: int, asked: int) -> Verdict:
        """Lets a classifier of two sets judge a third; all by their index."""
        values = self._scaled
        middle = np.concatenate([values[one], values[other]]).mean(axis=0)
        weights, bias = _logistic(values[one] - middle, values[other] - middle)
        taken = (values[asked] - middle) @ weights + bias <= 0
        return Verdict(self._all[one].name, self._all[other].name, self._all[asked].name, float(taken.mean()))

    def _gap(
        self,
        names: tuple[str, str],
        one: tuple[FloatArray, IntArray],
        other: tuple[FloatArray, IntArray],
        floor: bool = False,
    ) -> Gap:
        right = tell_apart(*one, *other, seed=self._seed)
        rng = np.random.default_rng([self._seed, 1])
        by_block = [
            np.array([said[blocks == block].mean() for block in np.unique(blocks)])
            for said, (_, blocks) in zip(right, (one, other), strict=True)
        ]
        accuracy = float(np.mean([said.mean() for said in right]))
        drawn = [
            np.mean([rng.choice(shares, len(shares)).mean() for shares in by_block]) for _ in range(RESAMPLES)
        ]
        low, high = (float(value) for value in np.quantile(drawn, (0.025, 0.975)))
        kid, kid_low, kid_high = kernel_distance(*one, *other, rng=rng)
        distance = max(0.0, 2 * (1 - 2 * (1 - accuracy)))
        return Gap(*names, accuracy, low, high, distance, kid, kid_low, kid_high, floor)


def half_of(blocks: IntArray, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which pictures are of a half of the blocks drawn by chance."""
    names, index = np.unique(blocks, return_inverse=True)
    return np.asarray(rng.permutation(len(names))[index] % 2 == 0)


def features(images: Uint8Array) -> FloatArray:
    """What the frozen network sees, float64 (N, F).

    Of each layer's maps the mean and the standard deviation over the picture's upper and lower half. The
    first layer sees the finest grain, so noise, blur and JPEG count as well as colours and shapes.

    Args:
        images: uint8 (N, H, W, 3), of at least 32 x 32.
    """
    rng = np.random.default_rng(FEATURE_SEED)
    weights, depth = [], 3
    for count in FILTERS:
        drawn = rng.standard_normal((9 * depth, count))
        drawn[:, ::2] -= drawn[:, ::2].mean(axis=0)  # every second filter sees differences alone
        weights.append((drawn / np.linalg.norm(drawn, axis=0)).astype(np.float32))
        depth = count
    found = []
    for first in range(0, len(images), 32):
        maps = images[first : first + 32].astype(np.float32) / 127.5 - 1
        parts = [_pooled(maps)]
        for weight in weights:
            maps = _convolved(maps, weight)
            parts.append(_pooled(maps))
        found.append(np.concatenate(parts, axis=1))
    return np.concatenate(found).astype(np.float64)


def tell_apart(
    one: FloatArray, one_blocks: IntArray, other: FloatArray, other_blocks: IntArray, seed: int = 0
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which pictures of either set a classifier tells right that was trained on other blocks.

    Logistic regression with weight decay, by Newton's method (iteratively reweighted least squares; Bishop
    2006, "Pattern Recognition and Machine Learning", 4.3.3). Both sets weigh the same. Whole blocks are
    left out, never single pictures.

    Args:
        one, other: features, (N, F) and (M, F).
        one_blocks, other_blocks: the block of each picture.
        seed: draws the folds.

    Returns:
        bool (N,) and (M,).
    """
    rng = np.random.default_rng([seed, 0])
    folds = [_folds(blocks, rng) for blocks in (one_blocks, other_blocks)]
    right = np.zeros(len(one), bool), np.zeros(len(other), bool)
    for fold in range(FOLDS):
        kept = one[folds[0] != fold], other[folds[1] != fold]
        middle = np.concatenate(kept).mean(axis=0)
        weights, bias = _logistic(kept[0] - middle, kept[1] - middle)
        for side, values in enumerate((one, other)):
            held = folds[side] == fold
            score = (values[held] - middle) @ weights + bias
            right[side][held] = (score > 0) == bool(side)
    return right


def kernel_distance(
    one: FloatArray,
    one_blocks: IntArray,
    other: FloatArray,
    other_blocks: IntArray,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """The squared maximum mean discrepancy of two sets with the kernel (x y / F + 1)^3, and its interval.

    As the kernel inception distance (Binkowski et al. 2018, "Demystifying MMD GANs", section 4), unbiased
    (Gretton et al. 2012), but with other features, and pairs of pictures of the same block are left out:
    they are near copies, and would make every set look narrow. Below 0: nearer than chance.

    Args:
        one, other: features, (N, F) and (M, F).
        one_blocks, other_blocks: the block of each picture.
        rng: draws the blocks that are resampled.

    Returns:
        The distance, and the ends of its 95 % interval.
    """
    inner_one = _block_means(one, one_blocks, one, one_blocks)
    inner_other = _block_means(other, other_blocks, other, other_blocks)
    across = _block_means(one, one_blocks, other, other_blocks)

    def distance(first: IntArray, second: IntArray) -> float:
        inner = 0.0
        for kernel, drawn in ((inner_one, first), (inner_other, second)):
            # A block that was drawn twice is no pair either.
            pairs = drawn[:, None] != drawn
            inner += float(kernel[np.ix_(drawn, drawn)][pairs].mean())
        return inner - 2 * float(across[np.ix_(first, second)].mean())

    count, other_count = across.shape
    whole = distance(np.arange(count, dtype=np.int64), np.arange(other_count, dtype=np.int64))
    again = [distance(_drawn(count, rng), _drawn(other_count, rng)) for _ in range(RESAMPLES)]
    low, high = (float(value) for value in np.quantile(again, (0.025, 0.975)))
    return whole, low, high


def _drawn(count: int, rng: np.random.Generator) -> IntArray:
    """As many blocks drawn with replacement; at least two different ones, so that there is a pair."""
    drawn = rng.integers(0, count, (count,))
    while count > 1 and (drawn == drawn[0]).all():
        drawn = rng.integers(0, count, (count,))
    return drawn


def _block_means(
    one: FloatArray, one_blocks: IntArray, other: FloatArray, other_blocks: IntArray
) -> FloatArray:
    """The kernel's mean over the pictures of each pair of blocks, (blocks of one, blocks of other)."""
    kernel = (one @ other.T / one.shape[1] + 1) ** 3
    for axis, blocks in ((0, one_blocks), (1, other_blocks)):
        names, index = np.unique(blocks, return_inverse=True)
        share = np.zeros((len(names), len(blocks)))
        share[index, np.arange(len(blocks))] = 1 / np.bincount(index)[index]
        kernel = share @ kernel if axis == 0 else kernel @ share.T
    return np.asarray(kernel)


def _folds(blocks: IntArray, rng: np.random.Generator) -> IntArray:
    """The fold that each picture is held out in."""
    names, index = np.unique(blocks, return_inverse=True)
    order = np.empty(len(names), np.int64)
    order[rng.permutation(len(names))] = np.arange(len(names)) % FOLDS
    return order[index]


def _logistic(one: FloatArray, other: FloatArray) -> tuple[FloatArray, float]:
    """Weights (F,) and bias; the score is positive for the other set."""
    values = np.concatenate([one, other])
    values = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    target = np.repeat([0.0, 1.0], [len(one), len(other)])
    share = np.repeat([len(values) / 2 / len(one), len(values) / 2 / len(other)], [len(one), len(other)])
    decay = np.full(values.shape[1], RIDGE)
    decay[-1] = 1e-3
    weights = np.zeros(values.shape[1])
    for _ in range(15):
        said = 1 / (1 + np.exp(-np.clip(values @ weights, -30, 30)))
        slope = values.T @ (share * (said - target)) + decay * weights
        bend = (values * (share * np.maximum(said * (1 - said), 1e-6))[:, None]).T @ values
        step = np.linalg.solve(bend + np.diag(decay), slope)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return weights[:-1], float(weights[-1])


def _convolved(maps: Float32Array, weight: Float32Array) -> Float32Array:
    """3 x 3 filters at every second place, then the positive part: (N, H, W, C) to (N, h, w, count)."""
    height, width = (maps.shape[1] - 1) // 2, (maps.shape[2] - 1) // 2
    shifted = [
        maps[:, row : row + 2 * height : 2, column : column + 2 * width : 2]
        for row in range(3)
        for column in range(3)
    ]
    patches = np.concatenate([part[:, :height, :width] for part in shifted], axis=3)
    return np.maximum(patches @ weight, 0)


def _pooled(maps: Float32Array) -> Float32Array:
    """Mean and standard deviation of each map over the upper and the lower half, (N, 4 C)."""
    half = maps.shape[1] // 2
    parts = [
        stat(part, axis=(1, 2)) for part in (maps[:, :half], maps[:, half:]) for stat in (np.mean, np.std)
    ]
    return np.concatenate(parts, axis=1)
