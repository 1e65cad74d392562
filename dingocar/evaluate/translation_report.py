"""A report on a translator: how like its pictures are, what they still show, how quick it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import MissingExtraError, UsageError
from dingocar.evaluate.domain_report_frames import Frames
from dingocar.evaluate.line_report import Thresholds, measure
from dingocar.evaluate.line_truth import line_pictures
from dingocar.evaluate.sift import matches
from dingocar.evaluate.translation_figures import Space, diversity, steered
from dingocar.images import Uint8Array
from dingocar.translate import RunnableTranslator, load_translator
from dingocar.translate.artefact import read_card
from dingocar.zoo import RunnablePilot

#: Pictures that one after the other is timed on, after some to warm up.
TIMED, WARM_UP = 100, 10
#: Pictures whose keypoints are matched, at most.
MATCHED = 100


@dataclass(frozen=True)
class Place:
    """Where the simulator knows the true counterpart of a simulated picture.

    Attributes:
        look, randomisation: what the real domain is in the simulator.
        tracks: driven on.
        frames: pictures.
    """

    look: str
    randomisation: str = "none"
    tracks: tuple[str, ...] = ("circuit", "random:101")
    frames: int = 200


@dataclass(frozen=True, eq=False)
class Looked:
    """A report, and the pictures that a page shows.

    Attributes:
        report: plain values; see `look`.
        shown: {direction: (given, made, genuine)}, uint8 (N, H, W, 3) each.
        pairs: {direction: (given, made, counterpart)}.
        steering: {direction: (labels, said)}, where a pilot was asked.
    """

    report: dict[str, Any]
    shown: dict[str, tuple[Uint8Array, Uint8Array, Uint8Array]]
    pairs: dict[str, tuple[Uint8Array, Uint8Array, Uint8Array]]
    steering: dict[str, tuple[Any, Any]]


def picture_size(path: Path | str) -> tuple[int, int]:
    """(height, width) of a translator's pictures."""
    height, width, _ = read_card(path)["image_shape"]
    return height, width


