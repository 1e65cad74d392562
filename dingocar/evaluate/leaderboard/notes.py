"""What a suite itself makes it necessary to say beside its table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dingocar.evaluate.leaderboard.rules import ELSEWHERE, labels_asked, target_looks
from dingocar.evaluate.leaderboard.suite import LEAST_SEEDS, MethodSpec, Suite
from dingocar.sim.look import Look, load_look
from dingocar.sim.physics import Physics
from dingocar.sim.randomisation import BOUNDS, Randomisation, load_randomisation
from dingocar.words import counted

#: Appearances of a look that are drawn to see where its parameters lie.
_DRAWS = 64


@dataclass(frozen=True)
class Note:
    """Something a reader of the table must know; `grave`: the figures cannot be read without it."""

    text: str
    grave: bool = False


def notes(suite: Suite) -> list[Note]:
    """What the suite itself makes it necessary to say."""
    found = []
    if len(suite.seeds) < LEAST_SEEDS:
        found.append(
            Note(
                f"Not a comparison: {counted(len(suite.seeds), 'seed')}, at least {LEAST_SEEDS} are needed.",
                True,
            )
        )
    roles = {method.role for method in suite.methods}
    for role, why in (("source", "a method's gain"), ("oracle", "what could be reached")):
        if role not in roles:
            found.append(Note(f"There is no {role} row, so {why} is not known and no gap is computed."))
    frames = {_labelled_frames(method) for method in suite.methods}
    if len(frames) > 1:
        found.append(Note("Rows learn from different numbers of labelled frames; see the column."))
    tuned = [method.name for method in suite.methods if method.candidates]
    if tuned and len({len(method.candidates) for method in suite.methods}) > 1:
        found.append(Note(f"Only some methods chose among candidates: {', '.join(tuned)}.", True))
    for method in suite.methods:
        found += [note for one in _targets(suite) if (note := _reach(suite, method, *one)) is not None]
    if suite.target not in {world.recording.seen for world in suite.worlds if world.role == "test"}:
        found.append(Note(f"No test world has the look of the target, {suite.target}.", True))
    return found


def _labelled_frames(method: MethodSpec) -> int:
    """How many pictures with labels a method learns from."""
    asked = labels_asked(method)
    pool = method.recording if method.labelled is None else method.labelled
    return sum(r.frames for n, r in method.recordings.items() if n != "unlabelled") - (
        0 if asked is None else pool.frames - asked
    )


def _targets(suite: Suite) -> list[tuple[str, str]]:
    """The looks that are aimed at, each with the randomisations of the test worlds that have it."""
    worlds = [w for w in suite.worlds if w.role == "test" and w.place == "sim"]
    found = [
        (look, shift)
        for look in target_looks(suite)
        if look not in ELSEWHERE
        for shift in [w.randomisation for w in worlds if w.look == look] or ["none"]
    ]
    return list(dict.fromkeys(found))


def _reach(suite: Suite, method: MethodSpec, target: str, shift: str) -> Note | None:
    """Says how much of a target a method's randomisation can produce."""
    recording = method.recording
    randomisation = load_randomisation(recording.randomisation)
    if not randomisation.varies or recording.seen in target_looks(suite):
        return None
    shifted = load_randomisation(shift)
    covered, differ = coverage(randomisation, load_look(recording.look), load_look(target), shifted)
    if not differ:
        return None
    name = f"{target} ({Path(shift).stem})" if shifted.varies else target
    text = (
        f"{method.name}: {len(covered)} of the {len(differ)} parameters in which {name} differs from "
        f"{recording.look} lie within the randomisation {Path(recording.randomisation).stem}"
    )
    if len(covered) == len(differ):
        return Note(f"{text}: it includes the target's exact look, which is so no longer unseen.", True)
    missing = sorted(differ - covered)
    return Note(f"{text}; not: {', '.join(missing[:8])}{', ...' if len(missing) > 8 else ''}.")


def coverage(
    randomisation: Randomisation, base: Look, target: Look, shifted: Randomisation | None = None
) -> tuple[set[str], set[str]]:
    """Which parameters of the target's appearance and car a randomisation of another look can produce.

    Args:
        randomisation: of the look `base`.
        target: the look that is to be reached.
        shifted: what the target's episodes are drawn from; None: from its look alone.

    Returns:
        the covered names, and the names of all parameters in which the looks differ (of which the
        covered ones are some).
    """
    rng = np.random.default_rng(0)
    drawn = [(shifted or Randomisation()).draw(target, rng) for _ in range(_DRAWS)]
    ours = [vars(base.draw(rng)) | vars(Physics()) for _ in range(_DRAWS)]
    theirs = [vars(episode.appearance) | vars(episode.physics) for episode in drawn]
    covered, differ = set(), set()
    for name in theirs[0]:
        own, wanted = [draw[name] for draw in ours], [draw[name] for draw in theirs]
        if isinstance(wanted[0], str):
            if not set(wanted) <= set(own):
                differ.add(name)
                if set(wanted) <= set(own) | set(randomisation.choices.get(name, ())):
                    covered.add(name)
            continue
        if min(own) <= min(wanted) and max(wanted) <= max(own):
            continue
        differ.add(name)
        low, high = _span(randomisation, name, own)
        if low <= min(wanted) and max(wanted) <= high:
            covered.add(name)
    return covered, differ


def _span(randomisation: Randomisation, name: str, own: list[float]) -> tuple[float, float]:
    """The least and the greatest value the randomisation can give a parameter."""
    if name not in randomisation.ranges:
        return min(own), max(own)
    span = randomisation.ranges[name]
    low, high = (span.low + min(own), span.high + max(own)) if span.relative else (span.low, span.high)
    least, greatest = BOUNDS[name]
    return max(low, least), min(high, greatest)
