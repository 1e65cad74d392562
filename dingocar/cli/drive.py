"""Drive the car (in a car folder: python manage.py drive)

Usage:
    dingocar drive [--model FILE | --expert] [--translator FILE] [--mode MODE] [--laps N | --max-loops N]
                   [--sim NAME] [--host HOST] [--track NAME] [--look NAME] [--randomisation NAME] [--record]
                   [--tub DIR] [--fast] [--timings] [--set NAME=VALUE]... [--json]

You drive, with the web page or a gamepad (CONTROLLER), and let the pilot drive when you like.

Options:
    --model FILE       the pilot, .keras or .tflite or Donkeycar's .h5
    --expert           the simulator's scripted driver drives in your place
    --translator FILE  between camera and pilot, instead of TRANSLATOR; see dingocar translate
    --mode MODE        user, local_angle (the pilot steers) or local (it drives) at the start; without it
                       WEB_INIT_MODE, in the simulator local if there is a pilot
    --laps N           end after so many laps (simulator)
    --max-loops N      end after so many loops
    --sim NAME         which simulator: dingocar, donkey (Unity's, or dingocar sim serve) or duckietown;
                       instead of SIM
    --host HOST        where the donkey simulator runs, instead of SIM_HOST
    --track NAME       of the simulator, instead of SIM_TRACK; the scene of donkey, the map of duckietown
    --look NAME        of our own simulator, instead of SIM_LOOK
    --randomisation NAME   none, mild, strong or a file: what looks, camera and car are drawn from, instead of
                       SIM_RANDOMISATION
    --record           record every loop into the car's tub (DATA_PATH); without it what the page, the pad
                       or AUTO_RECORD_ON_THROTTLE say
    --tub DIR          record every loop into this tub
    --fast             do not wait for the clock: as fast as the computer can (simulator only)
    --timings          also show how long each part took
    --set NAME=VALUE   another setting of config.py, for this drive
    --json             print one JSON object
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import (
    assignments,
    import_keras_quietly,
    note,
    optional_number,
    optional_path,
    parse,
    show,
    this_car,
)
from dingocar.errors import DingocarError, UsageError, did_you_mean
from dingocar.usercode import describe, import_file
from dingocar.words import counted

if TYPE_CHECKING:
    from dingocar.config import CarConfig
    from dingocar.vehicle import DriveReport, Vehicle


logger = logging.getLogger(__name__)


def run(argv: list[str]) -> int:
    from dingocar.profiler import table

    args = parse(__doc__, argv, "dingocar drive")
    folder = this_car("drive")
    cfg = _settings(args, folder)
    max_loops = optional_number(args["--max-loops"], "--max-loops", low=1) or cfg.MAX_LOOPS
    laps = optional_number(args["--laps"], "--laps", low=1)
    tub = optional_path(args["--tub"], "--tub")
    if tub is None and args["--record"]:
        tub = cfg.path(cfg.DATA_PATH)
    model = optional_path(args["--model"], "--model")
    if model is not None:
        import_keras_quietly(model)
        if cfg.TRANSLATOR:
            import_keras_quietly(cfg.path(cfg.TRANSLATOR))
    vehicle = _build(
        folder,
        cfg,
        model=model,
        tub=tub,
        laps=laps,
        fast=args["--fast"],
        expert=args["--expert"],
        mode=_mode(args["--mode"], model),
    )
    if cfg.TRANSLATOR and model is not None:
        _check_translates(folder, vehicle)
    note(_announcement(vehicle, cfg, model, tub, args["--expert"]))
    report = vehicle.start(rate_hz=None if args["--fast"] else cfg.DRIVE_LOOP_HZ, max_loop_count=max_loops)
    if tub is None and vehicle.mem.channels.get("tub/num_records"):
        tub = cfg.path(cfg.DATA_PATH)  # recorded when the user said so
    figures = _figures(vehicle, report, tub)
    if args["--timings"]:
        note(table(report.timings))
    show(figures, args["--json"], _text(figures, simulated=cfg.CAMERA == "sim"))
    return 128 + report.signal if report.signal else 0


def _settings(args: dict[str, Any], folder: Path) -> CarConfig:
    """The car's settings, with those that this drive changes.

    Raises:
        UsageError: an option of the simulator, and the car does not drive in that one.
    """
    from dingocar.config import CarConfig

    overrides = assignments(args["--set"])
    translator = optional_path(args["--translator"], "--translator")
    if translator is not None:
        if args["--model"] is None:
            raise UsageError("drive: --translator is for a pilot's pictures; name the pilot with --model")
        overrides["TRANSLATOR"] = str(translator.absolute())
    options = {"SIM": "--sim", "SIM_HOST": "--host", "SIM_LOOK": "--look"}
    options["SIM_RANDOMISATION"] = "--randomisation"
    overrides |= {name: args[option] for name, option in options.items() if args[option] is not None}
    cfg = CarConfig.load(folder, overrides)
    if args["--track"] is not None:
        place = {"donkey": "SIM_SCENE", "duckietown": "SIM_MAP"}.get(cfg.SIM, "SIM_TRACK")
        cfg = dataclasses.replace(cfg, **{place: args["--track"]})
    for option in ("--laps", "--track", *options.values()):
        if args[option] is not None and cfg.CAMERA != "sim":
            raise UsageError(
                f"drive: {option} is for the simulator, and CAMERA is {cfg.CAMERA!r}; leave it out"
            )
    for option, simulator in (("--look", "dingocar"), ("--randomisation", "dingocar"), ("--host", "donkey")):
        if args[option] is not None and simulator != cfg.SIM:
            raise UsageError(
                f"drive: {option} is for --sim {simulator}, and SIM is {cfg.SIM!r}; leave it out"
            )
    return cfg


def _build(folder: Path, cfg: CarConfig, **options: Any) -> Vehicle:
    """Calls the `build` of the car's own manage.py."""
    file = folder / "manage.py"
    module = import_file(file, "_dingocar_car_manage")
    if not callable(getattr(module, "build", None)):
        raise UsageError(
            f"{file}: must define build(cfg, model, tub, laps, fast, expert, mode), see dingocar list "
            "templates"
        )
    try:
        inspect.signature(module.build).bind(cfg, **options)
    except TypeError as error:
        raise UsageError(
            f"{file}: the car cannot be built: it is of another version of dingocar (build: {error}); "
            f"dingocar createcar --path {shlex.quote(str(folder))} --overwrite makes manage.py and config.py "
            "anew; keep a copy of what you changed in them"
        ) from None
    try:
        vehicle: Vehicle = module.build(cfg, **options)
    except (DingocarError, KeyboardInterrupt, ModuleNotFoundError):
        raise
    except Exception as error:
        logger.info("the car cannot be built", exc_info=True)
        raise UsageError(f"the car cannot be built: {describe(error, file)}") from None
    return vehicle


