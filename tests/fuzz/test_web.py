"""The web server under junk, seeded and small; `flood.py` and `fuzz_protocol.py` do more."""

import random

from tests.fuzz.flood import measure
from tests.fuzz.junk import HEADERS, MESSAGES, PATHS, VALUES, http_request, spoilt, text
from tests.fuzz.properties import check_bytes


def test_any_bytes_are_refused_or_fit():
    rng = random.Random(1)
    for _ in range(4000):
        check_bytes(text(rng))
        check_bytes(http_request(rng))
        pieces = rng.choices([*HEADERS, *PATHS, *VALUES, *map(str, MESSAGES), "\0", "localhost"], k=5)
        check_bytes(spoilt(rng, "\0".join(pieces).encode("utf-8", "replace")))


def test_a_flood_of_junk_moves_nothing(capfd):
    found = measure(1500)
    assert found["http"] + found["websocket"] >= 1500
    assert found["calls_of_the_hub"] == [] and found["throttle_commands"] == 0
    assert found["same_process_alive"] and found["tasks_after"] <= 3
    assert found["memory_after_kib"] < found["memory_before_kib"] + 10_000
    assert "Traceback" not in capfd.readouterr().err
