"""Learns from its recording, and adapts to pictures of the target by a method of `dingocar.adapt`."""

from __future__ import annotations

import dataclasses

from dingocar.errors import UsageError
from dingocar.evaluate.leaderboard.methods import Kind, Task, Trained, options_of
from dingocar.evaluate.leaderboard.methods.supervised import fit
from dingocar.evaluate.leaderboard.suite import MethodSpec
from dingocar.training.domains import Adaptation


def _adaptation(method: MethodSpec) -> Adaptation:
    options = options_of(method)
    count = options["real_labels"]
    return Adaptation(
        options["method"], dict(options["settings"]), (), None if count < 0 else count, options["select"]
    )


def _train(task: Task) -> Trained:
    """Trains; of `labelled`, pictures whose label is not used count as unlabelled ones.

    Half of each batch is the target's, so batches are twice as large: a step sees as many pictures of the
    source as in every other row, and there are as many steps.
    """
    method, wanted = task.method, _adaptation(task.method)
    if wanted.load_method().trains_on_target:
        twice = dataclasses.replace(task.settings, batch_size=2 * task.settings.batch_size)
        task = dataclasses.replace(task, settings=twice)
    tubs = [task.tubs[name] for name in ("recording", "labelled") if name in task.tubs]
    unlabelled = [task.tubs["unlabelled"]] if "unlabelled" in task.tubs else []
    used = Adaptation(wanted.method, wanted.settings, unlabelled, wanted.real_labels, wanted.select)
    labels = 0 if method.labelled is None else method.labelled.frames
    if wanted.real_labels is not None:
        labels = wanted.real_labels
    return fit(task, tubs, adaptation=used, frames=method.recording.frames + labels)


def _check(method: MethodSpec) -> None:
    adapts = _adaptation(method).load_method()
    for name, recording in method.recordings.items():
        domain = "sim" if name == "recording" else "real"
        if recording.domain != domain:
            raise UsageError(f"{name}.domain: expected {domain!r}, got {recording.domain!r}")
    labels = method.options.get("real_labels", -1)
    if labels > 0 and method.labelled is None:
        raise UsageError(f"options.real_labels = {labels}: of which pictures? add labelled = {{...}}")
    if adapts.needs_target_labels and (method.labelled is None or labels == 0):
        raise UsageError(f"{adapts.name} learns from labels of the target: add labelled = {{...}}")
    if adapts.needs_target and method.unlabelled is None and method.labelled is None:
        raise UsageError(f"{adapts.name} learns from pictures of the target: add unlabelled = {{...}}")


kind = Kind(
    _train,
    options={"method": "confusion", "real_labels": -1, "select": "last", "settings": {}},
    uses=("unlabelled", "labelled"),
    labels="real_labels",
    check=_check,
)
