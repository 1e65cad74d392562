"""The leaderboard as one page that needs no other file: figures, plots, and how they came about."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dingocar.evaluate.leaderboard import plots
from dingocar.evaluate.leaderboard.contrasts import gap_rows, versus_rows
from dingocar.evaluate.leaderboard.figures import METRICS, Table, TableRow, WorldCells, interval_text
from dingocar.evaluate.leaderboard.keys import row_key
from dingocar.evaluate.leaderboard.row import paths_file
from dingocar.evaluate.leaderboard.suite import EXPERT, Recording, Row, Suite
from dingocar.files import replace_file
from dingocar.words import counted

#: A cell of a table: text, or text and a class of the style sheet.
Text = str | tuple[str, str]

_READING = (
    "Clean laps: laps without leaving the track, each driven by a car of its own from a start of its own; "
    "the Wilson interval takes them as independent of each other, which those of one pilot are not quite. "
    "Lap until first off-track: the share of the lap before the track was left. A car that leaves the "
    "track is put back, so its completion counts what came after. Off-tracks are counted for each lap "
    "that was driven; n/a: hardly any was, or it was not measured. Steering MAE: beside the expert, on a "
    "recording of the same world. Small print: each seed; the interval under a figure is Student's over "
    "the seeds, or translators (95 %). Dots are seeds, bars their mean and its interval, the dotted line "
    "is the expert, the dashed one a pilot that always says the mean. Bold: the best of rows with the "
    "same labels, frames and way of selection; |cte| and off-tracks of a row that drives clearly less of "
    "its laps than another are not bold. Domain told: how often fresh classifiers, judged on other "
    "episodes, tell the world's pictures from those of the source worlds by the pilot's features; 50 % is "
    "chance. In gym-duckietown a lap is an episode, clean if the road was never left, |cte| is that in "
    "the lane. Beside recordings of people, steering is judged at its best lag, with one gain fitted."
)


def write_leaderboard(file: Path, suite: Suite, table: Table, out: Path) -> None:
    """Writes the page.

    Args:
        file: where to; replaced whole.
        suite, table: what was compared, and how it came out.
        out: the results' folder, for the ways that were driven.
    """
    body = [f"<h1>{html.escape(table.title)}</h1>", _notes(table), f"<p>{_READING}</p>"]
    for name in ("clean", "first_failure", "mae"):
        if any(name in cells.cells for row in table.rows for cells in row.worlds.values()):
            body.append(_picture(_caption(METRICS[name].label), plots.dot_plot(table, name), "svg+xml"))
    for world, role in table.worlds.items():
        body.append(f"<h2>{html.escape(world)} <small>{role} world</small></h2>")
        body.append(_table(f"All figures in {world}", *_world(table, world)))
    for heading, rows in (
        (f"Against {table.baseline}, in pairs of the same seed, over the test worlds", versus_rows(table)),
        ("Share of the gap between source and oracle that is closed, over the test worlds", gap_rows(table)),
    ):
        if rows:
            body.append(f"<h2>{html.escape(heading)}</h2>")
            body.append(_table(heading, list(rows[0]), [list(row.values()) for row in rows]))
    cells = [cells for row in table.rows for cells in row.worlds.values()]
    if any(one.cte_quantiles_m for one in cells):
        body.append("<h2>Distance from the centre line</h2>")
        caption = "Share of the steps with |cte| up to a distance"
        body.append(_picture(caption, plots.cte_plot(table), "svg+xml"))
    if any(one.laps for one in cells):
        body.append("<h2>Offline against driving</h2>")
        caption = "Steering MAE and driving in the test worlds, a dot for each run"
        body.append(_picture(caption, plots.agreement_plot(table), "svg+xml"))
    driven = _driven(suite, table, out)
    if driven:
        body.append("<h2>Ways driven</h2><p>The first seed of each row; crosses: the track was left.</p>")
    for world_spec in (world for world in suite.worlds if driven and world.place == "sim"):
        body.append(_picture(f"Ways in {world_spec.name}", plots.paths_plot(world_spec, driven), "png"))
    body.append("<h2>How it was made</h2>")
    body.append(_table("Methods", *_methods(suite, table)))
    body.append(_table("Worlds", *_worlds(suite)))
    page = _PAGE.replace("{title}", html.escape(table.title)).replace("{body}", "\n".join(body))
    replace_file(file, page)


def _caption(label: str) -> str:
    return label[0].upper() + label[1:]


def _notes(table: Table) -> str:
    if not table.notes:
        return ""
    lines = [
        f'<li class="{"grave" if note.grave else ""}">{html.escape(note.text)}</li>'
        for note in sorted(table.notes, key=lambda note: not note.grave)
    ]
    return f'<ul class="notes" aria-label="What must be known">{"".join(lines)}</ul>'


def _world(table: Table, world: str) -> tuple[list[str], list[list[Text]]]:
    heads = [
        "row",
        "labels of the target",
        "frames",
        "training (s)",
        "pictures/s",
        "clean laps",
        "95 % Wilson",
    ]
    heads += [metric.label for name, metric in METRICS.items() if name != "clean"]
    rows: list[list[Text]] = []
    if table.expert:
        cells = table.expert[world]
        rows.append([EXPERT, "", "", "", "", *_clean(cells), *_means(cells)])
    for row in table.rows:
        cells = row.worlds[world]
        speed = "n/a" if row.images_per_s is None else f"{row.images_per_s:.0f}"
        facts: list[Text] = [row.label_text, str(row.frames), f"{row.training_s:.0f}", speed]
        rows.append([row.group, *facts, *_clean(cells), *_means(cells)])
        rows.append([("95 % interval", "seed"), *[("", "seed")] * 4, *_intervals(cells)])
        for seed in row.seeds:
            rows.append([(f"seed {seed}", "seed"), *[("", "seed")] * 4, *_seed(row, world, seed)])
        for seed, reason in row.failed.items():
            rows.append([(f"seed {seed} failed: {reason}", "grave")])
    return heads, rows


def _clean(cells: WorldCells) -> list[Text]:
    if not cells.laps:
        return ["not driven", ""]
    share = METRICS["clean"].text(cells.clean_laps / cells.laps)
    wilson = f"{100 * cells.clean_low:.0f} to {100 * cells.clean_high:.0f} %"
    best = "best" if "clean" in cells.best else ""
    return [(f"{share} ({cells.clean_laps} of {cells.laps})", best), wilson]


def _means(cells: WorldCells) -> list[Text]:
    found: list[Text] = []
    for name, metric in METRICS.items():
        if name != "clean":
            text = metric.text(cells.cells[name].mean if name in cells.cells else None)
            found.append((text, "best" if name in cells.best else ""))
    return found


def _intervals(cells: WorldCells) -> list[Text]:
    found: list[Text] = [
        ("" if cell is None else interval_text(metric, cell), "seed")
        for metric, cell in ((metric, cells.cells.get(name)) for name, metric in METRICS.items())
    ]
    return [found[0], ("", "seed"), *found[1:]]


def _seed(row: TableRow, world: str, seed: int) -> list[Text]:
    cells = row.worlds[world].cells
    found: list[Text] = [
        (metric.text(cells[name].per_seed.get(seed) if name in cells else None), "seed")
        for name, metric in METRICS.items()
    ]
    return [found[0], ("", "seed"), *found[1:]]


def _methods(suite: Suite, table: Table) -> tuple[list[str], list[list[Text]]]:
    heads = [
        "method",
        "role",
        "kind",
        "recording",
        "target, unlabelled",
        "target, labelled",
        "training",
        "options",
    ]
    rows: list[list[Text]] = []
    for method in suite.methods:
        training = {**suite.training, **method.training}
        if method.candidates:
            training |= {"candidates": len(method.candidates), "selection": method.selection}
        recordings = [_recording(r) for r in (method.recording, method.unlabelled, method.labelled)]
        long: list[Text] = [(t, "text") for t in (*recordings, _pairs(training), _pairs(method.options))]
        rows.append([method.name, method.role, method.kind, *long])
    return heads, rows


def _worlds(suite: Suite) -> tuple[list[str], list[list[Text]]]:
    heads = ["world", "role", "tracks", "look", "randomisation", "laps on each track", "seed"]
    return heads, [
        [
            *(w.name, w.role, ", ".join(w.tracks), w.recording.seen, Path(w.randomisation).stem),
            *(str(w.laps) if w.driven else "none", str(w.seed)),
        ]
        for w in suite.worlds
    ]


def _recording(recording: Recording | None) -> str:
    if recording is None:
        return "–"
    drawn = Path(recording.randomisation).stem
    tracks = ", ".join(recording.tracks)
    return f"{counted(recording.frames, 'frame')} of {tracks} in {recording.seen}, randomisation {drawn}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "–"


def _driven(suite: Suite, table: Table, out: Path) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """The ways of the expert and of each row's first seed, as far as their files are there."""
    rows = {EXPERT: Row()}
    first = {row.group: f"{row.group}/{row.seeds[0]}" for row in table.rows}
    rows |= {name: suite.row(name) for name in first.values()}
    found = {}
    for name, row in list(rows.items())[: plots.MOST_PATHS]:
        file = paths_file(out, row_key(suite, row))
        if file.is_file():
            with np.load(file, allow_pickle=False) as arrays:
                found[name] = {key: arrays[key] for key in arrays.files}
    return found


