"""Pictures of both domains out of tubs, with what is known of each: what a domain report looks at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.adapt.probes import stretches
from dingocar.errors import ImageError, UsageError
from dingocar.images import Uint8Array
from dingocar.training.dataset import LABELS
from dingocar.training.domains import SOURCE, TARGET
from dingocar.tub import Record, Tub, open_tub
from dingocar.words import counted, quoted

#: Stretches that each domain's recordings are cut into, where they are long enough.
BLOCKS = 20
#: Fewer pictures of a domain, or fewer stretches, say nothing.
LEAST_FRAMES, LEAST_BLOCKS = 80, 4
DOMAINS = (SOURCE, TARGET)

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Frames:
    """N pictures, those of the source first.

    Attributes:
        images: uint8 (N, H, W, 3).
        domains: (N,), "sim" or "real".
        blocks: int64 (N,), the stretch of a recording that a picture is from; no two recordings share one.
        steering, throttle: float32 (N,), the labels in [-1, 1]; NaN where there is none.
        tubs: (N,), the path of each picture's tub.
        records: int64 (N,), its index there.
        skipped: pictures that could not be decoded.
    """

    images: Uint8Array
    domains: npt.NDArray[np.str_]
    blocks: IntArray
    steering: Float32Array
    throttle: Float32Array
    tubs: npt.NDArray[np.str_]
    records: IntArray
    skipped: int

    def rows(self, domain: str) -> IntArray:
        """The pictures of a domain."""
        return np.flatnonzero(self.domains == domain)


@dataclass(frozen=True)
class _Entry:
    """A record that may be looked at; `run` is another number for each session, `block` for each stretch."""

    tub: str
    record: Record
    labelled: bool
    run: int
    block: int = -1


def take_frames(
    tubs: Sequence[Path | str],
    unlabelled: Sequence[Path | str] = (),
    shape: tuple[int, int] = (120, 160),
    most: int = 600,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Frames:
    """Takes pictures of both domains, evenly over their recordings.

    Each domain's recordings are cut into stretches of consecutive records with gaps between them; a
    picture out of a gap is never taken.

    Args:
        tubs: recordings; records without a label are looked at too.
        unlabelled: further recordings, of which no label is read.
        shape: (height, width) to scale the pictures to.
        most: pictures of each domain at most.
        on_progress: told the share of the pictures that are decoded, from 0 to 1.

    Raises:
        TubError: a folder is no tub.
        UsageError: no tub, one given twice, one that does not say its domain, or too little of a domain.
    """
    given = [*((path, True) for path in tubs), *((path, False) for path in unlabelled)]
    if not given:
        raise UsageError("expected at least one tub, got none; give --tub of a simulated and of a real drive")
    opened = [(str(path), open_tub(path), labelled) for path, labelled in given]
    places = [tub.path.resolve() for _, tub, _ in opened]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UsageError(
                f"{given[number][0]}: was given twice; a picture on both sides of a split proves nothing"
            )
    by_domain = _entries(opened)
    chosen = {domain: _chosen(by_domain[domain], most) for domain in DOMAINS}
    wanted = sum(map(len, chosen.values()))
    found: list[_Picture] = []
    skipped, first_block = 0, 0
    for domain in DOMAINS:
        before = len(found)
        for entry in chosen[domain]:
            try:
                found.append(_picture(entry, domain, shape, first_block))
            except ImageError:
                skipped += 1
            on_progress((len(found) + skipped) / wanted)
        _check_enough(domain, found[before:], [name for name, _, _ in opened])
        first_block = max(picture.block for picture in found) + 1
    return Frames(
        images=np.stack([picture.image for picture in found]),
        domains=np.array([picture.domain for picture in found]),
        blocks=np.array([picture.block for picture in found], np.int64),
        steering=np.array([picture.labels[0] for picture in found], np.float32),
        throttle=np.array([picture.labels[1] for picture in found], np.float32),
        tubs=np.array([picture.tub for picture in found]),
        records=np.array([picture.index for picture in found], np.int64),
        skipped=skipped,
    )


@dataclass(frozen=True, eq=False)
class _Picture:
    image: Uint8Array
    domain: str
    block: int
    labels: tuple[float, float]
    tub: str
    index: int


def _picture(entry: _Entry, domain: str, shape: tuple[int, int], first_block: int) -> _Picture:
    fields = entry.record.fields if entry.labelled else {}
    labels = _label(fields.get(LABELS[0])), _label(fields.get(LABELS[1]))
    image = entry.record.image(size=shape)
    return _Picture(image, domain, first_block + entry.block, labels, entry.tub, entry.record.index)


def _label(value: Any) -> float:
    """The label in [-1, 1], or NaN."""
    if isinstance(value, int | float) and math.isfinite(value):
        return min(1.0, max(-1.0, float(value)))
    return math.nan


def _entries(opened: Sequence[tuple[str, Tub, bool]]) -> dict[str, list[_Entry]]:
    """The live records of each domain, in recording order."""
    found: dict[str, list[_Entry]] = {domain: [] for domain in DOMAINS}
    run, last = 0, None
    for name, tub, labelled in opened:
        for record in tub:
            domain = tub.domain
            if record.simulated is not None:
                domain = SOURCE if record.simulated else TARGET
            if domain is None:
                raise UsageError(
                    f"{name}: does not say whether its pictures are simulated or real; write it into the "
                    f"tub: dingocar tub domain {quoted(name)} sim|real"
                )
            here = (name, record.session_id, domain)
            run, last = run + (here != last), here
            found[domain].append(_Entry(name, record, labelled, run))
    for domain, entries in found.items():
        if not entries:
            other = SOURCE if domain == TARGET else TARGET
            words = {SOURCE: "simulated", TARGET: "real"}
            raise UsageError(
                f"{', '.join(name for name, _, _ in opened)}: {counted(len(found[other]), 'picture')}, and "
                f"none of them {words[domain]}; both are needed: add --tub or --unlabelled of a "
                f"{words[domain]} drive"
            )
    return found


def _chosen(entries: Sequence[_Entry], most: int) -> list[_Entry]:
    """Up to `most` of them, evenly, each with its stretch; none out of a gap."""
    blocks = stretches([entry.run for entry in entries], BLOCKS)
    usable = np.flatnonzero(blocks >= 0)
    places = np.unique(np.linspace(0, len(usable) - 1, min(most, len(usable))).round().astype(np.int64))
    return [replace(entries[at], block=int(blocks[at])) for at in usable[places]]


def _check_enough(domain: str, pictures: Sequence[_Picture], tubs: Sequence[str]) -> None:
    blocks = len({picture.block for picture in pictures})
    if len(pictures) < LEAST_FRAMES or blocks < LEAST_BLOCKS:
        raise UsageError(
            f"{', '.join(tubs)}: {counted(len(pictures), f'whole {domain} picture')} of {blocks} separate "
            f"stretches say too little; expected at least {LEAST_FRAMES} of {LEAST_BLOCKS}, record more"
        )
