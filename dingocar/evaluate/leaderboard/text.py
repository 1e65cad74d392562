"""The table as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dingocar.evaluate.leaderboard.contrasts import gap_rows, versus_rows
from dingocar.evaluate.leaderboard.figures import METRICS, Table, TableRow, WorldCells
from dingocar.evaluate.leaderboard.suite import EXPERT

#: Column heads that fit a terminal.
_SHORT = {
    "clean": "clean",
    "first_failure": "1st off",
    "completion": "compl.",
    "mean_abs_cte_m": "|cte|",
    "p95_abs_cte_m": "95%cte",
    "off_tracks_per_lap": "off/lap",
    "mean_speed_mps": "m/s",
    "mean_abs_dsteering": "|dst|",
    "mae": "MAE",
    "corr": "corr",
    "probe_linear": "told",
    "probe_mlp": "by MLP",
}


def text_of(table: Table) -> str:
    """The whole table: each world, every seed, differences, gap, notes."""
    parts = [table.title]
    parts += [("!! " if note.grave else "   ") + note.text for note in table.notes]
    for world, role in table.worlds.items():
        parts += ["", f"{world} ({role})", *_world(table, world)]
    parts += ["", "* the best of rows with the same labels, frames and way of selection"]
    parts += ["n/a: hardly driven, or not measured; |cte| and off/lap of who drives clearly less get no *"]
    parts += ["told: how often fresh classifiers tell the world from the source worlds by a pilot's features"]
    for heading, rows in (
        (f"against {table.baseline}, in pairs of the same seed, over the test worlds", versus_rows(table)),
        ("share of the gap between source and oracle that is closed, over the test worlds", gap_rows(table)),
    ):
        if rows:
            parts += ["", heading, *_grid([list(rows[0]), *(list(row.values()) for row in rows)])]
    return "\n".join(parts)


def _world(table: Table, world: str) -> list[str]:
    lines = [["row", "labels", "frames", "train s", "img/s", "95 % Wilson", *_SHORT.values()]]
    if table.expert:
        lines.append([EXPERT, "", "", "", "", _wilson(table.expert[world]), *_figures(table.expert[world])])
    for row in table.rows:
        cells = row.worlds[world]
        speed = "n/a" if row.images_per_s is None else f"{row.images_per_s:.0f}"
        facts = [row.label_text, str(row.frames), f"{row.training_s:.0f}", speed, _wilson(cells)]
        lines.append([row.group, *facts, *_figures(cells)])
        lines += [_seed(row, world, seed) for seed in row.seeds]
        lines += [[f"  seed {seed}", f"failed: {reason}"] for seed, reason in row.failed.items()]
    return _grid(lines)


def _figures(cells: WorldCells) -> list[str]:
    return [
        metric.text(cells.cells[name].mean if name in cells.cells else None) + "*" * (name in cells.best)
        for name, metric in METRICS.items()
    ]


def _seed(row: TableRow, world: str, seed: int) -> list[str]:
    cells = row.worlds[world].cells
    values = [
        metric.text(cells[name].per_seed.get(seed) if name in cells else None)
        for name, metric in METRICS.items()
    ]
    return [f"  seed {seed}", "", "", "", "", "", *values]


def _wilson(cells: WorldCells) -> str:
    if not cells.laps:
        return "not driven"
    return f"{100 * cells.clean_low:.0f} to {100 * cells.clean_high:.0f} %"


def _grid(lines: Sequence[Sequence[str]] | Mapping[str, str]) -> list[str]:
    """Aligns columns: the first to the left, the others to the right. Short lines (remarks) stay as they "
    "are."""
    rows = [list(line) for line in lines]
    full = [row for row in rows if len(row) == len(rows[0])]
    widths = [max(len(row[i]) for row in full) for i in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        if len(row) == len(widths)
        else "  ".join(row)
        for row in rows
    ]
