"""All ways out of the simulator in one table, from the results of both trials: which of them drives where.

    python benchmarks/one_table.py [--chart docs/images/one_table.png]

Prints the table of docs/results.md, and draws it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
#: Worlds of the trials in which rows drive, and what to call them.
PLACES = {"warehouse": "another place", "warehouse_car": "and another car", "gym": "gym-duckietown"}
PILOTS = ("linear", "resnet1")
FEATURES, WORLDS = "the pilot's features", "worlds it learns from"
DATA, LOOP, CODES = "pictures it learns from", "pictures it drives by", "half way"
#: What each method of the suites is, and what it changes. What is not here is an error, no row is left out.
WAYS = {
    "none": ("nothing", ""),
    "oracle": ("labels of the place alone", ""),
    "minus": ("domain loss taken away (`minus`)", FEATURES),
    "confusion-linear": ("domain confusion, the first form", FEATURES),
    "confusion-categorical": ("domain confusion, the first form, categorical", FEATURES),
    "confusion-mlp": ("domain confusion", FEATURES),
    "dann": ("DANN", FEATURES),
    "coral": ("Deep CORAL", FEATURES),
    "mmd": ("MMD", FEATURES),
    "dare_gram": ("DARE-GRAM", FEATURES),
    "adabn": ("AdaBN", FEATURES),
    "histogram": ("colours of single pictures of the place", DATA),
    "histogram-confusion": ("these colours, domain confusion", f"{DATA}, features"),
    "mild": ("`mild` randomisation", WORLDS),
    "strong": ("`strong` randomisation", WORLDS),
    "mild-confusion": ("`mild` randomisation, domain confusion", "worlds, features"),
    "strong-confusion": ("`strong` randomisation, domain confusion", "worlds, features"),
    "duckietown": ("a look made after the place by hand", WORLDS),
    **{f"few-{n}": (f"{n:,} labels of the place alone", "") for n in (20, 60, 200, 1000)},
    **{f"mix-{n}": (f"{n:,} labels of the place and the simulator's", "") for n in (20, 60, 200, 1000)},
    "cyclegan_data": ("CycleGAN", DATA),
    "unit_data": ("UNIT", DATA),
    "cut_data": ("CUT", DATA),
    "style_data": ("style transfer (AdaIN)", DATA),
    "colour_data": ("the place's mean colours", DATA),
    "histogram_data": ("the place's colours, one curve", DATA),
    "cyclegan_proxy": ("CycleGAN", LOOP),
    "unit_proxy": ("UNIT", LOOP),
    "colour_proxy": ("the simulator's mean colours", LOOP),
    "histogram_proxy": ("the simulator's colours, one curve", LOOP),
    "cut_proxy": ("CUT", LOOP),
    "unit_latent": ("UNIT's codes", CODES),
    "strong_cyclegan_proxy": ("`strong` randomisation, CycleGAN", LOOP),
    "confusion_cyclegan_proxy": ("domain confusion, CycleGAN", LOOP),
    "confusion_cyclegan_data": ("domain confusion, CycleGAN", DATA),
    "steering_cyclegan_data": ("CycleGAN that keeps steering", DATA),
    "steering_cyclegan_proxy": ("CycleGAN that keeps steering", LOOP),
    "clockwise_cyclegan_data": ("CycleGAN of few left turns", DATA),
    "clockwise_cyclegan_proxy": ("CycleGAN of few left turns", LOOP),
}
#: The same method under another name.
ALIASES = {"confusion": "confusion-mlp"}


@dataclass
class Way:
    """One row of the table: the share of clean laps of each seed, by place and pilot."""

    method: str
    labels: int | None = 0
    cells: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    @property
    def columns(self) -> list[list[float]]:
        """The cells in the order of the table's columns; empty ones where it has not been tried."""
        return [self.cells.get((place, pilot), []) for place in PLACES for pilot in PILOTS]

    @property
    def order(self) -> tuple[bool, list[float]]:
        """Without labels first, then by linear's laps in the first place, resnet1's there, and so on."""
        return self.labels != 0, [-float(np.mean(shares)) if shares else 0.0 for shares in self.columns]


def read(files: list[Path]) -> list[Way]:
    """The ways in the order of the table. Of a cell that two trials have, the one with more seeds counts."""
    found: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    ways: dict[str, Way] = {}
    for file in files:
        for text in file.read_text().splitlines():
            line: dict[str, Any] = json.loads(text)
            if line["method"] is None or line["world"] not in PLACES:
                continue
            method = ALIASES.get(line["method"], line["method"])
            way = ways.setdefault(method, Way(method))
            way.labels = line["labels"]
            cell = found.setdefault((method, line["world"], line["pilot"]), {})
            cell.setdefault(line["trial"], []).append(line["clean_laps"] / line["laps"])
    for (method, place, pilot), trials in found.items():
        ways[method].cells[place, pilot] = max(trials.values(), key=len)
    return sorted(ways.values(), key=lambda way: way.order)


def table(ways: list[Way]) -> str:
    """As markdown: the mean share of clean laps, and of how many pilots."""
    heads = [f"{place}, {pilot}" for place in PLACES.values() for pilot in PILOTS]
    lines = ["| | changes | labels | " + " | ".join(heads) + " |", "|---" * (3 + len(heads)) + "|"]
    for way in ways:
        name, where = WAYS[way.method]
        shares = [f"{np.mean(shares):.0%} ({len(shares)})" if shares else "" for shares in way.columns]
        labels = "all" if way.labels is None else f"{way.labels:,}"
        lines.append(" | ".join([f"| {name}", where, labels, *shares]).replace("%", " %") + " |")
    return "\n".join(lines)


def chart(ways: list[Way], out: Path) -> None:
    """A panel for each place: a dot for each pilot trained, a line at each mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 0.2 * len(ways) + 0.9))
    panels = figure.subplots(1, len(PLACES), sharey=True)
    names = [", ".join(filter(None, WAYS[way.method])).replace("`", "") for way in ways]
    for axes, (place, title) in zip(panels, PLACES.items(), strict=True):
        for pilot, colour, offset in zip(PILOTS, ("tab:blue", "tab:orange"), (-0.18, 0.18), strict=True):
            for y, way in enumerate(ways):
                shares = way.cells.get((place, pilot), [])
                axes.plot(shares, [y + offset] * len(shares), "o", color=colour, markersize=3, alpha=0.4)
                if shares:
                    axes.plot([np.mean(shares)] * 2, [y + offset - 0.18, y + offset + 0.18], color=colour)
            axes.plot([], [], color=colour, label=pilot)
        axes.set_title(f"clean laps: {title}", fontsize=9)
        axes.set_yticks(range(len(ways)), names, fontsize=6.5)
        axes.set_ylim(len(ways) - 0.5, -0.5)
        axes.set_xlim(-0.03, 1.03)
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.tick_params(axis="x", labelsize=7)
        axes.grid(alpha=0.3)
        axes.axhline(sum(way.labels == 0 for way in ways) - 0.5, color="grey", linewidth=0.8)
    panels[-1].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(out, dpi=90)


def main() -> None:
    """Reads the arguments, prints the table, draws the chart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, nargs="*", default=sorted(HERE.glob("results/*.jsonl")))
    parser.add_argument("--chart", type=Path, help="where to draw it")
    arguments = parser.parse_args()
    ways = read(arguments.results)
    print(table(ways))
    if arguments.chart:
        chart(ways, arguments.chart)


if __name__ == "__main__":
    main()
