"""Telemetry of `dingocar sim serve` to 4 clients at once: intervals, missed pictures, processor time.

    python benchmarks/donkey_bench.py [SECONDS] [LOOK]

Server and clients are two processes. Each client drives: it answers each telemetry with a command, as
gym-donkeycar does. The interval is the time between two telemetries as a client gets them. Missed are the
pictures that a client should have got by the wall clock and has not.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

CLIENTS, RATE_HZ = 4, 20
#: Meanwhile the others' worlds are painted.
WARM_S = 10


async def drive(port: int, seconds: float) -> dict[str, Any]:
    """One client: along the line by the cross-track error; what it saw."""
    from dingocar.sim.donkey_protocol import MAX_SERVER_BYTES, Splitter, decode, encode

    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    splitter = Splitter(MAX_SERVER_BYTES)
    writer.write(encode({"msg_type": "load_scene", "scene_name": "generated_track"}, newline=False))
    came_s: list[float] = []
    before, until_s, largest = 0.0, float("inf"), 0
    while time.monotonic() < until_s:
        for raw in splitter.feed(await reader.read(1 << 18)):
            message = decode(raw)
            if message["msg_type"] != "telemetry":
                continue
            now_s = time.monotonic()
            if not came_s:
                until_s = now_s + WARM_S + seconds
            came_s.append(now_s)
            largest = max(largest, len(raw))
            steering = -0.3 * message["cte"] - 3 * (message["cte"] - before)
            before = message["cte"]
            command = {"steering": str(min(max(steering, -1), 1)), "throttle": "0.25", "brake": "0.0"}
            writer.write(encode({"msg_type": "control", **command}, newline=False))
    writer.close()
    warm = RATE_HZ * WARM_S
    interval_ms = np.diff(came_s[warm:]) * 1000
    # How far the telemetry has fallen behind a steady 20 Hz, whatever the jitter of a single one.
    behind = np.asarray(came_s[warm:]) * RATE_HZ - np.arange(len(came_s) - warm)
    missed = round(float(np.median(behind[-50:]) - np.median(behind[:50])))
    return {
        "frames": len(came_s) - warm,
        "missed": max(missed, 0),
        "interval_p50_ms": float(np.percentile(interval_ms, 50)),
        "interval_p99_ms": float(np.percentile(interval_ms, 99)),
        "interval_max_ms": float(interval_ms.max()),
        "rate_hz": float(1000 / interval_ms.mean()),
        "bytes": largest,
    }


def serve(look: str) -> None:
    """The server's process: serves until stdin ends."""
    from dingocar.sim.donkey_server import DonkeyServer, Settings

    with DonkeyServer(Settings(look=look, rate_hz=RATE_HZ), port=0) as server:
        print(server.port, flush=True)
        sys.stdin.readline()
        began_s, used_s = time.monotonic(), time.process_time()
        sys.stdin.readline()
        share = (time.process_time() - used_s) / (time.monotonic() - began_s)
        print(json.dumps(server.to_json() | {"cpu_percent": 100 * share}), flush=True)


async def measure(port: int, seconds: float) -> list[dict[str, Any]]:
    return await asyncio.gather(*(drive(port, seconds) for _ in range(CLIENTS)))


def main(seconds: float = 60.0, look: str = "flat") -> dict[str, Any]:
    argv = [sys.executable, __file__, "serve", look]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, **pipes) as server:
        assert server.stdin and server.stdout
        port = int(server.stdout.readline())
        server.stdin.write("\n")
        server.stdin.flush()
        clients = asyncio.run(measure(port, seconds))
        out, _ = server.communicate("\n")
    worst = {
        f"donkey_worst_{key}": max(client[key] for client in clients)
        for key in ("interval_p50_ms", "interval_p99_ms", "interval_max_ms")
    }
    return {
        "donkey_clients": CLIENTS,
        "donkey_seconds": seconds,
        "donkey_look": look,
        **worst,
        "donkey_missed": sum(client["missed"] for client in clients),
        "donkey_server": json.loads(out),
        "donkey_each": clients,
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        print(json.dumps(main(*map(float, sys.argv[1:2]), *sys.argv[2:3])))
