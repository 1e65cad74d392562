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

from dingocar.cli._common import import_keras_quietly, parse, show
from dingocar.errors import UsageError


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar export")
    model = Path(args["--model"])
    out = Path(args["--out"]) if args["--out"] else model.with_suffix(".tflite")
    import_keras_quietly()
    if args["--for"] is not None:
        if args["--for"] != "donkeycar":
            raise UsageError(f"--for {args['--for']}: known is donkeycar")
        from dingocar.training.export import export_for_donkeycar

        export_for_donkeycar(model, out)
    else:
        if out.suffix != ".tflite":
            raise UsageError(f"--out {out}: expected a .tflite file (.h5 is written with --for donkeycar)")
        from dingocar.cli.train import to_tflite

        to_tflite(model, out, "int8" if args["--int8"] else "float", args["--tub"])
    show({"out": str(out), "bytes": out.stat().st_size}, args["--json"], f"wrote {out}")
    return 0
