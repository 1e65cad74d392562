"""How well the domains can be told apart by a pilot's features: fresh classifiers, distances, projections.

A probe is a classifier that is trained on frozen features and judged on others (Alain and Bengio 2016,
"Understanding intermediate layers using linear classifier probes", arXiv:1610.01644). The classifier that a
pilot was trained against says little: a fresh one may tell apart what fools it. Pictures that follow each
other are near copies, so nothing here is ever split by single pictures, only by blocks.

This is the one place that knows scikit-learn; importing it loads neither that nor keras.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from dingocar.adapt._neighbours import entanglement, soft_neighbours
from dingocar.errors import MissingExtraError, PilotError, UsageError, did_you_mean
from dingocar.images import Uint8Array

if TYPE_CHECKING:
    import keras

__all__ = [
    "a_distance",
    "entanglement",
    "half_of_blocks",
    "neighbourhoods",
    "pilot_features",
    "plane",
    "probe_accuracy",
    "soft_neighbours",
    "stretches",
    "told_apart",
]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Kind = Literal["linear", "mlp"]

FEATURES = "features"
#: Most folds of a cross-validation; fewer where a domain has fewer blocks.
FOLDS = 5
#: Standardised features are cut off here: one that hardly moves in training would outweigh all others.
LIMIT = 6.0
_BATCH = 128


def pilot_features(network: keras.Model, images: Uint8Array) -> Float32Array:
    """What a pilot's heads read: the output of its layer `features`.

    Args:
        network: a pilot's, as `dingocar.zoo.artefact.load_network` or `Pilot.build` gives it.
        images: uint8 (N, H, W, 3) of the pilot's size.

    Returns:
        float32 (N, F).

    Raises:
        PilotError: the network has no such layer, the pictures do not fit, or a feature is no number.
    """
    import keras

    try:
        output = network.get_layer(FEATURES).output
    except ValueError:
        raise PilotError(
            f"network {network.name}: has no layer {FEATURES!r}, which its heads should read; see "
            "docs/pilots.md"
        ) from None
    expected = tuple(network.inputs[0].shape[1:])
    if images.dtype != np.uint8 or images.shape[1:] != expected or not len(images):
        raise PilotError(
            f"network {network.name}: expected uint8 pictures (N, {', '.join(map(str, expected))}), got "
            f"{images.dtype} {images.shape}"
        )
    seen = keras.Model(network.inputs[0], output)
    found = np.concatenate(
        [
            keras.ops.convert_to_numpy(
                keras.ops.cast(seen(np.asarray(images[at : at + _BATCH]), training=False), "float32")
            )
            for at in range(0, len(images), _BATCH)
        ]
    ).reshape(len(images), -1)
    if not np.isfinite(found).all():
        raise PilotError(
            f"network {network.name}: a feature is no finite number; its training diverged, train it again "
            "with a smaller learning rate"
        )
    return np.asarray(found, np.float32)


def stretches(runs: npt.ArrayLike, most: int = 20, least_frames: int = 10, gap_frames: int = 10) -> IntArray:
    """Cuts recordings into blocks of consecutive records with gaps between them.

    A gap is at most half as long as a block, and there is none between runs: they were recorded at
    different times.

    Args:
        runs: (N,) number of each record's run (a session of a tub), in recording order.
        most: about so many blocks in all; a run has at least one.
        least_frames: fewer, longer blocks are made rather than shorter ones.
        gap_frames: records left out between two blocks of a run.

    Returns:
        int64 (N,), each record's block from 0 upwards; -1: in a gap.

    >>> stretches([0] * 12 + [1] * 4, most=4, least_frames=4, gap_frames=2).tolist()
    [0, 0, 0, -1, 1, 1, 1, -1, 2, 2, 2, 2, 3, 3, 3, 3]
    """
    numbers = np.asarray(runs)
    blocks = np.full(len(numbers), -1, np.int64)
    frames = max(least_frames, -(-len(numbers) // max(1, most)))
    edges_of_runs = [0, *np.flatnonzero(np.diff(numbers)) + 1, len(numbers)]
    done = 0
    for first, stop in itertools.pairwise(edges_of_runs):
        edges = np.linspace(first, stop, max(1, (stop - first) // frames) + 1).round().astype(np.int64)
        for low, high in itertools.pairwise(edges):
            gap = min(gap_frames, int(high - low) // 3)
            inner = slice(
                low + gap // 2 if low > first else low, high - (gap + 1) // 2 if high < stop else high
            )
            blocks[inner] = done
            done += 1
    return blocks


def half_of_blocks(blocks: IntArray, seed: int = 0) -> BoolArray:
    """Which rows are of a half of the blocks, drawn by chance: bool (N,).

    Two halves of one domain show what a probe says where there is no difference.
    """
    names, index = np.unique(blocks, return_inverse=True)
    return np.asarray(np.random.default_rng([seed, 2]).permutation(len(names))[index] % 2 == 0)


def told_apart(
    source: npt.NDArray[Any],
    target: npt.NDArray[Any],
    source_blocks: IntArray,
    target_blocks: IntArray,
    kind: Kind = "linear",
    seed: int = 0,
) -> tuple[BoolArray, BoolArray]:
    """Which rows a fresh classifier tells right that was trained on other blocks.

    Whole blocks of both domains are held out, in up to `FOLDS` folds. Features are standardised by what
    is trained on, and both domains weigh the same.

    Args:
        source, target: features of the domains, (N, F) and (M, F).
        source_blocks, target_blocks: (N,) and (M,), the stretch that each row is from.
        kind: "linear" is logistic regression; "mlp" has one hidden layer of 64 and sees curved
            boundaries too.
        seed: of the folds and the classifier.

    Returns:
        bool (N,) and (M,).

    Raises:
        UsageError: no such kind, or features and blocks do not fit each other, or fewer than two blocks.
    """
    sides = (np.asarray(source, np.float64), np.asarray(target, np.float64))
    blocks = (np.asarray(source_blocks), np.asarray(target_blocks))
    _check(sides, blocks, kind)
    rng = np.random.default_rng([seed, 0])
    count = min(FOLDS, *(len(np.unique(each)) for each in blocks))
    folds = [_folds(each, count, rng) for each in blocks]
    right = (np.zeros(len(sides[0]), bool), np.zeros(len(sides[1]), bool))
    for fold in range(count):
        kept = [values[where != fold] for values, where in zip(sides, folds, strict=True)]
        rows = max(map(len, kept))
        # The smaller domain's rows are repeated: not every classifier can weigh its rows.
        train = np.concatenate([values[rng.permutation(rows) % len(values)] for values in kept])
        middle, spread = train.mean(axis=0), train.std(axis=0)
        spread = np.where(spread > 1e-7 * max(1.0, float(np.abs(train).max())), spread, 1.0)

        def scaled(
            values: FloatArray, middle: FloatArray = middle, spread: FloatArray = spread
        ) -> FloatArray:
            return np.clip((values - middle) / spread, -LIMIT, LIMIT)

        classifier = _classifier(kind, seed)
        with _quietly():
            classifier.fit(scaled(train), np.repeat([0, 1], rows))
            for side, (values, where) in enumerate(zip(sides, folds, strict=True)):
                held = where == fold
                right[side][held] = classifier.predict(scaled(values[held])) == side
    return right


def probe_accuracy(
    source: npt.NDArray[Any],
    target: npt.NDArray[Any],
    source_blocks: IntArray,
    target_blocks: IntArray,
    kind: Kind = "linear",
    seed: int = 0,
) -> float:
    """How often a fresh classifier tells the domains right on blocks it was not trained on, in [0, 1].

    The mean of both domains' shares (balanced accuracy), so that 0.5 is chance whatever their sizes. Where
    there is nothing to tell, few blocks may give less than that: what a fold leaves out, it learns
    less of. See `told_apart` for the arguments.
    """
    right = told_apart(source, target, source_blocks, target_blocks, kind, seed)
    return float(np.mean([said.mean() for said in right]))


def a_distance(accuracy: float) -> float:
    """The proxy A-distance 2 (1 - 2 error): 0 not to be told apart, 2 always.

    Source: Ben-David et al. 2007, "Analysis of Representations for Domain Adaptation". Less than 0 counts
    as 0.

    >>> a_distance(1.0), a_distance(0.75), a_distance(0.4)
    (2.0, 1.0, 0.0)
    """
    return max(0.0, 2 * (1 - 2 * (1 - accuracy)))


def plane(features: npt.NDArray[Any]) -> tuple[Float32Array, tuple[float, float]]:
    """The first two principal components: float32 (N, 2), and each one's share of the variance."""
    values = np.asarray(features, np.float64)
    values = values - values.mean(axis=0)
    left, sizes, right = np.linalg.svd(values, full_matrices=False)
    # The sign of a component is anyone's choice; this one does not depend on the linear algebra library.
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    placed = np.zeros((len(values), 2), np.float32)
    count = min(2, len(sizes))
    placed[:, :count] = (left * sizes * signs)[:, :count]
    shares = np.zeros(2)
    shares[:count] = (sizes**2 / max(float(np.sum(sizes**2)), 1e-300))[:count]
    return placed, (float(shares[0]), float(shares[1]))


