"""A report on a translator: how like its pictures are, what they still show, how quick it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import MissingExtraError, UsageError
from dingocar.evaluate.domain_gap import features, half_of
from dingocar.evaluate.domain_report_frames import Frames
from dingocar.evaluate.line_report import Thresholds, measure
from dingocar.evaluate.line_truth import line_pictures
from dingocar.evaluate.sift import matches
from dingocar.evaluate.translation_figures import FloatArray, Space, diversity, steered
from dingocar.images import Uint8Array
from dingocar.sim import load_randomisation
from dingocar.sim.physics import Physics
from dingocar.translate import RunnableTranslator, load_translator
from dingocar.translate._method import REAL, SIM
from dingocar.translate.artefact import read_card
from dingocar.zoo import load_pilot
from dingocar.zoo.artefact import read_card as read_pilot_card
from dingocar.zoo.runnable import looks_of

#: The frozen network needs pictures of at least so many pixels each way.
LEAST_PX = 32
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


def fitting(
    path: Path | str, pilots: Sequence[Path | str] = (), thresholds: Thresholds | None = None
) -> dict[str, Path]:
    """Checks, before any work, that what is asked of a translator can be said.

    Args:
        path: the translator.
        pilots: files of pilots that each know simulated or real pictures.
        thresholds: of lines.

    Returns:
        The pilots by the domain, "sim" or "real", that they know.

    Raises:
        TranslatorError, PilotError: a file is no translator, or no pilot of dingocar.
        UsageError: its pictures are too small, or a pilot or the thresholds do not fit.
    """
    card = read_card(path)
    height, width, _ = card["image_shape"]
    if min(height, width) < LEAST_PX:
        raise UsageError(
            f"{path}: pictures of {height}x{width} are too small to be judged; expected at least "
            f"{LEAST_PX}x{LEAST_PX}"
        )
    if thresholds is not None and "to_sim" not in card["directions"]:
        raise UsageError(f"--lines: are for simulated pictures, and {path} makes none; leave them out")
    if thresholds is not None and thresholds.picture != (height, width):
        raise UsageError(
            f"--lines: are for pictures of {thresholds.picture[0]}x{thresholds.picture[1]}, the translator's "
            f"are {height}x{width}; make them with dingocar lines tune --size {height}x{width}"
        )
    found: dict[str, Path] = {}
    for pilot in map(Path, pilots):
        domain = _domain(pilot, card)
        if domain in found:
            raise UsageError(f"{pilot}: a second pilot of {domain} pictures; one for each domain is asked")
        found[domain] = pilot
    return found


def _domain(pilot: Path, card: Mapping[str, Any]) -> str:
    """The domain that a pilot knows, if the translator makes pictures of that domain and its size."""
    known = read_pilot_card(pilot)
    if known["image_shape"] != card["image_shape"]:
        raise UsageError(
            f"{pilot}: takes pictures {tuple(known['image_shape'])}, the translator's are "
            f"{tuple(card['image_shape'])}; name another pilot"
        )
    looks = looks_of(known)
    if len(looks) != 1:
        raise UsageError(
            f"{pilot}: expected a pilot that has learned from one domain, it has from "
            f"{' and '.join(sorted(looks)) or 'none that it names'}; name another one"
        )
    (domain,) = looks
    if f"to_{domain}" not in card["directions"]:
        raise UsageError(f"{pilot}: knows {domain} pictures, and the translator makes none; leave it out")
    return domain


def look(
    path: Path | str,
    frames: Frames,
    pilots: Mapping[str, Path] | None = None,
    place: Place | None = None,
    thresholds: Thresholds | None = None,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Looked:
    """Judges a translator in each direction that it has.

    Args:
        path: the translator, `.keras` or `.tflite`.
        frames: pictures of both domains, of the translator's size; better none that it has learned from.
        pilots: by the domain that they know, see `fitting`: each is asked what it steers by pictures
            translated to that.
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
    given = {domain: frames.rows(domain) for domain in (SIM, REAL)}
    seen = {domain: features(frames.images[rows]) for domain, rows in given.items()}
    space = Space(*seen.values())
    seen = {domain: space.scaled(values) for domain, values in seen.items()}
    report: dict[str, Any] = {
        "translator": {"path": str(path), "name": card["translator"], "image_shape": card["image_shape"]},
        "pictures": {domain: len(rows) for domain, rows in given.items()},
        "directions": {},
    }
    found = Looked(report, {}, {}, {})
    known = None if place is None else counterparts(place, card["image_shape"][:2], seed)
    for number, direction in enumerate(directions):
        with_part = load_translator(path, direction)
        facts = _direction(found, with_part, frames, space, seen, seed)
        facts["steering"] = _steering(found, with_part, (pilots or {}).get(with_part.gives), frames)
        facts["paired"] = None if known is None else _paired(found, with_part, known)
        facts["lines"] = None
        report["directions"][direction] = facts
        if direction == "to_sim" and thresholds is not None and place is not None:
            where = (place.tracks, place.look, place.randomisation, place.frames, seed)
            facts["lines"] = measure(thresholds, *where, {"translated": with_part})
        with_part.close()
        on_progress((number + 1) / len(directions))
    return found


