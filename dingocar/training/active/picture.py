"""What a search has found, as a picture: each parameter's distribution, a map of failure, the reward."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import MissingExtraError
from dingocar.sim.randomisation import Range
from dingocar.training.active.loop import ActiveResult
from dingocar.training.active.mlp import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEARNED_COLOUR, EVEN_COLOUR = "#e4572e", "#8a8f98"
#: Bins of a histogram, and cells along a side of the map.
BINS = 10
#: Most parameters that get a panel; the rest is in the table.
PANELS = 24
_COLUMNS = 6


def pull(points: FloatArray) -> FloatArray:
    """How far each axis' distribution is from an even one, (d,) in [0, 1].

    The largest difference of the two cumulative distributions (Kolmogorov and Smirnov's statistic).
    """
    ordered, n = np.sort(points, axis=0), len(points)
    above = np.arange(1, n + 1)[:, None] / n - ordered
    below = ordered - np.arange(n)[:, None] / n
    return np.asarray(np.maximum(above.max(axis=0), below.max(axis=0)))


def telling(points: FloatArray, failure: FloatArray) -> FloatArray:
    """Which share of the failure's variance each axis explains by itself, (d,) in [0, 1].

    The correlation ratio over `BINS` equally filled bins, less what chance alone would give.
    """
    n, d = points.shape
    bins = min(BINS, n)
    total = float(((failure - failure.mean()) ** 2).sum())
    if total <= 0 or n <= bins:
        return np.zeros(d)
    explained = np.zeros(d)
    for axis in range(d):
        parts = np.array_split(failure[np.argsort(points[:, axis], kind="stable")], bins)
        between = sum(len(part) * (part.mean() - failure.mean()) ** 2 for part in parts)
        explained[axis] = 1 - (1 - between / total) * (n - 1) / (n - bins)
    return np.clip(explained, 0.0, 1.0)


def rows(result: ActiveResult) -> list[dict[str, Any]]:
    """One row for each parameter, the most telling first: for a table or a JSON file."""
    points, shares = np.asarray(result.sampler.points), telling(result.trace.points, result.trace.failure)
    pulls = pull(points)
    out = []
    for axis in np.argsort(-shares, kind="stable"):
        span = result.sampler.ranges[result.names[axis]]
        low, middle, high = (_value(span, float(q)) for q in np.quantile(points[:, axis], (0.1, 0.5, 0.9)))
        out.append(
            {
                "parameter": result.names[axis],
                "least": span.low,
                "greatest": span.high,
                "learned 10 %": low,
                "learned median": middle,
                "learned 90 %": high,
                "distance from even": float(pulls[axis]),
                "share of failure explained": float(shares[axis]),
            }
        )
    return out


def draw(result: ActiveResult) -> bytes:
    """Draws the search; returns a PNG.

    Raises:
        MissingExtraError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "train", "drawing what the search has found") from None
    names, points = result.names, np.asarray(result.sampler.points)
    shares, pulls = telling(result.trace.points, result.trace.failure), pull(points)
    shown = np.argsort(-pulls, kind="stable")[:PANELS]
    lines = -(-len(shown) // _COLUMNS)
    # Places are set by hand: to fit two dozen panels automatically takes seconds.
    height = 4.9 + 1.75 * lines
    figure = Figure(figsize=(15, height))
    top = figure.add_gridspec(1, 2, left=0.05, right=0.95, top=1 - 0.4 / height, bottom=1 - 4 / height)
    _draw_map(
        figure.add_subplot(top[0]), result, *np.argsort(-shares, kind="stable")[[0, min(1, len(shares) - 1)]]
    )
    _draw_rounds(figure.add_subplot(top[1]), result)
    grid = figure.add_gridspec(lines, _COLUMNS, hspace=0.5, wspace=0.2)
    grid.update(left=0.03, right=0.99, top=1 - 5.2 / height, bottom=0.25 / height)
    for place, axis in enumerate(shown):
        _draw_panel(figure.add_subplot(grid[place // _COLUMNS, place % _COLUMNS]), result, int(axis))
    more = f"; the {len(shown)} of {len(names)} farthest from even" if len(shown) < len(names) else ""
    title = f"density of the learned sampler (bars) and of even draws (dashed){more}"
    figure.text(0.5, 1 - 4.85 / height, title, ha="center", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _draw_map(axes: Axes, result: ActiveResult, first: int, second: int) -> None:
    """The mean failure over two parameters, with the sampler's points."""
    trace, spans = result.trace, [result.sampler.ranges[result.names[axis]] for axis in (first, second)]
    picture = axes.imshow(
        _smooth(trace.points[:, [first, second]], trace.failure).T,
        origin="lower",
        extent=(spans[0].low, spans[0].high, spans[1].low, spans[1].high),
        aspect="auto",
        cmap="viridis",
        vmin=0,
    )
    kept = np.asarray(result.sampler.points)
    axes.scatter(
        [_value(spans[0], float(unit)) for unit in kept[:, first]],
        [_value(spans[1], float(unit)) for unit in kept[:, second]],
        s=14,
        color=LEARNED_COLOUR,
        edgecolors="white",
        linewidths=0.4,
    )
    axes.set(xlabel=result.names[first], ylabel=result.names[second])
    axes.set_title("how badly the driver fared; dots: the sampler's points", fontsize=10)
    colours = axes.figure.colorbar(picture, ax=axes)
    colours.set_label("|cte| / half width, 1 off the track", fontsize=8)


def _draw_panel(axes: Axes, result: ActiveResult, axis: int) -> None:
    """One parameter's density, 1 where it is that of even draws."""
    span, name = result.sampler.ranges[result.names[axis]], result.names[axis]
    counts, edges = np.histogram(np.asarray(result.sampler.points)[:, axis], BINS, (0, 1))
    left = [_value(span, float(edge)) for edge in edges[:-1]]
    axes.bar(
        left, counts * BINS / counts.sum(), (span.high - span.low) / BINS, align="edge", color=LEARNED_COLOUR
    )
    axes.axhline(1, color=EVEN_COLOUR, linestyle="--")
    axes.set_title(name, fontsize=8)
    axes.tick_params(labelsize=7)


def _draw_rounds(axes: Axes, result: ActiveResult) -> None:
    figures = result.to_json()
    rounds = np.arange(1, len(figures["reward_by_round"]) + 1)
    marker = "o" if len(rounds) == 1 else ""  # a line of one point cannot be seen
    axes.plot(
        *(rounds, figures["failed_by_round"]),
        marker=marker,
        color=LEARNED_COLOUR,
        label="share of episodes failed",
    )
    axes.axhline(figures["failed_reference"], color=EVEN_COLOUR, linestyle=":", label="failed at home")
    axes.set(xlabel="round", ylabel="failed", ylim=(0, 1))
    other = axes.twinx()
    other.plot(
        *(rounds, figures["reward_by_round"]),
        marker=marker,
        color="#2a6f9d",
        label=f"reward: {result.reward}",
    )
    other.set_ylabel("reward")
    handles = [*axes.get_lines(), *other.get_lines()]
    axes.legend(handles, [str(line.get_label()) for line in handles], fontsize=8)
    axes.set_title(f"search: {result.search}, {len(result.trace.points)} episodes", fontsize=10)


def _smooth(points: FloatArray, values: FloatArray, width: float = 0.1) -> npt.NDArray[np.float64]:
    """The mean of `values` around each cell of the unit square, (3 BINS, 3 BINS), by a normal kernel."""
    grid = (np.arange(3 * BINS) + 0.5) / (3 * BINS)
    near = np.exp(-0.5 * ((points[:, None, :] - grid[None, :, None]) / width) ** 2)  # (m, cells, 2)
    weight = np.einsum("mi,mj->ij", near[..., 0], near[..., 1])
    total = np.einsum("mi,mj,m->ij", near[..., 0], near[..., 1], values)
    return np.asarray(total / (weight + 1e-12))


def _value(span: Range, unit: float) -> float:
    """A parameter's value at a point of its axis."""
    return span.low + unit * (span.high - span.low)
