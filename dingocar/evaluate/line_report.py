"""Do colour thresholds that were tuned in one look work in another, and what helps: the table, and a sheet
for the eye.

The hypothesis: what makes pictures look like those that the thresholds were tuned on recovers at least 80 %
of the F1 that is lost by going there, with no tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import ImageError, UsageError
from dingocar.evaluate.lane_pose import pose_error
from dingocar.evaluate.line_truth import LinePictures, line_pictures
from dingocar.evaluate.line_truth_duckietown import (
    MAPS,
    PLACE,
    TUNING_MAPS,
    duckietown_line_pictures,
)
from dingocar.evaluate.lines import (
    Box,
    boxes_from_json,
    boxes_to_json,
    colour_balance,
    detect,
    scores,
    tune,
)
from dingocar.images import Uint8Array
from dingocar.translate import RunnableTranslator
from dingocar.translate.histogram import HistogramMatcher
from dingocar.translate.sheets import laid_out
from dingocar.tub import open_tub

#: The share of the lost F1 that must be recovered for the hypothesis to hold.
WANTED = 0.8
#: A smaller loss leaves nothing to recover.
LEAST_LOSS = 0.05
#: Tracks that thresholds are tuned on, and others that they are measured on.
TUNING_TRACKS = ("random:1", "random:2")
HOME_TRACKS = ("circuit", "random:101")
_PAINT = {"white": (255, 0, 255), "yellow": (0, 255, 255)}
#: Rows of the table that are always there.
_HOME, _RAW, _BALANCE, _HISTOGRAM, _TUNED = "home", "raw", "colour balance", "histogram", "tuned there"


@dataclass(frozen=True)
class Thresholds:
    """Tuned thresholds, and where they are from.

    Attributes:
        boxes: for "white" and "yellow".
        look, randomisation: that they were tuned in.
        picture: (height, width) of the pictures.
        f1: of the pixels that they were tuned on.
    """

    boxes: dict[str, Box]
    look: str
    randomisation: str
    picture: tuple[int, int]
    f1: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "boxes": boxes_to_json(self.boxes), "picture": list(self.picture)}

    @classmethod
    def from_json(cls, values: Any, where: str) -> Thresholds:
        """The inverse of `to_json`.

        Raises:
            UsageError: it is something else.
        """
        try:
            boxes = boxes_from_json(values["boxes"], where)
            height, width = values["picture"]
            texts = (values["look"], values["randomisation"])
            if not all(isinstance(n, int) and 8 <= n <= 4096 for n in (height, width)):
                raise ValueError
            if not all(isinstance(text, str) for text in texts):
                raise ValueError
            return cls(boxes, *texts, (height, width), dict(values.get("f1") or {}))
        except (TypeError, KeyError, ValueError):
            raise UsageError(
                f"{where}: expected thresholds as dingocar lines tune writes them; make them anew"
            ) from None


def tune_thresholds(
    tracks: tuple[str, ...],
    look: str,
    randomisation: str,
    frames: int,
    seed: int,
    picture: tuple[int, int],
) -> Thresholds:
    """Tunes thresholds on pictures of a look; see `line_pictures` and `tune`."""
    taken = _pictures(tracks, look, randomisation, frames, seed, picture)
    boxes = tune(taken.images, taken.lines)
    return Thresholds(boxes, look, randomisation, picture, scores(taken.images, taken.lines, boxes))


def measure(
    thresholds: Thresholds,
    tracks: tuple[str, ...],
    look: str,
    randomisation: str,
    frames: int,
    seed: int,
    translators: Mapping[str, RunnableTranslator] | None = None,
) -> dict[str, Any]:
    """How well thresholds do in a look that they were not tuned in.

    Args:
        thresholds: frozen.
        tracks, look, randomisation, frames, seed: of the pictures; see `line_pictures`.
        translators: {name: one to sim}; they must take pictures of the thresholds' size, and no other row
            may have the name.

    Returns:
        "rows": for each way of looking {"name", "white", "yellow", "mean": F1, "offset_m", "known": see
        `pose_error`, "recovered": share of the loss from home to raw}, the last one tuned on the very
        pictures it is measured on; "middle_m": the offset's error of who always says the middle; "holds":
        the best recovered share is at least `WANTED`; None where too little is lost.

    Raises:
        UsageError: a translator's size or name does not fit.
    """
    for name, translator in (translators or {}).items():
        if name in (_HOME, _RAW, _BALANCE, _HISTOGRAM, _TUNED):
            raise UsageError(f"translator {name}: the table has a row of that name; rename the file")
        if translator.image_shape[:2] != thresholds.picture:
            height, width, _ = translator.image_shape
            raise UsageError(
                f"translator {name}: takes pictures of {height}x{width}, the thresholds are for "
                f"{thresholds.picture[0]}x{thresholds.picture[1]}"
            )
    where = (default_tracks(thresholds.look), thresholds.look, thresholds.randomisation)
    home = _pictures(*where, frames, seed, thresholds.picture)
    away = _pictures(tracks, look, randomisation, frames, seed, thresholds.picture)
    matched = HistogramMatcher.of(home.images).together(away.images)
    ways = {
        _RAW: away.images,
        _BALANCE: colour_balance(away.images),
        _HISTOGRAM: matched,
        **{name: each.run_batch(away.images) for name, each in (translators or {}).items()},
    }
    rows = [_row(_HOME, home, thresholds.boxes)]
    rows += [_row(name, away.with_images(images), thresholds.boxes) for name, images in ways.items()]
    rows.append(_row(_TUNED, away, tune(away.images, away.lines)))
    best, raw = rows[0]["mean"], rows[1]["mean"]
    for row in rows[1:]:
        row["recovered"] = (row["mean"] - raw) / (best - raw) if best - raw >= LEAST_LOSS else None
    shares = [row["recovered"] for row in rows[2:-1]]
    return {
        "look": look,
        "randomisation": randomisation,
        "frames": len(away.images),
        "rows": rows,
        "middle_m": None if away.camera is None else float(np.abs(away.cte_m).mean()),
        "holds": None if shares[0] is None else max(shares) >= WANTED,
    }


def tuning_tracks(look: str) -> tuple[str, ...]:
    """Where thresholds are tuned unless tracks are named; they are measured on others."""
    return TUNING_MAPS if look == PLACE else TUNING_TRACKS


def default_tracks(look: str) -> tuple[str, ...]:
    """Where thresholds are measured unless tracks are named."""
    return MAPS if look == PLACE else HOME_TRACKS


def _pictures(
    tracks: tuple[str, ...], look: str, randomisation: str, frames: int, seed: int, picture: tuple[int, int]
) -> LinePictures:
    """Pictures with their true lines, of our simulator or of gym-duckietown."""
    if look != PLACE:
        return line_pictures(tracks, look, randomisation, frames, seed, picture)
    if randomisation != "none":
        raise UsageError(f"--randomisation {randomisation}: gym-duckietown has none of ours; leave it out")
    return duckietown_line_pictures(tracks, frames, seed, picture)


def _row(name: str, pictures: LinePictures, boxes: Mapping[str, Box]) -> dict[str, Any]:
    found = detect(pictures.images, boxes)
    return {
        "name": name,
        **scores(pictures.images, pictures.lines, boxes),
        **pose_error(pictures, found),
        "recovered": None,
    }


def table_text(report: Mapping[str, Any]) -> str:
    """The report for people."""

    def cell(value: float | None, form: str) -> str:
        return "n/a" if value is None else format(value, form)

    lines = [f"{'':<16}{'white':>8}{'yellow':>8}{'F1':>8}{'recovered':>11}{'offset m':>10}{'known':>8}"]
    for row in report["rows"]:
        share = "" if row["recovered"] is None else f"{row['recovered']:.0%}"
        lines.append(
            f"{row['name'][:15]:<16}{row['white']:>8.2f}{row['yellow']:>8.2f}{row['mean']:>8.2f}{share:>11}"
            f"{cell(row['offset_m'], '.3f'):>10}{cell(row['known'], '.0%'):>8}"
        )
    if report["middle_m"] is not None:
        lines.append(f"who always says the middle of the lane errs by {report['middle_m']:.3f} m")
    verdict = {True: "holds", False: "does not hold", None: "cannot be tested: too little is lost"}
    lines.append(f"that {WANTED:.0%} of what is lost comes back without tuning {verdict[report['holds']]}")
    return "\n".join(lines)


def draw_lines(
    thresholds: Thresholds,
    tub: Path | str,
    translators: Mapping[str, RunnableTranslator] | None = None,
    count: int = 8,
) -> Uint8Array:
    """A sheet of a tub's pictures, and what is found in them as they are and through translators: uint8 (H,
    W, 3).

    White lines are painted magenta, yellow ones cyan.

    Raises:
        TubError: it is no tub.
        UsageError: it is empty, or none of its pictures can be decoded.
    """
    records, images = open_tub(tub).records, []
    for place in np.linspace(0, max(0, len(records) - 1), min(count, len(records))).astype(int):
        try:
            images.append(records[place].image(size=thresholds.picture))
        except ImageError:
            continue
    if not images:
        none = "none of its pictures can be decoded" if records else "holds no records"
        raise UsageError(f"{tub}: {none}; take another tub")
    raw = np.stack(images)
    ways = [(_BALANCE, colour_balance(raw))]
    ways += [(name, each.run_batch(raw)) for name, each in (translators or {}).items()]
    rows = [("as it is", raw), ("found as it is", _painted(raw, thresholds.boxes))]
    for name, made in ways:
        rows += [(name, made), (f"found with {name}", _painted(made, thresholds.boxes))]
    return laid_out(rows)


def _painted(images: Uint8Array, boxes: Mapping[str, Box]) -> Uint8Array:
    painted = images // 2
    for colour, mask in detect(images, boxes).items():
        painted[mask] = _PAINT[colour]
    return painted
