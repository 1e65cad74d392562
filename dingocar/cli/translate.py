"""Translate pictures between simulated and real: train a translator, use it on tubs and in the loop

Usage:
    dingocar translate train --sim DIR... --real DIR... --out FILE [--method NAME] [--preset NAME]
                             [--size HxW] [--minutes N] [--steps N] [--seed N] [--resume]
                             [--set NAME=VALUE]... [--json]
    dingocar translate tub SOURCE --translator FILE --out DIR [--to DOMAIN] [--json]
    dingocar translate pilot --translator FILE --sim DIR... --out FILE [--seed N] [--set NAME=VALUE]...
                             [--json]
    dingocar translate picture SOURCE --translator FILE --out FILE [--to DOMAIN] [--json]
    dingocar translate style CONTENT STYLE --out FILE [--extractor FILE] [--steps N] [--content-weight X]
                             [--style-weight X] [--variation-weight X] [--json]
    dingocar translate export --translator FILE [--out FILE] [--to DOMAIN] [--json]
    dingocar translate report --translator FILE --sim DIR... --real DIR... [--pilot FILE]... [--look NAME]
                              [--randomisation NAME] [--lines FILE] [--html FILE] [--frames N] [--seed N]
                              [--json]
    dingocar translate info FILE [--json]

Commands:
    train    Trains one from tubs of both domains; sheets of pictures to look at, the file's name says where.
    tub      Makes a tub with the same records and translated pictures, for a pilot to learn from.
    pilot    Trains a pilot on the codes that a unit has for both domains: simulated labels, real drives.
    picture  Translates one picture.
    style    Paints what one picture shows in the style of another, pixel by pixel: minutes for one.
    export   Writes one direction as .tflite, for the loop: python manage.py drive --translator FILE
    report   Judges one: likeness, diversity, what a pilot still steers, time; best on tubs it has not seen.
    info     What a translator's file says about itself.

Options:
    --sim DIR          a tub of simulated pictures; may be given several times, labels are not used
    --real DIR         a tub of real pictures, likewise
    --out FILE         what to write; for export otherwise NAME_to_DOMAIN.tflite beside the translator; of
                       pilot the one for real pictures, and NAME_sim.keras beside it for simulated ones
    --method NAME      see dingocar list translators [default: cyclegan]
    --preset NAME      sizes of picture and networks: 60x80, 120x160, or published, which needs a GPU
                       [default: 60x80]
    --size HxW         another height and width of the pictures; those of the pilot's camera
    --minutes N        how long to train; otherwise 20, or as --steps says; with --resume as before
    --steps N          how many steps to train; with --minutes whichever ends first
                       of style: of Adam on the pixels, otherwise 300
    --seed N           of weights, batches, and of a translator also of what is held out [default: 0]
    --resume           go on with a training that was stopped
    --set NAME=VALUE   a setting of the translator, e.g. filters=48; of a pilot's training, e.g. epochs=20
    --translator FILE  the translator, .keras or .tflite
    --to DOMAIN        what to translate to, sim or real, where the translator can do both
    --extractor FILE   whose features are content and style: vgg19, downloaded once, or a .keras translator of
                       the method style, trained on your tubs [default: vgg19]
    --content-weight X    how much the content counts, otherwise 1
    --style-weight X      how much the style counts, otherwise 30
    --variation-weight X  how much smoothness counts, otherwise 0.3
    --pilot FILE       a pilot of simulated or of real pictures, or one of each: what do they steer by
                       pictures that were translated to theirs?
    --look NAME        what the real domain is in our simulator, photo say: then true counterparts are known
    --randomisation NAME  of that look
    --lines FILE       thresholds from dingocar lines tune, to be measured there
    --html FILE        also write a page with pictures
    --frames N         pictures of each domain [default: 400]
    --json             print one JSON object
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dingocar.cli._common import (
    Progress,
    assignments,
    check_replaced,
    import_keras_quietly,
    new_file,
    note,
    number,
    optional_number,
    optional_path,
    parse,
    path,
    picture_size,
    show,
    stderr_closed,
)
from dingocar.errors import INTERRUPTED, UsageError, did_you_mean
from dingocar.words import counted


def run(argv: list[str]) -> int:
    args = parse(__doc__, argv, "dingocar translate")
    for command in (_train, _tub, _pilot, _picture, _style, _export, _report, _info):
        if args[command.__name__.lstrip("_")]:
            return command(args)
    raise AssertionError("docopt let none through")


def _train(args: dict[str, Any]) -> int:
    from dingocar.settings import literal
    from dingocar.translate import translators
    from dingocar.translate._method import preset
    from dingocar.translate.budget import Budget

    minutes = optional_number(args["--minutes"], "--minutes", float, low=0.01)
    steps = optional_number(args["--steps"], "--steps", low=1)
    budget = None if steps is None and minutes is None else Budget(steps, minutes)
    settings: dict[str, Any] = preset(args["--preset"])
    if args["--size"] is not None:
        settings["image_shape"] = (*picture_size(args["--size"], "--size"), 3)
    kind = translators.load(args["--method"])
    known = kind.settings_type.__dataclass_fields__
    settings = {name: value for name, value in settings.items() if name in known}
    settings |= {name: literal(text) for name, text in assignments(args["--set"]).items()}
    translator = kind.from_settings(settings)
    tubs = {name: [path(tub, name) for tub in args[name]] for name in ("--sim", "--real")}
    out = new_file(args["--out"], "--out")
    _tell_other_size(translator.settings.image_shape)
    import_keras_quietly()
    from dingocar.translate.state import is_stopped
    from dingocar.translate.trainer import TranslatorProgress, train_translator

    with Progress(1.0, f"{args['--method']}", unit="of the training") as bar:

        def tell(progress: TranslatorProgress) -> None:
            bar.at(progress.share)

        result = train_translator(
            *(translator, tubs["--sim"], tubs["--real"], out, budget),
            seed=number(args["--seed"], "--seed", low=0, high=2**32 - 1),
            resume=args["--resume"],
            on_progress=tell,
        )
    pictures = " and ".join(f"{count} {domain}" for domain, count in result.pictures.items())
    learned = f"{counted(result.steps, 'step')} in {result.seconds:.0f} s; " if result.steps else ""
    losses = ", ".join(f"{name} {value:.3f}" for name, value in result.losses.items())
    lines = [
        f"{result.translator}: {pictures} pictures; {learned}wrote {result.path}, look at {result.sheet}"
    ]
    if losses:
        lines.append(f"losses: {losses}")
    if result.interrupted and is_stopped(out):
        lines.append("stopped; the same command with --resume goes on from there")
    show(result.to_json(), args["--json"], "\n".join(lines))
    return INTERRUPTED if result.interrupted else 0


def _tell_other_size(image_shape: tuple[int, int, int]) -> None:
    """Says, before the work, that this car's pilots will see pictures of another size."""
    from dingocar.config import CarConfig
    from dingocar.registry import car_folder

    folder = car_folder()
    if folder is None:
        return
    cfg = CarConfig.load(folder)
    if image_shape[:2] != (cfg.IMAGE_H, cfg.IMAGE_W):
        note(
            f"it translates pictures of {image_shape[0]}x{image_shape[1]}, this car's are of {cfg.IMAGE_H}x"
            f"{cfg.IMAGE_W} (IMAGE_H, IMAGE_W): give --size {cfg.IMAGE_H}x{cfg.IMAGE_W}, or change them"
        )


