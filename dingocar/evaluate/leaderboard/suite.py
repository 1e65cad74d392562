"""What is compared: pilots x methods x seeds x worlds, read from a TOML file and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from dingocar.errors import UsageError, did_you_mean
from dingocar.evaluate.leaderboard.reading import need, read

#: Fewer seeds are no comparison.
LEAST_SEEDS = 3
#: Most pictures of one recording: at 60x80 some gigabytes, and hours of driving.
MAX_FRAMES = 1_000_000
#: The row of the scripted driver, which is always there.
EXPERT = "expert"

#: What a method's recordings are for.
USES = ("recording", "unlabelled", "labelled")

WorldRole = Literal["source", "dev", "test"]
MethodRole = Literal["method", "source", "oracle"]
#: Where it is driven: here; in the real gym-duckietown; or nowhere, as it was recorded before.
Place = Literal["sim", "gym-duckietown", "recorded"]


@dataclass(frozen=True)
class Recording:
    """What the expert records, or a part of what somebody has recorded.

    Attributes:
        tracks: each gets its even share of the frames. In gym-duckietown its maps; recorded ones are called
            as `--data NAME=DIR` says.
        look, randomisation: of the world; a file's path is taken from the suite's folder.
        frames: pictures in all, at least one for each track and at most `MAX_FRAMES`.
        noise: how much the driving is disturbed, 0 to 1; the label is always the expert's own action.
        episode_frames: so many pictures after each reset; a randomised world is drawn anew at each.
        domain: what the tub says of itself.
        place: where.
        held_out: of what was recorded, the blocks that nothing is trained on; a world's alone.
        also: names of recorded tubs that are wholly added, whatever `frames` says; none that a world or
            another use has.
    """

    tracks: tuple[str, ...]
    look: str = "flat"
    randomisation: str = "none"
    frames: int = 3000
    noise: float = 0.5
    episode_frames: int = 100
    domain: Literal["sim", "real"] = "sim"
    place: Place = "sim"
    held_out: bool = False
    also: tuple[str, ...] = ()

    @property
    def recorded(self) -> tuple[str, ...]:
        """The names of all recorded tubs that it takes something of."""
        return (*self.tracks, *self.also) if self.place == "recorded" else self.also

    @property
    def seen(self) -> str:
        """What its pictures look like: the look, or the place that has none of ours."""
        return self.look if self.place == "sim" else self.place

    def check(self, where: str) -> None:
        """Raises a `UsageError` if a value is out of its range."""
        need(bool(self.tracks), f"{where}.tracks", "at least one track", list(self.tracks))
        least = len(self.tracks)
        for name, low in (("frames", least), ("episode_frames", 1)):
            value = getattr(self, name)
            need(low <= value <= MAX_FRAMES, f"{where}.{name}", f"from {low} to {MAX_FRAMES}", value)
        need(0 <= self.noise <= 1, f"{where}.noise", "a number from 0 to 1", self.noise)


@dataclass(frozen=True)
class PilotSpec:
    """A pilot of the zoo under a name of its own.

    Attributes:
        pilot: the zoo's name; empty: the table's name.
        settings: of the pilot, without the picture's shape.
        training: settings of its trainings; a method may change them.
    """

    name: str
    pilot: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodSpec:
    """How a pilot comes about.

    Attributes:
        recording: what it learns from, labelled by the expert.
        kind: a file of `dingocar/evaluate/leaderboard/methods`.
        role: "source" and "oracle" are the two ends of the gap that methods are to close.
        unlabelled: pictures of the target whose labels are not used.
        labelled: pictures of the target whose labels are used, all or as many as an option of the kind
            says; their number is shown.
        training: settings of the training.
        candidates: further training settings, one training each; `selection` chooses.
        selection: "source": by frames held out of the training; or the name of a dev world.
        options: of the kind.
        pilots: names of those that it is tried with; empty: all.
    """

    name: str
    recording: Recording
    kind: str = "supervised"
    role: MethodRole = "method"
    unlabelled: Recording | None = None
    labelled: Recording | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[Mapping[str, Any], ...] = ()
    selection: str = "source"
    options: Mapping[str, Any] = field(default_factory=dict)
    pilots: tuple[str, ...] = ()

    @property
    def recordings(self) -> dict[str, Recording]:
        """All that is recorded for it, by the name of the setting."""
        found = {use: getattr(self, use) for use in USES}
        return {use: recording for use, recording in found.items() if recording is not None}


@dataclass(frozen=True)
class WorldSpec:
    """Where pilots are judged: by laps, and by their steering error on a recording of the expert's.

    Attributes:
        role: "test": what the table is about, read by no training; "dev": methods may select by it, and
            the table says so; "source": what the pilots come from.
        laps: on each track, each a car with its own start and episode; in gym-duckietown episodes on a map.
        frames: of the recording.
        seed: of the starts, the episodes and the recording; the same for all rows.
        place: where; nobody drives in a recorded one.
        episode_frames: of the recording; see `Recording`.
        steps: of an episode in gym-duckietown, 30 to the second.
    """

    name: str
    role: WorldRole
    tracks: tuple[str, ...]
    look: str = "flat"
    randomisation: str = "none"
    laps: int = 10
    frames: int = 400
    seed: int = 1000
    place: Place = "sim"
    episode_frames: int = 100
    steps: int = 450

    @property
    def recording(self) -> Recording:
        """What the steering error is measured on."""
        return Recording(
            *(self.tracks, self.look, self.randomisation, self.frames),
            episode_frames=self.episode_frames,
            place=self.place,
            held_out=self.place == "recorded",
        )

    @property
    def driven(self) -> bool:
        """Whether pilots drive in it."""
        return self.place != "recorded"


@dataclass(frozen=True)
class Row:
    """One run: a pilot taught by a method from one seed; without them, the expert."""

    pilot: PilotSpec | None = None
    method: MethodSpec | None = None
    seed: int | None = None

    @property
    def group(self) -> str:
        """Pilot and method: what the seeds of a row are pooled under."""
        return (
            EXPERT if self.pilot is None or self.method is None else f"{self.pilot.name}/{self.method.name}"
        )

    @property
    def name(self) -> str:
        """pilot/method/seed."""
        return self.group if self.seed is None else f"{self.group}/{self.seed}"


@dataclass(frozen=True)
class Suite:
    """What is compared with what, and where.

    Attributes:
        seeds: of the trainings (weights, order, data); every row has all of them.
        target: the look that the methods are to reach, or "gym-duckietown" or "recorded".
        picture: (height, width) of every camera and pilot.
        baseline: the method that the others are compared with, in pairs of the same seed.
        training: settings of every method's training; a pilot or a method may change them.
        data: {name: {"folder", "digest"}} of the recordings that the user has; see `with_data`.
    """

    title: str
    seeds: tuple[int, ...]
    target: str
    pilots: tuple[PilotSpec, ...]
    methods: tuple[MethodSpec, ...]
    worlds: tuple[WorldSpec, ...]
    picture: tuple[int, ...] = (60, 80)
    baseline: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def rows(self, only: str | None = None) -> list[Row]:
        """All runs, or those whose name fits a pattern (`*` and `?`) or begins with it.

        Seed by seed, so that a run that is stopped has compared something.

        Raises:
            UsageError: none fits.
        """
        runs = [
            Row(pilot, method, seed)
            for seed in self.seeds
            for pilot in self.pilots
            for method in self.methods
            if not method.pilots or pilot.name in method.pilots
        ]
        rows = [Row(), *runs]
        chosen = [
            row
            for row in rows
            if only is None or fnmatchcase(row.name, only) or row.name.startswith(f"{only}/")
        ]
        if not chosen:
            raise UsageError(f"--only {only}: no such row; rows are called like {rows[-1].name}")
        return chosen

    def row(self, name: str) -> Row:
        """The row of this name.

        Raises:
            UsageError: there is none.
        """
        rows = {row.name: row for row in self.rows()}
        if name not in rows:
            raise UsageError(f"unknown row {name!r}{did_you_mean(name, rows)}")
        return rows[name]

    def world(self, name: str) -> WorldSpec:
        """The world of this name.

        Raises:
            UsageError: there is none.
        """
        worlds = {world.name: world for world in self.worlds}
        if name not in worlds:
            raise UsageError(f"unknown world {name!r}{did_you_mean(name, worlds)}")
        return worlds[name]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values; `suite_from` reads it again."""
        plain = asdict(self)
        for name in ("pilots", "methods", "worlds"):
            plain[name] = {entry.pop("name"): _without_none(entry) for entry in plain[name]}
        return plain