def look(
    path: Path | str,
    frames: Frames,
    pilots: Sequence[RunnablePilot] = (),
    place: Place | None = None,
    thresholds: Thresholds | None = None,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Looked:
    """Judges a translator in each direction that it has.

    Args:
        path: the translator, `.keras` or `.tflite`.
        frames: pictures of both domains, of the translator's size; better none that it has learned from.
        pilots: each is asked what it steers by pictures translated to the domain that it knows.
        place: where true counterparts are known.
        thresholds: of lines, to be measured there.
        seed: draws halves and intervals.
        on_progress: told the share that is done.

    Returns:
        The report: "translator", "pictures", and for each direction "floor" (genuine pictures and others of
        the same domain), "before" and "after" (given and translated pictures, and genuine ones; each a
        `Likeness`), "spread" and "kept" (see `diversity`), "matches" (see `dingocar.evaluate.sift`),
        "latency_ms", "steering" ({"translated", "untranslated", "genuine": see `steered`}), "paired" (mean
        absolute difference from the true counterpart, in [0, 1], before and after) and "lines" (see
        `line_report.measure`); None where it was not asked for or cannot be had.

    Raises:
        TranslatorError: it is no translator.
        UsageError: a pilot, the thresholds or the pictures do not fit.
    """
    card = read_card(path)
    directions = card["directions"]
    asked = _by_domain(pilots, card)
    given = {domain: frames.rows(domain) for domain in ("sim", "real")}
    space = Space(*(frames.images[rows] for rows in given.values()))
    report: dict[str, Any] = {
        "translator": {"path": str(path), "name": card["translator"], "image_shape": card["image_shape"]},
        "pictures": {domain: len(rows) for domain, rows in given.items()},
        "directions": {},
    }
    found = Looked(report, {}, {}, {})
    known = None if place is None else counterparts(place, card["image_shape"][:2], seed)
    for number, direction in enumerate(directions):
        with_part = load_translator(path, direction)
        pilot = asked.get(with_part.gives)
        report["directions"][direction] = _direction(found, with_part, frames, space, pilot, known, seed)
        if direction == "to_sim" and thresholds is not None and place is not None:
            where = (place.tracks, place.look, place.randomisation, place.frames, seed)
            lines = measure(thresholds, *where, {"translated": with_part})
            report["directions"][direction]["lines"] = lines
        with_part.close()
        on_progress((number + 1) / len(directions))
    return found


def _by_domain(pilots: Sequence[RunnablePilot], card: Mapping[str, Any]) -> dict[str, RunnablePilot]:
    """The pilots by the domain that they know."""
    found: dict[str, RunnablePilot] = {}
    for pilot in pilots:
        if list(pilot.image_shape) != list(card["image_shape"]):
            raise UsageError(
                f"{pilot.path}: takes pictures {tuple(pilot.image_shape)}, the translator's are "
                f"{tuple(card['image_shape'])}; name another pilot"
            )
        if len(pilot.looks) != 1:
            raise UsageError(
                f"{pilot.path}: expected a pilot that has learned from one domain, it has from "
                f"{' and '.join(sorted(pilot.looks)) or 'none that it names'}; name another one"
            )
        (domain,) = pilot.looks
        if domain in found:
            raise UsageError(
                f"{pilot.path}: a second pilot of {domain} pictures; one for each domain is asked"
            )
        found[domain] = pilot
    return found


def counterparts(place: Place, size: Sequence[int], seed: int) -> dict[str, Uint8Array]:
    """The same states in the look `flat` and in a place: {"sim", "real": uint8 (N, H, W, 3)}.

    Raises:
        UsageError: the place has another car, so that the states differ.
    """
    looks = {"sim": ("flat", "none"), "real": (place.look, place.randomisation)}
    taken = {
        domain: line_pictures(place.tracks, *where, place.frames, seed, (size[0], size[1]))
        for domain, where in looks.items()
    }
    sim, real = taken["sim"], taken["real"]
    if not np.allclose(sim.cte_m, real.cte_m):
        raise UsageError(
            f"--randomisation {place.randomisation}: changes the car, so that no simulated picture has a "
            "true counterpart there; take one of appearance alone, or leave --look out"
        )
    return {"sim": sim.images, "real": real.images}


def _direction(
    found: Looked,
    translator: RunnableTranslator,
    frames: Frames,
    space: Space,
    pilot: RunnablePilot | None,
    known: Mapping[str, Uint8Array] | None,
    seed: int,
) -> dict[str, Any]:
    """All figures of one direction."""
    rows, there = frames.rows(translator.takes), frames.rows(translator.gives)
    given, genuine = frames.images[rows], frames.images[there]
    made = translator.run_batch(given)
    seen = {
        name: space.of(images) for name, images in (("given", given), ("made", made), ("genuine", genuine))
    }
    spread, kept = diversity(*seen.values())
    blocks, others = frames.blocks[rows], frames.blocks[there]
    names = np.unique(others)
    half = np.isin(others, np.random.default_rng([seed, 2]).permutation(names)[: len(names) // 2])
    count = min(int(half.sum()), int((~half).sum()), len(given))
    target = seen["genuine"][half], others[half]
    likenesses = {
        "floor": space.likeness((seen["genuine"][~half], others[~half]), target, count, seed),
        "before": space.likeness((seen["given"], blocks), target, count, seed),
        "after": space.likeness((seen["made"], blocks), target, count, seed),
    }
    found.shown[translator.direction] = (given, made, genuine)
    facts: dict[str, Any] = {name: vars(values) for name, values in likenesses.items()}
    facts |= {"spread": spread, "kept": kept, "matches": _matches(given, made)}
    facts |= {"latency_ms": _latency(translator, given), "lines": None}
    facts["steering"] = _steering(found, translator, pilot, frames, made)
    facts["paired"] = None if known is None else _paired(found, translator, known)
    return facts


def _matches(given: Uint8Array, made: Uint8Array) -> dict[str, float] | None:
    chosen = np.linspace(0, len(given) - 1, min(MATCHED, len(given))).astype(np.intp)
    try:
        return dict(vars(matches(given[chosen], made[chosen])))
    except MissingExtraError:
        return None


def _latency(translator: RunnableTranslator, images: Uint8Array) -> dict[str, float]:
    """Milliseconds for one picture, one after the other."""
    taken = []
    for number in range(WARM_UP + TIMED):
        began = time.perf_counter()
        translator.run(images[number % len(images)])
        taken.append(1e3 * (time.perf_counter() - began))
    p50, p99 = np.quantile(taken[WARM_UP:], (0.5, 0.99))
    return {"p50": float(p50), "p99": float(p99)}


def _steering(
    found: Looked,
    translator: RunnableTranslator,
    pilot: RunnablePilot | None,
    frames: Frames,
    made: Uint8Array,
) -> dict[str, Any] | None:
    """What a pilot that knows the domain translated to steers, beside the labels."""
    if pilot is None:
        return None
    rows, there = frames.rows(translator.takes), frames.rows(translator.gives)
    sides = {
        "translated": (made, frames.steering[rows]),
        "untranslated": (frames.images[rows], frames.steering[rows]),
        "genuine": (frames.images[there], frames.steering[there]),
    }
    figures: dict[str, Any] = {"pilot": str(pilot.path)}
    for name, (images, labels) in sides.items():
        kept = np.isfinite(labels)
        if kept.sum() < 2:
            figures[name] = None
            continue
        said = pilot.run_batch(images[kept])[0]
        figures[name] = steered(np.asarray(said, np.float64), np.asarray(labels[kept], np.float64))
        if name == "translated":
            found.steering[translator.direction] = (labels[kept], said)
    return figures


def _paired(
    found: Looked, translator: RunnableTranslator, known: Mapping[str, Uint8Array]
) -> dict[str, float]:
    """How far pictures are from their true counterparts, before and after."""
    given, true = known[translator.takes], known[translator.gives]
    made = translator.run_batch(given)
    found.pairs[translator.direction] = (given, made, true)
    return {
        name: float(np.abs(images.astype(np.float64) - true).mean() / 255)
        for name, images in (("before", given), ("after", made))
    }
