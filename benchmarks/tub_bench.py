"""Times writing and reading tubs, with dingocar or with Donkeycar.

Usage: python benchmarks/tub_bench.py ours|peer [--n 2000]

`peer` needs a Python with donkeycar. Prints one JSON object; times are microseconds per record, best of
three rounds each. `..._call_us` is what the drive loop waits for one record at 20 Hz; the others count
until all is on disk.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

KEYS = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
TYPES = ["image_array", "float", "float", "str"]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]
DELETED = 20_000
ROUNDS = 3


class Ours:
    """dingocar.tub."""

    def __init__(self, path: str, keys: list[str], types: list[str]) -> None:
        from dingocar.tub import TubWriter

        self.path, self.tub = path, TubWriter(path, keys, types, on_full="wait")

    def write(self, record: dict[str, Any]) -> None:
        self.tub.write(record)

    def flush(self) -> None:
        self.tub.flush()

    def close(self) -> None:
        self.tub.close()

    @staticmethod
    def read(path: str) -> int:
        from dingocar.tub import open_tub

        return sum(1 for record in open_tub(path) if record.steering > -2)


class Peer:
    """donkeycar.parts.tub_v2."""

    def __init__(self, path: str, keys: list[str], types: list[str]) -> None:
        self.module = importlib.import_module("donkeycar.parts.tub_v2")
        self.path, self.tub = path, self.module.Tub(path, inputs=keys, types=types)

    def write(self, record: dict[str, Any]) -> None:
        self.tub.write_record(record)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.tub.close()

    @staticmethod
    def read(path: str) -> int:
        tub = importlib.import_module("donkeycar.parts.tub_v2").Tub(path, read_only=True)
        return sum(1 for record in tub if record["user/angle"] > -2)


def append_us(side: type[Ours | Peer], folder: str, n: int, image: Pixels | None, deleted: int = 0) -> float:
    """Microseconds per record until all records are on disk."""
    keys, types = (KEYS, TYPES) if image is not None else (KEYS[1:], TYPES[1:])
    record = {"user/angle": 0.1234567, "user/throttle": 0.3, "user/mode": "user", KEYS[0]: image}
    record = {key: record[key] for key in keys}
    tub = side(folder, keys, types)
    if deleted:
        # The peer needs minutes for 20,000 real records; both sides only need that many lines.
        tub.close()
        seed_deleted(Path(folder), deleted)
        tub = side(folder, keys, types)
    tub.write(record)
    tub.flush()
    start = time.perf_counter()
    for _ in range(n):
        tub.write(record)
    tub.flush()
    elapsed = time.perf_counter() - start
    tub.close()
    return elapsed / n * 1e6


def seed_deleted(folder: Path, count: int) -> None:
    """Puts `count` deleted records into the tub at `folder`, as either side would have."""
    catalog = folder / "catalog_0.catalog"
    line = '{"_index": %d, "_session_id": "26-01-01_0", "user/angle": 0.0}\n'
    lines = [line % index for index in range(count)]
    catalog.write_text("".join(lines))
    meta = folder / "catalog_0.catalog_manifest"
    contents = json.loads(meta.read_text())
    contents["line_lengths"] = [len(text) for text in lines[-1000:]]
    meta.write_text(json.dumps(contents, sort_keys=True) + "\n")
    path = folder / "manifest.json"
    head = path.read_text().splitlines()
    tail = json.loads(head[4])
    tail.update(current_index=count, deleted_indexes=list(range(count)))
    path.write_text("\n".join([*head[:4], json.dumps(tail)]) + "\n")


def call_us(side: type[Ours | Peer], folder: str, n: int, image: Pixels) -> float:
    """Median microseconds that the drive loop waits for one record at 20 Hz (paced)."""
    tub = side(folder, KEYS, TYPES)
    record = dict(zip(KEYS, [image, 0.1234567, 0.3, "user"], strict=True))
    waits = []
    for _ in range(n):
        start = time.perf_counter()
        tub.write(record)
        waits.append(time.perf_counter() - start)
        time.sleep(0.05)
    tub.close()
    return float(np.median(waits)) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", choices=["ours", "peer"])
    parser.add_argument("--n", type=int, default=2000)
    arguments = parser.parse_args()
    side = Ours if arguments.side == "ours" else Peer
    n = arguments.n
    # A picture with the detail of a real one: smooth with some noise.
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 160)[None, :, None] + rng.integers(0, 40, (120, 160, 3))
    image = ramp.astype(np.uint8)
    root = tempfile.mkdtemp(prefix="tub_bench_")

    def best(measure: Callable[[str], float]) -> float:
        found = []
        for number in range(ROUNDS):
            folder = str(Path(root) / f"{len(results)}_{number}")
            found.append(measure(folder))
        return round(min(found), 2)

    results: dict[str, Any] = {"side": arguments.side, "n": n}
    try:
        results["append_no_image_us"] = best(lambda f: append_us(side, f, n, None))
        results["append_no_image_20k_deleted_us"] = best(lambda f: append_us(side, f, n, None, DELETED))
        results["append_image_us"] = best(lambda f: append_us(side, f, n, image))
        results["append_image_call_us"] = best(lambda f: call_us(side, f, 40, image))
        tub = Path(root) / "read"
        append_us(side, str(tub), n, None)
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            assert side.read(str(tub)) >= n
            times.append(time.perf_counter() - start)
        results["read_records_per_s"] = round((n + 1) / min(times))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(json.dumps(results))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