def _tub(args: dict[str, Any]) -> int:
    from dataclasses import asdict

    from dingocar.translate.tubs import translate_tub

    translator = _loaded(args)
    with Progress(1.0, "translating", unit="of the tub") as bar:
        source, out = path(args["SOURCE"], "SOURCE"), path(args["--out"], "--out")
        made = translate_tub(translator, source, out, bar.at)
    skipped = f", {made.skipped} cannot be decoded" if made.skipped else ""
    show(asdict(made), args["--json"], f"{made.tub}: {counted(made.pictures, 'picture')} translated{skipped}")
    return 0


def _pilot(args: dict[str, Any]) -> int:
    from dataclasses import replace

    from dingocar.training import TrainingSettings
    from dingocar.translate.latent import SETTINGS, train_latent

    seed, out = number(args["--seed"], "--seed", low=0), new_file(args["--out"], "--out")
    given = assignments(args["--set"])
    made = TrainingSettings.from_strings(given)
    for name in given:
        if name == "seed" or name not in SETTINGS:
            instead = "give --seed" if name == "seed" else f"only {', '.join(SETTINGS)} count here"
            raise UsageError(f"--set {name}: {instead}")
    settings = replace(made, seed=seed)
    translator, tubs = path(args["--translator"], "--translator"), [path(t, "--sim") for t in args["--sim"]]
    import_keras_quietly()
    with Progress(1.0, "latent", unit="of the training") as bar:
        pilot = train_latent(translator, tubs, out, settings, bar.at)
    text = (
        f"{pilot.model}: drives on real pictures, {pilot.sim_model} on simulated ones; learned from "
        f"{counted(pilot.frames, 'frame')}, steering error {pilot.validation['mae']:.3f} on simulated frames "
        "held out"
    )
    show(pilot.to_json(), args["--json"], text)
    return 0


