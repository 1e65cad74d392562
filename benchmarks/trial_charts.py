"""A chart of every trial's results, for the documents: how each row steers and drives, a dot for each seed.

    python benchmarks/trial_charts.py benchmarks/results/*.jsonl [--out docs/images]

Writes `TRIAL.png` for each: steering error and clean laps in the target.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

HOME = "home"
#: Marks of the errors' axis, as far as they are within it.
TICKS = (0.03, 0.05, 0.07, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)


def chart(trial: str, lines: list[dict[str, Any]], out: Path) -> None:
    """A dot for each seed: steering error, and clean laps where there are any."""
    from matplotlib.figure import Figure

    pilots = list(dict.fromkeys(line["pilot"] for line in lines))
    driven = any(line["laps"] for line in lines)
    methods = list(dict.fromkeys(line["method"] for line in lines))
    figure = Figure(figsize=(4.4 * len(pilots), (0.24 * len(methods) + 0.9) * (1 + driven)))
    panels = figure.subplots(1 + driven, len(pilots), squeeze=False, sharey=True)
    for row, name in enumerate(("mae", "clean")[: 1 + driven]):
        for column, pilot in enumerate(pilots):
            values: dict[str, list[float]] = defaultdict(list)
            for line in lines:
                if line["pilot"] == pilot:
                    values[line["method"]].append(
                        line["mae"] if name == "mae" else line["clean_laps"] / line["laps"]
                    )
            axes = panels[row][column]
            for y, method in enumerate(methods):
                found = values[method]
                colour = {"none": "tab:red", "oracle": "tab:green"}.get(method, "tab:blue")
                axes.plot(found, [y] * len(found), "o", color=colour, markersize=4, alpha=0.5)
                if found:
                    axes.plot([np.mean(found)] * 2, [y - 0.35, y + 0.35], color=colour)
            axes.set_yticks(range(len(methods)), methods, fontsize=7)
            axes.set_ylim(len(methods) - 0.5, -0.5)
            axes.set_title(
                f"{pilot}: {'steering MAE' if name == 'mae' else 'share of clean laps'}", fontsize=9
            )
            axes.tick_params(axis="x", labelsize=7)
            axes.grid(alpha=0.3)
            if name == "mae":
                axes.set_xscale("log")  # from the oracle's to that of who turns the wrong way
                low, high = axes.get_xlim()
                axes.set_xticks([tick for tick in TICKS if low < tick < high], minor=False)
                axes.xaxis.set_major_formatter("{x:g}")
                axes.minorticks_off()
            else:
                axes.set_xlim(-0.03, 1.03)
    figure.tight_layout()
    figure.savefig(out / f"{trial}.png", dpi=90)


def main() -> None:
    """Reads the arguments and writes the charts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+", help="what leaderboard show --export has written")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "docs/images")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    trials = defaultdict(list)
    for file in arguments.results:
        for text in file.read_text().splitlines():
            line = json.loads(text)
            if line["method"] is not None and line["world"] != HOME:
                trials[line["trial"]].append(line)
    for trial, lines in trials.items():
        chart(trial, lines, arguments.out)


if __name__ == "__main__":
    main()
