"""A translator's report in words, and as a page with pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dingocar.evaluate.report import as_png, new_figure, write_page
from dingocar.evaluate.translation_figures import SIDES, TURN
from dingocar.evaluate.translation_report import Looked
from dingocar.translate._method import DIRECTIONS
from dingocar.translate.sheets import laid_out, some
from dingocar.translate.sheets import png as sheet_png

#: What the last columns of a table of steering mean.
LOST = f"lost: a turn that is steered less than half as far, a straight that is steered beyond {TURN}"


def report_text(report: Mapping[str, Any]) -> str:
    """The report for people, in lines."""
    name, shape = report["translator"]["name"], report["translator"]["image_shape"]
    counts = " and ".join(f"{count} {domain}" for domain, count in report["pictures"].items())
    lines = [f"{name}, {shape[0]}x{shape[1]}, on {counts} pictures"]
    for direction, found in report["directions"].items():
        lines += ["", direction.replace("_", " ")]
        lines += [f"  {row['figure']:<38}{row['value']}" for row in rows_of(found)]
        steered = [] if found["steering"] is None else steering_rows(found)
        if steered:
            lines.append(f"  steering; {LOST}:")
            lines += [
                "  " + "".join(f"{cell:<16}" for cell in row)
                for row in (steered[0], *map(dict.values, steered))
            ]
    return "\n".join(lines)


def rows_of(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """A direction's figures, each with its name."""

    def like(which: str) -> str:
        each = found[which]
        kid, low, high = (each[k] for k in ("kid", "kid_low", "kid_high"))
        return f"{each['frechet']:.1f}; kernel distance {kid:.3f} ({low:.3f} to {high:.3f})"

    rows = {
        "Frechet distance, translated": like("after"),
        "... untranslated": like("before"),
        "... genuine ones of other stretches": like("floor"),
        "spread of the translations": f"{found['spread']:.2f} of that of genuine pictures (0: collapsed)",
        "pairs keep their distance": f"{found['kept']:.2f} (correlation)",
        "keypoints (SIFT) found again": "needs OpenCV"
        if found["matches"] is None
        else f"{found['matches']['inliers']:.1f} of {found['matches']['keypoints']:.1f} in a picture",
        "time for one picture": "{p50:.1f} ms, 99 % within {p99:.1f} ms".format(**found["latency_ms"]),
    }
    if found["paired"] is not None:
        before, after = found["paired"]["before"], found["paired"]["after"]
        rows["distance from the true counterpart"] = f"{after:.3f}, untranslated {before:.3f} (0 to 1)"
    if found["lines"] is not None:
        for row in found["lines"]["rows"]:
            share = "" if row["recovered"] is None else f", {row['recovered']:.0%} recovered"
            rows[f"lines by colour, {row['name']}"] = f"F1 {row['mean']:.2f}{share}"
    return [{"figure": name, "value": value} for name, value in rows.items()]


def steering_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the pilot steers by translated, untranslated and genuine pictures."""
    rows = []
    for name in ("translated", "untranslated", "genuine"):
        each = found["steering"][name]
        if each is None:
            continue
        corr = "n/a" if each["corr"] is None else f"{each['corr']:.2f}"
        row = {"steering by": name, "MAE": f"{each['mae']:.3f}", "correlation": corr}
        for side in SIDES:
            lost = "n/a" if each[side] is None else f"{each[side]['lost']:.0%} of {each[side]['pictures']}"
            row[f"{side} lost"] = lost
        rows.append(row)
    return rows


def meaning(report: Mapping[str, Any]) -> str:
    """What the figures say, in plain words."""
    said = []
    for direction, found in report["directions"].items():
        here, there = _domains(direction)
        before, after, floor = (found[which]["frechet"] for which in ("before", "after", "floor"))
        text = f"{here} to {there}: in looks there is nothing to close"
        if before > floor:
            share = (before - after) / (before - floor)
            text = f"{here} to {there}: {share:.0%} of the Frechet distance in looks is closed"
        steering = found["steering"]
        if steering is not None and steering["translated"] is not None:
            mae = [steering[which]["mae"] for which in ("translated", "untranslated")]
            text += (
                f", and a pilot that knows {there} pictures errs by {mae[0]:.3f} in its steering instead of "
                f"{mae[1]:.3f}"
            )
        if found["spread"] < 0.5:
            text += "; different pictures become alike (a collapse)"
        said.append(text)
    return "; ".join(said) + ". Distances in looks say little about what the pictures still show."


def _domains(direction: str) -> tuple[str, str]:
    """What a direction takes, and what it makes."""
    return DIRECTIONS[direction], direction.removeprefix("to_")


def write_report(file: Path, looked: Looked) -> None:
    """Writes the page: one HTML file that needs no other.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    pictures, tables = {}, {}
    for direction, found in looked.report["directions"].items():
        here, there = _domains(direction)
        given, made, genuine = (some(images) for images in looked.shown[direction])
        rows = [(here, given), (f"{here} to {there}", made), (f"{there}, to compare", genuine)]
        pictures[f"{here} pictures, translated, and genuine ones of other places"] = sheet_png(laid_out(rows))
        if direction in looked.pairs:
            before, after, true = (some(images) for images in looked.pairs[direction])
            rows = [(here, before), (f"{here} to {there}", after), ("the true counterpart", true)]
            pictures[f"The same places, {here} to {there}"] = sheet_png(laid_out(rows))
        if direction in looked.steering:
            caption = f"What a pilot of {there} pictures steers by {here} ones that were translated"
            pictures[caption] = steering_figure(*looked.steering[direction])
        heading = f"{here} to {there}"
        tables[heading] = rows_of(found)
        if found["steering"] is not None and steering_rows(found):
            tables[f"{heading}: steering; {LOST}"] = steering_rows(found)
    title = f"{looked.report['translator']['name']}: {looked.report['translator']['path']}"
    write_page(file, title, meaning(looked.report), pictures, tables)


def steering_figure(labels: Any, said: Any) -> bytes:
    """Steering beside its labels: a PNG."""
    figure = new_figure(5.5, 5.0)
    axes = figure.subplots()
    axes.plot([-1, 1], [-1, 1], color="#b9bec6", linewidth=1)
    axes.scatter(labels, said, s=9, color="#2f6db5", alpha=0.6, linewidths=0)
    axes.set_xlabel("label (left -1, right 1)")
    axes.set_ylabel("the pilot's steering")
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return as_png(figure)
