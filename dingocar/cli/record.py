"""Record the expert's driving in the simulator into a tub

Usage:
    dingocar record --tub DIR [--track NAME]... [--look NAME] [--laps N] [--noise X] [--seed N]
                    [--randomisation NAME] [--json]

Options:
    --tub DIR      the tub; made if missing, continued if not
    --track NAME   a track's name, random:<seed>, or a DeepRacer .npy file; may be given several times;
                   otherwise SIM_TRACK
    --look NAME    how the world is painted; otherwise SIM_LOOK
    --laps N       laps on each track [default: 5]
    --noise X      0: the expert drives; up to 1: its driving is disturbed and the recorded label is its
                   correction, so that a pilot learns to come back [default: 0]
    --seed N       of the start, the noise and the episodes [default: 0]
    --randomisation NAME   none, look, mild, strong, or a .toml or .json file: what each lap's looks,
                           camera and car are drawn from; otherwise SIM_RANDOMISATION
    --json         print one JSON object

In a car folder pictures have the size, the rate and the quality that its config.py says.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import Progress, number, parse, path, show

if TYPE_CHECKING:
    from dingocar.config import CarConfig


def run(argv: list[str]) -> int:
    from dingocar.config import CarConfig
    from dingocar.registry import car_folder
    from dingocar.words import counted

    args = parse(__doc__, argv, "dingocar record")
    laps, seed = number(args["--laps"], "--laps", low=1), number(args["--seed"], "--seed", low=0)
    noise = number(args["--noise"], "--noise", float, low=0, high=1)
    cfg = CarConfig.load(car_folder())
    tracks, look = args["--track"] or [cfg.SIM_TRACK], args["--look"] or cfg.SIM_LOOK
    randomisation = args["--randomisation"] or cfg.SIM_RANDOMISATION
    tub = path(args["--tub"], "--tub")
    figures = record(tub, cfg, tracks, look, laps, noise, seed, randomisation)
    records, driven = counted(figures["records"], "record"), counted(figures["laps"], "lap")
    text = f"{records} of {driven} on {', '.join(tracks)} in {tub}"
    show(figures, args["--json"], text)
    return 0


def record(
    tub: Path,
    cfg: CarConfig,
    tracks: list[str],
    look: str,
    laps: int,
    noise: float,
    seed: int,
    randomisation: str = "none",
) -> dict[str, Any]:
    """Drives and records; returns what the command reports."""
    from dingocar.training.recording import record_expert

    with Progress(laps * len(tracks), "recording") as progress:
        records = record_expert(
            tub,
            tracks,
            look,
            laps,
            noise,
            seed,
            randomisation,
            (cfg.IMAGE_H, cfg.IMAGE_W),
            1 / cfg.DRIVE_LOOP_HZ,
            cfg.RECORD_IMAGE_QUALITY,
            on_progress=progress.at,
        )
    return {
        "tub": str(tub),
        "records": records,
        "laps": laps * len(tracks),
        "tracks": tracks,
        "domain": "sim",
    }
