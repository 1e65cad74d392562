"""The pictures of a leaderboard's page: every seed as a dot, and the ways that were driven."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import MissingExtraError
from dingocar.evaluate.leaderboard.figures import METRICS, Table
from dingocar.evaluate.leaderboard.judge import QUANTILES
from dingocar.evaluate.leaderboard.suite import EXPERT, WorldSpec
from dingocar.sim import load_track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours: also told apart by people who do not see red and green.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d1f")
#: Most rows whose ways are drawn.
MOST_PATHS = 12


def dot_plot(table: Table, name: str) -> bytes:
    """Each row's seeds, their mean and its interval in every world; returns an SVG."""
    metric = METRICS[name]
    worlds, rows = list(table.worlds), table.rows
    figure = _figure(2 + 2.6 * len(worlds), 1.1 + 0.34 * (len(rows) + 1))
    axes = figure.subplots(1, len(worlds), sharey=True, sharex=True, squeeze=False)[0]
    for world, panel in zip(worlds, axes, strict=True):
        for at, row in enumerate(rows):
            cells = row.worlds[world].cells
            if name not in cells:
                continue
            cell, colour = cells[name], COLOURS[at % len(COLOURS)]
            panel.plot([cell.low, cell.high], [at, at], color=colour, linewidth=5, alpha=0.25)
            panel.plot([cell.mean], [at], "|", color=colour, markersize=14, markeredgewidth=2)
            spread = np.linspace(-0.15, 0.15, len(cell.per_seed)) if len(cell.per_seed) > 1 else [0.0]
            panel.plot(
                list(cell.per_seed.values()), at + np.asarray(spread), "o", color=colour, markersize=4.5
            )
        if table.expert and name in table.expert[world].cells:
            panel.axvline(table.expert[world].cells[name].mean, color="#777", linestyle=":", linewidth=1.2)
        if name == "mae" and world in table.always_mean_mae:
            panel.axvline(table.always_mean_mae[world], color="#777", linestyle="--", linewidth=1)
        panel.set_title(f"{world} ({table.worlds[world]})", fontsize=10)
        panel.set_xlabel(metric.label, fontsize=9)
        panel.grid(axis="x", alpha=0.25)
        panel.set_yticks(range(len(rows)), [row.group for row in rows])
        panel.margins(y=0.1)
    axes[0].invert_yaxis()
    if metric.percent:
        axes[0].set_xlim(-0.04, 1.04)
        axes[0].xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return _svg(figure)


def cte_plot(table: Table) -> bytes:
    """The distribution of |cte| of every row, by world; returns an SVG."""
    worlds = [name for name in table.worlds if any(row.worlds[name].cte_quantiles_m for row in table.rows)]
    figure = _figure(1.2 + 3.0 * len(worlds), 3.9)
    axes = figure.subplots(1, len(worlds), sharey=True, squeeze=False)[0]
    for world, panel in zip(worlds, axes, strict=True):
        for at, row in enumerate(table.rows):
            values = row.worlds[world].cte_quantiles_m
            if not values:
                continue
            panel.plot(values, QUANTILES, color=COLOURS[at % len(COLOURS)], label=row.group)
        if table.expert and table.expert[world].cte_quantiles_m:
            panel.plot(table.expert[world].cte_quantiles_m, QUANTILES, ":", color="#777", label=EXPERT)
        panel.set_title(f"{world} ({table.worlds[world]})", fontsize=10)
        panel.set_xlabel("|cte| (m)", fontsize=9)
        panel.grid(alpha=0.25)
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes[0].set_ylabel("share of the steps", fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, loc="outside lower center", ncols=4)
    return _svg(figure)


def agreement_plot(table: Table) -> bytes:
    """Steering error against clean laps, each run of the test worlds a dot; returns an SVG."""
    figure = _figure(6.4, 4.2)
    panel = figure.subplots()
    marks = "osD^vP*X"
    for at, row in enumerate(table.rows):
        for number, world in enumerate(table.test_worlds()):
            cells = row.worlds[world].cells
            if not {"mae", "first_failure"} <= cells.keys():
                continue
            x, y = (list(cells[name].per_seed.values()) for name in ("mae", "first_failure"))
            label = row.group if number == 0 else None
            mark = marks[number % len(marks)]
            panel.plot(x, y, mark, color=COLOURS[at % len(COLOURS)], label=label, alpha=0.8)
    panel.set_xlabel("steering MAE (smaller is better)")
    panel.set_ylabel("lap until first off-track")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    panel.set_ylim(-0.04, 1.04)
    panel.grid(alpha=0.25)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=4)
    return _svg(figure)


def paths_plot(world: WorldSpec, driven: Mapping[str, Mapping[str, npt.NDArray[Any]]]) -> bytes:
    """The ways driven in a world, a panel for each row (its first seed); returns a PNG.

    Args:
        world: whose tracks are drawn.
        driven: row to {episode: float (T, 3) x_m, y_m, cte_m}.
    """
    tracks = {name: load_track(name) for name in world.tracks}
    columns = min(3, max(1, len(driven))) if len(tracks) == 1 else len(tracks)
    panels = [(row, track) for row in driven for track in tracks]
    lines = -(-len(panels) // columns)
    figure = _figure(3.3 * columns, 3.0 * lines)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in axes:
        panel.set_axis_off()
    for panel, (row, name) in zip(axes, panels, strict=False):
        track = tracks[name]
        for line, style in ((track.left, "-"), (track.right, "-")):
            closed = np.vstack([line, line[:1]])
            panel.plot(closed[:, 0], closed[:, 1], style, color="#999", linewidth=0.8)
        _draw_paths(panel, driven[row], f"{world.name}/{name}/", float(track.half_width_m.mean()))
        panel.set_aspect("equal")
        panel.set_title(f"{row}, {name}" if len(tracks) > 1 else row, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _draw_paths(
    panel: Axes, driven: Mapping[str, npt.NDArray[Any]], prefix: str, half_width_m: float
) -> None:
    for name, path in driven.items():
        if not name.startswith(prefix):
            continue
        off = np.abs(path[:, 2]) > half_width_m
        way = path[:, :2].copy()
        way[off] = np.nan  # the car is put back: no line from there
        panel.plot(way[:, 0], way[:, 1], color=COLOURS[0], linewidth=0.7, alpha=0.7)
        panel.plot(path[off, 0], path[off, 1], "x", color=COLOURS[1], markersize=4)


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "train", "drawing a leaderboard's page") from None
    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    # The same table gives the same page, bit for bit.
    with matplotlib.rc_context({"svg.hashsalt": "dingocar"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
