"""How rows compare: the best of comparable ones, paired differences, closed shares of the gap."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dingocar.evaluate.leaderboard.figures import METRICS, Contrast, Table, TableRow
from dingocar.evaluate.leaderboard.suite import LEAST_SEEDS
from dingocar.evaluate.statistics import holm, sign_flip_test, stratified_bootstrap

#: What rows are compared by in pairs. Each has its own correction for the number of rows.
COMPARED = ("clean", "first_failure", "off_tracks_per_lap", "mae")
#: What the closed share of the gap is computed for, and how large the gap must be to have shares.
GAPS = {"clean": 0.05, "first_failure": 0.05, "mae": 0.005}
#: Of all bootstraps of a table: the same results, the same intervals.
SEED = 20210831


def mark_best(table: Table) -> None:
    """Marks the best of each set of comparable, complete rows; a lone row is no best one."""
    whole = [row for row in table.rows if len(row.seeds) == len(table.seeds) >= LEAST_SEEDS]
    for key in {row.comparable for row in whole}:
        peers = [row for row in whole if row.comparable == key]
        if len(peers) < 2:
            continue
        for world in table.worlds:
            for name, metric in METRICS.items():
                if metric.higher is None or any(name not in row.worlds[world].cells for row in peers):
                    continue
                values = [row.worlds[world].cells[name].mean for row in peers]
                best = max(values) if metric.higher else min(values)
                if min(values) == max(values):
                    continue
                for row, value in zip(peers, values, strict=True):
                    if value == best:
                        row.worlds[world].best.append(name)


def compare(table: Table) -> None:
    """Compares each row with the baseline of the same pilot."""
    bases = {row.group.split("/")[0]: row for row in table.rows if _method_of(row) == table.baseline}
    for name in COMPARED:
        found: dict[str, tuple[TableRow, Contrast]] = {}
        for row in table.rows:
            base = bases.get(row.group.split("/")[0])
            seeds = [] if base is None else [seed for seed in row.seeds if seed in base.seeds]
            if base is None or row is base or not seeds:
                continue
            strata = [
                [_at(row, world, name, seed) - _at(base, world, name, seed) for seed in seeds]
                for world in table.test_worlds()
            ]
            rng = np.random.default_rng(SEED)
            low, high = stratified_bootstrap(strata, rng)
            apart = np.mean(strata, axis=0)
            p = sign_flip_test(apart, rng)
            better = int(np.sum(apart > 0 if METRICS[name].higher else apart < 0))
            found[row.group] = row, Contrast(float(np.mean(apart)), low, high, p, p, seeds, better)
        corrected = holm({group: contrast.p for group, (_, contrast) in found.items()})
        for group, (row, contrast) in found.items():
            row.versus[name] = Contrast(**{**vars(contrast), "holm": corrected[group]})


def close_gaps(table: Table) -> None:
    """Computes how much of the gap between the source and the oracle row each row closes."""
    for pilot in {row.group.split("/")[0] for row in table.rows}:
        rows = [row for row in table.rows if row.group.split("/")[0] == pilot]
        ends = {row.role: row for row in rows}
        if not {"source", "oracle"} <= ends.keys():
            continue
        for row in rows:
            trio = (ends["source"], row, ends["oracle"])
            seeds = [seed for seed in table.seeds if all(seed in one.seeds for one in trio)]
            for name, least in GAPS.items():
                if seeds:
                    source, ours, oracle = (_over_test(table, one, name, seeds) for one in trio)
                    wide = (oracle - source if METRICS[name].higher else source - oracle) >= least
                    row.gap_closed[name] = (source - ours) / (source - oracle) if wide else None


def _over_test(table: Table, row: TableRow, name: str, seeds: Iterable[int]) -> float:
    return float(np.mean([_at(row, world, name, seed) for world in table.test_worlds() for seed in seeds]))


def _at(row: TableRow, world: str, name: str, seed: int) -> float:
    return row.worlds[world].cells[name].per_seed[seed]


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
                    "95 % interval": f"{metric.text(c.low)} to {metric.text(c.high)}",
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
