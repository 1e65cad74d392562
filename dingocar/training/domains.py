"""Which records of two domains a pilot is adapted on: streams of simulated and real pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from dingocar.adapt import Method, methods
from dingocar.errors import TrainingError, UnknownNameError, did_you_mean
from dingocar.training.dataset import Dataset
from dingocar.training.split import Split
from dingocar.words import counted, quoted
from dingocar.zoo import Pilot

IntArray = npt.NDArray[np.int64]

SOURCE, TARGET = "sim", "real"
#: A domain with fewer pictures to train on says nothing about the domain.
LEAST_FRAMES = 32
#: Smallest batch of two domains: a covariance of fewer pictures is none.
LEAST_BATCH = 8

#: The method that is not named but recommended, and what it stands for: a method and its settings.
AUTO = "auto"
RECOMMENDED: tuple[str, Mapping[str, Any]] = ("histogram", {})

Selection = Literal["last", "source", "probe", "consistency"]


@dataclass(frozen=True)
class Adaptation:
    """How a pilot is adapted from simulated to real pictures.

    Attributes:
        method: a name of `dingocar.adapt`, "auto" for the one in `RECOMMENDED`, or a method.
        settings: of the method, if it is a name; they come on top of the recommended one's.
        unlabelled: tubs whose labels, if they have any, are not used.
        real_labels: how many of the labelled tubs' real records keep their label; the others count as
            unlabelled. None: all. Of one seed, a smaller number's are among a larger number's.
        select: which epoch's weights are kept. "last"; "source": the lowest loss on held-out labelled
            pictures; "probe", "consistency": see `dingocar.training.selection`. With `real_labels`, no
            other label of the target is looked at.
    """

    method: str | Method = AUTO
    settings: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: Sequence[Path | str] = ()
    real_labels: int | None = None
    select: Selection = "last"

    def __post_init__(self) -> None:
        choices = get_args(Selection)
        if self.select not in choices:
            raise TrainingError(f"unknown selection {self.select!r}{did_you_mean(self.select, choices)}")
        if self.real_labels is not None and self.real_labels < 0:
            raise TrainingError(f"real_labels: expected at least 0, got {self.real_labels}")

    def load_method(self) -> Method:
        """The method.

        Raises:
            UnknownNameError: there is no such method, or it has no such setting.
            TrainingError: a setting does not fit.
        """
        if not isinstance(self.method, str):
            return self.method
        name, settings = RECOMMENDED if self.method == AUTO else (self.method, {})
        if name not in (known := methods.names()):
            raise UnknownNameError("method", name, [*known, AUTO])
        found: Method = methods.load(name).from_settings({**settings, **self.settings})
        return found


def own_adaptation(pilot: Pilot | type[Pilot], **more: Any) -> Adaptation | None:
    """The adaptation that a type of pilot brings along, `Pilot.adaptation`; None: it has none.

    Args:
        pilot: the pilot or its type.
        more: further fields of the `Adaptation`; `settings` come on top of the pilot's.
    """
    own = pilot.adaptation
    if own is None:
        return None
    return Adaptation(own[0], **{**more, "settings": {**own[1], **more.get("settings", {})}})


@dataclass(frozen=True)
class Stream:
    """Records that take a fixed share of every batch.

    Attributes:
        rows: int64 (n,), which.
        labelled: whether the pilot learns from their labels.
    """

    rows: IntArray
    labelled: bool


@dataclass(frozen=True)
class Domains:
    """What is trained on, and what is held out of it.

    Attributes:
        method: the method.
        streams: what batches are made of: the source's (simulated, labelled) first, then the target's (real):
            labelled, unlabelled, both or none.
        target: int64 rows of the target that the method gets to see, in batches or when it finishes.
        held_source, held_target: int64 rows held out, to watch the domains with.
        validation: int64 rows, of the held-out ones, whose labels may be looked at.
        select: which epoch's weights are kept; see `Adaptation`.
    """

    method: Method
    streams: tuple[Stream, ...]
    target: IntArray
    held_source: IntArray
    held_target: IntArray
    validation: IntArray
    select: Selection = "last"

    def counts(self, batch_size: int) -> tuple[int, ...]:
        """Pictures of each stream in a batch: the source has half, the target's streams share the rest.

        Raises:
            TrainingError: a share would be too small to say anything about a domain.
        """
        if len(self.streams) == 1:
            return (batch_size,)
        if batch_size < LEAST_BATCH:
            raise TrainingError(
                f"training setting batch_size: expected at least {LEAST_BATCH} for batches of two domains, "
                f"got {batch_size}"
            )
        target = batch_size // 2
        if len(self.streams) == 2:
            return (batch_size - target, target)
        return (batch_size - target, target - target // 2, target // 2)

    @property
    def rows(self) -> IntArray:
        """int64, every record that is trained on."""
        return np.concatenate([self.streams[0].rows, self.target])

    @property
    def has_classifier(self) -> bool:
        """Whether the method trains a classifier of its own that tells the domains apart."""
        return len(self.streams) > 1 and type(self.method).said_sim is not Method.said_sim

    def frames(self) -> dict[str, int]:
        """How many records of each kind are trained on."""
        labelled = sum(len(stream.rows) for stream in self.streams[1:] if stream.labelled)
        return {
            "sim": len(self.streams[0].rows),
            "real_labelled": labelled,
            "real_unlabelled": len(self.target) - labelled,
        }


def plan_domains(adaptation: Adaptation, data: Dataset, split: Split, seed: int) -> Domains:
    """Sorts records by their domain and by the use of their label.

    Args:
        adaptation: what is asked for.
        data: all records, labelled and unlabelled.
        split: which are held out.
        seed: draws the real records that keep their label.

    Raises:
        TrainingError: a tub does not say its domain, a domain is missing or too small, or there are fewer
            labels than are asked for.
    """
    method = adaptation.load_method()
    _check_domains(data, method)
    real, labelled = data.domains == TARGET, data.labelled

    def of(rows: IntArray, which: npt.NDArray[np.bool_]) -> IntArray:
        return rows[which[rows]]

    source, held_source = of(split.train, ~real & labelled), of(split.validation, ~real & labelled)
    known, unknown = of(split.train, real & labelled), of(split.train, real & ~labelled)
    held_target = of(split.validation, real)
    validation = of(split.validation, labelled)
    if not len(held_source):
        raise TrainingError(
            f"--adapt {method.name}: none of the {len(split.validation)} held-out pictures is simulated; "
            "set more validation_blocks, or record more simulated pictures"
        )
    wanted = adaptation.real_labels
    if wanted is not None:
        known, unknown = _keep_labels(known, unknown, wanted, seed)
    learns = method.trains_on_target
    if wanted is not None or not learns:
        validation = held_source  # the target's other labels are not to be looked at
    if not learns:
        known, unknown = known[:0], np.sort(np.concatenate([known, unknown]))
    if method.needs_target_labels or not method.needs_target:
        unknown = unknown[:0]
    target = [stream for stream in (Stream(known, True), Stream(unknown, False)) if len(stream.rows)]
    _check_sizes(source, target, method)
    return Domains(
        method,
        (Stream(source, True), *(target if learns else ())),
        np.concatenate([known, unknown]),
        held_source,
        held_target,
        validation,
        adaptation.select,
    )


def _keep_labels(known: IntArray, unknown: IntArray, wanted: int, seed: int) -> tuple[IntArray, IntArray]:
    """The labelled and the unlabelled rows when only `wanted` of the labelled ones keep their label."""
    if wanted > len(known):
        raise TrainingError(
            f"--real-labels {wanted}: of these tubs {counted(len(known), 'labelled real picture')} may be "
            "trained on (those held out are not counted); ask for fewer, or add a real --tub"
        )
    # The beginning of one order: 20 labels are among the 60 of the same seed.
    kept = np.random.default_rng([seed, 0x1AB]).permutation(known)[:wanted]
    return np.sort(kept), np.sort(np.concatenate([unknown, np.setdiff1d(known, kept)]))


def _check_domains(data: Dataset, method: Method) -> None:
    """Raises a `TrainingError` unless every tub says its domain and those that the method needs are there."""
    for number, tub in enumerate(data.tubs):
        rows = data.tub_numbers == number
        found = set(data.domains[rows])
        if found == {SOURCE} and not data.labelled[rows].any():
            raise TrainingError(
                f"--unlabelled {tub.path}: its pictures are simulated; it is for real ones, and simulated "
                "ones have their labels: give it as --tub"
            )
        if "" in found:
            raise TrainingError(
                f"{tub.path}: does not say whether its pictures are simulated or real, which --adapt "
                f"{method.name} must know; write it into the tub: "
                f"dingocar tub domain {quoted(tub.path)} sim|real"
            )
    paths = ", ".join(tub.path for tub in data.tubs)
    if not ((data.domains == SOURCE) & data.labelled).any():
        raise TrainingError(
            f"{paths}: --adapt {method.name} learns to drive from simulated pictures, and all of these with "
            "labels are real; add --tub of a simulated drive"
        )
    if method.needs_target and not (data.domains == TARGET).any():
        raise TrainingError(
            f"{paths}: --adapt {method.name} needs pictures of both domains, and none of these are real; "
            "add --tub or --unlabelled of a real drive, or turn it off: --adapt none"
        )


def _check_sizes(source: IntArray, target: Sequence[Stream], method: Method) -> None:
    """Raises a `TrainingError` unless the method has enough of each domain to learn from."""
    if method.needs_target_labels and not target:
        raise TrainingError(
            f"--adapt {method.name} learns from real labels too: give a real --tub, and --real-labels above 0"
        )
    if len(source) < LEAST_FRAMES:
        raise TrainingError(_too_few(len(source), SOURCE, method))
    frames = sum(len(stream.rows) for stream in target)
    # Few labels are a trial of their own; few pictures are a mistake.
    if method.needs_target and not method.needs_target_labels and frames < LEAST_FRAMES:
        raise TrainingError(_too_few(frames, TARGET, method))


def _too_few(frames: int, domain: str, method: Method) -> str:
    words = {SOURCE: "simulated picture", TARGET: "real picture"}
    return (
        f"--adapt {method.name}: {counted(frames, words[domain])} to train on (beside those held out) say "
        f"too little about that domain; expected at least {LEAST_FRAMES}, record more"
    )
