"""Time from picture to command of the linear pilot, here and in Donkeycar.

    python benchmarks/inference_bench.py ours [--n 300]
    python benchmarks/inference_bench.py peer [--n 300]       run with the Python that has Donkeycar 5.3.0
    python benchmarks/inference_bench.py both --peer PYTHON   both in turn, three times, and their ratios

Prints one JSON object: medians and 95th percentiles in milliseconds. `both` runs the two in turn and
reports the median round of each, since a computer's clock and its other work drift.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHAPE = (120, 160, 3)


def pictures() -> Any:
    """uint8 (8, 120, 160, 3): the same for both."""
    return np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype=np.uint8)


def measure(run: Callable[[Any], Any], n: int) -> dict[str, float]:
    """Times `run(picture)` n times, after a warm-up."""
    images = pictures()
    for image in images:
        run(image)
    times = np.empty(n)
    for i in range(n):
        start = time.perf_counter()
        run(images[i % len(images)])
        times[i] = time.perf_counter() - start
    return {"p50_ms": float(np.percentile(times, 50) * 1e3), "p95_ms": float(np.percentile(times, 95) * 1e3)}


def ours(n: int, folder: Path) -> dict[str, dict[str, float]]:
    """dingocar: `RunnablePilot.run`, from the uint8 picture to two floats."""
    sys.path.insert(0, str(ROOT))
    import keras

    from dingocar.training.export import export_tflite
    from dingocar.zoo import load_pilot, pilots, save_pilot

    keras.utils.set_random_seed(1)
    pilot = pilots.load("linear")()
    path = save_pilot(folder / "pilot.keras", pilot.build(), pilot)
    results = {"keras": measure(load_pilot(path).run, n)}
    flat = export_tflite(path, folder / "pilot.tflite")
    for threads in (1, 2):
        results[f"tflite_{threads}_threads"] = measure(load_pilot(flat, threads).run, n)
    results["tflite"] = measure(load_pilot(flat).run, n)
    small = export_tflite(path, folder / "int8.tflite", "int8", pictures())
    results["tflite_int8"] = measure(load_pilot(small).run, n)
    return results


def peer(n: int, folder: Path) -> dict[str, dict[str, float]]:
    """Donkeycar: `KerasLinear.run`, from the uint8 picture to two floats."""
    from donkeycar.parts.interpreter import KerasInterpreter, TfLite, keras_model_to_tflite
    from donkeycar.parts.keras import KerasLinear

    path = str(folder / "pilot.h5")
    pilot = KerasLinear(KerasInterpreter())
    pilot.interpreter.model.save(path)
    results = {"keras": measure(pilot.run, n)}
    keras_model_to_tflite(path, str(folder / "pilot.tflite"))
    lite = KerasLinear(TfLite())
    lite.load(str(folder / "pilot.tflite"))
    results["tflite"] = measure(lite.run, n)
    return results


def both(n: int, python: str, rounds: int = 3) -> dict[str, Any]:
    """Runs the two in turn and compares the median round of each."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for _ in range(rounds):
        for who, executable in (("ours", sys.executable), ("peer", python)):
            command = [executable, __file__, who, "--n", str(n)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[who].append(json.loads(done.stdout.splitlines()[-1]))
    middle = {
        who: {key: float(np.median([one[key] for one in all_rounds])) for key in all_rounds[0]}
        for who, all_rounds in found.items()
    }
    ratios = {
        kind: middle["ours"][f"{kind}_p50_ms"] / middle["peer"][f"{kind}_p50_ms"]
        for kind in ("keras", "tflite")
    }
    return {**middle, "rounds": found, "ratio": ratios}


def main() -> None:
    """Reads the arguments and prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("who", choices=["ours", "peer", "both"])
    parser.add_argument("--n", type=int, default=300, help="pictures per measurement")
    parser.add_argument(
        "--peer", default=os.environ.get("DINGOCAR_PEER_PYTHON"), help="Python with Donkeycar"
    )
    arguments = parser.parse_args()
    if arguments.who == "both":
        if not arguments.peer:
            parser.error("both needs --peer, or DINGOCAR_PEER_PYTHON")
        print(json.dumps(both(arguments.n, arguments.peer)))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = {"ours": ours, "peer": peer}[arguments.who](arguments.n, Path(folder))
    print(json.dumps({f"{kind}_{key}": value for kind, one in results.items() for key, value in one.items()}))


if __name__ == "__main__":
    main()
