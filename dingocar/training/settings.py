"""Settings of a training run: one frozen dataclass, checked, and readable from NAME=value strings."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self

from dingocar.errors import TrainingError, did_you_mean
from dingocar.settings import TRUTH
from dingocar.training.augment import Augment

Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]

#: Smallest and largest value of each number; None is no limit.
RANGES: dict[str, tuple[float | None, float | None]] = {
    "epochs": (0, 100_000),
    "batch_size": (1, 65_536),
    "learning_rate": (1e-9, 10),
    "warmup_epochs": (0, 1000),
    "patience": (1, None),
    "min_delta": (0, None),
    "seed": (0, 2**32 - 1),
    "split_seed": (0, 2**32 - 1),
    "validation_fraction": (0.01, 0.9),
    "validation_blocks": (1, 1000),
    "gap_frames": (0, 10_000),
    "workers": (1, 64),
    "decode_workers": (0, 256),
    "cache_ram_mb": (0, None),
    "cache_disk_mb": (0, None),
}


@dataclass(frozen=True)
class TrainingSettings:
    """How a pilot is trained. The defaults are meant to do well on a new tub of any size.

    Attributes:
        epochs: most passes over the training frames; 0: by their number, see `auto_epochs`.
        batch_size: frames per step.
        learning_rate: Adam's, at its highest.
        schedule: "cosine" lets the learning rate fall to a hundredth over all epochs; "constant" keeps it.
        warmup_epochs: epochs over which the learning rate rises from 0 (a fraction is fine).
        patience: epochs without a better validation loss before training stops.
        min_delta: a validation loss is better when it is lower by at least this.
        keep: which epoch's weights are saved: the "best" one's, by validation loss, or the "last" one's. An
            adaptation has its own `select`.
        seed: of the weights, the order of the frames, the augmentation and the dropout.
        split_seed: of the validation blocks' places.
        validation_fraction: share of the frames held out.
        validation_blocks: contiguous blocks held out per tub.
        gap_frames: frames on either side of a block that neither train nor validate.
        augment: change the training pictures at random.
        augmentation: which changes, and how large; set one with `augmentation.shift_p=0.5`.
        mirror: also train on mirror images with negated steering. Not for roads whose left and right
            lines differ.
        precision: "float32", "mixed_bfloat16", "mixed_float16", or "auto": bfloat16 where this
            processor or GPU calculates in it, else float32. The saved pilot is float32 always.
        deterministic: ask the backend for operations that give the same bits every time (slower).
        workers: threads that prepare batches.
        decode_workers: threads that decode pictures; 0: one per core.
        cache_ram_mb: decoded pictures of up to this size are kept in memory, larger ones in a file.
        cache_disk_mb: the cache files may take this much; the longest unused go first.
        cache_folder: folder of the cache files; empty: `~/.cache/dingocar/pictures`.
        curve: draw the training curve next to the model.
        progress: show a progress bar on stderr.
    """

    epochs: int = 0
    batch_size: int = 64
    learning_rate: float = 1e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = 1.0
    patience: int = 10
    min_delta: float = 0.0
    keep: Literal["best", "last"] = "best"
    seed: int = 0
    split_seed: int = 0
    validation_fraction: float = 0.2
    validation_blocks: int = 5
    gap_frames: int = 10
    augment: bool = True
    augmentation: Augment = field(default_factory=Augment)
    mirror: bool = False
    precision: Precision = "auto"
    deterministic: bool = False
    workers: int = 1
    decode_workers: int = 0
    cache_ram_mb: int = 4096
    cache_disk_mb: int = 32_768
    cache_folder: str = ""
    curve: bool = True
    progress: bool = True

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            kinds = (int, float) if hints[name] is float else (int,)
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise TrainingError(f"training setting {name}: expected {_kind(hints[name])}, got {value!r}")
            if not (low is None or value >= low) or not (high is None or value <= high):
                upper = "" if high is None else f" and at most {high}"
                raise TrainingError(f"training setting {name}: expected at least {low}{upper}, got {value}")
        for name in ("precision", "schedule", "keep"):
            if getattr(self, name) not in typing.get_args(hints[name]):
                choices = ", ".join(typing.get_args(hints[name]))
                raise TrainingError(
                    f"training setting {name}: expected one of {choices}, got {getattr(self, name)!r}"
                )

    @classmethod
    def from_strings(cls, values: Mapping[str, str], base: Self | None = None) -> Self:
        """Makes settings from strings, as `--set NAME=value` gives them.

        Args:
            values: setting to text, e.g. `{"epochs": "10", "augmentation.shift_p": "0.5"}`.
            base: settings to start from; None: the defaults.

        Raises:
            TrainingError: an unknown name (the nearest is suggested) or a value that does not fit.

        >>> TrainingSettings.from_strings({"epochs": "10"}).epochs
        10
        """
        base = cls() if base is None else base
        own: dict[str, Any] = {}
        nested: dict[str, Any] = {}
        for name, text in values.items():
            head, dot, tail = name.partition(".")
            if dot and head == "augmentation":
                nested[tail] = _parse(Augment, tail, text, prefix="augmentation.")
            else:
                own[name] = _parse(cls, name, text)
        if nested:
            own["augmentation"] = replace(base.augmentation, **nested)
        return replace(base, **own)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values, nested as they are here."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["augmentation"] = {
            f.name: getattr(self.augmentation, f.name) for f in fields(self.augmentation)
        }
        return plain


def _parse(owner: type, name: str, text: str, prefix: str = "") -> Any:
    """Returns `text` as the type of the field `name` of the dataclass `owner`."""
    hints = typing.get_type_hints(owner)
    known = [prefix + other for other, hint in hints.items() if hint is not Augment]
    if name not in hints or hints[name] is Augment:
        raise TrainingError(f"unknown training setting {prefix + name!r}{did_you_mean(prefix + name, known)}")
    hint, text = hints[name], text.strip()
    if hint is bool:
        if text.lower() in TRUTH:
            return TRUTH[text.lower()]
    elif hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            pass
    else:  # text, or a choice that __post_init__ checks
        return text
    raise TrainingError(f"training setting {prefix}{name}: expected {_kind(hint)}, got {text!r}")


def _kind(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false"}
    return words.get(hint, str(hint)) if not isinstance(hint, types.GenericAlias) else str(hint)
