"""The CSV file: what is in it, and that the disk is never waited for."""

import csv
import errno
import logging
import math
import threading

import numpy as np
import pytest

from dingocar.errors import UsageError
from dingocar.parts.telemetry import csv_log
from dingocar.parts.telemetry.csv_log import CsvTelemetry
from tests.fakes.clock import FakeClock

CHANNELS = ["steering", "user/mode"]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def drive(path, *lines, channels=CHANNELS):
    clock = FakeClock()
    part = CsvTelemetry(path, channels, clock=clock)
    for line in lines:
        part.run(*line)
        clock.time_s += 0.05
    part.shutdown()
    return part


class FakeDisk:
    """A file that fails, or hangs, at the n-th write."""

    def __init__(self, file, hang=None, error=None):
        self.file, self.hang, self.error = file, hang, error
        self.reached = threading.Event()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, data):
        self.reached.set()
        if self.hang:
            self.hang.wait()
        if self.error:
            raise self.error
        self.file.write(data)

    def flush(self):
        self.file.flush()


@pytest.fixture
def disk(monkeypatch):
    """Replaces the opened file; `disk(hang=..., error=...)` says how it behaves."""

    def install(**behaviour):
        disks = []
        opened = csv_log.open_csv

        def open_fake(path, columns):
            path, file = opened(path, columns)
            disks.append(FakeDisk(file, **behaviour))
            return path, disks[0]

        monkeypatch.setattr(csv_log, "open_csv", open_fake)
        return disks

    return install


class TestContent:
    def test_one_line_per_loop(self, tmp_path):
        path = tmp_path / "new" / "drive.csv"
        drive(path, (0.5, "user"), (-1.0, "local"), (1 / 3, "a,b"))
        assert path.read_text() == (
            't_s,steering,user/mode\n0.0000,0.5,user\n0.0500,-1,local\n0.1000,0.333333,"a,b"\n'
        )

    def test_what_is_no_value_leaves_the_cell_empty(self, tmp_path):
        values = (
            None,
            math.nan,
            math.inf,
            np.float32(0.5),
            np.int64(3),
            True,
            np.bool_(False),
            [1],
            np.ones(2),
        )
        names = [f"c{i}" for i in range(len(values))]
        drive(tmp_path / "x.csv", values, channels=names)
        assert rows(tmp_path / "x.csv")[1] == ["0.0000", "", "", "", "0.5", "3", "true", "false", "", ""]

    def test_a_file_with_the_same_columns_is_continued(self, tmp_path):
        path = tmp_path / "x.csv"
        drive(path, (1.0, "user"))
        drive(path, (2.0, "user"), (3.0, "user"))
        assert [row[:2] for row in rows(path)] == [
            ["t_s", "steering"],
            *(["0.0000", "1"], ["0.0000", "2"], ["0.0500", "3"]),
        ]

    def test_a_line_cut_off_by_a_kill_spoils_no_other(self, tmp_path):
        path = tmp_path / "x.csv"
        drive(path, (1.0, "user"))
        path.write_text(path.read_text() + "0.0500,0.7")
        drive(path, (2.0, "user"))
        assert rows(path)[2:] == [["0.0500", "0.7"], ["0.0000", "2", "user"]]

    @pytest.mark.parametrize("left", ["", "t_s,steer", "t_s,steering,user/mode\n"])
    def test_a_header_cut_off_by_a_kill_is_written_again(self, tmp_path, left):
        path = tmp_path / "x.csv"
        path.write_text(left)
        drive(path, (1.0, "user"))
        assert path.read_text() == "t_s,steering,user/mode\n0.0000,1,user\n"

    def test_a_file_with_other_columns_is_left_alone(self, tmp_path, caplog):
        path = tmp_path / "x.csv"
        path.write_text("my,own\n1,2\n")
        first = drive(path, (1.0, "user"))
        again = drive(path, (2.0, "user"))
        assert path.read_text() == "my,own\n1,2\n"
        assert first.path == again.path == tmp_path / "x-1.csv"
        assert len(rows(first.path)) == 3
        assert "other columns" in caplog.text


class TestDisk:
    def test_one_that_hangs_stops_neither_loop_nor_shutdown(self, tmp_path, disk, monkeypatch, caplog):
        monkeypatch.setattr(csv_log, "MAX_WAITING", 10)
        hang = threading.Event()
        disks = disk(hang=hang)
        part = CsvTelemetry(tmp_path / "x.csv", CHANNELS, clock=FakeClock())
        part.PATIENCE_S = 0.02
        part.run(0.0, "user")
        assert disks[0].reached.wait(20)
        for _ in range(15):
            part.run(0.0, "user")
        assert part.dropped == 5
        part.shutdown()
        assert "the disk hangs" in caplog.text
        hang.set()
        part._thread.join(20)
        assert len(rows(part.path)) == 1 + 1 + 10

    def test_a_full_one_is_told_once_and_the_drive_goes_on(self, tmp_path, disk, caplog):
        disk(error=OSError(errno.ENOSPC, "No space left on device"))
        part = CsvTelemetry(tmp_path / "x.csv", CHANNELS, clock=FakeClock())
        with caplog.at_level(logging.WARNING):
            part.run(0.0, "user")
            part._thread.join(20)
            for _ in range(100):
                part.run(0.0, "user")
            part.shutdown()
        assert part.dropped >= 100
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "No space left" in caplog.text and "drive goes on" in caplog.text

    def test_lost_lines_are_told_at_the_end(self, tmp_path, caplog):
        part = CsvTelemetry(tmp_path / "x.csv", CHANNELS, clock=FakeClock())
        part.dropped = 3
        part.shutdown()
        assert "3 lines were lost" in caplog.text

    def test_lines_are_on_the_disk_soon(self, tmp_path, monkeypatch):
        written = threading.Semaphore(0)
        write = CsvTelemetry._write

        def counted(part):
            write(part)
            written.release()

        monkeypatch.setattr(CsvTelemetry, "_write", counted)
        part = CsvTelemetry(tmp_path / "x.csv", CHANNELS, clock=FakeClock())
        part.run(0.5, "user")
        for _ in range(2):  # the first may have begun before the line came
            assert written.acquire(timeout=20)
        assert len(rows(part.path)) == 2
        part.shutdown()

    def test_shutdown_writes_what_is_waiting_and_may_come_twice(self, tmp_path):
        part = drive(tmp_path / "x.csv", *[(i, "user") for i in range(1000)])
        part.shutdown()
        part.run(0.0, "user")
        assert len(rows(part.path)) == 1001 and part.dropped == 1


def test_mistakes(tmp_path):
    with pytest.raises(UsageError, match="cam/image_array"):
        CsvTelemetry(tmp_path / "x.csv", ["steering", "cam/image_array"])
    with pytest.raises(UsageError, match="got none"):
        CsvTelemetry(tmp_path / "x.csv", [])
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        CsvTelemetry(tmp_path / "file" / "x.csv", CHANNELS)
    with pytest.raises(UsageError, match="cannot be written"):
        CsvTelemetry(tmp_path, CHANNELS)
    assert not (tmp_path / "x.csv").exists()


def test_a_mistyped_folder_is_told_not_made(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        CsvTelemetry(tmp_path / "nowhere" / "at_all" / "drive.csv", ["steering"])
    assert not (tmp_path / "nowhere").exists()
