"""Disks that are slow, dead or full, and interrupted ends: what was recorded stays."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dingocar.errors import TubError
from dingocar.tub import TubWriter, encode, open_tub, writer
from dingocar.tub import format as fmt
from tests.tub.helpers import (
    KEYS,
    TYPES,
    make_tub,
    record,
)


class Gate:
    """Holds the writer's thread at its next picture until it is opened."""

    def __init__(self, monkeypatch):
        self.reached, self.open = threading.Event(), threading.Event()
        real = writer.write_picture

        def slow(*arguments):
            self.reached.set()
            assert self.open.wait(20)
            real(*arguments)

        monkeypatch.setattr(writer, "write_picture", slow)


def test_slow_disk_drops_and_counts(tmp_path, monkeypatch, caplog):
    gate = Gate(monkeypatch)
    with TubWriter(tmp_path, KEYS, TYPES, max_queue_s=0.5, rate_hz=20) as tub:
        assert tub.write(record(0)) == 0
        assert gate.reached.wait(20)
        assert [tub.write(record(index)) for index in range(1, 13)] == [*range(1, 11), None, None]
        assert tub.dropped == 2
        gate.open.set()
        tub.flush()
        assert tub.write(record(11)) == 11  # a dropped record takes no index
    assert "dropping" in caplog.text and "2 of 14 records were dropped" in caplog.text
    assert len(open_tub(tmp_path)) == tub.written == 12


def test_slow_disk_makes_an_offline_recording_wait(tmp_path, monkeypatch):
    gate = Gate(monkeypatch)
    with TubWriter(tmp_path, KEYS, TYPES, rate_hz=4, on_full="wait") as tub:
        done = threading.Thread(target=lambda: [tub.write(record(index)) for index in range(20)])
        done.start()
        assert gate.reached.wait(20) and tub.written == 0
        gate.open.set()
        done.join(20)
    assert tub.written == len(open_tub(tmp_path)) == 20 and tub.dropped == 0


def test_a_dead_disk_does_not_hold_up_the_close(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "STALLED_S", 0.05)
    gate = Gate(monkeypatch)
    tub = TubWriter(tmp_path, KEYS, TYPES)
    for index in range(3):
        tub.write(record(index))
    assert gate.reached.wait(20)
    with pytest.raises(TubError, match=r"has not answered for 0\.05 s"):
        tub.close()
    with pytest.raises(TubError, match="closed"):
        tub.write(record(3))
    gate.open.set()  # the disk is back
    monkeypatch.setattr(writer, "STALLED_S", 20)
    tub.close()
    assert len(open_tub(tmp_path)) == 3 and not open_tub(tmp_path).problems
    TubWriter(tmp_path).close()


def test_a_slow_disk_has_the_time_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "STALLED_S", 0.2)
    real = writer.write_picture
    monkeypatch.setattr(writer, "write_picture", lambda *a: (time.sleep(0.05), real(*a)))
    with TubWriter(tmp_path, KEYS, TYPES, max_queue_s=1) as tub:
        for index in range(10):
            tub.write(record(index))
    assert len(open_tub(tmp_path)) == 10


def test_an_interrupted_close_can_be_finished(tmp_path, monkeypatch):
    gate = Gate(monkeypatch)
    tub = TubWriter(tmp_path, KEYS, TYPES)
    for index in range(3):
        tub.write(record(index))
    assert gate.reached.wait(20)
    real = tub._finished.wait

    def interrupted(_):
        tub._finished.wait = real
        raise KeyboardInterrupt

    tub._finished.wait = interrupted
    with pytest.raises(KeyboardInterrupt):
        tub.close()
    gate.open.set()
    tub._close_at_exit()
    assert '"current_index": 3' in (tmp_path / "manifest.json").read_text()
    TubWriter(tmp_path).close()  # the lock is free


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_two_interrupts_lose_nothing(tmp_path):
    """Ctrl-C ends the recording, a second one the wait for the disk; the program's end still waits."""
    code = (
        "import os, signal, sys, threading, time\n"
        "from dingocar.tub import TubWriter, writer\n"
        "import numpy as np\n"
        "real = writer.write_picture\n"
        "writer.write_picture = lambda *a: (time.sleep(0.1), real(*a))\n"
        "with TubWriter(sys.argv[1], ['a'], ['image_array']) as tub:\n"
        "    for n in range(6): tub.write({'a': np.zeros((4, 4, 3), np.uint8)})\n"
        "    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True
    )
    assert "KeyboardInterrupt" in done.stderr
    assert len(open_tub(tmp_path)) == 6 and not open_tub(tmp_path).problems
    assert '"current_index": 6' in (tmp_path / "manifest.json").read_text()


def test_the_camera_may_reuse_its_array(tmp_path, monkeypatch):
    gate = Gate(monkeypatch)
    image = np.zeros((12, 16, 3), np.uint8)
    with TubWriter(tmp_path, KEYS, TYPES) as tub:
        tub.write({KEYS[0]: image})
        image[:] = 255
        gate.open.set()
    assert open_tub(tmp_path)[0].image().max() == 0


def test_full_disk_surfaces_and_lists_no_half_record(tmp_path, monkeypatch):
    tub = TubWriter(tmp_path, KEYS, TYPES, on_full="wait")
    for index in range(3):
        tub.write(record(index))
    tub.flush()
    real = os.write

    def full(descriptor, raw):
        return real(descriptor, raw[: len(raw) // 2])

    monkeypatch.setattr(encode.os, "write", full)
    with pytest.raises(TubError, match=os.strerror(errno.ENOSPC)):
        for index in range(3, 60):
            tub.write(record(index))
    monkeypatch.undo()
    with pytest.raises(TubError, match="No space"):
        tub.flush()
    with pytest.raises(TubError, match="lost"):
        tub.close()
    assert tub.dropped > 0
    assert [item.index for item in open_tub(tmp_path)] == [0, 1, 2]
    assert len(list((tmp_path / "images").iterdir())) == 3
    make_tub(tmp_path, 2, first=3)
    assert [item.index for item in open_tub(tmp_path)] == [0, 1, 2, 3, 4]


def test_full_disk_at_the_catalog_takes_the_half_line_back(tmp_path, monkeypatch):
    tub = TubWriter(tmp_path, ["user/angle"], ["float"], on_full="wait")
    tub.write({"user/angle": 0.5})
    tub.flush()
    real = os.write
    monkeypatch.setattr(encode.os, "write", lambda fd, raw: real(fd, raw[: len(raw) // 2]))
    tub.write({"user/angle": 0.7})
    with pytest.raises(TubError):
        tub.flush()
    monkeypatch.undo()
    with pytest.raises(TubError):
        tub.close()
    tub = open_tub(tmp_path)
    assert len(tub) == 1 and not tub.problems
    assert (tmp_path / "catalog_0.catalog").read_bytes().endswith(b"\n")


def test_closing_waits_for_the_disk_and_driving_does_not(tmp_path, monkeypatch):
    calls = []
    real = os.fsync
    monkeypatch.setattr(fmt.os, "fsync", lambda fd: (calls.append(fd), real(fd)))
    with TubWriter(tmp_path, ["a"], ["float"], on_full="wait", max_records_per_catalog=10) as tub:
        for _ in range(35):
            tub.write({"a": 1})
        tub.flush()
        assert calls == []
    assert len(calls) == 3  # catalog, catalog manifest, manifest
