"""How rows compare: the best of comparable ones, paired differences, closed shares of the gap."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from dingocar.evaluate.leaderboard.figures import (
    METRICS,
    Contrast,
    Table,
    TableRow,
    WorldCells,
    interval_text,
)
from dingocar.evaluate.leaderboard.suite import LEAST_SEEDS
from dingocar.evaluate.statistics import holm, mean_interval, sign_flip_test

#: What rows are compared by in pairs. Each has its own correction for the number of rows.
COMPARED = ("clean", "first_failure", "off_tracks_per_lap", "mae")
#: What the closed share of the gap is computed for, and how large the gap must be to have shares.
GAPS = {"clean": 0.05, "first_failure": 0.05, "completion": 0.05, "mae": 0.005}
#: Small also for who hardly drives: not the best of rows of which one drives clearly more of its laps.
DRIVEN = ("mean_abs_cte_m", "p95_abs_cte_m", "off_tracks_per_lap")
#: A mean completion that is lower by more than this is clearly lower.
_LESS_DRIVEN = 0.1
#: Of the signs that are drawn for a table's p: the same results, the same p.
SEED = 20210831


def mark_best(table: Table) -> None:
    """Marks the best of each set of comparable, complete rows; a lone row is no best one."""
    whole = [
        row
        for row in table.rows
        if len(row.seeds) == len(table.seeds) and len(set(row.trials.values())) >= LEAST_SEEDS
    ]
    for key in {row.comparable for row in whole}:
        peers = [row for row in whole if row.comparable == key]
        if len(peers) < 2:
            continue
        for world in table.worlds:
            for name, metric in METRICS.items():
                able = [row for row in peers if _may_be_best(row, peers, world, name)]
                values = [row.worlds[world].cells[name].mean for row in able]
                if metric.higher is None or not values or min(values) == max(values):
                    continue
                best = max(values) if metric.higher else min(values)
                for row, value in zip(able, values, strict=True):
                    if value == best:
                        row.worlds[world].best.append(name)


def _may_be_best(row: TableRow, peers: Iterable[TableRow], world: str, name: str) -> bool:
    """Whether a row has the figure of every seed, and drives enough for it to mean something."""
    cells = row.worlds[world].cells
    if name not in cells or len(cells[name].per_seed) < len(row.seeds):
        return False
    if name not in DRIVEN:
        return True
    most = max(peer.worlds[world].cells["completion"].mean for peer in peers)
    return cells["completion"].mean >= most - _LESS_DRIVEN


def compare(table: Table) -> None:
    """Compares each row with the baseline of the same pilot."""
    bases = {row.group.split("/")[0]: row for row in table.rows if _method_of(row) == table.baseline}
    for name in COMPARED:
        found: dict[str, tuple[TableRow, Contrast]] = {}
        for row in table.rows:
            base = bases.get(row.group.split("/")[0])
            if base is None or row is base:
                continue
            ours, theirs = (over_worlds(one.worlds, table.test_worlds(), name) for one in (row, base))
            seeds = [seed for seed in ours if seed in theirs]
            if not seeds:
                continue
            # A seed is one pilot in all worlds: its worlds are not independent, so seeds are drawn whole.
            apart = {seed: ours[seed] - theirs[seed] for seed in seeds}
            drawn = by_trial(apart, joined(row.trials, base.trials))
            low, high = mean_interval(drawn)
            p = sign_flip_test(drawn, np.random.default_rng(SEED))
            better = sum(value > 0 if METRICS[name].higher else value < 0 for value in apart.values())
            found[row.group] = (
                row,
                Contrast(float(np.mean(drawn)), low, high, p, p, seeds, better),
            )
        corrected = holm({group: contrast.p for group, (_, contrast) in found.items()})
        for group, (row, contrast) in found.items():
            row.versus[name] = Contrast(**{**vars(contrast), "holm": corrected[group]})


def by_trial(values: Mapping[int, float], trials: Mapping[int, int]) -> npt.NDArray[np.float64]:
    """The mean of each independent trial, from a value for each seed.

    >>> by_trial({0: 1.0, 1: 2.0, 3: 3.0}, {0: 0, 1: 1, 3: 0}).tolist()
    [2.0, 2.0]
    """
    grouped: dict[int, list[float]] = {}
    for seed, value in values.items():
        grouped.setdefault(trials[seed], []).append(value)
    return np.array([np.mean(group) for group in grouped.values()])


def joined(*parts: Mapping[int, int]) -> dict[int, int]:
    """The trials that are independent by all of several groupings {seed: trial}: seeds that share a trial of
    any of them are one.

    >>> joined({0: 0, 1: 1, 2: 0, 3: 3}, {0: 7, 1: 7, 2: 8, 3: 9})
    {0: 0, 1: 0, 2: 0, 3: 3}
    """
    found = {seed: seed for seed in parts[0]}
    for part in parts * len(found):  # until nothing changes, and that often at most
        for seed, other in itertools.combinations(found, 2):
            if part.get(seed, seed) == part.get(other, other) or found[seed] == found[other]:
                found[seed] = found[other] = min(found[seed], found[other])
    return found


def over_worlds(cells: Mapping[str, WorldCells], worlds: Sequence[str], name: str) -> dict[int, float]:
    """A figure's mean over worlds, of each seed that has it in all of them."""
    each = [cells[world].cells[name].per_seed if name in cells[world].cells else {} for world in worlds]
    return {
        seed: float(np.mean([per_seed[seed] for per_seed in each]))
        for seed in each[0]
        if seed is not None and all(seed in per_seed for per_seed in each)
    }


def close_gaps(table: Table) -> None:
    """Computes how much of the gap between the source and the oracle row each row closes."""
    for pilot in {row.group.split("/")[0] for row in table.rows}:
        rows = [row for row in table.rows if row.group.split("/")[0] == pilot]
        ends = {row.role: row for row in rows}
        if not {"source", "oracle"} <= ends.keys():
            continue
        for row in rows:
            trio = (ends["source"], row, ends["oracle"])
            for name, least in GAPS.items():
                means = [over_worlds(one.worlds, table.test_worlds(), name) for one in trio]
                seeds = [seed for seed in table.seeds if all(seed in mean for mean in means)]
                if seeds:
                    source, ours, oracle = (float(np.mean([mean[s] for s in seeds])) for mean in means)
                    wide = (oracle - source if METRICS[name].higher else source - oracle) >= least
                    row.gap_closed[name] = (source - ours) / (source - oracle) if wide else None


def _method_of(row: TableRow) -> str:
    return row.group.split("/")[1]


def versus_rows(table: Table) -> list[dict[str, str]]:
    """The paired differences for people."""
    rows = []
    for row in table.rows:
        for name, c in row.versus.items():
            metric = METRICS[name]
            sign = "" if c.mean < 0 else "+"
            rows.append(
                {
                    "row": row.group,
                    "figure": metric.label,
                    "difference": sign + metric.text(c.mean),
                    "95 % interval": interval_text(metric, c),
                    "p": f"{c.p:.3f}",
                    "p (Holm)": f"{c.holm:.3f}",
                    "better in": f"{c.better} of {len(c.seeds)} seeds",
                }
            )
    return rows


def gap_rows(table: Table) -> list[dict[str, str]]:
    """The closed shares of the gap for people."""
    return [
        {
            "row": row.group,
            "labels": row.label_text,
            **{
                METRICS[name].label: "no gap" if share is None else f"{share:.0%}"
                for name, share in row.gap_closed.items()
            },
        }
        for row in table.rows
        if row.gap_closed
    ]
