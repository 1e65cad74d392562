"""Kills recordings at random moments and looks at what is left; used by the tests, and by hand:

python tests/tub/tub_crash.py ROUNDS [SEED]
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dingocar.tub import open_tub  # noqa: E402

QUEUE = 4
CATALOG = 15

# Records pictures whose colour tells their record's index, and says which record it handed over.
CHILD = f"""
import sys
import numpy as np
from dingocar.tub import TubWriter, writer
writer.MANIFEST_PERIOD_S = 0.004
keys = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
types = ["image_array", "float", "float", "str"]
tub = TubWriter(sys.argv[1], keys, types, {{"domain": "sim"}}, on_full="wait", rate_hz=20,
                max_queue_s={QUEUE / 20}, max_records_per_catalog={CATALOG})
print("session", tub.session_id, flush=True)
while True:
    colour = tub._next_index % 250
    image = np.full((120, 160, 3), colour, np.uint8)
    print(tub.write(dict(zip(keys, [image, colour / 250, 0.3, "user"]))), flush=True)
"""


def kill_once(folder, rng):
    """Starts a recording to `folder` and kills it at a random moment.

    Returns:
        Its session id (None if it was killed before it had one) and the last index it handed over.
    """
    lines = rng.choice([0, 1, rng.randrange(2, 60)])
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        seen = [child.stdout.readline() for _ in range(lines)]
        stop = time.perf_counter() + rng.random() * (0.005 if lines else 0.3)
        while time.perf_counter() < stop:
            pass
        child.send_signal(signal.SIGKILL)
        seen += child.stdout.read().splitlines(keepends=True)
        child.wait()
    whole = [line.split() for line in seen if line.endswith("\n")]
    session = next((words[1] for words in whole if words[0] == "session"), None)
    indexes = [int(words[0]) for words in whole if words[0] != "session"]
    return session, indexes[-1] if indexes else None


def check_after(folder, handed_over):
    """Asserts that the tub opens, lost at most the queue, and that all listed pictures are whole."""
    tub = open_tub(folder)
    serious = [item for item in tub.problems if item.kind not in ("deleted", "catalog")]
    assert not serious, serious
    assert [record.index for record in tub] == list(range(len(tub)))
    if handed_over is not None:
        # The queue, the record the thread has in hand, and the one announced last.
        assert len(tub) >= handed_over + 1 - (QUEUE + 1)
    return tub


def crash_test(folder, rounds, seed=0):
    """Records to one tub, killed `rounds` times; returns the number of records in the end."""
    rng = random.Random(seed)
    used, length, checked = set(), 0, 0
    for _ in range(rounds):
        session, handed_over = kill_once(folder, rng)
        if session is not None:
            assert session not in used, "a session id was used again"
        elif not (Path(folder) / "manifest.json").exists():
            continue  # killed before there was a tub
        tub = check_after(folder, handed_over)
        assert len(tub) >= length, "a kill lost records that were there before"
        for record in tub.records[checked:]:
            assert abs(int(record.image()[60, 80, 0]) - record.index % 250) <= 2
            assert record.steering == record.index % 250 / 250
        length = checked = len(tub)
        used = {record.session_id for record in tub}
    return length


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        count = crash_test(scratch, int(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 0)
    print(f"{sys.argv[1]} kills survived, {count} records")