def load_suite(path: Path) -> Suite:
    """Reads and checks a suite's file; see docs/leaderboard.md.

    Raises:
        UsageError: it cannot be read or breaks a rule; one line says which, and where.
    """
    from dingocar.evaluate.leaderboard.rules import check

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no TOML, no text, or an integer too long for Python
        raise UsageError(f"{path}: is no TOML file ({error})") from None
    except OSError as error:
        there = {file.name for file in path.parent.glob("*.toml")}
        near = did_you_mean(path.name, there) if there else ""
        raise UsageError(f"{path}: the suite cannot be read ({error.strerror}){near}") from None
    if "data" in table:
        raise UsageError(f"{path}: data: where recordings are is said with --data NAME=DIR; remove it")
    suite = suite_from(table, str(path), path.parent)
    check(suite, str(path))
    return suite


def suite_from(table: Mapping[str, Any], where: str, folder: Path | None = None) -> Suite:
    """Makes a suite of plain values; not yet checked for its rules.

    Args:
        table: as in the file.
        where: what to call it in messages.
        folder: where the paths in it begin; None: they are left as they are.

    Raises:
        UsageError: an unknown name, a missing one, or a value of the wrong type.
    """
    table = dict(table)
    common = {use: table.pop(use, {}) for use in USES}
    for use, own in common.items():
        need(isinstance(own, dict), f"{where}: {use}", "a table", own)
    entries = {}
    for name in ("pilots", "methods", "worlds"):
        entries[name] = table.pop(name, None) or {}
        if not entries[name]:
            raise UsageError(
                f"{where}: has no {name}; a suite needs [pilots.NAME], [methods.NAME] and [worlds.NAME], see "
                "docs/leaderboard.md"
            )
        fine = isinstance(entries[name], dict) and all(isinstance(e, dict) for e in entries[name].values())
        need(fine, f"{where}: {name}", f"tables [{name}.NAME]", entries[name])
        bad = [key for key in entries[name] if "/" in key or key == EXPERT or not key]
        need(not bad, f"{where}: {name}", f"names without '/' other than '{EXPERT}'", bad)
    methods = tuple(
        _method(name, entry, common, f"{where}: methods.{name}", folder)
        for name, entry in entries["methods"].items()
    )
    pilots = tuple(
        read(PilotSpec, entry | {"name": name, "pilot": entry.get("pilot", name)}, f"{where}: pilots.{name}")
        for name, entry in entries["pilots"].items()
    )
    worlds = tuple(
        read(WorldSpec, _located(entry, folder) | {"name": name}, f"{where}: worlds.{name}")
        for name, entry in entries["worlds"].items()
    )
    known = {"pilots": pilots, "methods": methods, "worlds": worlds}
    return read(Suite, table | known, where, USES)


