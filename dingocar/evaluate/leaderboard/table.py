"""The table: rows pooled over seeds, with intervals, and what must be said beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard import notes, rules
from dingocar.evaluate.leaderboard.contrasts import (
    by_trial,
    close_gaps,
    compare,
    joined,
    mark_best,
    over_worlds,
)
from dingocar.evaluate.leaderboard.figures import METRICS, Cell, Table, TableRow, WorldCells
from dingocar.evaluate.leaderboard.methods import lender_of, load_kind
from dingocar.evaluate.leaderboard.notes import Note
from dingocar.evaluate.leaderboard.results import Results
from dingocar.evaluate.leaderboard.suite import EXPERT, LEAST_SEEDS, MethodSpec, Row, Suite
from dingocar.evaluate.statistics import interquartile_mean, mean_interval, wilson_interval

#: A source row that is less than so many times worse than the oracle leaves nothing to close.
LEAST_GAP = 5
#: Who drives less, in all laps together, has no figure for each lap driven.
LEAST_DRIVEN_LAPS = 0.1
#: Rows that differ by less do not disagree: in the share of clean laps, in the steering error.
_CLEARLY = (0.1, 0.01)


def make_table(suite: Suite, results: Results) -> Table:
    """Pools the results of a suite.

    Raises:
        UsageError: there are none.
    """
    found = results.of(suite)
    if not found:
        raise UsageError(f"{results.path}: holds no rows of this suite; run dingocar leaderboard run first")
    failed = {row["row"]: row["reason"] for row in results.failed().values()}
    rows = []
    for pilot in suite.pilots:
        for method in suite.methods:
            runs = {seed: found.get(Row(pilot, method, seed).name) for seed in suite.seeds}
            group = Row(pilot, method).group
            mine = {
                s: failed[f"{group}/{s}"] for s in suite.seeds if f"{group}/{s}" in failed and not runs[s]
            }
            there = {seed: run for seed, run in runs.items() if run is not None}
            if there:
                rows.append(_row(suite, method, group, there, mine))
    expert = found.get(EXPERT)
    means = {
        world: facts["offline"]["always_mean_mae"]
        for run in found.values()
        for world, facts in run["worlds"].items()
        if "offline" in facts
    }
    table = Table(
        suite.title,
        list(suite.seeds),
        suite.target,
        suite.baseline,
        {world.name: world.role for world in suite.worlds},
        rows,
        notes.notes(suite),
        {} if expert is None else {w.name: _cells(w.name, {None: expert}, {None: 0}) for w in suite.worlds},
        means,
    )
    mark_best(table)
    compare(table)
    close_gaps(table)
    table.notes += _notes(suite, table, results, failed)
    return table


def _row(
    suite: Suite,
    method: MethodSpec,
    group: str,
    runs: Mapping[int, Mapping[str, Any]],
    failed: dict[int, str],
) -> TableRow:
    maker = lender_of(suite, method) or method
    trials = joined(
        *({seed: load_kind(one.kind).share(one, seed) for seed in runs} for one in (method, maker))
    )
    worlds = {world.name: _cells(world.name, runs, trials) for world in suite.worlds}
    tested = [world.name for world in suite.worlds if world.role == "test"]
    overall = {}
    for name in METRICS:
        means = over_worlds(worlds, tested, name)
        if means:
            low, high = _interval(name, by_trial(means, trials))
            iqm = interquartile_mean([worlds[w].cells[name].per_seed[seed] for w in tested for seed in means])
            mean = float(np.mean(by_trial(means, trials)))
            overall[name] = {"mean": mean, "iqm": iqm, "low": low, "high": high}
    some = next(iter(runs.values()))
    speeds = [run["images_per_s"] for run in runs.values() if run.get("images_per_s") is not None]
    return TableRow(
        group=group,
        role=method.role,
        # What is stored was counted for the target of then, which is no part of a row's key.
        labels=rules.labels_used(suite, method),
        frames=some["frames"],
        training_s=float(np.mean([run["training_s"] for run in runs.values()])),
        images_per_s=float(np.mean(speeds)) if speeds else None,
        selection=maker.selection,
        candidates=len(maker.candidates),
        seeds=list(runs),
        failed=failed,
        worlds=worlds,
        trials=trials,
        overall=overall,
    )


def _cells(world: str, runs: Mapping[Any, Mapping[str, Any]], trials: Mapping[Any, int]) -> WorldCells:
    facts = {seed: run["worlds"][world] for seed, run in runs.items()}
    cells = {}
    for name in METRICS:
        per_seed = {seed: value for seed, f in facts.items() if (value := _figure(f, name)) is not None}
        if per_seed:
            low, high = _interval(name, by_trial(per_seed, trials))
            cells[name] = Cell(per_seed, float(np.mean(list(per_seed.values()))), low, high)
    clean, laps = (sum(f.get(name, 0) for f in facts.values()) for name in ("clean_laps", "laps"))
    interval = wilson_interval(clean, laps) if laps else (0.0, 1.0)
    kept = [f["cte_quantiles_m"] for f in facts.values() if "cte_quantiles_m" in f]
    return WorldCells(clean, laps, *interval, cells, np.mean(kept, axis=0).tolist() if kept else [])


def _interval(name: str, values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """A figure's interval over trials; it ends where the figure does."""
    metric, (low, high) = METRICS[name], mean_interval(values)
    return max(metric.least, low), min(metric.most, high)


