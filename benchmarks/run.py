"""All benchmarks beside the peer, Donkeycar 5.3.0, in one call: one table with the ratios.

    python benchmarks/run.py --peer PEER_PYTHON [--json FILE] [--only NAME] [--tub DIR]

Each script is run in turn by our Python and by the peer's, on the same machine and the same data.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        script: the benchmark, without `_bench.py`.
        what: for people.
        key: of our figure in the script's object.
        goal: the ratio to reach, or the figure itself where `absolute` is set.
        better: `less` or `more`.
        peer_key: of the peer's figure; None: the same; empty: the peer has none.
        absolute: the goal is for our figure, not for the ratio.
    """

    script: str
    what: str
    key: str
    goal: float | None
    better: str
    peer_key: str | None = None
    absolute: bool = False


ROWS = [
    Row("loop", "loop overhead of 10 parts, us per tick", "loop_overhead_us", 30, "less", absolute=True),
    Row("loop", "loop rate when 100 Hz is asked", "loop_rate_of_100_hz", 99.9, "more", absolute=True),
    Row("tub", "tub append without picture, us", "append_no_image_us", 1 / 5, "less"),
    Row("tub", "the same with 20,000 deletions, us", "append_no_image_20k_deleted_us", None, "less"),
    Row("tub", "tub append with picture, us", "append_image_us", None, "less"),
    Row("tub", "tub append with picture, us the loop waits", "append_image_call_us", None, "less"),
    Row("tub", "tub records read per s", "read_records_per_s", None, "more"),
    Row("inference", "inference .keras (peer: eager), p50 ms", "keras_p50_ms", 0.35, "less"),
    Row("inference", "inference .tflite float, p50 ms", "tflite_p50_ms", 0.35, "less"),
    Row(
        "inference",
        "inference .tflite int8 (peer: float)",
        "tflite_int8_p50_ms",
        None,
        "less",
        "tflite_p50_ms",
    ),
    Row("training", "pictures loaded cold per s", "loader_cold_images_per_s", 4, "more"),
    Row("training", "pictures trained on per s", "train_images_per_s", 1.5, "more"),
    Row("training", "validation loss after the same epochs", "val_loss", None, "less"),
    Row("sim", "simulator frames per s, 160x120, flat", "frames_per_s", 2000, "more", "", absolute=True),
    Row("sim", "the same, photo", "photo_frames_per_s", 400, "more", "", absolute=True),
    Row("sim", "32 cars at 60x80, flat", "frames_per_s_batch32_60x80", 10000, "more", "", absolute=True),
    Row(
        "web", "web page, 4 viewers: p99 lateness of a loop, ms more", "web_p99_more_ms", 2, "less", "", True
    ),
    Row("web", "pictures encoded per s with no viewer", "web_encodes_per_s_0_viewers", 0, "less", "", True),
]
#: Benchmarks of what the peer does not have, or not in a way that can be measured alike.
ALONE = ("sim", "web")


def measure(python: str, script: str, side: str, extra: list[str]) -> dict[str, Any]:
    """Runs a benchmark and returns its object (the last line it prints)."""
    argv = [python, str(HERE / f"{script}_bench.py"), *([] if script in ALONE else [side]), *extra]
    print(f"{script} ({side}) ...", file=sys.stderr, flush=True)
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tempfile.gettempdir())
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def record_tub(folder: str) -> str:
    """A tub to train on: the expert on two tracks."""
    tub = str(Path(folder) / "tub")
    argv = [
        "record",
        "--tub",
        tub,
        "--track",
        "circuit",
        "--track",
        "random:1",
        "--laps",
        "5",
        "--noise",
        "0.5",
    ]
    environment = {"PYTHONPATH": str(HERE.parent)}
    subprocess.run(
        [sys.executable, "-m", "dingocar.cli.main", *argv],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    return tub


def line(row: Row, ours: dict[str, Any], peer: dict[str, Any]) -> str:
    """One line of the table."""
    mine = ours[row.key]
    theirs = None if row.peer_key == "" else peer[row.peer_key or row.key]
    ratio = None if theirs is None else mine / theirs
    judged = mine if row.absolute or ratio is None else ratio
    goal = ""
    if row.goal is not None:
        reached = judged <= row.goal if row.better == "less" else judged >= row.goal
        sign = "<=" if row.better == "less" else ">="
        goal = f"{sign} {row.goal:g}: {'reached' if reached else 'MISSED'}"
    shown = ["" if value is None else f"{value:.4g}" for value in (mine, theirs, ratio)]
    return f"{row.what:<54}{shown[0]:>10}{shown[1]:>10}{shown[2]:>8}  {goal}"


def main() -> None:
    """Measures everything and prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", required=True, help="a Python with donkeycar 5.3.0")
    parser.add_argument("--json", help="also write all figures to this file")
    parser.add_argument("--only", help="one script: loop, tub, inference, training, sim or web")
    parser.add_argument("--tub", help="train on this tub instead of one that the expert records")
    arguments = parser.parse_args()
    peer = os.path.abspath(arguments.peer)  # the link in its venv, not what it points to
    rows = [row for row in ROWS if arguments.only in (None, row.script)]
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for script in dict.fromkeys(row.script for row in rows):
            extra = ["--tub", arguments.tub or record_tub(folder)] if script == "training" else []
            results[script] = {"ours": measure(sys.executable, script, "ours", extra), "peer": {}}
            if script not in ALONE:
                results[script]["peer"] = measure(peer, script, "peer", extra)
    print(f"{'':<54}{'dingocar':>10}{'donkeycar':>10}{'ratio':>8}  goal")
    for row in rows:
        print(line(row, results[row.script]["ours"], results[row.script]["peer"]))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
