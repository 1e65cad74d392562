"""The vehicle loop with ten parts that do nothing: overhead per tick, and the rate that 100 Hz asked gives.

    python benchmarks/loop_bench.py ours|peer

`peer` is run with the Python of an environment that has Donkeycar. Prints one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

PARTS, TICKS, RATE_HZ, SECONDS = 10, 20_000, 100, 3


class NoOp:
    """Hands its input on."""

    def run(self, value: float) -> float:
        return value


def build(vehicle_class: type) -> object:
    vehicle = vehicle_class()
    vehicle.mem["c0"] = 1.0
    for i in range(PARTS):
        vehicle.add(NoOp(), inputs=[f"c{i}"], outputs=[f"c{i + 1}"])
    return vehicle


def main(who: str) -> dict[str, float]:
    if who == "ours":
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        from dingocar.vehicle import Vehicle
    else:
        from donkeycar.vehicle import Vehicle

    # Both are asked for more than they can do, so that neither ever waits.
    free, overhead_us = 10_000_000, []
    for _ in range(3):
        vehicle = build(Vehicle)
        began_s = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            vehicle.start(rate_hz=free, max_loop_count=TICKS)
        overhead_us.append((time.perf_counter() - began_s) / TICKS * 1e6)
    vehicle = build(Vehicle)
    ticks = RATE_HZ * SECONDS
    began_s = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        vehicle.start(rate_hz=RATE_HZ, max_loop_count=ticks)
    return {
        "loop_overhead_us": min(overhead_us),
        "loop_rate_of_100_hz": ticks / (time.perf_counter() - began_s),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
