"""How pilots come about: one file for each kind of method; its name is `kind` in a suite.

A file defines `kind = Kind(train=...)`. `train` gets a `Task` and returns a `Trained`; it never sees a world
that the pilots are judged in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import DingocarError, UsageError, did_you_mean
from dingocar.evaluate.leaderboard.suite import MethodSpec, Suite
from dingocar.registry import Registry
from dingocar.training import TrainingSettings
from dingocar.zoo import Pilot


@dataclass(frozen=True)
class Task:
    """One training.

    Attributes:
        pilot: to be trained.
        method: how.
        settings: of the training, with the row's seed in it.
        seed: the row's.
        picture: (height, width).
        tubs: "recording", "unlabelled", "labelled" to the tub, as far as the method has them.
        folder: a new one, for the pilot and whatever else is to be kept.
        options: the kind's, with its defaults.
        prepared: the folder of what rows share, if the kind makes such a thing.
        on_progress: told the share that is done.
    """

    pilot: Pilot
    method: MethodSpec
    settings: TrainingSettings
    seed: int
    picture: tuple[int, int]
    tubs: Mapping[str, Path]
    folder: Path
    options: Mapping[str, Any]
    prepared: Path | None = None
    on_progress: Callable[[float], None] = lambda share: None

    def rng(self, what: int) -> np.random.Generator:
        """A generator of its own for one use."""
        return np.random.default_rng((self.seed, what))


@dataclass(frozen=True)
class Trained:
    """What came out.

    Attributes:
        model: the pilot's file.
        elsewhere: its file for other worlds than the source's; None: the same.
        frames: pictures with labels that it had.
        validation_mae: of the steering, on frames of the training recordings that were held out.
        epochs, best_epoch: of the (last) training.
        images_per_s: pictures that the (last) training took in per second.
        note: what a reader should know, in a line.
        extra: figures of the kind, plain values.
    """

    model: Path
    frames: int
    validation_mae: float | None
    epochs: int
    best_epoch: int
    images_per_s: float | None = None
    note: str = ""
    elsewhere: Path | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of method.

    Attributes:
        train: does it.
        options: its options with their defaults.
        uses: which recordings of the target it can use.
        first_share: the option that says which share of `recording` is made beforehand, if there is one;
            `train` sees to the rest.
        labels: the option that says how many of the target's labels are used, if there is one; below 0: all.
        check: raises a `DingocarError` where the method's options or recordings do not fit.
        prepare: makes in the task's folder what several rows share, once, and goes on with what is there of
            a run that was stopped; None: there is no such thing.
        prepared_by: the options that decide it, beside the recordings.
        prepared_for: those that decide it together with the row's pilot and its training; empty: these do
            not matter.
        share: the seed of what is prepared for a row of a seed. Rows that share it are no independent trials.
        lender: the method whose pilots it drives with instead of training any; "": the source row's; None:
            its own.
        proxy: the translator that pilots see the target through, in the folder of what is prepared, and its
            direction; None: there is none.
        learns_translated: whether its pilots learn from pictures that were translated to real ones alone.
        fits: raises a `DingocarError` where the method does not fit pictures of a suite's (height, width).
    """

    train: Callable[[Task], Trained]
    options: Mapping[str, Any] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    first_share: str = ""
    labels: str = ""
    check: Callable[[MethodSpec], None] = lambda method: None
    prepare: Callable[[Task], None] | None = None
    prepared_by: tuple[str, ...] = ()
    prepared_for: Callable[[MethodSpec], tuple[str, ...]] = lambda method: ()
    share: Callable[[MethodSpec, int], int] = lambda method, seed: seed
    lender: Callable[[MethodSpec], str | None] = lambda method: None
    proxy: Callable[[MethodSpec], tuple[str, str] | None] = lambda method: None
    learns_translated: Callable[[MethodSpec], bool] = lambda method: False
    fits: Callable[[MethodSpec, tuple[int, ...]], None] = lambda method, picture: None


kinds = Registry("method kind", __name__, entry="kind")
_KINDS = {bool: "true or false", str: "text", int: "a whole number", float: "a number", dict: "a table"}


def load_kind(name: str) -> Kind:
    """Finds a kind by its name.

    Raises:
        UnknownNameError: there is none.
        DingocarError: its file defines something else.
    """
    kind = kinds.load(name)
    if not isinstance(kind, Kind):
        raise DingocarError(f"method kind {name}: its file must define kind = Kind(train=...)")
    return kind


def check_options(method: MethodSpec) -> None:
    """Checks a method against its kind.

    Raises:
        UnknownNameError: there is no such kind.
        UsageError: an option or a recording that the kind does not use, or a value that does not fit.
    """
    kind, where = load_kind(method.kind), f"methods.{method.name}"
    for name, value in method.options.items():
        if name not in kind.options:
            raise UsageError(f"{where}.options: unknown option {name!r}{did_you_mean(name, kind.options)}")
        wanted = type(kind.options[name])
        fits = isinstance(value, wanted | int if wanted is float else wanted)
        if not fits or isinstance(value, bool) != (wanted is bool):
            raise UsageError(f"{where}.options.{name}: expected {_KINDS[wanted]}, got {value!r}")
    for name in ("unlabelled", "labelled"):
        if name in method.recordings and name not in kind.uses:
            raise UsageError(f"{where}.{name}: the kind {method.kind!r} does not use it; remove it")
    try:
        kind.check(method)
    except DingocarError as error:
        raise UsageError(f"{where}: {error}") from None
    if kind.first_share and not 0 < options_of(method)[kind.first_share] < 1:
        raise UsageError(f"{where}.options.{kind.first_share}: expected a share between 0 and 1")


def lender_of(suite: Suite, method: MethodSpec) -> MethodSpec | None:
    """The method whose pilots another one drives with; None: it has its own.

    Raises:
        UsageError: there is no such method, or it drives with another one's, too.
    """
    name = load_kind(method.kind).lender(method)
    if name is None:
        return None
    where = f"methods.{method.name}.options.pilot"
    known = {other.name: other for other in suite.methods}
    sources = [other.name for other in suite.methods if other.role == "source"]
    name = name or (sources[0] if sources else "")
    if name not in known:
        raise UsageError(
            f"{where}: expected the method whose pilot drives{did_you_mean(name, known)}, got {name!r}"
        )
    lender = known[name]
    if load_kind(lender.kind).lender(lender) is not None:
        raise UsageError(f"{where}: {name!r} has no pilot of its own either; name one that is trained")
    looks_real = lender.role == "oracle" or lender.recording.domain == "real"
    if looks_real or load_kind(lender.kind).learns_translated(lender):
        raise UsageError(
            f"{where}: {name!r} has learned from pictures that look real, and the translator makes them look "
            "simulated; name one of simulated pictures"
        )
    if method.training or method.candidates or method.selection != "source":
        raise UsageError(
            f"methods.{method.name}: trains no pilot, so training, candidates and selection are those of "
            f"{name!r}; remove them"
        )
    return lender


def options_of(method: MethodSpec) -> dict[str, Any]:
    """A method's options, with its kind's defaults."""
    return {**load_kind(method.kind).options, **method.options}
