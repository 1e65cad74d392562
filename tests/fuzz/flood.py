"""Floods a running car's web server with malformed messages, and measures what that does to it.

    python -m tests.fuzz.flood [MESSAGES] [SEED]

Half of the messages are HTTP requests, half WebSocket messages. Prints one JSON object: what was sent, the
throttle commands that reached the hub (none must), the server's memory before and after, whether it lives.
"""

import contextlib
import json
import random
import socket
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.junk import frame, http_request, text
from tests.parts.controllers.web.helpers import Car, eventually
from tests.tub.helpers import make_tub

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def flood(car: Car, messages: int, seed: int) -> dict[str, int]:
    """Sends junk; returns how many messages of each kind went out."""
    rng = random.Random(seed)
    sent = {"http": 0, "websocket": 0}
    while sum(sent.values()) < messages:
        if sent["http"] <= sent["websocket"]:
            sent["http"] += send_http(car.port, rng)
        else:
            sent["websocket"] += send_frames(car.port, rng)
    return sent


def send_http(port: int, rng: random.Random) -> int:
    """One request on a connection of its own."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        peer.sendall(http_request(rng))
        if rng.random() < 0.8:
            peer.shutdown(socket.SHUT_WR)
        peer.settimeout(0.05)
        peer.recv(4096)
    return 1


def send_frames(port: int, rng: random.Random) -> int:
    """A WebSocket, and junk until the server has enough of it."""
    count = 0
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        peer.sendall(HANDSHAKE)
        peer.recv(4096)
        for _ in range(rng.randrange(1, 12)):
            count += 1
            peer.sendall(frame(rng, text(rng)))
        peer.settimeout(0.05)
        while peer.recv(4096):
            pass
    return max(count, 1)


def memory_kib(pid: int) -> int:
    """Resident memory of a process (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def measure(messages: int, seed: int = 0) -> dict[str, object]:
    """Floods a car of its own and says what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        tub = make_tub(Path(folder) / "tub", 20)
        with Car(tubs=tub) as car:
            pid = car.page._link.pid
            # The first tenth fills caches and the allocator's pools, which is no leak.
            warm = flood(car, messages // 10, seed + 1)
            before = memory_kib(pid)
            began_s = time.monotonic()
            sent = flood(car, messages - sum(warm.values()), seed)
            took_s = time.monotonic() - began_s
            state = eventually(
                lambda: (lambda s: s if not s["clients"] + s["viewers"] else None)(car.state())
            )
            return {
                "http": sent["http"] + warm["http"],
                "websocket": sent["websocket"] + warm["websocket"],
                "seconds": round(took_s, 1),
                "throttle_commands": sum(bool(throttle) for throttle in car.source.throttles),
                "calls_of_the_hub": sorted({call[0] for call in car.source.calls}),
                "memory_before_kib": before,
                "memory_after_kib": memory_kib(pid),
                "tasks_after": state["tasks"],
                "same_process_alive": car.page._link.pid == pid and car.page._link.starts == 1,
            }


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    print(json.dumps(measure(*(arguments or [10_000])), indent=1))
