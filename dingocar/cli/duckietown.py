"""Record the Duckietown baseline's expert in gym-duckietown, and judge a pilot there

Usage:
    dingocar duckietown record --tub DIR [--map NAME]... [--episodes N] [--steps N] [--velocity V] [--noise X]
                               [--domain-rand] [--seed N] [--json]
    dingocar duckietown evaluate (--model FILE | --expert | --straight) [--map NAME]... [--episodes N]
                               [--steps N] [--velocity V] [--throttle X] [--aido] [--domain-rand]
                               [--official] [--seed N] [--json]
    dingocar duckietown maps [--json]

`record` lets the pure-pursuit expert of the AI-DO imitation baseline drive; `dingocar train --type resnet1`
learns from the tub. `evaluate` reports the mean reward of an episode by the baseline's protocol, and the
medians of the AI-DO lane-following metrics.

Options:
    --tub DIR         the tub; made if missing, continued if not
    --map NAME        a map of gym-duckietown, see `dingocar duckietown maps`; record takes several
                      [default: loop_empty]
    --episodes N      starts on each map [default: 10]
    --steps N         of an episode, 30 to the second; otherwise 65, with --aido 1800
    --velocity V      that the expert, or --straight, asks for; the car drives 0.7 m/s times it. The baseline
                      asks for 0.8, at which its expert sways off the road [default: 0.3]
    --noise X         0: the expert drives; up to 1: its driving is disturbed and the recorded label is its
                      correction, so that a pilot learns to come back [default: 0]
    --domain-rand     gym-duckietown's own randomisation of light, colours and camera
    --model FILE      the pilot, .keras or .tflite or Donkeycar's .h5
    --throttle X      instead of the pilot's own
    --expert          judge the expert
    --straight        judge a car that drives straight ahead
    --aido            as AI-DO judges: starts within 0.04 m and 40 degrees of the lane, and an episode ends
                      where the car leaves the road. Otherwise as the baseline does: starts anywhere on the
                      road, within 4 degrees, and a car that has left it starts again within the episode
    --official        also score with duckietown_world's own rules (slow)
    --seed N          draws the starts [default: 0]
    --json            print one JSON object
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import Progress, number, parse, path, show
from dingocar.errors import UsageError
from dingocar.words import counted

if TYPE_CHECKING:
    from dingocar.evaluate.duckietown import Driver, DuckietownResult


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar duckietown")
    if args["maps"]:
        from dingocar.sim.duckietown_gym_shim import map_names

        show({"maps": map_names()}, args["--json"], "\n".join(map_names()))
        return 0
    settings = {
        "episodes": number(args["--episodes"], "--episodes", low=1),
        "steps": number(args["--steps"] or ("1800" if args["--aido"] else "65"), "--steps", low=2),
        "seed": number(args["--seed"], "--seed", low=0),
    }
    velocity = number(args["--velocity"], "--velocity", float, low=0, high=1)
    if args["record"]:
        noise = number(args["--noise"], "--noise", float, low=0, high=1)
        tub = path(args["--tub"], "--tub")
        figures = record(tub, args["--map"], velocity, noise, domain_rand=args["--domain-rand"], **settings)
        records, driven = counted(figures["records"], "record"), counted(figures["episodes"], "episode")
        text = f"{records} of {driven} on {', '.join(args['--map'])} in {tub}"
        show(figures, args["--json"], f"{text}, {figures['crashes']} ended off the road")
        return 0
    return _evaluate(args, velocity, settings)


def record(
    tub: Path,
    maps: list[str],
    velocity: float,
    noise: float,
    episodes: int,
    steps: int,
    seed: int,
    domain_rand: bool = False,
) -> dict[str, Any]:
    """Drives and records; returns what the command reports."""
    import numpy as np

    from dingocar.config import CarConfig
    from dingocar.evaluate.duckietown import demonstrate
    from dingocar.registry import car_folder
    from dingocar.sim.duckietown_gym import DuckietownGym
    from dingocar.training.recording import CHANNELS, Stamp
    from dingocar.tub import TubWriter

    cfg = CarConfig.load(car_folder())
    records = crashes = 0
    with Progress(episodes * len(maps), "recording", "episode") as progress:
        for i, name in enumerate(maps):
            metadata = {"domain": "sim", "world": "gym-duckietown", "tracks": [name], "noise": noise}
            metadata |= {"seed": seed, "velocity": velocity, "domain_rand": domain_rand}
            stamp = Stamp(time.time())
            with (
                DuckietownGym(name, seed, domain_rand, (cfg.IMAGE_H, cfg.IMAGE_W)) as gym,
                # One writer, and so one session, for each map: validation blocks never span two maps.
                TubWriter(
                    tub,
                    list(CHANNELS),
                    list(CHANNELS.values()),
                    metadata,
                    on_full="wait",
                    jpeg_quality=cfg.RECORD_IMAGE_QUALITY,
                    clock=stamp,
                ) as writer,
            ):
                rng = np.random.default_rng((seed, i))
                for frame in demonstrate(gym, velocity, noise, episodes, steps, seed, rng):
                    stamp.time_s = frame.time_s
                    values = (frame.image, frame.steering, frame.throttle, "user")
                    writer.write(dict(zip(CHANNELS, values, strict=True)))
                    progress.at(i * episodes + frame.episode)
                    records += 1
                    crashes += frame.crashed
    return {
        "tub": str(tub),
        "records": records,
        "episodes": episodes * len(maps),
        "maps": maps,
        "crashes": crashes,
        "domain": "sim",
    }


def _throttle(text: str) -> float:
    throttle: float = number(text, "--throttle", float, low=-1, high=1)
    return throttle


def _evaluate(args: dict[str, Any], velocity: float, settings: dict[str, int]) -> int:
    from dingocar.evaluate.duckietown import (
        AIDO_STARTS,
        evaluate,
        official_metrics,
        pilot_driver,
        straight_driver,
    )
    from dingocar.sim.duckietown_gym import DuckietownExpert, DuckietownGym

    if len(args["--map"]) > 1:
        raise UsageError("--map: evaluate judges on one map at a time; run it once for each")
    throttle = None if args["--throttle"] is None else _throttle(args["--throttle"])
    pilot = None
    if args["--model"]:
        from dingocar.cli.evaluate import load_quietly

        pilot = load_quietly(args["--model"])
    shape = pilot.image_shape[:2] if pilot else (120, 160)
    options = AIDO_STARTS if args["--aido"] else {}
    with DuckietownGym(
        args["--map"][0], settings["seed"], args["--domain-rand"], shape, draw=pilot is not None, **options
    ) as gym:
        driver: Driver
        if pilot:
            driver = pilot_driver(pilot, throttle)
        else:
            driver = DuckietownExpert(gym, velocity).act if args["--expert"] else straight_driver(velocity)
        with Progress(settings["episodes"], "driving", "episode") as progress:
            result = evaluate(driver, gym, **settings, restart=not args["--aido"], on_progress=progress.at)
        figures = result.to_json() | {
            "driver": args["--model"] or ("expert" if args["--expert"] else "straight")
        }
        if args["--official"]:
            figures["official"] = official_metrics(result)
    text = summary(result)
    if "official" in figures:
        official = ", ".join(f"{name} {value:.3f}" for name, value in figures["official"].items())
        text += f"\nthe same by duckietown_world's rules: {official}"
    show(figures, args["--json"], text)
    return 0


def summary(result: DuckietownResult) -> str:
    """The figures for people."""
    medians = result.medians
    return "\n".join(
        [
            f"map {result.map}, {counted(result.episodes, 'episode')} of {counted(result.steps, 'step')} "
            f"({result.steps * result.dt_s:.1f} s), seed {result.seed}",
            f"mean reward of an episode  {result.mean_reward:.1f} (a step at most 1.2, off the road -1000)",
            f"episodes survived          {result.survived} of {result.episodes}",
            "medians of the episodes, up to the first time off the road:",
            f"  travelled lane distance  {medians['driven_lanedir_consec_m']:.2f} m",
            f"  survival                 {medians['survival_s']:.1f} s",
            f"  deviation                {medians['deviation_tile_s']:.3f} tile s "
            f"(mean |d| {medians['mean_abs_lateral_m']:.3f} m)",
            f"  out of lane              {medians['out_of_lane_s']:.1f} s",
        ]
    )
