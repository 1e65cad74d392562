"""Record the expert's driving in the simulator into a tub

Usage:
    dingocar record --tub DIR [--track NAME]... [--look NAME] [--laps N] [--noise X] [--seed N] [--json]

Options:
    --tub DIR      the tub; made if missing, continued if not
    --track NAME   a track's name, random:<seed>, or a DeepRacer .npy file; may be given several times;
                   otherwise SIM_TRACK
    --look NAME    how the world is painted; otherwise SIM_LOOK
    --laps N       laps on each track [default: 5]
    --noise X      0: the expert drives; up to 1: its driving is disturbed and the recorded label is its
                   correction, so that a pilot learns to come back [default: 0]
    --seed N       of the start and the noise [default: 0]
    --json         print one JSON object

In a car folder pictures have the size, the rate and the quality that its config.py says.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import Progress, number, parse, path, show

if TYPE_CHECKING:
    from dingocar.config import CarConfig

CHANNELS = {
    "cam/image_array": "image_array",
    "user/angle": "float",
    "user/throttle": "float",
    "user/mode": "str",
}


class Stamp:
    """A clock that is set: seconds since 1970, of a world that began at `began_s`."""

    def __init__(self, began_s: float) -> None:
        self.began_s, self.time_s = began_s, 0.0

    def __call__(self) -> float:
        return self.began_s + self.time_s


def run(argv: list[str]) -> int:
    from dingocar.config import CarConfig
    from dingocar.registry import car_folder

    args = parse(__doc__, argv, "dingocar record")
    laps, seed = number(args["--laps"], "--laps", low=1), number(args["--seed"], "--seed", low=0)
    noise = number(args["--noise"], "--noise", float, low=0, high=1)
    cfg = CarConfig.load(car_folder())
    tracks, look = args["--track"] or [cfg.SIM_TRACK], args["--look"] or cfg.SIM_LOOK
    figures = record(path(args["--tub"], "--tub"), cfg, tracks, look, laps, noise, seed)
    text = "{records} records of {laps} laps on {tracks} in {tub}".format(
        **figures | {"tracks": ", ".join(figures["tracks"])}
    )
    show(figures, args["--json"], text)
    return 0


def record(
    tub: Path, cfg: CarConfig, tracks: list[str], look: str, laps: int, noise: float, seed: int
) -> dict[str, Any]:
    """Drives and records; returns what the command reports."""
    import numpy as np

    from dingocar.sim import Camera, Expert, Noise, World, drive_expert, load_track
    from dingocar.tub import TubWriter

    camera, dt_s = Camera.of_shape((cfg.IMAGE_H, cfg.IMAGE_W)), 1 / cfg.DRIVE_LOOP_HZ
    worlds = [
        World(load_track(name), look, camera=camera, dt_s=dt_s, seed=seed + i)
        for i, name in enumerate(tracks)
    ]
    metadata = {"domain": "sim", "tracks": tracks, "look": look, "noise": noise, "seed": seed}
    records = 0
    with Progress(laps * len(tracks), "recording") as progress:
        for i, world in enumerate(worlds):
            rng = np.random.default_rng((seed, i))
            disturbance = Noise.of_level(noise, rng, dt_s=dt_s) if noise else None
            # Records are stamped with the world's time: it passes faster than ours.
            stamp = Stamp(time.time())
            # One writer, and so one session, for each track: validation blocks never span two tracks.
            with TubWriter(
                tub,
                list(CHANNELS),
                list(CHANNELS.values()),
                metadata,
                on_full="wait",
                jpeg_quality=cfg.RECORD_IMAGE_QUALITY,
                clock=stamp,
            ) as writer:
                for frame in drive_expert(world, Expert(world.track), laps, disturbance):
                    stamp.time_s = frame.time_s
                    values = (frame.image, frame.steering, frame.throttle, "user")
                    writer.write(dict(zip(CHANNELS, values, strict=True)))
                    progress.at(i * laps + frame.lap)
                    records += 1
    return {
        "tub": str(tub),
        "records": records,
        "laps": laps * len(tracks),
        "tracks": tracks,
        "domain": "sim",
    }
