"""What a table is made of: figures, rows, worlds, differences."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from dingocar.evaluate.leaderboard.notes import Note


@dataclass(frozen=True)
class Metric:
    """A figure of a row in a world.

    Attributes:
        name: in the results.
        label: for people, with the unit.
        higher: whether more is better; None: neither is.
        percent: whether it is a share.
        least, most: what it cannot be less and more than.
    """

    name: str
    label: str
    higher: bool | None
    percent: bool = False
    least: float = 0.0
    most: float = math.inf

    def text(self, value: float | None) -> str:
        """The value for people; None: there is none."""
        if value is None:
            return "n/a"
        return f"{100 * value:.0f} %" if self.percent else f"{value:.3f}"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("clean", "clean laps", True, percent=True, most=1.0),
        Metric("first_failure", "lap until first off-track", True, percent=True, most=1.0),
        Metric("completion", "completion, put back", True, percent=True, most=1.0),
        Metric("mean_abs_cte_m", "mean |cte| (m)", False),
        Metric("p95_abs_cte_m", "95 % |cte| (m)", False),
        Metric("off_tracks_per_lap", "off-tracks per lap driven", False),
        Metric("mean_speed_mps", "speed (m/s)", None),
        Metric("mean_abs_dsteering", "|d steering|", None),
        Metric("mae", "steering MAE", False),
        Metric("corr", "steering correlation", True, least=-1.0, most=1.0),
        Metric("probe_linear", "domain told, linear", None, percent=True, most=1.0),
        Metric("probe_mlp", "domain told, MLP", None, percent=True, most=1.0),
    )
}


@dataclass(frozen=True)
class Cell:
    """A figure: of every seed that has it, their mean, and its 95 % interval."""

    per_seed: dict[int | None, float]
    mean: float
    low: float
    high: float


@dataclass
class WorldCells:
    """A row in a world; `best` names the figures that no comparable row has better.

    Where nobody drives, `laps` is 0 and `cte_quantiles_m` empty; the latter also in gym-duckietown.
    """

    clean_laps: int
    laps: int
    clean_low: float
    clean_high: float
    cells: dict[str, Cell]
    cte_quantiles_m: list[float]
    best: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Contrast:
    """A row less the baseline, seed by seed, over the test worlds.

    Attributes:
        mean, low, high: of the difference, with the 95 % interval over trials: a seed is one
            pilot, so what it did in all test worlds is drawn as one value, their mean; and so are pilots
            of one translator.
        p, holm: two-sided, by flipping signs; and corrected for the number of rows.
        seeds: of which both have the figure in every test world.
        better: in how many of them the row is the better one.
    """

    mean: float
    low: float
    high: float
    p: float
    holm: float
    seeds: list[int]
    better: int


def interval_text(metric: Metric, found: Cell | Contrast) -> str:
    """An interval for people; nobody knows one of a single trial."""
    return "" if found.low == found.high else f"{metric.text(found.low)} to {metric.text(found.high)}"


@dataclass
class TableRow:
    """A pilot and a method, over all seeds.

    Attributes:
        labels: how many of the target's labels it has learned from; None: all of its labels.
        frames: pictures with labels that it had.
        training_s, images_per_s: means over the seeds.
        trials: {seed: the independent trial that it is a part of}; pilots that share a translator are one.
        overall: over the test worlds: mean, interquartile mean over seeds and worlds, and the
            95 % interval over trials of their means over the worlds.
        versus: differences to the baseline.
        gap_closed: share of the gap between source and oracle that it closes; None: there is no gap.
    """

    group: str
    role: str
    labels: int | None
    frames: int
    training_s: float
    images_per_s: float | None
    selection: str
    candidates: int
    seeds: list[int]
    failed: dict[int, str]
    worlds: dict[str, WorldCells]
    trials: dict[int, int]
    overall: dict[str, dict[str, float]] = field(default_factory=dict)
    versus: dict[str, Contrast] = field(default_factory=dict)
    gap_closed: dict[str, float | None] = field(default_factory=dict)

    @property
    def comparable(self) -> tuple[Any, ...]:
        """Rows with the same are comparable without further words."""
        return self.labels, self.frames, self.selection == "source", self.candidates

    @property
    def label_text(self) -> str:
        """How many labels of the target were used, for people."""
        used = "all" if self.labels is None else str(self.labels)
        return used if self.selection == "source" else f"{used} + {self.selection}"


@dataclass
class Table:
    """All rows, and what a reader must know."""

    title: str
    seeds: list[int]
    target: str
    baseline: str
    worlds: dict[str, str]
    rows: list[TableRow]
    notes: list[Note]
    expert: dict[str, WorldCells]
    always_mean_mae: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def test_worlds(self) -> list[str]:
        """The worlds the table is about."""
        return [name for name, role in self.worlds.items() if role == "test"]
