"""What a fair comparison may not do: each rule is an error in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dingocar.errors import DingocarError, UsageError, did_you_mean
from dingocar.evaluate.leaderboard.methods import check_options, lender_of, load_kind, options_of
from dingocar.evaluate.leaderboard.suite import MethodSpec, PilotSpec, Place, Suite
from dingocar.sim.look import load_look
from dingocar.sim.randomisation import load_randomisation
from dingocar.sim.tiles import TileTrack
from dingocar.sim.track import Track, load_track
from dingocar.training import TrainingSettings
from dingocar.training.split import MIN_BLOCK_FRAMES
from dingocar.zoo import Pilot, pilots

#: Fewer pictures cannot be parted into some to learn from and a block that is held out.
LEAST_FRAMES = 2 * MIN_BLOCK_FRAMES
#: Settings of the training that are not a suite's to choose.
_OURS = ("seed", "split_seed", "progress", "curve", "workers", "decode_workers")
#: Targets that are no look of ours but a place.
ELSEWHERE: tuple[Place, ...] = ("gym-duckietown", "recorded")
#: Centre lines that lie within this are the same, half widths of a track apart from any other.
_SAME_M = 0.1


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


def told_training(suite: Suite, method: MethodSpec, pilot: PilotSpec | None) -> dict[str, Any]:
    """What a suite says of a method's trainings of a pilot: the method's words win over the pilot's."""
    own = {} if pilot is None else pilot.training
    return {**suite.training, **own, **method.training}


def training_settings(
    suite: Suite, method: MethodSpec, seed: int, candidate: int | None, pilot: PilotSpec | None = None
) -> TrainingSettings:
    """The settings of one training.

    Args:
        suite, method: whose settings are put together; the method's win.
        seed: of the row: of weights, order, augmentation, and of what is held out.
        candidate: which of the method's candidates; None: it has none.
        pilot: its settings win over the suite's.

    Raises:
        UsageError: a setting that is not a suite's to choose.
        TrainingError: an unknown one, or a value that does not fit.
    """
    extra = {} if candidate is None else method.candidates[candidate]
    values = {**told_training(suite, method, pilot), **extra}
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
    """The suite's target, and every look or place of a test world that is not the source row's.

    Without a source row, the looks of the source worlds are the source's.
    """
    source = {method.recording.seen for method in suite.methods if method.role == "source"}
    source = source or {world.recording.seen for world in suite.worlds if world.role == "source"}
    tested = [world.recording.seen for world in suite.worlds if world.role == "test"]
    return list(dict.fromkeys([suite.target, *(seen for seen in tested if seen not in source)]))


def labels_used(suite: Suite, method: MethodSpec) -> int | None:
    """How many of the target's labels a method learns from; None: all of its labels are the target's."""
    lender = lender_of(suite, method)
    if lender is not None:
        return labels_used(suite, lender)
    asked = labels_asked(method)
    if method.recording.seen in target_looks(suite):
        return asked
    if method.labelled is None:
        return 0
    return method.labelled.frames if asked is None else asked


def labels_asked(method: MethodSpec) -> int | None:
    """To how many labels an option of the method's kind limits it; None: to none."""
    option = load_kind(method.kind).labels
    count = options_of(method)[option] if option else -1
    return None if count < 0 else int(count)


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
    if suite.target not in ELSEWHERE:
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
        if not 1 <= world.laps <= 1000 or world.seed < 0 or not 2 <= world.steps <= 100_000:
            raise UsageError(
                f"worlds.{world.name}: expected laps from 1 to 1000, steps from 2 to 100000 and a seed >= 0"
            )


def _check_method(suite: Suite, method: MethodSpec) -> None:
    where = f"methods.{method.name}"
    _check_pilots(suite, method, f"{where}.pilots")
    targets = target_looks(suite)
    expected = " or ".join(map(repr, targets))
    for candidate in range(len(method.candidates)) if method.candidates else (None,):
        for pilot in suite.pilots:
            training_settings(suite, method, 0, candidate, pilot)
    if method.recording.frames < LEAST_FRAMES:
        raise UsageError(
            f"{where}.recording.frames: expected at least {LEAST_FRAMES} to learn from, got "
            f"{method.recording.frames}"
        )
    for name, recording in method.recordings.items():
        load_look(recording.look)
        load_randomisation(recording.randomisation)
        if recording.held_out:
            raise UsageError(f"{where}.{name}.held_out: what is held out is for worlds; remove it")
        others = {track for world in suite.worlds for track in world.recording.recorded}
        others |= {track for use, other in method.recordings.items() for track in other.tracks if use != name}
        for track in recording.also:
            if track in others:
                raise UsageError(f"{where}.{name}.also: {track!r} is used elsewhere, in parts; take another")
        if name != "recording" and recording.seen not in targets:
            raise UsageError(f"{where}.{name}.look: expected the target {expected}, got {recording.seen!r}")
    if method.role == "oracle" and method.recording.seen not in targets:
        raise UsageError(
            f"{where}: an oracle learns from the target {expected}, not from {method.recording.seen!r}"
        )
    if method.role == "source":
        alone = (method.recording.seen, method.labelled, method.unlabelled, method.recording.randomisation)
        if alone[0] in targets or alone[1:] != (None, None, "none") or method.kind != "supervised":
            raise UsageError(
                f"{where}: the source row learns from the source alone: kind supervised, no target "
                "recording, no randomisation"
            )
    check_options(method)
    try:
        load_kind(method.kind).fits(method, suite.picture)
    except DingocarError as error:
        raise UsageError(f"{where}: {error}") from None
    lender_of(suite, method)
    asked, pool = labels_asked(method), method.recording if method.labelled is None else method.labelled
    if asked is not None and asked > pool.frames:
        raise UsageError(f"{where}.options: {asked} labels are asked for, and {pool.frames} are recorded")
    _check_selection(suite, method)


def _check_pilots(suite: Suite, method: MethodSpec, where: str) -> None:
    names = [pilot.name for pilot in suite.pilots]
    for name in method.pilots:
        if name not in names:
            raise UsageError(f"{where}: there is no pilot {name!r}{did_you_mean(name, names)}")
    if method.pilots and (method.role != "method" or method.name == suite.baseline):
        raise UsageError(f"{where}: all pilots are compared with {method.name!r}; remove it")


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
        (world.place, track, f"{track!r} of worlds.{world.name}")
        for world in suite.worlds
        if world.role == "test"
        for track in world.tracks
    ]
    ours = {track: load_track(track) for place, track, _ in tested if place == "sim"}
    fine = set()  # many methods read the same tracks
    for user, place, tracks in _readers(suite):
        for name in tracks:
            if (user.startswith("worlds"), place, name) in fine:
                continue
            course = load_track(name) if place == "sim" else None
            for other_place, other, what in tested:
                if place != other_place:
                    continue
                # Of what was recorded, a method gets other blocks than a world.
                same = name == other and (place != "recorded" or user.startswith("worlds"))
                if same if course is None else same_course(course, ours[other]):
                    raise UsageError(
                        f"{user}: track {name!r} is the test track {what}; split by track: train on others"
                    )
            fine.add((user.startswith("worlds"), place, name))


def _readers(suite: Suite) -> Iterator[tuple[str, Place, tuple[str, ...]]]:
    for method in suite.methods:
        for name, recording in method.recordings.items():
            yield f"methods.{method.name}.{name}", recording.place, recording.tracks
    for world in suite.worlds:
        if world.role == "dev":
            yield f"worlds.{world.name} (dev)", world.place, world.tracks


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
