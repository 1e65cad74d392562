"""A drive as a page to look at: laps over the track, what the camera saw, figures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dingocar.errors import MissingExtraError
from dingocar.evaluate.drive import DriveResult
from dingocar.files import replace_file
from dingocar.sim import Camera, Expert, Track, World
from dingocar.words import counted
from dingocar.zoo import RunnablePilot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXPERT_COLOUR, PILOT_COLOUR = "#2a9d3f", "#e4572e"


@dataclass(frozen=True)
class Sample:
    """One moment of a drive.

    Attributes:
        image: uint8 (H, W, 3), what the camera saw.
        pilot: the pilot's steering in [-1, 1].
        expert: what the expert would have steered there.
    """

    image: npt.NDArray[np.uint8]
    pilot: float
    expert: float


def samples(pilot: RunnablePilot, expert: Expert, track: Track, n: int = 8, seed: int = 0) -> list[Sample]:
    """Places `n` cars around the track, a little beside the centre line, and asks both drivers."""
    height, width = pilot.image_shape[:2]
    world = World(track, n=n, camera=Camera.of_shape((height, width)), seed=seed)
    offsets = np.random.default_rng(seed).uniform(-0.3, 0.3, n) * track.half_width_m.mean()
    state = world.reset(seed, start_s_m=np.arange(n) / n * track.length_m, cte_m=offsets)
    pilot_steering, _ = pilot.run_batch(state.image)
    expert_steering, _ = expert.act(state)
    return [
        Sample(image, float(ours), float(theirs))
        for image, ours, theirs in zip(state.image, pilot_steering, expert_steering, strict=True)
    ]


def lap_figure(track: Track, results: Mapping[str, DriveResult]) -> bytes:
    """Draws laps over their track, coloured by the distance from the centre line; returns a PNG."""
    figure = new_figure(5.2 * len(results), 4.6)
    for number, (title, result) in enumerate(results.items()):
        axes = figure.add_subplot(1, len(results), number + 1)
        _draw_track(axes, track)
        for path in result.paths:
            dots = axes.scatter(
                path[:, 0],
                path[:, 1],
                c=np.abs(path[:, 2]),
                s=3,
                cmap="plasma",
                vmin=0,
                vmax=result.half_width_m,
                zorder=3,
            )
        figure.colorbar(dots, ax=axes, label="|cte| in m (top of the scale: edge of the track)", shrink=0.8)
        axes.set_title(
            f"{title}: {result.clean_laps} of {counted(result.laps_asked, 'lap')} clean on {track.name}"
        )
    return as_png(figure)


def camera_figure(samples: Sequence[Sample], columns: int = 4) -> bytes:
    """Draws what the camera saw with the pilot's and the expert's steering; returns a PNG."""
    rows = -(-len(samples) // columns)
    figure = new_figure(3 * columns, 2.5 * rows + 0.4)
    for number, sample in enumerate(samples):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.imshow(sample.image)
        height, width = sample.image.shape[:2]
        for steering, colour in ((sample.expert, EXPERT_COLOUR), (sample.pilot, PILOT_COLOUR)):
            angle_rad = steering * np.pi / 4
            axes.plot(
                [width / 2, width / 2 + np.sin(angle_rad) * height * 0.5],
                [height - 2, height - 2 - np.cos(angle_rad) * height * 0.5],
                color=colour,
                linewidth=3,
                solid_capstyle="round",
            )
        axes.set_title(f"pilot {sample.pilot:+.2f}   expert {sample.expert:+.2f}", fontsize=9)
        axes.set_axis_off()
    figure.suptitle("steering: pilot in orange, expert in green", fontsize=10)
    return as_png(figure)


def drive_rows(results: Mapping[str, DriveResult]) -> list[dict[str, Any]]:
    """The figures of drives as rows of a table for people."""
    return [
        {
            "driver": name,
            "track": result.track,
            "clean laps": f"{result.clean_laps} of {result.laps_asked}",
            "95 % interval": f"{result.clean_rate_low:.0%} to {result.clean_rate_high:.0%}",
            "off the track": result.off_tracks,
            "mean |cte| (m)": result.mean_abs_cte_m,
            "95 % |cte| (m)": result.p95_abs_cte_m,
            "half width (m)": result.half_width_m,
            "speed (m/s)": result.mean_speed_mps,
            "|d steering| per step": result.mean_abs_dsteering,
        }
        for name, result in results.items()
    ]


def write_page(
    path: Path,
    title: str,
    lead: str,
    pictures: Mapping[str, bytes],
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    """Writes one HTML file that needs no other.

    Args:
        path: where to.
        title: of the page.
        lead: its first paragraph.
        pictures: caption to PNG.
        tables: heading to rows; all rows of a table have the same columns.
    """
    parts = [f"<h1>{html.escape(title)}</h1><p>{html.escape(lead)}</p>"]
    for caption, png in pictures.items():
        data = base64.b64encode(png).decode()
        parts.append(
            f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(caption)}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )
    for heading, rows in tables.items():
        lines = [f"<tr>{''.join(f'<th>{html.escape(name)}</th>' for name in rows[0])}</tr>"]
        lines += [
            f"<tr>{''.join(f'<td>{html.escape(_number(value))}</td>' for value in row.values())}</tr>"
            for row in rows
        ]
        parts.append(f"<h2>{html.escape(heading)}</h2><table>{''.join(lines)}</table>")
    replace_file(path, _PAGE.format(title=html.escape(title), body="\n".join(parts)))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
figure {{ margin: 2rem 0; }} img {{ max-width: 100%; }} figcaption {{ color: #555; }}
table {{ border-collapse: collapse; }} th, td {{ border-bottom: 1px solid #ddd; padding: .25rem 1rem; }}
th, td {{ text-align: right; font-weight: 400; font-variant-numeric: tabular-nums; }}
th {{ color: #555; }} th:first-child, td:first-child {{ text-align: left; }}
</style></head><body>
{body}
</body></html>
"""


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _draw_track(axes: Axes, track: Track) -> None:
    for line, style in ((track.left, "k-"), (track.right, "k-"), (track.centre, "k:")):
        closed = np.vstack([line, line[:1]])
        axes.plot(closed[:, 0], closed[:, 1], style, linewidth=1, alpha=0.6)
    axes.set_aspect("equal")
    axes.set_xlabel("x in m")
    axes.set_ylabel("y in m")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches; no window is ever opened."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "train", "drawing a report") from None
    return Figure(figsize=(width, height), layout="constrained")


def as_png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
