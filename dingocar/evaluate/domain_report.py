"""How far a pilot's features tell simulated from real pictures, and how far a look alone changes them.

Features that cannot be told apart are no proof that the pilot drives in the other domain: Zhao et al. 2019,
"On Learning Invariant Representations for Domain Adaptation", arXiv:1901.09453. So the errors of its steering
stand beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.adapt import probes
from dingocar.errors import PilotError
from dingocar.evaluate.domain_report_frames import DOMAINS, Frames
from dingocar.evaluate.domain_report_pairs import Pairs, Seen, compare_pairs, see_in_two_looks
from dingocar.training.domains import SOURCE, TARGET
from dingocar.tub.info import STRAIGHT
from dingocar.zoo import read_card

KINDS: tuple[probes.Kind, ...] = ("linear", "mlp")
RESAMPLES = 1000
#: Longest side of a picture that a pilot's card may ask for.
MOST_PIXELS = 4096
#: Most pictures whose entanglement is measured.
MOST_ENTANGLED = 1000
#: Steering bins, by their number.
BINS = ("left", "straight", "right")

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
#: Told the share that is done, from 0 to 1.
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Probe:
    """What a fresh classifier made of two sets of features.

    Attributes:
        accuracy: mean of both sets' shares told right, on stretches that it was not trained on.
        low, high: 95 % interval, stretches resampled.
        a_distance: `dingocar.adapt.probes.a_distance` of the accuracy.
    """

    accuracy: float
    low: float
    high: float
    a_distance: float


@dataclass(frozen=True)
class Entangled:
    """A soft nearest neighbour loss, and the most it could be with classes of these sizes."""

    loss: float
    most: float


@dataclass(frozen=True)
class DomainReport:
    """All figures of a report.

    Attributes:
        model: the pilot's file.
        pilot: its name in the zoo.
        method: name of the method that it was adapted with; None: with none.
        width: number of features.
        frames, blocks: pictures and stretches by domain.
        skipped: pictures that could not be decoded.
        probes: by kind: the domains against each other.
        floors: by domain and kind: half of its stretches against the other half, where nothing differs.
        domain_entanglement: of the domains.
        steering_entanglement: by domain: of left, straight and right; None where too few have a label.
        mae: by domain, of the pilot's steering beside the labels of these pictures, whether it was
            trained on them or not; None: no labels.
        pairs: what the look alone changes.
        seed: of all that was drawn.
    """

    model: str
    pilot: str
    method: str | None
    width: int
    frames: dict[str, int]
    blocks: dict[str, int]
    skipped: int
    probes: dict[str, Probe]
    floors: dict[str, dict[str, Probe]]
    domain_entanglement: Entangled
    steering_entanglement: dict[str, Entangled | None]
    mae: dict[str, float | None]
    pairs: Pairs
    seed: int

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Material:
    """What the figures were made of: for pictures and for files.

    Attributes:
        frames: N pictures.
        features: float32 (N, F).
        plane: float32 (N, 2), their first two principal components.
        explained: share of the variance of each of them.
        steering, throttle: float32 (N,), the pilot's.
        seen: the states in two looks.
    """

    frames: Frames
    features: Float32Array
    plane: Float32Array
    explained: tuple[float, float]
    steering: Float32Array
    throttle: Float32Array
    seen: Seen


def picture_size(model: Path | str) -> tuple[int, int]:
    """Height and width of the pictures that a pilot takes whose features can be seen; loads no keras.

    Raises:
        PilotError: no `.keras` pilot.
    """
    model = Path(model)
    if model.suffix in (".tflite", ".h5"):
        raise PilotError(
            f"{model}: a {model.suffix} file gives a pilot's commands, and not the features they are made "
            "from; give the .keras file of the training"
        )
    shape = read_card(model)["image_shape"]
    if len(shape) != 3 or not all(isinstance(side, int) and 0 < side <= MOST_PIXELS for side in shape):
        raise PilotError(f"{model}: expected pictures of (height, width, 3), its card says {shape}")
    return shape[0], shape[1]


def make_report(
    model: Path | str,
    frames: Frames,
    looks: tuple[str, str] = ("flat", "photo"),
    track: str = "circuit",
    seed: int = 0,
    on_progress: Progress = lambda share: None,
) -> tuple[DomainReport, Material]:
    """Looks at a pilot's features of both domains.

    Args:
        model: a `.keras` pilot.
        frames: pictures of both domains, of the pilot's size; see `picture_size` and `take_frames`.
        looks: two looks of the simulator that the same states are seen in.
        track: where those are driven.
        seed: of all that is drawn.
        on_progress: told how much is done, from 0 to 1.

    Raises:
        PilotError: no `.keras` pilot with a layer `features`, or pictures of another size.
        UsageError: the same look twice.
        UnknownNameError: no such look or track.
    """
    size = picture_size(model)
    if frames.images.shape[1:3] != size:
        raise PilotError(
            f"{model}: the pilot takes pictures of {size[0]}x{size[1]} pixels, got {frames.images.shape[1:3]}"
        )
    seen = see_in_two_looks(looks, size, track, seed, lambda share: on_progress(0.3 * share))
    pilot = _Pilot(Path(model))
    one, other = (pilot.look(pictures.images) for pictures in (seen.one, seen.other))
    pairs = compare_pairs(seen, (one[0], other[0]), (one[1], other[1]), seed)
    on_progress(0.4)
    features, steering, throttle = pilot.look(frames.images)
    on_progress(0.5)
    report = DomainReport(
        model=str(model),
        pilot=pilot.name,
        method=pilot.method,
        width=features.shape[1],
        frames={domain: len(frames.rows(domain)) for domain in DOMAINS},
        blocks={domain: len(np.unique(frames.blocks[frames.rows(domain)])) for domain in DOMAINS},
        skipped=frames.skipped,
        mae={domain: _mae(frames, steering, domain) for domain in DOMAINS},
        pairs=pairs,
        seed=seed,
        **_measured(frames, features, seed, lambda share: on_progress(0.5 + 0.5 * share)),
    )
    placed, explained = probes.plane(features)
    return report, Material(frames, features, placed, explained, steering, throttle, seen)


class _Pilot:
    """A pilot whose features can be looked at."""

    def __init__(self, file: Path) -> None:
        from dingocar.zoo.artefact import load_network
        from dingocar.zoo.interpreter import KerasInterpreter

        self._pilot, self._network, card = load_network(file)
        self._interpreter = KerasInterpreter(self._network)
        self.name = self._pilot.name
        adapted = card.get("domain_method")
        # Older files hold the name alone, and anybody may have written the card.
        name = adapted.get("name") if isinstance(adapted, dict) else adapted
        self.method = str(name) if name else None

    def look(self, images: npt.NDArray[np.uint8]) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Features (N, F), steering (N,) and throttle (N,)."""
        features = probes.pilot_features(self._network, images)
        steering, throttle = self._pilot.decode(self._interpreter.run_batch(images))
        return features, np.asarray(steering, np.float32), np.asarray(throttle, np.float32)