def _picture(caption: str, data: bytes, kind: str) -> str:
    text = html.escape(caption)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return (
        f'<figure><div class="wide"><img src="{source}" alt="{text}; the figures are in the tables"></div>'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Text]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    lines = []
    for row in rows:
        cells = [cell if isinstance(cell, tuple) else (cell, "") for cell in row]
        span = f' colspan="{len(heads)}"' if len(cells) == 1 else ""
        first = f'<th scope="row" class="{cells[0][1]}"{span}>{html.escape(cells[0][0])}</th>'
        rest = "".join(f'<td class="{style}">{html.escape(text)}</td>' for text, style in cells[1:])
        lines.append(f"<tr>{first}{rest}</tr>")
    return (
        f'<div class="wide" role="region" aria-label="{html.escape(caption)}" tabindex="0"><table>'
        f"<caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 1.5rem auto; padding: 0 1rem;
  color: #1b1e23; background: #fff; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; } h2 small { color: #5a6069; font-weight: 400; }
figure { margin: 1.5rem 0; } figcaption { color: #5a6069; }
.wide { overflow-x: auto; } .wide img { max-width: 100%; min-width: min(38rem, 100rem); }
table { border-collapse: collapse; font-size: .9rem; margin: .5rem 0 1rem; }
caption { text-align: left; color: #5a6069; }
th, td { border-bottom: 1px solid #dfe2e6; padding: .2rem .7rem; text-align: right; font-weight: 400;
  font-variant-numeric: tabular-nums; vertical-align: top; min-width: 4.2rem; }
thead th { color: #5a6069; vertical-align: bottom; }
th:first-child { text-align: left; position: sticky; left: 0; background: #fff; white-space: nowrap; }
td { white-space: nowrap; } td.text { white-space: normal; text-align: left; min-width: 14rem; }
.seed { color: #5a6069; font-size: .8rem; border-bottom: 0; padding-top: 0; padding-bottom: 0; }
th.seed { padding-left: 1.5rem; }
.best { font-weight: 700; }
.notes { padding: .8rem 1rem .8rem 2rem; background: #f3f5f8; border-left: 4px solid #5a6069; }
.notes, .grave { overflow-wrap: anywhere; }
.grave { color: #b00020; font-weight: 600; }
</style></head><body>
{body}
</body></html>
"""
