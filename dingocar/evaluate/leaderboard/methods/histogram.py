"""Learns from its recording in the colours of unlabelled pictures of the target.

The pilot that drives sees pictures as they are; see `dingocar.translate.histogram`.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard.elsewhere import RATE_HZ, write_moments
from dingocar.evaluate.leaderboard.methods import Kind, Task, Trained
from dingocar.evaluate.leaderboard.methods.supervised import fit
from dingocar.evaluate.leaderboard.suite import MethodSpec
from dingocar.translate.histogram import HistogramMatcher, cumulated
from dingocar.tub import open_tub

#: Pictures of the target whose colours are drawn from.
MOST_TARGETS = 2000


def _train(task: Task) -> Trained:
    rng = task.rng(0x415)
    records = open_tub(task.tubs["unlabelled"]).records
    some = rng.permutation(len(records))[:MOST_TARGETS]
    matcher = HistogramMatcher.of(np.stack([records[i].image(size=task.picture) for i in np.sort(some)]))
    matched = task.folder / "matched"
    recolour(
        task.tubs["recording"],
        matched,
        matcher,
        task.picture,
        None if task.options["per"] == "domain" else rng,
    )
    task.on_progress(0.1)
    made = fit(task, [matched], (0.1, 1.0))
    shutil.rmtree(matched)
    return dataclasses.replace(made, frames=task.method.recording.frames)


def recolour(
    tub: Path,
    out: Path,
    matcher: HistogramMatcher,
    picture: tuple[int, int],
    rng: np.random.Generator | None,
) -> None:
    """Writes a tub's records into the new tub `out`, the pictures in other colours; sessions stay apart.

    Args:
        tub, out: their folders.
        matcher: of the target's pictures.
        picture: (height, width).
        rng: draws a picture of the target for each; None: one curve for all.
    """
    source = open_tub(tub)
    sessions = {
        session: [record for record in source.records if record.session_id == session]
        for session in dict.fromkeys(record.session_id for record in source.records)
    }
    pictures = {
        session: np.stack([record.image(size=picture) for record in records])
        for session, records in sessions.items()
    }
    have = np.sum([cumulated(images) for images in pictures.values()], axis=0)
    for session, records in sessions.items():
        images = pictures[session]
        images = matcher.together(images, have) if rng is None else matcher.each(images, rng)
        moments = (
            (number / RATE_HZ, image, record.steering, record.throttle)
            for number, (record, image) in enumerate(zip(records, images, strict=True))
        )
        write_moments(out, moments, {"domain": source.domain or "sim"})


def _check(method: MethodSpec) -> None:
    if method.unlabelled is None:
        raise UsageError("a histogram is matched to pictures of the target: add unlabelled = {...}")
    per = method.options.get("per", "picture")
    if per not in ("picture", "domain"):
        raise UsageError(f"options.per: expected 'picture' or 'domain', got {per!r}")


kind = Kind(_train, options={"per": "picture"}, uses=("unlabelled",), check=_check)
