"""The results of several suites in one small file: a JSON line for each row and world."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard.results import Results
from dingocar.evaluate.leaderboard.rules import labels_used
from dingocar.evaluate.leaderboard.suite import EXPERT, Row, Suite
from dingocar.files import parse_json, replace_file

#: What a line has, in this order.
FIELDS = (
    *("trial", "pilot", "method", "seed", "labels", "world", "clean_laps", "laps", "completion"),
    *(
        "first_failure",
        "mean_abs_cte_m",
        "corr",
        "mae",
        "mae_source",
        "probe_linear",
        "probe_mlp",
        "images_per_s",
    ),
)
#: Digits kept of a figure that is no count.
_DIGITS = 4


def export(file: Path, suite: Suite, results: Results) -> int:
    """Writes a suite's finished rows into a file; those of other suites in it stay as they are.

    Args:
        file: JSON lines with the `FIELDS`; replaced whole. `trial` is the suite's title, `labels` null for
            all of the target's, the expert's `method` and `seed` null; a figure that was not measured, too.
        suite, results: what was compared, and how it came out.

    Returns:
        The number of lines that are this suite's.

    Raises:
        UsageError: the file is there and holds something else.
    """
    mine = [json.dumps(line, allow_nan=False) for line in lines_of(suite, results)]
    others = [text for text, line in _read(file) if line["trial"] != suite.title]
    replace_file(file, "".join(f"{text}\n" for text in (*others, *mine)))
    return len(mine)


def lines_of(suite: Suite, results: Results) -> Iterator[dict[str, Any]]:
    """The lines of a suite's finished rows, in the suite's order."""
    found = results.of(suite)
    for row in suite.rows():
        if row.name in found:
            yield from _lines(suite, row, found[row.name])


def _lines(suite: Suite, row: Row, facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    at_home = [
        facts["worlds"][world.name]["offline"]["mae"]
        for world in suite.worlds
        if world.role == "source" and "offline" in facts["worlds"][world.name]
    ]
    for world in suite.worlds:
        figures = facts["worlds"][world.name]
        values = {
            "trial": suite.title,
            "pilot": EXPERT if row.pilot is None else row.pilot.name,
            "method": None if row.method is None else row.method.name,
            "seed": row.seed,
            "labels": 0 if row.method is None else labels_used(suite, row.method),
            "world": world.name,
            "mae_source": float(np.mean(at_home)) if at_home else None,
            "images_per_s": facts.get("images_per_s"),
            **{name: figures.get("offline", {}).get(name) for name in ("corr", "mae")},
        }
        line = {name: values.get(name, figures.get(name)) for name in FIELDS}
        yield {n: round(v, _DIGITS) if isinstance(v, float) else v for n, v in line.items()}


def _read(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a file that is there, as they are and read."""
    try:
        texts = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot be read ({error})") from None
    for number, text in enumerate(texts, 1):
        try:
            line = parse_json(text.encode())
        except ValueError:
            line = None
        if not isinstance(line, dict) or set(line) != set(FIELDS):
            raise UsageError(f"{file}:{number}: expected a line of an export; write to another file")
        yield text, line