def _picture(args: dict[str, Any]) -> int:
    from dingocar.images import decode_image
    from dingocar.translate.sheets import save

    out = picture_file(args["--out"], args["SOURCE"])
    translator = _loaded(args)
    height, width, _ = translator.image_shape
    image = decode_image(path(args["SOURCE"], "SOURCE"), (height, width))
    save(translator.run(image), out)
    show({"out": str(out), "direction": translator.direction}, args["--json"], f"wrote {out}")
    return 0


def _style(args: dict[str, Any]) -> int:
    from dingocar.images import decode_image
    from dingocar.translate.artefact import read_card
    from dingocar.translate.gatys import VGG19, StyleWeights, stylise
    from dingocar.translate.sheets import save

    out = picture_file(args["--out"], args["CONTENT"], args["STYLE"])
    steps = optional_number(args["--steps"], "--steps", low=1) or 300
    names = ("content", "style", "variation")
    given = {name: optional_number(args[f"--{name}-weight"], f"--{name}-weight", float) for name in names}
    weights = StyleWeights(**{name: value for name, value in given.items() if value is not None})
    extractor, size = args["--extractor"], None
    if extractor != VGG19:
        extractor = path(extractor, "--extractor")
        height, width, _ = read_card(extractor)["image_shape"]
        size = (height, width)
    content = decode_image(path(args["CONTENT"], "CONTENT"), size)
    style = decode_image(path(args["STYLE"], "STYLE"), (content.shape[0], content.shape[1]))
    import_keras_quietly()
    with Progress(1.0, "painting", unit="of the steps") as bar:
        made = stylise(content, style, extractor, weights, steps, on_progress=bar.at)
    save(made, out)
    show({"out": str(out), "steps": steps}, args["--json"], f"wrote {out}")
    return 0


def picture_file(text: str, *sources: str) -> Path:
    """The new picture that --out names, none of those it is made of."""
    out = new_file(text, "--out")
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"--out {out}: expected a file that ends in .png or .jpg")
    if out.exists() and any(out.samefile(each) for each in sources if Path(each).exists()):
        raise UsageError(f"--out {out}: is the picture that it is made of; name another file")
    return out


def _export(args: dict[str, Any]) -> int:
    from dingocar.translate.artefact import chosen_direction, read_card
    from dingocar.translate.export import export_translator

    source = path(args["--translator"], "--translator")
    direction = chosen_direction(read_card(source), direction_of(args), source)
    out = optional_path(args["--out"], "--out") or source.with_name(f"{source.stem}_{direction}.tflite")
    check_replaced(new_file(str(out), "--out"), "--out", "translator")
    import_keras_quietly()
    with stderr_closed():  # TensorFlow tells of an attribute of its own that its converter does not know
        export_translator(source, out, direction)
    figures = {"out": str(out), "direction": direction, "bytes": out.stat().st_size}
    show(figures, args["--json"], f"wrote {out}")
    return 0


def _report(args: dict[str, Any]) -> int:
    from dingocar.cli._translate_report import report

    return report(args)


def _info(args: dict[str, Any]) -> int:
    from dingocar.translate.artefact import read_card

    file = path(args["FILE"], "FILE")
    card = read_card(file)
    height, width, _ = card["image_shape"]
    training, tubs = card.get("training", {}), card.get("tubs") or {}
    lines = [
        f"{file}: {card['translator']}, pictures of {height}x{width}, {' and '.join(card['directions'])}"
    ]
    lines += [
        f"learned from {domain}: {tub['path']} ({tub['records']})" for domain in tubs for tub in tubs[domain]
    ]
    if training.get("steps"):
        lines.append(f"{counted(training['steps'], 'step')} in {training['seconds']:.0f} s")
    show(card, args["--json"], "\n".join(lines))
    return 0


def _loaded(args: dict[str, Any]) -> Any:
    from dingocar.translate import load_translator

    file = path(args["--translator"], "--translator")
    import_keras_quietly(file)
    return load_translator(file, direction_of(args))


def direction_of(args: dict[str, Any]) -> str | None:
    """The direction that --to asks for; None: the translator's only one."""
    domain = args["--to"]
    if domain not in (None, "sim", "real"):
        raise UsageError(f"--to must be sim or real, got {domain!r}{did_you_mean(domain, ('sim', 'real'))}")
    return None if domain is None else f"to_{domain}"
