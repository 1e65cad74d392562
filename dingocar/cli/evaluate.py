"""Judge a pilot by laps in the simulator, or beside the driver of a recording

Usage:
    dingocar evaluate (--model FILE [--translator FILE] | --expert) [--track NAME] [--look NAME] [--laps N]
                      [--seed N] [--randomisation NAME] [--json]
    dingocar evaluate --model FILE --tub DIR... [--json]

With --tub the pilot's commands are compared with the driver's: on all pictures, or, where the pilot was
trained on just these tubs, on the blocks that were held out then.

Options:
    --model FILE   the pilot, .keras or .tflite or Donkeycar's .h5
    --translator FILE  a translator, between camera and pilot; of one with two directions the one to sim
    --expert       judge the scripted expert instead
    --track NAME   a track's name, random:<seed>, or a DeepRacer .npy file [default: circuit]
    --look NAME    how the world is painted [default: flat]
    --laps N       how many laps, each from its own start [default: 10]
    --seed N       draws the starts, the appearance and the episodes [default: 0]
    --randomisation NAME   none, look, mild, strong, or a .toml or .json file: what each lap's looks,
                           camera and car are drawn from [default: none]
    --tub DIR      a recording; may be given several times
    --json         print one JSON object
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dingocar.cli._common import Progress, import_keras_quietly, metrics_table, number, parse, path, show
from dingocar.errors import UsageError
from dingocar.words import counted

if TYPE_CHECKING:
    from dingocar.evaluate import Driver, DriveResult
    from dingocar.zoo import RunnablePilot


def run(argv: list[str]) -> int:
    from dingocar.evaluate import evaluate, pilot_driver
    from dingocar.sim import car_for, load_track
    from dingocar.sim.world import MAX_CARS

    args = parse(__doc__, argv, "dingocar evaluate")
    if args["--tub"]:
        return _offline(args["--model"], args["--tub"], args["--json"])
    laps = number(args["--laps"], "--laps", low=1, high=MAX_CARS)
    seed = number(args["--seed"], "--seed", low=0)
    track = load_track(args["--track"])
    car, camera = car_for(track), None
    driver: Driver
    if args["--expert"]:
        driver = car.expert(track).act
    else:
        pilot = load_quietly(args["--model"])
        if args["--translator"] is not None:
            pilot = _translated(pilot, path(args["--translator"], "--translator"))
        driver, camera = pilot_driver(pilot), car.camera(pilot.image_shape[:2])
    with Progress(laps, "driving") as progress:
        result = evaluate(
            driver,
            track,
            args["--look"],
            laps,
            seed,
            camera,
            randomisation=args["--randomisation"],
            on_progress=progress.at,
        )
    show(result.to_json(), args["--json"], summary(result))
    return 0


def _translated(pilot: RunnablePilot, file: Path) -> RunnablePilot:
    """The pilot behind a translator that fits it."""
    from dingocar.translate.artefact import load_for_loop

    import_keras_quietly(file)
    translator = load_for_loop(file)
    pilot.check_looks(translator.gives)
    if translator.image_shape != pilot.image_shape:
        ours, theirs = (f"{each.image_shape[0]}x{each.image_shape[1]}" for each in (translator, pilot))
        raise UsageError(f"--translator {file}: is for pictures of {ours}, the pilot takes {theirs}")
    return pilot.seeing(translator.run_batch)


def load_quietly(model: str) -> RunnablePilot:
    """Loads a pilot without the backend's start-up remarks."""
    from dingocar.zoo import load_pilot

    file = path(model, "--model")
    import_keras_quietly(file)
    return load_pilot(file)


def _offline(model: str, tubs: list[str], as_json: bool) -> int:
    from dingocar.evaluate.offline import evaluate_offline

    result = evaluate_offline(load_quietly(model), [path(tub, "--tub") for tub in tubs])
    what = (
        "held-out pictures"
        if result.held_out
        else "pictures (the pilot's file does not name these recordings)"
    )
    figures = result.to_json()
    skipped = f", {counted(result.skipped, 'record')} skipped" if result.skipped else ""
    text = f"{metrics_table(figures['validation'])}\n{result.frames} {what}{skipped}"
    show({"model": model} | figures, as_json, text)
    return 0


def summary(result: DriveResult) -> str:
    """The figures for people."""
    return "\n".join(
        [
            f"track {result.track}, look {result.look}, randomisation {result.randomisation}, "
            f"seed {result.seed}",
            f"clean laps       {result.clean_laps} of {result.laps_asked} "
            f"(95 % interval {result.clean_rate_low:.0%} to {result.clean_rate_high:.0%})",
            f"completed laps   {result.laps_completed}, off the track {counted(result.off_tracks, 'time')}",
            f"|cte|            mean {result.mean_abs_cte_m:.3f} m, 95 % below {result.p95_abs_cte_m:.3f} m, "
            f"half width {result.half_width_m:.2f} m",
            f"speed            {result.mean_speed_mps:.2f} m/s",
            f"steering change  {result.mean_abs_dsteering:.3f} per step",
        ]
    )
