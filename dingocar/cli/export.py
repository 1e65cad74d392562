"""Write a .keras pilot in another format: .tflite, float or int8, or for Donkeycar

Usage:
    dingocar export --model FILE [--out FILE] [--int8 (--tub DIR)...] [--json]
    dingocar export --model FILE --for donkeycar --out FILE [--json]

Options:
    --model FILE     the .keras pilot
    --out FILE       where to; otherwise beside the model, .tflite
    --int8           integers in every operation; needs pictures to set the ranges by
    --tub DIR        a tub with such pictures; may be given several times
    --for donkeycar  a .h5 or .tflite (by the name of --out) that Donkeycar 5.3 drives and trains on
    --json           print one JSON object
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dingocar.cli._common import check_replaced, import_keras_quietly, optional_path, parse, path, show
from dingocar.errors import UsageError, near_path


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar export")
    model = path(args["--model"], "--model")
    out = optional_path(args["--out"], "--out") or model.with_suffix(".tflite")
    if args["--tub"] and not args["--int8"]:
        raise UsageError("--tub gives the pictures for --int8; add it, or leave --tub out")
    if out.suffix not in (".tflite", ".h5"):
        raise UsageError(f"--out {out}: expected a file that ends in .tflite or .h5")
    if args["--for"] not in (None, "donkeycar"):
        raise UsageError(f"--for {args['--for']}: known is donkeycar")
    if args["--for"] is None and out.suffix != ".tflite":
        raise UsageError(f"--out {out}: expected a .tflite file (.h5 is written with --for donkeycar)")
    if not model.exists():
        raise UsageError(f"--model {model}: no such file; expected a pilot{near_path(model)}")
    check_replaced(out, "--out", "pilot")
    out.parent.mkdir(parents=True, exist_ok=True)
    import_keras_quietly()
    figures: dict[str, Any] = {"out": str(out)}
    if args["--for"]:
        figures |= _for_donkeycar(model, out)
    else:
        from dingocar.cli.train import to_tflite

        to_tflite(
            model, out, "int8" if args["--int8"] else "float", [path(tub, "--tub") for tub in args["--tub"]]
        )
    figures["bytes"] = out.stat().st_size
    text = f"wrote {out}"
    if "throttle_range" in figures:
        text += (
            "\nin Donkeycar's myconfig.py: MODEL_CATEGORICAL_MAX_THROTTLE_RANGE = "
            f"{figures['throttle_range']:.4f}"
        )
    show(figures, args["--json"], text)
    return 0


def _for_donkeycar(model: Path, out: Path) -> dict[str, float]:
    """Writes the file; returns the setting Donkeycar needs to decode it, if it needs one."""
    from dingocar.training.export import donkeycar_throttle_range, export_for_donkeycar
    from dingocar.zoo import pilots, read_card

    export_for_donkeycar(model, out)
    card = read_card(model)
    if card["heads"]["throttle"] == 1:
        return {}
    pilot = pilots.load(card["pilot"]).from_settings(card["settings"])
    return {"throttle_range": donkeycar_throttle_range(pilot)}
