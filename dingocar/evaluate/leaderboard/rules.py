"""What a fair comparison may not do: each rule is an error in one line, or a note beside the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dingocar.errors import DingocarError, UsageError, did_you_mean
from dingocar.evaluate.leaderboard.suite import LEAST_SEEDS, MethodSpec, PilotSpec, Suite
from dingocar.sim.look import Look, load_look
from dingocar.sim.randomisation import BOUNDS, Randomisation, load_randomisation
from dingocar.sim.tiles import TileTrack
from dingocar.sim.track import Track, load_track
from dingocar.training import TrainingSettings
from dingocar.training.split import MIN_BLOCK_FRAMES
from dingocar.words import counted
from dingocar.zoo import Pilot, pilots

#: Fewer pictures cannot be parted into some to learn from and a block that is held out.
LEAST_FRAMES = 2 * MIN_BLOCK_FRAMES
#: Settings of the training that are not a suite's to choose.
_OURS = ("seed", "split_seed", "progress", "curve", "workers", "decode_workers")
#: Appearances of a look that are drawn to see where its parameters lie.
_DRAWS = 64
#: Centre lines that lie within this are the same, half widths of a track apart from any other.
_SAME_M = 0.1


@dataclass(frozen=True)
class Note:
    """Something a reader of the table must know; `grave`: the figures cannot be read without it."""

    text: str
    grave: bool = False


def check(suite: Suite, where: str) -> None:
    """Checks everything that can be known before a run.

    Raises:
        UsageError: a rule is broken.
    """
    try:
        _check_frame(suite)
        for pilot in suite.pilots:
            make_pilot(pilot, suite.picture)
        for method in suite.methods:
            _check_method(suite, method)
        _check_tracks(suite)
    except DingocarError as error:
        raise UsageError(f"{where}: {str(error).removeprefix(f'{where}: ')}") from None


def make_pilot(spec: PilotSpec, picture: tuple[int, ...]) -> Pilot:
    """The untrained pilot a suite asks for.

    Raises:
        UsageError: it sets the picture's shape, which is the suite's.
        UnknownNameError: there is no such pilot or setting.
        PilotError: a setting does not fit.
    """
    if "image_shape" in spec.settings:
        raise UsageError(
            f"pilots.{spec.name}.settings.image_shape: all rows see the suite's picture; remove it"
        )
    made: Pilot = pilots.load(spec.pilot).from_settings({**spec.settings, "image_shape": (*picture, 3)})
    return made


def training_settings(suite: Suite, method: MethodSpec, seed: int, candidate: int | None) -> TrainingSettings:
    """The settings of one training.

    Args:
        suite, method: whose settings are put together; the method's win.
        seed: of the row: of weights, order, augmentation, and of what is held out.
        candidate: which of the method's candidates; None: it has none.

    Raises:
        UsageError: a setting that is not a suite's to choose.
        TrainingError: an unknown one, or a value that does not fit.
    """
    extra = {} if candidate is None else method.candidates[candidate]
    values = {**suite.training, **method.training, **extra}
    for name in _OURS:
        if name in values:
            raise UsageError(
                f"methods.{method.name}.training.{name}: all rows share the suite's seeds and machinery; "
                "remove it"
            )
    texts = {name: str(value) for name, value in values.items()}
    base = TrainingSettings(
        seed=seed, split_seed=seed, workers=1, decode_workers=1, curve=False, progress=False
    )
    return TrainingSettings.from_strings(texts, base)


def target_looks(suite: Suite) -> list[str]:
    """The suite's target, and every look of a test world that is not the source row's.

    Without a source row, the looks of the source worlds are the source's.
    """
    source = {method.recording.look for method in suite.methods if method.role == "source"}
    source = source or {world.look for world in suite.worlds if world.role == "source"}
    tested = [world.look for world in suite.worlds if world.role == "test"]
    return list(dict.fromkeys([suite.target, *(look for look in tested if look not in source)]))


def labels_used(suite: Suite, method: MethodSpec) -> int | None:
    """How many of the target's labels a method learns from; None: all of its labels are the target's."""
    if method.recording.look in target_looks(suite):
        return None
    return 0 if method.labelled is None else method.labelled.frames


def _check_frame(suite: Suite) -> None:
    seeds = suite.seeds
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UsageError(f"seeds: expected whole numbers >= 0, all different, got {list(seeds)}")
    sides = suite.picture
    if len(sides) != 2 or not all(8 <= side <= 4096 for side in sides) or sides[1] % 4:
        raise UsageError(
            "picture: expected [height, width] of 8 to 4096 pixels, the width a multiple of 4, got "
            f"{list(sides)}"
        )
    load_look(suite.target)
    names = [method.name for method in suite.methods]
    if suite.baseline and suite.baseline not in names:
        raise UsageError(
            f"baseline: there is no method {suite.baseline!r}{did_you_mean(suite.baseline, names)}"
        )
    for role in ("source", "oracle"):
        some = [method.name for method in suite.methods if method.role == role]
        if len(some) > 1:
            raise UsageError(f"methods {', '.join(some)}: at most one may have the role {role!r}")
    if not any(world.role == "test" for world in suite.worlds):
        raise UsageError('worlds: expected at least one with role = "test"')
    for world in suite.worlds:
        load_look(world.look)
        load_randomisation(world.randomisation)
        world.recording.check(f"worlds.{world.name}")
        if not 1 <= world.laps <= 1000 or world.seed < 0:
            raise UsageError(f"worlds.{world.name}: expected laps from 1 to 1000 and a seed >= 0")


def _check_method(suite: Suite, method: MethodSpec) -> None:
    from dingocar.evaluate.leaderboard.methods import check_options

    where = f"methods.{method.name}"
    targets = target_looks(suite)
    expected = " or ".join(map(repr, targets))
    for candidate in range(len(method.candidates)) if method.candidates else (None,):
        training_settings(suite, method, 0, candidate)
    if method.recording.frames < LEAST_FRAMES:
        raise UsageError(
            f"{where}.recording.frames: expected at least {LEAST_FRAMES} to learn from, got "
            f"{method.recording.frames}"
        )
    for name, recording in method.recordings.items():
        load_look(recording.look)
        load_randomisation(recording.randomisation)
        if name != "recording" and recording.look not in targets:
            raise UsageError(f"{where}.{name}.look: expected the target {expected}, got {recording.look!r}")
    if method.role == "oracle" and method.recording.look not in targets:
        raise UsageError(
            f"{where}: an oracle learns from the target {expected}, not from {method.recording.look!r}"
        )
    if method.role == "source":
        alone = (method.recording.look, method.labelled, method.unlabelled, method.recording.randomisation)
        if alone[0] in targets or alone[1:] != (None, None, "none") or method.kind != "supervised":
            raise UsageError(
                f"{where}: the source row learns from the source alone: kind supervised, no target "
                "recording, no randomisation"
            )
    check_options(method)
    _check_selection(suite, method)


def _check_selection(suite: Suite, method: MethodSpec) -> None:
    roles = {world.name: world.role for world in suite.worlds}
    where = f"methods.{method.name}.selection"
    if method.selection == "source":
        return
    if method.selection not in roles:
        dev = [name for name, role in roles.items() if role == "dev"]
        raise UsageError(
            f"{where}: expected 'source' or a dev world{did_you_mean(method.selection, dev)}, "
            f"got {method.selection!r}"
        )
    if roles[method.selection] != "dev":
        raise UsageError(
            f"{where}: {method.selection!r} is a {roles[method.selection]} world; only a dev world may select"
        )
    if len(method.candidates) < 2:
        raise UsageError(f"{where}: nothing to select from; give at least two candidates")


def _check_tracks(suite: Suite) -> None:
    """Tracks of test worlds are read by nothing but the test, whatever name they come under."""
    tested = [
        (load_track(track), f"{track!r} of worlds.{world.name}")
        for world in suite.worlds
        if world.role == "test"
        for track in world.tracks
    ]
    for user, tracks in _readers(suite):
        for name in tracks:
            track = load_track(name)
            for other, what in tested:
                if same_course(track, other):
                    raise UsageError(
                        f"{user}: track {name!r} is the test track {what}; split by track: train on others"
                    )


def _readers(suite: Suite) -> Iterator[tuple[str, tuple[str, ...]]]:
    for method in suite.methods:
        for name, recording in method.recordings.items():
            yield f"methods.{method.name}.{name}", recording.tracks
    for world in suite.worlds:
        if world.role == "dev":
            yield f"worlds.{world.name} (dev)", world.tracks


def same_course(one: Track, other: Track) -> bool:
    """Whether two tracks have the same centre line: in either direction, begun and moved anywhere.

    All lanes of one map of tiles are the same course: they see the same road.

    >>> same_course(load_track("random"), load_track("random:0"))
    True
    """
    if isinstance(one, TileTrack) and isinstance(other, TileTrack) and one.tiles == other.tiles:
        return True
    if abs(one.length_m - other.length_m) > _SAME_M:
        return False
    lines = [line - (line.min(axis=0) + line.max(axis=0)) / 2 for line in (one.centre, other.centre)]
    apart = np.hypot(*(lines[0][:, None] - lines[1]).transpose(2, 0, 1))
    return bool(max(apart.min(axis=0).max(), apart.min(axis=1).max()) < _SAME_M)


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
    frames = {sum(r.frames for n, r in m.recordings.items() if n != "unlabelled") for m in suite.methods}
    if len(frames) > 1:
        found.append(Note("Rows learn from different numbers of labelled frames; see the column."))
    tuned = [method.name for method in suite.methods if method.candidates]
    if tuned and len({len(method.candidates) for method in suite.methods}) > 1:
        found.append(Note(f"Only some methods chose among candidates: {', '.join(tuned)}.", True))
    for method in suite.methods:
        found += [note for look in target_looks(suite) if (note := _reach(suite, method, look)) is not None]
    if suite.target not in {world.look for world in suite.worlds if world.role == "test"}:
        found.append(Note(f"No test world has the look of the target, {suite.target}.", True))
    return found


def _reach(suite: Suite, method: MethodSpec, target: str) -> Note | None:
    """Says how much of a target look a method's randomisation can produce."""
    recording = method.recording
    randomisation = load_randomisation(recording.randomisation)
    if not randomisation.varies or recording.look in target_looks(suite):
        return None
    covered, differ = coverage(randomisation, load_look(recording.look), load_look(target))
    if not differ:
        return None
    text = (
        f"{method.name}: {len(covered)} of the {len(differ)} parameters in which {target} differs from "
        f"{recording.look} lie within the randomisation {recording.randomisation}"
    )
    if len(covered) == len(differ):
        return Note(f"{text}: it includes the target's exact look, which is so no longer unseen.", True)
    missing = sorted(differ - covered)
    return Note(f"{text}; not: {', '.join(missing[:8])}{', ...' if len(missing) > 8 else ''}.")


def coverage(randomisation: Randomisation, base: Look, target: Look) -> tuple[set[str], set[str]]:
    """Which parameters of the target's appearance a randomisation of another look can produce.

    Returns:
        the covered names, and the names of all parameters in which the looks differ (of which the
        covered ones are some).
    """
    rng = np.random.default_rng(0)
    ours, theirs = ([vars(look.draw(rng)) for _ in range(_DRAWS)] for look in (base, target))
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
