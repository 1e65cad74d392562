"""What the web page costs the loop: lateness of a 20 Hz drive without it, and with 4 viewers and 4 pages.

    python benchmarks/web_bench.py [SECONDS]

The clients (4 x /video, 4 WebSockets that send `drive` 20 times a second) are a process of their own. Both
drives are measured in turn, several times. Prints one JSON object; lateness is that of the loop's begin
behind the absolute schedule, in ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

RATE_HZ, WORK_S, VIEWERS, ROUNDS = 20, 0.005, 4, 5
CHANNELS = [
    "user/angle",
    "user/throttle",
    "user/mode",
    "user/age_s",
    "user/armed",
    "user/source",
    "recording",
]


class Schedule:
    """A vehicle's clock that notes how late each loop begins."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []

    def now_s(self) -> float:
        return time.monotonic()

    def wait_s(self, seconds: float) -> None:
        due_s = time.monotonic() + seconds
        if seconds > 0:
            time.sleep(seconds)
        self.late_ms.append((time.monotonic() - due_s) * 1000)


class Work:
    """A camera's picture, and as much work as a pilot makes; it keeps the interpreter busy."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self._pictures = [random.integers(0, 256, (120, 160, 3)).astype(np.uint8) for _ in range(20)]
        self._loops = 0

    def run(self) -> Any:
        until_s = time.perf_counter() + WORK_S
        while time.perf_counter() < until_s:
            pass
        self._loops += 1
        return self._pictures[self._loops % 20].copy()


class Timed:
    """The page's part, with the processor's time that it takes in the loop."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.took_us: list[float] = []

    def run(self, *values: Any) -> None:
        began_ns = time.thread_time_ns()
        self.page.run(*values)
        self.took_us.append((time.thread_time_ns() - began_ns) / 1000)

    def shutdown(self) -> None:
        self.page.shutdown()


def drive(seconds: float, web: bool, viewers: int = 0) -> dict[str, Any]:
    """One drive; returns lateness, time in the part, and pictures encoded per second."""
    from dingocar.parts.controllers.hub import ControllerHub
    from dingocar.parts.controllers.web.controller import WebController
    from dingocar.vehicle import Vehicle

    schedule, hub = Schedule(), ControllerHub()
    vehicle = Vehicle(schedule)
    vehicle.add(Work(), outputs=["cam/image_array"])
    outputs = [*CHANNELS[:6], "user/launch", "recording"]
    vehicle.add(hub, outputs=outputs)
    found: dict[str, Any] = {}
    clients = timed = None
    if web:
        timed = Timed(WebController(hub.source("web"), CHANNELS, port=0))
        vehicle.add(timed, inputs=["cam/image_array", *CHANNELS])
        port = timed.page.url.rstrip("/").rpartition(":")[2]
        if viewers:
            argv = [sys.executable, __file__, "clients", port, str(viewers)]
            clients = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            clients.stdout.readline()  # all are connected

        def count_encodes() -> None:
            before = state(port)["encodes"]
            time.sleep(seconds * 0.7)
            found["encodes_per_s"] = (state(port)["encodes"] - before) / (seconds * 0.7)

        threading.Thread(target=count_encodes, daemon=True).start()
    vehicle.start(rate_hz=RATE_HZ, max_loop_count=round(seconds * RATE_HZ))
    if clients:
        found["pictures_seen"] = json.loads(clients.communicate()[0])
    found["lateness_ms"] = schedule.late_ms[RATE_HZ // 2 :]
    found["part_us"] = timed.took_us if timed else []
    return found


def state(port: str) -> dict[str, Any]:
    """The server's counters."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/state", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


async def run_clients(port: int, viewers: int) -> list[int]:
    """Looks and drives until stdin ends; returns the pictures that each viewer saw."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    seen = [0] * viewers

    async def look(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /video HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                seen[number] += data.count(b"image/jpeg")

    async def press(ready: asyncio.Event) -> None:
        async with connect(f"ws://127.0.0.1:{port}/ws") as page:
            ready.set()

            async def listen() -> None:
                with contextlib.suppress(ConnectionClosed):
                    while True:
                        await page.recv()

            listening = asyncio.create_task(listen())
            while not listening.done():
                with contextlib.suppress(ConnectionClosed):
                    await page.send('{"type": "drive", "steering": 0.1, "throttle": 0.0}')
                await asyncio.sleep(0.05)

    events = [asyncio.Event() for _ in range(viewers)]
    tasks = [asyncio.create_task(look(number)) for number in range(viewers)]
    tasks += [asyncio.create_task(press(event)) for event in events]
    for event in events:
        await event.wait()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seen


def main(seconds: float = 6.0) -> dict[str, Any]:
    without, with_page, part_us, encodes = [], [], [], []
    for _ in range(ROUNDS):
        without += drive(seconds, web=False)["lateness_ms"]
        found = drive(seconds, web=True, viewers=VIEWERS)
        with_page += found["lateness_ms"]
        part_us += found["part_us"]
        encodes.append(found["encodes_per_s"])
    unseen = drive(seconds / 2, web=True)
    p99 = [float(np.percentile(values, 99)) for values in (without, with_page)]
    return {
        "web_without_p50_ms": float(np.percentile(without, 50)),
        "web_without_p99_ms": p99[0],
        "web_4_viewers_p50_ms": float(np.percentile(with_page, 50)),
        "web_4_viewers_p99_ms": p99[1],
        "web_p99_more_ms": p99[1] - p99[0],
        "web_part_p50_us": float(np.percentile(part_us, 50)),
        "web_part_p99_us": float(np.percentile(part_us, 99)),
        "web_encodes_per_s_4_viewers": sum(encodes) / len(encodes),
        "web_encodes_per_s_0_viewers": unseen["encodes_per_s"],
        "web_pictures_seen": found["pictures_seen"],
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["clients"]:
        print(json.dumps(asyncio.run(run_clients(int(sys.argv[2]), int(sys.argv[3])))))
    else:
        chosen = [float(argument) for argument in sys.argv[1:] if argument != "ours"]
        print(json.dumps(main(*chosen)))
