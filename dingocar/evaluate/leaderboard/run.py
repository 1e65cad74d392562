"""Runs a suite: what is missing in the results is recorded, trained, driven and added."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard.keys import code_digest, row_key
from dingocar.evaluate.leaderboard.plan import WEIGHTS, make_plan
from dingocar.evaluate.leaderboard.results import Results
from dingocar.evaluate.leaderboard.row import Job, RowJob, execute
from dingocar.evaluate.leaderboard.rules import check
from dingocar.evaluate.leaderboard.suite import Suite, suite_from
from dingocar.evaluate.leaderboard.workers import Work, Workers
from dingocar.files import parse_json, replace_file
from dingocar.words import counted

logger = logging.getLogger(__name__)

#: The suite as it was run, so that its folder can be shown without the file.
SUITE = "suite.json"


@dataclass
class RunReport:
    """What a run did; rows by their names.

    Attributes:
        kept: rows that were there already.
        done: rows that were added.
        failed: rows that failed, with the reason.
    """

    results: Path
    kept: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "results": str(self.results)}


def default_folder(suite_file: Path) -> Path:
    """Where the results of a suite's file go: `leaderboard/NAME` in the current folder."""
    return Path("leaderboard") / suite_file.stem


def run_suite(
    suite: Suite,
    out: Path,
    jobs: int = 1,
    only: str | None = None,
    again: bool = False,
    on_progress: Callable[[float, str], None] = lambda share, text: None,
    work: Work = execute,
) -> RunReport:
    """Runs what is missing.

    A row is there if the results hold one for the same pilot, method, seed and worlds, by their contents.
    This process alone adds rows, each in one write, so that a kill loses the running ones and no other.

    Args:
        suite: what to run; its rules are checked again.
        out: folder of the results, and of recordings and pilots, which are kept for later runs.
        jobs: processes.
        only: which rows; see `Suite.rows`.
        again: also run rows that another version of this library has made.
        on_progress: told the share of all work that is done, and a line when a row has ended (else "").
        work: does a job; other than for tests this is `execute`.

    Raises:
        UsageError: a rule is broken, `only` fits no row, or another run writes to the folder.
    """
    started = time.perf_counter()
    check(suite, suite.title)
    rows = suite.rows(only)
    out = out.absolute()
    code = code_digest()
    with Results(out, write=True) as results:
        replace_file(out / SUITE, json.dumps(suite.to_json()))
        there = {name for name, row in results.of(suite, rows).items() if not again or row["code"] == code}
        report = RunReport(results.path, [row.name for row in rows if row.name in there])
        missing = [row for row in rows if row.name not in there]
        plan, after = make_plan(suite, missing, out, code)
        tracker = _Tracker(plan, on_progress)
        with Workers(min(jobs, max(1, len(plan))), work, out / "log") as workers:
            for event in workers.run(plan, after):
                job = plan[event.number]
                line = ""
                if event.ended and isinstance(job, RowJob):
                    line = _book(results, report, job, event.result, event.reason)
                tracker.at(event.number, event.share, line)
    report.seconds = time.perf_counter() - started
    return report


def _book(
    results: Results, report: RunReport, job: RowJob, result: dict[str, Any] | None, reason: str
) -> str:
    """Adds an ended row to the results and the report; returns a line for people."""
    row = job.row
    if result is None or reason:
        report.failed[row.name] = reason
        facts = {"key": row_key(job.suite, row), "row": row.name, "group": row.group, "seed": row.seed}
        results.add(facts | {"status": "failed", "reason": reason, "code": job.code})
        return f"{row.name}: failed: {reason}"
    report.done.append(row.name)
    results.add(result)
    return f"{row.name}: {', '.join(f'{world} {_told(f)}' for world, f in result['worlds'].items())}"


def _told(figures: Mapping[str, Any]) -> str:
    """The most important figure of a world, for people."""
    if "laps" in figures:
        return f"{figures['clean_laps']} of {counted(figures['laps'], 'lap')} clean"
    corr = figures.get("offline", {}).get("corr")
    return "not driven" if corr is None else f"correlation {corr:.2f}"


class _Tracker:
    """Adds up the shares of jobs of different length."""

    def __init__(self, plan: list[Job], on_progress: Callable[[float, str], None]) -> None:
        self._weights = [WEIGHTS[type(job)] for job in plan]
        self._shares = [0.0] * len(plan)
        self._tell = on_progress

    def at(self, number: int, share: float, line: str) -> None:
        self._shares[number] = share
        done = sum(s * w for s, w in zip(self._shares, self._weights, strict=True))
        self._tell(done / sum(self._weights), line)


def load_run(folder: Path) -> Suite:
    """The suite that was last run into a folder.

    Raises:
        UsageError: the folder holds none.
    """
    file = folder / SUITE
    try:
        return suite_from(parse_json(file.read_bytes()), str(file))
    except OSError as error:
        raise UsageError(
            f"{folder}: holds no results of a leaderboard ({error.strerror}); expected a suite's .toml "
            "file, or a folder that dingocar leaderboard run has made"
        ) from None
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from None
