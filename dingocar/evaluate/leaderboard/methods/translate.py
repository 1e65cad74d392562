"""Learns from, or drives through, a translator between simulated pictures and unlabelled ones of the target.

`use = "data"`: the recording is translated to the target, and the pilot learns from that; `use = "proxy"`:
the target's pictures are translated to simulated ones, and the pilot of another row, the source's or that of
`pilot`, drives; `use = "latent"`: a pilot of its own, whatever the row's is called, learns and drives from
the codes that the translator has for both. With `steering`, its weight, the translator keeps the steering of
a pilot like the row's, which learns from the translator's recording beforehand.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from dingocar.errors import DingocarError, UsageError
from dingocar.evaluate.leaderboard.methods import Kind, Task, Trained, check_options, load_kind, options_of
from dingocar.evaluate.leaderboard.methods.supervised import fit
from dingocar.evaluate.leaderboard.suite import MethodSpec
from dingocar.translate import Translator

FILE = "translator.keras"
USES = ("data", "proxy", "latent")


def _prepare(task: Task) -> None:
    """Trains the translator, of the recordings of its own seed; a training that was stopped goes on."""
    from dingocar.translate import train_translator
    from dingocar.translate.budget import Budget
    from dingocar.translate.state import is_stopped

    keeps: dict[str, Any] = {}
    if task.options["steering"]:
        pilot = task.folder / "pilot.keras"
        if not pilot.is_file():
            fit(task, [task.tubs["recording"]], (0.0, 0.0))
        keeps = {"pilot": str(pilot), "steering_weight": task.options["steering"]}
    made = train_translator(
        _translator(task.method, task.picture, **keeps),
        *([task.tubs["recording"]], [task.tubs["unlabelled"]], task.folder / FILE),
        *(Budget(steps=task.options["steps"]), task.seed),
        resume=is_stopped(task.folder / FILE),
        on_progress=lambda progress: task.on_progress(progress.share),
    )
    if made.interrupted:
        raise KeyboardInterrupt


def _translator(method: MethodSpec, picture: tuple[int, int], **more: Any) -> Translator:
    from dingocar.translate import translators

    options = options_of(method)
    settings = {"image_shape": (*picture, 3), **options["settings"], **more}
    found: Translator = translators.load(options["translator"]).from_settings(settings)
    return found


def _train(task: Task) -> Trained:
    """Trains on the translated recording, with `adapt` also by a method of adaptation; or on its codes."""
    from dingocar.translate import load_translator
    from dingocar.translate.tubs import translate_tub

    assert task.prepared is not None
    if task.options["use"] == "latent":
        return _train_latent(task, task.prepared / FILE)
    translator = load_translator(task.prepared / FILE, "to_real")
    tub = task.folder / "translated"
    translate_tub(translator, task.tubs["recording"], tub)
    translator.close()
    if task.options["adapt"]:
        kind = load_kind("adapt")
        options = {**kind.options, **task.options["adapt"]}
        method = dataclasses.replace(task.method, kind="adapt", options=options)
        tubs = {**task.tubs, "recording": tub}
        made = kind.train(dataclasses.replace(task, method=method, options=options, tubs=tubs))
    else:
        made = fit(task, [tub])
    shutil.rmtree(tub)
    return made


def _train_latent(task: Task, translator: Path) -> Trained:
    from dingocar.translate.latent import train_latent

    file = task.folder / "pilot.keras"
    made = train_latent(translator, [task.tubs["recording"]], file, task.settings, task.on_progress)
    error = made.validation["mae"]
    return Trained(made.sim_model, made.frames, error, made.epochs, made.best_epoch, elsewhere=made.model)


def _check(method: MethodSpec) -> None:
    options = options_of(method)
    if options["use"] not in USES:
        raise UsageError(f"options.use: expected one of {', '.join(USES)}, got {options['use']!r}")
    if method.unlabelled is None:
        raise UsageError("a translator learns from pictures of the target: add unlabelled = {...}")
    if (method.recording.domain, method.unlabelled.domain) != ("sim", "real"):
        raise UsageError("a translator's recording must be of the domain sim, its unlabelled pictures real")
    if options["translators"] < 1 or options["steps"] < 1:
        raise UsageError("options.translators and options.steps: expected at least 1")
    for name in ("pilot", "steering_weight"):
        if name in options["settings"]:
            raise UsageError(
                f"options.settings.{name}: a pilot of elsewhere would be in no row's key; set "
                "options.steering, the weight of the steering of a pilot like the row's"
            )
    if options["steering"] < 0 or not np.isfinite(options["steering"]):
        raise UsageError(f"options.steering: expected a weight of at least 0, got {options['steering']}")
    if options["steering"] and options["translator"] != "cyclegan":
        raise UsageError(
            f"options.steering: {options['translator']!r} keeps no pilot's steering; take translator = "
            '"cyclegan"'
        )
    if "image_shape" in options["settings"]:
        raise UsageError("options.settings.image_shape: all rows see the suite's picture; remove it")
    if options["use"] != "data" and options["adapt"]:
        raise UsageError(
            'options.adapt: is for use = "data"; for a proxy name the adapted pilot\'s row: pilot'
        )
    if options["use"] == "latent" and options["translator"] != "unit":
        raise UsageError(
            f"options.use: {options['translator']!r} has no codes that both domains share; take translator = "
            '"unit"'
        )
    if options["use"] != "proxy" and options["pilot"]:
        raise UsageError('options.pilot: is for use = "proxy"; remove it')
    if options["adapt"]:
        adapted = dataclasses.replace(method, kind="adapt", options=dict(options["adapt"]))
        try:
            check_options(adapted)
        except DingocarError as error:
            raise UsageError(f"options.adapt: {str(error).partition(': ')[2]}") from None


def _fits(method: MethodSpec, picture: tuple[int, ...]) -> None:
    settings = _translator(method, (picture[0], picture[1])).settings
    use = options_of(method)["use"]
    wanted = "to_sim" if use == "proxy" else "to_real"
    if getattr(settings, "direction", wanted) != wanted:
        raise UsageError(f"options.settings.direction: use = {use!r} needs {wanted!r}")


def _learns_translated(method: MethodSpec) -> bool:
    options = options_of(method)
    return options["use"] == "data" and not options["adapt"]


def _lender(method: MethodSpec) -> str | None:
    options = options_of(method)
    return str(options["pilot"]) if options["use"] == "proxy" else None


def _proxy(method: MethodSpec) -> tuple[str, str] | None:
    return (FILE, "to_sim") if options_of(method)["use"] == "proxy" else None


kind = Kind(
    _train,
    options={
        "translator": "cyclegan",
        "settings": {},
        "steps": 9000,
        "steering": 0.0,
        "translators": 3,
        "use": "data",
        "adapt": {},
        "pilot": "",
    },
    uses=("unlabelled",),
    check=_check,
    prepare=_prepare,
    prepared_by=("translator", "settings", "steps"),
    prepared_for=lambda method: ("steering",) if options_of(method)["steering"] else (),
    share=lambda method, seed: seed % int(options_of(method)["translators"]),
    lender=_lender,
    proxy=_proxy,
    learns_translated=_learns_translated,
    fits=_fits,
)