def counterparts(place: Place, size: Sequence[int], seed: int) -> dict[str, Uint8Array]:
    """The same states in the look `flat` and in a place: {"sim", "real": uint8 (N, H, W, 3)}.

    Raises:
        UsageError: the place has another camera or car.
    """
    moved = sorted(set(load_randomisation(place.randomisation).ranges) & set(vars(Physics())))
    if moved:
        raise UsageError(
            f"--randomisation {place.randomisation}: changes the camera or the car ({', '.join(moved)}), so "
            "that no simulated picture has a true counterpart there; take one of appearance alone"
        )
    looks = {SIM: ("flat", "none"), REAL: (place.look, place.randomisation)}
    size_px = (size[0], size[1])
    return {
        domain: line_pictures(place.tracks, *where, place.frames, seed, size_px).images
        for domain, where in looks.items()
    }


def _direction(
    found: Looked,
    translator: RunnableTranslator,
    frames: Frames,
    space: Space,
    seen: Mapping[str, FloatArray],
    seed: int,
) -> dict[str, Any]:
    """The figures of one direction's pictures and of its speed; `seen` has the domains' scaled features."""
    rows, there = frames.rows(translator.takes), frames.rows(translator.gives)
    given, genuine = frames.images[rows], frames.images[there]
    made = translator.run_batch(given)
    ours, theirs, translated = seen[translator.takes], seen[translator.gives], space.scaled(features(made))
    spread, kept = diversity(ours, translated, theirs)
    blocks, others = frames.blocks[rows], frames.blocks[there]
    half = half_of(others, np.random.default_rng([seed, 2]))
    count = min(int(half.sum()), int((~half).sum()), len(given))
    target = theirs[half], others[half]
    likenesses = {
        "floor": space.likeness((theirs[~half], others[~half]), target, count, seed),
        "before": space.likeness((ours, blocks), target, count, seed),
        "after": space.likeness((translated, blocks), target, count, seed),
    }
    found.shown[translator.direction] = (given, made, genuine)
    facts: dict[str, Any] = {name: vars(values) for name, values in likenesses.items()}
    facts |= {"spread": spread, "kept": kept, "matches": _matches(given, made)}
    return facts | {"latency_ms": _latency(translator, given)}


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
    path: Path | None,
    frames: Frames,
) -> dict[str, Any] | None:
    """What a pilot that knows the domain translated to steers, beside the labels."""
    if path is None:
        return None
    pilot, made = load_pilot(path), found.shown[translator.direction][1]
    rows, there = frames.rows(translator.takes), frames.rows(translator.gives)
    sides = {
        "translated": (made, frames.steering[rows]),
        "untranslated": (frames.images[rows], frames.steering[rows]),
        "genuine": (frames.images[there], frames.steering[there]),
    }
    figures: dict[str, Any] = {"pilot": str(path)}
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