def _measured(taken: Frames, features: Float32Array, seed: int, on_progress: Progress) -> dict[str, Any]:
    """Probes, floors and entanglement of the domains."""
    rows = {domain: taken.rows(domain) for domain in DOMAINS}
    sides = {"": (rows[SOURCE], rows[TARGET])}
    for domain in DOMAINS:
        half = probes.half_of_blocks(taken.blocks[rows[domain]], seed)
        sides[domain] = (rows[domain][half], rows[domain][~half])
    found: dict[str, dict[str, Probe]] = {name: {} for name in sides}
    done = 0
    for name, (one, other) in sides.items():
        for kind in KINDS:
            found[name][kind] = _probe(features, taken.blocks, one, other, kind, seed)
            done += 1
            on_progress(done / (len(sides) * len(KINDS)))
    entangled = _domain_entanglement(taken, features, seed)
    by_steering = {domain: _steering_entanglement(taken, features, domain, seed) for domain in DOMAINS}
    return {
        "probes": found.pop(""),
        "floors": found,
        "domain_entanglement": entangled,
        "steering_entanglement": by_steering,
    }


def _probe(
    features: Float32Array, blocks: IntArray, one: IntArray, other: IntArray, kind: probes.Kind, seed: int
) -> Probe:
    right = probes.told_apart(features[one], features[other], blocks[one], blocks[other], kind, seed)
    rng = np.random.default_rng([seed, 4])
    accuracy, drawn = 0.0, np.zeros(RESAMPLES)
    for said, rows in zip(right, (one, other), strict=True):
        index = np.unique(blocks[rows], return_inverse=True)[1]
        sizes = np.bincount(index)
        sums = np.bincount(index, said.astype(float))
        again = rng.integers(0, len(sizes), (RESAMPLES, len(sizes)))
        accuracy += said.mean() / 2
        drawn += sums[again].sum(axis=1) / sizes[again].sum(axis=1) / 2
    low, high = (float(value) for value in np.quantile(drawn, (0.025, 0.975)))
    return Probe(float(accuracy), low, high, probes.a_distance(float(accuracy)))


def _entangled(features: Float32Array, labels: npt.NDArray[Any], blocks: IntArray, seed: int) -> Entangled:
    if len(features) > MOST_ENTANGLED:  # all are compared with each other
        drawn = np.random.default_rng([seed, 6]).choice(len(features), MOST_ENTANGLED, replace=False)
        features, labels, blocks = features[drawn], labels[drawn], blocks[drawn]
    return Entangled(
        probes.entanglement(features, labels, seed, blocks),
        probes.soft_neighbours(features, labels, math.inf, blocks),
    )


def _domain_entanglement(taken: Frames, features: Float32Array, seed: int) -> Entangled:
    """Of as many rows of both domains."""
    rng = np.random.default_rng([seed, 5])
    least = min(len(taken.rows(domain)) for domain in DOMAINS)
    chosen = np.concatenate([rng.choice(taken.rows(domain), least, replace=False) for domain in DOMAINS])
    return _entangled(features[chosen], taken.domains[chosen], taken.blocks[chosen], seed)


def _steering_entanglement(taken: Frames, features: Float32Array, domain: str, seed: int) -> Entangled | None:
    rows = taken.rows(domain)
    rows = rows[np.isfinite(taken.steering[rows])]
    bins = steering_bins(taken.steering[rows])
    blocks = taken.blocks[rows]
    # A bin that only one stretch has cannot be compared with itself.
    spread = [number for number in range(len(BINS)) if len(np.unique(blocks[bins == number])) > 1]
    kept = np.isin(bins, spread)
    if len(spread) < 2:
        return None
    return _entangled(features[rows[kept]], bins[kept], blocks[kept], seed)


def steering_bins(steering: npt.NDArray[Any]) -> IntArray:
    """0 left, 1 straight, 2 right, as `dingocar tub info` counts them; int64 (N,).

    >>> steering_bins(np.array([-0.5, 0.05, 0.11])).tolist()
    [0, 1, 2]
    """
    return np.asarray(np.digitize(steering, [-STRAIGHT, np.nextafter(STRAIGHT, 1)]), np.int64)


def _mae(taken: Frames, steering: Float32Array, domain: str) -> float | None:
    rows = taken.rows(domain)
    apart = np.abs(steering[rows] - taken.steering[rows])
    return float(np.nanmean(apart)) if np.isfinite(apart).any() else None
