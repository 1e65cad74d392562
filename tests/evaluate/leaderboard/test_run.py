"""Runs: what is there is kept, what fails does not stop the rest, a kill loses nothing that was done."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard.results import FILE, Results
from dingocar.evaluate.leaderboard.run import load_run, run_suite
from tests.evaluate.leaderboard.making import facts, make_suite, plain, work

ROOT = Path(__file__).resolve().parents[3]


def calls(out):
    """The jobs that were begun, in order, without the recordings."""
    lines = (out / "calls").read_text().split("\n")[:-1]
    return [line for line in lines if line != "recording"]


def rows_in(out):
    return [json.loads(line) for line in (out / FILE).read_text().splitlines()]


def test_what_is_there_is_kept_and_a_changed_suite_runs_what_has_changed(tmp_path):
    suite = make_suite()
    told = []
    first = run_suite(suite, tmp_path, 2, on_progress=lambda *said: told.append(said), work=work)
    assert sorted(first.done) == sorted(row.name for row in suite.rows()) and not first.failed
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    assert sum(bool(line) for _, line in told) == 10
    (tmp_path / "calls").unlink()
    second = run_suite(suite, tmp_path, work=work)
    assert len(second.kept) == 10 and not second.done and not (tmp_path / "calls").exists()
    changed = make_suite(methods__mild__training={"epochs": 2})
    third = run_suite(changed, tmp_path, work=work)
    assert sorted(third.done) == sorted(calls(tmp_path)) == [f"linear/mild/{seed}" for seed in (0, 1, 2)]
    assert load_run(tmp_path) == changed
    keys = [row["key"] for row in rows_in(tmp_path)]
    assert len(keys) == len(set(keys)) == 13


def test_only_some_rows(tmp_path):
    assert run_suite(make_suite(), tmp_path, only="linear/none", work=work).done == [
        f"linear/none/{seed}" for seed in (0, 1, 2)
    ]


def test_rows_of_another_version_are_run_again_when_asked(tmp_path):
    suite = make_suite(seeds=[0], methods={"mild": {}}, baseline="")
    with Results(tmp_path, write=True) as results:
        for row in suite.rows():
            results.add(facts(suite, row, code="of before"))
    assert len(run_suite(suite, tmp_path, work=work).kept) == 2
    assert len(run_suite(suite, tmp_path, again=True, work=work).done) == 2
    assert len(Results(tmp_path).of(suite)) == 2


@pytest.mark.parametrize(
    "how, reason",
    [("FAILS", "ValueError: no luck today"), ("DIES", "its process ended (signal SIGKILL)")],
)
def test_a_row_that_fails_is_noted_and_the_rest_goes_on(tmp_path, monkeypatch, how, reason):
    suite = make_suite()
    monkeypatch.setenv(how, "linear/none/1")
    report = run_suite(suite, tmp_path, 2, work=work)
    assert report.failed == {"linear/none/1": reason} and len(report.done) == 9
    (noted,) = Results(tmp_path).failed().values()
    assert noted["reason"] == reason and noted["row"] == "linear/none/1"
    monkeypatch.delenv(how)
    assert run_suite(suite, tmp_path, work=work).done == ["linear/none/1"]
    assert not Results(tmp_path).failed()


def test_rows_that_need_a_recording_that_fails_fail_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FAILS", "recording")
    report = run_suite(make_suite(), tmp_path, work=work)
    assert report.done == ["expert"] and set(report.failed.values()) == {"ValueError: no luck today"}
    assert calls(tmp_path) == ["expert"]


def alive(pid):
    """Whether a process still runs (one that has ended and was not waited for does not)."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for(what, seconds=60.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


SCRIPT = """
import json, sys
from pathlib import Path
from dingocar.evaluate.leaderboard.run import run_suite
from tests.evaluate.leaderboard.making import make_suite, work
if __name__ == "__main__":
    run_suite(make_suite(), Path(sys.argv[1]), 2, work=work)
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_loses_only_what_was_running(tmp_path, stop):
    out, script = tmp_path / "out", tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = os.environ | {"PYTHONPATH": str(ROOT), "HANGS": "linear/none/1"}
    run = subprocess.Popen([sys.executable, script, out], env=env, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_for((out / "hanging").exists)
        with pytest.raises(UsageError, match="another run is writing"):
            run_suite(make_suite(), out, work=work)
        wait_for(lambda: len(rows_in(out)) == 9)  # all others, by the other process
        run.send_signal(stop)
        run.wait(30)
        child = int((out / "hanging").read_text())
        wait_for(lambda: not alive(child))
    finally:
        run.kill()
        run.wait()
    report = run_suite(make_suite(), out, work=work)
    assert report.done == ["linear/none/1"] and len(report.kept) == 9
    names = [row["row"] for row in rows_in(out)]
    assert sorted(names) == sorted(row.name for row in make_suite().rows())
    assert sorted(calls(out)) == sorted([*names, "linear/none/1"])


def test_a_line_that_a_kill_cut_off_is_removed(tmp_path):
    suite = make_suite()
    rows = suite.rows()
    with Results(tmp_path, write=True) as results:
        results.add(facts(suite, rows[0]))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"key": "12')
    assert len(Results(tmp_path).rows) == 1
    with Results(tmp_path, write=True) as results:
        results.add(facts(suite, rows[1]))
    assert [row["row"] for row in rows_in(tmp_path)] == [rows[0].name, rows[1].name]


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / FILE).write_text('{"key": 1}\n')
    with pytest.raises(UsageError, match=r"results\.jsonl:1: is no row"):
        Results(tmp_path)
    (tmp_path / FILE).write_text('{"key": %s}\n' % ("1" * 5000))
    with pytest.raises(UsageError, match=r"\(has an integer of more than 4300 digits\); remove the line"):
        Results(tmp_path)
    with pytest.raises(UsageError, match="holds no results of a leaderboard"):
        load_run(tmp_path)
    assert plain()
