"""Learns from a first share of the frames, then records the rest where that pilot finds driving hard.

Active domain randomisation (Mehta et al. 2019, arXiv:1904.04762): a learned sampler chooses the episodes.
"""

from __future__ import annotations

import dataclasses
import json

from dingocar.evaluate.leaderboard.methods import Kind, Task, Trained
from dingocar.evaluate.leaderboard.methods.supervised import fit
from dingocar.files import replace_file


def _train(task: Task) -> Trained:
    """Trains, lets the pilot drive in randomised episodes to learn the sampler, records by it, trains again.

    The rest of the frames is recorded half by the sampler and half evenly (`uniform_share`), so that what was
    easy is not forgotten.
    """
    from dingocar.evaluate.drive import pilot_driver
    from dingocar.evaluate.leaderboard.recording import make_recording
    from dingocar.sim.randomisation import load_randomisation
    from dingocar.training.active import active_randomisation
    from dingocar.zoo import load_pilot

    whole, options = task.method.recording, task.options
    first_tub = task.tubs["recording"]
    first = fit(dataclasses.replace(task, folder=task.folder / "first"), [first_tub], (0.0, 0.4))
    uniform = load_randomisation(whole.randomisation)
    learned = active_randomisation(
        pilot_driver(load_pilot(first.model)),
        uniform,
        whole.tracks,
        whole.look,
        options["search_frames"],
        task.rng(0xAD12),
        picture=task.picture,
        search=options["search"],
        reward=options["reward"],
    )
    replace_file(task.folder / "sampler.json", json.dumps(learned.sampler.to_json()))
    rest = whole.frames - first_frames(whole.frames, options["first_share"])
    even = round(rest * options["uniform_share"])
    tubs = [first_tub]
    for name, frames, sampler in (("even", even, uniform), ("learned", rest - even, learned.sampler)):
        if frames >= len(whole.tracks):
            share = dataclasses.replace(whole, frames=frames)
            seed = int(task.rng(sum(name.encode())).integers(2**31))
            tubs.append(make_recording(task.folder / name, share, seed, task.picture, sampler))
    task.on_progress(0.6)
    return dataclasses.replace(
        fit(task, tubs, (0.6, 1.0)),
        frames=whole.frames,
        extra={"search_frames": options["search_frames"], "first_validation_mae": first.validation_mae},
    )


def first_frames(frames: int, share: float) -> int:
    """How many of the frames are recorded beforehand."""
    return max(1, round(frames * share))


kind = Kind(
    _train,
    options={
        "first_share": 0.5,
        "uniform_share": 0.5,
        "search_frames": 40_000,
        "search": "svpg",
        "reward": "failure",
    },
    first_share="first_share",
)
