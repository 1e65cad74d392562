"""The table for a document: in Markdown, every seed printed, one table for each pilot and test world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dingocar.evaluate.leaderboard.figures import METRICS, Table, TableRow

#: Figures whose closed share of the gap is a column, and its head.
_CLOSED = {"first_failure": "gap closed, lap", "mae": "gap closed, MAE"}


def markdown_of(table: Table) -> str:
    """The test worlds' figures.

    Each figure is the mean over the seeds, with all of them in brackets, in the order of the suite's seeds;
    differences and shares are over all test worlds. What the reader must know of the table comes last.
    """
    pilots = dict.fromkeys(row.group.split("/")[0] for row in table.rows)
    parts = [
        "\n".join(_table(table, pilot, world)) + "\n" for world in table.test_worlds() for pilot in pilots
    ]
    notes = "".join(f"- {note.text}\n" for note in table.notes)
    return "\n".join([*parts, notes] if notes else parts)


def _table(table: Table, pilot: str, world: str) -> Iterator[str]:
    rows = [row for row in table.rows if row.group.split("/")[0] == pilot]
    heads = list(_cells(table, rows[0], world))
    yield f"**{pilot}** in {world}, seeds {', '.join(map(str, table.seeds))}:"
    yield ""
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        yield f"| {' | '.join(_cells(table, row, world).values())} |"
    if world in table.always_mean_mae:
        yield ""
        yield f"Who always steers the mean errs by {table.always_mean_mae[world]:.3f} in {world}."


def _cells(table: Table, row: TableRow, world: str) -> dict[str, str]:
    here = row.worlds[world]
    driven = any("clean" in each.worlds[world].cells for each in table.rows)
    found = {"row": row.group.split("/")[1], "labels": row.label_text}
    if driven:
        laps = here.laps // max(1, len(row.seeds))
        each = [str(round(share * laps)) for share in _of(row, world, "clean").values()]
        found[f"clean laps of {laps}"] = f"{here.clean_laps / max(1, len(row.seeds)):.1f} ({', '.join(each)})"
        found["lap until first off-track"] = _percent(_of(row, world, "first_failure"))
        found["completion"] = _percent(_of(row, world, "completion"), seeds=False)
    else:
        found["correlation"] = _text(_of(row, world, "corr"), 2)
    found["steering MAE"] = _text(_of(row, world, "mae"), 3)
    for name, head in _CLOSED.items():
        if driven or name == "mae":
            share = row.gap_closed.get(name)
            found[head] = "" if share is None else f"{round(100 * share)} %"
    less = row.versus.get("mae")
    # Of a single trial nobody knows an interval.
    spread = "" if less is None or less.low == less.high else f" ({less.low:+.3f} to {less.high:+.3f})"
    found[f"MAE less {table.baseline}'s (95 %)"] = "" if less is None else f"{less.mean:+.3f}{spread}"
    homes = [name for name, role in table.worlds.items() if role == "source"]
    if homes:
        found["MAE at home"] = _text(_of(row, homes[0], "mae"), 3, seeds=False)
    found["told, MLP"] = _percent(_of(row, world, "probe_mlp"), seeds=False)
    return found


def _of(row: TableRow, world: str, name: str) -> Mapping[Any, float]:
    cells = row.worlds[world].cells
    return cells[name].per_seed if name in cells else {}


def _percent(values: Mapping[Any, float], seeds: bool = True) -> str:
    return _text({seed: 100 * value for seed, value in values.items()}, 0, seeds, " %")


def _text(values: Mapping[Any, float], digits: int, seeds: bool = True, unit: str = "") -> str:
    """The mean, and the seeds' values."""
    if not values:
        return METRICS["mae"].text(None)
    mean = f"{sum(values.values()) / len(values):.{digits}f}{unit}"
    return f"{mean} ({', '.join(f'{value:.{digits}f}' for value in values.values())})" if seeds else mean
