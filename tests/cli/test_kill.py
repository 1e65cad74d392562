"""A drive that is killed with -9 while recording: the tub opens, pictures are whole, little is lost.

`DINGOCAR_KILLS=40 pytest tests/cli/test_kill.py` does it as often as you like.
"""

import mmap
import os
import random
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from dingocar.cli.main import main
from dingocar.tub import open_tub

ROOT = Path(__file__).resolve().parent.parent.parent
RATE_HZ = 20
QUEUE_S = 0.5

#: Added to the car: tells us, in memory that outlives the process, how many records were asked for.
TALLY = """

def _with_tally(build):
    import mmap, os, struct

    class Tally:
        def __init__(self):
            file = open(os.environ["TALLY"], "r+b")
            self.shared, self.count = mmap.mmap(file.fileno(), 8), 0

        def run(self):
            self.count += 1
            self.shared[:] = struct.pack("q", self.count)

    def built(*arguments, **settings):
        vehicle = build(*arguments, **settings)
        vehicle.add(Tally())
        return vehicle

    return built


build = _with_tally(build)
"""


@pytest.fixture
def car(tmp_path):
    folder = tmp_path / "mycar"
    assert main(["createcar", "--path", str(folder)]) == 0
    manage = folder / "manage.py"
    manage.write_text(manage.read_text() + TALLY)
    return folder


def still_runs_after(process, seconds):
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def drive_and_kill(car, tally_path, moment_s):
    """Drives with `--record`, kills the process `moment_s` after its first record; returns the tally."""
    tally_path.write_bytes(bytes(8))
    env = os.environ | {"PYTHONPATH": str(ROOT), "TALLY": str(tally_path)}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "drive", "--expert", "--record"],
        cwd=car,
        env=env,
        stderr=subprocess.DEVNULL,
    )
    with open(tally_path, "r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
        try:
            while struct.unpack("q", shared[:])[0] == 0:
                assert still_runs_after(process, 0.001)
            assert still_runs_after(process, moment_s)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(20)
        return struct.unpack("q", shared[:])[0]


def test_nothing_but_the_queue_is_lost(car, tmp_path, capsys):
    kills = int(os.environ.get("DINGOCAR_KILLS", "3"))
    moments, before, lost = random.Random(0), 0, []
    for _ in range(kills):
        asked = drive_and_kill(car, tmp_path / "tally", moments.uniform(0, 0.8))
        tub = open_tub(car / "data")
        records = list(tub)
        # Every listed record has its whole picture: decoding a cut one raises.
        for record in records:
            assert record.image().shape == (120, 160, 3)
        indexes = [record.index for record in records]
        assert indexes == sorted(set(indexes))
        lost.append(asked - (len(records) - before))
        before = len(records)
    # One more: the record of the loop in which the process was killed may be there or not.
    assert all(-1 <= n <= QUEUE_S * RATE_HZ + 1 for n in lost), lost
    sys.stderr.write(f"{kills} kills, records lost: {lost}\n")