def neighbourhoods(features: npt.NDArray[Any], seed: int = 0) -> Float32Array:
    """t-SNE: rows that are neighbours among the features stay neighbours in a plane; float32 (N, 2).

    Source: van der Maaten and Hinton 2008, "Visualizing Data using t-SNE". Distances between clusters and
    their sizes mean nothing.
    """
    try:
        from sklearn.manifold import TSNE
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "train", "a picture of the features") from None
    values = np.asarray(features, np.float64)
    nearness = min(30.0, max(2.0, (len(values) - 1) / 4))
    tsne = TSNE(perplexity=nearness, init="pca", max_iter=500, random_state=seed)
    with _quietly():
        return np.asarray(tsne.fit_transform(values), np.float32)


def _classifier(kind: Kind, seed: int) -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.neural_network import MLPClassifier
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "train", "a probe of the domains") from None
    if kind == "linear":
        return LogisticRegression(C=0.1, max_iter=300)
    return MLPClassifier(
        (64,), alpha=1e-2, learning_rate_init=5e-3, batch_size=64, max_iter=60, random_state=seed
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Runs scikit-learn on one thread, without remarks on a classifier that could get a little better.

    For problems as small as these more threads wait for each other: on two busy cores t-SNE of 1,200
    rows took 47 s with two, and 6 s with one.
    """
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        yield


def _folds(blocks: npt.NDArray[Any], count: int, rng: np.random.Generator) -> IntArray:
    """The fold that each row is held out in."""
    names, index = np.unique(blocks, return_inverse=True)
    order = np.empty(len(names), np.int64)
    order[rng.permutation(len(names))] = np.arange(len(names)) % count
    return order[index]


def _check(
    sides: tuple[FloatArray, FloatArray], blocks: tuple[npt.NDArray[Any], npt.NDArray[Any]], kind: str
) -> None:
    """Raises a `UsageError` unless a probe can be trained and judged."""
    if kind not in get_args(Kind):
        raise UsageError(f"unknown kind of probe {kind!r}{did_you_mean(kind, get_args(Kind))}")
    shapes = [values.shape for values in sides]
    if {len(shape) for shape in shapes} != {2} or shapes[0][1:] != shapes[1][1:]:
        raise UsageError(f"probe: expected features (N, F) and (M, F), got {shapes[0]} and {shapes[1]}")
    for side, (values, where) in enumerate(zip(sides, blocks, strict=True)):
        name = ("source", "target")[side]
        if where.shape != (len(values),):
            raise UsageError(
                f"probe: expected a block for each of {len(values)} {name} rows, got {where.shape}"
            )
        if len(np.unique(where)) < 2:
            raise UsageError(
                f"probe: the {name} rows are of fewer than 2 blocks, so there is nothing to hold out; give "
                "a longer recording"
            )
        if not np.isfinite(values).all():
            raise UsageError(f"probe: a {name} feature is no finite number")