def _method(
    name: str, entry: Mapping[str, Any], common: Mapping[str, Any], where: str, folder: Path | None
) -> MethodSpec:
    """Reads a method; `common` has what its recordings are unless they say otherwise, by their use."""
    entry = dict(entry)
    for key in USES:
        own = entry.get(key, {} if key == "recording" else None)
        if own is None:
            continue
        need(isinstance(own, dict), f"{where}.{key}", "a table", own)
        # What is said to be of the target is real, unless it says otherwise itself.
        base = common["recording"]
        if key != "recording":
            base = {**base, "domain": "real", "also": [], **common[key]}
        recording = read(Recording, _located({**base, **own}, folder), f"{where}.{key}")
        recording.check(f"{where}.{key}")
        entry[key] = recording
    return read(MethodSpec, entry | {"name": name}, where)


def _located(entry: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """Lets paths of files begin in the suite's folder."""

    def place(text: Any) -> Any:
        is_file = isinstance(text, str) and text.endswith((".json", ".toml", ".npy"))
        return str((folder / text).resolve()) if is_file and folder is not None else text

    entry = dict(entry)
    if "randomisation" in entry:
        entry["randomisation"] = place(entry["randomisation"])
    if isinstance(entry.get("tracks"), list):
        entry["tracks"] = [place(track) for track in entry["tracks"]]
    return entry


def _without_none(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value is not None}
