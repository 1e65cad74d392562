"""A car: simulator or camera, expert or pilot, drive mode, recorder.

This file is your car: `build` says which parts it is made of, in which order they run, and through which
channels they talk. Add your own part with `vehicle.add(...)`.

    python manage.py drive --laps 3                                 the expert drives in the simulator
    python manage.py drive --laps 3 --record                        ... and is recorded into data/
    python manage.py train --tub data/ --model models/mine.keras    a pilot learns from it
    python manage.py drive --model models/mine.keras --laps 3       and drives by itself

`python manage.py --help` lists all commands.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dingocar.config import CarConfig
from dingocar.parts.drive_mode import DriveMode, PilotCondition
from dingocar.parts.expert import ExpertDriver
from dingocar.parts.lap_timer import LapTimer
from dingocar.parts.pilot import PilotPart
from dingocar.parts.recorder import Recorder
from dingocar.parts.simulator import Simulator
from dingocar.sim import Expert
from dingocar.vehicle import Vehicle


def build(
    cfg: CarConfig,
    model: Path | None = None,
    tub: Path | None = None,
    laps: int | None = None,
    fast: bool = False,
) -> Vehicle:
    """Puts the car together.

    Args:
        cfg: the car's settings.
        model: the pilot that drives; None: the expert does.
        tub: where to record; None: nothing is recorded.
        laps: end after so many laps; None: no limit.
        fast: the loop will not be paced by the clock.
    """
    vehicle = Vehicle()
    cameras = {"sim": _add_simulator}
    cameras[cfg.CAMERA](vehicle, cfg, laps)
    _add_drivers(vehicle, cfg, model)
    if tub:
        _add_recorder(vehicle, cfg, tub, with_pilot=model is not None, wait=fast)
    return vehicle


def _add_simulator(vehicle: Vehicle, cfg: CarConfig, laps: int | None) -> None:
    """World, laps and expert: the expert is in the place of the user."""
    simulator = Simulator(
        cfg.SIM_TRACK, cfg.SIM_LOOK, (cfg.IMAGE_H, cfg.IMAGE_W), cfg.DRIVE_LOOP_HZ, cfg.SIM_SEED
    )
    vehicle.add(
        simulator,
        inputs=["steering", "throttle"],
        outputs=["cam/image_array", "sim/state", "laps", "off_tracks"],
    )
    timer = LapTimer(1 / cfg.DRIVE_LOOP_HZ, laps, on_limit=lambda: vehicle.stop("laps"))
    vehicle.add(timer, inputs=["laps"], outputs=["lap_s"])
    expert = Expert(simulator.world.track, simulator.world.dynamics)
    vehicle.add(ExpertDriver(expert), inputs=["sim/state"], outputs=["user/angle", "user/throttle"])


def _add_drivers(vehicle: Vehicle, cfg: CarConfig, model: Path | None) -> None:
    """The pilot, if there is one, and who of user and pilot reaches the motors."""
    vehicle.mem["user/mode"] = "local" if model else "user"
    vehicle.mem["pilot/angle", "pilot/throttle"] = (None, None)
    if model:
        vehicle.add(PilotCondition(), inputs=["user/mode"], outputs=["run_pilot"])
        vehicle.add(
            PilotPart(
                model,
                image_shape=(cfg.IMAGE_H, cfg.IMAGE_W),
                throttle_range=cfg.MODEL_CATEGORICAL_MAX_THROTTLE_RANGE,
            ),
            inputs=["cam/image_array"],
            outputs=["pilot/angle", "pilot/throttle"],
            run_condition="run_pilot",
        )
    vehicle.add(
        DriveMode(),
        inputs=["user/mode", "user/angle", "user/throttle", "pilot/angle", "pilot/throttle"],
        outputs=["steering", "throttle"],
    )


def _add_recorder(vehicle: Vehicle, cfg: CarConfig, tub: Path, with_pilot: bool, wait: bool) -> None:
    """What a record holds."""
    channels = {
        "cam/image_array": "image_array",
        "user/angle": "float",
        "user/throttle": "float",
        "user/mode": "str",
    }
    if with_pilot:
        channels |= {"pilot/angle": "float", "pilot/throttle": "float"}
    recorder = Recorder(
        tub,
        list(channels),
        list(channels.values()),
        {"domain": "sim", "track": cfg.SIM_TRACK, "look": cfg.SIM_LOOK},
        cfg.DRIVE_LOOP_HZ,
        cfg.RECORD_IMAGE_QUALITY,
        wait,
    )
    vehicle.add(recorder, inputs=list(channels), outputs=["tub/num_records", "tub/dropped"])


if __name__ == "__main__":
    from dingocar.cli.main import main

    sys.exit(main(car=Path(__file__).resolve().parent))