def _check_translates(folder: Path, vehicle: Vehicle) -> None:
    """Raises a `UsageError` if the car's own `manage.py` has no translator: its pilot would be misled."""
    from dingocar.parts.translator import TranslatorPart

    if not any(isinstance(entry.part, TranslatorPart) for entry in vehicle.parts):
        raise UsageError(
            f"{folder / 'manage.py'}: builds a car without the translator that is asked for; it is of "
            f"another version of dingocar: dingocar createcar --path {shlex.quote(str(folder))} --overwrite "
            "makes manage.py and config.py anew; keep a copy of what you changed in them"
        )


def _mode(text: str | None, model: Path | None) -> str | None:
    """The mode asked for.

    Raises:
        UsageError: there is no such mode, or it needs a pilot.
    """
    from dingocar.parts.drive_mode import MODES

    if text is not None and text not in MODES:
        raise UsageError(f"--mode must be one of {', '.join(MODES)}, got {text!r}{did_you_mean(text, MODES)}")
    if text not in (None, "user") and model is None:
        raise UsageError(f"--mode {text} needs a pilot; name one with --model")
    return text


def _announcement(
    vehicle: Vehicle, cfg: CarConfig, model: Path | None, tub: Path | None, expert: bool
) -> str:
    """One line: who drives, where, and where to click."""
    url = vehicle.mem.channels.get("web/url")
    if expert:
        who = "the expert drives"
    elif url and model and vehicle.mem.channels.get("user/mode") != "user":
        who = f"pilot {model} drives; open {url} to drive yourself"
    elif url:
        who = f"open {url} and drive" + (f", or let pilot {model} drive" if model else "")
    elif model:
        who = f"pilot {model} drives"
    elif "gamepad" in cfg.CONTROLLER:
        who = "drive with the gamepad (dingocar joystick --list shows it)"
    else:
        who = f"nobody drives (CONTROLLER is {cfg.CONTROLLER})"
    places = {
        "dingocar": f" on {cfg.SIM_TRACK} ({cfg.SIM_LOOK})",
        "donkey": f" on {cfg.SIM_SCENE} at {cfg.SIM_HOST}:{cfg.SIM_PORT}",
        "duckietown": f" on gym-duckietown's {cfg.SIM_MAP}",
    }
    where = places[cfg.SIM] if cfg.CAMERA == "sim" else ""
    return f"{who}{where}{f', recorded into {tub}' if tub else ''}; Ctrl-C ends it"


def _figures(vehicle: Vehicle, report: DriveReport, tub: Path | None) -> dict[str, Any]:
    channels = vehicle.mem.channels
    return {
        "reason": report.reason,
        "loops": report.loops,
        "seconds": report.seconds,
        "rate_hz": report.rate_hz,
        "overruns": report.overruns,
        "laps": channels.get("laps", 0),
        "off_tracks": channels.get("off_tracks", 0),
        "tub": str(tub) if tub else None,
        "records": channels.get("tub/num_records", 0),
        "dropped": channels.get("tub/dropped", 0),
        "parts": [
            {"part": t.name, "calls": t.count, "p50_ms": t.p50_ms, "p99_ms": t.p99_ms, "max_ms": t.max_ms}
            for t in report.timings
        ],
    }


def _text(figures: dict[str, Any], simulated: bool) -> str:
    count = {name: counted(figures[f"{name}s"], name) for name in ("loop", "lap", "record", "overrun")}
    times = counted(figures["off_tracks"], "time")
    laps = f"{count['lap']}, off the track {times}; " if simulated else ""
    rate = f"{figures['seconds']:.1f} s ({figures['rate_hz']:.1f} Hz, {count['overrun']})"
    recorded = (
        f"; {count['record']} in {figures['tub']}, {figures['dropped']} dropped" if figures["tub"] else ""
    )
    return f"{laps}{count['loop']} in {rate}, ended by {figures['reason']}{recorded}"
