"""Train a pilot from tubs (in a car folder: python manage.py train)

Usage:
    dingocar train --tub DIR... [--type NAME] [--model FILE] [--transfer FILE] [--epochs N]
                   [--tflite KIND] [--comment TEXT] [--set NAME=VALUE]... [--json]
                   [--adapt METHOD] [--unlabelled DIR]... [--real-labels N] [--select HOW]

Options:
    --tub DIR          a tub to learn from; may be given several times
    --type NAME        the pilot, see dingocar list pilots; otherwise DEFAULT_MODEL_TYPE
    --model FILE       where to, .keras; otherwise models/pilot_YY-MM-DD_N.keras
    --transfer FILE    start from the weights of this pilot
    --epochs N         most passes over the pictures; otherwise MAX_EPOCHS
    --tflite KIND      also write a .tflite: float, int8 or none; otherwise TFLITE
    --comment TEXT     a note in the model database
    --set NAME=VALUE   a setting of config.py (UPPERCASE), of the training or of the pilot (lower case), or of
                       the method (adapt.weight=0.3)
    --json             print one JSON object

Options from simulation to a real car (each tub must say which of the two it is, see dingocar tub domain):
    --adapt METHOD     teach the pilot not to tell simulated from real, see dingocar list methods; auto takes
                       the recommended one, none learns from the simulated labels alone
    --unlabelled DIR   a real tub whose labels, if it has any, are not used; may be given several times
    --real-labels N    use the labels of so many real pictures only, drawn by the seed; otherwise of all
    --select HOW       the epoch to keep: last, source (lowest loss), probe (domains least told apart) or
                       consistency (steadiest steering on real pictures); otherwise last
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dingocar.cli._common import (
    assignments,
    check_replaced,
    import_keras_quietly,
    metrics_table,
    note,
    number,
    optional_path,
    parse,
    path,
    show,
)
from dingocar.errors import INTERRUPTED, ImageError, UnknownNameError, UsageError
from dingocar.words import counted

if TYPE_CHECKING:
    from dingocar.config import CarConfig
    from dingocar.images import Uint8Array
    from dingocar.training import TrainingSettings
    from dingocar.zoo import Pilot

#: Settings of a car's config.py that are settings of its training.
FROM_CONFIG = {
    "BATCH_SIZE": "batch_size",
    "MAX_EPOCHS": "epochs",
    "LEARNING_RATE": "learning_rate",
    "EARLY_STOP_PATIENCE": "patience",
    "SEED": "seed",
}


def run(argv: list[str]) -> int:
    from dingocar.cli._train_adapt import adaptation, pilot_settings, split_settings
    from dingocar.config import CarConfig
    from dingocar.registry import car_folder
    from dingocar.training import train

    args = parse(__doc__, argv, "dingocar train")
    overrides = assignments(args["--set"])
    folder = car_folder()
    cfg = CarConfig.load(folder, {name: text for name, text in overrides.items() if name.isupper()})
    model, transfer = (optional_path(args[name], name) for name in ("--model", "--transfer"))
    tubs = [path(tub, "--tub") for tub in args["--tub"]]
    if model is not None and model.suffix != ".keras":
        raise UsageError(f"--model {model}: training writes a .keras file; see dingocar export for others")
    tflite = args["--tflite"] or cfg.TFLITE
    if tflite not in ("float", "int8", "none"):
        raise UsageError(f"--tflite must be float, int8 or none, got {tflite!r}")
    if model is not None:
        for file in (model, *([] if tflite == "none" else [model.with_suffix(".tflite")])):
            check_replaced(file, "--model", "pilot")
    of_method, others = split_settings(overrides)
    kind = cfg.DEFAULT_MODEL_TYPE if args["--type"] is None else args["--type"]
    lower = {name: text for name, text in others.items() if not name.isupper()}
    pilot, settings = _settings(kind, cfg, pilot_settings(args, kind, lower), args["--epochs"])
    adapt = adaptation(args, of_method, pilot)
    import_keras_quietly()
    result = train(
        tubs,
        pilot,
        model,
        settings,
        transfer,
        models_folder=(folder or Path()) / cfg.MODELS_PATH,
        comment=args["--comment"],
        adaptation=adapt,
    )
    figures = result.to_json() | {"tflite": None}
    if tflite != "none":
        note(f"writing {result.model.with_suffix('.tflite')} ({tflite})")
        # It will drive on pictures like the unlabelled ones, so they are calibrated on too.
        seen = [*tubs, *(map(Path, adapt.unlabelled) if adapt else ())]
        figures["tflite"] = str(to_tflite(result.model, None, tflite, seen))
    show(figures, args["--json"], _text(figures))
    return INTERRUPTED if result.interrupted else 0


def to_tflite(model: Path, out: Path | None, kind: str, tubs: list[Path]) -> Path:
    """Writes a `.keras` pilot as `.tflite` (`kind` float or int8, calibrated on the tubs)."""
    from dingocar.training.export import MAX_CALIBRATION, export_tflite
    from dingocar.zoo import read_card

    out = out or model.with_suffix(".tflite")
    if kind == "float":
        return export_tflite(model, out)
    height, width, _ = read_card(model)["image_shape"]
    return export_tflite(model, out, "int8", _spread_images(tubs, (height, width), MAX_CALIBRATION))


def _spread_images(tubs: list[Path], size: tuple[int, int], n: int) -> Iterator[Uint8Array]:
    """Up to `n` pictures, evenly spread over all records of the tubs; broken ones are passed over."""
    from dingocar.tub import open_tub

    records = [record for tub in tubs for record in open_tub(tub)]
    count = min(n, len(records))
    for place in range(count):
        try:
            yield records[place * len(records) // count].image(size=size)
        except ImageError:
            continue


def _text(figures: dict[str, Any]) -> str:
    from dingocar.cli._train_adapt import adaptation_text

    frames = figures["frames"]
    skipped = f", {frames['skipped']} skipped" if frames["skipped"] else ""
    was = "was best" if figures["adaptation"] is None else "was kept"
    return "\n".join(
        [
            metrics_table(figures["validation"]),
            f"{counted(frames['train'], 'picture')} trained on, {frames['validation']} held out{skipped}; "
            f"epoch {figures['best_epoch']} of {figures['epochs']} {was}",
            *adaptation_text(figures),
            "{images_per_s:.0f} pictures/s in {precision}, {seconds:.0f} s in all".format(**figures),
            f"saved {figures['model']}" + (f" and {figures['tflite']}" if figures["tflite"] else ""),
        ]
    )


def _settings(
    kind: str, cfg: CarConfig, overrides: dict[str, str], epochs: str | None
) -> tuple[Pilot, TrainingSettings]:
    """The pilot and the training settings that config, --epochs and --set ask for."""
    from dingocar.settings import literal
    from dingocar.training import TrainingSettings
    from dingocar.zoo import pilots

    pilot_class = pilots.load(kind)
    pilot_names = {f.name for f in dataclasses.fields(pilot_class.settings_type)} - {"image_shape"}
    training_names = {f.name for f in dataclasses.fields(TrainingSettings)}
    for name in overrides:
        if name.split(".")[0] not in pilot_names | training_names:
            raise UnknownNameError("setting", name, pilot_names | training_names)
    settings = TrainingSettings(**{ours: getattr(cfg, theirs) for theirs, ours in FROM_CONFIG.items()})
    if epochs is not None:
        settings = dataclasses.replace(settings, epochs=number(epochs, "--epochs", low=1))
    training = {name: text for name, text in overrides.items() if name.split(".")[0] in training_names}
    pilot = pilot_class.from_settings(
        {"image_shape": (cfg.IMAGE_H, cfg.IMAGE_W, 3)}
        | {name: literal(text) for name, text in overrides.items() if name in pilot_names}
    )
    return pilot, TrainingSettings.from_strings(training, base=settings)