def _figure(facts: Mapping[str, Any], name: str) -> float | None:
    if name == "clean":
        return float(facts["clean_laps"] / facts["laps"]) if "laps" in facts else None
    if name in ("mae", "corr"):
        found = facts.get("offline", {}).get(name)
        return None if found is None else float(found)
    if name not in facts:
        return None
    if name == "off_tracks_per_lap":
        # Stored for the laps that were begun; a car that stands still leaves no track.
        driven = facts["completion"] * facts["laps"]
        return float(facts[name] * facts["laps"] / driven) if driven >= LEAST_DRIVEN_LAPS else None
    return float(facts[name])


def gap_notes(suite: Suite, results: Results) -> list[Note]:
    """Says where the finished rows leave too little of a gap between source and oracle, if they have both."""
    return _small_gaps(make_table(suite, results)) if results.of(suite) else []


def _notes(suite: Suite, table: Table, results: Results, failed: Mapping[str, str]) -> list[Note]:
    """What the results make it necessary to say."""
    found = []
    there = results.of(suite)
    missing = [row.name for row in suite.rows() if row.name not in there]
    if missing:
        failures = [name for name in missing if name in failed]
        reasons = sorted({failed[name] for name in failures})
        text = f"Incomplete: {len(missing)} of {len(suite.rows())} rows are missing"
        text += f"; {', '.join(failures)} failed: {'; '.join(reasons)}." if failures else "."
        found.append(Note(text, grave=True))
    codes = {row["code"] for row in there.values()}
    if len(codes) > 1:
        found.append(
            Note(
                f"The rows were made by {len(codes)} versions of the library; run with --again to make the "
                "older ones anew.",
                grave=True,
            )
        )
    if len({row.labels for row in table.rows}) > 1:
        found.append(Note("Rows with different numbers of the target's labels are not compared in bold."))
    fewest = min((len(set(row.trials.values())) for row in table.rows), default=0)
    if len(table.seeds) >= LEAST_SEEDS and suite.baseline and fewest:
        of = "translators" if any(len(set(r.trials.values())) < len(r.seeds) for r in table.rows) else "seeds"
        found.append(Note(f"With {fewest} {of} no p can be smaller than {2 / 2**fewest:.3g}."))
    if not any(role == "source" for role in table.worlds.values()):
        found.append(Note("No world of the source is driven: a collapse there would not be seen."))
    return found + _small_gaps(table) + _disagreements(table)


def _small_gaps(table: Table) -> list[Note]:
    """For each pilot and test world, whether there is enough of a gap to tell methods apart."""
    found = []
    for source in (row for row in table.rows if row.role == "source"):
        pilot = source.group.split("/")[0]
        for oracle in (
            row for row in table.rows if row.role == "oracle" and row.group.split("/")[0] == pilot
        ):
            # Beside people, whose steering is full of chance, no oracle is so good.
            for world in (name for name in table.test_worlds() if _driven(source, name)):
                ours, theirs = (_mean(row, world, "mae") for row in (source, oracle))
                if ours < LEAST_GAP * theirs:
                    found.append(
                        Note(
                            f"{pilot} in {world}: the gap is small: the source row's steering error is "
                            f"{ours / theirs:.1f} times the oracle's, at least {LEAST_GAP} times are wanted "
                            "to tell methods apart."
                        )
                    )
    return found


def _disagreements(table: Table, limit: int = 3) -> list[Note]:
    """Pairs of rows of which one has the smaller error and the other drives clearly better."""
    found = []
    for world in (name for name in table.test_worlds() if all(_driven(row, name) for row in table.rows)):
        pairs = [
            (worse, better)
            for worse in table.rows
            for better in table.rows
            if _mean(better, world, "clean") - _mean(worse, world, "clean") > _CLEARLY[0]
            and _mean(better, world, "mae") - _mean(worse, world, "mae") > _CLEARLY[1]
        ]
        texts = [
            f"{worse.group} has the smaller steering error than {better.group} "
            f"({_mean(worse, world, 'mae'):.3f} against {_mean(better, world, 'mae'):.3f}) but fewer clean "
            f"laps ({_mean(worse, world, 'clean'):.0%} against {_mean(better, world, 'clean'):.0%})"
            for worse, better in pairs
        ]
        if texts:
            more = f"; and {len(texts) - limit} pairs more" if len(texts) > limit else ""
            found.append(Note(f"Offline and driving disagree in {world}: {'; '.join(texts[:limit])}{more}."))
    return found


def _driven(row: TableRow, world: str) -> bool:
    return "clean" in row.worlds[world].cells


def _mean(row: TableRow, world: str, name: str) -> float:
    return row.worlds[world].cells[name].mean
