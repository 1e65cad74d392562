"""What a run does, in which order: recordings, what rows share, pilots that are lent, rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from dingocar.evaluate.leaderboard import recording
from dingocar.evaluate.leaderboard.keys import model_key
from dingocar.evaluate.leaderboard.methods import lender_of
from dingocar.evaluate.leaderboard.row import (
    MARKER,
    Job,
    PreparedJob,
    RecordingJob,
    RowJob,
    TrainingJob,
    method_recordings,
    prepared_folder,
    prepared_key,
    recording_folder,
    shared_row,
    world_recordings,
)
from dingocar.evaluate.leaderboard.suite import Recording, Row, Suite

#: How long a job takes beside others, for the time that is left.
WEIGHTS: dict[type, float] = {RecordingJob: 1.0, PreparedJob: 50.0, TrainingJob: 4.0, RowJob: 5.0}


def make_plan(suite: Suite, rows: Iterable[Row], out: Path, code: str) -> tuple[list[Job], list[list[int]]]:
    """The jobs for rows that are missing, and for each job those that it comes after.

    What several need is made once, just before the first row that needs it, so that rows are finished early;
    what is there from an earlier run is not made again.
    """
    plan = _Plan(suite, out, code)
    for row in rows:
        plan.add_row(row)
    return plan.jobs, plan.after


class _Plan:
    def __init__(self, suite: Suite, out: Path, code: str) -> None:
        self.suite, self.out, self.code = suite, out, code
        self.jobs: list[Job] = []
        self.after: list[list[int]] = []
        self._recorded: dict[str, list[int]] = {}
        self._prepared: dict[str, list[int]] = {}
        self._trained: dict[str, list[int]] = {}

    def add_row(self, row: Row) -> None:
        """Plans a row and what it needs."""
        before, model = self._before_training(row), None
        if row.method is not None:
            before += self._recordings(world_recordings(self.suite, self.code).values())
            lender = lender_of(self.suite, row.method)
            if lender is not None:
                before += self._training_of(dataclasses.replace(row, method=lender))
            else:
                model = model_key(self.suite, row, self.code)
                before += self._trained.get(model, [])
        number = self._add(RowJob(self.out, self.suite, row, self.code), before)
        if model is not None:
            self._trained.setdefault(model, number)

    def _training_of(self, row: Row) -> list[int]:
        """Sees to a pilot that another row drives with."""
        model = model_key(self.suite, row, self.code)
        if model not in self._trained:
            there = (self.out / "models" / model / MARKER).is_file()
            job = TrainingJob(self.out, self.suite, row, self.code)
            # A dev world may select the pilot.
            worlds = world_recordings(self.suite, self.code).values()
            before = self._before_training(row) + self._recordings(worlds)
            self._trained[model] = [] if there else self._add(job, before)
        return self._trained[model]

    def _before_training(self, row: Row) -> list[int]:
        found = self._recordings(method_recordings(self.suite, row, self.code).values())
        shared = shared_row(row)
        if shared is None:
            return found
        key = prepared_key(self.suite, shared, self.code)
        if key not in self._prepared:
            there = (prepared_folder(self.out, key) / MARKER).is_file()
            before = self._recordings(method_recordings(self.suite, shared, self.code).values())
            job = PreparedJob(key, self.out, self.suite, shared, self.code)
            self._prepared[key] = [] if there else self._add(job, before)
        return found + self._prepared[key]

    def _recordings(self, needed: Iterable[tuple[str, Recording, int]]) -> list[int]:
        found = []
        for key, what, seed in needed:
            if key not in self._recorded:
                there = (recording_folder(self.out, key) / recording.MARKER).is_file()
                job = RecordingJob(key, self.out, what, seed, self.suite.picture, self.suite.data)
                self._recorded[key] = [] if there else self._add(job, [])
            found += self._recorded[key]
        return found

    def _add(self, job: Job, before: Iterable[int]) -> list[int]:
        self.jobs.append(job)
        self.after.append(sorted(set(before)))
        return [len(self.jobs) - 1]
