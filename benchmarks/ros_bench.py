"""The ROS node on a recorded drive: roscore, a camera, `dingocar ros-translate`, a listener, a process each.

    python benchmarks/ros_bench.py --translator t.tflite --tub DIR [--rate 20] [--count 400] [--json]

Needs ROS 1, see `make ros-test`. `node` is the time from a JPEG to its translation's; `heard` that from the
camera's stamp until the listener has the answer.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dingocar.errors import DingocarError
from dingocar.tub import Tub
from tests.translate.ros_peers import own_master


def bench(arguments: argparse.Namespace) -> dict[str, Any]:
    """Sends a drive through the node."""
    node_of = (sys.executable, "-m", "dingocar.cli.main", "ros-translate")
    peer_of = (sys.executable, "-m", "tests.translate.ros_peers")
    count, rate = str(arguments.count), str(arguments.rate)
    with tempfile.TemporaryDirectory() as folder, own_master(folder) as start:
        node = start(
            *(*node_of, "--translator", arguments.translator, "--to", "sim", "--json"),
            *("--in", "/camera_node/image/compressed", "--out", "/sim/image/compressed"),
            wait_for="Ctrl-C ends it",
        )
        file = Path(folder) / "heard.json"
        listener = start(
            *peer_of, "listener", "/sim/image/compressed", count, str(file), wait_for="listening"
        )
        start(*peer_of, "camera", "/camera_node/image/compressed", arguments.tub, "0", count, rate)
        if listener.wait():
            raise SystemExit("the listener did not get all answers")
        heard = json.loads(file.read_text())
        node.send_signal(signal.SIGINT)
        figures = json.loads(node.communicate()[0].splitlines()[-1])
    late_ms = [1e3 * late for _, _, late in heard]
    numbers = [number for number, _, _ in heard]
    return {
        "sent": arguments.count,
        "sent_hz": arguments.rate,
        "in_order": numbers == list(range(arguments.count)),
        "node": figures,
        "heard_p50_ms": round(float(np.median(late_ms)), 1),
        "heard_p99_ms": round(float(np.quantile(late_ms, 0.99)), 1),
    }


def main() -> None:
    """Reads the arguments and prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--translator", required=True, help=".keras or .tflite, to simulated pictures")
    parser.add_argument("--tub", required=True, help="whose pictures the camera sends")
    parser.add_argument("--rate", type=float, default=20.0, help="pictures a second")
    parser.add_argument("--count", type=int, default=400, help="pictures")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    try:  # before all others wait for a camera that has nothing to send
        Tub(arguments.tub)
    except DingocarError as error:
        parser.error(str(error))
    figures = bench(arguments)
    print(json.dumps(figures) if arguments.json else "\n".join(f"{k:14} {v}" for k, v in figures.items()))


if __name__ == "__main__":
    main()
